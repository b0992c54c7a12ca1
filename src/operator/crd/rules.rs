//! What the API server refuses by itself, each with a sentence: `kubectl apply` says it, and no worker starts with it.

use serde_json::{Value, json};

use super::structural::at;

/// Where it holds, the rule (CEL), and what is wrong and what to do.
pub const RULES: &[(&str, &str, &str)] = &[
    ("", "size(self.metadata.name) <= 63", "metadata.name: at most 63 characters, as it is a label of the worker's pod"),
    (
        "spec.entra.app",
        "[has(self.servicePrincipalId), has(self.appId), has(self.displayName)].filter(named, named).size() == 1",
        "name the app in exactly one way: servicePrincipalId, appId or displayName",
    ),
    (
        "spec.entra.credential",
        "has(self.certificateRef) == has(self.privateKeyRef) && !(has(self.clientSecretRef) && has(self.certificateRef))",
        "keep one kind of credential: clientSecretRef, or certificateRef with privateKeyRef, or neither for a workload identity",
    ),
    (
        "spec.entra.credential",
        "has(self.clientId) || !(has(self.clientSecretRef) || has(self.certificateRef))",
        "clientId is missing: the application (client) id whose secret or certificate this is",
    ),
    (
        "spec",
        "(has(self.entra.credential) && (has(self.entra.credential.clientSecretRef) || has(self.entra.credential.certificateRef))) || \
         (has(self.worker) && has(self.worker.serviceAccountName))",
        "no credential: give entra.credential a clientSecretRef, or a certificateRef with its privateKeyRef, or name in \
         worker.serviceAccountName a service account with a workload identity",
    ),
    (
        "spec.entra",
        "self.tenantId == oldSelf.tenantId",
        "the tenant never changes: the ledger is bound to it; make another ScimRetirement",
    ),
    ("spec.entra", "self.app == oldSelf.app", "the app never changes: the ledger is bound to it; make another ScimRetirement"),
    (
        "spec.entra",
        "(has(self.cloud) ? self.cloud : 'Public') == (has(oldSelf.cloud) ? oldSelf.cloud : 'Public')",
        "the cloud never changes: the ledger is bound to its tenant; make another ScimRetirement",
    ),
    (
        "spec.target",
        "self.scimUrl == oldSelf.scimUrl",
        "scimUrl never changes: the ledger is bound to it; make another ScimRetirement",
    ),
    ("spec.target", "self.profile == oldSelf.profile", "the profile never changes; make another ScimRetirement"),
    (
        "spec.target.revocation",
        "(has(self.by) && self.by == 'Webhook') == has(self.webhook)",
        "webhook goes with by: Webhook, and with nothing else",
    ),
    (
        "spec.target.scimUrl",
        "self.startsWith('https://') || self.startsWith('http://')",
        "write the address in full, as https://…",
    ),
];

/// Forms of a single text that the file's schema tells by a pattern. The API server would only repeat the pattern.
const FORMS: &[(&str, u64, &str)] = &[
    ("^[0-9a-fA-F]{8}(", 36, "an id looks like 11111111-2222-3333-4444-555555555555"),
    ("^(([0-9]", 64, "write a duration as 30s, 45m or 1h 30m"),
    ("^(100|", 4, "write a share in whole percent, as 10%"),
    ("^[1-9][0-9]*/", 64, "write a quota as 3000/150s"),
    ("^([01][0-9]|2", 5, "write a time of day in quotes, as \"06:30\" or \"22:00\""),
    ("^sha256:", 71, "copy the digest that `unscim plan` prints: sha256: and 64 digits"),
    ("^([0-9a-fA-F]{8}(", 300, "an object id, or \"record:\" and the id of a record at the app"),
];

pub fn set(schema: &mut Value) {
    worded(schema);
    for (path, rule, message) in RULES {
        let field = at(schema, path).unwrap_or_else(|| panic!("a rule names {path}, and there is no such field"));
        add(field, rule, message);
    }
    if let Some(list) = at(schema, "spec.groups.list") {
        list["x-kubernetes-list-type"] = "map".into();
        list["x-kubernetes-list-map-keys"] = json!(["id"]);
    }
    if let Some(conditions) = at(schema, "status.conditions") {
        conditions["x-kubernetes-list-type"] = "map".into();
        conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    }
}

fn add(field: &mut Value, rule: &str, message: &str) {
    let rules = field.as_object_mut().map(|fields| fields.entry("x-kubernetes-validations").or_insert_with(|| json!([])));
    if let Some(Value::Array(rules)) = rules {
        rules.push(json!({ "rule": rule, "message": message }));
    }
}

fn worded(schema: &mut Value) {
    let pattern = schema["pattern"].as_str().map(str::to_owned);
    if let Some(form) = pattern.as_ref().and_then(|pattern| FORMS.iter().find(|(begin, ..)| pattern.starts_with(begin))) {
        let (_, longest, message) = form;
        add(schema, &matches(pattern.as_deref().unwrap_or_default()), message);
        schema["maxLength"] = (*longest).into();
    }
    let not = schema["not"]["pattern"].as_str().map(str::to_owned);
    if let Some(not) = not {
        add(schema, &format!("!{}", matches(&not)), "settle must be at least 1m");
    }
    if let Value::Object(fields) = schema {
        let worded = fields.contains_key("x-kubernetes-validations");
        fields.retain(|word, _| !(worded && (word == "pattern" || word == "not")));
        for part in ["items", "additionalProperties"] {
            fields.get_mut(part).into_iter().for_each(worded_in);
        }
        if let Some(Value::Object(properties)) = fields.get_mut("properties") {
            properties.values_mut().for_each(worded_in);
        }
    }
}

fn worded_in(schema: &mut Value) {
    worded(schema);
}

fn matches(pattern: &str) -> String {
    format!("self.matches(r'{pattern}')")
}
