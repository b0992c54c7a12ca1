//! What a look at the target adds to memory: whose record was gone or got another name, who else was there, and how many stand how.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::judge::facts::{Facts, Person, Tally};
use crate::judge::kept::{self, is_renamed_in_entra};
use crate::judge::strangers;
use crate::model::baseline::AtTarget;
use crate::model::id::UserId;
use crate::model::last_read::LastRead;
use crate::model::memory::{Doubt, DoubtKind, LOOKS, Remembered};
use crate::model::snapshot::{ScimUser, TargetLook};
use crate::model::stranger::Ended;

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

/// Who is lost, and how many stand how.
pub(super) fn count(facts: &Facts, next: &mut Remembered) {
    let Some(baseline) = facts.baseline() else { return };
    let released: BTreeSet<UserId> = facts.spec.released.iter().copied().filter(|id| baseline.users.contains_key(id)).collect();
    let tally = if facts.is_token_rejected() { None } else { kept::tally(facts) };
    if let Some(tally) = tally {
        let first = |id| next.lost_since.get(id).copied().unwrap_or(facts.now);
        next.lost_since = tally.lost.keys().map(|id| (*id, first(id))).collect();
        next.lost_by = tally.lost.iter().map(|(id, loss)| (*id, loss.seen.clone())).collect();
        next.ended = tally.strangers.iter().map(|(who, why)| Ended { who: who.clone(), why: why.clone() }).collect();
    } else {
        next.ended = strangers::last_seen(facts).into_iter().cloned().collect();
    }
    let before = next.last_read();
    let known = match next.last_read {
        Some(_) => std::mem::take(&mut next.released),
        // Then no releases are remembered either, and who was released before the proof is not counted in it.
        None => released.iter().copied().filter(|id| !next.lost_since.contains_key(id)).collect(),
    };
    let read = tally.zip(facts.memory.target.as_ref()).map(|(tally, look)| of_tally(tally, look));
    next.last_read = match (read, before) {
        (Some(read), before) if before.is_none_or(|before| read.unread <= before.unread) => Some(read),
        (_, before) => before.map(|before| without(facts, before, &known, &released)),
    };
    next.released = released;
}

fn of_tally(tally: &Tally, look: &TargetLook) -> LastRead {
    LastRead {
        at: look.at.wall,
        counted: tally.counted as u64,
        explained: tally.explained as u64,
        unread: tally.unknown.len() as u64,
        not_known: tally.not_known() as u64,
    }
}

/// The same without who was released since. Who is released no more counts again, and no read has told of them.
fn without(facts: &Facts, read: LastRead, known: &BTreeSet<UserId>, released: &BTreeSet<UserId>) -> LastRead {
    let mut left = read;
    for person in released.difference(known).filter_map(|id| facts.person(*id)) {
        let is_explained = kept::explained(facts, person.id).is_some();
        let (counted, not_known) = match person.user.target {
            AtTarget::NoRecord => (0, u64::from(!is_explained)),
            AtTarget::NotRead | AtTarget::Record(_) => (1, 0),
        };
        left.counted = left.counted.saturating_sub(counted);
        left.explained = left.explained.saturating_sub(counted * u64::from(is_explained));
        left.not_known = left.not_known.saturating_sub(not_known);
    }
    let remembered = &facts.memory.remembered;
    for person in known.difference(released).filter_map(|id| facts.person(*id)) {
        let is_named = remembered.lost_since.contains_key(&person.id) || remembered.doubted().any(|(id, _)| *id == person.id);
        left.counted += 1;
        left.unread += u64::from(!is_named);
    }
    left
}
