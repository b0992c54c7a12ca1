//! Who was never protected, and ends at the target all the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::id::{ScimId, UserId};

/// Somebody who was never protected, by what is known of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stranger {
    User(UserId),
    /// Only the record at the target is known.
    Record(ScimId),
}

/// One of them, and what the log or the target has last said of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ended {
    pub who: Stranger,
    pub why: String,
}

impl Stranger {
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Stranger::User(id) => Some(id),
            Stranger::Record(_) => None,
        }
    }
}

impl fmt::Display for Stranger {
    /// As `spec.released` has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stranger::User(id) => id.fmt(f),
            Stranger::Record(id) => write!(f, "{RECORD}{id}"),
        }
    }
}

/// Stands before the id of a record where ids of users stand, too.
pub const RECORD: &str = "record:";
