//! What a person must do: one sentence for each reason that waits for one, nothing for the others.

use crate::model::condition::Reason;

pub(super) fn for_reason(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::PreflightFailed => Some("Resolve what preflight found; it looks again by itself."),
        Reason::NewBaselineNeeded => Some(
            "The ledger is empty. If this is the very beginning, start once with --new-baseline; if not, restore the ledger.",
        ),
        Reason::LedgerUnreadable => Some("Repair or restore the ledger; nothing is written anywhere until it can be read."),
        Reason::LedgerBoundElsewhere => Some("Correct the config, or use a data directory of its own."),
        Reason::DecisionNeeded => Some("Decide for the groups named: members: Remove or Keep in spec.groups.list."),
        Reason::ReleasedUncovered => Some("Assign the released users named, or take them out of their groups by hand."),
        Reason::CycleOverdue => Some("Look at the provisioning job in Entra: a cycle should have ended by now."),
        Reason::JobQuarantined => Some("Look at the provisioning job in Entra: it is in quarantine."),
        Reason::JobNotActive => Some("Start the provisioning job in Entra again."),
        Reason::TargetGroupsRemain => Some("Groups remain at the target: delete them there, as the message says."),
        Reason::UsersLost => Some("Users are missing or inactive at the target. Find out why before anything else."),
        Reason::AwaitingOperator => Some("Delete the SCIM token in the app's settings. It is noticed by itself."),
        Reason::UnmanagedGroupAssigned => Some(
            "A group that was not handed over is assigned to the app: the token serves it too. Remove it, or leave the token.",
        ),
        Reason::RevokedTooEarly => {
            Some("The token is refused before its time. Put a valid one into Entra and into the token file.")
        }
        Reason::HeldByBrake | Reason::HeldByRefusal => Some("Read below what holds it, and decide."),
        Reason::Passed
        | Reason::LookFailed
        | Reason::Recorded
        | Reason::Provisional
        | Reason::NotRecordedYet
        | Reason::AllAssigned
        | Reason::AssignmentsMissing
        | Reason::Settling
        | Reason::AwaitingSettleCycle
        | Reason::AwaitingReplication
        | Reason::AllEmptied
        | Reason::MembersRemain
        | Reason::CanaryRunning
        | Reason::AwaitingEmptyCycle
        | Reason::AwaitingWave
        | Reason::ReadingAgain
        | Reason::GroupReadFailed
        | Reason::AllUnassigned
        | Reason::RowsRemain
        | Reason::CyclesVerified
        | Reason::AwaitingCycle
        | Reason::VerifyingTarget
        | Reason::AllKept
        | Reason::ProvenBeforeRevocation
        | Reason::TargetUnread
        | Reason::TokenRejected
        | Reason::WebhookCalled
        | Reason::AwaitingPause
        | Reason::Confirming
        | Reason::ProbeInconclusive
        | Reason::Blocked
        | Reason::Reachable
        | Reason::Unreachable
        | Reason::Retired
        | Reason::InProgress
        | Reason::NothingHeld => None,
    }
}
