//! Users.

use serde_json::{Value, json};

use super::route::{Call, Kind, Route};
use super::service_principal::rows_of;
use crate::model::id::UserId;
use crate::practice::clock::stamp;
use crate::practice::odata::{Reply, select};

pub(super) const READ: &[&[&str]] = &[&["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/users/{id}" Read 1 READ => one),
    route!(GET "/users/{id}/appRoleAssignments" Read 2 &[&["Directory.Read.All", "AppRoleAssignment.ReadWrite.All"]] => assignments),
    route!(DELETE "/users/{id}" Forbidden 1 &[&["User.ReadWrite.All"]] => |call| delete(call, 0)),
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

/// The user as a reader with these rights sees them: without the rights, only that they are there.
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

/// Deletes the user whom the n-th parameter names.
pub(super) fn delete(call: &mut Call, n: usize) -> Reply {
    let by = call.name();
    match call.uuid(n) {
        Ok(id) => {
            call.state.world.delete_user(UserId(id), &by).map_or_else(|_| Reply::not_found(call.param(n)), |()| Reply::done())
        }
        Err(reply) => reply,
    }
}
