//! Met, act, wait, refuse, for each of the five steps.

use crate::support::*;
use unscim::judge::preflight;
use unscim::judge::step::Verdict;
use unscim::judge::steps_left::steps_left;
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::id::ScimId;
use unscim::model::memory::{Departure, DepartureKind, Streak};
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::{JobCode, Principal, ProbeVerdict, Quarantine, ScheduleState, ScimGroup};
use unscim::model::spec::{
    Acknowledgement, Afterwards, EmptyGroups, GroupEntry, MembersDecision, RevocationBy, Rollout, Webhook,
};

fn remove(g: u128, u: u128) -> Action {
    Action::RemoveMember { group: group(g), user: user(u) }
}

#[test]
fn assign_gives_everybody_each_role_of_their_groups() {
    let mut case = Case::untouched();
    let wanted = acts(&case.judge(1), Reason::AssignmentsMissing);
    let assign = |u, r| Action::AssignUser { user: user(u), role: role(r) };
    assert_eq!(wanted, [assign(1, 1), assign(2, 1), assign(2, 2), assign(3, 2)]);
    for (u, r) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
        case.assign(u, r, 599);
    }
    waits(&case.judge(1), Reason::Settling, "3 users");
    met(&Case::assigned().judge(1), Reason::AllAssigned);
}

#[test]
fn assign_gives_the_mapped_role_where_the_spec_names_one() {
    let mut case = Case::untouched();
    case.spec.roles.insert(role(1), role(7));
    assert!(
        case.refusals().iter().any(|why| why.contains("take it out of spec.roles")),
        "they may hold it: {:?}",
        case.refusals()
    );
    let wanted = acts(&case.judge(1), Reason::AssignmentsMissing);
    assert!(wanted.contains(&Action::AssignUser { user: user(1), role: role(7) }) && wanted.len() == 4);
    case.spec.roles.insert(role(2), role(9));
    assert!(case.refusals().iter().any(|why| why.contains("spec.roles")), "{:?}", case.refusals());
}

#[test]
fn assign_waits_for_two_looks_a_cycle_and_for_lists_that_lag() {
    let mut case = Case::assigned();
    case.in_sight(1, 1, NOW - 4);
    waits(&case.judge(1), Reason::Settling, "1 user covered");
    let mut case = Case::assigned();
    case.memory.remembered.cycles.clear();
    case.cycle(19);
    waits(&case.judge(1), Reason::AwaitingSettleCycle, "for 3 users");
    case.cycle(21);
    met(&case.judge(1), Reason::AllAssigned);
    let mut case = Case::assigned();
    case.unrow(Principal::User(user(1)));
    case.confirmed(&Action::AssignUser { user: user(1), role: role(1) }, NOW - 1);
    waits(&case.judge(1), Reason::AwaitingReplication, "1 direct assignment");
    // Longer where no cycle comes before that, and a minute where one is due.
    case.confirmed(&Action::AssignUser { user: user(1), role: role(1) }, NOW - 2);
    case.job().interval = Some(std::time::Duration::from_secs(10_000 * 60));
    waits(&case.judge(1), Reason::AwaitingReplication, "1 direct assignment");
    case.job().interval = Some(std::time::Duration::from_secs(60));
    assert_eq!(acts(&case.judge(1), Reason::AssignmentsMissing), [Action::AssignUser { user: user(1), role: role(1) }]);
    let mut case = Case::untouched();
    case.seen.assignments = Listed::Unknown(failed("transient"));
    waits(&case.judge(1), Reason::LookFailed, "the service is down");
}

#[test]
fn assign_asks_for_whoever_is_released_without_an_assignment_and_still_in_a_group() {
    let mut case = Case::assigned();
    case.spec.released.insert(user(1));
    case.unrow(Principal::User(user(1)));
    let Verdict::Refuse { reason: Reason::ReleasedUncovered, why } = case.judge(1) else { panic!("{:?}", case.judge(1)) };
    let role = case.facts().role_name(role(1));
    assert!(why[0].contains("is released, lacks a direct assignment") && why[0].contains(&role), "{why:?}");
    assert!(role.starts_with("role \"") && !role.contains("00000000"), "a role that the app has is told by its name: {role}");
    case.members(1).remove(&user(1));
    met(&case.judge(1), Reason::AllAssigned);
}

