//! One pod from its binding to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use rustix::process::Signal;

use super::probe::{Outcome, Probing};
use super::process::Process;
use super::status::{Ended, Report, State};
use super::volumes::Volumes;
use super::{LOOK, MISSING_IMAGE, OnNode, address, container, env};

/// A real kubelet begins with ten seconds and goes to five minutes.
const BACK_OFF: Duration = Duration::from_secs(1);
const MOST_BACK_OFF: Duration = Duration::from_secs(8);
/// What has run for this long begins anew with the shortest.
const STEADY: Duration = Duration::from_secs(30);

struct Worker {
    on: Arc<OnNode>,
    key: (String, String),
    uid: String,
    folder: PathBuf,
    ip: IpAddr,
    volumes: Volumes,
    running: Option<Running>,
    report: Report,
    /// What was told last, and of which generation of the pod.
    told: Option<(Report, Option<i64>)>,
    back_off: Duration,
    /// Not before.
    start_at: Option<Instant>,
    warned: BTreeSet<String>,
}

struct Running {
    process: Process,
    began: Instant,
    since: Timestamp,
    startup: Option<Probing>,
    readiness: Option<Probing>,
    liveness: Option<Probing>,
}

pub(super) async fn run(on: Arc<OnNode>, pod: Arc<Pod>) {
    let uid = pod.uid().expect("stored");
    let folder = on.pod_folder(&uid);
    std::fs::create_dir_all(&folder).expect("a folder for a pod");
    let mut worker = Worker {
        key: (pod.namespace().expect("stored"), pod.name_any()),
        ip: address::next(),
        volumes: Volumes::default(),
        running: None,
        report: Report {
            started_at: Timestamp::now(),
            ip: None,
            state: State::Waiting { reason: "ContainerCreating", message: String::new() },
            last: None,
            restarts: 0,
        },
        told: None,
        back_off: Duration::ZERO,
        start_at: None,
        warned: BTreeSet::new(),
        on,
        uid,
        folder,
    };
    while worker.look().await {
        tokio::time::sleep(LOOK).await;
    }
}

impl Worker {
    /// Whether there is anything left to do.
    async fn look(&mut self) -> bool {
        if self.on.is_frozen(&self.key.0) {
            return true;
        }
        let pod = self.on.pod(&self.key.0, &self.key.1).filter(|pod| pod.uid().as_ref() == Some(&self.uid));
        let Some(pod) = pod else {
            // Deleted by force.
            self.end_process(Duration::ZERO).await;
            return false;
        };
        if pod.metadata.deletion_timestamp.is_some() {
            return !self.terminate(&pod).await;
        }
        match self.limits(&pod) {
            Some(message) => self.report.state = State::Waiting { reason: "CreateContainerConfigError", message: message.into() },
            None => self.sync(&pod).await,
        }
        self.tell(&pod).await;
        true
    }

