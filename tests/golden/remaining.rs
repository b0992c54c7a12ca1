//! What is left and when it can be over: known figures in every phase, and no end where none comes by itself.

use jiff::SignedDuration;
use unscim::model::action::Action;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::{ObservedTarget, ProbeVerdict, TokenState};
use unscim::model::spec::{Hold, Mode, RevocationBy, Webhook};
use unscim::model::status::{Outlook, Phase, Remaining, Status};
use unscim::turn::report::{Book, report};

use crate::act::carry_out;
use crate::support::*;

fn status(case: &Case) -> Status {
    // Nothing of what is asked here hangs on what becomes of the writes.
    let acted = carry_out(case, &world_of(&Case::untouched()));
    report(&case.facts(), acted.approved(), acted.stopped(), Book::default(), None, None)
}

fn of(case: &Case) -> Remaining {
    status(case).remaining
}

/// Assignments, removals, rows of groups, cycles, seconds of writing.
fn figures(remaining: &Remaining) -> Option<[u64; 5]> {
    let Remaining { assignments, member_removals, unassignments, cycles, writing, .. } = remaining;
    Some([(*assignments)?, (*member_removals)?, (*unassignments)?, (*cycles)?, (*writing)?.as_secs()])
}

/// In whole minutes after noon, in the time of the cases.
fn minute(remaining: &Remaining) -> Option<i64> {
    Some(remaining.earliest_finish?.duration_since(at(0)).as_mins())
}

#[test]
fn each_phase_says_what_is_left_and_when_it_can_be_over() {
    // Cycles begin at 620, 660, 700 …
    for (case, phase, left, ends) in [
        (Case::untouched(), Phase::AssigningUsers, [4, 4, 2, 5, 1], 787),
        (Case::assigned(), Phase::EmptyingGroups, [0, 4, 2, 4, 1], 747),
        (Case::emptied(), Phase::UnassigningGroups, [0, 0, 2, 2, 1], 667),
        (Case::unassigned(), Phase::AwaitingCycle, [0, 0, 0, 2, 0], 667),
    ] {
        let status = status(&case);
        assert_eq!(status.phase, phase, "{:?}", status.held);
        let remaining = status.remaining;
        assert_eq!((figures(&remaining), minute(&remaining)), (Some(left), Some(ends)), "{phase}: {remaining:?}");
        assert_eq!(remaining.outlook, Outlook::InSight);
    }
}

#[test]
fn at_the_end_it_waits_for_a_person_and_then_for_rejections() {
    let mut case = Case::cycled();
    assert_eq!((status(&case).phase, of(&case).outlook), (Phase::AwaitingRevocation, Outlook::AwaitingPerson));
    case.confirmed(&Action::RequestRevocation, 590);
    assert_eq!((of(&case).outlook, of(&case).earliest_finish), (Outlook::AwaitingPerson, None));
    case.memory.remembered.rejections = vec![probe(ProbeVerdict::Rejected)];
    case.memory.remembered.probed_at = Some(at(NOW));
    case.seen.target =
        ObservedTarget { token: TokenState::Refused(401), token_ends: None, look: Listed::Unknown(failed("denied")) };
    assert_eq!((of(&case).outlook, of(&case).earliest_finish), (Outlook::InSight, Some(at(NOW + 2))));
    case.memory.remembered.rejections.push(probe(ProbeVerdict::Rejected));
    assert_eq!(of(&case).earliest_finish, Some(at(NOW + 1)));
    let retired = of(&Case::retired());
    assert_eq!((figures(&retired), retired.outlook, retired.earliest_finish), (Some([0; 5]), Outlook::Retired, None));
}

#[test]
fn a_webhook_is_nobody_to_wait_for() {
    let mut case = Case::cycled();
    case.spec.target.revocation.by = RevocationBy::Webhook;
    let url = "http://127.0.0.1:1/hook".parse().unwrap();
    case.spec.target.revocation.webhook = Some(Webhook {
        url,
        method: "POST".into(),
        header_files: [].into(),
        attempts: 5,
        within: std::time::Duration::from_secs(3600),
    });
    assert_eq!((of(&case).outlook, minute(&of(&case))), (Outlook::InSight, Some(NOW + 2)));
}