#[test]
fn assign_owes_nothing_to_who_is_gone_and_waits_for_nobody_who_is_disabled() {
    let mut case = Case::untouched();
    let streak = Streak { since: at(500), last: at(NOW), looks: 3 };
    for (u, kind) in [(1, DepartureKind::Deleted), (2, DepartureKind::Left)] {
        case.memory.remembered.departed.insert(user(u), Departure { kind, streak });
    }
    assert_eq!(acts(&case.judge(1), Reason::AssignmentsMissing), [Action::AssignUser { user: user(3), role: role(2) }]);
    let short = Streak { looks: 2, ..streak };
    case.memory.remembered.departed.insert(user(1), Departure { kind: DepartureKind::Deleted, streak: short });
    assert_eq!(acts(&case.judge(1), Reason::AssignmentsMissing).len(), 2, "two looks are not three");
}

#[test]
fn assign_restores_after_the_retirement_only_what_a_group_still_gives() {
    let mut case = Case::retired();
    met(&case.judge(1), Reason::AllAssigned);
    assert!(format!("{:?}", case.judge(1)).contains("all 3 protected users hold their roles themselves\""));
    case.unrow(Principal::User(user(1)));
    let verdict = case.judge(1);
    met(&verdict, Reason::AllAssigned);
    let told = "2 of 3 protected users hold their roles themselves; taken away by others after the retirement, and not given back: of user1@";
    assert!(format!("{verdict:?}").contains(told), "{verdict:?}");
    let mut released = Case::retired();
    released.unrow(Principal::User(user(1)));
    released.spec.released.insert(user(1));
    assert!(
        format!("{:?}", released.judge(1))
            .contains("2 of 3 protected users hold their roles themselves; 1 released, without them")
    );
    // A group of theirs that is assigned again brings them into scope: they are to be covered before it goes.
    case.assign_group(1, 1);
    case.members(1).insert(user(1));
    assert_eq!(acts(&case.judge(1), Reason::AssignmentsMissing), [Action::AssignUser { user: user(1), role: role(1) }]);
    // Another group's is none of theirs.
    case.unrow(Principal::Group(group(1)));
    case.assign_group(2, 2);
    met(&case.judge(1), Reason::AllAssigned);
    // Nor does one that they join later bring back what another has given them: only its own.
    case.members(2).insert(user(1));
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    baseline.users.get_mut(&user(1)).unwrap().groups.insert(group(2));
    case.again(NOW + 1);
    assert_eq!(acts(&case.judge(1), Reason::AssignmentsMissing), [Action::AssignUser { user: user(1), role: role(2) }]);
    case.assign(1, 2, NOW + 2);
    for n in [3, 30, 60] {
        case.again(NOW + n);
    }
    let verdict = case.judge(1);
    met(&verdict, Reason::AllAssigned);
    assert!(
        format!("{verdict:?}").contains("2 of 3 protected users hold their roles themselves; taken away by others"),
        "{verdict:?}"
    );
    assert!(case.memory.remembered.offboarded.contains(&user(1)));
}

#[test]
fn assign_counts_nobody_who_is_gone_among_those_who_hold_their_roles() {
    let mut case = Case::cycled();
    let streak = Streak { since: at(500), last: at(NOW), looks: 3 };
    for (u, kind) in [(1, DepartureKind::Left), (2, DepartureKind::Deleted)] {
        case.unrow(Principal::User(user(u)));
        case.memory.remembered.departed.insert(user(u), Departure { kind, streak });
    }
    let verdict = case.judge(1);
    met(&verdict, Reason::AllAssigned);
    let told = "1 of 3 protected users hold their roles themselves; 2 gone from Entra, or from every managed group";
    assert!(format!("{verdict:?}").contains(told), "{verdict:?}");
    case.spec.released.insert(user(1));
    let told = "1 of 3 protected users hold their roles themselves; 1 released, without them; 1 gone";
    assert!(format!("{:?}", case.judge(1)).contains(told), "{:?}", case.judge(1));
}

#[test]
fn assign_names_whom_it_is_about() {
    let case = Case::untouched();
    let Verdict::Act { why, .. } = case.judge(1) else { panic!() };
    assert!(why.starts_with("4 direct assignments still missing for user1@contoso.example ("), "{why}");
    assert_eq!(why.matches("user2@contoso.example").count(), 1, "{why}");
}

