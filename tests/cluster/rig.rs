//! One control plane with a kubelet for all cases, and what a case needs of it: a namespace, a tenant, a resource, an operator.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OnceCell, RwLock};
use unscim::cli::practice::Served;
use unscim::operator::resource::{ConditionStatus, ScimRetirement};
use unscim::practice::Practice;
use unscim::practice::scenario::Scenario;

use crate::audit;
use crate::chart::{self, ACCOUNT};
use crate::cloud::Cloud;
use crate::control_plane::{ControlPlane, kill, spawn};
use crate::kubelet::Kubelet;
use crate::objects::path;
pub use crate::objects::{apply, try_apply, until};

pub const IMAGE: &str = "unscim.invalid/unscim:test";
/// How fast the tenants' time runs.
const SPEED: f64 = 480.0;

pub struct Cluster {
    pub plane: ControlPlane,
    pub client: Client,
    pub kubelet: Kubelet,
    pub cloud: Cloud,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
/// One for all cases, and never ended: what one of them has started serves the others.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_multi_thread().enable_all().build().unwrap());

static PEACE: RwLock<()> = RwLock::const_new(());

pub fn case(of: impl Future<Output = ()>) {
    RUNTIME.block_on(async {
        let _peace = PEACE.read().await;
        of.await;
    });
}

/// A case that disturbs the control plane, and so runs without others.
pub fn alone(of: impl Future<Output = ()>) {
    RUNTIME.block_on(async {
        let _war = PEACE.write().await;
        of.await;
    });
}

/// Started on a thread that lives as long as the process, and ended with it.
pub async fn cluster() -> &'static Cluster {
    let starting = async || {
        let (started, starts) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            assert!(started.send(RUNTIME.block_on(start())).is_ok());
            loop {
                std::thread::park();
            }
        });
        starts.await.expect("the control plane starts")
    };
    CLUSTER.get_or_init(starting).await
}

async fn start() -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let flags = audit::flags(folder.path());
    let plane = ControlPlane::start(folder, flags).await;
    let client = plane.client().await;
    chart::install(&plane).await;
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_unscim"));
    let kubelet = Kubelet::start(client.clone(), plane.folder.path().join("kubelet"), binary).await;
    Cluster { kubelet, client, cloud: Cloud::start().await, plane }
}

/// `unscim operator`, with the rights of its service account and no other.
pub struct Operator {
    process: Mutex<Child>,
    pub log: PathBuf,
}

impl Drop for Operator {
    fn drop(&mut self) {
        kill(self.process.get_mut().unwrap());
    }
}

impl Operator {
    pub async fn start(name: &str, namespaces: &[&str], flags: &[&str]) -> Operator {
        Operator::start_as(ACCOUNT, name, namespaces, flags).await
    }

    pub async fn start_as(account: &str, name: &str, namespaces: &[&str], flags: &[&str]) -> Operator {
        let cluster = cluster().await;
        // It is there after a case that has failed.
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("operator-{name}.log"));
        let _ = std::fs::remove_file(&log);
        let mut command = chart::operator(&cluster.plane, account, name);
        command.args(["--worker-image", IMAGE, "--allow-egress=127.0.0.0/8"]);
        command.args(["--entra-authority", &cluster.cloud.root, "--entra-graph", &cluster.cloud.root]).args(flags);
        if !namespaces.is_empty() {
            command.arg(format!("--watch-namespace={}", namespaces.join(",")));
        }
        Operator { process: Mutex::new(spawn(&mut command, &log)), log }
    }

    /// By SIGKILL.
    pub fn die(&self) {
        kill(&mut self.process.lock().unwrap());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A namespace of the case's own.
pub async fn namespace(name: &str) -> String {
    let cluster = cluster().await;
    let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
    apply(&cluster.client, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } }))
        .await;
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    assert!(namespaces.get(name).await.is_ok());
    name.to_owned()
}

/// One tenant, and the resource that retires its app.
pub struct Retirement {
    served: Option<Served>,
    pub api: Api<ScimRetirement>,
    pub namespace: String,
    pub name: String,
    client: Client,
}

pub fn scenario(seed: u64) -> Scenario {
    Scenario { seed, speed: SPEED, users: 6, groups: 2, ..Scenario::default() }
}

/// The tenant and the worker end with the case.
impl Drop for Retirement {
    fn drop(&mut self) {
        if let Some(cluster) = CLUSTER.get() {
            cluster.kubelet.leave(&self.namespace);
        }
        if let Some(served) = self.served.take() {
            RUNTIME.spawn(served.close());
        }
    }
}

impl Retirement {
    pub fn practice(&self) -> &Practice {
        &self.served.as_ref().expect("it is there until the end").practice
    }

