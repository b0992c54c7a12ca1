//! How a worker's pod does, in one reason and one sentence.

use std::net::IpAddr;

use jiff::Timestamp;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;

use super::worker::objects::RETIREMENT;

/// A pod, as far as it is looked at: there may be a thousand.
#[derive(Clone, Debug, Deserialize, Resource)]
#[resource(inherit = "k8s_openapi::api::core::v1::Pod")]
pub struct Pod {
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    status: Option<Status>,
}

impl Pod {
    /// Of what describes it, only whose it is.
    pub fn slim(&mut self) {
        self.metadata.managed_fields = None;
        self.metadata.annotations = None;
        self.metadata.owner_references = None;
        self.metadata.labels.iter_mut().for_each(|labels| labels.retain(|label, _| label == RETIREMENT));
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Spec {
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Deserialize)]
struct Container {
    image: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(rename = "podIP")]
    address: Option<String>,
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    #[serde(default)]
    state: State,
    #[serde(default)]
    last_state: State,
    started: Option<bool>,
    #[serde(default)]
    restart_count: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct State {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Deserialize)]
struct Waiting {
    reason: Option<String>,
    message: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    #[serde(default)]
    exit_code: i32,
    finished_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSeen {
    pub name: String,
    pub address: Option<IpAddr>,
    pub image: Option<String>,
    /// `Ok` where it is ready; else why not: a reason as Kubernetes has it, and a sentence.
    pub ready: Result<(), (String, String)>,
    /// It waits for its container to be created: a Secret may be missing.
    pub is_creating: bool,
    /// Its end was asked for.
    pub is_ending: bool,
}

pub fn seen(pod: &Pod) -> PodSeen {
    let status = pod.status.as_ref();
    let container = status.and_then(|status| status.container_statuses.first());
    let waiting = container.and_then(|container| container.state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
    PodSeen {
        name: pod.metadata.name.clone().unwrap_or_default(),
        address: status.and_then(|status| status.address.as_ref()?.parse().ok()),
        image: pod.spec.containers.first().and_then(|container| container.image.clone()),
        ready: ready(status),
        is_creating: container.is_none_or(|container| container.started != Some(true))
            && reason.is_none_or(|reason| reason == "ContainerCreating"),
        is_ending: pod.metadata.deletion_timestamp.is_some(),
    }
}

fn ready(status: Option<&Status>) -> Result<(), (String, String)> {
    let Some(status) = status else { return Err(("PodPending".into(), "the pod was made a moment ago".into())) };
    let condition = |kind: &str| status.conditions.iter().find(|condition| condition.kind == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return Ok(());
    }
    if let Some(scheduled) = condition("PodScheduled").filter(|scheduled| scheduled.status == "False") {
        let reason = scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into());
        return Err((reason, format!("no node takes the pod: {}", scheduled.message.clone().unwrap_or_default())));
    }
    Err(status.container_statuses.first().and_then(trouble).unwrap_or_else(|| {
        let message = status.message.clone().unwrap_or_else(|| "the pod runs and is not ready yet: no turn has ended".into());
        (status.reason.clone().unwrap_or_else(|| "PodNotReady".into()), message)
    }))
}

fn trouble(container: &ContainerStatus) -> Option<(String, String)> {
    let waiting = container.state.waiting.as_ref()?;
    let reason = waiting.reason.clone().unwrap_or_else(|| "Waiting".into());
    let ended = container.last_state.terminated.as_ref().map(|last| {
        format!(
            "; it ended last with exit code {} at {}",
            last.exit_code,
            last.finished_at.map(|at| format!("{at:.0}")).unwrap_or_default()
        )
    });
    let message = waiting.message.clone().unwrap_or_else(|| "the container is not running".into());
    Some((reason, format!("{message}{} (restarts: {})", ended.unwrap_or_default(), container.restart_count)))
}
