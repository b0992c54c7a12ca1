//! What this turn has shown that the report must tell later. Pure.

use std::collections::BTreeMap;

use crate::guide::kept::{self, Kept};
use crate::guide::{Facts, cycle};
use crate::model::id::UserId;
use crate::model::memory::{BaselineSource, CycleProof, Remembered};
use crate::model::snapshot::TargetLook;
use crate::model::witness::{Event, UserAfter, Verdict, Witnessed};

/// Between the memory before and that of the facts; nothing without a baseline on disk.
pub fn witness(facts: &Facts, before: &Remembered) -> Vec<Witnessed> {
    let now = &facts.memory.remembered;
    if facts.baseline().is_none() || facts.memory.source != BaselineSource::Ledger {
        return Vec::new();
    }
    let mut events = Vec::new();
    if now.seen_cycle != before.seen_cycle {
        events.extend(last_cycle(facts));
    }
    people(facts, before, &mut events);
    match (&before.cycle_proof, &now.cycle_proof) {
        (None, Some(proof)) => events.extend(proven(facts, proof)),
        (Some(_), None) => events.push(Event::CycleProofVoid),
        _ => {}
    }
    match (&before.revocation_proof, &now.revocation_proof) {
        (None, Some(proof)) => events.push(Event::TokenRejected { proof: proof.clone() }),
        (Some(_), None) => events.push(Event::TokenAnswersAgain),
        _ => {}
    }
    events.into_iter().map(|event| Witnessed { at: facts.now, turn: now.turn, event }).collect()
}

fn last_cycle(facts: &Facts) -> Option<Event> {
    let job = facts.job()?;
    let last = job.last.as_ref()?;
    let why = cycle::good(facts, job).err();
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
    if now.lost_since != before.lost_since {
        let lost = facts.tally().map(|tally| &tally.lost);
        for user in now.lost_since.keys().filter(|user| !before.lost_since.contains_key(user)) {
            events.push(Event::Lost { user: *user, why: lost.and_then(|lost| lost.get(user)).cloned().unwrap_or_default() });
        }
        for user in before.lost_since.keys().filter(|user| !now.lost_since.contains_key(user)) {
            events.push(Event::NoLongerLost { user: *user });
        }
    }
}

/// The target as it was when step 4 was proven, everybody with the record that was read.
fn proven(facts: &Facts, proof: &CycleProof) -> Option<Event> {
    let (baseline, look) = (facts.baseline()?, facts.memory.target.as_ref()?);
    let after = |(id, user): (&UserId, &_)| {
        let (verdict, why) = match kept::of(facts, *id, user) {
            Kept::Kept => (Verdict::Kept, None),
            Kept::NotCounted => (Verdict::NotCounted, None),
            Kept::Explained(kind) => (Verdict::Explained, Some(format!("{kind:?} in Entra"))),
            Kept::Lost(why) => (Verdict::Lost, Some(why)),
            Kept::Unknown(why) => (Verdict::Unknown, Some(why)),
        };
        (*id, UserAfter { record: record(look, user), verdict, why })
    };
    let users = baseline.users.iter().map(after).collect();
    let groups: BTreeMap<_, _> = baseline.groups.iter().map(|(id, group)| (*id, group.scim.clone())).collect();
    Some(Event::CycleProven { proof: proof.clone(), users, groups })
}

fn record(look: &TargetLook, user: &crate::model::baseline::Protected) -> Option<crate::model::snapshot::ScimUser> {
    look.user(&user.target.as_ref()?.id).known().copied().cloned()
}
