//! One turn, and the loop around it: look, remember, plan, approve, act, report; then wait.

pub mod act;
pub mod observe;
pub mod remember;
pub mod report;
pub mod settle;
pub mod witness;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::judge::Facts;
use crate::judge::baseline::take_baseline;
use crate::judge::brakes::{Approved, approve};
use crate::judge::dates;
use crate::judge::plan::{NewBaseline, plan};
use crate::judge::way::{Way, way};
use crate::model::action::Done;
use crate::model::baseline::{Binding, without_query};
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::memory::{BaselineSource, LogSeen, Memory};
use crate::model::moment::Moment;
use crate::model::names::Names;
use crate::model::seen::{Listed, Seen, Why};
use crate::model::snapshot::{Rounds, Snapshot, TargetLook};
use crate::model::spec::{Mode, Spec};
use crate::model::status::{Status, TurnResult};
use crate::turn::act::{Acted, act};
use crate::turn::observe::observe;
use crate::turn::remember::{growth, remember};
use crate::turn::report::report;
use crate::turn::settle::{Settled, settled};
use crate::turn::witness::witness;
use crate::world::error::Result;
use crate::world::{Clock, Ledger, Outcome, World};

/// Deeds that a status tells: what happened lately; the report has all of them.
const RECENT: usize = 20;

/// What the process itself carries from turn to turn; everything that must survive it is in the ledger.
#[derive(Debug, Default)]
pub struct Carried {
    pub status: Option<Status>,
    /// The last round over the target.
    pub target: Option<Arc<TargetLook>>,
    /// What was read of the provisioning log.
    pub log: Option<LogSeen>,
    pub rounds: Rounds,
    pub names: Names,
    /// What is wrong with the config on disk; an older one is in force.
    pub config_trouble: Option<String>,
}

/// How a turn went, for the caller's metrics and waits.
#[derive(Debug)]
pub struct Turn {
    pub status: Status,
    pub acted: Acted,
    /// The whole way from here; made where nothing may be written.
    pub way: Option<Way>,
}

impl Turn {
    /// Something was written, so that looking again soon is worth it.
    pub fn has_written(&self) -> bool {
        self.acted.done().iter().any(|(_, done, _)| matches!(done, Done::Ok | Done::Already | Done::Open))
    }

    pub fn result(&self) -> TurnResult {
        let failed = |done: &Done| matches!(done, Done::Failed | Done::Open);
        if self.acted.done().iter().any(|(_, done, _)| failed(done)) || !self.status.is_true(ConditionKind::GraphReachable) {
            TurnResult::Failed
        } else if self.status.is_true(ConditionKind::Held) {
            TurnResult::Held
        } else {
            TurnResult::Success
        }
    }
}

/// What the caller allows a turn, beyond what the spec says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Look and judge; write nothing, whatever the mode says.
    Looks,
    /// Write, but only by a baseline that is there.
    Writes,
    /// The same, and something beside the ledger tells that there was one.
    WritesAgain,
    /// And take the first baseline where there is none.
    FirstBaseline,
}

/// One turn, or `None` if it was asked to stop before it had seen everything. Reads first, pure judgement in the middle, writes last.
pub async fn turn(
    world: &impl World,
    spec: &Spec,
    leave: Leave,
    carried: &mut Carried,
    stop: &CancellationToken,
) -> Option<Turn> {
    let Prepared { seen, memory, now, approved } = prepare(world, spec, leave, carried, stop).await?;
    let mode = if leave == Leave::Looks { Mode::Observe } else { spec.mode };
    let acted = act(world, spec, mode, &seen, &memory, approved, stop).await;
    let facts = Facts::new(spec, &seen, &memory, now);
    let recent = world.ledger().recent(RECENT);
    let status = report(&facts, &acted, recent.ok(), carried.config_trouble.as_deref(), carried.status.as_ref());
    carried.status = Some(status.clone());
    let way = if leave == Leave::Looks { way(&facts, acted.approved().actions()) } else { None };
    Some(Turn { status, acted, way })
}

/// A turn before it writes to the tenant.
#[derive(Debug)]
pub struct Prepared {
    pub seen: Snapshot,
    pub memory: Memory,
    /// Our clock, after the look.
    pub now: Moment,
    pub approved: Approved,
}

