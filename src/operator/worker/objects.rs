//! The objects of a worker, as server-side apply takes them: only the fields that are ours.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::config::{SECRETS, SecretKey, WorkerConfig};
use super::names;
use crate::config::begun;
use crate::model::extent::Extent;
use crate::model::words::hex;
use crate::operator::resource::{BaselineRule, GROUP, KIND, VERSION, Worker};

pub const PORT: u16 = 8080;
/// Of every object of ours.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "unscim-operator");
/// Of the field of a ConfigMap that holds a worker whose spec is wrong.
pub const BRAKE_MANAGER: &str = "unscim-operator-brake";
pub const RETIREMENT: &str = "unscim.dev/retirement";
/// Of every object of ours: the digest of what was last applied. Who finds it, and all of that in place, need not apply it again.
const APPLIED: &str = "unscim.dev/applied";

/// Whose worker it is.
#[derive(Clone, Debug)]
pub struct Owner {
    pub name: String,
    pub namespace: String,
    pub uid: String,
}

impl Owner {
    /// By what an object is known to be this resource's: a claim has no owner, so that it stays, and goes on with whoever has the name.
    pub fn whose(&self, kind: Kind) -> &str {
        if kind == Kind::PersistentVolumeClaim { &self.name } else { &self.uid }
    }
}

/// What the operator's flags say of every worker.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The namespace of the operator: its pods may ask a worker for its status.
    pub operator_namespace: String,
    /// The namespace whose pods may scrape.
    pub metrics_namespace: String,
}

/// One object, and under which kind it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub kind: Kind,
    pub name: String,
    pub body: Value,
    /// Of the body.
    pub digest: String,
}

impl Object {
    /// Whether this is what was last applied there, and nobody has changed anything of it: what was applied before and is no field of ours any
    /// more went with that.
    pub fn stands(&self, there: &Value) -> bool {
        stands(&self.body, there)
    }
}

/// Everything that we say is so there; what others say beside it is theirs, and so is what the API server fills in.
fn stands(ours: &Value, there: &Value) -> bool {
    match (ours, there) {
        (Value::Object(ours), Value::Object(there)) => {
            ours.iter().all(|(field, ours)| there.get(field).is_some_and(|there| stands(ours, there)))
        }
        (Value::Array(ours), Value::Array(there)) => {
            ours.len() == there.len() && ours.iter().zip(there).all(|(ours, there)| stands(ours, there))
        }
        _ => ours == there,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    ServiceAccount,
    ConfigMap,
    PersistentVolumeClaim,
    Service,
    NetworkPolicy,
    StatefulSet,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::ServiceAccount,
        Kind::ConfigMap,
        Kind::PersistentVolumeClaim,
        Kind::Service,
        Kind::NetworkPolicy,
        Kind::StatefulSet,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::ServiceAccount => "ServiceAccount",
            Kind::ConfigMap => "ConfigMap",
            Kind::PersistentVolumeClaim => "PersistentVolumeClaim",
            Kind::Service => "Service",
            Kind::NetworkPolicy => "NetworkPolicy",
            Kind::StatefulSet => "StatefulSet",
        }
    }

    pub fn api_version(self) -> &'static str {
        match self {
            Kind::ServiceAccount | Kind::ConfigMap | Kind::PersistentVolumeClaim | Kind::Service => "v1",
            Kind::NetworkPolicy => "networking.k8s.io/v1",
            Kind::StatefulSet => "apps/v1",
        }
    }
}

/// Everything that a worker is made of, in the order in which it is applied.
pub struct Parts<'a> {
    pub owner: &'a Owner,
    pub worker: &'a Worker,
    pub image: &'a str,
    pub config: &'a WorkerConfig,
    pub baseline: BaselineRule,
    /// There was a baseline once.
    pub begun: bool,
    /// How far its ledger went.
    pub ledger: Option<&'a Extent>,
    pub surroundings: &'a Surroundings,
}

