//! Privileged Identity Management of groups.

use std::time::Duration;

use serde_json::{Value, json};

use super::route::{Call, Kind, Route};
use crate::model::id::{GroupId, UserId};
use crate::practice::clock::{later, stamp};
use crate::practice::odata::{Reply, parse_equality, pick};

const LASTS: Duration = Duration::from_secs(8 * 3600);
const ACTIVE: &str = "identityGovernance/privilegedAccess/group/assignmentScheduleInstances";
const ELIGIBLE: &str = "identityGovernance/privilegedAccess/group/eligibilityScheduleInstances";

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/identityGovernance/privilegedAccess/group/assignmentScheduleInstances" Read 1
        &[&["PrivilegedAssignmentSchedule.Read.AzureADGroup", "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"]] => active),
    route!(GET "/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances" Read 1
        &[&["PrivilegedEligibilitySchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"]] => eligible),
];

const PROPERTIES: &[&str] = &[
    "id",
    "principalId",
    "groupId",
    "accessId",
    "memberType",
    "startDateTime",
    "endDateTime",
    "assignmentType",
    "assignmentScheduleId",
];

/// The group that the filter names; without one nothing is answered.
fn group(call: &Call) -> Result<(usize, GroupId), Reply> {
    let refused = || Reply::error(400, "InvalidFilter", "The filter must name a groupId or a principalId.");
    let Some(Some(("groupId", id))) = call.query.get("$filter").map(parse_equality) else { return Err(refused()) };
    let id = GroupId(id.parse().map_err(|_| refused())?);
    let place = call.inner.ids.groups.iter().position(|group| *group == id);
    place.map(|place| (place + 1, id)).ok_or_else(|| Reply::not_found(&id.to_string()))
}

fn row(call: &Call, group: GroupId, user: UserId, access: &str, more: &Value) -> (String, Value) {
    let id = format!("{group}_{access}_{user}");
    let mut row = json!({
        "id": id, "principalId": user, "groupId": group, "accessId": access, "memberType": "direct",
        "startDateTime": stamp(call.inner.scenario.start), "endDateTime": null,
    });
    if let (Some(row), Some(more)) = (row.as_object_mut(), more.as_object()) {
        row.extend(more.clone());
    }
    (id, pick(row, &call.query, PROPERTIES))
}

/// Everybody who is in it, as they are in it; and the owner, who is no member by that.
fn active(call: &mut Call) -> Reply {
    let (n, id) = match group(call) {
        Ok(group) => group,
        Err(reply) => return reply,
    };
    let ids = &call.inner.ids;
    let known = (call.inner.scenario.privileged.get(&n), call.state.world.groups.get(&id));
    let (Some(privileged), Some(truth)) = known else { return call.page(ACTIVE, Vec::new()) };
    let members = (1..).zip(&ids.users).filter(|(_, user)| truth.has(**user)).map(|(n, user)| {
        let ends = privileged.active.contains(&n);
        let more = json!({
            "assignmentType": if ends { "activated" } else { "assigned" },
            "endDateTime": ends.then(|| stamp(later(call.inner.scenario.start, LASTS))),
            "assignmentScheduleId": format!("{id}_member_{user}"),
        });
        row(call, id, *user, "member", &more)
    });
    let owner = json!({"assignmentType": "activated", "assignmentScheduleId": format!("{id}_owner_{}", ids.outsider)});
    let rows = members.chain([row(call, id, ids.outsider, "owner", &owner)]).collect();
    call.page(ACTIVE, rows)
}

fn eligible(call: &mut Call) -> Reply {
    let (n, id) = match group(call) {
        Ok(group) => group,
        Err(reply) => return reply,
    };
    let ids = &call.inner.ids;
    let users = call.inner.scenario.privileged.get(&n).into_iter().flat_map(|privileged| &privileged.eligible);
    let rows = users.filter_map(|n| Some(row(call, id, *ids.users.get(n - 1)?, "member", &Value::Null))).collect();
    call.page(ELIGIBLE, rows)
}
