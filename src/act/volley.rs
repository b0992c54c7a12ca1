//! What of a plan goes out at once. Pure: the order of things, and nothing of how they are sent.

use std::collections::BTreeMap;

use crate::model::action::Action;
use crate::model::id::GroupId;

/// Writes in one request; Graph takes no more.
pub const BATCH: usize = 20;
/// Requests at once: enough to fill the quota where one answer takes longer than the quota's share for it.
const BATCHES: usize = 4;

/// The batches that go out at once, as indices into `rest`, never more writes than `room`. All are of the kind of the first
/// action. A batch holds changes of one group's members, which are made one after the other, and no two batches are
/// about the same group; or it holds anything else, in any order.
pub fn next(rest: &[Action], room: usize) -> Vec<Vec<usize>> {
    let Some(first) = rest.first() else { return Vec::new() };
    let run = rest.iter().take_while(|action| action.kind() == first.kind()).enumerate();
    let batches: Vec<Vec<usize>> = match first {
        Action::RecordBaseline | Action::PauseJob { .. } | Action::RequestRevocation => vec![vec![0]],
        Action::RemoveMember { .. } | Action::RestoreMember { .. } => {
            let mut order: Vec<GroupId> = Vec::new();
            let mut chains: BTreeMap<GroupId, Vec<usize>> = BTreeMap::new();
            for (index, action) in run {
                let (Action::RemoveMember { group, .. } | Action::RestoreMember { group, .. }) = action else { continue };
                match chains.get_mut(group) {
                    Some(chain) if chain.len() < BATCH => chain.push(index),
                    Some(_) => {}
                    None if order.len() < BATCHES => {
                        order.push(*group);
                        chains.insert(*group, vec![index]);
                    }
                    None => {}
                }
            }
            order.iter().filter_map(|group| chains.remove(group)).collect()
        }
        Action::AssignUser { .. }
        | Action::UnassignGroup { .. }
        | Action::RestoreAssignment { .. }
        | Action::RemoveDirect { .. } => {
            let run: Vec<usize> = run.map(|(index, _)| index).take(BATCH * BATCHES).collect();
            run.chunks(BATCH).map(<[usize]>::to_vec).collect()
        }
    };
    cut(batches, room)
}

/// The first so many of them.
fn cut(mut batches: Vec<Vec<usize>>, mut room: usize) -> Vec<Vec<usize>> {
    for batch in &mut batches {
        batch.truncate(room);
        room -= batch.len();
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::id::{AppRoleId, AssignmentId, JobId, UserId};

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn removal(group: u128, n: u128) -> Action {
        Action::RemoveMember { group: GroupId(Uuid::from_u128(group)), user: user(n) }
    }

    fn assign(n: u128) -> Action {
        Action::AssignUser { user: user(n), role: AppRoleId(Uuid::nil()) }
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
        let plan: Vec<Action> =
            (0..30).map(|n| removal(1, n)).chain((0..3).flat_map(|n| [removal(2, n), removal(3, n)])).collect();
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
        let row = |n: u128| Action::UnassignGroup {
            group: GroupId(Uuid::from_u128(n)),
            assignment: AssignmentId(n.to_string()),
            role: AppRoleId(Uuid::nil()),
        };
        assert_eq!(next(&[row(1), row(2), Action::RequestRevocation], usize::MAX), [[0, 1]]);
    }
}
