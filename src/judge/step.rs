//! What a step of the guide is, and what it can say.

use crate::judge::facts::{Facts, Ground};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};

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

#[derive(Clone, Copy, Debug)]
pub enum Reach {
    EachGroup,
    /// And what the ledger proves of it: that stands also where nothing can be read.
    Everything(fn(&Facts) -> Option<Verdict>),
}
