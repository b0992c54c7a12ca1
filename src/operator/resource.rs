//! `ScimRetirement`: what its author writes, and what we say of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::Fields;
use crate::model::condition::ConditionKind;
use crate::model::extent::Extent;

pub const GROUP: &str = "unscim.dev";
pub const VERSION: &str = "v1alpha1";
pub const KIND: &str = "ScimRetirement";
pub const PLURAL: &str = "scimretirements";
pub const SHORT_NAME: &str = "sret";

/// Annotations that people set, and the one that we set.
pub mod annotation {
    /// `"true"`: a retirement that is deleted in the middle is let go.
    pub const ABANDON: &str = "unscim.dev/abandon";
    /// `"true"`: the claim with the ledger goes with the resource.
    pub const DELETE_LEDGER: &str = "unscim.dev/delete-ledger";
    /// Ours: there was a baseline. It survives a backup and restore, which a status does not.
    pub const BASELINE_RECORDED: &str = "unscim.dev/baseline-recorded";
}

/// Conditions of the operator's own; they stand in front of the guide's.
pub mod kind {
    pub const ACCEPTED: &str = "Accepted";
    pub const WORKER_READY: &str = "WorkerReady";
    pub const DELETION_KEPT_BACK: &str = "DeletionKeptBack";
}

/// The file's fields are in `config`; the worker's own parser judges them.
#[derive(CustomResource, Clone, Debug, Default, Serialize, Deserialize)]
#[kube(
    group = "unscim.dev",
    version = "v1alpha1",
    kind = "ScimRetirement",
    plural = "scimretirements",
    shortname = "sret",
    namespaced,
    status = "RetirementStatus",
    schema = "disabled"
)]
#[serde(rename_all = "camelCase")]
pub struct RetirementSpec {
    #[serde(default)]
    pub worker: Worker,
    #[serde(default)]
    pub baseline: BaselineRule,
    #[serde(flatten)]
    pub config: Fields,
}

/// What an empty ledger is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BaselineRule {
    /// A lost one: nothing is written.
    #[default]
    Require,
    /// Day one, as long as this resource has never had a baseline.
    Take,
}

/// The pod that does the work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Worker {
    /// The operator's own image where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Secrets for the registry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalReference>,
    /// A service account of yours, for a workload identity; one without any right is made where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// The way out through a proxy. No credentials in its address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    pub storage: Storage,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LocalReference {
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}

/// As Kubernetes writes it, `96Mi` or a whole number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(pub Value);

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "maxLength": 32,
            "x-kubernetes-validations": [{
                "rule": "type(self) == int || isQuantity(self)", "message": "write a quantity as 96Mi, 1Gi or 500m",
            }],
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Toleration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toleration_seconds: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    pub name: VariableName,
    pub value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VariableName {
    HttpsProxy,
    NoProxy,
}

/// The volume of the ledger. It outlives the resource: it is the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// 1Gi where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// Block storage; the cluster's default where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// Why a resource, or its last change, has no effect: a condition's reason, and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: &'static str,
    pub message: String,
}

impl Refusal {
    pub const CONFIG: &'static str = "ConfigInvalid";

    pub fn new(reason: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { reason, message: message.into() }
    }
}

/// A retirement by its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where the retirement stands. It names no user, and stays small whatever the tenant is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RetirementStatus {
    /// The generation of the spec that all of this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// In the guide's order.
    pub conditions: Vec<Condition>,
    /// Kept of those who are protected, as `40/40`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_lost: Option<String>,
    /// Taken off the app of those that are managed, as `2/5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// The managed groups, up to a number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group_list: Vec<Group>,
    /// How many more there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_not_listed: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// What is left of the whole way, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earliest_finish: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Cycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// How far the ledger went when the worker was last heard: a shorter one at a worker's start is an older copy, and held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Extent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerSeen>,
}

/// As `kubectl wait` and every tool know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: ConditionStatus,
    pub reason: String,
    pub message: String,
    #[schemars(with = "String")]
    pub last_transition_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub observed_generation: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    pub id: String,
    pub name: String,
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    pub by: String,
    pub message: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Cycle {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ended: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct App {
    /// Object id of the enterprise application.
    pub service_principal_id: String,
    pub name: String,
}

/// What an approval speaks of: its digest goes into spec.approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub digest: String,
    pub writes: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cycles: Option<u64>,
    pub decisions_needed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerSeen {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    pub ready: bool,
    /// When it was last heard, to some minutes; older than half an hour means that nobody listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<String>,
}

impl RetirementStatus {
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    pub fn is_true(&self, kind: ConditionKind) -> bool {
        self.condition(kind.as_str()).is_some_and(|condition| condition.status == ConditionStatus::True)
    }
}

#[cfg(test)]
mod tests {
    use kube::{Resource as _, ResourceExt as _};

    use super::*;

    #[test]
    fn what_the_derive_says_is_what_the_definition_says() {
        assert_eq!(
            (ScimRetirement::group(&()), ScimRetirement::version(&()), ScimRetirement::kind(&()), ScimRetirement::plural(&())),
            (GROUP.into(), VERSION.into(), KIND.into(), PLURAL.into())
        );
        let resource = ScimRetirement::new("uniqkey", RetirementSpec::default());
        assert_eq!(resource.name_any(), "uniqkey");
    }
}