#[test]
fn empty_takes_one_user_first_and_the_rest_after_a_cycle_and_a_look() {
    let mut case = Case::assigned();
    let first = acts(&case.judge(2), Reason::MembersRemain);
    assert_eq!(first, [remove(1, 1)]);
    case.confirmed(&first[0], 100);
    case.leave(1, 1);
    waits(&case.judge(2), Reason::CanaryRunning, "a good cycle");
    case.cycle(109);
    waits(&case.judge(2), Reason::CanaryRunning, "a good cycle");
    case.cycle(111);
    case.target().turn -= 1;
    waits(&case.judge(2), Reason::VerifyingTarget, "a read of the target after the good cycle that followed the first removal");
    case.target().turn += 1;
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(1, 2), remove(2, 2), remove(2, 3)]);
    // What went after it went after that read, which another process has made.
    let mut later = case;
    later.confirmed(&remove(2, 2), 120);
    later.leave(2, 2);
    later.memory.target = None;
    waits(
        &later.judge(2),
        Reason::VerifyingTarget,
        "which this process has not read yet; what the first removal did was seen before",
    );
    let mut all = Case::assigned();
    all.spec.rollout = Rollout::AllAtOnce;
    assert_eq!(acts(&all.judge(2), Reason::MembersRemain).len(), 4);
}

#[test]
fn begun_anew_after_a_rollback_one_user_goes_first_though_somebody_was_not_put_back() {
    let mut case = Case::assigned();
    case.leave(2, 3);
    case.confirmed(&remove(2, 3), 80);
    case.cycle(100);
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain).len(), 3, "one retirement goes on");
    case.memory.remembered.begun_anew = Some(at(80));
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(2, 2)], "dated as the removal is, to the second");
    case.memory.remembered.begun_anew = Some(at(120));
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(2, 2)]);
    let cycles = |case: &Case| steps_left(&case.facts()).unwrap()[1].cycles;
    assert_eq!(cycles(&case), 2, "the first one's, and that of the others");

    case.leave(2, 2);
    case.confirmed(&remove(2, 2), 130);
    waits(&case.judge(2), Reason::CanaryRunning, "a good cycle");
    case.cycle(141);
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(1, 1), remove(1, 2)]);
}

#[test]
fn who_was_removed_before_a_rollback_and_again_since_counts_from_then() {
    let mut case = Case::assigned();
    case.confirmed(&remove(2, 3), 80);
    case.memory.remembered.begun_anew = Some(at(120));
    case.journal().entries.get_mut(&remove(2, 3).key()).unwrap().begin(2, at(130));
    waits(&case.judge(2), Reason::AwaitingOutcome, "the outcome of the first removal");
    case.leave(2, 3);
    case.confirmed(&remove(2, 3), 130);
    case.cycle(139);
    waits(&case.judge(2), Reason::CanaryRunning, "a good cycle");
    case.cycle(141);
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain).len(), 3);
}

#[test]
fn a_list_that_no_longer_is_the_baseline_is_noted() {
    let mut case = Case::assigned();
    let notes = |case: &Case| preflight::check(&case.facts()).notes.join("\n");
    assert!(!notes(&case).contains("groups.list"), "{}", notes(&case));
    case.spec.groups.list.retain(|entry| entry.id != group(1));
    case.spec.groups.list.push(GroupEntry { id: group(7), members: None });
    let noted = notes(&case);
    assert!(noted.contains("are not in the baseline") && noted.contains(&group(7).to_string()), "{noted}");
    assert!(noted.contains("taken off groups.list") && noted.contains("keep their members"), "{noted}");
}

#[test]
fn empty_asks_for_a_decision_while_the_canary_runs() {
    let mut case = Case::assigned();
    case.profile(2).dynamic = true;
    case.confirmed(&remove(1, 1), 100);
    case.leave(1, 1);
    let verdict = case.judge(2);
    assert!(acts(&verdict, Reason::CanaryRunning).is_empty());
    assert!(
        matches!(&verdict, Verdict::Act { refused, .. } if refused.iter().any(|why| why.contains("dynamic"))),
        "{verdict:#?}"
    );
}

