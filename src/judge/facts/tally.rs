//! Everybody, against the last look at the target.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::id::UserId;
use crate::model::stranger::Stranger;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub counted: usize,
    pub kept: usize,
    pub lost: BTreeMap<UserId, Loss>,
    /// Whose record may be another one, by repeated looks.
    pub uncertain: BTreeMap<UserId, String>,
    pub unknown: BTreeMap<UserId, String>,
    pub explained: usize,
    /// Without a record at the target, and without one to be expected there: disabled accounts are often never provisioned.
    pub without: usize,
    /// Without a record at the target though they should have one: nobody can say that they were kept.
    pub uncounted: BTreeSet<UserId>,
    /// Who was never protected and has ended since we first took something away, by the log or at the target: whatever ended them
    /// may be our doing, by a path that nobody knew of.
    pub strangers: BTreeMap<Stranger, String>,
}

/// What became of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// As a read of the target, or the provisioning log, has shown it.
    pub seen: String,
    /// Why this read does not tell of them, where one before it did.
    pub not_told: Option<String>,
}

impl From<String> for Loss {
    fn from(seen: String) -> Loss {
        Loss { seen, not_told: None }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.seen)?;
        self.not_told.iter().try_for_each(|why| write!(f, "; not told by this read: {why}"))
    }
}

impl Tally {
    /// Who is not known at the target at all.
    pub fn not_known(&self) -> usize {
        self.without + self.uncounted.len()
    }
}
