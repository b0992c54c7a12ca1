//! What was seen and must not be forgotten: it is kept in the ledger for the report, and no judgement rests on it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::memory::{CycleProof, DepartureKind, RevocationProof};
use crate::model::snapshot::ScimUser;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Our time.
    pub at: Timestamp,
    pub turn: u64,
    #[serde(flatten)]
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// A cycle has ended, in the service's times. Again, should it come to count later.
    Cycle {
        activity: String,
        began: Timestamp,
        ended: Timestamp,
        counts: bool,
        why: Option<String>,
    },
    /// Some of the users, as the look shows them by which step 4 is proven; all parts stand right before [`Event::CycleProven`].
    UsersAfter {
        users: BTreeMap<UserId, UserAfter>,
    },
    /// Step 4 is proven, by this look at the target.
    CycleProven {
        proof: CycleProof,
        groups: BTreeMap<GroupId, Option<ScimId>>,
    },
    /// That no longer holds: a managed group's row or its record at the target is back, or the token answers again.
    CycleProofVoid,
    /// Step 5 is proven.
    TokenRejected {
        proof: RevocationProof,
    },
    TokenAnswersAgain,
    /// Disabled, deleted, or taken out of every managed group by somebody else.
    Departed {
        user: UserId,
        kind: DepartureKind,
    },
    Returned {
        user: UserId,
    },
    Lost {
        user: UserId,
        why: String,
    },
    NoLongerLost {
        user: UserId,
    },
    /// The record has another name at the target, by repeated looks, and Entra does not say why.
    Doubted {
        user: UserId,
        why: String,
    },
    NoLongerDoubted {
        user: UserId,
    },
    /// By the operator: they count no more.
    Released {
        user: UserId,
    },
    NoLongerReleased {
        user: UserId,
    },
    /// Another name at the target than when they were first seen, and the same in Entra.
    Renamed {
        user: UserId,
        name: String,
    },
    /// A managed group that was off the app is assigned to it again, by somebody else.
    AssignedAgain {
        group: GroupId,
    },
    /// It is off the app once more.
    OffAgain {
        group: GroupId,
    },
    /// Somebody else has taken a direct assignment away after the retirement; it is not given back.
    Offboarded {
        user: UserId,
    },
    NoLongerOffboarded {
        user: UserId,
    },
    /// Somebody who was never protected, after something was first taken away here.
    StrangerEnded {
        who: String,
        why: String,
    },
    /// They count no more.
    StrangerOver {
        who: String,
        why: String,
    },
}

impl Event {
    pub fn label(&self) -> &'static str {
        match self {
            Event::Cycle { .. } => "cycle",
            Event::UsersAfter { .. } => "usersAfter",
            Event::CycleProven { .. } => "cycleProven",
            Event::CycleProofVoid => "cycleProofVoid",
            Event::TokenRejected { .. } => "tokenRejected",
            Event::TokenAnswersAgain => "tokenAnswersAgain",
            Event::Departed { .. } => "departed",
            Event::Returned { .. } => "returned",
            Event::Lost { .. } => "lost",
            Event::NoLongerLost { .. } => "noLongerLost",
            Event::Doubted { .. } => "doubted",
            Event::NoLongerDoubted { .. } => "noLongerDoubted",
            Event::Released { .. } => "released",
            Event::NoLongerReleased { .. } => "noLongerReleased",
            Event::Renamed { .. } => "renamed",
            Event::AssignedAgain { .. } => "assignedAgain",
            Event::OffAgain { .. } => "offAgain",
            Event::Offboarded { .. } => "offboarded",
            Event::NoLongerOffboarded { .. } => "noLongerOffboarded",
            Event::StrangerEnded { .. } => "strangerEnded",
            Event::StrangerOver { .. } => "strangerOver",
        }
    }
}

/// A protected user at the target, when step 4 was proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserAfter {
    /// As it was read; `None`: there is none.
    pub record: Option<ScimUser>,
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Kept,
    /// No record when they were first seen, or released by the operator.
    NotCounted,
    /// Changed, and the directory says why.
    Explained,
    Lost,
    Unknown,
}