#[test]
fn a_first_removal_that_has_failed_is_tried_again_and_one_that_is_open_is_waited_for() {
    let mut case = Case::assigned();
    let entry = case.journal().entries.entry(remove(1, 1).key()).or_default();
    entry.begin(1, at(100));
    entry.close();
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(1, 1)]);
    case.journal().entries.get_mut(&remove(1, 1).key()).unwrap().begin(2, at(110));
    waits(&case.judge(2), Reason::AwaitingOutcome, "the outcome of the first removal");
}

#[test]
fn unassign_waits_for_rows_that_graph_confirmed_as_deleted_to_leave_its_lists() {
    let mut case = Case::emptied();
    for (g, rows) in [(1, "1 assignment that"), (2, "2 assignments that")] {
        let assignment = unscim::model::id::AssignmentId::from("row");
        case.confirmed(&Action::UnassignGroup { group: group(g), assignment: assignment.into(), role: role(g) }, NOW - 1);
        if g == 1 {
            case.unrow(Principal::Group(group(2)));
        } else {
            case.assign_group(2, 2);
        }
        waits(&case.judge(3), Reason::AwaitingReplication, rows);
    }
    // One that was made after the deletion is another, and no replica's.
    let made = |case: &mut Case, at: Option<jiff::Timestamp>| {
        let of_group = |row: &&mut unscim::model::snapshot::Assignment| row.principal == Principal::Group(group(1));
        case.rows().iter_mut().filter(of_group).for_each(|row| row.created = at);
    };
    made(&mut case, Some(at(NOW - 1)));
    waits(&case.judge(3), Reason::AwaitingReplication, "2 assignments that");
    made(&mut case, None);
    waits(&case.judge(3), Reason::AwaitingReplication, "2 assignments that");
    made(&mut case, Some(at(NOW)));
    let again = acts(&case.judge(3), Reason::RowsRemain);
    assert!(matches!(&again[..], [Action::UnassignGroup { group: id, .. }] if *id == group(1)), "{again:?}");
}

#[test]
fn empty_touches_no_group_in_which_somebody_is_not_settled() {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::AllAtOnce;
    case.in_sight(1, 1, NOW - 1);
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(2, 2), remove(2, 3)]);
}

#[test]
fn empty_waits_until_emptiness_is_believed_and_carried_out() {
    met(&Case::emptied().judge(2), Reason::AllEmptied);
    let mut case = Case::emptied();
    case.memory.remembered.empty.insert(group(1), Streak { since: at(110), last: at(NOW), looks: 2 });
    waits(&case.judge(2), Reason::ReadingAgain, "Group 1");
    let mut case = Case::emptied();
    case.memory.remembered.cycles.retain(|cycle| cycle.began < at(100));
    waits(&case.judge(2), Reason::AwaitingEmptyCycle, "Group 1");
    let mut case = Case::emptied();
    case.spec.provisioning.settle_cycles = 2;
    waits(&case.judge(2), Reason::AwaitingEmptyCycle, "Group 1");
    let mut case = Case::emptied();
    case.seen.groups.get_mut(&group(2)).unwrap().members = Listed::Unknown(failed("transient"));
    waits(&case.judge(2), Reason::GroupReadFailed, "Group 2");
}

#[test]
fn empty_asks_a_person_about_groups_that_serve_something_else() {
    type Change = fn(&mut Case);
    let cases: [(Change, &str); 12] = [
        (|case| case.profile(1).dynamic = true, "dynamic rule"),
        (|case| case.profile(1).synced = true, "on-premises"),
        (|case| case.profile(1).mail_enabled = true, "mail-enabled"),
        (|case| case.profile(1).management_restricted = true, "administrative unit"),
        (|case| case.profile(1).unified = true, "Microsoft 365"),
        (|case| case.profile(1).licensed = true, "licences"),
        (|case| case.profile(1).licensed = true, "emptying it takes that from 2 users"),
        (|case| case.seen.policies = Listed::Known(vec![policy(1)]), "policies name it: \"Ask for a second factor\""),
        (|case| case.profile(1).role_assignable = true, "directory roles"),
        (|case| case.spec.groups.acknowledge.clear(), "acknowledge: [UndiscoverableUses]"),
        (|case| case.uses(1).other_apps.push("Payroll".into()), "other applications: Payroll"),
        (|case| case.spec.groups.empty_groups = EmptyGroups::Never, "emptyGroups is Never"),
    ];
    for (change, words) in cases {
        let mut case = Case::assigned();
        change(&mut case);
        case.spec.groups.list[1].members = Some(MembersDecision::Keep);
        refuses(&case.judge(2), Reason::DecisionNeeded, words);
        case.spec.groups.list[0].members = Some(MembersDecision::Keep);
        met(&case.judge(2), Reason::AllEmptied);
    }
}

