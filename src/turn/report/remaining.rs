//! What is left of the way, and when it can be over. An end is told only where it would come by itself.

use std::time::Duration;

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::judge::plan::Judged;
use crate::judge::steps_left::{earliest, steps_left};
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::spec::RevocationBy;
use crate::model::status::{Outlook, Phase, Remaining};

/// `holds`: a brake holds, or somebody must decide; `blind`: a look has failed; `read`: the members of all groups are known.
pub(super) fn remaining(facts: &Facts, judged: &[Judged], phase: Phase, holds: bool, blind: bool, read: bool) -> Remaining {
    let steps = steps_left(facts).filter(|_| facts.seen.assignments.is_known());
    let Some(steps) = steps else {
        return Remaining { outlook: outlook(facts, judged, phase, holds, true), ..Remaining::default() };
    };
    let whole = read && (facts.job().is_some() || facts.is_token_rejected());
    let outlook = outlook(facts, judged, phase, holds, blind || !whole);
    let writing: Duration = steps.iter().map(|step| step.writing).sum();
    let ends: Option<Timestamp> = (outlook == Outlook::InSight).then(|| earliest(facts, &steps));
    Remaining {
        assignments: Some(steps[0].writes),
        member_removals: read.then_some(steps[1].writes),
        unassignments: Some(steps[2].writes),
        cycles: whole.then(|| steps.iter().map(|step| step.cycles).sum()),
        writing: read.then(|| Duration::from_secs(writing.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))),
        outlook,
        earliest_finish: ends,
    }
}

fn outlook(facts: &Facts, judged: &[Judged], phase: Phase, holds: bool, blind: bool) -> Outlook {
    let open = |reasons: &[Reason]| judged.iter().any(|one| one.truth != Truth::True && reasons.contains(&one.reason));
    // Once its token is to be refused, it is not read any more.
    let unread = !facts.is_target_closed()
        && judged.iter().any(|one| one.condition == ConditionKind::TargetReachable && one.truth == Truth::False);
    let by_hand = facts.spec.target.revocation.by == RevocationBy::Operator;
    if phase == Phase::Observing {
        Outlook::Observing
    } else if holds {
        Outlook::Held
    // By its proof, whatever can be read now.
    } else if phase == Phase::Retired {
        Outlook::Retired
    } else if blind {
        Outlook::NotKnown
    } else if by_hand && open(&[Reason::AwaitingOperator]) || open(&[Reason::TokenEnded]) {
        Outlook::AwaitingPerson
    // None of these ends by a cycle that is on time.
    } else if open(&[
        Reason::LookFailed,
        Reason::GroupReadFailed,
        Reason::CycleOverdue,
        Reason::EntriesFailed,
        Reason::TargetGroupsRemain,
        Reason::ProbeInconclusive,
        Reason::UsersLost,
    ]) || unread
    {
        Outlook::NotKnown
    } else {
        Outlook::InSight
    }
}
