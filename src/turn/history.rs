//! What this turn has shown that the report must tell later. Pure.

use std::collections::BTreeSet;

use crate::judge::facts::{Facts, Person};
use crate::judge::good_cycle;
use crate::judge::kept::{self, Kept};
use crate::judge::strangers;
use crate::model::baseline::Protected;
use crate::model::history::{Event, HistoryEntry, UserAfter, Verdict};
use crate::model::id::UserId;
use crate::model::memory::{CycleProof, Remembered};
use crate::model::snapshot::{ScimUser, TargetLook};
use crate::model::stranger::Ended;

/// Users in one event: a large tenant's are never in memory all together a second time.
const USERS_AT_ONCE: usize = 1_000;

/// Between the memory before and that of the facts; nothing without a baseline on disk.
pub fn since<'f, 'a>(facts: &'f Facts<'a>, before: &Remembered) -> impl Iterator<Item = HistoryEntry> + use<'f, 'a> {
    let now = &facts.memory.remembered;
    let (mut first, mut proof, mut last) = (Vec::new(), None, Vec::new());
    if facts.recorded().is_some() {
        if now.seen_cycle != before.seen_cycle {
            first.extend(last_cycle(facts));
        }
        people(facts, before, &mut first);
        by_others(now, before, &mut first);
        match (&before.cycle_proof, &now.cycle_proof) {
            (None, Some(proven)) => proof = Some(proven),
            (Some(_), None) => first.push(Event::CycleProofVoid),
            _ => {}
        }
        match (&before.revocation_proof, &now.revocation_proof) {
            (None, Some(proof)) => last.push(Event::TokenRejected { proof: proof.clone() }),
            (Some(_), None) => last.push(Event::TokenAnswersAgain),
            _ => {}
        }
    }
    let proven = proof.into_iter().flat_map(|proof| proven(facts, proof));
    let witnessed = |event| HistoryEntry { at: facts.now, turn: now.turn, event };
    first.into_iter().chain(proven).chain(last).map(witnessed)
}

fn last_cycle(facts: &Facts) -> Option<Event> {
    let job = facts.job()?;
    let last = job.last.as_ref()?;
    let why = good_cycle::good(facts, job).err().map(|why| why.to_string());
    Some(Event::Cycle { activity: last.activity.clone(), began: last.began, ended: last.ended?, counts: why.is_none(), why })
}

fn people(facts: &Facts, before: &Remembered, events: &mut Vec<Event>) {
    let now = &facts.memory.remembered;
    for (user, departure) in &now.departed {
        if before.departed.get(user).is_none_or(|known| known.kind != departure.kind) {
            events.push(Event::Departed { user: *user, kind: departure.kind });
        }
    }
    for user in before.departed.keys().filter(|user| !now.departed.contains_key(user)) {
        events.push(Event::Returned { user: *user });
    }
    // Said anew where there is more to say.
    for Ended { who, why } in now.ended.iter().filter(|ended| !before.ended.contains(ended)) {
        events.push(Event::StrangerEnded { who: who.to_string(), why: why.clone() });
    }
    for Ended { who, .. } in before.ended.iter().filter(|was| now.ended.iter().all(|ended| ended.who != was.who)) {
        if let Some(why) = strangers::over(facts, who) {
            events.push(Event::StrangerOver { who: who.to_string(), why: why.into() });
        }
    }
    for (user, name) in now.renamed.iter().filter(|(user, name)| before.renamed.get(user) != Some(name)) {
        events.push(Event::Renamed { user: *user, name: name.to_string() });
    }
    // Said anew where there is other to say.
    for (user, why) in now.lost_by.iter().filter(|(user, _)| before.lost_since.contains_key(user)) {
        if before.lost_by.get(user).is_some_and(|was| was != why) {
            events.push(Event::Lost { user: *user, why: why.clone() });
        }
    }
    if now.lost_since != before.lost_since {
        for user in now.lost_since.keys().filter(|user| !before.lost_since.contains_key(user)) {
            events.push(Event::Lost { user: *user, why: now.lost_by.get(user).cloned().unwrap_or_default() });
        }
        let is_over = |user: &&UserId| !now.lost_since.contains_key(user) && !now.released.contains(user);
        for user in before.lost_since.keys().filter(is_over) {
            events.push(Event::NoLongerLost { user: *user });
        }
    }
    let [doubted_before, doubted]: [BTreeSet<UserId>; 2] =
        [before, now].map(|remembered| remembered.doubted().map(|(id, _)| *id).collect());
    for user in doubted.difference(&doubted_before) {
        let why = kept::tally(facts).and_then(|tally| tally.uncertain.get(user)).cloned().unwrap_or_default();
        events.push(Event::Doubted { user: *user, why });
    }
    // Nor is that over for whom something worse has begun.
    let is_over = |user: &&UserId| !now.doubts.contains_key(user) && !now.lost_since.contains_key(user);
    events.extend(doubted_before.difference(&doubted).filter(is_over).map(|user| Event::NoLongerDoubted { user: *user }));
    let released = now.released.difference(&before.released).map(|user| Event::Released { user: *user });
    let not_released = before.released.difference(&now.released).map(|user| Event::NoLongerReleased { user: *user });
    events.extend(released.chain(not_released));
}

/// What somebody else has changed that we had brought about.
fn by_others(now: &Remembered, before: &Remembered, events: &mut Vec<Event>) {
    let (groups, were) = (&now.assigned_again, &before.assigned_again);
    events.extend(groups.difference(were).map(|group| Event::AssignedAgain { group: *group }));
    events.extend(were.difference(groups).map(|group| Event::OffAgain { group: *group }));
    let (users, were) = (&now.offboarded, &before.offboarded);
    events.extend(users.difference(were).map(|user| Event::Offboarded { user: *user }));
    events.extend(were.difference(users).map(|user| Event::NoLongerOffboarded { user: *user }));
}

/// The target as it was when step 4 was proven, everybody with the record that was read.
fn proven<'f, 'a>(facts: &'f Facts<'a>, proof: &CycleProof) -> impl Iterator<Item = Event> + use<'f, 'a> {
    let look = facts.memory.target.as_ref();
    let after = move |person: &Person| {
        let (verdict, why) = match kept::of(facts, person) {
            Kept::Kept => (Verdict::Kept, None),
            Kept::NotCounted => (Verdict::NotCounted, None),
            Kept::Explained(kind) => (Verdict::Explained, Some(format!("{kind:?} in Entra"))),
            Kept::Lost(why) => (Verdict::Lost, Some(why)),
            Kept::Uncertain(why) | Kept::Unknown(why) => (Verdict::Unknown, Some(why)),
        };
        (person.id, UserAfter { record: look.and_then(|look| record(look, person.user)), verdict, why })
    };
    let parts = facts.people().chunks(USERS_AT_ONCE);
    let users = parts.map(move |people| Event::UsersAfter { users: people.iter().map(&after).collect() });
    let groups = facts.baseline().into_iter().flat_map(|baseline| &baseline.groups);
    let groups = groups.map(|(id, group)| (*id, group.scim.clone())).collect();
    users.chain([Event::CycleProven { proof: proof.clone(), groups }])
}

fn record(look: &TargetLook, user: &Protected) -> Option<ScimUser> {
    look.user(&user.target.record()?.id).known().copied().cloned()
}
