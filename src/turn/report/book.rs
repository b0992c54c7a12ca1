//! What the ledger itself says after a turn.

use crate::judge::facts::Facts;
use crate::model::extent::Extent;
use crate::model::memory::BaselineSource;
use crate::model::write_record::WriteRecord;

/// `None` where it could not be read.
#[derive(Default)]
pub struct Book {
    /// The last writes.
    pub recent: Option<Vec<WriteRecord>>,
    /// Number and hash of the journal's last line, if it has any.
    pub last: Option<Option<(u64, String)>>,
}

impl Book {
    /// How far it goes; one that was seen to go further is no witness of that.
    pub(super) fn extent(&self, facts: &Facts) -> Option<Extent> {
        let memory = facts.memory;
        let is_whole = memory.source == BaselineSource::Ledger && memory.behind.is_none();
        Some(Extent::of(facts.baseline().filter(|_| is_whole)?, self.last.clone()?))
    }
}