#[test]
fn what_is_held_has_no_end_and_still_says_what_is_left() {
    let mut frozen = Case::assigned();
    frozen.spec.hold = Hold::Held;
    let mut refused = Case::assigned();
    refused.profile(1).licensed = true;
    let mut waiting = Case::unassigned();
    waiting.spec.hold = Hold::Held;
    for (case, removals) in [(frozen, 4), (refused, 2), (waiting, 0)] {
        let status = status(&case);
        assert_eq!(status.phase, Phase::Held);
        let remaining = status.remaining;
        assert_eq!((remaining.outlook, remaining.earliest_finish), (Outlook::Held, None));
        assert_eq!(remaining.member_removals, Some(removals));
    }
}

#[test]
fn in_observe_it_says_what_is_left_and_no_end() {
    let mut case = Case::untouched();
    case.spec.mode = Mode::Observe;
    let remaining = of(&case);
    assert_eq!((remaining.outlook, remaining.earliest_finish), (Outlook::Observing, None));
    assert_eq!(figures(&remaining), Some([4, 4, 2, 5, 1]));
}

#[test]
fn what_could_not_be_read_is_not_known_and_nothing_is_made_of_it() {
    let mut rows = Case::unassigned();
    rows.seen.assignments = Listed::Unknown(failed("timed-out"));
    let remaining = of(&rows);
    assert_eq!((figures(&remaining), remaining.earliest_finish), (None, None));
    assert_eq!((remaining.assignments, remaining.outlook), (None, Outlook::NotKnown));
    let mut members = Case::assigned();
    members.seen.groups.get_mut(&group(1)).unwrap().members = Listed::Unknown(failed("timed-out"));
    let remaining = of(&members);
    assert_eq!((remaining.assignments, remaining.member_removals, remaining.earliest_finish), (Some(0), None, None));
    let mut target = Case::unassigned();
    target.seen.target.look = Listed::Unknown(failed("timed-out"));
    assert_eq!((of(&target).outlook, of(&target).earliest_finish), (Outlook::NotKnown, None));
    let mut nobody = Case::untouched();
    nobody.memory.baseline = Observed::Absent;
    assert_eq!(of(&nobody), Remaining { outlook: of(&nobody).outlook, ..Remaining::default() });
}

#[test]
fn a_cycle_that_does_not_come_leaves_no_end_in_sight() {
    let mut late = Case::unassigned();
    late.spec.provisioning.cycle_timeout = std::time::Duration::from_secs(60);
    late.job().interval = Some(std::time::Duration::from_secs(60));
    assert_eq!((of(&late).outlook, of(&late).earliest_finish), (Outlook::NotKnown, None));
}

#[test]
fn it_shrinks_as_the_work_is_done() {
    let mut case = Case::untouched();
    let before = of(&case);
    case.assign(1, 1, 590);
    case.confirmed(&Action::AssignUser { user: user(1), role: role(1) }, 590);
    let after = of(&case);
    assert_eq!((before.assignments, after.assignments), (Some(4), Some(3)));
    let mut case = Case::assigned();
    let before = of(&case);
    case.leave(1, 1);
    case.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, 598);
    let after = of(&case);
    assert_eq!((before.member_removals, after.member_removals), (Some(4), Some(3)));
    // The canary is under way: its cycle is the next one that begins ten minutes after it.
    assert_eq!((after.cycles, minute(&after)), (Some(4), Some(747)));
    case.cycle(620);
    case.target().turn = 50;
    let proven = of(&case);
    assert_eq!(proven.cycles, Some(3));
    let mut seen = Case::unassigned();
    let before = of(&seen);
    seen.cycle(580);
    let after = of(&seen);
    assert_eq!((before.cycles, after.cycles), (Some(2), Some(1)));
    assert_eq!(minute(&before).unwrap() - minute(&after).unwrap(), 40);
}

#[test]
fn time_that_passes_does_not_put_the_end_off() {
    let mut case = Case::assigned();
    case.leave(1, 1);
    case.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, 598);
    let before = of(&case).earliest_finish.unwrap();
    // 15 minutes on, the same cycle is awaited.
    let Listed::Known(look) = &mut case.seen.jobs else { panic!() };
    look.at += SignedDuration::from_mins(15);
    assert_eq!(of(&case).earliest_finish.unwrap(), before);
}
