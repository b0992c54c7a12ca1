//! What this turn's look adds to memory: unbroken series, good cycles, growth of the baseline, proofs. Pure.

mod by_others;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::judge::facts::{Facts, Ground};
use crate::judge::steps::cycle;
use crate::judge::{baseline, dates, good_cycle, group_plan, kept, pim, restored};
use crate::model::baseline::{Baseline, Growth};
use crate::model::compact::{InOrder, Pool};
use crate::model::id::GroupId;
use crate::model::key::{Key, KeyKind};
use crate::model::memory::{
    BaselineSource, KnownUses, LOOKS, Latest, Memory, ObservedLog, Remembered, RevocationProof, Since, Size, Streak, Uses,
};
use crate::model::moment::{Moment, is_ahead};
use crate::model::observed::Observed;
use crate::model::snapshot::{Calibration, ProbeVerdict, Snapshot};
use crate::model::spec::{Mode, Spec};
use crate::turn::permit::Permit;
use crate::turn::settle;

/// How many good cycles are kept in memory.
const CYCLES_KEPT: usize = 16;

/// Users who are in a managed group that still counts and are not (wholly) in the baseline yet.
pub fn growth(facts: &Facts) -> Growth {
    let mut growth = Growth::default();
    if let Some(baseline) = facts.baseline() {
        growth.records = baseline::found(facts, baseline);
    }
    let Some(ground) = facts.ground() else { return growth };
    let known = ground.baseline;
    let unassigned = facts.memory.journal.of(KeyKind::Unassigns).filter(|(_, entry)| entry.confirmed > 0);
    let taken_off: BTreeSet<GroupId> =
        unassigned.filter_map(|(key, _)| if let Key::Unassign(group, _) = key { Some(*group) } else { None }).collect();
    for (id, group) in &known.groups {
        let rows = ground.rows.of(*id);
        let roles: BTreeSet<_> = rows.iter().map(|row| row.role).filter(|role| !group.roles.contains(role)).collect();
        // With what else it is assigned after we took it off is given to whom is in it then, not to all who ever were.
        if !roles.is_empty() && !taken_off.contains(id) {
            growth.roles.insert(*id, roles);
        }
        let is_over = facts.memory.remembered.members_closed.contains_key(id) || !group.was_assigned();
        if rows.is_empty() && is_over {
            continue;
        }
        let Some(seen) = facts.seen.groups.get(id) else { continue };
        for user in seen.members.known().into_iter().flat_map(|members| &members.value.users) {
            let is_new = known.users.get(user).is_none_or(|known| !known.groups.contains(id));
            if is_new && pim::of_newcomer(facts, *id, seen, *user).is_none() {
                growth.users.entry(*user).or_insert_with(|| baseline::new_protected(facts, *user)).groups.insert(*id);
            }
        }
    }
    if facts.is_already_direct() {
        for user in baseline::direct(ground.rows, known.taken).filter(|user| !known.users.contains_key(user)) {
            growth.users.entry(user).or_insert_with(|| baseline::new_protected(facts, user));
        }
    }
    growth
}

/// Once the groups are gone there is none left to learn by; what was learned while they were there still holds.
fn learned_before(mut now: Calibration, before: Option<&Calibration>) -> Calibration {
    if let (Some(now), Some(before)) = (&mut now.no_such, before.and_then(|before| before.no_such.as_ref())) {
        for (now, before) in [(&mut now.users, &before.users), (&mut now.groups, &before.groups)] {
            if now.is_empty() {
                now.clone_from(before);
            }
        }
    }
    now
}

/// The memory of this turn, and what is new in it.
pub struct Remembering {
    pub memory: Memory,
    /// What was remembered before this turn.
    pub before: Remembered,
    /// Of the baseline; it has grown in `memory` already.
    pub growth: Growth,
}

/// Makes this turn's memory from the last one's and the look; `latest` is the latest time that the look may be dated by.
pub fn remember(spec: &Spec, permit: Permit, last: Memory, latest: Option<Latest>, look: &Snapshot, now: Moment) -> Remembering {
    let mut memory = with_reads(spec, look, last);
    memory.remembered.latest = latest;
    let facts = Facts::new(spec, look, &memory, now);
    let instead = instead(&facts, permit.mode(spec));
    let growth = if instead.is_none() { growth(&facts) } else { Growth::default() };
    match (instead, &mut memory.baseline) {
        (Some((baseline, source)), _) => (memory.baseline, memory.source) = (baseline, source),
        (None, Observed::Known(baseline)) => baseline.grow(&growth),
        (None, _) => {}
    }
    let before = memory.remembered.clone();
    let mut memory = take_in(spec, look, memory, now);
    // The operator has read what it would do, and sets the mode anew.
    if spec.mode == Mode::Observe && permit != Permit::ReadOnly {
        (memory.remembered.rolled_back, memory.remembered.unwatched) = (None, None);
    }
    Remembering { memory, before, growth }
}

