//! Writes that were refused: how long each waits, which of a kind goes first, and when a person is told.

use crate::support::*;
use unscim::model::action::Action;
use unscim::model::key::Key;
use unscim::model::spec::Rollout;
use unscim::model::status::Brake;

const SINGLE: &str = "assigning: refused (400 Request_BadRequest): the object is odd";
const DENIAL: &str = "assigning: denied (403 Authorization_RequestDenied): insufficient privileges";

fn assign(u: u128, r: u128) -> Action {
    Action::AssignUser { user: user(u), role: role(r) }
}

fn remove(g: u128, u: u128) -> Action {
    Action::RemoveMember { group: group(g), user: user(u) }
}

fn refuse(case: &mut Case, key: Key, minute: i64, times: u32, text: &str) {
    for _ in 0..times {
        case.journal().refuse(key.clone(), at(minute), text);
    }
}

fn told(case: &Case) -> Option<String> {
    let approved = case.approve();
    approved.held().iter().find(|(brake, _)| *brake == Brake::WriteRefused).map(|(_, message)| message.clone())
}

/// Whether this write goes out, so long after it was refused so often.
fn goes(case: fn() -> Case, action: &Action, minutes: i64, times: u32) -> bool {
    let mut case = case();
    refuse(&mut case, action.key(), NOW - minutes, times, SINGLE);
    case.approve().actions().contains(action)
}

fn emptying() -> Case {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::AllAtOnce;
    case
}

#[test]
fn a_refused_write_waits_longer_each_time_and_one_that_gives_cover_never_long() {
    for (case, action, longest) in [(Case::untouched as fn() -> Case, assign(1, 1), 5), (emptying, remove(1, 1), 60)] {
        for (times, wait) in [(1, 1), (2, 2), (3, 4), (4, 8), (7, 64), (30, 60)] {
            let wait = longest.min(wait);
            assert!(!goes(case, &action, wait - 1, times), "{action}, {times} times: within {wait} min");
            assert!(goes(case, &action, wait + 1, times), "{action}, {times} times: after {wait} min");
        }
    }
}

#[test]
fn a_refusal_is_told_once_it_is_more_than_a_passing_one() {
    let mut case = Case::untouched();
    refuse(&mut case, assign(1, 1).key(), NOW, 1, SINGLE);
    assert!(!case.approve().actions().contains(&assign(1, 1)) && told(&case).is_none());
    refuse(&mut case, assign(1, 1).key(), NOW, 1, SINGLE);
    let message = told(&case).unwrap();
    assert!(message.contains("1 write (assign/") && message.contains("2 times in a row"), "{message}");
    let mut case = Case::untouched();
    refuse(&mut case, assign(1, 1).key(), NOW, 1, DENIAL);
    assert!(told(&case).unwrap().contains("1 time in a row): denied (403"), "a denial is told at once: {:?}", told(&case));
}

#[test]
fn of_a_kind_that_is_denied_as_such_one_goes_first_once_the_latest_denial_has_waited() {
    let mut case = Case::untouched();
    refuse(&mut case, assign(1, 1).key(), NOW - 2, 1, DENIAL);
    assert_eq!(case.approve().actions(), [assign(1, 1)], "the first alone shows whether it is still so");
    assert!(told(&case).unwrap().contains("3 writes (assign/"), "{:?}", told(&case));
    refuse(&mut case, assign(2, 1).key(), NOW, 1, DENIAL);
    assert_eq!(case.approve().actions(), [], "it was heard anew just now, of another one");
    // A write of the kind that was taken since shows that it is over.
    case.confirmed(&assign(3, 2), NOW + 1);
    assert!(case.approve().actions().contains(&assign(2, 2)), "{:?}", case.approve().actions());
}
