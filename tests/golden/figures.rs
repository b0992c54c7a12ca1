//! What a status says of what could not be read: the last that was seen, and of when, or that it is not known; never a 0.

use unscim::judge::facts::Facts;
use unscim::model::action::Action;
use unscim::model::condition::{ConditionKind, Reason};
use unscim::model::id::GroupId;
use unscim::model::observed::Listed;
use unscim::model::spec::{Hold, Mode};
use unscim::model::status::{GroupState, Held, LastKnown, Phase, Progress, Status};
use unscim::turn::report::{Book, report};

use crate::act::carry_out;
use crate::support::*;

fn status(case: &Case, before: Option<&Status>) -> Status {
    status_at(NOW, case, before)
}

fn status_at(minute: i64, case: &Case, before: Option<&Status>) -> Status {
    let acted = carry_out(case, &world_of(&Case::untouched()));
    report(
        &Facts::new(&case.spec, &case.seen, &case.memory, moment(minute)),
        acted.approved(),
        acted.stopped(),
        Book::default(),
        None,
        before,
    )
}

/// Graph does not answer.
fn blind(mut case: Case) -> Case {
    case.seen.assignments = Listed::Unknown(failed("timed-out"));
    case.seen.jobs = Listed::Unknown(failed("timed-out"));
    for seen in case.seen.groups.values_mut() {
        seen.members = Listed::Unknown(failed("timed-out"));
    }
    case
}

fn of(status: &Status, id: GroupId) -> (GroupState, Option<u64>, Option<LastKnown>) {
    let group = status.groups.iter().find(|group| group.id == id).unwrap();
    (group.state, group.members, group.last_known)
}

#[test]
fn what_cant_be_read_stays_as_it_was_last_seen_with_its_time() {
    let seen = status(&Case::assigned(), None);
    let Progress { users_assigned, groups_assigned, memberships, .. } = seen.progress;
    assert_eq!((users_assigned, groups_assigned, memberships), (Some(3), Some(2), Some(4)));
    assert_eq!(seen.progress.assignments_seen_at, seen.last_attempt);
    let mut later = seen.clone();
    for minutes in [10, 20] {
        later = status_at(NOW + minutes, &blind(Case::assigned()), Some(&later));
        assert_eq!(later.progress, seen.progress, "the figures and their times, however long it lasts");
        assert_ne!(later.progress.assignments_seen_at, later.last_attempt);
        assert_eq!(later.cycle, seen.cycle);
        let known = LastKnown { state: GroupState::ToBeEmptied, at: seen.last_attempt.unwrap() };
        assert_eq!(of(&later, group(1)), (GroupState::Unknown, Some(2), Some(known)));
        assert_eq!(later.groups[0].members_seen_at, seen.last_attempt);
    }
    let again = status(&Case::assigned(), Some(&later));
    assert_eq!(again.groups, seen.groups);
}

#[test]
fn what_this_process_has_never_seen_is_not_known() {
    let status = status(&blind(Case::assigned()), None);
    let Progress { users_protected, groups, .. } = status.progress;
    assert_eq!((users_protected, groups), (Some(3), Some(2)), "the ledger says so");
    let Progress { users_assigned, groups_assigned, memberships, assignments_seen_at, .. } = status.progress;
    assert_eq!((users_assigned, groups_assigned, memberships, assignments_seen_at), (None, None, None, None));
    assert_eq!(of(&status, group(1)), (GroupState::Unknown, None, None));
    let mut unread = Case::assigned();
    unread.memory.target = None;
    let Progress { users_lost, users_kept, users_counted, target_groups, target_seen_at, .. } =
        self::status(&unread, None).progress;
    assert_eq!((users_lost, users_kept, users_counted, target_groups, target_seen_at), (None, None, None, None, None));
}

#[test]
fn observe_remembers_though_it_has_no_ledger() {
    let mut case = Case::untouched();
    case.spec.mode = Mode::Observe;
    let seen = status(&case, None);
    let mut blind = blind(case);
    blind.memory.baseline = unscim::model::observed::Observed::Absent;
    let later = status(&blind, Some(&seen));
    assert_eq!(later.progress, seen.progress);
    assert_eq!(of(&later, group(1)).0, GroupState::Unknown);
    assert_eq!(later.groups.len(), seen.groups.len());
    blind.memory.baseline = unscim::model::observed::Observed::Unknown(failed("bound-elsewhere"));
    assert_eq!(status(&blind, Some(&seen)).progress, Progress::default(), "what was seen of another app is not told of this one");
}

