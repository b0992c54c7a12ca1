//! What this turn's look adds to memory: unbroken series, good cycles, growth of the baseline, proofs. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::guide::{Facts, LOOKS, baseline, cycle, kept};
use crate::model::baseline::Growth;
use crate::model::compact::{Few, InOrder, Pool};
use crate::model::id::{GroupId, UserId};
use crate::model::key::{Key, Kin};
use crate::model::memory::{Departure, DepartureKind, Memory, Remembered, RevocationProof, Since, Size, Streak};
use crate::model::moment::Moment;
use crate::model::seen::Seen;
use crate::model::snapshot::{ProbeVerdict, Snapshot};
use crate::model::spec::Spec;
use crate::settle;

/// How many good cycles are kept in memory.
const CYCLES_KEPT: usize = 16;

/// Users who are in a managed group that still counts and are not (wholly) in the baseline yet.
pub fn growth(facts: &Facts) -> Growth {
    let mut growth = Growth::default();
    let (Some(baseline), true) = (facts.baseline(), facts.seen.assignments.is_known()) else { return growth };
    for (id, group) in &baseline.groups {
        let rows = facts.rows_of(*id);
        let roles: std::collections::BTreeSet<_> =
            rows.iter().map(|row| row.role).filter(|role| !group.roles.contains(role)).collect();
        if !roles.is_empty() {
            growth.roles.insert(*id, roles);
        }
        if rows.is_empty() && facts.memory.remembered.members_closed.contains_key(id) {
            continue;
        }
        let Some(members) = facts.seen.groups.get(id).and_then(|seen| seen.members.known()) else { continue };
        for user in &members.value.users {
            if baseline.users.get(user).is_none_or(|known| !known.groups.contains(id)) {
                growth.users.entry(*user).or_insert_with(|| baseline::new_protected(facts, *user)).groups.insert(*id);
            }
        }
    }
    growth
}

/// Takes this turn's look into memory. The caller has merged this turn's growth into the baseline first.
pub fn remember(spec: &Spec, seen: &Snapshot, memory: &mut Memory, now: Moment) {
    let mut next = memory.remembered.clone();
    if let Some(Seen::Known(calibration)) = &seen.calibration {
        next.calibration = Some(calibration.clone());
    }
    let facts = Facts::new(spec, seen, memory, now);
    if facts.baseline().is_some() {
        coverage(&facts, &mut next);
        rows(&facts, &mut next);
        members(&facts, &mut next);
        departures(&facts, &mut next);
        sizes(&facts, &mut next);
        next.gone = settle::gone(&facts);
    }
    probe(&facts, &mut next);
    // What follows rests on what was just remembered.
    memory.remembered = next.clone();
    let facts = Facts::new(spec, seen, memory, now);
    if facts.baseline().is_some()
        && let Some(job) = facts.job()
    {
        let good = cycle::good(&facts, job);
        if let Some(last) = job.last.as_ref().filter(|last| last.ended.is_some()) {
            next.seen_cycle = Some((last.activity.clone(), good.is_ok()));
        }
        if let Ok(cycle) = good
            && !next.cycles.iter().any(|known| known.activity == cycle.activity)
        {
            next.cycles.push(cycle);
            let surplus = next.cycles.len().saturating_sub(CYCLES_KEPT);
            next.cycles.drain(..surplus);
        }
    }
    if !facts.is_token_rejected()
        && let Some(tally) = facts.tally()
    {
        let first = |id| next.lost_since.get(id).copied().unwrap_or(now.wall);
        next.lost_since = tally.lost.keys().map(|id| (*id, first(id))).collect();
    }
    rounds(&facts, &mut next);
    latch(spec, seen, memory, now, &mut next);
    memory.remembered = next;
}

