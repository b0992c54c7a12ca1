//! Groups and their members.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::route::{Call, Counted, Kind, Route};
use super::service_principal::rows_of;
use super::users::{PROPERTIES as USER_PROPERTIES, delete as delete_user, selected as selected_user, typed, user_json};
use crate::model::id::{GroupId, UserId};
use crate::practice::clock::stamp;
use crate::practice::odata::{Reply, pick, select};
use crate::practice::scenario::GroupTrait;
use crate::practice::world::Unchanged;

const READ: &[&[&str]] = &[&[
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]];
const WRITE: &[&[&str]] = &[&["GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"]];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/groups/{id}" Read 1 READ => one),
    route!(GET "/groups/{id}/members" Read 3 READ => |call| members(call, Cast::None)),
    route!(GET "/groups/{id}/members/microsoft.graph.user" Read 3 READ => |call| members(call, Cast::User)),
    route!(GET "/groups/{id}/members/microsoft.graph.group" Read 3 READ => |call| members(call, Cast::Group)),
    route!(GET "/groups/{id}/members/$count" Read 1 READ => count),
    route!(GET "/groups/{id}/transitiveMembers" Read 5 READ => |call| transitive(call, Cast::None)),
    route!(GET "/groups/{id}/transitiveMembers/microsoft.graph.user" Read 5 READ => |call| transitive(call, Cast::User)),
    route!(GET "/groups/{id}/memberOf" Read 1 READ => member_of),
    route!(GET "/identity/conditionalAccess/policies" Read 1 &[&["Policy.Read.All", "Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess"]] => policies),
    route!(GET "/groups/{id}/appRoleAssignments" Read 2 &[&["Directory.Read.All", "Application.Read.All", "AppRoleAssignment.ReadWrite.All"]] => assignments),
    route!(POST "/groups/{id}/members/$ref" Write 1 WRITE => join),
    route!(DELETE "/groups/{id}/members/{member}/$ref" Write 1 WRITE => leave),
    // The trap: without `/$ref` this is the deletion of the member itself.
    route!(DELETE "/groups/{id}/members/{member}" Forbidden 1 &[&["User.ReadWrite.All"]] => |call| delete_user(call, 1)),
    route!(DELETE "/groups/{id}" Forbidden 1 &[&["Group.ReadWrite.All"]] => |_| Reply::denied()),
    route!(PATCH "/groups/{id}" Forbidden 1 &[&["Group.ReadWrite.All"]] => |_| Reply::denied()),
];

/// Returned without `$select`. Licences and the like come only when asked for.
pub(super) const PROPERTIES: &[&str] = &[
    "id",
    "deletedDateTime",
    "classification",
    "createdDateTime",
    "description",
    "displayName",
    "expirationDateTime",
    "groupTypes",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "membershipRuleProcessingState",
    "onPremisesLastSyncDateTime",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "proxyAddresses",
    "resourceProvisioningOptions",
    "securityEnabled",
    "visibility",
];

