//! What a kubelet does of a pod, with a process in place of a container: it binds the pod, lays its volumes out, runs our program in a
//! root of its own, asks its probes and reports its status.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Event, Node, PersistentVolumeClaim, Pod, Probe, Secret, Volume};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::control_plane::{command, kill, spawn};

const NODE: &str = "loopback";
const LOOK: Duration = Duration::from_millis(300);
/// An image that no registry has.
pub const MISSING_IMAGE: &str = "unscim.invalid/unscim:missing";

#[derive(Clone)]
pub struct Kubelet(Arc<Inner>);

struct Inner {
    client: Client,
    folder: PathBuf,
    binary: PathBuf,
    next: Mutex<u16>,
    /// By namespace/name.
    processes: Mutex<HashMap<String, u32>>,
    /// Namespaces whose case is over: their pods are left alone.
    left: Mutex<BTreeSet<String>>,
    /// Bound pods by uid.
    tasks: Mutex<HashMap<String, tokio::task::JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for pid in self.processes.get_mut().unwrap().values() {
            signal(*pid, "KILL");
        }
    }
}

pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
}

impl Kubelet {
    pub async fn start(client: Client, folder: PathBuf, binary: PathBuf) -> Kubelet {
        let nodes: Api<Node> = Api::all(client.clone());
        let node = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": NODE } });
        nodes.patch(NODE, &PatchParams::apply("kubelet"), &Patch::Apply(&node)).await.unwrap();
        let inner = Inner {
            client,
            folder,
            binary,
            next: Mutex::new(2),
            processes: Mutex::default(),
            left: Mutex::default(),
            tasks: Mutex::default(),
        };
        let kubelet = Kubelet(Arc::new(inner));
        tokio::spawn(watch(kubelet.clone()));
        kubelet
    }

    pub fn pid(&self, namespace: &str, pod: &str) -> Option<u32> {
        self.0.processes.lock().unwrap().get(&format!("{namespace}/{pod}")).copied()
    }

    /// Ends what runs for the pods of a namespace, and starts nothing there any more.
    pub fn leave(&self, namespace: &str) {
        self.0.left.lock().unwrap().insert(namespace.to_owned());
        let of_it = format!("{namespace}/");
        self.0
            .processes
            .lock()
            .unwrap()
            .iter()
            .filter(|(pod, _)| pod.starts_with(&of_it))
            .for_each(|(_, pid)| signal(*pid, "KILL"));
    }

    fn has_left(&self, namespace: &str) -> bool {
        self.0.left.lock().unwrap().contains(namespace)
    }

    /// Where what is in a claim lies.
    pub fn claim(&self, uid: &str) -> PathBuf {
        self.0.folder.join("claims").join(uid)
    }

    fn address(&self) -> String {
        let mut next = self.0.next.lock().unwrap();
        *next += 1;
        format!("127.1.{}.{}", *next / 250, *next % 250 + 2)
    }
}

async fn watch(kubelet: Kubelet) {
    let pods: Api<Pod> = Api::all(kubelet.0.client.clone());
    let mut seen = watcher(pods, watcher::Config::default()).default_backoff().applied_objects().boxed();
    while let Some(event) = seen.next().await {
        let Ok(pod) = event else { continue };
        let mut tasks = kubelet.0.tasks.lock().unwrap();
        tasks.retain(|_, task| !task.is_finished());
        let uid = pod.uid().unwrap_or_default();
        tasks.entry(uid).or_insert_with(|| tokio::spawn(Life::new(kubelet.clone(), &pod).live()));
    }
}

/// One pod, to its end.
struct Life {
    kubelet: Kubelet,
    pods: Api<Pod>,
    namespace: String,
    name: String,
    uid: String,
    address: String,
    folder: PathBuf,
    restarts: i32,
    last: Option<Value>,
    told: Option<Value>,
    mount_trouble: Option<String>,
}

enum Seen {
    Gone,
    Ending(Pod),
    There(Pod),
}

