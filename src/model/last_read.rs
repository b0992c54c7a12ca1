//! What the last read of the target said of everybody, for when it can't be read any more, or not now.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How many stood how. Who was lost or in doubt then is remembered by name, so that who is kept is what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRead {
    /// Our time.
    pub at: Timestamp,
    pub counted: u64,
    /// Changed, and the directory says why.
    pub explained: u64,
    /// Of whom it did not tell.
    pub unread: u64,
    /// Protected, and without a record at the target.
    pub not_known: u64,
}

impl LastRead {
    /// With so many lost or in doubt.
    pub fn figures(&self, amiss: u64) -> Figures {
        Figures {
            at: self.at,
            kept: self.counted.saturating_sub(self.explained + self.unread + amiss),
            counted: self.counted,
            explained: self.explained,
            not_known: self.not_known,
        }
    }
}

/// How many are kept, and of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Our time of the read.
    pub at: Timestamp,
    pub kept: u64,
    pub counted: u64,
    pub explained: u64,
    pub not_known: u64,
}

impl Figures {
    pub fn words(&self) -> String {
        kept(self.kept, self.counted, self.not_known)
    }
}

/// "99 of 130 users kept, 31 not known at the app": whom nobody can count is named in the same breath.
pub fn kept(kept: u64, counted: u64, not_known: u64) -> String {
    match not_known {
        0 => format!("{kept} of {counted} users kept"),
        _ => format!("{kept} of {} users kept, {not_known} not known at the app", counted + not_known),
    }
}
