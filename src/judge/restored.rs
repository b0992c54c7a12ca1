//! Whether the ledger may be a backup that was put back: then it acts on a past, and would undo what was done since.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::judge::facts::Facts;
use crate::model::id::GroupId;
use crate::model::key::Key;
use crate::model::memory::{Remembered, Unwatched};
use crate::model::moment::{SKEW, since};

/// An answer is dated to the second, by another machine than the one that stamps what is in it.
const STAMPS: Duration = Duration::from_secs(60);

/// A process goes on with this ledger. What the one before it could not read, or was held by, is asked about again.
pub fn opened(before: &Remembered) -> Option<Unwatched> {
    let open = before.unwatched.filter(|unwatched| unwatched.to.is_none() || unwatched.holds).map(|unwatched| unwatched.from);
    let from = open.or(before.latest.map(|latest| latest.at))?;
    Some(Unwatched { from, to: None, holds: false })
}

/// With this turn's look at the assignments: one that failed settles nothing, nor for this process does one that is an old copy.
pub fn watched(facts: &Facts) -> Option<Unwatched> {
    let unwatched = facts.memory.remembered.unwatched?;
    let Some(rows) = facts.rows() else { return Some(unwatched) };
    let next = Unwatched { to: unwatched.to.or(Some(rows.at)), ..unwatched };
    Some(Unwatched { holds: !put_back(facts, next).is_empty(), ..next })
}

/// Managed groups that were assigned again while nobody watched, though the journal says that we unassigned them. An admin may have
/// done it, and so may a rollback with a newer ledger: nobody can tell but a person. What is no longer than a restart is passed over.
pub fn put_back(facts: &Facts, unwatched: Unwatched) -> BTreeSet<GroupId> {
    let Some(ground) = facts.ground().filter(|_| facts.memory.remembered.rolled_back.is_none()) else { return BTreeSet::new() };
    let was_ours = |key: &Key| facts.written(key).is_some_and(|entry| entry.confirmed > 0);
    let is_of_then = |made| since(unwatched.from, made) > SKEW && unwatched.to.is_some_and(|to| since(to, made) < STAMPS);
    let is_back = |group: &&GroupId| {
        let rows = ground.rows.of(**group);
        rows.iter().any(|row| row.created.is_some_and(is_of_then) && was_ours(&Key::Unassign(**group, row.role)))
    };
    ground.baseline.groups.keys().filter(is_back).copied().collect()
}
