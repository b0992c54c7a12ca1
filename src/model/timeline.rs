//! The run as a picture: what was written when, the cycles, the holds. All times are the service's, so that they stand on one line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::condition::ConditionKind;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Timeline {
    /// Of the look that the baseline was first taken from. `None`: there is no baseline in the ledger.
    pub began: Option<Timestamp>,
    /// Of the last look at the job; after the end, of the look that showed it first.
    pub until: Option<Timestamp>,
    /// By the ledger, oldest first within an action.
    pub writes: Vec<Burst>,
    /// Writes of a rollback, by the ledger. What they undid is not among `writes`.
    pub put_back: u64,
    /// Good ones by the ledger, others as this process has seen them. Oldest first, the last few.
    pub cycles: Vec<Cycle>,
    /// As this process has seen them; oldest first, the last few.
    pub holds: Vec<Hold>,
    /// Steps that hold, since this process has seen it.
    pub steps: Vec<StepDone>,
}

/// Writes of one kind that the service confirmed, with no long pause between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Burst {
    pub action: String,
    pub count: u64,
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cycle {
    pub began: Timestamp,
    pub ended: Timestamp,
    /// A good one.
    pub counts: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// As in `held`.
    pub brake: String,
    pub from: Timestamp,
    /// `None`: it holds.
    pub to: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepDone {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub at: Timestamp,
}
