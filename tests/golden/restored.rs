//! A ledger that may be a backup which was put back.

use std::collections::BTreeSet;

use unscim::judge::restored::{behind, still};
use unscim::model::action::Action;
use unscim::model::id::AssignmentId;
use unscim::model::memory::Behind;
use unscim::model::snapshot::Principal;
use unscim::model::status::Brake;

use crate::support::*;

/// All groups were unassigned at minute 200, and the first one was assigned again at this minute.
fn again(made: i64) -> Case {
    let mut case = Case::unassigned();
    let assignment = AssignmentId::from("row-0").into();
    case.confirmed(&Action::UnassignGroup { group: group(1), assignment, role: role(1) }, 200);
    case.row(Principal::Group(group(1)), role(1), made);
    case
}

fn groups(found: Option<Behind>) -> Vec<u128> {
    let all = [1, 2];
    all.into_iter().filter(|g| found.as_ref().is_some_and(|found| found.groups.contains(&group(*g)))).collect()
}

#[test]
fn what_was_assigned_again_after_the_ledgers_last_look_speaks_for_a_backup() {
    assert_eq!(groups(behind(&again(306).facts(), at(300))), [1]);
    // Within the time of a restart it is an admin's act, and corrected.
    assert_eq!(behind(&again(305).facts(), at(300)), None);
    assert_eq!(behind(&again(250).facts(), at(300)), None, "the ledger has seen it");
    let mut never_ours = again(306);
    never_ours.journal().entries.clear();
    assert_eq!(behind(&never_ours.facts(), at(300)), None, "another hand unassigned it");
    let mut rolled_back = again(306);
    rolled_back.memory.remembered.rolled_back = Some(at(305));
    assert_eq!(behind(&rolled_back.facts(), at(300)), None, "the ledger knows of it");
}

#[test]
fn it_holds_all_but_what_heals_until_the_groups_are_off_again() {
    let mut case = again(306);
    let found = Behind { last: at(300), groups: BTreeSet::from([group(1), group(2)]) };
    assert_eq!(groups(still(&case.facts(), found.clone())), [1]);
    case.memory.remembered.behind = Some(found);
    let approved = case.approve();
    let held: Vec<_> = approved.held().iter().filter(|(brake, _)| *brake == Brake::LedgerBehind).collect();
    let [(_, why)] = held.as_slice() else { panic!("{:#?}", approved.held()) };
    assert!(why.contains("2 managed groups that it says to be unassigned were assigned again after that"), "{why}");
    assert!(approved.actions().is_empty(), "{:?}", approved.actions());
    case.unrow(Principal::User(user(1)));
    case.leave(1, 1);
    let kinds: Vec<_> = case.approve().actions().iter().map(|action| action.kind()).collect();
    assert_eq!(kinds, ["AssignUser"], "nobody is left without a path");
}