    fn limits(&self, pod: &Pod) -> Option<&'static str> {
        let spec = pod.spec.as_ref().expect("stored");
        let mounts = spec.containers.iter().flat_map(|container| container.volume_mounts.iter().flatten());
        if spec.containers.len() > 1 || spec.init_containers.as_ref().is_some_and(|init| !init.is_empty()) {
            Some("this kubelet runs one container alone")
        } else if mounts.into_iter().any(|mount| mount.sub_path.is_some() || mount.sub_path_expr.is_some()) {
            Some("this kubelet knows no subPath")
        } else {
            None
        }
    }

    async fn sync(&mut self, pod: &Pod) {
        if matches!(self.report.state, State::Terminated(_)) {
            return;
        }
        if self.ended(pod) {
            return;
        }
        let volumes = match self.volumes.lay_out(&self.on, pod, &self.folder.join("volumes")).await {
            Ok(volumes) => volumes,
            Err(message) => {
                self.warn(pod, "FailedMount", &message).await;
                // What runs keeps what it has.
                return;
            }
        };
        self.report.ip = Some(self.ip);
        if self.running.is_some() {
            self.probe(pod).await;
        } else if self.start_at.is_none_or(|start_at| start_at <= Instant::now()) {
            self.start(pod, &volumes).await;
        }
    }

    /// Takes note of a process that has ended; whether that was the end of all.
    fn ended(&mut self, pod: &Pod) -> bool {
        let Some(running) = &mut self.running else { return false };
        let Some(status) = running.process.ended() else { return false };
        let (ended, ran) = (Ended::new(status, running.since), running.began.elapsed());
        self.forget_process();
        let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        if policy == Some("Never") || policy == Some("OnFailure") && ended.is_success() {
            self.report.state = State::Terminated(ended);
            return true;
        }
        self.report.last = Some(ended);
        self.back_off = if ran >= STEADY { BACK_OFF } else { (self.back_off * 2).clamp(BACK_OFF, MOST_BACK_OFF) };
        self.start_at = Some(Instant::now() + self.back_off);
        let name = &pod.spec.as_ref().expect("stored").containers[0].name;
        let (namespace, pod_name) = &self.key;
        let message = format!(
            "back-off {}s restarting failed container={name} pod={pod_name}_{namespace}({})",
            self.back_off.as_secs(),
            self.uid
        );
        self.report.state = State::Waiting { reason: "CrashLoopBackOff", message };
        false
    }

    async fn start(&mut self, pod: &Pod, volumes: &BTreeMap<String, PathBuf>) {
        let container = &pod.spec.as_ref().expect("stored").containers[0];
        if container.image.as_deref() == Some(MISSING_IMAGE) {
            let message = format!("Back-off pulling image {MISSING_IMAGE:?}: ErrImagePull: {MISSING_IMAGE}: not found");
            self.warn(pod, "Failed", &format!("Failed to pull image {MISSING_IMAGE:?}: not found")).await;
            self.report.state = State::Waiting { reason: "ImagePullBackOff", message };
            return;
        }
        let env = match env::of(&self.on, pod, container, self.ip) {
            Ok(env) => env,
            Err(message) => {
                self.warn(pod, "Failed", &format!("Error: {message}")).await;
                self.report.state = State::Waiting { reason: "CreateContainerConfigError", message };
                return;
            }
        };
        match container::start(&self.on.binary, pod, container, env, volumes, &self.folder, self.ip) {
            Ok(process) => self.started(pod, container, process).await,
            Err(message) => {
                self.warn(pod, "Failed", &format!("Error: {message}")).await;
                self.report.state = State::Waiting { reason: "RunContainerError", message };
            }
        }
    }

    async fn started(&mut self, pod: &Pod, container: &Container, process: Process) {
        self.on.pids.lock().unwrap().insert(self.key.clone(), process.pid());
        let probing = |probe: &Option<_>| probe.as_ref().map(Probing::new);
        let since = Timestamp::now();
        self.running = Some(Running {
            process,
            began: Instant::now(),
            since,
            startup: probing(&container.startup_probe),
            readiness: probing(&container.readiness_probe),
            liveness: probing(&container.liveness_probe),
        });
        if self.report.last.is_some() {
            self.report.restarts += 1;
        }
        self.report.state = State::Running {
            since,
            started: container.startup_probe.is_none(),
            ready: container.startup_probe.is_none() && container.readiness_probe.is_none(),
        };
        self.on.tell(pod, "Normal", "Started", &format!("Container {} started", container.name)).await;
    }

    async fn probe(&mut self, pod: &Pod) {
        let container = &pod.spec.as_ref().expect("stored").containers[0];
        let (ip, running) = (self.ip, self.running.as_mut().expect("it runs"));
        let mut failures = Vec::new();
        let mut asked = |kind: &'static str, failed: Option<String>| failures.extend(failed.map(|why| (kind, why)));
        let is = |probing: &Option<Probing>, outcome| probing.as_ref().is_some_and(|probing| probing.outcome == outcome);
        if let Some(startup) = running.startup.as_mut().filter(|startup| startup.outcome != Outcome::Success) {
            asked("Startup", startup.ask(container, ip).await);
        }
        let started = running.startup.is_none() || is(&running.startup, Outcome::Success);
        if started {
            for (kind, probing) in [("Readiness", &mut running.readiness), ("Liveness", &mut running.liveness)] {
                if let Some(probing) = probing {
                    asked(kind, probing.ask(container, ip).await);
                }
            }
        }
        let ready = started && (running.readiness.is_none() || is(&running.readiness, Outcome::Success));
        let dead = is(&running.startup, Outcome::Failure) || is(&running.liveness, Outcome::Failure);
        self.report.state = State::Running { since: running.since, started, ready };
        for (kind, why) in failures {
            self.warn(pod, "Unhealthy", &format!("{kind} probe failed: {why}")).await;
        }
        if dead {
            let note = format!("Container {} failed liveness probe, will be restarted", container.name);
            self.on.tell(pod, "Normal", "Killing", &note).await;
            let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
            let running = self.running.as_mut().expect("it runs");
            running.process.stop(Signal::TERM, Duration::from_secs(grace.max(0) as u64)).await;
        }
    }

    /// In order, and then the pod is no more. Whether it is through.
    async fn terminate(&mut self, pod: &Pod) -> bool {
        let grace = Duration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(30).max(0) as u64);
        if self.running.is_some() {
            let name = &pod.spec.as_ref().expect("stored").containers[0].name;
            self.on.tell(pod, "Normal", "Killing", &format!("Stopping container {name}")).await;
            if let Some(ended) = self.end_process(grace).await {
                self.report.state = State::Terminated(ended);
            }
        }
        self.tell(pod).await;
        let preconditions = Preconditions { uid: Some(self.uid.clone()), resource_version: None };
        let params =
            DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.api().delete(&self.key.1, &params).await {
            Ok(_) => true,
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => true,
            Err(error) => {
                eprintln!("kubelet: {} is not deleted: {error}", self.key.1);
                false
            }
        }
    }

    async fn end_process(&mut self, grace: Duration) -> Option<Ended> {
        let running = self.running.as_mut()?;
        let since = running.since;
        let status = running.process.stop(Signal::TERM, grace).await;
        self.forget_process();
        Some(Ended::new(status, since))
    }

    fn forget_process(&mut self) {
        self.running = None;
        self.on.pids.lock().unwrap().remove(&self.key);
    }

    /// Once for each thing that is wrong.
    async fn warn(&mut self, pod: &Pod, reason: &str, note: &str) {
        if self.warned.insert(note.to_owned()) {
            self.on.tell(pod, "Warning", reason, note).await;
        }
    }

    async fn tell(&mut self, pod: &Pod) {
        let now = (self.report.clone(), pod.metadata.generation);
        if self.told.as_ref() == Some(&now) {
            return;
        }
        let patch = Patch::Strategic(self.report.json(pod));
        match self.api().patch_status(&self.key.1, &PatchParams::default(), &patch).await {
            Ok(_) => self.told = Some(now),
            // It is told again at the next look.
            Err(error) => eprintln!("kubelet: the status of {} is not told: {error}", self.key.1),
        }
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.on.client.clone(), &self.key.0)
    }
}