fn coverage(facts: &Facts, next: &mut Remembered) {
    let (Some(look), Some(baseline)) = (facts.seen.assignments.known(), facts.baseline()) else { return };
    let (mut known, mut pool) = (InOrder::over(&next.covered_since), Pool::default());
    let covered = baseline.users.keys().filter_map(|id| {
        let before = known.get(id);
        let first = |role| before.and_then(|before| before.get(&role)).unwrap_or(look.at);
        let roles: Since = facts.direct_rows(*id).map(|(role, _)| (role, first(role))).collect();
        (!roles.is_empty()).then(|| (*id, roles.shared(&mut pool)))
    });
    let since: BTreeMap<_, _> = covered.collect();
    if *next.covered_since != since {
        next.covered_since = Arc::new(since);
    }
}

fn rows(facts: &Facts, next: &mut Remembered) {
    let (Some(look), Some(baseline)) = (facts.seen.assignments.known(), facts.baseline()) else { return };
    for id in baseline.groups.keys() {
        if facts.rows_of(*id).is_empty() {
            let streak = Streak::extend(next.unassigned.get(id).copied(), look.at);
            next.unassigned.insert(*id, streak);
            if streak.is_believed(LOOKS, facts.spec.timing.settle) {
                next.unassigned_at.entry(*id).or_insert(look.at);
            }
        } else {
            next.unassigned.remove(id);
            next.unassigned_at.remove(id);
            next.members_closed.remove(id);
        }
    }
}

fn members(facts: &Facts, next: &mut Remembered) {
    for (id, seen) in &facts.seen.groups {
        let Some(look) = seen.members.known() else { continue };
        if look.value.users.is_empty() {
            next.empty.insert(*id, Streak::extend(next.empty.get(id).copied(), look.at));
        } else {
            next.empty.remove(id);
        }
        if next.unassigned_at.get(id).is_some_and(|confirmed| look.at >= *confirmed) {
            next.members_closed.entry(*id).or_insert(look.at);
        }
    }
}

fn departures(facts: &Facts, next: &mut Remembered) {
    let (Some(look), Some(baseline)) = (facts.seen.assignments.known(), facts.baseline()) else { return };
    for (id, user) in &baseline.users {
        let kind = match facts.seen.users.get(id) {
            Some(Seen::Absent) => Some(DepartureKind::Deleted),
            Some(Seen::Known(known)) if known.enabled == Some(false) => Some(DepartureKind::Disabled),
            Some(Seen::Known(_)) if has_left(facts, *id, &user.groups) => Some(DepartureKind::Left),
            Some(Seen::Known(_)) => None,
            // Not looked at: what was known stays.
            Some(Seen::Unknown(_)) | None => continue,
        };
        match kind {
            None => {
                next.departed.remove(id);
            }
            Some(kind) => {
                let before = next.departed.get(id).filter(|before| before.kind == kind).map(|before| before.streak);
                next.departed.insert(*id, Departure { kind, streak: Streak::extend(before, look.at) });
            }
        }
    }
}

/// In none of his groups by complete looks, without a row of his own, and not by our hand.
fn has_left(facts: &Facts, id: UserId, groups: &Few<GroupId>) -> bool {
    let by_us = |group: GroupId| facts.memory.journal.entry(&Key::Member(group, id)).is_some();
    facts.direct_rows(id).next().is_none()
        && !facts.memory.journal.of(Kin::AssignsOf(id)).any(|(_, entry)| entry.intents > 0)
        && groups.iter().all(|group| {
            !by_us(*group)
                && facts
                    .seen
                    .groups
                    .get(group)
                    .and_then(|seen| seen.members.known())
                    .is_some_and(|look| !look.value.users.contains(&id))
        })
}

fn sizes(facts: &Facts, next: &mut Remembered) {
    let closed = |key: &String| {
        let group = key.strip_prefix("members/").and_then(|id| id.parse().ok()).map(GroupId);
        group.is_some_and(|group| {
            !facts.seen.groups.contains_key(&group) && facts.memory.remembered.members_closed.contains_key(&group)
        })
    };
    // What is not read any more can't explain itself.
    next.sizes.retain(|key, _| !closed(key));
    let mut note = |key: String, count: u64, ours: u64| {
        let size = match next.sizes.get(&key) {
            Some(before) if is_shrunk(facts.spec, before, count, ours) => {
                let looks = before.smaller.map_or(0, |(_, looks)| looks) + 1;
                Size { smaller: Some((count, looks)), ..*before }
            }
            _ => Size { count, ours, smaller: None },
        };
        next.sizes.insert(key, size);
    };
    if let Some(look) = facts.seen.assignments.known() {
        let users = look.value.iter().filter(|row| matches!(row.principal, crate::model::snapshot::Principal::User(_))).count();
        note("assignments".into(), users as u64, 0);
    }
    for (id, seen) in &facts.seen.groups {
        if let Some(look) = seen.members.known() {
            let ours = facts.memory.journal.of(Kin::MembersOf(*id)).filter(|(_, entry)| entry.intents > 0).count();
            note(format!("members/{id}"), look.value.users.len() as u64, ours as u64);
        }
    }
}

