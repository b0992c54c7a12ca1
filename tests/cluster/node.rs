//! What the kubelet promises, with a StatefulSet of our binary in the shape that our manifests give its pod, and no operator.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStatus, Event, PersistentVolumeClaim, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use unscim::cli::practice::Served;
use unscim::model::spec::Mode;
use unscim::practice::scenario::Scenario;

use crate::kubelet::MISSING_IMAGE;
use crate::rig::{apply, case, cluster, namespace, until};

const WITHIN: Duration = Duration::from_secs(60);
/// How fast the tenant's time runs.
const SPEED: f64 = 480.0;
const SECRETS: &str = "/run/secrets/unscim";
const POD: &str = "unscim-0";

fn stateful_set() -> StatefulSet {
    let labels = json!({ "app.kubernetes.io/name": "unscim" });
    let probe = |path: &str, period: u8| json!({ "httpGet": { "path": path, "port": "http" }, "periodSeconds": period });
    let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path, "readOnly": name != "data" });
    let container = json!({
        "name": "unscim", "image": "unscim:test",
        "args": ["run", "--config=/etc/unscim/unscim.yaml", "--data-dir=$(DATA)/ledger", "--new-baseline", "--log-format=json"],
        "env": [{ "name": "DATA", "value": "/var/lib/unscim" },
            { "name": "NAMESPACE", "valueFrom": { "fieldRef": { "fieldPath": "metadata.namespace" } } },
            { "name": "UNSCIM_ALLOWED_HOST", "value": "unscim,unscim.$(NAMESPACE).svc" }],
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "livenessProbe": probe("/livez", 30), "readinessProbe": probe("/readyz", 10),
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "readOnlyRootFilesystem": true },
        "volumeMounts": [mount("config", "/etc/unscim"), mount("secrets", SECRETS), mount("data", "/var/lib/unscim")],
    });
    let pod = json!({
        "automountServiceAccountToken": false, "enableServiceLinks": false, "terminationGracePeriodSeconds": 60,
        "securityContext": { "fsGroup": 65532, "runAsGroup": 65532, "runAsNonRoot": true, "runAsUser": 65532,
            "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [container],
        "volumes": [{ "name": "config", "configMap": { "name": "config" } },
            { "name": "secrets", "secret": { "secretName": "secrets", "defaultMode": 0o440 } }],
    });
    let claim = json!({ "metadata": { "name": "data" }, "spec": {
        "accessModes": ["ReadWriteOncePod"], "resources": { "requests": { "storage": "1Gi" } } } });
    let spec = json!({ "replicas": 1, "serviceName": "unscim", "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": pod }, "volumeClaimTemplates": [claim] });
    serde_json::from_value(json!({ "metadata": { "name": "unscim" }, "spec": spec })).unwrap()
}

/// A namespace with a tenant and the objects of a worker.
struct Rig {
    namespace: String,
    _served: Served,
    pods: Api<Pod>,
}

impl Rig {
    async fn new(name: &str) -> Self {
        let namespace = namespace(name).await;
        let scenario = Scenario { users: 6, groups: 2, speed: SPEED, ..Scenario::default() };
        let served = Served::start(scenario, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = std::fs::read_to_string(served.write_config(dir.path(), SPEED, Mode::Observe).unwrap()).unwrap();
        let config = config.replace("File: client-secret", &format!("File: {SECRETS}/client-secret"));
        let config = config.replace("File: scim-token", &format!("File: {SECRETS}/scim-token"));
        let secrets = json!({ "client-secret": served.practice.client_secret(), "scim-token": served.practice.scim_token() });
        let ports = json!([{ "name": "http", "port": 8080, "targetPort": "http" }]);
        let spec = json!({ "selector": { "app.kubernetes.io/name": "unscim" }, "ports": ports });
        for (kind, name, field, value) in [
            ("ConfigMap", "config", "data", json!({ "unscim.yaml": config })),
            ("Secret", "secrets", "stringData", secrets),
            ("Service", "unscim", "spec", spec),
        ] {
            let metadata = json!({ "name": name, "namespace": namespace });
            apply(&cluster().await.client, json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata, field: value })).await;
        }
        let pods = Api::namespaced(cluster().await.client.clone(), &namespace);
        Rig { namespace, _served: served, pods }
    }

    async fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(cluster().await.client.clone(), &self.namespace)
    }

    async fn pid(&self) -> u32 {
        let kubelet = &cluster().await.kubelet;
        until("a process", WITHIN, async || kubelet.pid(&self.namespace, POD)).await
    }

    async fn create(&self, set: &StatefulSet) {
        self.api().await.create(&PostParams::default(), set).await.unwrap();
    }

    /// Waits for a pod, or for none, like this one.
    async fn until(&self, what: &str, done: impl Fn(Option<&Pod>) -> bool) -> Option<Pod> {
        let begun = Instant::now();
        loop {
            let pod = self.pods.get_opt(POD).await.unwrap();
            if done(pod.as_ref()) {
                return pod;
            }
            assert!(begun.elapsed() < WITHIN, "not {what}: {:#?}", pod.and_then(|pod| pod.status));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_container(&self, what: &str, done: impl Fn(&ContainerStatus) -> bool) -> ContainerStatus {
        container(self.until(what, |pod| pod.and_then(container).is_some_and(|it| done(&it))).await.as_ref().unwrap()).unwrap()
    }

    async fn until_waiting(&self, reason: &str) -> String {
        let waiting = |it: &ContainerStatus| it.state.clone().unwrap().waiting.unwrap_or_default();
        let found = self.until_container(reason, |it| waiting(it).reason.as_deref() == Some(reason)).await;
        waiting(&found).message.unwrap_or_default()
    }

    async fn until_event(&self, reason: &str, note: &str) {
        let events = self.api::<Event>().await;
        let told = async || {
            let all = events.list(&ListParams::default()).await.unwrap().items;
            let mut all = all.iter().map(|event| (event.reason.as_deref(), event.message.as_deref()));
            all.any(|told| told == (Some(reason), Some(note))).then_some(())
        };
        until(note, WITHIN, told).await;
    }
}

fn container(pod: &Pod) -> Option<ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first().cloned()
}