    pub async fn new(namespace: &str, name: &str, seed: u64) -> Retirement {
        let cluster = cluster().await;
        let served = cluster.cloud.tenant(scenario(seed)).await;
        Retirement {
            api: Api::namespaced(cluster.client.clone(), namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            client: cluster.client.clone(),
            served: Some(served),
        }
    }

    pub async fn secret(&self) {
        let data = json!({ "client-secret": self.practice().client_secret(), "scim-token": self.practice().scim_token() });
        let metadata = json!({ "name": self.name, "namespace": self.namespace });
        apply(&self.client, json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data })).await;
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        assert!(secrets.get(&self.name).await.is_ok());
    }

    /// As its author writes it.
    pub fn manifest(&self) -> Value {
        let ids = self.practice().ids();
        let groups: Vec<Value> = ids.groups.iter().map(|id| json!({ "id": id.to_string() })).collect();
        let wait = format!("{}ms", (60_000.0 / SPEED) as u64);
        json!({
            "apiVersion": "unscim.dev/v1alpha1", "kind": "ScimRetirement",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": {
                "mode": "Enforce",
                "baseline": "Take",
                "entra": {
                    "tenantId": ids.tenant.to_string(),
                    "app": { "servicePrincipalId": ids.service_principal.to_string() },
                    "credential": { "clientId": ids.client.to_string(), "clientSecretRef": { "name": self.name, "key": "client-secret" } },
                },
                "groups": { "select": "Listed", "list": groups, "acknowledge": ["UndiscoverableUses", "TargetGroupContent"] },
                "target": {
                    "profile": "uniqkey", "scimUrl": self.practice().scim_url().to_string(),
                    "tokenRef": { "name": self.name, "key": "scim-token" }, "readInterval": wait,
                    "revocation": { "confirmEvery": wait },
                },
                "limits": { "writeShare": "100%", "writeQuota": format!("3000/{}ms", (150_000.0 / SPEED) as u64) },
                "timing": { "interval": wait },
            },
        })
    }

    pub async fn apply(&self) {
        self.secret().await;
        self.apply_with(|_| {}).await;
    }

    pub async fn apply_with(&self, edit: impl FnOnce(&mut Value)) {
        let mut manifest = self.manifest();
        edit(&mut manifest);
        apply(&self.client, manifest).await;
    }

    pub async fn annotate(&self, annotation: &str) {
        let patch = json!({ "metadata": { "annotations": { annotation: "true" } } });
        self.api.patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// The one object of a kind that belongs to it.
    pub async fn owned<K>(&self) -> K
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let ours = ListParams::default().labels(&format!("unscim.dev/retirement={}", self.name));
        let mut all = api.list(&ours).await.unwrap().items;
        assert_eq!(all.len(), 1, "{}: {} of a kind", self.name, all.len());
        all.remove(0)
    }

    pub async fn is_gone<K>(&self) -> bool
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let ours = ListParams::default().labels(&format!("unscim.dev/retirement={}", self.name));
        api.list(&ours).await.unwrap().items.is_empty()
    }

    /// The file that the claim holds.
    pub async fn ledger(&self) -> PathBuf {
        let claim: PersistentVolumeClaim = self.owned().await;
        cluster().await.kubelet.claim(&claim.metadata.uid.unwrap())
    }

    pub fn pod(&self) -> String {
        format!("unscim-{}-0", self.name)
    }

    pub async fn pid(&self) -> Option<u32> {
        cluster().await.kubelet.pid(&self.namespace, &self.pod())
    }

    pub async fn delete(&self) {
        self.api.delete(&self.name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn seen(&self) -> Option<ScimRetirement> {
        self.api.get_opt(&self.name).await.ok().flatten()
    }

    pub async fn until<T>(&self, what: &str, is: impl Fn(&ScimRetirement) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let seen = self.seen().await;
            if let Some(found) = seen.as_ref().and_then(&is) {
                return found;
            }
            let status = seen.and_then(|seen| seen.status);
            assert!(begun.elapsed() < Duration::from_secs(120), "{}: not {what}: {status:#?}", self.name);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }

    pub async fn until_phase(&self, phase: &str) {
        self.until(phase, |seen| (seen.status.as_ref()?.phase.as_deref() == Some(phase)).then_some(())).await;
    }

    /// Until the condition is so, for this reason: what it says.
    pub async fn until_condition(&self, kind: &str, status: ConditionStatus, reason: &str) -> String {
        let is = |seen: &ScimRetirement| {
            let condition = seen.status.as_ref()?.condition(kind)?;
            (condition.status == status && condition.reason == reason).then(|| condition.message.clone())
        };
        self.until(&format!("{kind}={status:?} ({reason})"), is).await
    }

    /// Reason and note of each Event about it.
    pub async fn events(&self) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = events.list(&ListParams::default()).await.unwrap();
        let of_it = all
            .items
            .into_iter()
            .filter(|event| event.regarding.as_ref().and_then(|object| object.name.as_deref()) == Some(&self.name));
        of_it.map(|event| (event.reason.unwrap_or_default(), event.note.unwrap_or_default())).collect()
    }

    pub fn assert_nobody_hurt(&self) {
        assert!(self.practice().out_of_scope_moments().is_empty(), "{}", self.name);
        assert!(self.practice().forbidden_calls().is_empty(), "{}", self.name);
    }

    /// To the end: the token is deleted when it is asked for.
    pub async fn until_retired(&self) {
        self.until_phase("AwaitingRevocation").await;
        self.practice().revoke_token().unwrap();
        self.until_condition("Ready", ConditionStatus::True, "Retired").await;
        self.assert_nobody_hurt();
    }
}

/// What a resource's definition is asked without anything being made.
pub async fn dry_run(client: &Client, object: &Value) -> kube::Result<Value> {
    let path = path(object);
    let path = path.rsplit_once('/').unwrap().0;
    let request = http::Request::post(format!("{path}?dryRun=All&fieldValidation=Strict"));
    client.request(request.header("content-type", "application/json").body(object.to_string().into_bytes()).unwrap()).await
}
