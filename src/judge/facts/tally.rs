//! Everybody, against the last look at the target.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::UserId;
use crate::model::stranger::Stranger;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub counted: usize,
    pub kept: usize,
    pub lost: BTreeMap<UserId, String>,
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

impl Tally {
    /// Who is not known at the target at all.
    pub fn not_known(&self) -> usize {
        self.without + self.uncounted.len()
    }
}
