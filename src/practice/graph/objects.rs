//! Looking objects up by their ids.

use serde_json::Value;
use uuid::Uuid;

use super::groups::{PROPERTIES as GROUP_PROPERTIES, group_json};
use super::route::{Call, Kind, Route};
use super::users::{PROPERTIES, typed, user_json};
use crate::model::id::{GroupId, UserId};
use crate::practice::odata::{Reply, pick};

const READ: &[&[&str]] =
    &[&["Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All"]];

pub(super) const ROUTES: &[Route] = &[route!(POST "/directoryObjects/getByIds" Read 3 READ => by_ids)];

/// Up to 1000 objects; those that are not there are left out of the answer.
fn by_ids(call: &mut Call) -> Reply {
    let ids: Option<Vec<Uuid>> =
        call.body()["ids"].as_array().map(|ids| ids.iter().filter_map(|id| id.as_str()?.parse().ok()).collect());
    let Some(ids) = ids.filter(|ids| (1..=1000).contains(&ids.len())) else {
        return Reply::bad_request("Invalid value specified for property 'ids': 1 to 1000 identifiers are expected.");
    };
    let types: Vec<&str> = call.body()["types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wants = |kind: &str| types.is_empty() || types.contains(&kind) || types.contains(&"directoryObject");
    let found = ids.into_iter().filter_map(|id| {
        let user = wants("user").then(|| user_json(call, UserId(id))).flatten();
        let user = user.map(|user| typed("user", pick(user, &call.query, PROPERTIES)));
        let group = || {
            let group = wants("group").then(|| group_json(call, GroupId(id))).flatten();
            group.map(|group| typed("group", pick(group, &call.query, GROUP_PROPERTIES)))
        };
        Some((id.to_string(), user.or_else(group)?))
    });
    call.page("directoryObjects", found.collect())
}
