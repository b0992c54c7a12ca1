//! What the caller allows a turn, beyond what the spec says.

use crate::judge::plan::NewBaseline;
use crate::model::spec::{Mode, Spec};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Look and judge; write nothing, whatever the mode says.
    ReadOnly,
    /// Write, but only by a baseline that is there.
    Write,
    /// The same, and something beside the ledger tells that there was one.
    WriteAgain,
    /// And take the first baseline where there is none.
    FirstBaseline,
}

impl Permit {
    pub(super) fn mode(self, spec: &Spec) -> Mode {
        if self == Permit::ReadOnly { Mode::Observe } else { spec.mode }
    }

    pub(super) fn new_baseline(self) -> NewBaseline {
        match self {
            Permit::Write => NewBaseline::Forbidden,
            Permit::WriteAgain => NewBaseline::Lost,
            Permit::ReadOnly | Permit::FirstBaseline => NewBaseline::Allowed,
        }
    }
}
