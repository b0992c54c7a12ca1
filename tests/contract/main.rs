//! Holds the daemon and the practice tenant to Microsoft's published description of Graph, and to the list of what may be asked.
//!
//! The description is not part of the project: `UNSCIM_GRAPH_CONTRACT` names the file. Without it only the list is held.

mod openapi;
#[path = "../common/status.rs"]
mod status;
#[path = "../common/rig.rs"]
pub mod support;
#[path = "../common/walk.rs"]
pub mod walk;
mod wire;

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use unscim::model::action::Action;
use unscim::model::id::{GroupId, ServicePrincipalId, UserId};
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Afterwards, AppRef};
use unscim::practice::scenario::{GroupTrait, Privileged, Quota, Quotas, Scenario};
use unscim::undo::Direct;
use unscim::world::error::Error;
use unscim::world::{Directory, Target, World, Written};

use openapi::Contract;
use support::Rig;
use walk::small;
use wire::{ALLOWED, Exchange, Log, NOT_DESCRIBED, allowed, strangers};

const CONTRACT: &str = "UNSCIM_GRAPH_CONTRACT";

/// The description, or a line that says that there is none. A file that can't be read is a failure.
fn contract(test: &str) -> Option<Contract> {
    let Some(path) = std::env::var_os(CONTRACT) else {
        // Not by eprintln!, which is kept back when a test passes.
        let line = format!("CONTRACT NOT HELD: {CONTRACT} is not set; {test} had nothing to compare with\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return None;
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{CONTRACT}: reading {path:?}: {error}"));
    Some(Contract::read(&text).unwrap_or_else(|error| panic!("{CONTRACT}: {path:?}: {error}")))
}

async fn rig(scenario: Scenario) -> (Rig, Log) {
    let (mut rig, log) = (Rig::new(scenario).await, Log::default());
    rig.transport = log.on(rig.transport.clone());
    (rig, log)
}

/// What went over the wire in a run of its own, under a paused clock.
fn run<F: Future<Output = Vec<Exchange>>>(scene: F) -> Vec<Exchange> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(scene)
}

static WHOLE_GUIDE: LazyLock<Vec<Exchange>> = LazyLock::new(|| run(whole_guide()));
static ODD_TENANTS: LazyLock<Vec<Exchange>> = LazyLock::new(|| run(odd_tenants()));
static REFUSALS: LazyLock<Vec<Exchange>> = LazyLock::new(|| run(refusals()));

/// Every quirk that a group can have, and pages so small that lists have several.
fn odd() -> Scenario {
    use GroupTrait::*;
    let traits = [
        (1, [HasDevice, Licensed].into()),
        (2, [OtherApp, Nested].into()),
        (3, [AdministrativeUnit, BothRoles].into()),
        (4, [Dynamic, RuleByGroups, ConditionalAccess].into()),
    ];
    let mut scenario = Scenario { users: 12, groups: 4, page_size: 5, group_traits: traits.into(), ..Scenario::default() };
    let more =
        ["Policy.Read.All", "PrivilegedAssignmentSchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.Read.AzureADGroup"];
    scenario.permissions.extend(more.map(String::from));
    scenario.privileged = [(1, Privileged { active: [].into(), eligible: [2].into() })].into();
    scenario
}

async fn whole_guide() -> Vec<Exchange> {
    let (mut rig, log) = rig(small()).await;
    let before = rig.active_users();
    rig.spec.provisioning.afterwards = Afterwards::Pause;
    rig.retire().await;
    let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
    let rollback = unscim::undo::look(rig.world(), &spec, Direct::Stay, &stop).await.expect("a look");
    let back = rollback.carry_out(rig.world(), &spec, &stop).await.expect("writes");
    assert!(!back.done.is_empty() && back.stopped.is_none(), "{back:?}");
    rig.assert_nobody_hurt(&before);
    log.exchanges()
}

/// The app by its other names, and groups as they are in old tenants.
async fn odd_tenants() -> Vec<Exchange> {
    let (mut rig, log) = rig(odd()).await;
    let ids = rig.practice.ids().clone();
    for app in [AppRef::AppId(ids.app_id), AppRef::DisplayName(ids.app_name)] {
        rig.spec.entra.app = app;
        rig.restart();
        for _ in 0..20 {
            rig.turn().await;
            tokio::time::sleep(rig.spec.timing.interval).await;
        }
    }
    for user in [ids.users[1], ids.users[2], ids.direct_only] {
        let record = rig.practice.scim_user(user).expect("a record");
        rig.world().directory().users_by_id(&[user], "userPrincipalName").await.remove(0).expect("a user");
        rig.world().target().user(&record, &[]).await.expect("an answer");
    }
    log.exchanges()
}

async fn one(directory: &impl Directory, app: ServicePrincipalId, action: Action) -> Result<Written, Error> {
    directory.write(app, &[action], &|| None).await.remove(0)
}

/// Everything that Graph refuses: what is there already, what is gone, what is not allowed, what is too much.
async fn refusals() -> Vec<Exchange> {
    let writes = Some(Quota { amount: 8, per: Duration::from_secs(150) });
    let (mut rig, log) = rig(Scenario { quotas: Quotas { writes, ..Quotas::default() }, ..small() }).await;
    let ids = rig.practice.ids().clone();
    let (app, user, group) = (ids.service_principal, ids.users[4], ids.groups[0]);
    let nobody = GroupId(uuid::Uuid::max());
    let practice = rig.practice.clone();
    let directory = rig.world().directory();
    let assign = Action::AssignUser { user, role: ids.role_user };

    assert!(!one(directory, app, assign.clone()).await.unwrap().already);
    assert!(one(directory, app, assign.clone()).await.unwrap().already);
    let member = directory.members_of(&[group]).await.remove(0).unwrap().value.users.into_iter().next().expect("a member");
    assert!(!one(directory, app, Action::RemoveMember { group, user: member }).await.unwrap().already);
    assert!(one(directory, app, Action::RemoveMember { group, user: member }).await.unwrap().already);
    let rows = directory.assignments(app).await.unwrap().value;
    let row = rows.into_iter().find(|row| row.principal == Principal::User(user)).expect("the new row").id;
    let unassign = Action::RemoveDirect { user, assignment: row.into(), role: ids.role_user };
    assert!(!one(directory, app, unassign.clone()).await.unwrap().already);
    assert!(one(directory, app, unassign.clone()).await.unwrap().already);
    let unknown = [
        directory.profiles_of(&[nobody]).await.remove(0).map(drop),
        directory.members_of(&[nobody]).await.remove(0).map(drop),
        directory.app(&AppRef::ServicePrincipalId(ServicePrincipalId(nobody.0))).await.map(drop),
        directory.users_by_id(&[UserId(nobody.0)], "mail").await.remove(0).map(drop),
    ];
    for answer in unknown {
        assert!(matches!(answer, Err(Error::NotFound { .. })), "{answer:?}");
    }
    while one(directory, app, assign.clone()).await.is_ok() {}
    practice.admin().grant(["Application.Read.All"]);
    practice.admin().end_sessions();
    assert!(directory.members_of(&[group]).await.remove(0).is_err());
    assert!(directory.log(&ids.job, practice.now()).await.is_err());
    assert!(directory.settings(app).await.is_err());
    log.exchanges()
}

/// Fails with every difference, each once. Repetitions are compared once.
fn hold(contract: &mut Contract, exchanges: &[Exchange]) -> usize {
    let described = |exchange: &&Exchange| {
        exchange.graph_path().is_some() && !allowed(exchange).is_some_and(|line| NOT_DESCRIBED.contains(&line))
    };
    let graph: HashSet<_> = exchanges.iter().filter(described).collect();
    let objections: BTreeSet<_> = graph.iter().flat_map(|exchange| contract.objections(exchange)).collect();
    assert!(objections.is_empty(), "{} differences:\n{}", objections.len(), Vec::from_iter(objections).join("\n"));
    graph.len()
}

fn statuses(exchanges: &[Exchange]) -> BTreeSet<u16> {
    exchanges.iter().filter(|exchange| exchange.graph_path().is_some()).filter_map(Exchange::status).collect()
}

#[test]
fn the_whole_guide_asks_only_what_is_on_the_list_and_as_microsoft_describes_it() {
    let exchanges = &WHOLE_GUIDE;
    assert_eq!(strangers(exchanges), BTreeSet::new());
    if let Some(mut contract) = contract("the whole guide") {
        assert!(hold(&mut contract, exchanges) > 50);
    }
}

#[test]
fn odd_tenants_are_asked_and_answer_as_microsoft_describes_it() {
    let exchanges = &ODD_TENANTS;
    assert_eq!(strangers(exchanges), BTreeSet::new());
    assert!(exchanges.iter().any(|exchange| exchange.query.contains("$skiptoken") || exchange.query.contains("%24skiptoken")));
    if let Some(mut contract) = contract("odd tenants") {
        assert!(hold(&mut contract, exchanges) > 50);
    }
}

#[test]
fn refusals_come_in_the_envelope_that_microsoft_describes() {
    let exchanges = &REFUSALS;
    assert_eq!(strangers(exchanges), BTreeSet::new());
    let missing: Vec<_> = [400, 401, 403, 404, 429].into_iter().filter(|s| !statuses(exchanges).contains(s)).collect();
    assert!(missing.is_empty(), "no answer with {missing:?}");
    if let Some(mut contract) = contract("refusals") {
        assert!(hold(&mut contract, exchanges) > 15);
    }
}

#[test]
fn every_line_of_the_list_is_needed() {
    let used: BTreeSet<_> = WHOLE_GUIDE.iter().chain(&*ODD_TENANTS).filter_map(allowed).collect();
    let unused: Vec<_> = ALLOWED.iter().filter(|line| !used.contains(*line)).collect();
    assert!(unused.is_empty(), "nobody asks for {unused:?}");
}

fn exchange(method: Method, path: &str, request: Value, answer: (u16, Value)) -> Exchange {
    let bytes = |value: Value| if value.is_null() { "".into() } else { value.to_string().into() };
    Exchange {
        method,
        path: path.to_owned(),
        query: String::new(),
        request: bytes(request),
        answer: Some((StatusCode::from_u16(answer.0).unwrap(), bytes(answer.1))),
    }
}

#[test]
fn the_list_refuses_what_is_next_to_it() {
    let id = "11111111-1111-1111-1111-111111111111";
    let app = format!("/v1.0/servicePrincipals/{id}");
    let refused = [
        (Method::DELETE, format!("/v1.0/groups/{id}/members/{id}")),
        (Method::DELETE, format!("/v1.0/users/{id}")),
        (Method::DELETE, format!("/v1.0/groups/{id}")),
        (Method::DELETE, app.clone()),
        (Method::DELETE, format!("{app}/synchronization/jobs/scim.1.{id}")),
        (Method::POST, format!("{app}/synchronization/jobs/scim.1.{id}/restart")),
        (Method::POST, format!("{app}/synchronization/jobs/scim.1.{id}/provisionOnDemand")),
        (Method::PUT, format!("{app}/synchronization/secrets")),
        (Method::GET, format!("/v1.0/groups/{id}/members/$count")),
        (Method::POST, "/v1.0/$batch".into()),
        (Method::PATCH, format!("/scim/v2/Users/{id}")),
        (Method::DELETE, format!("/scim/v2/Groups/{id}")),
    ];
    for (method, path) in refused {
        assert_eq!(allowed(&exchange(method.clone(), &path, Value::Null, (204, Value::Null))), None, "{method} {path}");
    }
}

const SMALL: &str = r##"
openapi: 3.0.1
paths:
  /things/{id}:
    get:
      parameters:
      - { name: $select, in: query, schema: { type: array, items: { type: string } } }
      - { name: $top, in: query, schema: { type: integer } }
      responses: { 2XX: { content: { application/json: { schema: { $ref: '#/components/schemas/thing' } } } }, default: { $ref: '#/components/responses/error' } }
    delete:
      responses: { 2XX: { description: gone } }
    post:
      requestBody: { required: true, content: { application/json: { schema: { $ref: '#/components/schemas/thing' } } } }
      responses: { 2XX: { description: done } }
components:
  responses:
    error: { content: { application/json: { schema: { $ref: '#/components/schemas/error' } } } }
  schemas:
    error: { type: object, required: [code], properties: { code: { type: string } } }
    kind: { type: string, enum: [A, B], x-ms-enum-flags: { isFlags: true } }
    base: { type: object, properties: { id: { type: string, format: uuid } } }
    thing:
      allOf:
      - $ref: '#/components/schemas/base'
      - type: object
        required: [name]
        properties:
          name: { type: string, nullable: true }
          born: { type: string, format: date-time }
          kind: { $ref: '#/components/schemas/kind' }
          color: { type: string, enum: [red], nullable: true }
          parts: { type: array, items: { $ref: '#/components/schemas/base' } }
"##;

#[test]
fn the_comparison_bites() {
    let mut contract = Contract::read(SMALL).unwrap();
    let id = "11111111-1111-1111-1111-111111111111";
    let thing =
        json!({"id": id, "name": null, "born": "2026-11-02T08:00:00Z", "kind": "A,B", "color": null, "parts": [{"id": id}]});
    let good = exchange(Method::GET, "/v1.0/things/1", Value::Null, (200, thing.clone()));
    assert_eq!(contract.objections(&good), Vec::<String>::new());
    let gone = exchange(Method::DELETE, "/v1.0/things/1", Value::Null, (204, Value::Null));
    assert_eq!(contract.objections(&gone), Vec::<String>::new());

    let changed = |key: &str, value: Value| {
        let mut thing = thing.clone();
        thing[key] = value;
        thing
    };
    let bad = [
        changed("name", json!(5)),
        changed("id", json!("one")),
        changed("born", json!("yesterday")),
        changed("kind", json!("A,C")),
        changed("color", json!("blue")),
        changed("parts", json!([{"id": id, "nick": "x"}])),
        changed("nmae", json!("x")),
        json!({"id": id}),
        json!([]),
    ];
    for body in bad {
        let answer = exchange(Method::GET, "/v1.0/things/1", Value::Null, (200, body.clone()));
        assert_ne!(contract.objections(&answer), Vec::<String>::new(), "{body}");
        let request = exchange(Method::POST, "/v1.0/things/1", body.clone(), (204, Value::Null));
        assert_ne!(contract.objections(&request), Vec::<String>::new(), "{body}");
    }
    let odd = [
        exchange(Method::GET, "/v1.0/things/1", Value::Null, (404, json!({"message": "x"}))),
        exchange(Method::GET, "/v1.0/things/1", json!({}), (200, thing.clone())),
        exchange(Method::DELETE, "/v1.0/things/1", Value::Null, (204, json!({}))),
        exchange(Method::DELETE, "/v1.0/things/1", Value::Null, (404, json!({"code": "x"}))),
        exchange(Method::POST, "/v1.0/things/1", Value::Null, (204, Value::Null)),
        exchange(Method::PUT, "/v1.0/things/1", Value::Null, (204, Value::Null)),
        exchange(Method::GET, "/v1.0/things", Value::Null, (200, Value::Null)),
    ];
    for exchange in odd {
        assert_ne!(contract.objections(&exchange), Vec::<String>::new(), "{exchange:?}");
    }
    for query in ["$top=many", "$skip=1", "$select=id,nmae", "$select=id,id"] {
        assert_ne!(contract.objections(&Exchange { query: query.into(), ..good.clone() }), Vec::<String>::new(), "{query}");
    }
}

#[test]
fn a_change_to_any_real_answer_is_noticed() {
    let Some(mut contract) = contract("changed answers") else { return };
    let mut kinds = BTreeSet::new();
    for exchange in WHOLE_GUIDE.iter().chain(&*REFUSALS) {
        let Some((status, bytes)) = exchange.answer.as_ref().filter(|_| exchange.graph_path().is_some()) else { continue };
        let Ok(body) = serde_json::from_slice::<Value>(bytes) else { continue };
        if !kinds.insert((allowed(exchange), *status)) {
            continue;
        }
        let subject = if body["value"].is_array() { "/value" } else { "" };
        let mut other_type = body.clone();
        *other_type.pointer_mut(subject).unwrap() = json!("text");
        let mut bodies = vec![other_type];
        if !status.is_success() {
            bodies.push(json!({"error": {"code": 5, "message": "x"}}));
            bodies.push(json!({"error": {"code": "x"}}));
        } else if let Some(id) = body.pointer("/value/0/id").or(body.get("id")).cloned() {
            let pointer = if body["value"].is_array() { "/value/0/id" } else { "/id" };
            assert!(id.is_string());
            let mut number = body.clone();
            *number.pointer_mut(pointer).unwrap() = json!(5);
            bodies.push(number);
        }
        for changed in bodies {
            let changed = Exchange { answer: Some((*status, changed.to_string().into())), ..exchange.clone() };
            assert_ne!(contract.objections(&changed), Vec::<String>::new(), "{changed:?}");
        }
    }
    assert!(kinds.len() > 15, "{kinds:?}");
}
