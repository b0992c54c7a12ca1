//! What of a plan goes out at once.

use unscim::model::action::Action;
use unscim::model::id::{AssignmentId, JobId};
use unscim::turn::act::volley::next;

use crate::support::*;

fn removal(g: u128, n: u128) -> Action {
    Action::RemoveMember { group: group(g), user: user(n) }
}

fn assign(n: u128) -> Action {
    Action::AssignUser { user: user(n), role: role(1) }
}

#[test]
fn assignments_go_in_full_batches_and_before_anything_else() {
    let mut plan: Vec<Action> = (0..95).map(assign).collect();
    plan.push(removal(1, 1));
    let sizes = |batches: Vec<Vec<usize>>| batches.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(next(&plan, usize::MAX)), [20, 20, 20, 20]);
    assert_eq!(sizes(next(&plan, 45)), [20, 20, 5]);
    assert_eq!(sizes(next(&plan[80..], usize::MAX)), [15]);
    assert_eq!(next(&plan[95..], usize::MAX), [[0]]);
    assert!(next(&plan, 0).is_empty() && next(&[], 9).is_empty());
}

#[test]
fn one_groups_removals_are_never_in_two_batches_at_once() {
    let plan: Vec<Action> = (0..30).map(|n| removal(1, n)).chain((0..3).flat_map(|n| [removal(2, n), removal(3, n)])).collect();
    let batches = next(&plan, usize::MAX);
    assert_eq!(batches[0], (0..20).collect::<Vec<_>>());
    assert_eq!(batches[1..], [vec![30, 32, 34], vec![31, 33, 35]]);
    let many: Vec<Action> = (0..9).map(|group| removal(group, 1)).collect();
    assert_eq!(next(&many, usize::MAX), [[0], [1], [2], [3]]);
}

#[test]
fn what_stands_alone_goes_alone() {
    let pause = Action::PauseJob { job: JobId("job".into()) };
    assert_eq!(next(&[pause, Action::RequestRevocation], usize::MAX), [[0]]);
    let row =
        |n: u128| Action::UnassignGroup { group: group(n), assignment: AssignmentId::from(n.to_string()).into(), role: role(1) };
    assert_eq!(next(&[row(1), row(2), Action::RequestRevocation], usize::MAX), [[0, 1]]);
}
