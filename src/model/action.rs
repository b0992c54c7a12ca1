//! Wishes for a state: doing one twice is doing it once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::id::{AppRoleId, AssignmentId, GroupId, JobId, UserId};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "action")]
pub enum Action {
    /// Write down who is in scope, once, into an empty ledger.
    RecordBaseline,
    /// Give the user a row of his own on the app.
    AssignUser { user: UserId, role: AppRoleId },
    /// Take the user out of the group (the membership, never the user).
    RemoveMember { group: GroupId, user: UserId },
    /// Delete one row of the group on the app.
    UnassignGroup { group: GroupId, assignment: AssignmentId, role: AppRoleId },
    /// Pause the synchronization job before the token goes.
    PauseJob { job: JobId },
    /// Ask for the deletion of the token: of a person, or of a webhook.
    RequestRevocation,
}

impl Action {
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
        }
    }

    /// What it acts upon, for the journal and for counting repeats: stable over restarts. A group's row that was
    /// deleted and made anew has another id, but is the same object of a quarrel; so the row id is left out.
    pub fn key(&self) -> String {
        match self {
            Action::RecordBaseline => "baseline".into(),
            Action::AssignUser { user, role } => format!("assign/{user}/{role}"),
            Action::RemoveMember { group, user } => format!("member/{group}/{user}"),
            Action::UnassignGroup { group, role, .. } => format!("unassign/{group}/{role}"),
            Action::PauseJob { job } => format!("pause/{job}"),
            Action::RequestRevocation => "revocation".into(),
        }
    }

    /// Takes something away, or leads to it. Everything but giving a user his own row and writing our own book.
    pub fn is_destructive(&self) -> bool {
        match self {
            Action::RecordBaseline | Action::AssignUser { .. } => false,
            Action::RemoveMember { .. } | Action::UnassignGroup { .. } | Action::PauseJob { .. } | Action::RequestRevocation => {
                true
            }
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
        }
    }
}

/// How one action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Ok,
    /// It was so before.
    Already,
    Failed,
    /// Nobody knows; the next look tells.
    Open,
}

impl Done {
    pub const ALL: [Done; 4] = [Done::Ok, Done::Already, Done::Failed, Done::Open];

    /// As in the log and in the metric's label.
    pub fn label(self) -> &'static str {
        match self {
            Done::Ok => "ok",
            Done::Already => "already",
            Done::Failed => "failed",
            Done::Open => "open",
        }
    }
}
