//! A small kubelet: what a node does with the pods that are its own, but for containers. A container is a process of our binary
//! with a root, mounts, a user and rights of its own, as its security context has them; the image decides nothing but whether it can
//! be pulled.
//!
//! Each pod has an address on loopback and no network of its own, and probes come ten times as often as they are asked for.
//! What it can't do (init containers, several containers, `subPath`, `exec` probes) makes the pod wait with a message that says so.

mod address;
mod claims;
mod container;
mod env;
mod probe;
mod process;
mod scheduler;
mod status;
mod volumes;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Node, PersistentVolumeClaim, Pod, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde_json::json;
use tokio::task::JoinSet;

/// An image that no registry has.
pub const MISSING_IMAGE: &str = "unscim.invalid/unscim:missing";

const NODE: &str = "loopback";
const LOOK: Duration = Duration::from_millis(100);
const READ: Duration = Duration::from_secs(60);

/// A node with its kubelet; with it end the processes of its pods.
pub struct Kubelet {
    on: Arc<OnNode>,
    /// Aborted when this is dropped.
    _tasks: JoinSet<()>,
}

/// What all of a kubelet's work shares.
struct OnNode {
    client: Client,
    folder: PathBuf,
    binary: PathBuf,
    pods: Store<Pod>,
    claims: Store<PersistentVolumeClaim>,
    config_maps: Store<ConfigMap>,
    secrets: Store<Secret>,
    /// Namespaces whose pods it has lost sight of.
    frozen: Mutex<BTreeSet<String>>,
    /// By namespace and name of the pod.
    pids: Mutex<BTreeMap<(String, String), u32>>,
}

pub fn signal(pid: u32, name: &str) {
    let _ = std::process::Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
}

impl Kubelet {
    pub async fn start(client: Client, folder: PathBuf, binary: PathBuf) -> Self {
        assert!(rustix::process::geteuid().is_root(), "root alone may give a process a root of its own");
        let mut tasks = JoinSet::new();
        let on = Arc::new(OnNode {
            folder,
            binary,
            pods: mirrored(&client, &mut tasks),
            claims: mirrored(&client, &mut tasks),
            config_maps: mirrored(&client, &mut tasks),
            secrets: mirrored(&client, &mut tasks),
            client,
            frozen: Mutex::default(),
            pids: Mutex::default(),
        });
        on.register().await;
        let synced = async {
            on.pods.wait_until_ready().await.unwrap();
            on.claims.wait_until_ready().await.unwrap();
            on.config_maps.wait_until_ready().await.unwrap();
            on.secrets.wait_until_ready().await.unwrap();
        };
        tokio::time::timeout(READ, synced).await.expect("the kubelet has read everything");
        tasks.spawn(work(Arc::clone(&on)));
        Kubelet { on, _tasks: tasks }
    }

    pub fn pid(&self, namespace: &str, pod: &str) -> Option<u32> {
        self.on.pids.lock().unwrap().get(&(namespace.to_owned(), pod.to_owned())).copied()
    }

    /// Where what is in a claim lies.
    pub fn claim(&self, uid: &str) -> PathBuf {
        self.on.claim_folder(uid)
    }

    /// Everything that the processes of this pod say; it outlives the pod.
    pub fn log(&self, uid: &str) -> PathBuf {
        self.on.pod_folder(uid).join("log")
    }

    /// The node is cut off from these pods: their processes go on, and nothing of them is reported, begun or ended any more.
    pub fn freeze(&self, namespace: &str) {
        self.on.frozen.lock().unwrap().insert(namespace.to_owned());
    }

    /// The case of this namespace is over: what runs there ends, and nothing is begun there any more.
    pub fn leave(&self, namespace: &str) {
        self.freeze(namespace);
        let pids = self.on.pids.lock().unwrap();
        pids.iter().filter(|((of, _), _)| of == namespace).for_each(|(_, pid)| signal(*pid, "KILL"));
    }

    pub fn thaw(&self, namespace: &str) {
        self.on.frozen.lock().unwrap().remove(namespace);
    }
}

impl OnNode {
    async fn register(&self) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let labels = json!({ "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux" });
        let node = serde_json::from_value(json!({ "metadata": { "name": NODE, "labels": labels } })).unwrap();
        nodes.create(&PostParams::default(), &node).await.unwrap();
        let room = json!({ "cpu": "64", "memory": "256Gi", "pods": "250" });
        let status = json!({ "status": {
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status" }],
            "capacity": room, "allocatable": room,
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }, { "type": "Hostname", "address": NODE }],
        } });
        nodes.patch_status(NODE, &PatchParams::default(), &Patch::Strategic(status)).await.unwrap();
    }

    fn is_frozen(&self, namespace: &str) -> bool {
        self.frozen.lock().unwrap().contains(namespace)
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        self.pods.get(&ObjectRef::new(name).within(namespace))
    }

    fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
        self.config_maps.get(&ObjectRef::new(name).within(namespace))
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        self.secrets.get(&ObjectRef::new(name).within(namespace))
    }

    fn claim(&self, namespace: &str, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
        self.claims.get(&ObjectRef::new(name).within(namespace))
    }

    /// What is stored in a claim; it lives as long as the claim.
    fn claim_folder(&self, uid: &str) -> PathBuf {
        self.folder.join("claims").join(uid)
    }

    fn pod_folder(&self, uid: &str) -> PathBuf {
        self.folder.join("pods").join(uid)
    }

    /// Told, or not: an event is worth nobody's failure. Not by kube's recorder: it drops what is said anew for the same reason.
    async fn tell(&self, pod: &Pod, type_: &str, reason: &str, note: &str) {
        let (namespace, now) = (pod.namespace().expect("stored"), k8s_openapi::jiff::Timestamp::now());
        let event = json!({
            "metadata": { "generateName": format!("{}.", pod.name_any()), "namespace": namespace },
            "involvedObject": pod.object_ref(&()), "type": type_, "reason": reason, "message": note, "count": 1,
            "firstTimestamp": format!("{now:.0}"), "lastTimestamp": format!("{now:.0}"), "source": { "component": "kubelet", "host": NODE },
        });
        let event: Event = serde_json::from_value(event).expect("an event");
        if let Err(error) = Api::namespaced(self.client.clone(), &namespace).create(&PostParams::default(), &event).await {
            eprintln!("kubelet: no event {reason}: {error}");
        }
    }
}

/// All objects of a kind, kept up to date.
fn mirrored<K>(client: &Client, tasks: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
{
    let (store, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).default_backoff();
    let kept = reflector::reflector(writer, events);
    tasks.spawn(futures_util::StreamExt::for_each(kept, |_| std::future::ready(())));
    store
}

/// Binds what is not bound, and has a worker for each pod that is here.
async fn work(on: Arc<OnNode>) {
    let mut workers = JoinSet::new();
    let mut begun = BTreeSet::new();
    loop {
        claims::sync(&on).await;
        for pod in on.pods.state() {
            if on.is_frozen(&pod.namespace().expect("stored")) {
                continue;
            }
            match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
                None if pod.metadata.deletion_timestamp.is_none() => scheduler::bind(&on, &pod).await,
                Some(NODE) if begun.insert(pod.uid()) => drop(workers.spawn(worker::run(Arc::clone(&on), pod))),
                _ => {}
            }
        }
        while let Some(ended) = workers.try_join_next() {
            ended.expect("a worker of the kubelet");
        }
        tokio::time::sleep(LOOK).await;
    }
}
