//! What is left of each step, in writes, cycles and waits, and the soonest end: a bound that no run can beat.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::judge::canary::Canary;
use crate::judge::facts::{Cover, Facts, Person};
use crate::judge::group_plan::GroupPlan;
use crate::judge::steps::{GUIDE, empty};
use crate::judge::{canary, group_plan, waves};
use crate::model::baseline::Baseline;
use crate::model::id::GroupId;
use crate::model::key::KeyKind;
use crate::model::memory::{LOOKS, Streak};
use crate::model::moment::{later, since};
use crate::model::spec::{Afterwards, RevocationBy};
use crate::model::words::count;

/// Entra's own interval, where the job does not say.
const CYCLE: Duration = Duration::from_secs(40 * 60);

/// What is left of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepLeft {
    pub number: u8,
    pub title: &'static str,
    pub writes: u64,
    pub cycles: u64,
    /// In words, empty where nothing is left.
    pub left: Vec<String>,
    /// The writes alone, at our share of the quota.
    #[serde(serialize_with = "in_words")]
    pub writing: Duration,
    /// By how much it puts off the end, at least.
    #[serde(serialize_with = "in_words")]
    pub takes: Duration,
}

/// What a step still needs, before it is known from when on.
#[derive(Default)]
struct Need {
    /// A cycle that comes before the other writes, and what it must begin after.
    canary: Option<After>,
    writes: usize,
    cycles: u32,
    after: After,
    /// Looks, which go on while a cycle is awaited.
    settles: Duration,
    /// Reads and probes, which follow it.
    waits: Duration,
    left: Vec<String>,
}

/// What a cycle is to carry out.
#[derive(Clone, Copy, Default)]
enum After {
    /// A write that is still to come.
    #[default]
    Writing,
    /// Done then, in the service's time; `None` is long ago.
    Done(Option<Timestamp>),
}

fn in_words<S: serde::Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&humantime::format_duration(Duration::from_secs(value.as_secs())))
}

/// When all of them can be over.
pub fn earliest(facts: &Facts, steps: &[StepLeft]) -> Timestamp {
    later(facts.service_time(), steps.iter().map(|step| step.takes).sum())
}

/// What is left of each step. One begins when those before it are over, unless it has begun already.
pub fn steps_left(facts: &Facts) -> Option<Vec<StepLeft>> {
    let baseline = facts.baseline()?;
    let begun = |kin| facts.memory.first_confirmed(facts.memory.journal.of(kin)).is_some();
    let steps = [
        (false, assign(facts)),
        (begun(KeyKind::Members), empty(facts, baseline)),
        (begun(KeyKind::Unassigns), unassign(facts, baseline)),
        (false, cycle(facts)),
        (false, revoke(facts)),
    ];
    let mut over = Duration::ZERO;
    let left = steps.into_iter().zip(&GUIDE).map(|((begun, need), step)| {
        let begins = if begun { Duration::ZERO } else { over };
        let begins = need.canary.map_or(begins, |after| cycled(facts, begins, 1, after));
        let writing = Duration::from_secs_f64(need.writes as f64 / facts.spec.limits.writes_per_second());
        let written = begins + writing;
        let settled = written + need.settles;
        let after = if begins.is_zero() { need.after } else { After::Writing };
        let ends = settled.max(cycled(facts, written, need.cycles, after)) + need.waits;
        let takes = ends.saturating_sub(over);
        over = over.max(ends);
        StepLeft {
            number: step.number,
            title: step.title,
            writes: need.writes as u64,
            cycles: u64::from(need.cycles + u32::from(need.canary.is_some())),
            left: need.left,
            writing,
            takes,
        }
    });
    Some(left.collect())
}

/// When, from now, so many cycles have ended at the soonest. They begin at the job's interval after the last one, however
/// short they are, and those count that begin the margin after what they are to carry out, which is done after `from`.
fn cycled(facts: &Facts, from: Duration, cycles: u32, after: After) -> Duration {
    let Some(more) = cycles.checked_sub(1) else { return from };
    let (now, job) = (facts.service_time(), facts.job());
    let every = job.and_then(|job| job.interval).unwrap_or(CYCLE).max(Duration::from_secs(1));
    let last = job.and_then(|job| job.last.as_ref());
    let next = match last {
        // It runs now.
        Some(last) if last.ended.is_none() => last.began,
        Some(last) => later(last.began, every).max(now),
        None => now,
    };
    let done = match after {
        After::Done(done) => done,
        After::Writing => Some(later(now, from)),
    };
    let begins = done.map_or(next, |done| later(done, facts.spec.provisioning.cycle_margin));
    let missed = u32::try_from(since(next, begins).as_nanos().div_ceil(every.as_nanos())).unwrap_or(u32::MAX);
    since(now, later(next, every.saturating_mul(missed.saturating_add(more)))).max(from)
}

