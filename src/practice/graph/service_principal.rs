//! Applications and who is assigned to them.

use serde_json::{Value, json};
use uuid::Uuid;

use super::route::{Call, Counted, Kind, Route};
use crate::model::id::{AppRoleId, AssignmentId, ServicePrincipalId};
use crate::practice::clock::stamp;
use crate::practice::directory::{App, Directory, Holder, Row};
use crate::practice::odata::{Reply, parse_equality, select};
use crate::practice::scenario::ZeroRole;
use crate::practice::world::Unchanged;

const READ: &[&[&str]] = &[&[
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]];
const ASSIGN: &[&[&str]] = &[&["AppRoleAssignment.ReadWrite.All"], READ[0]];
const UNASSIGN: &[&[&str]] = &[&["AppRoleAssignment.ReadWrite.All"]];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/servicePrincipals" Read 1 READ => list),
    route!(GET "/servicePrincipals/{id}" Read 1 READ => by_id),
    route!(GET "/servicePrincipals(appId='{appId}')" Read 1 READ => by_app_id),
    route!(GET "/servicePrincipals/{id}/appRoleAssignedTo" Read 1 READ => assigned_to),
    route!(GET "/servicePrincipals/{id}/appRoleAssignedTo/$count" Read 1 READ => count),
    route!(GET "/servicePrincipals/{id}/appRoleAssignedTo/{assignment}" Read 1 READ => one_row),
    route!(POST "/servicePrincipals/{id}/appRoleAssignedTo" Write 1 ASSIGN => assign),
    route!(DELETE "/servicePrincipals/{id}/appRoleAssignedTo/{assignment}" Write 1 UNASSIGN => unassign),
    route!(PATCH "/servicePrincipals/{id}" Forbidden 1 &[&["Application.ReadWrite.All"]] => |_| Reply::done()),
];

const APP_PROPERTIES: &[&str] = &[
    "id",
    "deletedDateTime",
    "accountEnabled",
    "appDisplayName",
    "appId",
    "appRoleAssignmentRequired",
    "appRoles",
    "displayName",
    "servicePrincipalNames",
    "servicePrincipalType",
    "tags",
];

fn app_json(app: &App) -> Value {
    let roles = app.roles.iter().map(|role| {
        json!({"id": role.id, "displayName": role.name, "description": role.name, "value": role.name.to_lowercase(),
            "isEnabled": role.enabled, "allowedMemberTypes": ["User"], "origin": "Application"})
    });
    json!({
        "id": app.id, "deletedDateTime": null, "accountEnabled": true, "appDisplayName": app.display_name, "appId": app.app_id,
        "appRoleAssignmentRequired": true, "appRoles": Vec::from_iter(roles), "displayName": app.display_name,
        "servicePrincipalNames": [app.app_id], "servicePrincipalType": "Application",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
    })
}

fn app<'a>(call: &'a Call) -> Result<&'a App, Reply> {
    let id = ServicePrincipalId(call.uuid(0)?);
    call.state.world.app(id).ok_or_else(|| Reply::not_found(call.param(0)))
}

fn list(call: &mut Call) -> Reply {
    let wanted = match call.query.get("$filter").map(parse_equality) {
        None => None,
        Some(Some((field @ ("displayName" | "appId"), value))) => Some((field, value)),
        Some(_) => return Reply::bad_request("Invalid filter clause"),
    };
    let items: Result<Vec<_>, Reply> = call
        .state
        .world
        .apps
        .iter()
        .map(|app| (app.id.to_string(), app_json(app)))
        .filter(|(_, app)| {
            wanted.as_ref().is_none_or(|(field, value)| app[field].as_str().is_some_and(|is| is.eq_ignore_ascii_case(value)))
        })
        .map(|(key, app)| Ok((key, select(app, "servicePrincipal", &call.query, APP_PROPERTIES)?)))
        .collect();
    items.map_or_else(|reply| reply, |items| call.page("servicePrincipals", items))
}

fn by_id(call: &mut Call) -> Reply {
    shown(call, app(call).cloned())
}

fn by_app_id(call: &mut Call) -> Reply {
    let app_id: Option<Uuid> = call.param(0).parse().ok();
    let app = call.state.world.apps.iter().find(|app| Some(app.app_id) == app_id);
    shown(call, app.cloned().ok_or_else(|| Reply::not_found(call.param(0))))
}

fn shown(call: &Call, app: Result<App, Reply>) -> Reply {
    let shown = app.and_then(|app| select(app_json(&app), "servicePrincipal", &call.query, APP_PROPERTIES));
    shown.map_or_else(|reply| reply, |app| Reply::object(200, "servicePrincipals/$entity", app))
}