/// Everything of a turn but the writes to the tenant: look, remember on disk, plan, approve.
pub async fn prepare(
    world: &impl World,
    spec: &Spec,
    leave: Leave,
    carried: &mut Carried,
    stop: &CancellationToken,
) -> Option<Prepared> {
    let mut memory = recall(world, carried);
    let mut seen = stop.run_until_cancelled(observe(world, spec, &memory)).await?;
    memory.remembered.latest = dates::heed(spec, memory.remembered.latest, &mut seen);
    let now = world.clock().moment();
    if let Listed::Known(look) = &seen.target.look {
        memory.target = Some(look.clone());
    }
    if let (Listed::Known(look), Some(job)) = (&seen.log, seen.jobs.known().and_then(|look| spec.entra.job(&look.value))) {
        memory.log = Some(LogSeen { job: job.id.clone(), look: look.clone(), whole: seen.log_whole });
    }
    memory.rounds = seen.rounds;
    carried.rounds = seen.rounds;
    carried.target.clone_from(&memory.target);
    carried.log.clone_from(&memory.log);
    note(world, spec, leave, &seen, &mut memory, now);
    let facts = Facts::new(spec, &seen, &memory, now);
    let new_baseline = match leave {
        Leave::Writes => NewBaseline::Forbidden,
        Leave::WritesAgain => NewBaseline::Lost,
        Leave::Looks | Leave::FirstBaseline => NewBaseline::Allowed,
    };
    let approved = approve(&facts, plan(&facts, new_baseline));
    Some(Prepared { seen, memory, now, approved })
}

/// What the ledger knows. A ledger that can't be read makes the baseline unknown, and that stops every write.
pub(crate) fn recall(world: &impl World, carried: &Carried) -> Memory {
    let ledger = world.ledger();
    let mut memory = Memory {
        target: carried.target.clone(),
        log: carried.log.clone(),
        rounds: carried.rounds,
        names: carried.names,
        ..Memory::default()
    };
    let read = (|| {
        memory.remembered = ledger.remembered()?;
        memory.journal = ledger.journal()?;
        ledger.baseline()
    })();
    memory.baseline = read.unwrap_or_else(|error| Seen::Unknown(Why::new(error.label(), error.to_string())));
    if let (Seen::Known(baseline), Some(look)) = (&mut memory.baseline, &memory.target) {
        for before in baseline.users.values_mut().filter_map(|user| user.target.record_mut()) {
            if let Some(last) = look.users.get(&before.id) {
                before.share_texts(last);
            }
        }
    }
    memory.remembered.turn += 1;
    memory
}

/// Lets the look grow the baseline and memory, on disk before anything rests on it.
fn note(world: &impl World, spec: &Spec, leave: Leave, seen: &Snapshot, memory: &mut Memory, now: Moment) {
    if memory.baseline.is_absent()
        && (spec.mode == Mode::Observe || leave == Leave::Looks)
        && let Ok(baseline) = take_baseline(&Facts::new(spec, seen, memory, now))
    {
        memory.baseline = Seen::Known(baseline);
        memory.source = BaselineSource::Provisional;
    }
    if let Some(why) = bound_elsewhere(&Facts::new(spec, seen, memory, now)) {
        memory.baseline = Seen::Unknown(why);
    }
    let grown = growth(&Facts::new(spec, seen, memory, now));
    let ledger = world.ledger();
    let stored = if memory.source == BaselineSource::Ledger && !grown.is_empty() { ledger.grow_baseline(&grown) } else { Ok(()) };
    if let Seen::Known(baseline) = &mut memory.baseline {
        baseline.grow(&grown);
    }
    let before = memory.remembered.clone();
    remember(spec, seen, memory, now);
    if spec.mode == Mode::Observe && leave != Leave::Looks {
        memory.remembered.rolled_back = None;
    }
    let facts = Facts::new(spec, seen, memory, now);
    let stored = stored.and_then(|()| ledger.witness(&memory.remembered, witness(&facts, &before)));
    if let Err(error) = stored.and_then(|()| settle_open(world, spec, seen, memory, now)) {
        memory.baseline = Seen::Unknown(Why::new(error.label(), error.to_string()));
    }
}