const DEVICE_PROPERTIES: &[&str] = &["id", "displayName", "deletedDateTime", "accountEnabled"];
const PARENT_PROPERTIES: &[&str] = &["id", "displayName", "description", "deletedDateTime"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cast {
    None,
    User,
    Group,
}

pub(super) fn group_json(call: &Call, id: GroupId) -> Option<Value> {
    let group = call.state.world.groups.get(&id)?;
    let is = |what: GroupTrait| group.is(what);
    let kinds =
        [(GroupTrait::Dynamic, "DynamicMembership"), (GroupTrait::Team, "Unified"), (GroupTrait::HiddenMembership, "Unified")];
    let kinds: Vec<_> = kinds.iter().filter(|(what, _)| is(*what)).map(|(_, kind)| *kind).collect();
    let from_elsewhere = is(GroupTrait::Synced) || is(GroupTrait::Converted);
    let rule = if is(GroupTrait::RuleByGroups) {
        "user.memberof -any (group.objectId -in ['x'])"
    } else {
        "user.department -eq \"Sales\""
    };
    let mail = is(GroupTrait::MailEnabled) || is(GroupTrait::Team);
    let nickname = group.display_name.to_lowercase().replace(' ', "");
    let licences =
        if is(GroupTrait::Licensed) { json!([{"disabledPlans": [], "skuId": call.inner.ids.tenant}]) } else { json!([]) };
    Some(json!({
        "id": id, "deletedDateTime": null, "classification": null, "createdDateTime": stamp(group.created), "description": null,
        "displayName": group.display_name, "expirationDateTime": null, "groupTypes": kinds,
        "isAssignableToRole": is(GroupTrait::RoleAssignable).then_some(true),
        "mail": mail.then(|| format!("{nickname}@contoso.example")), "mailEnabled": mail, "mailNickname": nickname,
        "membershipRule": is(GroupTrait::Dynamic).then_some(rule),
        "membershipRuleProcessingState": is(GroupTrait::Dynamic).then_some(if is(GroupTrait::RulePaused) { "Paused" } else { "On" }),
        "onPremisesSecurityIdentifier": from_elsewhere.then_some("S-1-5-21-1180699209-877415012-3182924384-1004"),
        "onPremisesLastSyncDateTime": from_elsewhere.then(|| stamp(group.created)),
        "onPremisesSyncEnabled": is(GroupTrait::Synced).then_some(true), "proxyAddresses": [],
        "resourceProvisioningOptions": if is(GroupTrait::Team) { json!(["Team"]) } else { json!([]) },
        "securityEnabled": group.security_enabled(), "visibility": is(GroupTrait::HiddenMembership).then_some("HiddenMembership"),
        "assignedLicenses": licences, "licenseProcessingState": is(GroupTrait::Licensed).then(|| json!({"state": "ProcessingComplete"})),
        "isManagementRestricted": is(GroupTrait::ManagementRestricted).then_some(true),
    }))
}

fn selected(call: &Call, group: Value) -> Result<Value, Reply> {
    select(group, "group", &call.query, PROPERTIES)
}

fn group(call: &Call) -> Result<GroupId, Reply> {
    let id = GroupId(call.uuid(0)?);
    if call.state.world.groups.contains_key(&id) { Ok(id) } else { Err(Reply::not_found(call.param(0))) }
}

fn one(call: &mut Call) -> Reply {
    let shown = group(call).and_then(|id| selected(call, group_json(call, id).unwrap_or_default()));
    shown.map_or_else(|reply| reply, |group| Reply::object(200, "groups/$entity", group))
}

/// Direct members that show now.
fn visible(call: &Call, id: GroupId) -> Vec<Uuid> {
    let now = call.as_of;
    let allowed = call.claims.allow(&[&["Member.Read.Hidden"]]);
    let group = call.state.world.groups.get(&id).filter(|group| allowed || !group.is(GroupTrait::HiddenMembership));
    let members = group.into_iter().flat_map(|group| &group.members);
    members.filter(|(_, presence)| presence.shows(now)).map(|(id, _)| *id).collect()
}

fn members(call: &mut Call, cast: Cast) -> Reply {
    let ids = group(call).and_then(|id| {
        if cast != Cast::None {
            call.advanced(Counted::ByQuery)?;
        }
        Ok(visible(call, id))
    });
    ids.map_or_else(|reply| reply, |ids| objects(call, ids, cast))
}

fn transitive(call: &mut Call, cast: Cast) -> Reply {
    let first = match group(call) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    if cast != Cast::None
        && let Err(reply) = call.advanced(Counted::ByQuery)
    {
        return reply;
    }
    let (mut open, mut seen) = (vec![first], BTreeSet::new());
    while let Some(next) = open.pop() {
        for member in visible(call, next) {
            if seen.insert(member) && call.state.world.groups.contains_key(&GroupId(member)) {
                open.push(GroupId(member));
            }
        }
    }
    objects(call, seen.into_iter().collect(), cast)
}

/// The objects behind the ids, as far as they show and the cast wants them.
fn objects(call: &Call, ids: Vec<Uuid>, cast: Cast) -> Reply {
    let (world, now) = (&call.state.world, call.as_of);
    let is_user = |id: &Uuid| world.users.get(&UserId(*id)).is_some_and(|user| user.presence.shows(now));
    let is_group = |id: &Uuid| world.groups.contains_key(&GroupId(*id));
    let wanted = |id: &Uuid| match cast {
        Cast::User => is_user(id),
        Cast::Group => !is_user(id) && is_group(id),
        Cast::None => is_user(id) || is_group(id) || world.devices.contains(id),
    };
    let object = |id: &Uuid| match (cast, user_json(call, UserId(*id))) {
        (Cast::User | Cast::Group, Some(user)) => selected_user(call, user),
        (Cast::User | Cast::Group, None) => selected(call, group_json(call, GroupId(*id)).unwrap_or_default()),
        (Cast::None, Some(user)) => {
            let agent = world.users.get(&UserId(*id)).is_some_and(|user| user.agent);
            Ok(typed(if agent { "agentUser" } else { "user" }, pick(user, &call.query, USER_PROPERTIES)))
        }
        (Cast::None, None) => Ok(match group_json(call, GroupId(*id)) {
            Some(group) => typed("group", pick(group, &call.query, PROPERTIES)),
            None => {
                let device = json!({"id": id, "displayName": "Front desk", "deletedDateTime": null, "accountEnabled": true});
                typed("device", pick(device, &call.query, DEVICE_PROPERTIES))
            }
        }),
    };
    let context = match cast {
        Cast::None => "directoryObjects",
        Cast::User => "users",
        Cast::Group => "groups",
    };
    let ids: Vec<Uuid> = ids.into_iter().filter(wanted).collect();
    call.page_of(context, &ids, Uuid::to_string, object)
}

fn count(call: &mut Call) -> Reply {
    let id = group(call).and_then(|id| call.advanced(Counted::ByPath).map(|()| id));
    id.map_or_else(|reply| reply, |id| Reply::text(visible(call, id).len().to_string()))
}

fn member_of(call: &mut Call) -> Reply {
    let id = match group(call) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let now = call.as_of;
    let world = &call.state.world;
    let above = world.groups.iter().filter(|(_, group)| group.members.get(&id.0).is_some_and(|member| member.shows(now)));
    let groups = above.filter_map(|(above, _)| {
        let group = pick(group_json(call, *above)?, &call.query, PROPERTIES);
        Some((above.to_string(), typed("group", group)))
    });
    let parents = world.groups.get(&id).into_iter().flat_map(|group| &group.parents).map(|(kind, id, name)| {
        let body = json!({"id": id, "displayName": name, "description": null, "deletedDateTime": null});
        (id.to_string(), typed(kind, pick(body, &call.query, PARENT_PROPERTIES)))
    });
    call.page("directoryObjects", groups.chain(parents).collect())
}

const POLICY_PROPERTIES: &[&str] = &["id", "displayName", "state", "conditions"];

/// One policy for each group that has one, and one that is for everybody.
fn policies(call: &mut Call) -> Reply {
    let policy = |id: Uuid, name: String, users: Value| {
        let body =
            json!({"id": id, "displayName": name, "state": "enabled", "conditions": {"clientAppTypes": ["all"], "users": users}});
        (id.to_string(), pick(body, &call.query, POLICY_PROPERTIES))
    };
    let named = call.state.world.groups.iter().filter(|(_, group)| group.is(GroupTrait::ConditionalAccess));
    let named = named.map(|(id, group)| {
        let name = format!("Ask {} for a second factor", group.display_name);
        policy(id.0, name, json!({"includeUsers": [], "includeGroups": [id], "excludeGroups": []}))
    });
    let all = policy(call.inner.ids.tenant.0, "Block old clients".into(), json!({"includeUsers": ["All"], "includeGroups": []}));
    call.page("identity/conditionalAccess/policies", named.chain([all]).collect())
}

fn assignments(call: &mut Call) -> Reply {
    group(call).map_or_else(|reply| reply, |id| rows_of(call, id.0))
}

/// Why the members of a group cannot be edited, if they cannot.
fn locked(call: &Call, id: GroupId) -> Result<(), Reply> {
    let group = call.state.world.groups.get(&id).ok_or_else(|| Reply::not_found(&id.to_string()))?;
    let may_edit_roles = call.claims.allow(&[&["RoleManagement.ReadWrite.Directory"]]);
    if group.is(GroupTrait::Dynamic) || group.is(GroupTrait::ManagementRestricted) {
        return Err(Reply::denied());
    }
    if group.is(GroupTrait::RoleAssignable) && !may_edit_roles {
        return Err(Reply::denied());
    }
    if group.is(GroupTrait::Synced) {
        return Err(Reply::bad_request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
        ));
    }
    if group.is(GroupTrait::MailEnabled) && !group.is(GroupTrait::Team) {
        return Err(Reply::bad_request("Cannot Update a mail-enabled security groups and or distribution list."));
    }
    Ok(())
}