impl Life {
    fn new(kubelet: Kubelet, pod: &Pod) -> Life {
        let (namespace, uid) = (pod.namespace().unwrap(), pod.uid().unwrap());
        Life {
            pods: Api::namespaced(kubelet.0.client.clone(), &namespace),
            address: kubelet.address(),
            folder: kubelet.0.folder.join("pods").join(&uid),
            name: pod.name_any(),
            kubelet,
            namespace,
            uid,
            restarts: 0,
            last: None,
            told: None,
            mount_trouble: None,
        }
    }

    async fn live(mut self) {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": { "name": self.name }, "target": { "kind": "Node", "name": NODE },
        });
        let path = format!("/api/v1/namespaces/{}/pods/{}/binding", self.namespace, self.name);
        let request = http::Request::post(path).header("content-type", "application/json").body(binding.to_string().into_bytes());
        let _ = self.kubelet.0.client.request::<Value>(request.unwrap()).await;
        let mut wait = Duration::from_millis(500);
        loop {
            if self.kubelet.has_left(&self.namespace) {
                return;
            }
            match self.look().await {
                Seen::Gone => return,
                Seen::Ending(pod) => return self.bury(&pod, None).await,
                Seen::There(pod) => {
                    let container = pod.spec.as_ref().unwrap().containers[0].clone();
                    if container.image.as_deref() == Some(MISSING_IMAGE) {
                        self.tell(
                            false,
                            false,
                            json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } }),
                        )
                        .await;
                    } else if let Err(why) = self.lay_out(&pod).await {
                        self.mounting_failed(&pod, why).await;
                    } else {
                        let begun = Instant::now();
                        if self.run(&pod, &container).await {
                            return;
                        }
                        wait = if begun.elapsed() > Duration::from_secs(10) {
                            Duration::from_millis(500)
                        } else {
                            (wait * 2).min(Duration::from_secs(10))
                        };
                    }
                }
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn look(&self) -> Seen {
        loop {
            match self.pods.get_opt(&self.name).await {
                Ok(Some(pod)) if pod.uid().as_deref() == Some(&self.uid) => {
                    return if pod.metadata.deletion_timestamp.is_some() { Seen::Ending(pod) } else { Seen::There(pod) };
                }
                Ok(_) => return Seen::Gone,
                // The API server is away: a kubelet goes on with what it has.
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Runs the container once; whether the pod is over with it.
    async fn run(&mut self, pod: &Pod, container: &Container) -> bool {
        let mut child = self.spawn(pod, container);
        let key = format!("{}/{}", self.namespace, self.name);
        self.kubelet.0.processes.lock().unwrap().insert(key.clone(), child.id());
        let running = json!({ "running": { "startedAt": now() } });
        let mut failed = 0;
        let ended = loop {
            if let Some(ended) = child.try_wait().unwrap() {
                break ended;
            }
            if let Ok(Some(current)) =
                tokio::time::timeout(Duration::from_secs(2), self.pods.get_opt(&self.name)).await.unwrap_or(Ok(None)).map(Some)
            {
                match current.filter(|current| current.uid().as_deref() == Some(&self.uid)) {
                    Some(current) if current.metadata.deletion_timestamp.is_some() => {
                        self.bury(&current, Some(&mut child)).await;
                        self.kubelet.0.processes.lock().unwrap().remove(&key);
                        return true;
                    }
                    Some(current) => _ = self.lay_out(&current).await,
                    None => {}
                }
            }
            let ready = self.probe(container.readiness_probe.as_ref()).await;
            failed = if self.probe(container.liveness_probe.as_ref()).await { 0 } else { failed + 1 };
            if failed > 60 {
                signal(child.id(), "TERM");
            }
            self.tell(true, ready, running.clone()).await;
            tokio::time::sleep(LOOK).await;
        };
        self.kubelet.0.processes.lock().unwrap().remove(&key);
        self.restarts += 1;
        let code = ended.code().or(ended.signal().map(|signal| 128 + signal)).unwrap_or(255);
        self.last = Some(json!({ "terminated": { "exitCode": code, "finishedAt": now(), "reason": "Error" } }));
        self.tell(
            false,
            false,
            json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off restarting failed container" } }),
        )
        .await;
        false
    }

    async fn probe(&self, probe: Option<&Probe>) -> bool {
        let Some(get) = probe.and_then(|probe| probe.http_get.as_ref()) else { return true };
        let url = format!("http://{}:8080{}", self.address, get.path.as_deref().unwrap_or("/"));
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build().unwrap();
        client.get(url).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// The process in a root of its own, which holds the machine's libraries and the pod's volumes.
    fn spawn(&self, pod: &Pod, container: &Container) -> Child {
        let root = self.folder.join("root");
        let mut script = String::from("set -e\n");
        let mut bind = |from: &Path, to: &str| {
            let to = root.join(to.trim_start_matches('/'));
            let make = if from.is_dir() {
                format!("mkdir -p '{0}'", to.display())
            } else {
                format!("mkdir -p \"$(dirname '{0}')\"; touch '{0}'", to.display())
            };
            script += &format!("{make}\nmount --rbind '{}' '{}'\n", from.display(), to.display());
        };
        for folder in ["/usr", "/lib", "/lib64", "/bin", "/etc/ssl", "/dev", "/proc"] {
            bind(Path::new(folder), folder);
        }
        bind(&self.kubelet.0.binary, "/unscim");
        for mount in container.volume_mounts.iter().flatten() {
            let folder = self
                .volume(pod.spec.as_ref().unwrap().volumes.iter().flatten().find(|volume| volume.name == mount.name).unwrap());
            bind(&folder, &mount.mount_path);
        }
        script += &format!("exec chroot '{}' /unscim \"$@\"\n", root.display());
        std::fs::create_dir_all(&root).unwrap();
        let mut command = command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]).args(container.args.iter().flatten());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        for variable in container.env.iter().flatten() {
            command.env(&variable.name, variable.value.as_deref().unwrap_or_default());
        }
        // A process shares the machine's network, so each pod has an address of its own on loopback.
        command.env("UNSCIM_LISTEN", format!("{}:8080", self.address));
        spawn(&mut command, &self.folder.join("log"))
    }

    fn volume(&self, volume: &Volume) -> PathBuf {
        match &volume.persistent_volume_claim {
            Some(_) => std::fs::read_link(self.folder.join(&volume.name)).unwrap_or_else(|_| self.folder.join(&volume.name)),
            None => self.folder.join(&volume.name),
        }
    }

    /// ConfigMaps and Secrets as folders whose content changes at once; claims as folders that outlive the pod.
    async fn lay_out(&self, pod: &Pod) -> Result<(), String> {
        let client = &self.kubelet.0.client;
        for volume in pod.spec.as_ref().unwrap().volumes.iter().flatten() {
            let at = self.folder.join(&volume.name);
            if let Some(source) = &volume.config_map {
                let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &self.namespace);
                let map = maps.get_opt(&source.name).await.map_err(|error| error.to_string())?;
                let map = map.ok_or_else(|| {
                    format!("MountVolume.SetUp failed for volume \"{}\" : configmap \"{}\" not found", volume.name, source.name)
                })?;
                publish(&at, &map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes())).collect());
            } else if let Some(projected) = &volume.projected {
                let secrets: Api<Secret> = Api::namespaced(client.clone(), &self.namespace);
                let mut files = BTreeMap::new();
                for source in projected.sources.iter().flatten().filter_map(|source| source.secret.as_ref()) {
                    let secret = secrets.get_opt(&source.name).await.map_err(|error| error.to_string())?;
                    let failed = |why: String| format!("MountVolume.SetUp failed for volume \"{}\" : {why}", volume.name);
                    let secret = secret.ok_or_else(|| failed(format!("secret \"{}\" not found", source.name)))?;
                    let data = secret.data.unwrap_or_default();
                    for item in source.items.iter().flatten() {
                        let bytes = data
                            .get(&item.key)
                            .ok_or_else(|| failed("references non-existent secret key: ".to_owned() + &item.key))?;
                        files.insert(item.path.clone(), bytes.0.clone());
                    }
                }
                publish(&at, &files);
            } else if let Some(claim) = &volume.persistent_volume_claim {
                let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &self.namespace);
                let found = claims.get_opt(&claim.claim_name).await.map_err(|error| error.to_string())?;
                let found = found.ok_or_else(|| format!("persistentvolumeclaim \"{}\" not found", claim.claim_name))?;
                let folder = self.kubelet.claim(&found.uid().unwrap());
                std::fs::create_dir_all(&folder).unwrap();
                if std::fs::symlink_metadata(&at).is_err() {
                    std::fs::create_dir_all(&self.folder).unwrap();
                    symlink(&folder, &at).unwrap();
                }
            }
        }
        Ok(())
    }

    async fn mounting_failed(&mut self, pod: &Pod, why: String) {
        self.tell(false, false, json!({ "waiting": { "reason": "ContainerCreating" } })).await;
        if self.mount_trouble.as_ref() == Some(&why) {
            return;
        }
        let event: Event = serde_json::from_value(json!({
            "metadata": { "generateName": format!("{}.", self.name), "namespace": self.namespace },
            "involvedObject": { "kind": "Pod", "namespace": self.namespace, "name": pod.name_any(), "uid": self.uid, "apiVersion": "v1" },
            "reason": "FailedMount", "message": why, "type": "Warning", "firstTimestamp": now(), "lastTimestamp": now(), "count": 1,
            "source": { "component": "kubelet", "host": NODE },
        }))
        .unwrap();
        let events: Api<Event> = Api::namespaced(self.kubelet.0.client.clone(), &self.namespace);
        if events.create(&PostParams::default(), &event).await.is_ok() {
            self.mount_trouble = Some(why);
        }
    }

    /// The pod's status, where it has changed.
    async fn tell(&mut self, started: bool, ready: bool, state: Value) {
        let truth = |is: bool| if is { "True" } else { "False" };
        let condition = |kind: &str, is: bool| json!({ "type": kind, "status": truth(is) });
        let mut container = json!({
            "name": "unscim", "image": "", "imageID": "", "ready": ready, "started": started, "restartCount": self.restarts, "state": state,
        });
        if let Some(last) = &self.last {
            container["lastState"] = last.clone();
        }
        let status = json!({
            "phase": if started { "Running" } else { "Pending" }, "podIP": self.address, "podIPs": [{ "ip": self.address }], "hostIP": "127.0.0.1",
            "conditions": [
                condition("PodScheduled", true), condition("Initialized", true), condition("ContainersReady", ready), condition("Ready", ready),
            ],
            "containerStatuses": [container],
        });
        if self.told.as_ref() == Some(&status) {
            return;
        }
        let body = json!({ "status": status });
        if self.pods.patch_status(&self.name, &PatchParams::default(), &Patch::Merge(&body)).await.is_ok() {
            self.told = Some(status);
        }
    }

    /// In order: it is asked to end, and then it is ended.
    async fn bury(&self, pod: &Pod, child: Option<&mut Child>) {
        if let Some(child) = child {
            signal(child.id(), "TERM");
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(30).clamp(0, 60);
            let until = Instant::now() + Duration::from_secs(grace as u64);
            while child.try_wait().unwrap().is_none() && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            kill(child);
        }
        for _ in 0..50 {
            match self.pods.delete(&self.name, &DeleteParams::default().grace_period(0)).await {
                Err(kube::Error::Api(error)) if error.code == 404 => return,
                Ok(_) => return,
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

fn now() -> String {
    format!("{:.0}", jiff::Timestamp::now())
}

/// As a kubelet does it: a new folder, and one link that leads to it.
fn publish(at: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let current: BTreeMap<String, Vec<u8>> = std::fs::read_dir(at.join("..data"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .collect();
    if current == *files && at.join("..data").exists() {
        return;
    }
    let new = format!("..{}", uuid::Uuid::new_v4());
    std::fs::create_dir_all(at.join(&new)).unwrap();
    for (name, bytes) in files {
        std::fs::write(at.join(&new).join(name), bytes).unwrap();
        let link = at.join(name);
        if std::fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link).unwrap();
        }
    }
    for name in current.keys().filter(|name| !files.contains_key(*name)) {
        let _ = std::fs::remove_file(at.join(name));
    }
    let _ = std::fs::remove_file(at.join("..tmp"));
    symlink(&new, at.join("..tmp")).unwrap();
    let old = std::fs::read_link(at.join("..data"));
    std::fs::rename(at.join("..tmp"), at.join("..data")).unwrap();
    if let Ok(old) = old {
        let _ = std::fs::remove_dir_all(at.join(old));
    }
}
