//! The closed lists of label values: what is not in them never becomes a label by accident.

use crate::model::status::Brake;
use crate::world::http::Api;

/// What is asked of each API, so that every series is there before it is needed.
pub fn operations(api: Api) -> &'static [&'static str] {
    match api {
        Api::Graph => &[
            "get_app",
            "get_group",
            "get_schema",
            "get_user",
            "list_activations",
            "list_assignments",
            "list_eligibilities",
            "list_group_assignments",
            "list_group_parents",
            "list_jobs",
            "list_log",
            "list_member_properties",
            "list_members",
            "list_policies",
            "list_settings",
            "batch",
            "assign",
            "pause",
            "remove_member",
            "unassign",
        ],
        Api::Token => &["token"],
        Api::Scim => &["list_users", "list_groups", "get_user", "get_group", "probe"],
        Api::Webhook => &["revoke"],
    }
}

/// The answers that alerts ask for; any other appears with its first request.
pub(super) const CODES: [&str; 17] = [
    "200",
    "201",
    "202",
    "204",
    "400",
    "401",
    "403",
    "404",
    "429",
    "500",
    "502",
    "503",
    "504",
    "broken",
    "malformed",
    "timed-out",
    "unreachable",
];

/// Kinds of writes, as in `remaining` of a status.
pub(super) const WRITES: [&str; 3] = ["assignment", "member_removal", "unassignment"];

pub(super) fn brakes() -> impl Iterator<Item = &'static str> {
    Brake::ALL.iter().map(|brake| brake.label()).chain(["preflight", "refused"])
}

/// A hold must never be invisible, whatever it is called.
pub(super) fn known_brake(label: &str) -> &'static str {
    brakes().find(|brake| *brake == label).unwrap_or("refused")
}
