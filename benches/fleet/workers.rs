//! Workers that do nothing but tell their status, each on an address of its own, as pods of the cluster.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use unscim::model::status::{Phase, Status};
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, bind, listen};

use crate::objects::apply;

pub const NAMESPACE: &str = "fleet";
const PORT: u16 = 8080;
/// Requests at once.
const AT_ONCE: usize = 8;
/// Between two turns of a worker at rest, as its config has it by default.
const INTERVAL: Duration = Duration::from_secs(30);

pub fn name(number: usize) -> String {
    format!("app-{number:04}")
}

fn tenant(number: usize) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

fn address(number: usize) -> SocketAddr {
    let [.., x, y] = (number as u32 + 1).to_be_bytes();
    (Ipv4Addr::new(127, 7, x, y), PORT).into()
}

pub async fn namespace(client: &Client) {
    apply(client, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })).await;
}

fn resource(number: usize) -> Value {
    json!({
        "apiVersion": "unscim.dev/v1alpha1", "kind": "ScimRetirement", "metadata": { "name": name(number), "namespace": NAMESPACE },
        "spec": {
            "mode": "Enforce",
            "entra": {
                "tenantId": tenant(number),
                "app": { "servicePrincipalId": "22222222-2222-4222-8222-222222222222" },
                "credential": { "clientId": "33333333-3333-4333-8333-333333333333", "clientSecretRef": { "name": "app", "key": "client-secret" } },
            },
            "groups": { "select": "AllAssigned" },
            "target": { "profile": "uniqkey", "scimUrl": "https://app.example.com/scim/v2", "tokenRef": { "name": "app", "key": "scim-token" } },
        },
    })
}

/// What a worker in the middle says: nine conditions, twenty groups, two holds.
fn status() -> Status {
    let now = "2026-11-29T10:00:00Z";
    let condition = |kind: &str, truth: &str, reason: &str| json!({ "type": kind, "status": truth, "reason": reason, "message": "m".repeat(120), "lastTransitionTime": now });
    let group = |n: usize| json!({ "id": format!("44444444-4444-4444-8444-{n:012}"), "name": format!("A group of the company {n}"), "state": "ToBeEmptied" });
    let document = json!({
        "phase": "EmptyingGroups", "turn": 1, "pending": [], "notes": [], "cycle": {}, "gauges": {}, "lastAttempt": now, "lastSuccess": now,
        "held": [],
        "conditions": [
            condition("Preflight", "True", "Passed"), condition("BaselineRecorded", "True", "Recorded"),
            condition("UsersAssigned", "True", "AllAssigned"), condition("GroupsEmptied", "False", "InProgress"),
            condition("GroupsUnassigned", "False", "InProgress"), condition("Ready", "False", "InProgress"),
        ],
        "groups": (0..20).map(group).collect::<Vec<_>>(),
        "progress": { "usersProtected": 1000, "usersKept": 1000, "usersLost": 0, "groups": 20, "groupsAssigned": 20 },
        "remaining": { "assignments": 0, "memberRemovals": 500, "unassignments": 20, "cycles": 2, "writing": null, "outlook": "InSight" },
        "decisions": "sha256:00",
    });
    serde_json::from_value(document).expect("it is a status")
}

struct Worker {
    shown: State,
    status: Mutex<Status>,
}

/// A clone is the same fleet.
#[derive(Clone)]
pub struct Workers(Arc<Vec<Worker>>);

impl Workers {
    /// The resources that they are of.
    pub async fn apply(client: &Client, count: usize) -> Workers {
        stream::iter(0..count).for_each_concurrent(AT_ONCE, async |number| apply(client, resource(number)).await).await;
        let worker = |number| {
            let spec = json!({ "entra": { "tenantId": tenant(number) } });
            let shown = State::new(&name(number), spec, Arc::new(Metrics::new()), Duration::from_secs(600));
            Worker { shown, status: Mutex::new(status()) }
        };
        Workers(Arc::new((0..count).map(worker).collect()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One more turn of this worker, after which it says this phase.
    pub fn turn(&self, number: usize, phase: Phase) {
        let worker = &self.0[number];
        let mut status = worker.status.lock().expect("nobody panics with it");
        status.turn += 1;
        status.phase = phase;
        status.last_attempt = Some(jiff::Timestamp::now());
        worker.shown.publish(&status);
    }

    /// From now on they are there, as pods that are ready, and have a turn now and then.
    pub async fn run(&self, client: &Client) {
        for (number, worker) in self.0.iter().enumerate() {
            let socket = bind(address(number)).await.expect("an address on loopback");
            let (_, serving) =
                listen(socket, worker.shown.clone(), Hosts::new(&[]), None, CancellationToken::new()).expect("it listens");
            tokio::spawn(serving);
            self.turn(number, Phase::EmptyingGroups);
        }
        let sets: Api<StatefulSet> = Api::namespaced(client.clone(), NAMESPACE);
        let sets = sets.list(&ListParams::default()).await.expect("the workers' objects").items;
        assert_eq!(sets.len(), self.len(), "a StatefulSet for each");
        stream::iter(sets).for_each_concurrent(AT_ONCE, async |set| pod(client, set).await).await;
        let all = self.clone();
        tokio::spawn(async move {
            for number in (0..all.len()).cycle() {
                tokio::time::sleep(INTERVAL / all.len() as u32).await;
                let phase = all.0[number].status.lock().expect("nobody panics with it").phase;
                all.turn(number, phase);
            }
        });
    }
}

/// As the controller makes it and a kubelet reports it.
async fn pod(client: &Client, set: StatefulSet) {
    let name = set.metadata.name.expect("it has a name");
    let number = name.rsplit('-').next().and_then(|number| number.parse().ok()).expect("ours end with a number");
    let template = set.spec.expect("it has a spec").template;
    let mut pod = Pod { metadata: template.metadata.unwrap_or_default(), spec: template.spec, status: None };
    pod.metadata.name = Some(format!("{name}-0"));
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone());
    let made = pods.create(&PostParams::default(), &pod).await.expect("a pod");
    let now = "2026-11-29T10:00:00Z";
    let ip = address(number).ip().to_string();
    let condition = |kind: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now });
    let status = json!({ "status": {
        "phase": "Running", "podIP": ip, "podIPs": [{ "ip": ip }], "startTime": now,
        "conditions": [condition("PodScheduled"), condition("Initialized"), condition("ContainersReady"), condition("Ready")],
        "containerStatuses": [{
            "name": "unscim", "image": image, "imageID": "sha256:00", "ready": true, "started": true, "restartCount": 0,
            "state": { "running": { "startedAt": now } },
        }],
    } });
    let name = made.metadata.name.expect("it has a name");
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.expect("its status");
}
