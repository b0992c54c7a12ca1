//! When what a condition waits for should have come. A guess for whoever waits, and nothing rests on it.

use jiff::Timestamp;

use crate::judge::canary;
use crate::judge::facts::{Cover, Facts};
use crate::judge::plan::Judged;
use crate::model::condition::{Reason, Truth};
use crate::model::memory::{LOOKS, Streak};
use crate::model::moment::{later, since};
use crate::model::status::CycleStatus;

pub(super) fn expected(facts: &Facts, judged: &Judged, cycle: &CycleStatus) -> Option<Timestamp> {
    if judged.truth == Truth::True {
        return None;
    }
    let spec = facts.spec;
    let remembered = &facts.memory.remembered;
    let settle = spec.timing.settle;
    match judged.reason {
        Reason::Settling => settling(facts),
        Reason::AwaitingSettleCycle
        | Reason::AwaitingEmptyCycle
        | Reason::CanaryRunning
        | Reason::AwaitingCycle
        | Reason::TargetGroupsRemain => cycle.expected_by,
        Reason::AwaitingOutcome => canary::unanswered(facts),
        Reason::ReadingAgain => {
            let young = |streak: &&Streak| !streak.is_believed(LOOKS, settle);
            let streaks = remembered.empty.values().chain(remembered.unassigned.values()).filter(young);
            streaks.map(|streak| later(streak.since, settle)).max()
        }
        Reason::AwaitingReplication => {
            let here = facts.memory.journal.entries.values().filter_map(|entry| entry.last_confirmed_here());
            here.filter(|at| since(*at, facts.now) < settle).max().map(|at| later(at, settle))
        }
        Reason::VerifyingTarget => facts.memory.target.as_ref().map(|look| later(look.at.wall, spec.target.read_interval)),
        Reason::Confirming => {
            let revocation = &spec.target.revocation;
            let left = (revocation.confirmations as usize).saturating_sub(remembered.rejections.len()).max(1);
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            remembered.probed_at.map(|at| later(at, revocation.confirm_every.saturating_mul(left)))
        }
        _ => None,
    }
}

/// When the last of those who are covered has been seen so for long enough.
fn settling(facts: &Facts) -> Option<Timestamp> {
    let seen = &facts.memory.remembered.covered_since;
    let users = facts.people().iter().filter(|person| person.cover == Cover::Settling);
    let first = users.filter_map(|person| seen.get(&person.id)?.times().max()).max()?;
    Some(later(first, facts.spec.timing.settle))
}