/// With what the process keeps of this look for the next one.
fn with_reads(spec: &Spec, look: &Snapshot, last: Memory) -> Memory {
    let target = look.target.look.known().cloned().or(last.target);
    let job = look.jobs.known().and_then(|jobs| spec.entra.job(&jobs.value));
    let log =
        look.log.known().zip(job).map(|(log, job)| ObservedLog { job: job.id.clone(), look: log.clone(), whole: look.log_whole });
    Memory { target, log: log.or(last.log), rounds: look.rounds, ..last }
}

/// What is judged by in place of the ledger's baseline: in `Observe` one that is not written down, and none that is another's.
fn instead(facts: &Facts, mode: Mode) -> Option<(Observed<Baseline>, BaselineSource)> {
    if facts.memory.baseline.is_absent() && mode == Mode::Observe {
        let baseline = baseline::take_baseline(facts);
        return baseline.map(|baseline| (Observed::Known(baseline), BaselineSource::Provisional)).ok();
    }
    baseline::bound_elsewhere(facts).map(|why| (Observed::Unknown(why), facts.memory.source))
}

/// Each makes what is remembered from what it was, and rests on what those before it have made of it.
const STAGES: [fn(&Facts) -> Remembered; 3] = [with_look, with_cycle, with_proof];

/// With what the look adds to what is remembered. The caller has let the baseline grow first.
pub fn take_in(spec: &Spec, seen: &Snapshot, mut memory: Memory, now: Moment) -> Memory {
    for stage in STAGES {
        memory.remembered = stage(&Facts::new(spec, seen, &memory, now));
    }
    memory
}

/// What the look shows by itself.
fn with_look(facts: &Facts) -> Remembered {
    let mut next = facts.memory.remembered.clone();
    if let Some(Observed::Known(calibration)) = &facts.seen.calibration {
        let before = next.calibration.as_ref().filter(|before| before.url == calibration.url);
        next.calibration = Some(learned_before(calibration.clone(), before));
    }
    if facts.baseline().is_some() {
        coverage(facts, &mut next);
        rows(facts, &mut next);
        members(facts, &mut next);
        by_others::departures(facts, &mut next);
        sizes(facts, &mut next);
        uses(facts, &mut next);
        next.unwatched = restored::watched(facts);
        next.gone = settle::gone(facts);
        dates::misdated(facts, &mut next);
        target::remember(facts, &mut next);
    }
    probe(facts, &mut next);
    // Nothing that is kept lies in the service's future.
    if let Some(look) = facts.seen.jobs.known() {
        next.cycles.retain(|cycle| !is_ahead(cycle.ended, look.at));
    }
    next
}

