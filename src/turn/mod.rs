//! One turn, and the loop around it: look, remember, plan, approve, act, report; then wait.

pub mod act;
pub mod history;
mod loop_state;
pub mod observe;
mod permit;
pub mod record;
pub mod remember;
pub mod report;
pub mod settle;
pub mod warnings;

pub use loop_state::LoopState;
pub use permit::Permit;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::judge::brakes::{Approved, approve};
use crate::judge::dates;
use crate::judge::facts::Facts;
use crate::judge::plan::plan;
use crate::judge::roadmap::{Roadmap, roadmap};
use crate::model::action::Done;
use crate::model::condition::{ConditionKind, Truth};
use crate::model::memory::Memory;
use crate::model::moment::Moment;
use crate::model::snapshot::Snapshot;
use crate::model::spec::Spec;
use crate::model::status::{Status, TurnResult};
use crate::turn::act::{Acted, act};
use crate::turn::observe::observe;
use crate::turn::remember::{Remembering, remember};
use crate::turn::report::{Book, report, standing};
use crate::world::{Clock, Ledger, World};

/// Deeds that a status tells: what happened lately; the report has all of them.
const RECENT: usize = 20;

/// How a turn went, for the caller's metrics and waits.
#[derive(Debug)]
pub struct Turn {
    pub status: Status,
    pub acted: Acted,
    /// The whole way from here; made where nothing may be written.
    pub roadmap: Option<Roadmap>,
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

/// One turn, or `None` if it was asked to stop before it had seen everything. Reads first, pure judgement in the middle, writes last.
pub async fn turn(
    world: &impl World,
    spec: &Spec,
    permit: Permit,
    state: &mut LoopState,
    stop: &CancellationToken,
) -> Option<Turn> {
    let decided = decide(world, spec, permit, state, stop).await?;
    Some(complete(world, spec, permit, state, stop, decided).await)
}

/// What can be told of a turn before it writes, for a process that has nothing else to show: its writes may take long.
pub fn outset(world: &impl World, spec: &Spec, state: &mut LoopState, decided: &Decided) -> Status {
    let Decided { look, memory, now, approved, .. } = decided;
    told(world, &Facts::new(spec, look, memory, *now), approved, None, state)
}

/// What is left of a turn: it writes, and tells.
pub async fn complete(
    world: &impl World,
    spec: &Spec,
    permit: Permit,
    state: &mut LoopState,
    stop: &CancellationToken,
    decided: Decided,
) -> Turn {
    let Decided { look, mut memory, has_grown, now, approved } = decided;
    let acted = act(world, spec, permit.mode(spec), &look, &memory, approved, stop).await;
    let facts = Facts::new(spec, &look, &memory, now);
    let status = told(world, &facts, acted.approved(), acted.stopped(), state);
    let roadmap = if permit == Permit::ReadOnly { roadmap(&facts, acted.approved().actions()) } else { None };
    let (standing, seen) = (standing(&facts, acted.approved().plan()), facts.service_time());
    record::keep_standing(world.ledger(), standing, seen, &mut memory);
    if !has_grown {
        state.keep_baseline(memory);
    }
    Turn { status, acted, roadmap }
}

fn told(world: &impl World, facts: &Facts, approved: &Approved, stopped: Option<&str>, state: &mut LoopState) -> Status {
    let book = Book { recent: world.ledger().recent(RECENT).ok(), last: world.ledger().last_line().ok() };
    let status = report(facts, approved, stopped, book, state.config_trouble.as_deref(), state.status.as_ref());
    state.status = Some(status.clone());
    status
}

/// A turn before it writes to the tenant.
#[derive(Debug)]
pub struct Decided {
    pub look: Snapshot,
    pub memory: Memory,
    /// Its baseline is what the ledger had and what this look has added.
    pub has_grown: bool,
    /// Our clock, after the look.
    pub now: Moment,
    pub approved: Approved,
}

/// Everything of a turn but the writes to the tenant: look, remember, write that down, plan, approve.
pub async fn decide(
    world: &impl World,
    spec: &Spec,
    permit: Permit,
    state: &mut LoopState,
    stop: &CancellationToken,
) -> Option<Decided> {
    let last = record::load(world.ledger(), state);
    let look = stop.run_until_cancelled(observe(world, spec, &last)).await?;
    let now = world.clock().moment();
    let (look, latest) = dates::believed(spec, last.remembered.latest, look);
    let Remembering { memory, before, growth } = remember(spec, permit, last, latest, &look, now);
    state.keep(&memory, permit.mode(spec));
    let memory = record::write_down(world.ledger(), spec, &look, memory, &before, &growth, now);
    let facts = Facts::new(spec, &look, &memory, now);
    let approved = approve(&facts, plan(&facts, permit.new_baseline()));
    Some(Decided { look, memory, has_grown: !growth.is_empty(), now, approved })
}

/// After a write the next look comes soon; otherwise at the interval, never exactly in step with others.
pub fn wait_after(turn: &Turn, spec: &Spec) -> Duration {
    let interval = spec.timing.interval;
    let base = if turn.has_written() { interval.min(Duration::from_secs(5)) } else { interval };
    base.mul_f64(0.95 + rand::random::<f64>() * 0.1)
}

/// The one line that a turn leaves in the log, whatever came of it; [`warnings`] has what begins and ends.
pub fn log(turn: &Turn) {
    let status = &turn.status;
    let held: Vec<String> = status.held.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect();
    let is_over = status.is_true(ConditionKind::Ready);
    let waiting = status
        .conditions
        .iter()
        .find(|condition| match condition.kind {
            ConditionKind::Held | ConditionKind::BaselineRecorded => false,
            // That a secret doesn't tell its end holds nothing up.
            ConditionKind::CredentialValid => condition.status == Truth::False,
            _ => condition.status != Truth::True && !is_over,
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
}