#[test]
fn empty_waits_where_a_look_at_conditional_access_failed_but_not_where_nobody_may_look() {
    let mut case = Case::assigned();
    case.seen.policies = Listed::Known(vec![policy(7)]);
    acts(&case.judge(2), Reason::MembersRemain);
    case.seen.policies = Listed::Unknown(Why::not_looked("Conditional Access"));
    acts(&case.judge(2), Reason::MembersRemain);
    case.seen.policies = Listed::Unknown(failed("transient"));
    waits(&case.judge(2), Reason::GroupReadFailed, "Conditional Access");
}

#[test]
fn unassign_deletes_the_rows_of_empty_groups_and_of_those_that_keep_their_members() {
    let rows = |case: &Case| -> Vec<_> {
        let of = |action: &Action| if let Action::UnassignGroup { group, .. } = action { *group } else { panic!("{action}") };
        acts(&case.judge(3), Reason::RowsRemain).iter().map(of).collect()
    };
    assert_eq!(rows(&Case::emptied()), [group(1), group(2)]);
    let mut kept = Case::assigned();
    kept.spec.rollout = Rollout::AllAtOnce;
    waits(&kept.judge(3), Reason::Blocked, "Group 1");
    kept.spec.groups.list[0].members = Some(MembersDecision::Keep);
    assert_eq!(rows(&kept), [group(1)]);
    kept.spec.rollout = Rollout::Canary;
    kept.spec.groups.list[1].members = Some(MembersDecision::Keep);
    assert_eq!(rows(&kept).len(), 1, "one group first");
}

#[test]
fn unassign_leaves_the_first_removal_to_one_user_and_takes_no_empty_group_for_a_proof() {
    // Group 2 keeps its members and could go at once, but group 1 has somebody to begin with.
    let mut case = Case::assigned();
    case.spec.groups.list[1].members = Some(MembersDecision::Keep);
    waits(&case.judge(3), Reason::Blocked, "one user from one group");
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain), [remove(1, 1)]);
    case.in_sight(1, 1, NOW - 1);
    waits(&case.judge(3), Reason::Blocked, "one user from one group");
    // The end of a group without anybody comes last, and proves nothing of the others.
    let mut case = Case::assigned();
    case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    case.spec.groups.list[1].members = Some(MembersDecision::Keep);
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    let empty = baseline.groups[&group(2)].clone();
    baseline.groups.insert(group(3), empty);
    case.spec.groups.list.push(GroupEntry { id: group(3), members: Some(MembersDecision::Keep) });
    let mut seen = case.seen.groups[&group(2)].clone();
    let Listed::Known(members) = &mut seen.members else { panic!() };
    members.value.users.clear();
    case.seen.groups.insert(group(3), seen);
    case.assign_group(3, 2);
    let first = acts(&case.judge(3), Reason::RowsRemain);
    assert!(matches!(first[..], [Action::UnassignGroup { group: first, .. }] if first != group(3)), "{first:?}");
    let row = case.rows().last().unwrap().id.clone();
    case.confirmed(&Action::UnassignGroup { group: group(3), assignment: row.into(), role: role(2) }, 100);
    case.unrow(Principal::Group(group(3)));
    case.cycle(140);
    assert_eq!(acts(&case.judge(3), Reason::RowsRemain).len(), 1, "still one group first");
}

#[test]
fn unassign_believes_an_absence_after_agreeing_looks_only() {
    met(&Case::unassigned().judge(3), Reason::AllUnassigned);
    let mut case = Case::unassigned();
    case.memory.remembered.unassigned_at.remove(&group(1));
    waits(&case.judge(3), Reason::ReadingAgain, "Group 1");
    let mut case = Case::unassigned();
    case.memory.remembered.members_closed.remove(&group(2));
    waits(&case.judge(3), Reason::ReadingAgain, "Group 2");
    let mut case = Case::unassigned();
    case.seen.assignments = Listed::Unknown(failed("transient"));
    waits(&case.judge(3), Reason::LookFailed, "the service is down");
}

