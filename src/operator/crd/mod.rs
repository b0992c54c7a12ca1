//! The resource's definition, made of the one list of fields that the config file is made of: what differs is said here, and nothing
//! else can.

mod bounds;
mod columns;
mod rules;
mod structural;

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value, json};

use super::resource::{BaselineRule, GROUP, KIND, PLURAL, RetirementStatus, SHORT_NAME, VERSION, Worker};
use crate::config;

/// The definition, as `kubectl apply` takes it.
pub fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{PLURAL}.{GROUP}") },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND, "listKind": format!("{KIND}List"), "plural": PLURAL, "singular": KIND.to_lowercase(),
                "shortNames": [SHORT_NAME], "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns::all(),
                "schema": { "openAPIV3Schema": schema() },
            }],
        },
    })
}

fn schema() -> Value {
    let mut file = structural::of(&config::schema());
    let mut spec = file["properties"]["spec"].take();
    structural::references(&mut spec);
    for path in NOT_FOR_A_RESOURCE {
        structural::without(&mut spec, path);
    }
    for (path, text) in DESCRIBED {
        if let Some(field) = structural::at(&mut spec, path) {
            field["description"] = (*text).into();
        }
    }
    let own = Map::from_iter([("worker".to_owned(), made_of::<Worker>()), ("baseline".to_owned(), made_of::<BaselineRule>())]);
    if let Some(fields) = spec["properties"].as_object_mut() {
        fields.extend(own);
    }
    if let Some(required) = structural::at(&mut spec, "entra").and_then(|entra| entra["required"].as_array_mut()) {
        required.push("tenantId".into());
    }
    let mut schema = json!({
        "type": "object",
        "description": file["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": spec,
            "status": made_of::<RetirementStatus>(),
        },
    });
    bounds::set(&mut schema);
    rules::set(&mut schema);
    schema
}

fn made_of<T: JsonSchema>() -> Value {
    let mut schema = schema_for!(T).to_value();
    config::without_null(&mut schema);
    structural::of(&schema)
}

/// What would let a resource's author make a pod read or ask what they may not: paths of the node, addresses that get our tokens, the
/// node's own identity.
const NOT_FOR_A_RESOURCE: &[&str] =
    &["entra.endpoints", "entra.credential.managedIdentity", "entra.credential.federatedTokenRef"];

const DESCRIBED: &[(&str, &str)] = &[(
    "entra.credential",
    "Who unscim is to Entra: an app registration with a client secret or a certificate, each a key of a Secret in this namespace. With \
     neither, Azure Workload Identity of spec.worker.serviceAccountName.",
)];