/// Whether the last cycle was good, and who is lost.
fn with_cycle(facts: &Facts) -> Remembered {
    let mut next = facts.memory.remembered.clone();
    if facts.baseline().is_some()
        && let Some(job) = facts.job()
    {
        let good = good_cycle::good(facts, job);
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
    target::count(facts, &mut next);
    by_others::offboarded(facts, &mut next);
    rounds(facts, &mut next);
    next
}

fn coverage(facts: &Facts, next: &mut Remembered) {
    let Some(Ground { baseline, rows, .. }) = facts.ground() else { return };
    let (mut known, mut pool) = (InOrder::over(&next.covered_since), Pool::default());
    let covered = baseline.users.keys().filter_map(|id| {
        let before = known.get(id);
        let kept = |role| before.and_then(|before| before.get(&role)).filter(|first| !is_ahead(*first, rows.at));
        let first = |role| kept(role).unwrap_or(rows.at);
        let roles: Since = rows.of_user(*id).map(|(role, _)| (role, first(role))).collect();
        (!roles.is_empty()).then(|| (*id, roles.shared(&mut pool)))
    });
    let since: BTreeMap<_, _> = covered.collect();
    if *next.covered_since != since {
        next.covered_since = Arc::new(since);
    }
}

fn rows(facts: &Facts, next: &mut Remembered) {
    let Some(Ground { baseline, rows, .. }) = facts.ground() else { return };
    for (id, group) in &baseline.groups {
        if !rows.has(*id) {
            // Nobody was ever in scope through it while we looked.
            if !group.was_assigned() {
                next.members_closed.entry(*id).or_insert(rows.at);
            }
            let streak = Streak::extend(next.unassigned.get(id).copied(), rows.at);
            next.unassigned.insert(*id, streak);
            if streak.is_believed(LOOKS, facts.spec.timing.settle) {
                next.unassigned_at.entry(*id).or_insert(rows.at);
                next.assigned_again.remove(id);
            }
            if let Some(at) = next.unassigned_at.get_mut(id).filter(|at| is_ahead(**at, rows.at)) {
                *at = rows.at;
            }
        } else {
            if by_others::is_assigned_again(facts, *id, rows.of(*id)) {
                next.assigned_again.insert(*id);
            }
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

/// What once hung on a group hangs on it until complete looks have said otherwise often enough: one answer that leaves it out
/// empties nothing.
fn uses(facts: &Facts, next: &mut Remembered) {
    let Some(ground) = facts.ground() else { return };
    let merge = |known: &mut Uses, seen: Option<Vec<String>>| {
        let Some(seen) = seen else { return };
        known.retain(|name, gone| {
            *gone = (!seen.contains(name)).then(|| Streak::extend(*gone, ground.rows.at));
            gone.is_none_or(|gone| !gone.is_believed(LOOKS, facts.spec.timing.settle))
        });
        known.extend(seen.into_iter().map(|name| (name, None)));
    };
    for (id, seen) in facts.seen.groups.iter().filter(|(id, _)| ground.baseline.groups.contains_key(id)) {
        let known = next.uses.entry(*id).or_default();
        merge(&mut known.apps, seen.uses.known().map(|uses| uses.other_apps.clone()));
        merge(&mut known.parents, seen.uses.known().map(|uses| uses.member_of.clone()));
        merge(&mut known.policies, group_plan::policies_of(facts, *id));
        merge(&mut known.lent, group_plan::lent_of(seen));
        merge(&mut known.eligible, group_plan::eligible_of(seen));
        if *known == KnownUses::default() {
            next.uses.remove(id);
        }
    }
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
    let mut note = |key: String, count: u64, missing: Option<u64>| {
        let size = match next.sizes.get(&key) {
            Some(before) if is_shrunk(facts.spec, before, count, missing) => {
                let looks = before.smaller.map_or(0, |(_, looks)| looks) + 1;
                Size { smaller: Some((count, looks)), ..*before }
            }
            _ => Size { count, missing, smaller: None },
        };
        next.sizes.insert(key, size);
    };
    if let Some(rows) = facts.rows() {
        note("assignments".into(), rows.of_users() as u64, None);
    }
    for (id, seen) in &facts.seen.groups {
        if let Some(look) = seen.members.known() {
            let explained = |user| facts.may_be_ours(&Key::Member(*id, user)) || facts.has_departed(user);
            let missing = facts.gone_from(*id).filter(|person| !explained(person.id)).count();
            note(format!("members/{id}"), look.value.users.len() as u64, Some(missing as u64));
        }
    }
}

/// Shorter than writes of ours explain, by more than the limit and its floor of 3.
fn is_shrunk(spec: &Spec, before: &Size, count: u64, missing: Option<u64>) -> bool {
    let unexplained = match (before.missing, missing) {
        (Some(before), Some(now)) => now.saturating_sub(before),
        // As an earlier version has left it: it is taken as it is now.
        (None, Some(_)) => 0,
        (_, None) => before.count.saturating_sub(count),
    };
    unexplained > 3.max(spec.limits.max_shrink.of(before.count as usize) as u64)
}

fn rounds(facts: &Facts, next: &mut Remembered) {
    let Some(look) = facts.memory.target.as_ref().filter(|look| look.turn == next.turn) else { return };
    let clean = kept::groups_remaining(facts, look).is_ok_and(|remaining| remaining.is_empty())
        && kept::tally(facts)
            .is_some_and(|tally| tally.lost.is_empty() && tally.uncertain.is_empty() && tally.unknown.is_empty());
    if !clean {
        next.clean_rounds.clear();
    } else if next.clean_rounds.last() != Some(&look.turn) {
        next.clean_rounds.push(look.turn);
        let surplus = next.clean_rounds.len().saturating_sub(cycle::ROUNDS);
        next.clean_rounds.drain(..surplus);
    }
}

fn probe(facts: &Facts, next: &mut Remembered) {
    next.signs_in_by_oauth = facts.signs_in_by_oauth();
    let Some(probe) = &facts.seen.probe else { return };
    next.probed_at = Some(probe.at);
    next.inconclusive = Some(probe.detail.clone()).filter(|_| probe.verdict == ProbeVerdict::Inconclusive);
    match probe.verdict {
        // The token that was refused is not the one that Entra uses.
        ProbeVerdict::Rejected if next.signs_in_by_oauth => next.rejections.clear(),
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
                asked_in_vain(facts, next);
            }
        }
        ProbeVerdict::Inconclusive => {
            if next.revocation_proof.is_none() {
                next.rejections.clear();
            }
        }
    }
}

/// A latch has opened: whatever was asked for so far no longer counts.
fn asked_in_vain(facts: &Facts, next: &mut Remembered) {
    next.ask_anew(&facts.memory.journal);
}

/// Step 4's proof: made once it can be, and void once a row or a group is back.
fn with_proof(facts: &Facts) -> Remembered {
    let mut next = facts.memory.remembered.clone();
    let Some(baseline) = facts.baseline().filter(|_| !facts.is_token_rejected()) else { return next };
    if next.cycle_proof.is_some() {
        let row_back = baseline.groups.keys().any(|group| facts.is_on(*group));
        let group_back = facts
            .memory
            .target
            .as_ref()
            .filter(|look| look.turn == next.turn)
            .and_then(|look| kept::groups_remaining(facts, look).ok())
            .is_some_and(|remaining| !remaining.is_empty());
        if row_back || group_back {
            next.cycle_proof = None;
            next.clean_rounds.clear();
            asked_in_vain(facts, &mut next);
        }
        return next;
    }
    let unassigned = facts.rows().is_some() && baseline.groups.keys().all(|group| facts.is_off(*group));
    if unassigned && facts.memory.source == BaselineSource::Ledger {
        next.cycle_proof = cycle::prove(facts).ok();
    }
    next
}
