//! What others have done: groups assigned again, people who left, were disabled or deleted, or were taken out after the end.

use crate::judge::facts::{Facts, Ground};
use crate::model::compact::Few;
use crate::model::id::{GroupId, UserId};
use crate::model::key::{Key, KeyKind};
use crate::model::memory::{Departure, DepartureKind, Remembered, Streak};
use crate::model::observed::Observed;
use crate::model::snapshot::Assignment;

/// Made after it was off the app, by Entra's own times: a replica that lags shows what was made before.
pub(super) fn is_assigned_again(facts: &Facts, group: GroupId, rows: &[&Assignment]) -> bool {
    let remembered = &facts.memory.remembered;
    let was_off = remembered.unassigned.get(&group).filter(|_| remembered.unassigned_at.contains_key(&group));
    let by_us = facts.last_confirmed(KeyKind::UnassignsOf(group));
    let Some(off) = was_off.map(|streak| streak.since).max(by_us) else { return false };
    rows.iter().any(|row| row.created.map_or(was_off.is_some(), |made| made > off))
}

/// Whom somebody has taken out of scope after the retirement.
pub(super) fn offboarded(facts: &Facts, next: &mut Remembered) {
    if !facts.is_token_rejected() {
        next.offboarded.clear();
    } else if facts.recorded().is_some() && facts.rows().is_some() {
        next.offboarded = facts.people().iter().filter(|person| facts.is_offboarded(person)).map(|person| person.id).collect();
    }
}

pub(super) fn departures(facts: &Facts, next: &mut Remembered) {
    let Some(ground) = facts.ground() else { return };
    // A provisional baseline is of this look. What is told once is told after there is one on disk.
    if facts.recorded().is_none() {
        next.departed.clear();
        return;
    }
    for (id, user) in &ground.baseline.users {
        let kind = match facts.seen.users.get(id) {
            Some(Observed::Absent) => Some(DepartureKind::Deleted),
            Some(Observed::Known(known)) if known.enabled == Some(false) => Some(DepartureKind::Disabled),
            Some(Observed::Known(_)) if has_left(&ground, *id, &user.groups) => Some(DepartureKind::Left),
            Some(Observed::Known(_)) => None,
            // Not looked at: what was known stays.
            Some(Observed::Unknown(_)) | None => continue,
        };
        match kind {
            None => {
                next.departed.remove(id);
            }
            Some(kind) => {
                let before = next.departed.get(id).filter(|before| before.kind == kind).map(|before| before.streak);
                next.departed.insert(*id, Departure { kind, streak: Streak::extend(before, ground.rows.at) });
            }
        }
    }
}

/// In none of their groups by complete looks, without a direct assignment, and not by our hand.
fn has_left(facts: &Ground, id: UserId, groups: &Few<GroupId>) -> bool {
    let by_us = |group: GroupId| facts.memory.journal.entry(&Key::Member(group, id)).is_some();
    facts.rows.of_user(id).next().is_none()
        && !facts.memory.journal.of(KeyKind::AssignsOf(id)).any(|(_, entry)| entry.intents > 0)
        && groups.iter().all(|group| {
            let is_out = facts.members(*group).is_some_and(|look| !look.value.users.contains(&id));
            !by_us(*group) && is_out
        })
}