fn looks(facts: &Facts) -> Duration {
    facts.spec.timing.settle.max(facts.spec.timing.interval * (LOOKS - 1))
}

/// What these series of looks still lack.
fn unbelieved<'a>(facts: &Facts, streaks: impl Iterator<Item = Option<&'a Streak>>) -> Duration {
    let timing = &facts.spec.timing;
    let lacks = |streak: &Streak| {
        let time = timing.settle.saturating_sub(since(streak.since, streak.last));
        time.max(timing.interval * LOOKS.saturating_sub(streak.looks))
    };
    streaks.map(|streak| streak.map_or_else(|| looks(facts), lacks)).max().unwrap_or_default()
}

fn assign(facts: &Facts) -> Need {
    let (mut rows, mut missing, mut waiting, mut settles) = (0, 0usize, 0usize, Duration::ZERO);
    let settle = facts.spec.timing.settle;
    let in_sight = |person: &Person| {
        let first = person.in_sight.and_then(|roles| roles.times().max());
        first.map_or(Duration::ZERO, |first| since(first, facts.service_time()))
    };
    for person in facts.people() {
        match &person.cover {
            Cover::Missing(roles) if !facts.is_released(person.id) => {
                rows += roles.len();
                missing += 1;
                settles = settle;
            }
            Cover::Settling => {
                waiting += 1;
                settles = settles.max(settle.saturating_sub(in_sight(person)));
            }
            Cover::AwaitingCycle => waiting += 1,
            Cover::NotRead | Cover::Missing(_) | Cover::Settled | Cover::Departed => {}
        }
    }
    let mut left = Vec::new();
    if rows > 0 {
        left.push(format!("{} for {}", count(rows, "direct assignment"), count(missing, "user")));
    }
    if waiting > 0 {
        left.push(format!("{} assigned, and not settled yet", count(waiting, "user")));
    }
    let cycles = if rows + waiting > 0 && !facts.is_token_rejected() { facts.spec.provisioning.settle_cycles } else { 0 };
    let after = if rows > 0 { After::Writing } else { After::Done(facts.last_confirmed(KeyKind::Assigns)) };
    Need { writes: rows, cycles, after, settles, left, ..Need::default() }
}

fn assigned<'a>(facts: &'a Facts, baseline: &'a Baseline) -> impl Iterator<Item = GroupId> + 'a {
    baseline.groups.keys().copied().filter(|group| facts.is_on(*group))
}

fn empty(facts: &Facts, baseline: &Baseline) -> Need {
    let members = |group: &GroupId| facts.members(*group).map_or(0, |look| look.value.users.len());
    let to_empty: Vec<GroupId> =
        assigned(facts, baseline).filter(|group| group_plan::plan_for(facts, *group) == GroupPlan::Empty).collect();
    let removals: usize = to_empty.iter().map(members).sum();
    let undecided =
        assigned(facts, baseline).filter(|group| matches!(group_plan::plan_for(facts, *group), GroupPlan::Undecided(_))).count();
    let waiting: Vec<GroupId> = assigned(facts, baseline)
        .filter(|group| matches!(empty::progress(facts, *group), empty::Progress::Wait(..)))
        .filter(|group| members(group) == 0)
        .collect();
    let mut left = Vec::new();
    if removals > 0 {
        left.push(format!("{} out of {}", count(removals, "membership"), count(to_empty.len(), "group")));
    }
    if !waiting.is_empty() {
        left.push(format!("{} empty, and not believed or carried out yet", count(waiting.len(), "group")));
    }
    if undecided > 0 {
        left.push(format!("{} on which a person must decide", count(undecided, "group")));
    }
    let (current, to_come) = waves_left(facts);
    let removals_of = |wave: &[GroupId]| wave.iter().filter(|group| to_empty.contains(group)).map(members).sum::<usize>();
    let removals_now = removals_of(&current);
    // What goes first may be all that goes before the next cycle.
    let canary = match canary::canary(facts) {
        Canary::First if removals_now > 1 => Some(After::Writing),
        Canary::Running(..) if removals_now > 0 => canary_awaits(facts),
        Canary::First | Canary::Running(..) | Canary::Passed => None,
    };
    let remembered = &facts.memory.remembered;
    let (after, settles) = if removals_now > 0 {
        (After::Writing, looks(facts))
    } else {
        let streaks = waiting.iter().map(|group| remembered.empty.get(group));
        (After::Done(facts.last_confirmed(KeyKind::Members)), unbelieved(facts, streaks))
    };
    let settling =
        usize::from(removals_now > 0 || !waiting.is_empty()) + to_come.iter().filter(|wave| removals_of(wave) > 0).count();
    let cycles = facts.spec.provisioning.settle_cycles.saturating_mul(u32::try_from(settling).unwrap_or(u32::MAX));
    Need { canary, writes: removals, cycles, after, settles, left, ..Need::default() }
}

