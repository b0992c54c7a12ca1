//! The journal as a story: what was begun, and how it ended.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::action::Action;

/// One write that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteRecord {
    /// The line of its beginning.
    pub line: i64,
    /// Our time.
    pub at: Timestamp,
    pub turn: u64,
    #[serde(flatten)]
    pub action: Action,
    /// `None`: the process ended before anything was known.
    pub ending: Option<Ending>,
}

/// The last that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub outcome: LastOutcome,
    /// Our time.
    pub at: Timestamp,
    /// Of what is done: the service's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_at: Option<Timestamp>,
    /// It was so before. Not known where nobody answered and later looks have shown it done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LastOutcome {
    Done,
    Failed,
    Open,
}

impl WriteRecord {
    /// The service has confirmed it, or later looks have shown it.
    pub fn is_done(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.outcome == LastOutcome::Done)
    }

    /// It is so, and it was not so before: we did it.
    pub fn is_ours(&self) -> bool {
        self.is_done() && self.ending.as_ref().is_some_and(|ending| ending.already != Some(true))
    }
}
