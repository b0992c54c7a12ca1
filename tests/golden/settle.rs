//! Writes whose answer was lost, settled by looks.

use crate::support::*;
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::memory::Streak;
use unscim::model::observed::Listed;
use unscim::turn::settle::{Settled, gone, settled};

const LINE: i64 = 77;

fn remove() -> Action {
    Action::RemoveMember { group: group(1), user: user(1) }
}

fn open(case: &mut Case, action: &Action, minute: i64) {
    let entry = case.journal().entries.entry(action.key()).or_default();
    entry.begin(LINE, at(minute));
}

#[test]
fn a_removal_is_believed_undone_only_after_the_time_that_reads_may_lag() {
    let mut case = Case::assigned();
    open(&mut case, &remove(), NOW - 4);
    assert_eq!(settled(&case.facts()), []);
    let until = format!("the outcome of the first removal: nobody answered it, and where no read after {:.0}", at(NOW + 1));
    waits(&case.judge(2), Reason::AwaitingOutcome, &until);
    open(&mut case, &remove(), NOW - 5);
    assert_eq!(settled(&case.facts()), [(LINE, Settled::NotDone(at(NOW)))]);
    let refused = |case: &mut Case| case.seen.groups.get_mut(&group(1)).unwrap().members = Listed::Unknown(failed("transient"));
    refused(&mut case);
    assert_eq!(settled(&case.facts()), []);
}

#[test]
fn a_removal_is_believed_done_after_repeated_looks_and_counts_from_the_last_of_them() {
    let mut case = Case::assigned();
    case.leave(1, 1);
    open(&mut case, &remove(), NOW - 30);
    let key = remove().key();
    let first = gone(&case.facts());
    assert_eq!(first[&key], Streak { since: at(NOW), last: at(NOW), looks: 1 });
    case.memory.remembered.gone = first;
    assert_eq!(settled(&case.facts()), []);
    case.memory.remembered.gone.insert(key, Streak { since: at(NOW - 5), last: at(NOW), looks: unscim::model::memory::LOOKS });
    assert_eq!(settled(&case.facts()), [(LINE, Settled::Done(at(NOW)))]);
}

#[test]
fn one_look_that_shows_it_again_begins_the_series_anew() {
    let mut case = Case::assigned();
    open(&mut case, &remove(), NOW - 4);
    case.memory.remembered.gone.insert(remove().key(), Streak { since: at(NOW - 20), last: at(NOW - 1), looks: 5 });
    assert!(gone(&case.facts()).is_empty());
}

#[test]
fn rows_are_settled_alike() {
    let (role, assign) = (role(1), Action::AssignUser { user: user(1), role: role(1) });
    let unassign = Action::UnassignGroup { group: group(1), assignment: unscim::model::id::AssignmentId::from("x").into(), role };
    let mut case = Case::assigned();
    case.journal().entries.clear();
    open(&mut case, &assign, NOW);
    assert_eq!(settled(&case.facts()), [(LINE, Settled::Done(at(NOW)))]);
    let mut case = Case::untouched();
    open(&mut case, &assign, NOW - 4);
    assert_eq!(settled(&case.facts()), []);
    open(&mut case, &assign, NOW - 5);
    assert_eq!(settled(&case.facts()), [(LINE, Settled::NotDone(at(NOW)))]);
    let mut case = Case::assigned();
    open(&mut case, &unassign, NOW - 5);
    assert_eq!(settled(&case.facts()), [(LINE, Settled::NotDone(at(NOW)))]);
}

#[test]
fn a_request_for_the_deletion_of_the_token_stays_open_whatever_is_seen() {
    let mut case = Case::cycled();
    open(&mut case, &Action::RequestRevocation, 1);
    assert_eq!((settled(&case.facts()), case.memory.journal.revocations()), (Vec::new(), 1));
}
