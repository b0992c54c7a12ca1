//! What Entra's engine would make of each step.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use unscim::judge::foresight::{NOW as STAGE_NOW, Stage, foresee, harm};
use unscim::model::action::Action;
use unscim::model::baseline::AtTarget;
use unscim::model::engine::ScimCall;
use unscim::model::id::{ScimId, UserId};
use unscim::model::memory::{Departure, DepartureKind, Streak};
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::*;
use unscim::model::spec::{GroupEntry, MembersDecision};

use crate::support::*;

#[test]
fn foresight_shows_each_stage_once_and_nothing_where_there_is_nothing_to_go_by() {
    let calls = |case: &Case| foresee(&case.facts()).iter().map(|stage| stage.calls.len()).collect::<Vec<_>>();
    let mut case = Case::assigned();
    assert_eq!(calls(&case), [0, 0, 2, 2], "members removed, then groups deleted");
    case.seen.assignments = Listed::Unknown(failed("transient"));
    assert_eq!(calls(&case), [0; 0]);
    assert_eq!(calls(&Case::retired()), [0; 0]);
    // What the app has is not known: a guess would be told as a fact.
    let mut case = Case::assigned();
    case.memory.target = None;
    assert_eq!(calls(&case), [0; 0]);
    // After a rollback the app has the groups under other ids. Two that look alike are nobody's.
    let mut case = Case::assigned();
    case.groups_gone();
    assert_eq!(calls(&case)[0], 4, "two groups are made, and get their members");
    for n in [7, 8] {
        let group = ScimGroup { id: ScimId::from(format!("g-{n}")), ..known_group(n - 6) };
        case.target().groups.insert(group.id.clone(), group);
    }
    assert_eq!(calls(&case), [0, 0, 2, 2]);
    case.target().groups.insert("g-9".into(), ScimGroup { id: "g-9".into(), ..known_group(1) });
    assert_eq!(calls(&case)[0], 2);
    // A mapping that does not delete, or is off, deletes no group.
    for change in [(|mapping: &mut Mapping| mapping.deletes = false) as fn(&mut Mapping), |mapping| mapping.enabled = false] {
        let mut case = Case::assigned();
        let Observed::Known(schema) = &mut case.seen.schema else { panic!() };
        change(schema.group.as_mut().unwrap());
        assert!(calls(&case)[3] == 0, "{:?}", foresee(&case.facts()));
    }
}

#[test]
fn whoever_a_stage_has_changed_is_not_changed_again_by_the_next_one() {
    // User 1 has no direct assignment and is called departed: step 2 would make them inactive, once.
    let mut case = Case::assigned();
    case.unrow(Principal::User(user(1)));
    let streak = Streak { since: at(10), last: at(NOW), looks: 9 };
    case.memory.remembered.departed.insert(user(1), Departure { kind: DepartureKind::Left, streak });
    assert_eq!(harm(&case.facts()), [(user(1), "made inactive after step 2".to_owned())]);
}

#[test]
fn a_member_whom_entra_has_still_to_take_out_is_taken_out_once() {
    let mut case = Case::assigned();
    case.leave(1, 1);
    let calls: Vec<_> = foresee(&case.facts()).iter().map(|stage| stage.calls.len()).collect();
    assert_eq!(calls, [1, 0, 2, 2]);
    // Whom we took out, and a cycle has carried it out since, is out of it at the app, too.
    case.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, 100);
    let removed = |case: &Case| {
        let of = |call: &ScimCall| match call {
            ScimCall::RemoveMembers { users, .. } => users.len(),
            _ => 0,
        };
        foresee(&case.facts()).iter().map(|stage| stage.calls.iter().map(of).sum()).collect::<Vec<usize>>()
    };
    assert_eq!(removed(&case), [1, 0, 3, 0]);
    case.cycle(120);
    assert_eq!(removed(&case), [0, 0, 3, 0]);
    // Somebody has put them back since.
    case.members(1).insert(user(1));
    assert_eq!(removed(&case), [0, 0, 4, 0]);
}

const USERS: u128 = 24;
const GROUPS: u128 = 4;

