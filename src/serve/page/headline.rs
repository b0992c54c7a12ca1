//! The first thing that is read: what goes on, in plain words, and who is safe.

use super::{STEPS, Time, clock, words::words_of};
use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::status::{GroupState, Held, Phase, Status, figure};

pub(super) struct Headline {
    pub text: String,
    pub tone: &'static str,
}

/// What keeps the loop from seeing or writing at all.
pub(super) struct Trouble<'a> {
    pub title: &'static str,
    pub since: Time,
    pub error: &'a str,
    pub reason: Reason,
}

pub(super) struct Safe {
    pub text: String,
    pub tone: &'static str,
    /// Of when the figures are, where the app can't be read now.
    pub old: Option<Time>,
}

pub(super) const PATIENCE: &str = "It goes on by itself with the first read that works. If it stays: fix what the error names, such as the \
                        network, a proxy, a secret that has expired or a consent that was taken away.";

pub(super) fn troubles(status: &Status) -> Vec<Trouble<'_>> {
    let words = |condition: &Condition| {
        Some(match (condition.kind, condition.status, condition.reason) {
            (ConditionKind::GraphReachable, Truth::False, _) => "Microsoft Graph can't be read",
            (ConditionKind::TargetReachable, Truth::False, Reason::Unreachable) => "The app's SCIM service can't be read",
            (ConditionKind::BaselineRecorded, _, Reason::LedgerUnreadable) => "The ledger can't be read",
            (ConditionKind::BaselineRecorded, _, Reason::LedgerBoundElsewhere) => "The ledger belongs to another retirement",
            (ConditionKind::Preflight, _, Reason::LookFailed) => "Not everything could be read",
            _ => return None,
        })
    };
    let mut found: Vec<_> = status.conditions.iter().filter_map(|condition| Some((condition, words(condition)?))).collect();
    // What can't be read is behind what preflight could not look at.
    if found.iter().any(|(condition, ..)| condition.kind == ConditionKind::GraphReachable) {
        found.retain(|(condition, ..)| condition.kind != ConditionKind::Preflight);
    }
    found.sort_by_key(|(condition, ..)| match condition.kind {
        ConditionKind::BaselineRecorded => 0,
        ConditionKind::GraphReachable => 1,
        _ => 2,
    });
    found
        .into_iter()
        .map(|(condition, title)| Trouble {
            title,
            since: clock(condition.last_transition_time, status.last_attempt),
            error: &condition.message,
            reason: condition.reason,
        })
        .collect()
}

/// Whether this says nothing but what one of them says.
pub(super) fn tells(troubles: &[Trouble], text: &str) -> bool {
    troubles.iter().any(|trouble| trouble.error.contains(text) || text.ends_with(trouble.error))
}

pub(super) fn headline(status: &Status, troubles: &[Trouble]) -> Headline {
    let (words, tone) = words_of(status.phase);
    // That not everything can be seen is no other hold than what stands in the way of seeing it; and a failed look keeps the phase.
    let is_another = |held: &Held| held.brake != "blind" && held.seen_at.is_none() && !tells(troubles, &held.message);
    let is_held = status.phase == Phase::Held && status.held.iter().any(is_another);
    let trouble = troubles.first().filter(|_| !is_held);
    if let Some(trouble) = trouble.filter(|_| status.phase == Phase::Retired) {
        let text =
            format!("Retired. Nobody looks any more whether it stays so: {}, since {}", trouble.title, trouble.since.shown);
        return Headline { text, tone: "later" };
    }
    if let Some(trouble) = trouble {
        return Headline { text: format!("{}, since {}", trouble.title, trouble.since.shown), tone: "stop" };
    }
    let text = match status.phase {
        Phase::Held => held(status),
        Phase::AssigningUsers
        | Phase::EmptyingGroups
        | Phase::UnassigningGroups
        | Phase::AwaitingCycle
        | Phase::AwaitingRevocation => present(status).and_then(|step| at_work(status, step)).unwrap_or_else(|| words.into()),
        Phase::Observing | Phase::Preflight | Phase::Retired => words.into(),
    };
    Headline { text, tone }
}

/// The step that is at work: by the phase, which outlives a failed look, and otherwise the first that does not hold.
pub(super) fn present(status: &Status) -> Option<&Condition> {
    let by_phase = match status.phase {
        Phase::AssigningUsers => Some(0),
        Phase::EmptyingGroups => Some(1),
        Phase::UnassigningGroups => Some(2),
        Phase::AwaitingCycle => Some(3),
        Phase::AwaitingRevocation => Some(4),
        Phase::Retired => return None,
        Phase::Observing | Phase::Preflight | Phase::Held => None,
    };
    match by_phase {
        Some(nth) => status.condition(STEPS[nth]),
        None => STEPS.iter().filter_map(|kind| status.condition(*kind)).find(|condition| condition.status != Truth::True),
    }
}

