//! Wishes for a state: doing one twice is doing it once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::condition::labelled;
use crate::model::id::{AppRoleId, AssignmentId, GroupId, JobId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "action")]
pub enum Action {
    /// Write down who is in scope, once, into an empty ledger.
    RecordBaseline,
    /// Assign the user directly to the app.
    AssignUser { user: UserId, role: AppRoleId },
    /// Take the user out of the group (the membership, never the user).
    RemoveMember { group: GroupId, user: UserId },
    /// Delete one row of the group on the app.
    UnassignGroup { group: GroupId, assignment: Box<AssignmentId>, role: AppRoleId },
    /// Pause the synchronization job before the token goes.
    PauseJob { job: JobId },
    /// Ask for the deletion of the token: of a person, or of a webhook.
    RequestRevocation,
    /// Of a rollback only: give the group its row on the app back.
    RestoreAssignment { group: GroupId, role: AppRoleId },
    /// Of a rollback only: put the user back into the group.
    RestoreMember { group: GroupId, user: UserId },
    /// Of a rollback only: take back a row of the user's own that we made.
    RemoveDirect { user: UserId, assignment: Box<AssignmentId>, role: AppRoleId },
}

impl Action {
    /// Of a turn of the loop; a rollback has its own.
    pub const KINDS: [&'static str; 6] =
        ["RecordBaseline", "AssignUser", "RemoveMember", "UnassignGroup", "PauseJob", "RequestRevocation"];

    pub fn kind(&self) -> &'static str {
        match self {
            Action::RecordBaseline => "RecordBaseline",
            Action::AssignUser { .. } => "AssignUser",
            Action::RemoveMember { .. } => "RemoveMember",
            Action::UnassignGroup { .. } => "UnassignGroup",
            Action::PauseJob { .. } => "PauseJob",
            Action::RequestRevocation => "RequestRevocation",
            Action::RestoreAssignment { .. } => "RestoreAssignment",
            Action::RestoreMember { .. } => "RestoreMember",
            Action::RemoveDirect { .. } => "RemoveDirect",
        }
    }

    /// The group whose assignment goes by it.
    pub fn unassigns(&self) -> Option<GroupId> {
        if let Action::UnassignGroup { group, .. } = self { Some(*group) } else { None }
    }

    /// Takes something away, or leads to it. Everything but assigning a user directly and writing our own ledger.
    pub fn is_destructive(&self) -> bool {
        match self {
            Action::RecordBaseline
            | Action::AssignUser { .. }
            | Action::RestoreAssignment { .. }
            | Action::RestoreMember { .. } => false,
            Action::RemoveMember { .. }
            | Action::UnassignGroup { .. }
            | Action::PauseJob { .. }
            | Action::RequestRevocation
            | Action::RemoveDirect { .. } => true,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::RecordBaseline => f.write_str("record the baseline"),
            Action::AssignUser { user, role } => write!(f, "assign user {user} with role {role}"),
            Action::RemoveMember { group, user } => write!(f, "remove user {user} from group {group}"),
            Action::UnassignGroup { group, role, .. } => write!(f, "unassign group {group} (role {role})"),
            Action::PauseJob { job } => write!(f, "pause job {job}"),
            Action::RequestRevocation => f.write_str("ask for the deletion of the SCIM token"),
            Action::RestoreAssignment { group, role } => write!(f, "assign group {group} again (role {role})"),
            Action::RestoreMember { group, user } => write!(f, "put user {user} back into group {group}"),
            Action::RemoveDirect { user, role, .. } => write!(f, "take back the assignment of user {user} (role {role})"),
        }
    }
}

labelled! {
    /// How one action ended.
    Done {
        Ok = "ok",
        /// It was so before.
        Already = "already",
        Failed = "failed",
        /// Nobody knows; the next look tells.
        Open = "open",
    }
}