/// A company in which anything may have gone wrong with anybody.
fn odd(seed: u64) -> Case {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut case = Case::assigned();
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    for g in 3..=GROUPS {
        baseline.groups.insert(group(g), baseline.groups[&group(1)].clone());
        case.seen.groups.insert(group(g), case.seen.groups[&group(1)].clone());
        case.spec.groups.list.push(GroupEntry { id: group(g), members: None });
    }
    for entry in &mut case.spec.groups.list {
        let decisions = [None, None, Some(MembersDecision::Remove), Some(MembersDecision::Keep)];
        entry.members = decisions[dice.random_range(0..decisions.len())];
    }
    for u in 1..=USERS {
        let mut user_of = baseline.users[&user(1)].clone();
        user_of.groups = (1..=GROUPS).filter(|_| dice.random_ratio(1, 3)).map(group).collect();
        let record = dice.random_ratio(7, 8).then(|| ScimUser {
            id: scim(u),
            user_name: Some(format!("user{u}@contoso.example").into()),
            external_id: None,
            active: [Some(true), Some(true), Some(false), None][dice.random_range(0..4)],
            created: None,
        });
        user_of.target = record.map_or(AtTarget::NoRecord, AtTarget::Record);
        baseline.users.insert(user(u), user_of);
    }
    case.rows().clear();
    for g in 1..=GROUPS {
        case.members(g).clear();
        if dice.random_ratio(3, 4) {
            case.assign_group(g, 1);
        }
        // Some were never seen in it before, some are nobody of ours.
        let members = (1..=USERS + 2).filter(|_| dice.random_ratio(1, 3)).map(user);
        case.members(g).extend(members);
        if dice.random_ratio(1, 8) {
            case.seen.groups.get_mut(&group(g)).unwrap().members = Listed::Unknown(failed("transient"));
        }
    }
    for u in 1..=USERS {
        if dice.random_bool(0.5) {
            case.assign(u, dice.random_range(1..=2), 10);
        }
        if dice.random_ratio(1, 6) {
            let kinds = [DepartureKind::Left, DepartureKind::Deleted, DepartureKind::Disabled];
            let streak = Streak { since: at(10), last: at(NOW), looks: dice.random_range(1..=9) };
            let departure = Departure { kind: kinds[dice.random_range(0..kinds.len())], streak };
            case.memory.remembered.departed.insert(user(u), departure);
        }
        if dice.random_ratio(1, 4) {
            let enabled = dice.random_bool(0.5).then_some(dice.random_bool(0.5));
            let seen = DirectoryUser { id: user(u), user_principal_name: None, match_value: None, enabled, guest: false };
            case.seen.users.insert(user(u), Observed::Known(seen));
        }
        if dice.random_ratio(1, 4) {
            case.target().users.remove(&scim(u));
        } else {
            let active = [Some(true), Some(false), None][dice.random_range(0..3)];
            let record = ScimUser { id: scim(u), user_name: None, external_id: None, active, created: None };
            case.target().users.insert(scim(u), record);
        }
        if dice.random_ratio(1, 10) {
            case.spec.released.insert(user(u));
        }
    }
    if let (Listed::Known(settings), Observed::Known(schema)) = (&mut case.seen.settings, &mut case.seen.schema) {
        settings.sync_all = [Some(false), Some(false), Some(true), None][dice.random_range(0..4)];
        settings.skip_out_of_scope_deletions = dice.random_ratio(1, 6).then_some(true);
        for mapping in [&mut schema.user, &mut schema.group].into_iter().flatten() {
            (mapping.enabled, mapping.deletes) = (dice.random_ratio(7, 8), dice.random_ratio(7, 8));
        }
    }
    case
}

#[test]
fn asked_once_for_all_who_are_in_the_same_situation_the_engine_says_what_it_says_of_each() {
    let (mut harmed, mut calm) = (0, 0);
    for seed in 0..400 {
        let case = odd(seed);
        let facts = case.facts();
        let said = |stage: &Stage, call: &ScimCall| -> Option<(UserId, String)> {
            let (user, what) = match call {
                ScimCall::DisableUser { user, .. } => (*user, "made inactive"),
                ScimCall::EnableUser { user } => (*user, "made active"),
                ScimCall::UpdateUser { user, .. } => (*user, "changed"),
                _ => return None,
            };
            (!case.spec.released.contains(&user)).then(|| (user, format!("{what} after {}", stage.after)))
        };
        let stages: Vec<_> = foresee(&facts).into_iter().filter(|stage| stage.after != STAGE_NOW).collect();
        let all = stages.iter().flat_map(|stage| stage.calls.iter().filter_map(|call| said(stage, call)));
        let mut one_by_one: Vec<_> = all.collect();
        one_by_one.sort_by_key(|(user, _)| *user);
        assert_eq!(harm(&facts), one_by_one, "seed {seed}");
        harmed += one_by_one.len();
        calm += usize::from(one_by_one.is_empty());
    }
    assert!(harmed > 400 && calm > 40, "{harmed} harmed, {calm} companies without");
}
