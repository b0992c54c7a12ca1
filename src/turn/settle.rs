//! Writes whose answer was lost: complete looks tell in the end whether they took effect. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::model::journal::Entry;
use crate::model::key::{Key, KeyKind};
use crate::model::memory::{LOOKS, Streak};
use crate::model::moment::lasts;

/// What looks have shown of a write that was left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It took effect before this service time.
    Done(Timestamp),
    /// It did not, by a complete look at this service time.
    NotDone(Timestamp),
}

/// An absence that is being looked at, for every write left open that takes something away.
pub fn gone(facts: &Facts) -> BTreeMap<Key, Streak> {
    let before = &facts.memory.remembered.gone;
    open(facts)
        .filter(|(key, _)| !matches!(key, Key::Assign(..)))
        .filter_map(|(key, _)| match shown(facts, key) {
            Some((false, at)) => Some((key.clone(), Streak::extend(before.get(key).copied(), at))),
            Some((true, _)) => None,
            // Not looked at: what was known stays.
            None => before.get(key).map(|streak| (key.clone(), *streak)),
        })
        .collect()
}

/// The intents that this turn's look settles. What is there is believed at once where it was to be made, and after the time
/// that reads may lag where it was to go; what is gone, after repeated looks.
pub fn settled(facts: &Facts) -> Vec<(i64, Settled)> {
    let settle = facts.spec.timing.settle;
    let judge = |(key, entry): (&Key, &Entry)| {
        let (there, at) = shown(facts, key)?;
        let aged = entry.begun().is_some_and(|begun| !lasts(begun, facts.seen.began.wall, settle));
        let settled = match (matches!(key, Key::Assign(..)), there) {
            (true, true) => Settled::Done(at),
            (true, false) | (false, true) if aged => Settled::NotDone(at),
            (true, false) | (false, true) => return None,
            (false, false) => {
                let gone = facts.memory.remembered.gone.get(key)?;
                // Its last look, not its first: the later the time, the later the cycle that counts.
                gone.is_believed(LOOKS, settle).then_some(Settled::Done(gone.last))?
            }
        };
        Some((entry.open()?, settled))
    };
    open(facts).filter_map(judge).collect()
}

fn open<'a>(facts: &'a Facts) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
    [KeyKind::Assigns, KeyKind::Members, KeyKind::Unassigns]
        .into_iter()
        .flat_map(|kin| facts.memory.journal.of(kin))
        .filter(|(_, entry)| entry.is_open())
}

/// Whether this turn's complete look shows the object of the write, and the service time of that look.
fn shown(facts: &Facts, key: &Key) -> Option<(bool, Timestamp)> {
    match key {
        Key::Assign(user, role) => {
            let rows = facts.rows()?;
            Some((rows.of_user(*user).any(|(held, _)| held == *role), rows.at))
        }
        Key::Member(group, user) => {
            let look = facts.members(*group)?;
            Some((look.value.users.contains(user), look.at))
        }
        Key::Unassign(group, role) => {
            let rows = facts.rows()?;
            Some((rows.of(*group).iter().any(|row| row.role == *role), rows.at))
        }
        _ => None,
    }
}