fn is_ready(pod: Option<&Pod>) -> bool {
    let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

#[test]
fn a_stateful_set_runs_our_binary_with_the_rights_of_its_pod() {
    case(async {
        let rig = Rig::new("runs").await;
        rig.create(&stateful_set()).await;
        let pod = rig.until("ready", is_ready).await.unwrap();
        let ip = pod.status.unwrap().pod_ip.unwrap();
        let shown = reqwest::get(format!("http://{ip}:8080/status")).await.unwrap().text().await.unwrap();
        assert!(serde_json::from_str::<Value>(&shown).unwrap()["status"]["phase"].is_string(), "{shown}");
        let rights = std::fs::read_to_string(format!("/proc/{}/status", rig.pid().await)).unwrap();
        for line in ["Uid:\t65532\t65532\t65532\t65532", "Groups:\t65532 ", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
            assert!(rights.lines().any(|found| found == line), "no {line:?} in {rights}");
        }
        let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", rig.pid().await)).unwrap();
        for (path, is) in [("/", "ro"), ("/etc/unscim", "ro"), (SECRETS, "ro"), ("/var/lib/unscim", "rw")] {
            let mut at = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|mount| mount[1] == path);
            let mount = at.next_back().unwrap_or_else(|| panic!("no {path} in {mounts}"));
            assert!(mount[3].split(',').any(|flag| flag == is), "{mount:?}");
        }
    });
}

#[test]
fn a_process_that_is_killed_comes_back_and_a_secret_is_exchanged_under_it() {
    case(async {
        let rig = Rig::new("comes-back").await;
        rig.create(&stateful_set()).await;
        rig.until("ready", is_ready).await;
        crate::kubelet::signal(rig.pid().await, "KILL");
        let back = rig.until_container("restarted", |it| it.restart_count == 1 && it.ready).await;
        assert_eq!(back.last_state.unwrap().terminated.unwrap().exit_code, 137);
        let pid = rig.pid().await;
        let rotated = json!({ "stringData": { "scim-token": "rotated" } });
        rig.api::<Secret>().await.patch("secrets", &PatchParams::default(), &Patch::Merge(rotated)).await.unwrap();
        let token = format!("/proc/{pid}/root{SECRETS}/scim-token");
        let read = async || (std::fs::read_to_string(&token).unwrap() == "rotated").then_some(());
        until("the token is exchanged", WITHIN, read).await;
        assert_eq!(rig.pid().await, pid, "without a restart");
    });
}

