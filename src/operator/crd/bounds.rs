//! Every text, list and map has a bound: without one the API server takes the largest that fits into a request for granted, and refuses
//! the rules for what they might cost.

use serde_json::Value;

use super::structural::at;

const TEXT: u64 = 1024;
const LIST: u64 = 64;
const MAP: u64 = 64;

/// Where it may be more. The lists of a large tenant are longer than a resource can hold (etcd takes 1.5 MiB).
const MORE: &[(&str, &str, u64)] = &[
    ("spec.groups.list", "maxItems", 1000),
    ("spec.released", "maxItems", 5000),
    ("spec.roles", "maxProperties", 1000),
    ("spec.target.scimUrl", "maxLength", 2048),
    ("spec.worker.resources.requests", "maxProperties", 8),
    ("spec.worker.resources.limits", "maxProperties", 8),
    ("status.conditions[].message", "maxLength", 32_768),
    ("status.groupList", "maxItems", 100),
];

pub fn set(schema: &mut Value) {
    bounded(schema);
    for (path, bound, value) in MORE {
        if let Some(field) = at(schema, path) {
            field[*bound] = (*value).into();
        }
    }
}

fn bounded(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let has = |word: &str| fields.contains_key(word);
    match fields.get("type").and_then(Value::as_str) {
        Some("string") if !has("enum") && !has("maxLength") => _ = fields.insert("maxLength".into(), TEXT.into()),
        Some("array") if !has("maxItems") => _ = fields.insert("maxItems".into(), LIST.into()),
        Some("object") if has("additionalProperties") && !has("maxProperties") => {
            _ = fields.insert("maxProperties".into(), MAP.into())
        }
        _ => {}
    }
    for part in ["items", "additionalProperties"] {
        if let Some(part) = fields.get_mut(part) {
            bounded(part);
        }
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(bounded);
    }
}