#[test]
fn the_timeline_holds_what_the_ledger_and_the_looks_show_by_the_clock_of_the_service() {
    let mut case = Case::assigned();
    for (user, minute) in [(1, 400), (2, 401), (3, 560)] {
        case.confirmed(&Action::RemoveMember { group: group(1), user: self::user(user) }, minute);
    }
    case.spec.hold = Hold::Held;
    let mut early = case.memory.remembered.cycles[0].clone();
    (early.began, early.ended) = (at(-40), at(-30));
    case.memory.remembered.cycles.insert(0, early);
    let held = status(&case, None);
    let timeline = &held.timeline;
    assert_eq!((timeline.began, timeline.until), (Some(at(0)), Some(case.seen.jobs.known().unwrap().at)));
    let bursts = timeline.writes.iter().filter(|burst| burst.action == "RemoveMember");
    let bursts: Vec<_> = bursts.map(|burst| (burst.count, burst.from, burst.to)).collect();
    assert_eq!(bursts, [(2, at(400), at(401)), (1, at(560), at(560))], "what lies apart is told apart");
    assert!(timeline.cycles.iter().any(|cycle| cycle.counts));
    assert!(!timeline.cycles[0].counts && timeline.cycles[0].ended == at(-30), "it ended before the baseline was taken");
    assert_eq!(timeline.holds.len(), 1);
    assert_eq!((timeline.holds[0].brake.as_str(), timeline.holds[0].to), ("frozen", None));
    assert!(timeline.steps.iter().any(|step| step.kind == ConditionKind::UsersAssigned));
    case.spec.hold = Hold::None;
    let later = status(&case, Some(&held));
    assert_eq!(later.timeline.holds[0].to, later.timeline.until, "a hold that is over has an end");
    assert_eq!(later.timeline.steps, held.timeline.steps, "a step keeps its time");
    let unread = status(&blind(case), Some(&later));
    assert_eq!(unread.timeline.steps, later.timeline.steps, "a look that fails ends no step");
    let again = status_at(NOW + 30, &Case::assigned(), Some(&unread));
    assert_eq!(again.timeline.steps, later.timeline.steps, "nor is it done anew after that");
    assert_eq!((unread.timeline.until, &unread.timeline.cycles), (later.timeline.until, &later.timeline.cycles));
}

#[test]
fn a_failed_look_lifts_no_hold_and_leaves_none_standing_over_nothing() {
    let mut lost = Case::assigned();
    lost.target().users.get_mut(&scim(1)).unwrap().active = Some(false);
    let held = status(&lost, None);
    assert!(held.phase == Phase::Held && held.held.iter().any(|held| held.brake == "users-lost"), "{:?}", held.held);
    let (mut later, held_at) = (held.clone(), held.last_attempt);
    for minutes in [10, 20] {
        later = status_at(NOW + minutes, &blind(Case::assigned()), Some(&later));
        assert!(later.phase == Phase::Held && later.is_true(ConditionKind::Held), "{:?}", later.conditions);
        let kept = held.held.iter().map(|held| Held { seen_at: held_at, ..held.clone() });
        assert_eq!(later.held, kept.collect::<Vec<_>>(), "with the time at which it was seen last");
    }
    let since = |status: &Status| status.held.iter().find(|held| held.brake == "users-lost").and_then(|held| held.since);
    let longer = status_at(NOW + 30, &lost, Some(&later));
    assert_eq!((since(&held), since(&longer)), (held_at, held_at), "it was held all the while");
    let again = status(&Case::assigned(), Some(&later));
    assert_eq!(since(&status_at(NOW + 40, &lost, Some(&again))), Some(at(NOW + 40)), "and then anew");
    assert!(again.held.is_empty() && again.phase == Phase::EmptyingGroups, "{:?}", again.held);
    // A hand is on the brake or not, whatever can be read.
    let mut frozen = Case::assigned();
    frozen.spec.hold = Hold::Held;
    let frozen = status(&frozen, None);
    assert_eq!(frozen.phase, Phase::Held);
    let mut blind = blind(Case::assigned());
    blind.memory.remembered.standing = Some(Phase::EmptyingGroups);
    let free = status(&blind, Some(&frozen));
    assert!(free.held.is_empty() && free.phase == Phase::EmptyingGroups, "{:?} {}", free.held, free.phase);
}

#[test]
fn retired_is_kept_over_a_failed_look_for_as_long_as_the_token_is_proven_dead() {
    let mut over = blind(Case::retired());
    over.memory.remembered.standing = Some(Phase::Retired);
    assert_eq!(status(&over, None).phase, Phase::Retired);
    (over.memory.remembered.revocation_proof, over.memory.remembered.cycle_proof) = (None, None);
    assert_eq!(status(&over, None).phase, Phase::AwaitingCycle, "it answers again");
}

#[test]
fn a_first_removal_that_nobody_answered_is_waited_for_by_its_own_time_and_by_no_cycle() {
    let first = Action::RemoveMember { group: group(1), user: user(1) };
    let emptied = |case: &Case| status(case, None).condition(ConditionKind::GroupsEmptied).cloned().unwrap();
    let mut case = Case::assigned();
    case.journal().entries.entry(first.key()).or_default().begin(1, at(NOW - 4));
    let open = emptied(&case);
    assert_eq!((open.reason, open.expected_by), (Reason::AwaitingOutcome, Some(at(NOW + 1))));
    case.confirmed(&first, NOW - 4);
    assert_eq!(emptied(&case).reason, Reason::CanaryRunning);
}
