//! What the process itself keeps from turn to turn.

use std::sync::Arc;

use crate::model::memory::{Memory, ObservedLog};
use crate::model::names::Names;
use crate::model::snapshot::{Rounds, TargetLook};
use crate::model::status::Status;

/// Everything that must survive the process is in the ledger instead.
#[derive(Debug, Default)]
pub struct LoopState {
    pub status: Option<Status>,
    /// The last round over the target.
    pub target: Option<Arc<TargetLook>>,
    /// What was read of the provisioning log.
    pub log: Option<ObservedLog>,
    pub rounds: Rounds,
    pub names: Names,
    /// What is wrong with the config on disk; an older one is in force.
    pub config_trouble: Option<String>,
}

impl LoopState {
    pub(super) fn keep(&mut self, memory: &Memory) {
        self.rounds = memory.rounds;
        self.target.clone_from(&memory.target);
        self.log.clone_from(&memory.log);
    }
}