impl Parts<'_> {
    pub fn objects(&self) -> Vec<Object> {
        let own_account = self.worker.service_account_name.is_none();
        let account = own_account.then(|| self.object(Kind::ServiceAccount, json!({ "automountServiceAccountToken": false })));
        let rest = [
            self.object(Kind::ConfigMap, json!({ "data": self.data() })),
            self.object(Kind::PersistentVolumeClaim, json!({ "spec": self.claim() })),
            self.object(Kind::Service, json!({ "spec": self.service() })),
            self.object(Kind::NetworkPolicy, json!({ "spec": self.network_policy() })),
            self.object(Kind::StatefulSet, json!({ "spec": self.stateful_set() })),
        ];
        account.into_iter().chain(rest).collect()
    }

    fn name(&self) -> String {
        names::of(&self.owner.name)
    }

    fn selector(&self) -> BTreeMap<&'static str, String> {
        [("app.kubernetes.io/name", "unscim".to_owned()), ("app.kubernetes.io/instance", self.name())].into()
    }

    fn labels(&self) -> Map<String, Value> {
        let own = [MANAGED_BY, (RETIREMENT, self.owner.name.as_str())];
        let own = own.into_iter().map(|(label, value)| (label.to_owned(), Value::from(value)));
        own.chain(self.selector().into_iter().map(|(label, value)| (label.to_owned(), value.into()))).collect()
    }

    fn object(&self, kind: Kind, fields: Value) -> Object {
        let mut metadata = json!({ "name": self.name(), "namespace": self.owner.namespace, "labels": self.labels() });
        // The claim outlives the resource: it is the evidence.
        if kind != Kind::PersistentVolumeClaim {
            metadata["ownerReferences"] = json!([{
                "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND, "name": self.owner.name, "uid": self.owner.uid,
                "controller": true, "blockOwnerDeletion": true,
            }]);
        }
        let mut body = json!({ "apiVersion": kind.api_version(), "kind": kind.name(), "metadata": metadata });
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        let digest = hex(Sha256::digest(body.to_string()));
        body["metadata"]["annotations"] = json!({ APPLIED: digest });
        Object { kind, name: self.name(), body, digest }
    }

    /// The mark beside the config tells a lost ledger from day one, whatever the command line says (`config::begun`).
    fn data(&self) -> Value {
        let mut data = json!({ "unscim.yaml": self.config.text });
        if self.begun {
            data["unscim.yaml.begun"] = begun::content(&self.owner.name, self.ledger).into();
        }
        data
    }

    fn claim(&self) -> Value {
        let storage = &self.worker.storage;
        let size = storage.size.as_ref().map_or_else(|| "1Gi".into(), |size| size.0.clone());
        let mut claim = json!({ "accessModes": ["ReadWriteOncePod"], "resources": { "requests": { "storage": size } } });
        if let Some(class) = &storage.storage_class_name {
            claim["storageClassName"] = class.as_str().into();
        }
        claim
    }

    fn service(&self) -> Value {
        json!({
            "type": "ClusterIP", "ipFamilyPolicy": "PreferDualStack", "selector": self.selector(),
            "ports": [{ "name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP" }],
        })
    }

    fn network_policy(&self) -> Value {
        let namespace = |name: &str| json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": name } } });
        let mut operator = namespace(&self.surroundings.operator_namespace);
        operator["podSelector"] = json!({ "matchLabels": { "app.kubernetes.io/name": "unscim-operator" } });
        let mut ports = vec![json!({ "port": 443, "protocol": "TCP" })];
        ports.extend(self.config.ports.iter().map(|port| json!({ "port": port, "protocol": "TCP" })));
        let dns = [json!({ "port": 53, "protocol": "UDP" }), json!({ "port": 53, "protocol": "TCP" })];
        json!({
            "podSelector": { "matchLabels": self.selector() },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{
                "from": [operator, namespace(&self.surroundings.metrics_namespace)],
                "ports": [{ "port": PORT, "protocol": "TCP" }],
            }],
            "egress": [{ "ports": ports }, { "to": [namespace("kube-system")], "ports": dns }],
        })
    }

    fn stateful_set(&self) -> Value {
        json!({
            "replicas": 1,
            "serviceName": self.name(),
            // A pod that can't start must not keep the one from coming that can: in order, the controller waits for it for ever.
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 3,
            "selector": { "matchLabels": self.selector() },
            "template": { "metadata": self.pod_metadata(), "spec": self.pod() },
        })
    }

    fn pod_metadata(&self) -> Value {
        let given =
            |map: &BTreeMap<String, String>| map.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        let mut labels: Map<String, Value> = given(&self.worker.pod_labels);
        if self.worker.service_account_name.is_some() {
            labels.insert("azure.workload.identity/use".into(), "true".into());
        }
        // Ours win: a pod that its StatefulSet does not select would be made again and again.
        labels.extend(self.labels());
        let mut metadata = json!({ "labels": labels });
        if !self.worker.pod_annotations.is_empty() {
            metadata["annotations"] = Value::Object(given(&self.worker.pod_annotations));
        }
        metadata
    }

    fn pod(&self) -> Value {
        let account = self.worker.service_account_name.clone().unwrap_or_else(|| self.name());
        let mut pod = json!({
            "serviceAccountName": account,
            "automountServiceAccountToken": false,
            // The variables that a service gives to pods begin with UNSCIM_, and so do our settings.
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 60,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [self.container()],
            "volumes": [
                { "name": "config", "configMap": { "name": self.name() } },
                { "name": "secrets", "projected": { "defaultMode": 0o440, "sources": secrets(&self.config.secrets) } },
                { "name": "data", "persistentVolumeClaim": { "claimName": self.name() } },
            ],
        });
        if !self.worker.node_selector.is_empty() {
            pod["nodeSelector"] = json!(self.worker.node_selector);
        }
        if !self.worker.tolerations.is_empty() {
            pod["tolerations"] = json!(self.worker.tolerations);
        }
        if !self.worker.image_pull_secrets.is_empty() {
            pod["imagePullSecrets"] = json!(self.worker.image_pull_secrets);
        }
        pod
    }

    fn container(&self) -> Value {
        let mut args = vec!["run", "--config=/etc/unscim/unscim.yaml", "--data-dir=/var/lib/unscim/ledger", "--log-format=json"];
        if self.baseline == BaselineRule::Take {
            args.push("--new-baseline");
        }
        let service = format!("{}.{}", self.name(), self.owner.namespace);
        let hosts = format!("{},{service},{service}.svc,{service}.svc.cluster.local", self.name());
        let mut env = vec![
            // Of IPv4 alone where the node has no IPv6.
            json!({ "name": "UNSCIM_LISTEN", "value": format!("[::]:{PORT}") }),
            json!({ "name": "UNSCIM_ALLOWED_HOST", "value": hosts }),
        ];
        env.extend(self.worker.env.iter().map(|variable| json!(variable)));
        let default = json!({ "requests": { "cpu": "50m", "memory": "96Mi" }, "limits": { "memory": "256Mi" } });
        json!({
            "name": "unscim",
            "image": self.image,
            "args": args,
            "env": env,
            "ports": [{ "name": "http", "containerPort": PORT, "protocol": "TCP" }],
            "livenessProbe": { "httpGet": { "path": "/livez", "port": "http" }, "periodSeconds": 30 },
            "readinessProbe": { "httpGet": { "path": "/readyz", "port": "http" }, "periodSeconds": 10 },
            "resources": self.worker.resources.as_ref().map_or(default, |resources| json!(resources)),
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
            },
            "volumeMounts": [
                { "name": "config", "mountPath": "/etc/unscim", "readOnly": true },
                { "name": "secrets", "mountPath": SECRETS, "readOnly": true },
                { "name": "data", "mountPath": "/var/lib/unscim" },
            ],
        })
    }
}

