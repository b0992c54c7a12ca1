//! What the operator asked the API server, and what it was told, from the server's audit log.

use std::path::Path;

use serde_json::Value;

use crate::chart::ACCOUNT;

/// Of the API server: it writes down every request when it has ended.
pub fn flags(folder: &Path) -> Vec<String> {
    let policy = folder.join("audit.json");
    let rules = serde_json::json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{ "level": "Metadata" }],
    });
    std::fs::write(&policy, rules.to_string()).expect("the policy is written");
    vec![format!("--audit-policy-file={}", policy.display()), format!("--audit-log-path={}", folder.join("audit.log").display())]
}

/// Requests with the rights of the operator's account; the last line may not be whole yet.
pub fn requests(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("audit.log")).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["impersonatedUser"]["username"] == ACCOUNT).collect()
}
