//! What a look at the target adds to memory: whose record was gone or got another name, and who else was there.

use std::sync::Arc;

use crate::judge::facts::{Facts, Person};
use crate::judge::kept::is_renamed_in_entra;
use crate::judge::strangers;
use crate::model::memory::{Doubt, DoubtKind, LOOKS, Remembered};
use crate::model::snapshot::{ScimUser, TargetLook};

/// Only a look of this turn adds anything: an older one has done so.
pub(super) fn remember(facts: &Facts, next: &mut Remembered) {
    renames(facts, next);
    let Some(look) = facts.memory.target.as_ref().filter(|look| look.turn == next.turn) else { return };
    moved(look, next);
    doubts(facts, look, next);
    if next.bystanders_at.is_none() || !facts.memory.has_taken() {
        let now = strangers::bystanders(facts, look);
        if *next.bystanders != now {
            next.bystanders = Arc::new(now);
        }
        next.bystanders_at = Some(facts.now);
    }
}

fn moved(look: &TargetLook, next: &mut Remembered) {
    match look.moved {
        Some(true) => next.moved += 1,
        Some(false) => next.moved = 0,
        None => {}
    }
    next.undated |= next.moved >= LOOKS;
}

/// The directory may be asked for a few users in each turn: what it has said of a name stays said.
fn renames(facts: &Facts, next: &mut Remembered) {
    for (person, _, now) in there(facts).filter(|(_, before, now)| now.is_renamed_since(before)) {
        if let Some(name) = now.user_name.as_deref().filter(|_| is_renamed_in_entra(facts, person.id, now)) {
            next.renamed.insert(person.id, name.to_lowercase().into());
        }
    }
}

fn there<'f, 'a>(facts: &'f Facts<'a>) -> impl Iterator<Item = (&'f Person<'a>, &'a ScimUser, &'a ScimUser)> {
    facts.people().iter().filter_map(|person| Some((person, person.user.target.record()?, person.record?)))
}

fn doubts(facts: &Facts, look: &TargetLook, next: &mut Remembered) {
    let is_ours_there = there(facts).any(|(_, before, _)| look.users.contains_key(&before.id));
    for person in facts.people() {
        let Some(before) = person.user.target.record() else { continue };
        let kind = match person.record {
            None if look.has_gone(&before.id) => DoubtKind::Gone,
            Some(now) if now.is_renamed_since(before) && !is_renamed_in_entra(facts, person.id, now) => DoubtKind::Renamed,
            None if look.user(&before.id).unknown().is_some() => continue,
            Some(_) | None => {
                if next.doubts.get(&person.id).is_some_and(|doubt| !doubt.is_believed_gone()) {
                    next.doubts.remove(&person.id);
                }
                continue;
            }
        };
        let before = next.doubts.get(&person.id).copied();
        if before.is_some_and(|before| before.is_believed_gone()) {
            continue;
        }
        let before = before.filter(|before| before.kind == kind);
        // Where the list shows others of ours, it has said so of this one alone, and who asked for it by its id was told the same. A
        // list without any of them may be an outage's.
        let is_plain = kind == DoubtKind::Gone && is_ours_there;
        let (looks, since) = before.map_or((1, facts.now), |before| (before.looks + 1, before.since));
        next.doubts.insert(person.id, Doubt { kind, since, looks, believed: is_plain || looks >= LOOKS });
    }
}