/// Smaller than our own removals explain, by more than the limit and its floor of 3.
fn is_shrunk(spec: &Spec, before: &Size, count: u64, ours: u64) -> bool {
    let unexplained = before.count.saturating_sub(count).saturating_sub(ours.saturating_sub(before.ours));
    unexplained > 3.max(spec.limits.max_shrink.of(before.count as usize) as u64)
}

fn rounds(facts: &Facts, next: &mut Remembered) {
    let Some(look) = facts.memory.target.as_ref().filter(|look| look.turn == next.turn) else { return };
    let clean = kept::groups_remaining(facts, look).is_ok_and(|remaining| remaining.is_empty())
        && facts.tally().is_some_and(|tally| tally.lost.is_empty() && tally.unknown.is_empty());
    if !clean {
        next.clean_rounds.clear();
    } else if next.clean_rounds.last() != Some(&look.turn) {
        next.clean_rounds.push(look.turn);
        let surplus = next.clean_rounds.len().saturating_sub(cycle::ROUNDS);
        next.clean_rounds.drain(..surplus);
    }
}

fn probe(facts: &Facts, next: &mut Remembered) {
    let Some(probe) = &facts.seen.probe else { return };
    next.probed_at = Some(probe.at);
    match probe.verdict {
        ProbeVerdict::Rejected => {
            if next.revocation_proof.is_some() {
                return;
            }
            next.rejections.push(probe.clone());
            if next.rejections.len() >= facts.spec.target.revocation.confirmations as usize
                && next.cycle_proof.is_some()
                && let Some(calibration) = next.calibration.clone()
            {
                next.revocation_proof = Some(RevocationProof { calibration, rejections: next.rejections.clone(), at: probe.at });
            }
        }
        ProbeVerdict::Answers => {
            next.rejections.clear();
            if next.revocation_proof.take().is_some() {
                // The door is open again: an engine may run, so 4 and 5 are owed in full.
                next.cycle_proof = None;
                next.clean_rounds.clear();
                next.revocations_void = facts.memory.journal.revocations();
            }
        }
        ProbeVerdict::Inconclusive => {
            if next.revocation_proof.is_none() {
                next.rejections.clear();
            }
        }
    }
}

fn latch(spec: &Spec, seen: &Snapshot, memory: &mut Memory, now: Moment, next: &mut Remembered) {
    if next.revocation_proof.is_some() {
        return;
    }
    memory.remembered = next.clone();
    let facts = Facts::new(spec, seen, memory, now);
    let Some(baseline) = facts.baseline() else { return };
    if next.cycle_proof.is_some() {
        let row_back = baseline.groups.keys().any(|group| !facts.rows_of(*group).is_empty());
        let group_back = facts
            .memory
            .target
            .as_ref()
            .filter(|look| look.turn == next.turn)
            .and_then(|look| kept::groups_remaining(&facts, look).ok())
            .is_some_and(|remaining| !remaining.is_empty());
        if row_back || group_back {
            next.cycle_proof = None;
            next.clean_rounds.clear();
            next.revocations_void = facts.memory.journal.revocations();
        }
        return;
    }
    let unassigned = facts.seen.assignments.is_known() && baseline.groups.keys().all(|group| facts.rows_of(*group).is_empty());
    if unassigned && memory.source == crate::model::memory::BaselineSource::Ledger {
        next.cycle_proof = cycle::prove(&facts).ok();
    }
}
