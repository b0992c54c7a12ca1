//! The synchronization job, its schema and its settings.

use serde_json::{Value, json};

use super::route::{Call, Kind, Route};
use crate::model::id::{JobId, ServicePrincipalId};
use crate::practice::engine::job::Job;
use crate::practice::odata::Reply;
use crate::practice::scenario::{ExternalId, Mapping};

const READ: &[&[&str]] = &[&["Synchronization.Read.All", "Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy"]];
const WRITE: &[&[&str]] = &[&["Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy"]];

pub(super) const ROUTES: &[Route] = &[
    route!(GET "/servicePrincipals/{id}/synchronization/jobs" Read 1 READ => jobs),
    route!(GET "/servicePrincipals/{id}/synchronization/jobs/{job}" Read 1 READ => one),
    route!(GET "/servicePrincipals/{id}/synchronization/jobs/{job}/schema" Read 1 READ => schema),
    route!(GET "/servicePrincipals/{id}/synchronization/secrets" Read 1 READ => secrets),
    route!(POST "/servicePrincipals/{id}/synchronization/jobs/{job}/pause" Write 1 WRITE => |call| change(call, Job::pause)),
    route!(POST "/servicePrincipals/{id}/synchronization/jobs/{job}/start" Write 1 WRITE => |call| change(call, Job::start)),
    route!(POST "/servicePrincipals/{id}/synchronization/jobs/{job}/validateCredentials" Forbidden 1 WRITE => |call| change(call, |_| ())),
    route!(POST "/servicePrincipals/{id}/synchronization/jobs/{job}/restart" Forbidden 1 WRITE => |call| change(call, Job::start)),
    route!(POST "/servicePrincipals/{id}/synchronization/jobs/{job}/provisionOnDemand" Forbidden 1 WRITE => on_demand),
    route!(PATCH "/servicePrincipals/{id}/synchronization/jobs/{job}/schema" Forbidden 1 WRITE => |call| change(call, |_| ())),
    route!(PUT "/servicePrincipals/{id}/synchronization/jobs/{job}/schema" Forbidden 1 WRITE => |call| change(call, |_| ())),
    route!(DELETE "/servicePrincipals/{id}/synchronization/jobs/{job}" Forbidden 1 WRITE => delete),
    route!(PATCH "/servicePrincipals/{id}/synchronization/jobs/{job}" Forbidden 1 WRITE => |call| change(call, |_| ())),
    route!(POST "/servicePrincipals/{id}/synchronization/jobs" Forbidden 1 WRITE => |_| Reply::denied()),
    route!(PUT "/servicePrincipals/{id}/synchronization/secrets" Forbidden 1 WRITE => put_secrets),
];

/// Keys that are shown as they are; all others are masked.
const READABLE: &[&str] = &["BaseAddress", "SyncAll", "SyncNotificationSettings", "SkipOutOfScopeDeletions"];

/// Only our application has jobs; another one has none, and an unknown one is not found.
fn is_ours(call: &Call) -> Result<bool, Reply> {
    let id = ServicePrincipalId(call.uuid(0)?);
    call.state.world.app(id).ok_or_else(|| Reply::not_found(call.param(0)))?;
    Ok(id == call.inner.ids.service_principal)
}

/// Position of the job that the path names.
fn position(call: &Call) -> Result<usize, Reply> {
    let id = JobId(call.param(1).to_owned());
    let ours = is_ours(call)?;
    let at = call.state.sync.jobs.iter().position(|job| ours && job.id == id);
    at.ok_or_else(|| Reply::not_found(&id.0))
}

fn jobs(call: &mut Call) -> Reply {
    match is_ours(call) {
        Ok(true) => call.page("jobs", call.state.sync.jobs.iter().map(|job| (job.id.to_string(), job.to_json())).collect()),
        Ok(false) => call.page("jobs", Vec::new()),
        Err(reply) => reply,
    }
}

fn one(call: &mut Call) -> Reply {
    let job = position(call).map(|at| call.state.sync.jobs[at].to_json());
    job.map_or_else(|reply| reply, |job| Reply::object(200, "jobs/$entity", job))
}

fn change(call: &mut Call, change: fn(&mut Job)) -> Reply {
    match position(call) {
        Ok(at) => {
            change(&mut call.state.sync.jobs[at]);
            call.inner.wake.notify_one();
            Reply::done()
        }
        Err(reply) => reply,
    }
}

/// Answered as if it had been done; nobody is provisioned by it here.
fn on_demand(call: &mut Call) -> Reply {
    position(call).map_or_else(|reply| reply, |_| Reply::json(200, json!({"key": null, "value": "{}"})))
}

