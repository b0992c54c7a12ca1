//! The run as a picture, from the ledger as far as it tells; what it does not keep is carried from the status before.

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::judge::plan::Judged;
use crate::judge::steps::GUIDE;
use crate::model::condition::Truth;
use crate::model::key::KeyKind;
use crate::model::moment::since;
use crate::model::snapshot::ExecutionState;
use crate::model::status::{Held, Phase, Status};
use crate::model::timeline::{Burst, Cycle, Hold, StepDone, Timeline};

/// What a picture can tell apart: writes that lie closer than this share of the run are drawn as one.
const PARTS: u128 = 60;
const MOST_CYCLES: usize = 60;
const MOST_HOLDS: usize = 20;

pub(super) fn timeline(facts: &Facts, judged: &[Judged], held: &[Held], phase: Phase, before: Option<&Status>) -> Timeline {
    let last = before.map(|before| before.timeline.clone()).unwrap_or_default();
    // Another's ledger, or none that can be read, tells of another run, or of none.
    let Some(baseline) = facts.recorded() else { return Timeline::default() };
    let heard = facts.seen.jobs.known().map(|look| look.at);
    let heard_before = || last.until.or(facts.memory.remembered.latest.map(|latest| latest.at));
    let remembered = &facts.memory.remembered;
    let over = remembered.standing_since.filter(|_| phase == Phase::Retired && remembered.standing == Some(phase));
    let until = over.or(heard).or_else(heard_before);
    // Nothing has a place in it before the service was heard once.
    let Some(until) = until else { return Timeline { began: Some(baseline.taken), ..last } };
    Timeline {
        began: Some(baseline.taken),
        until: Some(until),
        writes: writes(facts, baseline.taken, until),
        put_back: put_back(facts),
        cycles: cycles(facts, last.cycles),
        holds: holds(held, last.holds, until),
        steps: steps(judged, &last.steps, until),
    }
}

/// In one pass over the journal, which may be long: a place for each part of the run, and neighbours as one.
fn writes(facts: &Facts, began: Timestamp, until: Timestamp) -> Vec<Burst> {
    let whole = since(began, until).as_nanos().max(1);
    let mut all = Vec::new();
    for (action, kin) in
        [("AssignUser", KeyKind::Assigns), ("RemoveMember", KeyKind::Members), ("UnassignGroup", KeyKind::Unassigns)]
    {
        let mut parts: [Option<(u64, Timestamp, Timestamp)>; PARTS as usize + 1] = [None; PARTS as usize + 1];
        for at in facts.memory.journal.of(kin).filter_map(|(_, entry)| entry.last_confirmed()) {
            let part = (since(began, at).as_nanos() * PARTS / whole).min(PARTS);
            let part = &mut parts[usize::try_from(part).unwrap_or(PARTS as usize)];
            let (count, from, to) = part.unwrap_or((0, at, at));
            *part = Some((count + 1, from.min(at), to.max(at)));
        }
        for parts in parts.split(Option::is_none).filter(|parts| !parts.is_empty()) {
            let known = || parts.iter().flatten();
            let from = known().map(|(_, from, _)| *from).min().unwrap_or(began);
            let to = known().map(|(_, _, to)| *to).max().unwrap_or(until);
            all.push(Burst { action: action.into(), count: known().map(|(count, ..)| count).sum(), from, to });
        }
    }
    all
}

fn put_back(facts: &Facts) -> u64 {
    facts.memory.journal.of(KeyKind::PutBack).map(|(_, entry)| u64::from(entry.confirmed)).sum()
}

fn cycles(facts: &Facts, mut cycles: Vec<Cycle>) -> Vec<Cycle> {
    let good = facts.memory.remembered.cycles.iter().map(|cycle| {
        let counts = facts.recorded().is_none_or(|baseline| cycle.ended > baseline.taken);
        Cycle { began: cycle.began, ended: cycle.ended, counts }
    });
    let last = facts.job().and_then(|job| job.last.as_ref()).and_then(|last| {
        let ended = last.ended.filter(|_| last.state != ExecutionState::Succeeded)?;
        Some(Cycle { began: last.began, ended, counts: false })
    });
    for cycle in last.into_iter().chain(good) {
        match cycles.iter_mut().find(|known| known.began == cycle.began) {
            Some(known) => *known = cycle,
            None => cycles.push(cycle),
        }
    }
    cycles.sort_by_key(|cycle| cycle.began);
    let surplus = cycles.len().saturating_sub(MOST_CYCLES);
    cycles.split_off(surplus)
}

fn holds(held: &[Held], mut holds: Vec<Hold>, now: Timestamp) -> Vec<Hold> {
    let goes_on = |brake: &String| held.iter().any(|held| held.brake == *brake);
    for hold in holds.iter_mut().filter(|hold| hold.to.is_none() && !goes_on(&hold.brake)) {
        hold.to = Some(now);
    }
    for held in held {
        if !holds.iter().any(|hold| hold.to.is_none() && hold.brake == held.brake) {
            holds.push(Hold { brake: held.brake.clone(), from: now, to: None });
        }
    }
    let surplus = holds.len().saturating_sub(MOST_HOLDS);
    holds.split_off(surplus)
}

/// A look that fails ends no step that was done.
fn steps(judged: &[Judged], last: &[StepDone], now: Timestamp) -> Vec<StepDone> {
    let truth = |kind| judged.iter().find(|one| one.condition == kind).map(|one| one.truth);
    let done = |kind| {
        let before = last.iter().find(|done| done.kind == kind).map(|done| done.at);
        let at = match truth(kind)? {
            Truth::True => before.unwrap_or(now),
            Truth::Unknown => before?,
            Truth::False => return None,
        };
        Some(StepDone { kind, at })
    };
    GUIDE.iter().filter_map(|step| done(step.condition)).collect()
}