#[test]
fn unassign_deletes_a_row_that_came_back_even_after_the_retirement_and_empties_nothing_then() {
    let mut case = Case::retired();
    case.assign_group(1, 1);
    case.members(1).insert(user(1));
    assert_eq!(acts(&case.judge(3), Reason::RowsRemain).len(), 1);
    met(&case.judge(2), Reason::AllEmptied);
}

#[test]
fn cycle_waits_for_cycles_after_the_last_row_then_for_the_target() {
    let mut case = Case::unassigned();
    waits(&case.judge(4), Reason::AwaitingCycle, "of which 0 ended well");
    case.cycle(209);
    waits(&case.judge(4), Reason::AwaitingCycle, "of which 0 ended well");
    case.cycle(211);
    waits(&case.judge(4), Reason::AwaitingCycle, "of which 1 ended well");
    case.cycle(251);
    waits(&case.judge(4), Reason::TargetGroupsRemain, "Group 1");
    case.groups_gone();
    waits(&case.judge(4), Reason::VerifyingTarget, "2 agreeing rounds");
    let turn = case.memory.remembered.turn;
    case.memory.remembered.clean_rounds = vec![turn, turn];
    waits(&case.judge(4), Reason::VerifyingTarget, "the proof to be written down");
    met(&Case::cycled().judge(4), Reason::CyclesVerified);
    // What Entra has left to be tried again stands in the proof, where no entry of the log tells whose it is.
    let last = |case: &mut Case| case.job().last.as_mut().unwrap().escrowed = Some(2);
    last(&mut case);
    let proof = unscim::judge::steps::cycle::prove(&case.facts()).unwrap();
    assert!(proof.log.contains("left 2 failures to be tried again (countEscrowed)"), "{}", proof.log);
}

/// A service that answers a 500 to whoever asks for a record that is not there.
#[test]
fn cycle_goes_by_the_list_of_groups_alone_only_where_the_operator_says_so() {
    let mut case = Case::unassigned();
    case.cycle(240);
    case.cycle(280);
    case.groups_gone();
    let answered = |case: &mut Case, kind: &str| {
        for seen in case.target().groups_by_id.values_mut() {
            *seen = Observed::Unknown(failed(kind));
        }
    };
    answered(&mut case, "refused");
    waits(&case.judge(4), Reason::VerifyingTarget, "groups.acknowledge: [GroupsByListOnly]");
    case.spec.groups.acknowledge.push(Acknowledgement::GroupsByListOnly);
    waits(&case.judge(4), Reason::VerifyingTarget, "2 agreeing rounds");
    // What only failed for now is read again, and what the list has is there.
    answered(&mut case, "timed-out");
    waits(&case.judge(4), Reason::VerifyingTarget, "could not be read by id: the service is down");
    answered(&mut case, "refused");
    // A list that may not be whole says nothing of what it lacks.
    case.target().may_lack_groups = true;
    waits(&case.judge(4), Reason::VerifyingTarget, "could not be read by id: the service is down");
    case.target().may_lack_groups = false;
    let group = ScimGroup { id: ScimId::from("anew"), display_name: None, external_id: Some(group(1).to_string()) };
    case.target().groups.insert(group.id.clone(), group);
    waits(&case.judge(4), Reason::TargetGroupsRemain, "Group 1");
}

#[test]
fn cycle_is_overdue_in_quarantine_or_not_active_and_says_so() {
    let mut case = Case::unassigned();
    case.spec.provisioning.cycle_timeout = std::time::Duration::from_secs(60);
    waits(&case.judge(4), Reason::CycleOverdue, "of which 0 ended well");
    case.spec.provisioning.cycle_timeout = std::time::Duration::from_secs(400 * 60);
    waits(&case.judge(4), Reason::AwaitingCycle, "of which 0 ended well");
    case.spec.provisioning.cycle_timeout = std::time::Duration::from_secs(400 * 60 - 1);
    waits(&case.judge(4), Reason::CycleOverdue, "of which 0 ended well");
    // A cycle may be late by its own interval.
    case.job().interval = Some(std::time::Duration::from_secs(200 * 60));
    waits(&case.judge(4), Reason::AwaitingCycle, "of which 0 ended well");
    let mut case = Case::unassigned();
    case.job().quarantine = Some(Quarantine { reason: "Escrow".into(), message: "too many".into() });
    refuses(&case.judge(4), Reason::JobQuarantined, "Escrow");
    let mut case = Case::unassigned();
    case.job().schedule = ScheduleState::Paused;
    refuses(&case.judge(4), Reason::JobNotActive, "paused");
    (case.job().schedule, case.job().code) = (ScheduleState::Active, JobCode::Paused);
    refuses(&case.judge(4), Reason::JobNotActive, "paused");
}