/// `None` where its cycle has come, and only the look at the target is missing.
fn canary_awaits(facts: &Facts) -> Option<After> {
    let first = facts.memory.first_confirmed(facts.memory.journal.of(KeyKind::Members));
    let has_come = first.is_some_and(|first| !facts.good_cycles_after(first).is_empty());
    (!has_come).then_some(After::Done(first))
}

/// The wave under way, and those after it.
fn waves_left(facts: &Facts) -> (Vec<GroupId>, Vec<Vec<GroupId>>) {
    let (mut all, open) = (waves::waves(facts), waves::open(facts));
    let begun = all.iter().filter(|wave| wave.iter().all(|group| open.contains(group))).count();
    let to_come = all.split_off(begun);
    (all.pop().unwrap_or_default(), to_come)
}

fn unassign(facts: &Facts, baseline: &Baseline) -> Need {
    let remembered = &facts.memory.remembered;
    let rows: usize = assigned(facts, baseline).filter_map(|group| Some(facts.rows()?.of(group).len())).sum();
    let open: Vec<_> = baseline.groups.keys().filter(|group| !remembered.unassigned_at.contains_key(group)).collect();
    let mut left = Vec::new();
    if rows > 0 {
        left.push(format!("{} of {}", count(rows, "assignment"), count(assigned(facts, baseline).count(), "group")));
    } else if !open.is_empty() {
        left.push(format!("{LOOKS} agreeing reads without an assignment of {}", count(open.len(), "group")));
    }
    let settles = unbelieved(facts, open.into_iter().map(|group| remembered.unassigned.get(group)));
    Need { writes: rows, settles, left, ..Need::default() }
}

fn cycle(facts: &Facts) -> Need {
    let remembered = &facts.memory.remembered;
    if remembered.cycle_proof.is_some() || facts.is_token_rejected() {
        return Need::default();
    }
    let needed = facts.spec.provisioning.verify_cycles;
    let (current, to_come) = waves_left(facts);
    let at = current.iter().map(|group| remembered.unassigned_at.get(group).copied());
    let confirmed = at.collect::<Option<Vec<_>>>().and_then(|at| at.into_iter().max());
    let have = confirmed.map_or(0, |confirmed| facts.good_cycles_after(confirmed).len());
    // Each wave is verified before the next one begins.
    let before = needed.saturating_mul(u32::try_from(to_come.len()).unwrap_or(u32::MAX));
    let cycles = needed.saturating_sub(u32::try_from(have).unwrap_or(u32::MAX)).saturating_add(before);
    let mut left = Vec::new();
    if cycles > 0 {
        left.push(format!("{} after the groups are gone", count(cycles as usize, "good cycle")));
    }
    left.push("two agreeing rounds over the target: groups gone, everybody kept".to_owned());
    let after = confirmed.map_or(After::Writing, |confirmed| After::Done(Some(confirmed)));
    // The first round may come at once.
    let rounds = facts.memory.target.as_ref().filter(|_| cycles == 0 && !remembered.clean_rounds.is_empty());
    let waited = rounds.map_or(Duration::ZERO, |look| look.at.age(facts.moment));
    let waits = facts.spec.target.read_interval.saturating_sub(waited);
    Need { cycles, after, waits, left, ..Need::default() }
}

fn revoke(facts: &Facts) -> Need {
    if facts.is_token_rejected() {
        return Need::default();
    }
    let revocation = &facts.spec.target.revocation;
    let remembered = &facts.memory.remembered;
    let have = u32::try_from(remembered.rejections.len()).unwrap_or(u32::MAX);
    let mut left = Vec::new();
    match revocation.by {
        // It is refused already.
        _ if have > 0 => {}
        RevocationBy::Operator => left.push("a person deletes the token".to_owned()),
        RevocationBy::Webhook => left.push("the webhook is called".to_owned()),
    }
    let pauses = facts.spec.provisioning.afterwards == Afterwards::Pause;
    if pauses {
        left.insert(0, "the job is paused".to_owned());
    }
    let so_far = if have > 0 { format!(", {have} so far") } else { String::new() };
    left.push(format!("{} rejections of the token in a row{so_far}", revocation.confirmations));
    // The first one may be seen at once.
    let waited = remembered.probed_at.filter(|_| have > 0).map_or(Duration::ZERO, |at| since(at, facts.now));
    let waits = (revocation.confirm_every * revocation.confirmations.saturating_sub(have.max(1))).saturating_sub(waited);
    Need { writes: usize::from(pauses), waits, left, ..Need::default() }
}