/// The keys that are named, and no other: a Secret may hold more than a worker should see.
fn secrets(keys: &[SecretKey]) -> Value {
    let mut by_secret: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for key in keys {
        by_secret.entry(&key.secret).or_default().push(json!({ "key": key.key, "path": key.file }));
    }
    by_secret.into_iter().map(|(name, items)| json!({ "secret": { "name": name, "items": items } })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_stands_while_nobody_has_changed_anything_of_it() {
        let ours = json!({
            "metadata": { "name": "a", "annotations": { APPLIED: "1" } },
            "spec": { "replicas": 1, "ports": [{ "name": "http", "port": 8080 }], "selector": {} },
        });
        let mut there = ours.clone();
        there["metadata"]["uid"] = "u".into();
        there["metadata"]["annotations"]["another"] = "x".into();
        there["spec"]["ports"][0]["protocol"] = "TCP".into();
        there["spec"]["type"] = "ClusterIP".into();
        there["status"] = json!({ "replicas": 0 });
        assert!(stands(&ours, &there), "what others and the API server add is theirs");
        type Change = fn(&mut Value);
        let changes: [Change; 8] = [
            |there| there["metadata"]["annotations"][APPLIED] = "2".into(),
            |there| _ = there["metadata"].as_object_mut().unwrap().remove("annotations"),
            |there| there["spec"]["replicas"] = 0.into(),
            |there| _ = there["spec"].as_object_mut().unwrap().remove("selector"),
            |there| there["spec"]["ports"][0]["port"] = 8081.into(),
            |there| there["spec"]["ports"].as_array_mut().unwrap().push(json!({ "name": "more", "port": 1 })),
            |there| there["spec"]["ports"].as_array_mut().unwrap().clear(),
            |there| there["spec"]["ports"] = Value::Null,
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut changed = there.clone();
            change(&mut changed);
            assert!(!stands(&ours, &changed), "change {n}: {changed}");
        }
    }
}
