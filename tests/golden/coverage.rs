//! How far a user is from needing no group, and whether they are still who they were.

use std::time::Duration;

use crate::support::*;
use unscim::judge::facts::Cover;
use unscim::judge::kept::{self, Kept};
use unscim::model::action::Action;
use unscim::model::baseline::AtTarget;
use unscim::model::id::{GroupId, ScimId};
use unscim::model::memory::{Departure, DepartureKind, Streak};
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::*;

fn cover(case: &Case, u: u128) -> Cover {
    let facts = case.facts();
    facts.person(user(u)).unwrap().cover.clone()
}

fn person(u: u128, enabled: bool) -> Observed<DirectoryUser> {
    Observed::Known(DirectoryUser {
        id: user(u),
        user_principal_name: None,
        match_value: None,
        enabled: Some(enabled),
        guest: false,
    })
}

#[test]
fn a_user_is_settled_after_the_settle_time_and_a_cycle_that_began_the_margin_later() {
    let mut case = Case::assigned();
    assert_eq!(cover(&case, 1), Cover::Settled);
    // Five minutes in sight are enough, less is not, and one look is none.
    case.in_sight(1, 1, NOW - 5);
    assert_eq!(cover(&case, 1), Cover::Settled);
    case.in_sight(1, 1, NOW - 4);
    assert_eq!(cover(&case, 1), Cover::Settling);
    case.spec.timing.settle = Duration::ZERO;
    case.in_sight(1, 1, NOW);
    assert_eq!(cover(&case, 1), Cover::Settling);
    // Made at minute 10; the cycle began at 60; the margin is ten minutes.
    let mut case = Case::assigned();
    case.spec.provisioning.cycle_margin = Duration::from_secs(50 * 60);
    assert_eq!(cover(&case, 1), Cover::AwaitingCycle);
    case.spec.provisioning.cycle_margin = Duration::from_secs(50 * 60 - 1);
    assert_eq!(cover(&case, 1), Cover::Settled);
    case.memory.remembered.cycles.clear();
    case.cycle(10);
    case.spec.provisioning.cycle_margin = Duration::ZERO;
    assert_eq!(cover(&case, 1), Cover::AwaitingCycle, "at that very moment is not after it");
}

#[test]
fn nobody_waits_for_the_cycle_of_a_disabled_account_or_after_the_token_is_dead() {
    let mut case = Case::assigned();
    case.memory.remembered.cycles.clear();
    assert_eq!(cover(&case, 1), Cover::AwaitingCycle);
    case.seen.users.insert(user(1), person(1, false));
    assert_eq!(cover(&case, 1), Cover::Settled);
    case.seen.users.insert(user(1), person(1, true));
    assert_eq!(cover(&case, 1), Cover::AwaitingCycle);
    let mut retired = Case::retired();
    retired.memory.remembered.cycles.clear();
    assert_eq!(cover(&retired, 1), Cover::Settled);
}

#[test]
fn the_rows_of_anybody_are_found_in_whatever_order_they_are_asked_for() {
    let case = Case::assigned();
    let facts = case.facts();
    let held: [&[u128]; 5] = [&[], &[1], &[1, 2], &[2], &[]];
    for u in [1, 2, 3, 4, 4, 3, 2, 1, 0, 2, 0, 3, 1] {
        let mut roles: Vec<_> = facts.rows().unwrap().of_user(user(u)).map(|(role, _)| role).collect();
        roles.sort();
        assert_eq!(roles, held[u as usize].iter().map(|r| role(*r)).collect::<Vec<_>>(), "user {u}");
        assert_eq!(facts.person(user(u)).map(|person| person.id), (1..=3).contains(&u).then(|| user(u)));
    }
}

#[test]
fn a_confirmed_write_is_fresh_for_the_settle_time() {
    let mut case = Case::untouched();
    let action = Action::AssignUser { user: user(1), role: role(1) };
    for (minute, fresh) in [(NOW - 4, true), (NOW - 5, false)] {
        case.journal().entries.clear();
        case.confirmed(&action, minute);
        assert_eq!(case.facts().is_fresh(&action.key()), fresh, "{minute}");
    }
}

fn verdict(case: &Case, u: u128) -> Kept {
    let facts = case.facts();
    kept::of(&facts, facts.person(user(u)).unwrap())
}

#[test]
fn a_record_is_lost_when_it_is_gone_inactive_or_another_one() {
    let mut case = Case::assigned();
    assert_eq!(verdict(&case, 1), Kept::Kept);
    let gone = |case: &mut Case| {
        case.target().users.remove(&scim(1));
        case.target().users_by_id.insert(scim(1), Observed::Absent);
    };
    gone(&mut case);
    assert_eq!(verdict(&case, 1), Kept::Lost("record u-1 is gone from the target".into()));
    let name = |text: &str| Some(text.into());
    let other =
        ScimUser { id: scim(9), user_name: name("USER1@contoso.example"), external_id: None, active: Some(true), created: None };
    case.target().users.insert(scim(9), other);
    assert_eq!(verdict(&case, 1), Kept::Lost("record u-1 was replaced by u-9 at the target".into()));
    // What the list still has under the old id is not another one.
    let mut same = Case::assigned();
    same.target().users_by_id.insert(scim(1), Observed::Absent);
    assert_eq!(verdict(&same, 1), Kept::Lost("record u-1 is gone from the target".into()));
}

