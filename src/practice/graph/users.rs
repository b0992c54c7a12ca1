//! Users, and looking objects up by their ids.

use serde_json::{Value, json};
use uuid::Uuid;

use super::groups::{PROPERTIES as GROUP_PROPERTIES, group_json};
use super::service_principal::row_json;
use super::{Call, Kind, Method, Route};
use crate::model::id::{GroupId, UserId};
use crate::practice::clock::stamp;
use crate::practice::odata::{Reply, pick, select};

pub(super) const READ: &[&[&str]] = &[&["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]];
const READ_OBJECTS: &[&[&str]] =
    &[&["Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All"]];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/users/{id}" Read 1 READ => one),
    route!(GET "/users/{id}/appRoleAssignments" Read 2 &[&["Directory.Read.All", "AppRoleAssignment.ReadWrite.All"]] => assignments),
    route!(DELETE "/users/{id}" Forbidden 1 &[&["User.ReadWrite.All"]] => delete),
    route!(POST "/directoryObjects/getByIds" Read 3 READ_OBJECTS => by_ids),
];

pub(super) const PROPERTIES: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];

/// The user as a reader with these rights sees him: without them, only that he is there.
pub(super) fn user_json(call: &Call, id: UserId) -> Option<Value> {
    let now = call.as_of;
    let user = call.state.world.users.get(&id).filter(|user| user.presence.shows(now))?;
    let given = user.display_name.split(' ').next();
    let mut body = json!({
        "id": id, "businessPhones": [], "displayName": user.display_name, "givenName": given, "jobTitle": null,
        "mail": user.upn, "mobilePhone": null, "officeLocation": null, "preferredLanguage": null, "surname": user.nickname,
        "userPrincipalName": user.upn, "accountEnabled": user.enabled.seen(now), "userType": if user.guest { "Guest" } else { "Member" },
        "mailNickname": user.nickname, "department": user.department, "employeeId": null, "deletedDateTime": null,
        "createdDateTime": stamp(user.created), "onPremisesSyncEnabled": null, "onPremisesUserPrincipalName": null,
        "onPremisesImmutableId": null, "onPremisesSamAccountName": null,
    });
    if !call.claims.allow(READ) {
        let properties = body.as_object_mut().into_iter().flatten().filter(|(name, _)| *name != "id");
        properties.for_each(|(_, value)| *value = Value::Null);
        body["businessPhones"] = json!([]);
    }
    Some(body)
}

/// As an item of a mixed list.
pub(super) fn typed(kind: &str, mut body: Value) -> Value {
    body["@odata.type"] = json!(format!("#microsoft.graph.{kind}"));
    body
}

pub(super) fn selected(call: &Call, user: Value) -> Result<Value, Reply> {
    select(user, "user", &call.query, PROPERTIES)
}

fn one(call: &mut Call) -> Reply {
    let wanted = call.param(0).to_lowercase();
    let by_name = |upn: &str| upn.to_lowercase() == wanted.replace("%23", "#");
    let id = wanted.parse().map(UserId).ok();
    let id = id.or_else(|| call.state.world.users.iter().find(|(_, user)| by_name(&user.upn)).map(|(id, _)| *id));
    let user = id.and_then(|id| user_json(call, id)).ok_or_else(|| Reply::not_found(call.param(0)));
    user.and_then(|user| selected(call, user)).map_or_else(|reply| reply, |user| Reply::object(200, "users/$entity", user))
}

fn assignments(call: &mut Call) -> Reply {
    let id = match call.uuid(0) {
        Ok(id) if user_json(call, UserId(id)).is_some() => id,
        Ok(_) => return Reply::not_found(call.param(0)),
        Err(reply) => return reply,
    };
    rows_of(call, id)
}

/// What a principal is assigned to, over all apps.
pub(super) fn rows_of(call: &Call, principal: Uuid) -> Reply {
    let (world, now) = (&call.state.world, call.as_of);
    let mut rows: Vec<_> = world.rows_of(principal).filter(|row| row.presence.shows(now)).collect();
    rows.sort_by_key(|row| &row.id);
    call.page_of("appRoleAssignments", &rows, |row| row.id.to_string(), |row| Ok(row_json(world, row)))
}

fn delete(call: &mut Call) -> Reply {
    let by = call.name();
    match call.uuid(0) {
        Ok(id) => {
            call.state.world.delete_user(UserId(id), &by).map_or_else(|_| Reply::not_found(call.param(0)), |()| Reply::done())
        }
        Err(reply) => reply,
    }
}

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