#[test]
fn a_set_is_deleted_in_order_and_leaves_its_claim() {
    case(async {
        let rig = Rig::new("leaves").await;
        rig.create(&stateful_set()).await;
        let pod = rig.until("ready", is_ready).await.unwrap();
        let kubelet = &cluster().await.kubelet;
        let (pid, log) = (rig.pid().await, kubelet.log(&pod.metadata.uid.unwrap()));
        let claims = rig.api::<PersistentVolumeClaim>().await;
        let claim = format!("data-{POD}");
        let ledger = kubelet.claim(&claims.get(&claim).await.unwrap().metadata.uid.unwrap()).join("ledger/ledger.db");
        rig.api::<StatefulSet>().await.delete("unscim", &DeleteParams::background()).await.unwrap();
        rig.until("gone", |pod| pod.is_none()).await;
        assert!(!PathBuf::from(format!("/proc/{pid}")).exists(), "the process is gone before its pod");
        assert!(std::fs::read_to_string(log).unwrap().contains("\"stopped\""), "it was asked to end, and did");
        assert_eq!(claims.get(&claim).await.unwrap().status.unwrap().phase.as_deref(), Some("Bound"));
        assert!(ledger.exists());
        claims.delete(&claim, &DeleteParams::default()).await.unwrap();
        until("the claim's folder is gone with it", WITHIN, async || (!ledger.exists()).then_some(())).await;
    });
}

#[test]
fn a_pod_that_lacks_something_says_what_and_goes_on_when_it_is_there() {
    case(async {
        let rig = Rig::new("lacks").await;
        let secrets = rig.api::<Secret>().await;
        let secret = secrets.get("secrets").await.unwrap();
        secrets.delete("secrets", &DeleteParams::default()).await.unwrap();
        let mut set = stateful_set();
        let pod = set.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
        let items = json!([{ "key": "client-secret", "path": "client-secret" }, { "key": "scim-token", "path": "scim-token" }]);
        pod.volumes.as_mut().unwrap()[1].secret.as_mut().unwrap().items = serde_json::from_value(items).unwrap();
        pod.containers[0].env_from = serde_json::from_value(json!([{ "configMapRef": { "name": "more" } }])).unwrap();
        rig.create(&set).await;

        let failed = |why: &str| format!("MountVolume.SetUp failed for volume \"secrets\" : {why}");
        rig.until_waiting("ContainerCreating").await;
        rig.until_event("FailedMount", &failed("secret \"secrets\" not found")).await;
        let mut partial = Secret { data: secret.data.clone(), ..Secret::default() };
        partial.metadata.name = Some("secrets".into());
        partial.data.as_mut().unwrap().remove("scim-token");
        secrets.create(&PostParams::default(), &partial).await.unwrap();
        rig.until_event("FailedMount", &failed("references non-existent secret key: scim-token")).await;
        let whole = json!({ "data": secret.data });
        secrets.patch("secrets", &PatchParams::default(), &Patch::Merge(whole)).await.unwrap();

        assert_eq!(rig.until_waiting("CreateContainerConfigError").await, "configmap \"more\" not found");
        let more = serde_json::from_value(json!({ "metadata": { "name": "more" } })).unwrap();
        rig.api::<ConfigMap>().await.create(&PostParams::default(), &more).await.unwrap();
        rig.until("ready", is_ready).await;
    });
}

#[test]
fn a_pod_that_can_not_run_waits_with_a_kubelets_reasons() {
    case(async {
        let rig = Rig::new("waits").await;
        let mut set = stateful_set();
        set.spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers[0].image = Some(MISSING_IMAGE.into());
        rig.create(&set).await;
        rig.until_waiting("ImagePullBackOff").await;
        let container = json!({ "name": "unscim", "image": "unscim:test", "args": ["run", "--no-such-flag"] });
        let wrong = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        rig.api::<StatefulSet>().await.patch("unscim", &PatchParams::default(), &Patch::Strategic(wrong)).await.unwrap();
        // A StatefulSet does not replace a pod that was never ready by itself.
        rig.pods.delete(POD, &DeleteParams::default()).await.unwrap();
        rig.until_waiting("CrashLoopBackOff").await;
        let crashed = rig.until_container("restarted", |it| it.restart_count > 0).await;
        assert_eq!(crashed.last_state.unwrap().terminated.unwrap().exit_code, 64);
    });
}

#[test]
fn the_pod_of_a_lost_node_is_not_replaced_until_the_node_is_back() {
    case(async {
        let rig = Rig::new("cut-off").await;
        rig.create(&stateful_set()).await;
        let pod = rig.until("ready", is_ready).await.unwrap();
        let pid = rig.pid().await;
        let kubelet = &cluster().await.kubelet;
        kubelet.freeze(&rig.namespace);
        rig.pods.delete(POD, &DeleteParams::default()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(rig.pods.get(POD).await.unwrap().metadata.uid, pod.metadata.uid, "nobody knows that it has ended");
        assert!(PathBuf::from(format!("/proc/{pid}")).exists(), "and it has not");
        kubelet.thaw(&rig.namespace);
        rig.until("another pod", |found| is_ready(found) && found.is_some_and(|found| found.metadata.uid != pod.metadata.uid))
            .await;
    });
}
