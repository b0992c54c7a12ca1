//! The first act of a run that concerns a user is a small one, followed by a good cycle and a look at the target.

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::judge::group_plan::{GroupPlan, plan_for};
use crate::judge::{good_cycle, waves};
use crate::model::condition::Reason;
use crate::model::journal::Entry;
use crate::model::key::Key;
use crate::model::moment::later;
use crate::model::spec::Rollout;

/// Some group of this wave that is assigned has members that are to go one by one, now or later: the canary is one of them.
pub fn has_members_to_remove(facts: &Facts) -> bool {
    waves::open(facts).into_iter().any(|group| {
        facts.is_on(group)
            && match plan_for(facts, group) {
                GroupPlan::Empty => facts.members(group).is_some_and(|look| !look.value.users.is_empty()),
                GroupPlan::Unknown(_) => true,
                GroupPlan::Keep | GroupPlan::Nothing | GroupPlan::Undecided(_) => false,
            }
    })
}

pub enum Canary {
    /// Nothing was taken away yet: only the smallest piece may go.
    First,
    /// It went; what it did is not proven yet.
    Running(Reason, String),
    Passed,
}

pub fn canary(facts: &Facts) -> Canary {
    if facts.spec.rollout == Rollout::AllAtOnce || facts.is_token_rejected() {
        return Canary::Passed;
    }
    let Some(first) = facts.memory.first_confirmed(taken(facts)) else {
        return unanswered(facts).map_or(Canary::First, |until| {
            let on = format!(
                "the outcome of the first removal: nobody answered it, and where no read after {until:.0} shows it, it goes out again"
            );
            Canary::Running(Reason::AwaitingOutcome, on)
        });
    };
    let Some(cycle) = facts.good_cycles_after(first).first().copied() else {
        let on = "a good cycle that began after the first removal";
        let (reason, on) = good_cycle::wait(facts, Some(first), Reason::CanaryRunning, on);
        return Canary::Running(reason, on);
    };
    match &facts.memory.target {
        Some(look) if look.turn >= cycle.turn => Canary::Passed,
        _ => {
            let mut confirmed = facts.memory.taking().map(|(key, entry)| facts.memory.dated(key, entry.last_confirmed()));
            // More went after that cycle, so it was read then, by another process.
            let on = if confirmed.any(|at| at > Some(cycle.ended)) {
                "a read of the target, which this process has not read yet; what the first removal did was seen before"
            } else {
                "a read of the target after the good cycle that followed the first removal"
            };
            Canary::Running(Reason::VerifyingTarget, on.into())
        }
    }
}

/// The end of a group in which nobody is protected shows nothing about users.
fn taken<'a>(facts: &'a Facts) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
    facts.memory.taking().filter(|(key, _)| match key {
        Key::Member(group, _) | Key::Unassign(group, _) => facts.users_of(*group).len() > 0,
        _ => false,
    })
}

/// Until when a removal that nobody answered is waited for: as long as reads may lag, it is no sign that they do not show it.
pub fn unanswered(facts: &Facts) -> Option<Timestamp> {
    let begun = taken(facts).filter_map(|(_, entry)| entry.begun()).max()?;
    Some(later(begun, facts.spec.timing.settle))
}
