//! What the process itself keeps from turn to turn.

use std::sync::Arc;

use crate::model::baseline::Baseline;
use crate::model::extent::Extent;
use crate::model::memory::{BaselineSource, Memory, ObservedLog};
use crate::model::names::Names;
use crate::model::observed::Observed;
use crate::model::snapshot::{Rounds, TargetLook};
use crate::model::spec::Mode;
use crate::model::status::Status;

/// Everything that must survive the process is in the ledger instead.
#[derive(Debug, Default)]
pub struct LoopState {
    pub status: Option<Status>,
    /// The last round over the target.
    pub target: Option<Arc<TargetLook>>,
    /// As the ledger has it, which no other process writes: read once, and again after it has grown.
    pub baseline: Option<Baseline>,
    /// What was read of the provisioning log.
    pub log: Option<ObservedLog>,
    pub rounds: Rounds,
    pub names: Names,
    /// What was seen of the ledger before this process began; gone once the ledger is known to go as far, or a person has had a look.
    pub witness: Option<Extent>,
    /// What is wrong with the config on disk; an older one is in force.
    pub config_trouble: Option<String>,
}

impl LoopState {
    pub(super) fn keep(&mut self, memory: &Memory, mode: Mode) {
        self.rounds = memory.rounds;
        // In `Observe` it is told once, and a person sets the mode. Of a ledger without a baseline nobody has seen how far it goes.
        let is_told = mode == Mode::Observe && memory.source == BaselineSource::Ledger && memory.baseline.is_known();
        self.witness = memory.behind.clone().filter(|_| !is_told);
        self.target.clone_from(&memory.target);
        self.log.clone_from(&memory.log);
    }

    /// For the next turn.
    pub(super) fn keep_baseline(&mut self, memory: Memory) {
        if let (BaselineSource::Ledger, Observed::Known(baseline)) = (memory.source, memory.baseline) {
            self.baseline = Some(baseline);
        }
    }
}
