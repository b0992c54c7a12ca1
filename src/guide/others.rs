//! Is somebody else at work on the same app? Only a note is made of it: what others do may be meant, and no brake rests on it.

use super::facts::Person;
use super::{Facts, count};
use crate::model::id::UserId;
use crate::model::key::Key;
use crate::model::memory::{BaselineSource, DepartureKind};
use crate::model::seen::Seen;

/// Fewer is how a company lives: somebody joins, somebody leaves. The same floor as for a list that shrank.
const IN_NUMBER: usize = 3;

/// What this ledger's journal does not explain, once it is more than a few.
pub fn note(facts: &Facts) -> Option<String> {
    // After the end admins assign users directly.
    let baseline = facts.baseline().filter(|_| facts.memory.source == BaselineSource::Ledger && !facts.is_token_rejected())?;
    let ours = |key: Key| facts.written(&key).is_some();
    let (mut rows, mut gone) = (0usize, 0usize);
    for person in facts.people() {
        rows += facts
            .own_rows(person)
            .filter(|(role, made)| made.is_some_and(|made| made > baseline.taken) && !ours(Key::Assign(person.id, *role)))
            .count();
    }
    let deleted = |user: UserId| {
        facts.seen.users.get(&user).is_some_and(Seen::is_absent)
            || facts.memory.remembered.departed.get(&user).is_some_and(|departure| departure.kind == DepartureKind::Deleted)
    };
    for group in baseline.groups.keys().filter(|group| !facts.rows_of(**group).is_empty()) {
        let by_others = |person: &&Person| !deleted(person.id) && !ours(Key::Member(*group, person.id));
        gone += facts.gone_from(*group).filter(by_others).count();
    }
    let mut what = Vec::new();
    if rows >= IN_NUMBER {
        what.push(format!("{} of protected users made since the baseline", count(rows, "direct assignment")));
    }
    if gone >= IN_NUMBER {
        what.push(format!("{} gone from managed groups", count(gone, "membership")));
    }
    (!what.is_empty()).then(|| {
        format!(
            "somebody else assigns users or empties groups here: {}, and this ledger wrote none of it; is another unscim, or a script, at work on this app?",
            what.join(", ")
        )
    })
}
