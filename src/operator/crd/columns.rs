//! What `kubectl get` shows: the story in one line.

use serde_json::{Value, json};

pub fn all() -> Value {
    let column = |name: &str, path: &str, wide: bool, text: &str| json!({ "name": name, "type": "string", "jsonPath": path, "priority": i32::from(wide), "description": text });
    json!([
        column("Mode", ".spec.mode", false, "Observe writes nothing."),
        column("Phase", ".status.phase", false, "Where the retirement stands."),
        column("Users", ".status.users", false, "Kept of those who are protected."),
        column("Lost", ".status.usersLost", false, "Protected users who were lost."),
        column("Groups", ".status.groups", false, "Taken off the app of those that are managed."),
        column("Ready", r#".status.conditions[?(@.type=="Ready")].status"#, false, "True once it is retired."),
        column("Tenant", ".spec.entra.tenantId", true, "The directory."),
        column("App", ".status.app.name", true, "The enterprise application, as Entra names it."),
        column("Held", r#".status.conditions[?(@.type=="Held")].message"#, true, "What stops it."),
        { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
    ])
}
