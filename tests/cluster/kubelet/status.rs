//! A pod's status as a kubelet reports it.

use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// How the one container is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp, started: bool, ready: bool },
    Terminated(Ended),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    code: i32,
    reason: &'static str,
    started_at: Timestamp,
    finished_at: Timestamp,
}

/// What is told of a pod.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    pub(super) started_at: Timestamp,
    /// Once it has a sandbox.
    pub(super) ip: Option<IpAddr>,
    pub(super) state: State,
    pub(super) last: Option<Ended>,
    pub(super) restarts: i32,
}

impl Ended {
    pub(super) fn new(status: ExitStatus, started_at: Timestamp) -> Self {
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        let reason = if code == 0 { "Completed" } else { "Error" };
        Ended { code, reason, started_at, finished_at: Timestamp::now() }
    }

    pub(super) fn is_success(&self) -> bool {
        self.code == 0
    }

    fn json(&self, id: &str) -> Value {
        json!({ "terminated": { "exitCode": self.code, "reason": self.reason, "startedAt": second(self.started_at),
            "finishedAt": second(self.finished_at), "containerID": id } })
    }
}

impl Report {
    /// For a strategic merge: what is left out of a condition must be null.
    pub(super) fn json(&self, pod: &Pod) -> Value {
        let container = &pod.spec.as_ref().expect("stored").containers[0];
        let id = format!("process://{}/{}", pod.uid().expect("stored"), self.restarts);
        let (ready, started) = match self.state {
            State::Running { started, ready, .. } => (ready, started),
            _ => (false, false),
        };
        let runs = self.last.is_some() || !matches!(self.state, State::Waiting { .. });
        let mut status = json!({
            "name": container.name, "image": container.image, "imageID": if runs { container.image.as_deref() } else { Some("") },
            "ready": ready, "started": started, "restartCount": self.restarts, "state": self.state(&id),
            "lastState": self.last.as_ref().map_or(json!({}), |ended| ended.json(&id)),
        });
        if runs {
            status["containerID"] = json!(id);
        }
        let ips = self.ip.map(|ip| json!([{ "ip": ip }]));
        json!({ "status": {
            "phase": self.phase(), "startTime": second(self.started_at), "hostIP": "127.0.0.1", "hostIPs": [{ "ip": "127.0.0.1" }],
            "podIP": self.ip, "podIPs": ips, "observedGeneration": pod.metadata.generation,
            "conditions": self.conditions(pod, ready), "containerStatuses": [status],
        } })
    }

    fn state(&self, id: &str) -> Value {
        match &self.state {
            State::Waiting { reason, message } if message.is_empty() => json!({ "waiting": { "reason": reason } }),
            State::Waiting { reason, message } => json!({ "waiting": { "reason": reason, "message": message } }),
            State::Running { since, .. } => json!({ "running": { "startedAt": second(*since) } }),
            State::Terminated(ended) => ended.json(id),
        }
    }

    fn phase(&self) -> &'static str {
        match &self.state {
            State::Terminated(ended) if ended.is_success() => "Succeeded",
            State::Terminated(_) => "Failed",
            State::Waiting { .. } if self.last.is_none() => "Pending",
            _ => "Running",
        }
    }

    fn conditions(&self, pod: &Pod, ready: bool) -> Vec<Value> {
        let name = &pod.spec.as_ref().expect("stored").containers[0].name;
        let unready = || Some(("ContainersNotReady", format!("containers with unready status: [{name}]")));
        let why = match &self.state {
            State::Terminated(ended) if ended.is_success() => Some(("PodCompleted", String::new())),
            _ if ready => None,
            _ => unready(),
        };
        let wanted = [
            ("PodReadyToStartContainers", self.ip.is_some(), None),
            ("Initialized", true, None),
            ("Ready", ready, why.clone()),
            ("ContainersReady", ready, why),
            ("PodScheduled", true, None),
        ];
        wanted.map(|(type_, is, why)| condition(pod, type_, is, why)).into()
    }
}

fn condition(pod: &Pod, type_: &str, is: bool, why: Option<(&str, String)>) -> Value {
    let status = if is { "True" } else { "False" };
    let before = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let same = |condition: &&PodCondition| condition.type_ == type_ && condition.status == status;
    let since = before.into_iter().find(same).and_then(|condition| condition.last_transition_time.as_ref().map(|time| time.0));
    let (reason, message) = why.map_or((None, None), |(reason, message)| (Some(reason.to_owned()), Some(message)));
    json!({ "type": type_, "status": status, "reason": reason, "message": message.filter(|message| !message.is_empty()),
        "lastTransitionTime": second(since.unwrap_or_else(Timestamp::now)), "observedGeneration": pod.metadata.generation })
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