#[test]
fn cycle_refuses_a_lost_user_and_calls_nobody_lost_who_was_not_read() {
    let mut case = Case::unassigned();
    case.cycle(240);
    case.cycle(280);
    case.groups_gone();
    let mut lost = case;
    lost.target().users.get_mut(&scim(2)).unwrap().active = Some(false);
    refuses(&lost.judge(4), Reason::UsersLost, "user2@contoso.example");
    lost.target().users.remove(&scim(2));
    waits(&lost.judge(4), Reason::VerifyingTarget, "was not read");
    lost.target().users_by_id.insert(scim(2), Observed::Absent);
    refuses(&lost.judge(4), Reason::UsersLost, "gone from the target");
}

#[test]
fn revoke_asks_once_waits_for_the_proof_and_believes_nothing_less() {
    let mut case = Case::cycled();
    assert_eq!(acts(&case.judge(5), Reason::AwaitingOperator), [Action::RequestRevocation]);
    case.confirmed(&Action::RequestRevocation, NOW);
    waits(&case.judge(5), Reason::AwaitingOperator, "a person to delete the SCIM token");
    case.seen.probe = Some(probe(ProbeVerdict::Inconclusive));
    waits(&case.judge(5), Reason::ProbeInconclusive, "what was sent and heard");
    case.seen.probe = Some(probe(ProbeVerdict::Rejected));
    case.memory.remembered.rejections = vec![probe(ProbeVerdict::Rejected); 2];
    waits(&case.judge(5), Reason::Confirming, "2 so far");
    met(&Case::retired().judge(5), Reason::TokenRejected);
}

#[test]
fn cycle_needs_records_off_the_list_to_be_read_after_the_last_cycle_and_names_who_is_lost() {
    fn proven(change: impl FnOnce(&mut Case)) -> Result<unscim::model::memory::CycleProof, Verdict> {
        let mut case = Case::cycled();
        change(&mut case);
        unscim::judge::steps::cycle::prove(&case.facts())
    }
    assert!(proven(|_| {}).is_ok());
    let read_in = |case: &mut Case, before: u64| {
        let turn = case.memory.remembered.turn - before;
        case.target().read_before.insert(ScimId::from("u-8"), turn);
    };
    assert!(proven(|case| read_in(case, 0)).is_ok());
    waits(&proven(|case| read_in(case, 1)).unwrap_err(), Reason::VerifyingTarget, "to be read by id once more");
    let lost = proven(|case| case.target().users.get_mut(&scim(1)).unwrap().active = Some(false)).unwrap_err();
    let Verdict::Refuse { reason: Reason::UsersLost, why } = lost else { panic!("{lost:?}") };
    assert!(why.len() == 1 && why[0].contains("inactive"), "{why:?}");
}

#[test]
fn revoke_calls_a_webhook_that_has_accepted_no_more_and_counts_a_call_without_an_answer() {
    let hooked = || {
        let mut case = Case::cycled();
        case.spec.target.revocation.by = RevocationBy::Webhook;
        case.spec.target.revocation.webhook = Some(Webhook {
            url: "http://127.0.0.1:1/hook".parse().unwrap(),
            method: "POST".into(),
            header_files: [].into(),
            attempts: 5,
            within: std::time::Duration::from_secs(3600),
        });
        case
    };
    assert_eq!(acts(&hooked().judge(5), Reason::AwaitingOperator), [Action::RequestRevocation]);
    let mut accepted = hooked();
    accepted.confirmed(&Action::RequestRevocation, NOW - 500);
    waits(&accepted.judge(5), Reason::WebhookCalled, "the token to be refused after the webhook was called");
    accepted.memory.remembered.revocations_void = 1;
    assert_eq!(
        acts(&accepted.judge(5), Reason::AwaitingOperator),
        [Action::RequestRevocation],
        "that call was for another token"
    );
    let mut refused = hooked();
    for _ in 0..2 {
        refused.journal().refuse(Action::RequestRevocation.key(), at(NOW - 60), "calling: refused (500)");
    }
    refused.journal().entries.entry(Action::RequestRevocation.key()).or_default().begin(9, at(NOW));
    waits(&refused.judge(5), Reason::WebhookCalled, "the webhook was called 3 times");
}

