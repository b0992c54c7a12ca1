//! The closed lists of label values: what is not in them never becomes a label by accident.

use crate::model::status::Brake;
use crate::world::http::Api;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnResult {
    Success,
    /// A look or a write failed.
    Failed,
    /// A brake bit, or something was refused.
    Held,
    Panicked,
}

impl TurnResult {
    pub const ALL: [TurnResult; 4] = [TurnResult::Success, TurnResult::Failed, TurnResult::Held, TurnResult::Panicked];

    pub fn label(self) -> &'static str {
        match self {
            TurnResult::Success => "success",
            TurnResult::Failed => "failed",
            TurnResult::Held => "held",
            TurnResult::Panicked => "panicked",
        }
    }
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionResult {
    Done,
    /// It was so before.
    Already,
    Failed,
    /// Nobody knows; the next look tells.
    Open,
}

impl ActionResult {
    pub const ALL: [ActionResult; 4] = [ActionResult::Done, ActionResult::Already, ActionResult::Failed, ActionResult::Open];

    pub fn label(self) -> &'static str {
        match self {
            ActionResult::Done => "done",
            ActionResult::Already => "already",
            ActionResult::Failed => "failed",
            ActionResult::Open => "open",
        }
    }
}

/// What is asked of each API, so that every series is there before it is needed.
pub fn operations(api: Api) -> &'static [&'static str] {
    match api {
        Api::Graph => &[
            "get_app",
            "get_group",
            "get_schema",
            "get_user",
            "list_assignments",
            "list_group_assignments",
            "list_group_parents",
            "list_jobs",
            "list_log",
            "list_member_properties",
            "list_members",
            "list_settings",
            "assign",
            "pause",
            "remove_member",
            "unassign",
        ],
        Api::Token => &["token"],
        Api::Scim => &["list_users", "list_groups", "get_user", "get_group", "calibrate", "probe"],
        Api::Webhook => &["revoke"],
    }
}

/// The answers that alerts ask for; any other appears with its first request.
pub(super) const CODES: [&str; 12] =
    ["200", "201", "202", "204", "400", "401", "403", "404", "429", "503", "unreachable", "timed-out"];

pub(super) fn brakes() -> impl Iterator<Item = &'static str> {
    Brake::ALL.iter().map(|brake| brake.label()).chain(["preflight", "refused"])
}

/// A hold must never be invisible, whatever it is called.
pub(super) fn known_brake(label: &str) -> &'static str {
    brakes().find(|brake| *brake == label).unwrap_or("refused")
}
