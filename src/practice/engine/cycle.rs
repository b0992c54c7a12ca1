//! One cycle from its beginning to its end.

use jiff::Timestamp;

use super::export::{self, Outcome};
use super::job::{Execution, ExecutionResult};
use super::scope::{Begun, begin};
use crate::practice::clock::later;
use crate::practice::tenant::Inner;

/// Whether a cycle took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    Ran,
    /// The job is paused, disabled or gone.
    NotScheduled,
}

/// Its calls go out in the middle of it.
pub(crate) async fn cycle(inner: &Inner) -> Cycle {
    let _alone = inner.gate.lock().await;
    let Some(begun) = begin(inner, inner.clock.now()) else { return Cycle::NotScheduled };
    let length = inner.scenario.cycle_length;
    inner.clock.sleep_until(later(begun.at, length / 2)).await;
    let outcome = export::export(inner, &begun, inner.clock.now()).await;
    inner.clock.sleep_until(later(begun.at, length)).await;
    end(inner, &begun, outcome, inner.clock.now());
    Cycle::Ran
}

/// Writes down how it went.
pub(crate) fn end(inner: &Inner, begun: &Begun, outcome: Outcome, at: Timestamp) {
    let mut state = inner.state();
    let state = &mut *state;
    let Some(job) = state.sync.jobs.first_mut() else { return };
    let entitled = begun.scope.entitled();
    let seen: Vec<_> = entitled.iter().filter(|user| begun.touched.contains(&user.0) || job.last.is_none()).collect();
    let active = seen.iter().filter(|user| begun.scope.users.get(user).is_some_and(|user| user.enabled)).count();
    let mut execution = Execution {
        activity: begun.activity.clone(),
        result: ExecutionResult::Succeeded,
        began: begun.at,
        ended: at,
        entitled: seen.len(),
        provisionable: active,
        exports: 0,
        exported: 0,
        failed: 0,
        deltas: begun.touched.len(),
        error: None,
    };
    match outcome {
        Outcome::Finished { exports, failed } => {
            (execution.exports, execution.exported, execution.failed) = (exports, exports - failed, failed);
            if failed > 0 {
                execution.result = ExecutionResult::EntryLevelErrors;
            }
            let counts = [("User to User", state.sync.linked.users.len()), ("Group to Group", state.sync.linked.groups.len())];
            for (kind, count) in counts {
                let total = job.counts.entry(kind).or_default();
                *total = (*total).max(count as u64);
            }
            job.ended(execution);
        }
        Outcome::Quarantined { reason, message } => {
            // What was not carried out is found again.
            state.world.touched.extend(&begun.touched);
            execution.result = ExecutionResult::Failed;
            execution.error = Some((reason, message.clone()));
            job.ended(execution);
            job.quarantine(reason, message, at);
        }
    }
}