#[test]
fn revoke_refuses_while_a_stranger_is_assigned_and_pauses_the_job_first_where_asked() {
    let mut case = Case::cycled();
    case.assign_group(9, 1);
    refuses(&case.judge(5), Reason::UnmanagedGroupAssigned, &group(9).to_string());
    let mut case = Case::cycled();
    case.spec.provisioning.afterwards = Afterwards::Pause;
    let pause = Action::PauseJob { job: case.job().id.clone() };
    assert_eq!(acts(&case.judge(5), Reason::AwaitingPause), std::slice::from_ref(&pause));
    case.confirmed(&pause, NOW);
    waits(&case.judge(5), Reason::AwaitingPause, "to be paused");
    case.job().schedule = ScheduleState::Paused;
    assert_eq!(acts(&case.judge(5), Reason::AwaitingOperator), [Action::RequestRevocation]);
}

#[test]
fn revoke_proves_nothing_where_entra_signs_in_by_oauth() {
    let mut case = Case::cycled();
    let Listed::Known(settings) = &mut case.seen.settings else { panic!() };
    settings.oauth = vec!["Oauth2ClientId"];
    refuses(&case.judge(5), Reason::ProbeInconclusive, "Delete the OAuth client");
    // Whatever a probe says, none of it is counted.
    case.seen.probe = Some(probe(ProbeVerdict::Rejected));
    let now = moment(NOW);
    for _ in 0..4 {
        case.memory = unscim::turn::remember::take_in(&case.spec, &case.seen, case.memory, now);
        assert!(case.memory.remembered.rejections.is_empty());
    }
    // Nor while the settings can't be read.
    case.seen.settings = Listed::Unknown(failed("transient"));
    case.memory = unscim::turn::remember::take_in(&case.spec, &case.seen, case.memory, now);
    assert!(case.memory.remembered.signs_in_by_oauth && case.memory.remembered.rejections.is_empty());
    assert!(case.memory.remembered.revocation_proof.is_none());
    refuses(&case.judge(5), Reason::ProbeInconclusive, "Delete the OAuth client");
    // With a token that was entered, three of them are a proof.
    let mut case = Case::cycled();
    case.seen.probe = Some(probe(ProbeVerdict::Rejected));
    for _ in 0..3 {
        case.memory = unscim::turn::remember::take_in(&case.spec, &case.seen, case.memory, now);
    }
    assert!(case.memory.remembered.revocation_proof.is_some());
}

#[test]
fn a_healthy_state_of_every_stage_passes_preflight_and_holds_nothing() {
    let stages = [Case::untouched(), Case::assigned(), Case::emptied(), Case::unassigned(), Case::cycled(), Case::retired()];
    let kinds = [vec!["AssignUser"], vec!["RemoveMember"], vec!["UnassignGroup"], vec![], vec!["RequestRevocation"], vec![]];
    for (case, kinds) in stages.into_iter().zip(kinds) {
        assert_eq!(case.refusals(), Vec::<String>::new());
        let approved = case.approve();
        assert_eq!(approved.held(), []);
        let mut wanted: Vec<_> = approved.actions().iter().map(Action::kind).collect();
        wanted.dedup();
        assert_eq!(wanted, kinds);
    }
}

#[test]
fn a_role_assignable_group_is_emptied_only_with_the_permission_for_it() {
    let mut case = Case::assigned();
    case.profile(1).role_assignable = true;
    case.spec.groups.list[0].members = Some(MembersDecision::Remove);
    let refusals = case.refusals();
    assert!(
        refusals.iter().any(|why| why.contains("RoleManagement.ReadWrite.Directory") && why.contains("Group 1")),
        "{refusals:?}"
    );
    case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    assert!(case.refusals().is_empty());
    case.spec.groups.list[0].members = Some(MembersDecision::Remove);
    case.hold_permission("RoleManagement.ReadWrite.Directory");
    assert!(case.refusals().is_empty());
}
