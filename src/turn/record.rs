//! The ledger's side of a turn: what it knows, and what a look has added, on disk before anything rests on it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::judge::restored;
use crate::model::baseline::{Baseline, Growth};
use crate::model::extent::Extent;
use crate::model::memory::{BaselineSource, Memory, Remembered};
use crate::model::moment::Moment;
use crate::model::observed::{Observed, Why};
use crate::model::snapshot::Snapshot;
use crate::model::spec::Spec;
use crate::model::status::Phase;
use crate::turn::history;
use crate::turn::loop_state::LoopState;
use crate::turn::settle::{Settled, settled};
use crate::world::error::Result;
use crate::world::{Ledger, Outcome};

/// What the ledger knows. A ledger that can't be read makes the baseline unknown, and that stops every write.
pub(crate) fn load(ledger: &impl Ledger, state: &mut LoopState) -> Memory {
    let mut memory = Memory {
        target: state.target.clone(),
        log: state.log.clone(),
        rounds: state.rounds,
        behind: state.witness.clone(),
        names: state.names,
        ..Memory::default()
    };
    let kept = state.baseline.take();
    let read = (|| {
        memory.remembered = ledger.remembered()?;
        if state.status.is_none() {
            memory.remembered.unwatched = restored::opened(&memory.remembered);
        }
        memory.journal = ledger.journal()?;
        kept.map_or_else(|| ledger.baseline(), |kept| Ok(Observed::Known(kept)))
    })();
    let read = read.and_then(|baseline| {
        memory.behind = behind(ledger, &baseline, memory.behind.clone())?;
        Ok(baseline)
    });
    memory.baseline = read.unwrap_or_else(|error| Observed::Unknown(Why::new(error.label(), error.to_string())));
    if let Observed::Known(baseline) = &mut memory.baseline {
        for user in baseline.users.values_mut() {
            let last = user.target.record().zip(memory.target.as_ref()).and_then(|(before, look)| look.users.get(&before.id));
            if let (Some(before), Some(last)) = (user.target.record_mut(), last) {
                before.share_texts(last);
            }
            user.share_name();
        }
    }
    memory.remembered.turn += 1;
    memory
}

/// The witness, unless the ledger goes as far as it saw.
fn behind(ledger: &impl Ledger, baseline: &Observed<Baseline>, witness: Option<Extent>) -> Result<Option<Extent>> {
    let (Some(witness), Observed::Known(baseline)) = (&witness, baseline) else { return Ok(witness) };
    let line = if witness.lines == 0 { None } else { ledger.line(witness.lines)? };
    Ok(Some(witness).filter(|witness| !witness.is_reached(baseline, line.as_deref())).cloned())
}

/// What this turn's look has added. A ledger that does not take it makes the baseline unknown, and that stops every write.
pub(super) fn write_down(
    ledger: &impl Ledger,
    spec: &Spec,
    look: &Snapshot,
    mut memory: Memory,
    before: &Remembered,
    growth: &Growth,
    now: Moment,
) -> Memory {
    let facts = Facts::new(spec, look, &memory, now);
    let grows = memory.source == BaselineSource::Ledger && !growth.is_empty();
    let grown = if grows { ledger.grow_baseline(growth) } else { Ok(()) };
    let written = grown.and_then(|()| ledger.remember_with(&memory.remembered, history::since(&facts, before)));
    let settled = settled(&facts);
    if let Err(error) = written.and_then(|()| conclude_open(ledger, &mut memory, &settled, now)) {
        memory.baseline = Observed::Unknown(Why::new(error.label(), error.to_string()));
    }
    memory
}

/// For a process that begins while nothing can be read. A ledger that does not take it has said so in this turn, or will in the next.
pub(super) fn keep_standing(ledger: &impl Ledger, standing: Option<Phase>, seen: Timestamp, memory: &mut Memory) {
    let recorded = memory.source == BaselineSource::Ledger && memory.baseline.is_known();
    let is_kept = standing == memory.remembered.standing && memory.remembered.standing_since.is_some();
    if recorded && standing.is_some() && !is_kept {
        (memory.remembered.standing, memory.remembered.standing_since) = (standing, Some(seen));
        if let Err(error) = ledger.remember(&memory.remembered) {
            tracing::debug!(%error, "the phase was not written down");
        }
    }
}

/// Writes down what became of the writes that nobody answered.
fn conclude_open(ledger: &impl Ledger, memory: &mut Memory, settled: &[(i64, Settled)], now: Moment) -> Result<()> {
    if !settled.is_empty() {
        let outcome = |settled: &Settled| match settled {
            Settled::Done(at) => Outcome::Observed(*at),
            Settled::NotDone(at) => Outcome::Failed(format!("no answer; the read at {at:.0} shows it not done")),
        };
        let outcomes: Vec<(i64, Outcome)> = settled.iter().map(|(intent, settled)| (*intent, outcome(settled))).collect();
        ledger.conclude(&outcomes, now.wall)?;
        // Nobody holds it while it grows, so it is not copied for that.
        memory.journal = Arc::default();
        memory.journal = ledger.journal()?;
    }
    Ok(())
}