fn join(call: &mut Call) -> Reply {
    let id = match group(call).and_then(|id| locked(call, id).map(|()| id)) {
        Ok(id) => id,
        Err(reply) => return reply,
    };
    let link = call.body()["@odata.id"].as_str().and_then(|link| link.rsplit('/').next());
    let Some(member) = link.and_then(|id| id.parse::<Uuid>().ok()) else {
        return Reply::bad_request("Invalid URL format specified in @odata.id.");
    };
    if call.state.world.holder(member).is_none() {
        return Reply::not_found(&member.to_string());
    }
    let by = call.name();
    match call.state.world.join(id, member, &by) {
        Ok(()) => Reply::done(),
        Err(Unchanged::AlreadyThere) => Reply::bad_request(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ),
        Err(Unchanged::NotThere) => Reply::not_found(&member.to_string()),
    }
}

fn leave(call: &mut Call) -> Reply {
    let ids = group(call).and_then(|id| locked(call, id).and_then(|()| Ok((id, call.uuid(1)?))));
    let (id, member) = match ids {
        Ok(ids) => ids,
        Err(reply) => return reply,
    };
    let by = call.name();
    match call.state.world.leave(id, member, &by) {
        Ok(()) => Reply::done(),
        Err(Unchanged::NotThere | Unchanged::AlreadyThere) => Reply::not_found(&member.to_string()),
    }
}