fn at_work(status: &Status, step: &Condition) -> Option<String> {
    let progress = &status.progress;
    let when = |words: &str| {
        step.expected_by.map(|at| format!(", {words} {}", clock(at, status.last_attempt).shown)).unwrap_or_default()
    };
    Some(match step.reason {
        Reason::AssignmentsMissing => format!(
            "Giving each person an assignment of their own: {} of {}",
            figure(progress.users_assigned),
            figure(progress.users_protected)
        ),
        Reason::MembersRemain => {
            format!("Taking people out of the groups: {} memberships left", figure(progress.memberships))
        }
        Reason::RowsRemain => {
            format!("Taking the groups off the app: {} of {}", figure(progress.groups_off()), figure(progress.groups))
        }
        Reason::AwaitingOutcome => {
            format!("Nobody answered the first removal. Reading whether it was done{}", when("until"))
        }
        Reason::CanaryRunning => {
            format!(
                "The first removal is done. Waiting for a provisioning cycle to show that everybody is kept{}",
                when("expected")
            )
        }
        Reason::AwaitingSettleCycle | Reason::AwaitingEmptyCycle | Reason::AwaitingCycle => {
            format!("Waiting for the next provisioning cycle{}", when("expected"))
        }
        Reason::Settling | Reason::ReadingAgain => format!("Done so far. Watching that it stays so{}", when("until")),
        Reason::AwaitingReplication => {
            format!("Written. Waiting until Graph shows it, or it is written again{}", when("by"))
        }
        Reason::AwaitingWave => "Waiting for the next wave of groups".into(),
        Reason::CycleOverdue => "A provisioning cycle should have ended by now".into(),
        Reason::VerifyingTarget => "Checking at the app that everybody is still there".into(),
        Reason::TargetGroupsRemain => "Groups are still at the app".into(),
        Reason::AwaitingOperator => "Everything is proven. The SCIM token can be deleted now".into(),
        Reason::TokenEnded => {
            "Everything else is proven. The SCIM token has ended by itself, so its deletion can't be proven yet".into()
        }
        Reason::ProbeInconclusive => {
            "Everything else is proven. The app's answers don't tell whether the SCIM token is deleted".into()
        }
        Reason::WebhookCalled => "The token's deletion was asked for. Waiting until the app refuses it".into(),
        Reason::AwaitingPause => "Waiting until the provisioning job is paused".into(),
        Reason::Confirming => format!("Proving that the app refuses the token{}", when("until")),
        _ => return None,
    })
}

fn held(status: &Status) -> String {
    let brake = |brake: &str| status.held.iter().any(|held| held.brake == brake);
    let undecided = status.groups.iter().filter(|group| group.state == GroupState::Refused).count();
    let words = [
        ("users-lost", "Held: people may have lost their access"),
        ("frozen", "Held by hand: nothing is written"),
        ("blind", "Held: not everything that matters could be seen"),
        ("rolled-back", "Held: a rollback was begun"),
        ("ledger-behind", "Held: the ledger may be an old copy"),
        ("another-at-work", "Held: somebody else is at work on the same app"),
        ("undone", "Held: something takes the direct assignments away"),
        ("uncovered", "Held: people are without an assignment of their own"),
        ("foreseen", "Held: Entra would change people at the app"),
        ("too-much", "Held: more is to be done than the limits allow"),
        ("shrunk", "Held: a list has become shorter, and nobody knows why"),
        ("not-approved", "Held: what is to be done is not approved"),
        ("fights", "Held: somebody undoes what is done"),
        ("write-refused", "Held: Entra refuses a write"),
        ("preflight", "Held: preflight found what stands in the way"),
    ];
    let (label, words) = match words.iter().find(|(label, _)| brake(label)) {
        Some((label, words)) => (*label, (*words).to_owned()),
        None if undecided == 1 => ("refused", "Held: a group needs a decision. The others go on".into()),
        None if undecided > 1 => ("refused", format!("Held: {undecided} groups need a decision. The others go on")),
        None if brake("window") => ("window", "Outside the hours in which something may be taken away".into()),
        None => ("refused", "Held: a decision is needed".into()),
    };
    let since = status.held.iter().find(|held| held.brake == label).and_then(|held| held.since);
    match (since, words.split_once(": ")) {
        (Some(since), Some((held, why))) => format!("{held} since {}: {why}", clock(since, status.last_attempt).shown),
        _ => words,
    }
}

/// Of when what is told of the target is, where it can't be read now.
pub(super) fn target_old(status: &Status) -> Option<Time> {
    let is_so = |kind, truth| status.condition(kind).is_some_and(|condition| condition.status == truth);
    // A process that has not read the app yet knows what the ledger's proof says.
    let unread = is_so(ConditionKind::TargetReachable, Truth::False) || is_so(ConditionKind::UsersKept, Truth::Unknown);
    status.progress.target_seen_at.filter(|_| unread).map(|at| clock(at, status.last_attempt))
}

pub(super) fn safe(status: &Status) -> Safe {
    let progress = &status.progress;
    let old = target_old(status);
    if let Some(lost) = progress.users_lost.filter(|lost| *lost > 0) {
        let everybody = progress.users_counted.map(|all| format!(" of {all}")).unwrap_or_default();
        let kept = progress.users_kept.map(|kept| format!("; {kept} are kept")).unwrap_or_default();
        let text = format!("{lost}{everybody} people are lost at the app{kept}");
        return Safe { text, tone: "stop", old };
    }
    let (Some(kept), Some(counted)) = (progress.users_kept, progress.users_counted) else {
        let text = match progress.users_protected {
            Some(all) => format!("{all} people are protected. The app could not be read, so nobody knows whether they are there"),
            None => "Who is to be protected is not known yet".into(),
        };
        return Safe { text, tone: "later", old: None };
    };
    let unknown = progress.users_not_known.unwrap_or(0);
    // Once the token is refused nobody can look again.
    let proven = status.condition(ConditionKind::UsersKept).is_some_and(|one| one.reason == Reason::ProvenBeforeRevocation);
    let verb = if proven { "kept" } else { "keep" };
    let mut text = format!("{kept} of {} people {verb} their access", counted + unknown);
    if unknown > 0 {
        text += &format!("; the app has no record of {unknown}");
    }
    let tone = match (&old, kept == counted) {
        (Some(_), _) => "later",
        (None, true) => "done",
        (None, false) => "busy",
    };
    Safe { text, tone, old }
}
