//! The words of the page.

use crate::model::condition::ConditionKind;
use crate::model::status::{GroupState, Phase, WriteOutcome};

/// A phase as a headline, where nothing more is known, and its tone.
pub(super) fn words_of(phase: Phase) -> (&'static str, &'static str) {
    match phase {
        Phase::Observing => ("Reading only. Nothing is written", "busy"),
        Phase::Preflight => ("Checking whether it is safe to begin", "busy"),
        Phase::AssigningUsers => ("Giving each person an assignment of their own", "busy"),
        Phase::EmptyingGroups => ("Taking people out of the groups, now that each has an assignment of their own", "busy"),
        Phase::UnassigningGroups => ("Taking the groups off the app", "busy"),
        Phase::AwaitingCycle => ("Checking at the app that everybody is still there", "busy"),
        Phase::AwaitingRevocation => ("Everything is proven. Waiting until the app refuses the SCIM token", "busy"),
        Phase::Retired => ("Done: no group and no token provisions the app any more", "done"),
        Phase::Held => ("Held", "stop"),
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
pub(super) fn outcome_words(outcome: WriteOutcome) -> (&'static str, &'static str) {
    match outcome {
        WriteOutcome::Done => ("done", "Done"),
        WriteOutcome::AlreadySo => ("done", "So already"),
        WriteOutcome::Failed => ("stop", "Failed"),
        WriteOutcome::Unknown => ("later", "Not known yet"),
    }
}
