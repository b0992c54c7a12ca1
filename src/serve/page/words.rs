//! The words of the page.

use crate::model::condition::ConditionKind;
use crate::model::status::{DeedOutcome, GroupState, Phase};

/// A phase as a sentence, and its tone.
pub(super) fn words_of(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Observing => ("Looking and reporting. Nothing is written.", "busy"),
        Phase::Preflight => ("Checking whether it is safe to begin.", "busy"),
        Phase::AssigningUsers => ("Giving every user an assignment of his own.", "busy"),
        Phase::EmptyingGroups => ("Taking the users out of the groups, now that each has an assignment of his own.", "busy"),
        Phase::UnassigningGroups => ("Taking the groups off the app.", "busy"),
        Phase::AwaitingCycle => {
            ("Waiting for provisioning to run, then checking at the target that everyone is still there.", "busy")
        }
        Phase::AwaitingRevocation => ("Everything is proven. Waiting until the app refuses the SCIM token.", "busy"),
        Phase::Retired => ("Done: no groups, every user kept, the token refused.", "done"),
        Phase::Held => ("A brake bites, or a decision is needed: see below.", "stop"),
    }
}

/// A condition as a heading; the five steps as the guide's judges call them.
pub(super) fn step_title(kind: ConditionKind) -> &'static str {
    match kind {
        ConditionKind::UsersAssigned => "Assign every user directly",
        ConditionKind::GroupsEmptied => "Remove the users from the groups",
        ConditionKind::GroupsUnassigned => "Remove the groups from the provisioning",
        ConditionKind::CycleCompleted => "Let the provisioning run a full cycle",
        ConditionKind::TokenRevoked => "Delete the SCIM token",
        ConditionKind::Preflight => "Safe to begin",
        ConditionKind::BaselineRecorded => "Baseline on record",
        ConditionKind::UsersKept => "Every user kept at the target",
        ConditionKind::CredentialValid => "The Entra credential is in force",
        ConditionKind::GraphReachable => "Microsoft Graph answers",
        ConditionKind::TargetReachable => "The app's SCIM service answers",
        ConditionKind::ConfigLoaded => "The config on disk is in force",
        ConditionKind::Held => "Held",
        ConditionKind::Ready => "Retired and in order",
    }
}

/// What happens to a group: its tone, and the word.
pub(super) fn group_words(state: GroupState) -> (&'static str, &'static str) {
    match state {
        GroupState::Unknown => ("later", "Not known"),
        GroupState::Refused => ("stop", "Needs you"),
        GroupState::ToBeEmptied => ("busy", "Assigned, to be emptied"),
        GroupState::MembersKept => ("busy", "Assigned, goes with its members"),
        GroupState::Empty => ("busy", "Assigned, empty"),
        GroupState::Unassigned => ("done", "Unassigned"),
        GroupState::Gone => ("done", "Unassigned, gone at the target"),
    }
}

/// How a write ended: its tone, and the word.
pub(super) fn outcome_words(outcome: DeedOutcome) -> (&'static str, &'static str) {
    match outcome {
        DeedOutcome::Done => ("done", "Done"),
        DeedOutcome::AlreadySo => ("done", "So already"),
        DeedOutcome::Failed => ("stop", "Failed"),
        DeedOutcome::Unknown => ("later", "Not known yet"),
    }
}
