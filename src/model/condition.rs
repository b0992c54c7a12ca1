//! Conditions and their reasons: a closed list, each explained in `docs/reasons.md`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => stringify!($variant)),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}
pub(crate) use closed_list;

/// The same of what goes by another name in `/status`, the log and the metrics.
macro_rules! labelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            pub const ALL: [$name; [$($name::$variant),+].len()] = [$($name::$variant),+];
            pub fn label(self) -> &'static str {
                match self { $($name::$variant => $label),+ }
            }
        }
    };
}
pub(crate) use labelled;

closed_list! {
    /// What a status always speaks of. `True` is the good value for all but `Held`.
    ConditionKind {
        Preflight, BaselineRecorded, UsersAssigned, GroupsEmptied, GroupsUnassigned, CycleCompleted, UsersKept,
        TokenRevoked, CredentialValid, GraphReachable, TargetReachable, ConfigLoaded, Held, Ready,
    }
}

closed_list! {
    Truth { True, False, Unknown }
}

closed_list! {
    /// Why a condition is as it is.
    Reason {
        // preflight
        Passed, PreflightFailed, LookFailed,
        // baseline
        Recorded, Provisional, NewBaselineNeeded, NotRecordedYet, LedgerUnreadable, LedgerBoundElsewhere,
        // 1 assign
        AllAssigned, AssignmentsMissing, Settling, AwaitingSettleCycle, AwaitingReplication, ReleasedUncovered,
        // 2 empty
        AllEmptied, MembersRemain, AwaitingOutcome, CanaryRunning, AwaitingEmptyCycle, AwaitingWave, DecisionNeeded, ReadingAgain,
        GroupReadFailed,
        // 3 unassign
        AllUnassigned, RowsRemain,
        // 4 cycle
        CyclesVerified, AwaitingCycle, CycleOverdue, JobQuarantined, JobNotActive, TargetGroupsRemain, EntriesFailed, VerifyingTarget,
        // kept
        AllKept, UsersLost, UsersUncertain, UsersUncounted, ProvenBeforeRevocation, TargetUnread,
        // 5 revoke
        TokenRejected, AwaitingOperator, TokenEnded, WebhookCalled, AwaitingPause, Confirming, ProbeInconclusive, UnmanagedGroupAssigned,
        RevokedTooEarly,
        // our credential at Entra
        CredentialInForce, CredentialExpiring, CredentialExpired, CredentialRefused, ExpiryNotKnown,
        // the rest
        ConfigInForce, ConfigInvalid,
        Blocked, Reachable, Unreachable, Retired, InProgress, RolledBack, HeldByBrake, HeldByRefusal, NothingHeld,
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    pub status: Truth,
    pub reason: Reason,
    pub message: String,
    pub last_transition_time: Timestamp,
    /// When what it waits for should have come, where that is known; by the clock of the one who is waited for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_by: Option<Timestamp>,
}