#[test]
fn a_loss_that_the_directory_explains_is_told_apart_and_counted() {
    let mut case = Case::assigned();
    case.target().users.get_mut(&scim(1)).unwrap().active = Some(false);
    let streak = |looks| Streak { since: at(10), last: at(NOW), looks };
    let departed = |case: &mut Case, kind, looks| {
        case.memory.remembered.departed.insert(user(1), Departure { kind, streak: streak(looks) });
    };
    assert!(matches!(verdict(&case, 1), Kept::Lost(_)));
    departed(&mut case, DepartureKind::Disabled, 1);
    assert_eq!(verdict(&case, 1), Kept::Explained(DepartureKind::Disabled), "the directory says so itself");
    for kind in [DepartureKind::Deleted, DepartureKind::Left] {
        departed(&mut case, kind, 2);
        assert!(matches!(verdict(&case, 1), Kept::Lost(_)), "two looks are not believed");
        departed(&mut case, kind, 3);
        assert_eq!(verdict(&case, 1), Kept::Explained(kind));
    }
    let tally = unscim::judge::kept::tally(&case.facts()).unwrap().clone();
    assert_eq!((tally.counted, tally.kept, tally.explained, tally.lost.len()), (3, 2, 1, 0));
    case.spec.released.insert(user(2));
    let tally = unscim::judge::kept::tally(&case.facts()).unwrap().clone();
    assert_eq!((tally.counted, tally.kept, tally.explained, tally.lost.len()), (2, 1, 1, 0));
}

fn harmful(minute: i64, u: u128) -> LogRow {
    LogRow {
        id: "row-1".into(),
        at: at(minute),
        action: "disable".into(),
        status: "success".into(),
        source: Some(user(u).0),
        target: None,
        of_group: false,
        deactivates: false,
        reason: None,
        redundant: false,
    }
}

#[test]
fn a_harmful_row_counts_for_whom_it_names_and_for_nobody_else() {
    let lost = |minute, change: fn(&mut Case)| {
        let mut case = Case::assigned();
        let Listed::Known(log) = &mut case.seen.log else { panic!() };
        log.value.rows = vec![harmful(minute, 1), harmful(minute, 9)];
        change(&mut case);
        let tally = unscim::judge::kept::tally(&case.facts()).unwrap().clone();
        (tally.lost.len(), tally.kept, tally.counted)
    };
    assert_eq!(lost(500, |_| {}), (1, 2, 3));
    assert_eq!(lost(0, |case| case.memory.remembered.cycles.clear()), (0, 3, 3), "at the baseline's own moment it is history");
    assert_eq!(lost(1, |case| case.cycle(30)), (0, 3, 3), "healed by a later cycle and look");
    assert_eq!(lost(500, |case| _ = case.spec.released.insert(user(1))), (0, 2, 2));
    let disabled: fn(&mut Case) = |case| {
        let streak = Streak { since: at(10), last: at(NOW), looks: 1 };
        case.memory.remembered.departed.insert(user(1), Departure { kind: DepartureKind::Disabled, streak });
    };
    assert_eq!(lost(500, disabled), (0, 3, 3));
    // Who has no record from before is lost, and was never among the kept.
    let unknown: fn(&mut Case) = |case| {
        let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
        baseline.users.get_mut(&user(1)).unwrap().target = AtTarget::NoRecord;
    };
    assert_eq!(lost(500, unknown), (1, 2, 2));
    // Whose record could not be read was not among the kept either.
    let unread: fn(&mut Case) = |case| {
        case.target().users.remove(&scim(1));
        case.target().users_by_id.insert(scim(1), Observed::Unknown(failed("transient")));
    };
    assert_eq!(lost(500, unread), (1, 2, 3));
}

fn remaining(case: &Case) -> Vec<GroupId> {
    let facts = case.facts();
    kept::groups_remaining(&facts, facts.memory.target.as_ref().unwrap()).unwrap()
}

/// A group of another id at the target; and what is then still there.
fn put_group(case: &mut Case, name: Option<&str>, external_id: Option<String>) -> Vec<GroupId> {
    let id = ScimId::from("g-9");
    let record = ScimGroup { id: id.clone(), display_name: name.map(str::to_owned), external_id };
    case.target().groups.insert(id, record);
    remaining(case)
}

#[test]
fn a_group_without_a_known_id_is_looked_for_by_its_name_or_its_entra_id() {
    let mut case = Case::unassigned();
    case.groups_gone();
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    baseline.groups.get_mut(&group(1)).unwrap().scim = None;
    assert_eq!(remaining(&case), []);
    let mut put = |name, external| put_group(&mut case, name, external);
    assert_eq!(put(Some("GROUP 1"), None), [group(1)]);
    assert_eq!(put(Some("renamed"), Some(group(1).to_string().to_uppercase())), [group(1)]);
    assert_eq!(put(Some("another"), Some("77".into())), []);
    assert_eq!(put(None, None), []);
}

#[test]
fn a_group_that_came_back_under_another_id_is_known_by_its_entra_id() {
    let mut case = Case::unassigned();
    case.groups_gone();
    let mut put = |external| put_group(&mut case, Some("Group 1"), external);
    assert_eq!(put(Some(group(1).to_string().to_uppercase())), [group(1)]);
    // The app's own people may make a group of the same name by hand; that is none of ours.
    assert_eq!(put(None), []);
    assert_eq!(put(Some("77".into())), []);
}