/// Writes down what became of the writes that nobody answered.
fn settle_open(world: &impl World, spec: &Spec, seen: &Snapshot, memory: &mut Memory, now: Moment) -> Result<()> {
    let settled = settled(&Facts::new(spec, seen, memory, now));
    if !settled.is_empty() {
        let outcome = |settled: &Settled| match settled {
            Settled::Done(at) => Outcome::Seen(*at),
            Settled::NotDone(at) => Outcome::Failed(format!("no answer; the look at {at:.0} shows it not done")),
        };
        let outcomes: Vec<(i64, Outcome)> = settled.iter().map(|(intent, settled)| (*intent, outcome(settled))).collect();
        world.ledger().conclude(&outcomes, now.wall)?;
        // Nobody holds it while it grows, so it is not copied for that.
        memory.journal = Arc::default();
        memory.journal = world.ledger().journal()?;
    }
    Ok(())
}

/// A ledger of another tenant, app, job or SCIM service is as good as unreadable: nothing is written by it.
pub(crate) fn bound_elsewhere(facts: &Facts) -> Option<Why> {
    let bound = &facts.baseline().filter(|_| facts.memory.source == BaselineSource::Ledger)?.binding;
    let (app, job) = (facts.seen.app.known().map(|app| app.id), facts.job().map(|job| &job.id));
    let here = Binding {
        tenant: facts.spec.entra.tenant_id,
        app: app.unwrap_or(bound.app),
        job: job.unwrap_or(&bound.job).clone(),
        scim_url: facts.spec.target.scim_url.to_string(),
    };
    (here != *bound).then(|| {
        let (theirs, ours) = (without_query(&bound.scim_url), without_query(&here.scim_url));
        let query = if theirs == ours && bound.scim_url != here.scim_url { " with another query" } else { "" };
        let text = format!(
            "this ledger belongs to tenant {}, app {}, job {}, {theirs}, and the config means tenant {}, app {}, job {}, {ours}{query}; give each retirement its own --data-dir",
            bound.tenant, bound.app, bound.job, here.tenant, here.app, here.job
        );
        Why::new("bound-elsewhere", text)
    })
}

/// After a write the next look comes soon; otherwise at the interval, never exactly in step with others.
pub fn wait_after(turn: &Turn, spec: &Spec) -> Duration {
    let interval = spec.timing.interval;
    let base = if turn.has_written() { interval.min(Duration::from_secs(5)) } else { interval };
    base.mul_f64(0.95 + rand::random::<f64>() * 0.1)
}

/// The one line that a turn leaves in the log, and one more where the ledger fails.
pub fn log(turn: &Turn) {
    let status = &turn.status;
    let held: Vec<String> = status.held.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect();
    let waiting = status
        .conditions
        .iter()
        .find(|condition| match condition.kind {
            ConditionKind::Held | ConditionKind::BaselineRecorded => false,
            // That a secret doesn't tell its end holds nothing up.
            ConditionKind::CredentialValid => condition.status == Truth::False,
            _ => condition.status != Truth::True,
        })
        .map(|condition| format!("{}: {}", condition.reason, condition.message));
    let why = if held.is_empty() { waiting } else { Some(held.join("; ")) };
    // A line in a log has one time: what is older than it, or not known, is left out.
    let progress = &status.progress;
    let fresh = |figure: Option<u64>, seen| figure.filter(|_| seen == status.last_attempt);
    tracing::info!(
        turn = status.turn,
        phase = %status.phase,
        assigned = fresh(progress.users_assigned, progress.assignments_seen_at),
        protected = progress.users_protected,
        memberships = fresh(progress.memberships, progress.memberships_seen_at),
        groups_assigned = fresh(progress.groups_assigned, progress.assignments_seen_at),
        lost = progress.users_lost,
        written = turn.acted.done().iter().map(|(_, _, times)| times).sum::<usize>(),
        held = status.held.len(),
        why,
        stopped = turn.acted.stopped(),
        "turn"
    );
    let recorded = status.condition(ConditionKind::BaselineRecorded);
    if let Some(unreadable) = recorded.filter(|condition| condition.reason == Reason::LedgerUnreadable) {
        tracing::error!(why = unreadable.message, "the ledger can't be used; nothing is written anywhere until it can");
    }
}
