//! The whole way: what is left of each step at every stage, and what the engine would send.

use std::time::Duration;

use unscim::judge::roadmap::{Roadmap, by_name, roadmap};
use unscim::judge::steps_left::StepLeft;
use unscim::model::action::Action;
use unscim::model::baseline::AtTarget;
use unscim::model::id::AssignmentId;
use unscim::model::memory::{Departure, DepartureKind, Streak};
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::{DirectoryUser, Principal, ProbeVerdict};
use unscim::model::spec::{Afterwards, MembersDecision, RevocationBy, Rollout};

use crate::support::*;

fn of(case: &Case) -> Roadmap {
    let approved = case.approve();
    roadmap(&case.facts(), approved.actions()).expect("there is a baseline")
}

fn figures(case: &Case) -> Vec<(u64, u64)> {
    of(case).steps.iter().map(|step| (step.writes, step.cycles)).collect()
}

fn left_of(case: &Case, step: usize) -> StepLeft {
    of(case).steps.swap_remove(step - 1)
}

fn left(case: &Case, step: usize) -> Vec<String> {
    left_of(case, step).left
}

/// By how many whole minutes a step puts off the end.
fn takes(case: &Case, step: usize) -> u64 {
    left_of(case, step).takes.as_secs() / 60
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// Cycles begin forty minutes apart, one of them at this minute.
fn cycle_at(case: &mut Case, minute: i64) {
    case.job().last.as_mut().unwrap().began = at(minute - 40);
}

/// A removal at minute 590 of whoever this is; the canary is under roadmap.
fn removed(case: &mut Case, pairs: &[(u128, u128)]) {
    for (g, u) in pairs {
        case.leave(*g, *u);
        case.confirmed(&Action::RemoveMember { group: group(*g), user: user(*u) }, 590);
    }
}

#[test]
fn every_stage_says_what_is_left_in_writes_and_cycles() {
    assert_eq!(figures(&Case::untouched()), [(4, 1), (4, 2), (2, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::assigned()), [(0, 0), (4, 2), (2, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::emptied()), [(0, 0), (0, 0), (2, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::unassigned()), [(0, 0), (0, 0), (0, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::cycled()), [(0, 0); 5]);
    let done = of(&Case::retired());
    assert!(done.writes == 0 && done.earliest == at(NOW) && done.steps.iter().all(|step| step.left.is_empty()), "{done:#?}");
}

#[test]
fn the_soonest_end_counts_the_quota_the_cycles_and_the_waits() {
    let whole = of(&Case::untouched());
    // Cycles begin at 620, 660 …: one of them for the assignments, the canary, the removals each, two at the end.
    assert_eq!(whole.earliest.duration_since(at(0)).as_mins(), 787);
    let takes: std::time::Duration = whole.steps.iter().map(|step| step.takes).sum();
    assert_eq!(whole.earliest, unscim::model::moment::later(at(NOW), takes));
    let mut slow = Case::untouched();
    slow.spec.limits.write_share = unscim::model::spec::Percent(1);
    let writing = |roadmap: &Roadmap| roadmap.steps.iter().map(|step| step.writing.as_secs_f64()).sum::<f64>();
    // 10 writes at 10 or at 0.2 per second.
    assert!((writing(&whole) - 1.0).abs() < 0.01 && (writing(&of(&slow)) - 50.0).abs() < 0.01);
    let mut slow = Case::emptied();
    slow.spec.limits.write_share = unscim::model::spec::Percent(1);
    slow.spec.provisioning.verify_cycles = 0;
    let more = of(&slow).steps[2].takes - of(&Case::emptied()).steps[2].takes;
    assert!((9.0..10.0).contains(&more.as_secs_f64()), "{more:?}");
}

#[test]
fn what_entra_would_send_deletes_groups_and_touches_no_user() {
    let calls = of(&Case::untouched()).calls;
    let words: Vec<(&str, usize)> = calls.iter().map(|stage| (stage.after, stage.calls.len())).collect();
    assert_eq!(words, [("what is so now", 0), ("step 1", 0), ("step 2", 2), ("step 3", 2)]);
    assert!(calls[3].calls.iter().all(|call| call.starts_with("delete group")), "{calls:#?}");
    let mut kept = Case::untouched();
    kept.spec.groups.list[0].members = Some(MembersDecision::Keep);
    assert_eq!(of(&kept).calls[2].calls.len(), 1, "the members of group 1 go with it");
}

#[test]
fn what_is_left_is_said_in_words_and_figures() {
    let none: [&str; 0] = [];
    assert_eq!(left(&Case::untouched(), 1), ["4 direct assignments for 3 users"]);
    assert_eq!(left(&Case::untouched(), 2), ["4 memberships out of 2 groups"]);
    assert_eq!(left(&Case::untouched(), 3), ["2 assignments of 2 groups"]);
    let rounds = "two agreeing rounds over the target: groups gone, everybody kept";
    assert_eq!(left(&Case::untouched(), 4), ["2 good cycles after the groups are gone", rounds]);
    assert_eq!(left(&Case::untouched(), 5), ["a person deletes the token", "3 rejections of the token in a row"]);
    assert_eq!(left(&Case::assigned(), 1), none);
    assert_eq!((left(&Case::emptied(), 2), left(&Case::unassigned(), 3)), (vec![], vec![]));
    assert_eq!(left(&Case::cycled(), 4), none);

    let mut case = Case::assigned();
    case.memory.remembered.cycles.clear();
    case.in_sight(3, 2, NOW - 1);
    assert_eq!(left(&case, 1), ["3 users assigned, and not settled yet"]);
    case.profile(1).licensed = true;
    assert_eq!(left(&case, 2), ["2 memberships out of 1 group", "1 group on which a person must decide"]);
    let mut case = Case::emptied();
    case.memory.remembered.empty.remove(&group(1));
    assert_eq!(left(&case, 2), ["1 group empty, and not believed or carried out yet"]);
    let mut case = Case::unassigned();
    case.memory.remembered.unassigned_at.remove(&group(1));
    assert_eq!(left(&case, 3), ["3 agreeing reads without an assignment of 1 group"]);
    let mut case = Case::unassigned();
    case.spec.provisioning.verify_cycles = 0;
    assert_eq!(left(&case, 4), [rounds]);

    let mut case = Case::cycled();
    case.spec.provisioning.afterwards = Afterwards::Pause;
    case.spec.target.revocation.by = RevocationBy::Webhook;
    assert_eq!(left(&case, 5), ["the job is paused", "the webhook is called", "3 rejections of the token in a row"]);
    assert_eq!((left_of(&case, 5).writes, left_of(&Case::cycled(), 5).writes), (1, 0));
}

#[test]
fn a_row_of_a_users_own_is_owed_to_whom_the_operator_has_not_released() {
    let mut case = Case::untouched();
    case.spec.released.insert(user(2));
    let one = left_of(&case, 1);
    assert_eq!((one.writes, one.cycles, one.left), (2, 1, vec!["2 direct assignments for 2 users".to_owned()]));
    // A group that somebody assigns again after the retirement waits for no cycle: no engine runs any more.
    let mut case = Case::retired();
    case.unrow(Principal::User(user(1)));
    assert_eq!(left_of(&case, 1).writes, 0, "taken away by somebody afterwards: not given back");
    case.assign_group(1, 1);
    assert_eq!(left_of(&case, 1).writes, 0, "nor by a group in which they are not");
    case.members(1).insert(user(1));
    assert_eq!((left_of(&case, 1).writes, left_of(&case, 1).cycles), (1, 0));
}

#[test]
fn what_has_just_been_assigned_waits_for_the_rest_of_its_time_in_sight() {
    let mut case = Case::assigned();
    case.spec.provisioning.settle_cycles = 0;
    assert_eq!(takes(&case, 1), 0);
    case.in_sight(3, 2, NOW - 2);
    case.in_sight(2, 2, NOW - 1);
    assert_eq!(takes(&case, 1), 4, "the one who came last");
    case.unrow(Principal::User(user(1)));
    assert_eq!(takes(&case, 1), 5, "a row that is still to be made waits for all of it");
    // One cycle that begins at 605 is late enough for rows that were made ten minutes before, not for those to come.
    let mut case = Case::assigned();
    case.memory.remembered.cycles.clear();
    cycle_at(&mut case, 605);
    assert_eq!((left_of(&case, 1).cycles, takes(&case, 1)), (1, 5));
    case.unrow(Principal::User(user(1)));
    assert_eq!((left_of(&case, 1).cycles, takes(&case, 1)), (1, 45));
    // The cycle that may be awaited is the next one after the last of our own rows.
    let mut case = Case::assigned();
    case.memory.remembered.cycles.clear();
    case.confirmed(&Action::AssignUser { user: user(3), role: role(2) }, 598);
    cycle_at(&mut case, 605);
    assert_eq!(takes(&case, 1), 45);
}

#[test]
fn the_canary_is_a_cycle_of_its_own_only_where_more_follows_it() {
    let kept = |case: &mut Case, g: usize| case.spec.groups.list[g - 1].members = Some(MembersDecision::Keep);
    let cycles = |case: &Case| left_of(case, 2).cycles;
    let mut case = Case::assigned();
    assert_eq!(cycles(&case), 2);
    kept(&mut case, 2);
    assert_eq!(cycles(&case), 2);
    case.leave(1, 1);
    assert_eq!(cycles(&case), 1, "it is all that goes");
    case.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, 590);
    assert_eq!(cycles(&case), 2, "it went, and another one follows");
    kept(&mut case, 1);
    assert_eq!(cycles(&case), 0);
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::AllAtOnce;
    assert_eq!(cycles(&case), 1);
    let mut case = Case::assigned();
    removed(&mut case, &[(1, 1), (1, 2), (2, 2), (2, 3)]);
    assert_eq!(cycles(&case), 1, "no more follows");
}

#[test]
fn the_canarys_cycle_is_the_next_one_that_begins_the_margin_after_it() {
    let mut case = Case::assigned();
    removed(&mut case, &[(1, 1)]);
    cycle_at(&mut case, 605);
    // At 605 the canary's, at 645 that of the others.
    assert_eq!((left_of(&case, 2).cycles, takes(&case, 2)), (2, 45));
    // Its cycle has come; the look at the target may follow at once.
    case.cycle(601);
    case.target().turn -= 1;
    assert_eq!((left_of(&case, 2).cycles, takes(&case, 2)), (1, 45));
}

#[test]
fn a_cycle_carries_out_what_was_done_the_margin_before_it_and_nothing_later() {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::AllAtOnce;
    cycle_at(&mut case, 605);
    assert_eq!(takes(&case, 2), 45, "the removals are still to come");
    removed(&mut case, &[(1, 1), (1, 2), (2, 2), (2, 3)]);
    assert_eq!(takes(&case, 2), 5, "they were made at 590");
    // One that runs now may be the one, and then counts from its beginning.
    let mut case = Case::unassigned();
    case.spec.provisioning.verify_cycles = 1;
    case.spec.target.read_interval = Duration::ZERO;
    assert_eq!(takes(&case, 4), 20);
    case.job().last.as_mut().unwrap().ended = None;
    assert_eq!(takes(&case, 4), 0);
    case.job().last = None;
    assert_eq!(takes(&case, 4), 0);
    // Entra's own interval, where the job says none.
    case.spec.provisioning.verify_cycles = 2;
    case.job().interval = None;
    assert_eq!(takes(&case, 4), 40);
}

#[test]
fn an_absence_takes_the_looks_that_it_still_lacks() {
    let mut case = Case::emptied();
    case.spec.timing.interval = minutes(10);
    assert_eq!(takes(&case, 3), 20, "three looks");
    case.spec.timing.settle = minutes(25);
    assert_eq!(takes(&case, 3), 25);
    let mut case = Case::unassigned();
    (case.spec.timing.interval, case.spec.timing.settle) = (minutes(10), minutes(25));
    assert_eq!(takes(&case, 3), 0);
    let streak = |case: &mut Case, since, looks| {
        case.memory.remembered.unassigned_at.remove(&group(1));
        case.memory.remembered.unassigned.insert(group(1), Streak { since: at(since), last: at(NOW), looks });
    };
    streak(&mut case, NOW - 20, 1);
    assert_eq!(takes(&case, 3), 20, "two looks more");
    streak(&mut case, NOW - 2, 3);
    assert_eq!(takes(&case, 3), 23, "the rest of the time");
    let mut case = Case::emptied();
    case.spec.provisioning.settle_cycles = 0;
    case.memory.remembered.empty.insert(group(1), Streak { since: at(NOW - 2), last: at(NOW), looks: 3 });
    assert_eq!((takes(&case, 2), left_of(&case, 2).cycles), (3, 0));
    case.memory.remembered.empty.remove(&group(1));
    assert_eq!(takes(&case, 2), 5);
}

#[test]
fn the_target_and_the_token_take_what_is_left_of_their_own_intervals() {
    let mut case = Case::unassigned();
    case.cycle(240);
    case.cycle(280);
    case.target().at = moment(NOW - 2);
    assert_eq!((left_of(&case, 4).cycles, takes(&case, 4)), (0, 5), "the second round follows the first one");
    case.memory.remembered.clean_rounds = vec![50];
    assert_eq!(takes(&case, 4), 3);
    case.memory.remembered.cycles.pop();
    assert_eq!((left_of(&case, 4).cycles, takes(&case, 4)), (1, 25), "a round before the cycle is none");

    let mut case = Case::cycled();
    case.spec.target.revocation.confirm_every = minutes(10);
    assert_eq!(takes(&case, 5), 20, "the first rejection may be seen at once");
    case.memory.remembered.probed_at = Some(at(NOW - 4));
    assert_eq!(takes(&case, 5), 20);
    case.memory.remembered.rejections = vec![probe(ProbeVerdict::Rejected)];
    assert_eq!(takes(&case, 5), 16);
    case.memory.remembered.rejections.push(probe(ProbeVerdict::Rejected));
    assert_eq!(takes(&case, 5), 6);
    assert_eq!(left_of(&case, 5).left, ["3 rejections of the token in a row, 2 so far"], "a person has deleted it");
}

#[test]
fn each_wave_has_cycles_of_its_own() {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::Waves(vec![vec![group(2)], vec![group(1)]]);
    let cycles = |case: &Case| (left_of(case, 2).cycles, left_of(case, 4).cycles);
    assert_eq!(cycles(&case), (3, 4), "the canary, and one for each wave; two for each wave");
    case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    assert_eq!(cycles(&case), (2, 4), "nobody leaves group 1");
    // The first wave is gone, and one of its two cycles has come; the second one has still to begin.
    let mut case = Case::unassigned();
    case.spec.rollout = Rollout::Waves(vec![vec![group(2)], vec![group(1)]]);
    case.assign_group(1, 1);
    case.memory.remembered.unassigned_at.remove(&group(1));
    case.cycle(240);
    assert_eq!(cycles(&case), (0, 3));
    case.cycle(280);
    case.groups_gone();
    assert_eq!(cycles(&case), (0, 2));
}

#[test]
fn users_and_groups_are_told_apart() {
    let mut case = Case::assigned();
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    let sample = baseline.users[&user(3)].clone();
    for u in 4..=6 {
        baseline.users.insert(user(u), sample.clone());
    }
    baseline.users.get_mut(&user(4)).unwrap().target = AtTarget::NoRecord;
    baseline.users.get_mut(&user(5)).unwrap().target.record_mut().unwrap().active = Some(false);
    baseline.users.get_mut(&user(6)).unwrap().target.record_mut().unwrap().active = None;
    let mut known = |u: u128, enabled: Option<bool>, guest: bool| {
        let person = DirectoryUser { id: user(u), user_principal_name: None, match_value: None, enabled, guest };
        case.seen.users.insert(user(u), Observed::Known(person));
    };
    known(2, Some(true), false);
    known(3, Some(false), true);
    known(4, None, true);
    known(5, Some(true), false);
    known(6, Some(true), false);
    case.seen.users.insert(user(1), Observed::Absent);
    case.assign(5, 2, 10);
    let streak = Streak { since: at(10), last: at(NOW), looks: 9 };
    case.memory.remembered.departed.insert(user(5), Departure { kind: DepartureKind::Left, streak });
    case.unrow(Principal::User(user(3)));
    case.spec.released.insert(user(3));
    let users = of(&case).users;
    assert_eq!((users.protected, users.enabled, users.disabled, users.guests, users.deleted), (6, 3, 1, 2, 1));
    assert_eq!((users.in_several_groups, users.with_several_roles, users.already_direct), (1, 1, 2));
    assert_eq!((users.unknown_at_target, users.inactive_at_target_from_the_start, users.released), (1, 2, 1));
}

#[test]
fn each_group_says_what_becomes_of_it() {
    let mut case = Case::assigned();
    let of = |case: &Case, g: usize| of(case).groups.swap_remove(g - 1);
    let one = of(&case, 1);
    assert_eq!((one.id, one.name.as_str(), one.roles, one.assigned), (group(1), "Group 1", vec![role(1)], true));
    assert_eq!((one.users, one.user_ids, one.members), (Some(2), Some(vec![user(1), user(2)]), "Remove"));
    assert_eq!((one.uses, one.why), (vec![], None));
    case.profile(1).licensed = true;
    case.profile(2).dynamic = true;
    let (one, two) = (of(&case, 1), of(&case, 2));
    assert_eq!((one.members, two.members), ("Undecided", "Undecided"));
    assert_eq!(one.uses, ["licences are assigned through it", "emptying it takes that from 2 users"]);
    assert!(two.why.unwrap().contains("Keep") && two.uses.is_empty());
    case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    let one = of(&case, 1);
    assert_eq!((one.members, one.why, one.uses), ("Keep", None, vec!["licences are assigned through it".to_owned()]));
    let Listed::Known(members) = &mut case.seen.groups.get_mut(&group(1)).unwrap().members else { panic!() };
    members.value.others.push(("device".into(), uuid::Uuid::from_u128(9)));
    assert!(of(&case, 1).uses[1].starts_with("1 member is not a user and not removed"));
    let mut case = Case::assigned();
    case.members(1).clear();
    case.seen.groups.get_mut(&group(2)).unwrap().members = Listed::Unknown(failed("transient"));
    let (one, two) = (of(&case, 1), of(&case, 2));
    assert_eq!((one.members, one.users, two.members, two.users), ("Empty", Some(0), "Unknown", None));
    assert!(one.why.is_none() && two.why.unwrap().contains("members could not be read"));
    let done = of(&Case::unassigned(), 1);
    assert_eq!((done.assigned, done.members, done.why), (false, "Done", None));
}

#[test]
fn an_action_is_told_by_the_names_of_its_user_group_and_role() {
    let case = Case::assigned();
    let (user, group, role) = (user(2), group(2), role(2));
    let (u, g) = (format!("user2@contoso.example ({user})"), format!("\"Group 2\" ({group})"));
    let r = format!("\"Role 2\" ({role})");
    let assignment = AssignmentId::from("row");
    let job = unscim::model::id::JobId("scim.job".into());
    let stranger = unscim::model::id::AppRoleId(uuid::Uuid::from_u128(9));
    for (action, words) in [
        (Action::AssignUser { user, role }, format!("assign {u} with role {r}")),
        (Action::AssignUser { user, role: stranger }, format!("assign {u} with role {stranger}")),
        (Action::RemoveMember { group, user }, format!("remove {u} from group {g}")),
        (Action::UnassignGroup { group, assignment: assignment.clone().into(), role }, format!("unassign group {g}, role {r}")),
        (Action::RestoreAssignment { group, role }, format!("assign group {g} again, role {r}")),
        (Action::RestoreMember { group, user }, format!("put {u} back into group {g}")),
        (
            Action::RemoveDirect { user, assignment: assignment.into(), role },
            format!("take back the assignment of {u}, role {r}"),
        ),
        (Action::PauseJob { job }, "pause job scim.job".into()),
        (Action::RequestRevocation, "ask for the deletion of the SCIM token".into()),
    ] {
        assert_eq!(by_name(&case.facts(), &action), words);
    }
    assert_eq!(
        of(&case).now,
        [format!(
            "remove user1@contoso.example ({}) from group \"Group 1\" ({})",
            super::support::user(1),
            super::support::group(1)
        )]
    );
    let written = serde_json::to_value(of(&Case::untouched())).unwrap();
    assert_eq!((&written["steps"][1]["writing"], &written["steps"][1]["takes"]), (&"0s".into(), &"1h 20m".into()));
}

#[test]
fn what_hangs_on_a_group_is_told_once() {
    let mut case = Case::assigned();
    case.profile(1).licensed = true;
    case.profile(2).dynamic = true;
    let groups = of(&case).groups;
    assert_eq!(groups[0].user_ids, Some(vec![user(1), user(2)]));
    assert_eq!((groups[0].members, groups[1].members), ("Undecided", "Undecided"));
    assert!(groups[0].uses.iter().any(|what| what.contains("licences")) && groups[1].why.as_ref().unwrap().contains("Keep"));
    let about = groups[0].about();
    for what in ["licences are assigned through it", "emptying it takes that from 2 users", "set members: Remove"] {
        assert_eq!(about.matches(what).count(), 1, "{about}");
    }
    assert!(!groups[0].uses.is_empty(), "the JSON has both");
    case.spec.groups.list[0].members = Some(MembersDecision::Remove);
    let groups = of(&case).groups;
    assert_eq!((groups[0].members, groups[0].about().matches("licences").count()), ("Remove", 1));
}