/// Erases the job with all its state; what is at the target stays.
fn delete(call: &mut Call) -> Reply {
    match position(call) {
        Ok(at) => {
            call.state.sync.jobs.remove(at);
            Reply::done()
        }
        Err(reply) => reply,
    }
}

fn secrets(call: &mut Call) -> Reply {
    match is_ours(call) {
        Ok(true) => {
            let shown = |key: &str, value: &str| if READABLE.contains(&key) { value.to_owned() } else { "*".to_owned() };
            let pairs = call.state.sync.secrets.iter().map(|(key, value)| json!({"key": key, "value": shown(key, value)}));
            Reply::object(200, "secrets", json!({"value": Vec::from_iter(pairs)}))
        }
        Ok(false) => Reply::object(200, "secrets", json!({"value": []})),
        Err(reply) => reply,
    }
}

/// Replaces all of them, literally: a `*` that was read is a `*` that is stored.
fn put_secrets(call: &mut Call) -> Reply {
    match is_ours(call) {
        Ok(true) => {
            let pairs = call.body()["value"].as_array().into_iter().flatten();
            let pairs = pairs.filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), pair["value"].as_str()?.to_owned())));
            call.state.sync.secrets = pairs.collect();
            Reply::done()
        }
        Ok(false) => Reply::denied(),
        Err(reply) => reply,
    }
}

fn schema(call: &mut Call) -> Reply {
    if let Err(reply) = position(call) {
        return reply;
    }
    let settings = &call.inner.scenario.job;
    let external_id = match settings.external_id {
        ExternalId::MailNickname => "mailNickname",
        ExternalId::ObjectId => "objectId",
    };
    let mut filter = Vec::new();
    if let Some(department) = &settings.scoping_filter {
        let clause =
            json!({"operatorName": "EQUALS", "sourceOperandName": "department", "targetOperand": {"values": [department]}});
        filter.push(json!({"name": "Scoping filter", "clauses": [clause]}));
    }
    let user = [
        attribute("userName", "userPrincipalName", Match::First),
        function("active", "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")"),
        attribute("displayName", "displayName", Match::Never),
        attribute("externalId", external_id, Match::Never),
    ];
    let group = [attribute("displayName", "displayName", Match::First), attribute("externalId", "objectId", Match::Never)];
    let mappings = json!([
        mapping("Provision Microsoft Entra ID Groups", "Group", &settings.group_mapping, json!([]), json!(group)),
        mapping("Provision Microsoft Entra ID Users", "User", &settings.user_mapping, json!(filter), json!(user)),
    ]);
    let rule = json!({
        "id": "03f7d90d-bf71-41b1-bda6-aaf0ddbee5d8", "name": "USER_TO_USER", "editable": true, "priority": 1, "metadata": [],
        "sourceDirectoryName": "Azure Active Directory", "targetDirectoryName": "customappsso", "objectMappings": mappings,
    });
    let body = json!({"id": call.param(1), "version": "v1.1", "synchronizationRules": [rule]});
    Reply::object(200, "schema/$entity", body)
}

fn mapping(name: &str, kind: &str, settings: &Mapping, filter: Value, attributes: Value) -> Value {
    let target = if kind == "User" {
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    } else {
        "urn:ietf:params:scim:schemas:core:2.0:Group"
    };
    json!({
        "name": name, "enabled": settings.enabled, "flowTypes": settings.flow_types, "metadata": [],
        "sourceObjectName": kind, "targetObjectName": target, "attributeMappings": attributes,
        "scope": {"groups": filter, "inputFilterGroups": [], "categoryFilterGroups": []},
    })
}

/// Whether records are matched by an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    First,
    Never,
}

fn attribute(target: &str, source: &str, matching: Match) -> Value {
    json!({
        "targetAttributeName": target, "defaultValue": null, "exportMissingReferences": false, "flowBehavior": "FlowWhenChanged",
        "flowType": "Always", "matchingPriority": if matching == Match::First { 1 } else { 0 },
        "source": {"expression": format!("[{source}]"), "name": source, "type": "Attribute", "parameters": []},
    })
}

fn function(target: &str, expression: &str) -> Value {
    json!({
        "targetAttributeName": target, "defaultValue": null, "exportMissingReferences": false, "flowBehavior": "FlowWhenChanged",
        "flowType": "Always", "matchingPriority": 0,
        "source": {"expression": expression, "name": "Switch", "type": "Function", "parameters": []},
    })
}
