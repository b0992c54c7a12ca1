//! What a brake found, and what it holds back for it.

use crate::model::status::Brake;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldsBack {
    Destructive,
    /// And whoever still has a path through a group waits for a direct assignment, too. Nobody else does.
    AllButHealing,
    /// Only the operator's own word, and a ledger that can't be used: no other brake stands between a protected user and a path.
    Everything,
}

/// Which it is, what it holds back, and why with the figures.
pub(super) type BrakeHit = (Brake, HoldsBack, String);