fn row_json(directory: &Directory, row: &Row) -> Value {
    json!({
        "id": row.id, "deletedDateTime": null, "appRoleId": row.role, "createdDateTime": stamp(row.created),
        "principalDisplayName": directory.display_name(row.principal), "principalId": row.principal.id(),
        "principalType": row.principal.kind(), "resourceDisplayName": directory.app(row.app).map(|app| &app.display_name),
        "resourceId": row.app,
    })
}

fn assigned_to(call: &mut Call) -> Reply {
    if let Err(reply) = app(call).map(|_| ()) {
        return reply;
    }
    let filtered = match call.query.get("$filter").map(parse_equality) {
        None => None,
        Some(Some(("principalDisplayName", name))) => Some(name),
        Some(_) => return Reply::bad_request("Invalid filter clause"),
    };
    let world = &call.state.world;
    let wanted = |row: &&Row| filtered.is_none() || world.display_name(row.principal) == filtered.as_deref();
    let items: Vec<&Row> = visible_rows(call).filter(wanted).collect();
    call.page_of("appRoleAssignments", &items, |row| row.id.to_string(), |row| Ok(row_json(world, row)))
}

fn visible_rows<'a>(call: &'a Call) -> impl Iterator<Item = &'a Row> {
    let now = call.as_of;
    let app = call.uuid(0).ok().map(ServicePrincipalId);
    call.state.world.assignments.values().filter(move |row| Some(row.app) == app && row.presence.shows(now))
}

fn count(call: &mut Call) -> Reply {
    match app(call).map(|_| ()).and_then(|()| call.advanced(Counted::ByPath)) {
        Ok(()) => Reply::text(visible_rows(call).count().to_string()),
        Err(reply) => reply,
    }
}

fn one_row(call: &mut Call) -> Reply {
    let key = call.param(1);
    match visible_rows(call).find(|row| row.id.to_string() == key) {
        Some(row) => Reply::object(200, "appRoleAssignments/$entity", row_json(&call.state.world, row)),
        None => Reply::not_found(key),
    }
}

fn assign(call: &mut Call) -> Reply {
    let wanted = app(call).cloned().and_then(|app| assignable(call, &app));
    let (app, principal, role) = match wanted {
        Ok(wanted) => wanted,
        Err(reply) => return reply,
    };
    let by = call.name();
    match call.state.world.assign(app, principal, role, &by) {
        Ok(id) => {
            let world = &call.state.world;
            let row = world.assignments.get(&id).expect("the row was just made");
            Reply::object(201, "appRoleAssignments/$entity", row_json(world, row))
        }
        Err(Unchanged::AlreadyThere) => Reply::bad_request("Permission being assigned already exists on the object"),
        Err(Unchanged::NotThere) => Reply::not_found(&principal.id().to_string()),
    }
}

/// What a body asks for, checked against the truth.
fn assignable(call: &Call, app: &App) -> Result<(ServicePrincipalId, Holder, AppRoleId), Reply> {
    let field = |name: &str| -> Result<Uuid, Reply> {
        let text = call.body()[name].as_str().unwrap_or_default();
        text.parse().map_err(|_| {
            Reply::bad_request(format!("Invalid value specified for property '{name}' of resource 'AppRoleAssignment'."))
        })
    };
    let (principal, resource, role) = (field("principalId")?, field("resourceId")?, AppRoleId(field("appRoleId")?));
    if resource != app.id.0 {
        return Err(Reply::bad_request("Invalid value specified for property 'resourceId' of resource 'AppRoleAssignment'."));
    }
    let declared = app.roles.iter().any(|known| known.id == role && known.enabled);
    let zero = role.0.is_nil() && (app.roles.is_empty() || call.inner.scenario.zero_role == ZeroRole::Accepted);
    if !declared && !zero {
        return Err(Reply::bad_request("Permission being assigned was not found on application"));
    }
    let holder = call.state.world.holder(principal).ok_or_else(|| Reply::not_found(&principal.to_string()))?;
    Ok((app.id, holder, role))
}

fn unassign(call: &mut Call) -> Reply {
    let app = match app(call) {
        Ok(app) => app.id,
        Err(reply) => return reply,
    };
    let (by, id) = (call.name(), AssignmentId::from(call.param(1)));
    match call.state.world.unassign(app, &id, &by) {
        Ok(()) => Reply::done(),
        Err(Unchanged::NotThere | Unchanged::AlreadyThere) => Reply::not_found(&id.to_string()),
    }
}

/// What a principal is assigned to, over all apps.
pub(super) fn rows_of(call: &Call, principal: Uuid) -> Reply {
    let (world, now) = (&call.state.world, call.as_of);
    let mut rows: Vec<_> = world.rows_of(principal).filter(|row| row.presence.shows(now)).collect();
    rows.sort_by_key(|row| &row.id);
    call.page_of("appRoleAssignments", &rows, |row| row.id.to_string(), |row| Ok(row_json(world, row)))
}
