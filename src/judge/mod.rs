//! The five steps of the guide: pure judgement over facts. Nothing here looks, writes or knows the time by itself.

pub mod baseline;
pub mod brakes;
pub mod dates;
pub mod decisions;
pub mod facts;
pub mod foresight;
pub mod kept;
pub mod legs;
pub mod lent;
pub mod others;
pub mod permissions;
pub mod plan;
pub mod preflight;
pub mod steps;
pub mod strangers;
pub mod waves;
pub mod way;

use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
pub use facts::{Cover, Facts, Ground};

/// Agreeing complete looks before an absence is believed, over at least `timing.settle`.
/// Graph serves reads from replicas that lag (facts/entra.md section 3.6).
pub const LOOKS: u32 = 3;

/// What a step says of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Met {
        reason: Reason,
        why: String,
    },
    /// Not so, and these actions would make it so. What can't be helped by them is in `refused`.
    Act {
        reason: Reason,
        why: String,
        actions: Vec<Action>,
        refused: Vec<String>,
    },
    /// Not so yet; looking again is all there is to do.
    Wait {
        reason: Reason,
        on: String,
    },
    /// Not so, and only a person may change that.
    Refuse {
        reason: Reason,
        why: Vec<String>,
    },
}

impl Verdict {
    pub fn is_met(&self) -> bool {
        matches!(self, Verdict::Met { .. })
    }
}

/// One step of the guide.
pub struct Step {
    pub number: u8,
    pub title: &'static str,
    pub condition: ConditionKind,
    pub judge: fn(&Ground) -> Verdict,
    /// Whether the step is judged group by group, so that it may go on for some while an earlier one waits for others.
    pub reach: Reach,
}

impl Step {
    /// What it says; where there is no ground to judge by, that.
    pub fn verdict(&self, facts: &Facts) -> Verdict {
        match (facts.ground(), facts.seen.assignments.unknown()) {
            (Some(ground), _) => (self.judge)(&ground),
            (None, Some(why)) if facts.baseline().is_some() => {
                Verdict::Wait { reason: Reason::LookFailed, on: format!("a complete list of the app's assignments: {why}") }
            }
            (None, _) => Verdict::Wait { reason: Reason::Blocked, on: "the baseline".into() },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    EachGroup,
    Everything,
}

pub const GUIDE: [Step; 5] =
    [steps::assign::STEP, steps::empty::STEP, steps::unassign::STEP, steps::cycle::STEP, steps::revoke::STEP];

/// "a, b, c and 4 more": names for a message, never the whole list of a large company.
pub fn some_of<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items = items.into_iter();
    let mut text = items.by_ref().take(5).map(|item| item.to_string()).collect::<Vec<_>>().join(", ");
    let more = items.count();
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// "3 of 412 users (0.8%)": a part never looks smaller than it is, and a part of nothing is all of it.
pub fn part(n: usize, of: usize, noun: &str) -> String {
    let tenths = if of == 0 { 1000 } else { (n * 1000).div_ceil(of) };
    format!("{n} of {} ({}.{}%)", count(of, noun), tenths / 10, tenths % 10)
}

/// "1 user", "2 users".
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
