//! How a worker's pod does, in one reason and one sentence.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

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
    let status = pod.status.clone().unwrap_or_default();
    let container = status.container_statuses.iter().flatten().next();
    let waiting = container.and_then(|container| container.state.as_ref()?.waiting.clone());
    let reason = waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    PodSeen {
        name: pod.metadata.name.clone().unwrap_or_default(),
        address: status.pod_ip.as_ref().and_then(|address| address.parse().ok()),
        image: pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()),
        ready: ready(pod),
        is_creating: container.is_none_or(|container| container.started != Some(true))
            && reason.as_deref().is_none_or(|reason| reason == "ContainerCreating"),
        is_ending: pod.metadata.deletion_timestamp.is_some(),
    }
}

fn ready(pod: &Pod) -> Result<(), (String, String)> {
    let Some(status) = &pod.status else { return Err(("PodPending".into(), "the pod was made a moment ago".into())) };
    let condition = |kind: &str| status.conditions.iter().flatten().find(|condition| condition.type_ == kind);
    if condition("Ready").is_some_and(|ready| ready.status == "True") {
        return Ok(());
    }
    if let Some(scheduled) = condition("PodScheduled").filter(|scheduled| scheduled.status == "False") {
        let reason = scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into());
        return Err((reason, format!("no node takes the pod: {}", scheduled.message.clone().unwrap_or_default())));
    }
    Err(status.container_statuses.iter().flatten().next().and_then(trouble).unwrap_or_else(|| {
        let message = status.message.clone().unwrap_or_else(|| "the pod runs and is not ready yet: no turn has ended".into());
        (status.reason.clone().unwrap_or_else(|| "PodNotReady".into()), message)
    }))
}

fn trouble(container: &ContainerStatus) -> Option<(String, String)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.clone().unwrap_or_else(|| "Waiting".into());
    let last = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    let ended = last.map(|last| {
        format!(
            "; it ended last with exit code {} at {}",
            last.exit_code,
            last.finished_at.as_ref().map(|at| format!("{:.0}", at.0)).unwrap_or_default()
        )
    });
    let message = waiting.message.clone().unwrap_or_else(|| "the container is not running".into());
    Some((reason, format!("{message}{} (restarts: {})", ended.unwrap_or_default(), container.restart_count)))
}
