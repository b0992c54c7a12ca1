//! Whether the ledger may be a backup that was put back: then it acts on a past, and would undo what was done since.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::model::key::Key;
use crate::model::memory::Behind;
use crate::model::moment::{SKEW, since};

/// What a process finds when it begins with a ledger that was last read with at this service time: managed groups that were
/// assigned again since, though the journal says that we unassigned them. An admin may have done it while nobody watched, and so
/// may a rollback with a newer ledger: nobody can tell but a person. What a restart lets pass is corrected like anything else.
pub fn behind(facts: &Facts, last: Timestamp) -> Option<Behind> {
    let ground = facts.ground().filter(|_| facts.memory.remembered.rolled_back.is_none())?;
    let was_ours = |key: &Key| facts.written(key).is_some_and(|entry| entry.confirmed > 0);
    let is_newer = |made: Option<Timestamp>| made.is_some_and(|made| since(last, made) > SKEW);
    let is_back = |group: &&_| {
        ground.rows.of(**group).iter().any(|row| is_newer(row.created) && was_ours(&Key::Unassign(**group, row.role)))
    };
    let groups: BTreeSet<_> = ground.baseline.groups.keys().filter(is_back).copied().collect();
    (!groups.is_empty()).then_some(Behind { last, groups })
}

/// What is left of it: a group that is off again asks nobody anything.
pub fn still(facts: &Facts, behind: Behind) -> Option<Behind> {
    let groups: BTreeSet<_> = behind.groups.into_iter().filter(|group| !facts.is_off(*group)).collect();
    (!groups.is_empty()).then_some(Behind { groups, ..behind })
}
