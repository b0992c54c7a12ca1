//! The resource's definition: what the API server takes, and what it refuses with which sentence.

use serde_json::{Value, json};

use crate::rig::{self, case, cluster, dry_run};

fn valid() -> Value {
    let id = "11111111-1111-1111-1111-111111111111";
    json!({
        "apiVersion": "unscim.dev/v1alpha1", "kind": "ScimRetirement", "metadata": { "name": "uniqkey", "namespace": "default" },
        "spec": {
            "mode": "Observe",
            "entra": {
                "tenantId": id, "app": { "servicePrincipalId": id },
                "credential": { "clientId": id, "clientSecretRef": { "name": "unscim", "key": "client-secret" } },
            },
            "groups": { "list": [{ "id": id }] },
            "target": {
                "profile": "uniqkey", "scimUrl": "https://api.example.com/scim", "tokenRef": { "name": "unscim", "key": "scim-token" },
            },
        },
    })
}

/// The object with something else at a place; nothing there where it is null.
fn with(at: &str, value: Value) -> Value {
    let mut object = valid();
    let (parent, field) = at.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{at}"));
    if value.is_null() {
        parent.as_object_mut().unwrap().remove(field);
    } else {
        parent[field] = value;
    }
    object
}

#[test]
fn what_is_right_is_taken() {
    case(async {
        let client = &cluster().await.client;
        let id = "22222222-2222-2222-2222-222222222222";
        let mut certificate = valid();
        certificate["spec"]["entra"]["credential"] = json!({
            "clientId": id, "certificateRef": { "name": "a", "key": "tls.crt" }, "privateKeyRef": { "name": "a", "key": "tls.key" },
        });
        let mut workload = with("/spec/entra/credential", Value::Null);
        workload["spec"]["worker"] =
            json!({ "serviceAccountName": "retire", "resources": { "limits": { "memory": "1Gi", "cpu": 1 } } });
        let right = [
            valid(),
            certificate,
            workload,
            with("/spec/rollout", "SmallestFirst".into()),
            with("/spec/rollout", json!({ "waves": [[id]] })),
            with("/spec/timing", json!({ "interval": "1h 30m", "settle": "5m" })),
            with("/spec/limits", json!({ "maxShrink": "20%", "writeQuota": "3000/150s" })),
            with(
                "/spec/windows",
                json!({ "timeZone": "Europe/Copenhagen", "open": [{ "from": "22:00", "to": "04:00", "days": ["Mon"] }] }),
            ),
            with("/spec/released", json!([id, "record:17"])),
            with("/spec/roles", json!({ id: id })),
            with("/spec/approval", format!("sha256:{}", "0".repeat(64)).into()),
        ];
        let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/operator");
        let examples = std::fs::read_dir(examples).unwrap().map(|entry| {
            let mut example: Value = serde_saphyr::from_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            example["metadata"]["namespace"] = "default".into();
            example
        });
        for object in right.into_iter().chain(examples) {
            dry_run(client, &object).await.unwrap_or_else(|error| panic!("{error}: {object:#}"));
        }
    });
}

#[test]
fn what_is_wrong_is_refused_with_a_sentence() {
    case(async {
        let client = &cluster().await.client;
        let id = "22222222-2222-2222-2222-222222222222";
        let reference = json!({ "name": "a", "key": "b" });
        let wrong = [
            (with("/spec/mode", Value::Null), "spec.mode: Required value"),
            (with("/spec/mode", "Perhaps".into()), "spec.mode: Unsupported value"),
            (with("/spec/entra/app", json!({ "servicePrincipalId": id, "appId": id })), "in exactly one way"),
            (with("/spec/entra/app", json!({})), "in exactly one way"),
            (with("/spec/entra/credential/certificateRef", reference.clone()), "keep one kind of credential"),
            (with("/spec/entra/credential/clientId", Value::Null), "clientId is missing"),
            (with("/spec/entra/credential", Value::Null), "no credential: give entra.credential"),
            (with("/spec/entra/tenantId", "contoso".into()), "an id looks like"),
            (with("/spec/entra/tenantId", Value::Null), "spec.entra.tenantId: Required value"),
            (with("/spec/groups/list", json!([{ "id": id }, { "id": id }])), "Duplicate value"),
            (with("/spec/timing", json!({ "interval": "5x" })), "write a duration as 30s"),
            (with("/spec/timing", json!({ "settle": "30s" })), "settle must be at least 1m"),
            (with("/spec/limits", json!({ "maxShrink": "200%" })), "write a share in whole percent"),
            (with("/spec/limits", json!({ "writeQuota": "many" })), "write a quota as 3000/150s"),
            (
                with("/spec/windows", json!({ "timeZone": "Europe/Copenhagen", "open": [{ "from": "25:00", "to": "04:00" }] })),
                "write a time of day",
            ),
            (with("/spec/approval", "yes".into()), "copy the digest"),
            (with("/spec/released", json!(["somebody"])), "an object id, or"),
            (with("/spec/target/revocation", json!({ "by": "Webhook" })), "webhook goes with by: Webhook"),
            (with("/spec/target/scimUrl", "api.example.com".into()), "write the address in full"),
            (with("/spec/target/tokenFile", "/etc/passwd".into()), "unknown field \"spec.target.tokenFile\""),
            (with("/spec/entra/endpoints", json!({ "graph": "https://example.com" })), "unknown field \"spec.entra.endpoints\""),
            (
                with("/spec/worker", json!({ "env": [{ "name": "UNSCIM_LISTEN", "value": "x" }] })),
                "Unsupported value: \"UNSCIM_LISTEN\"",
            ),
            (with("/spec/worker", json!({ "storage": { "size": "much" } })), "write a quantity as 96Mi"),
            (with("/metadata/name", "x".repeat(64).into()), "at most 63 characters"),
        ];
        for (object, sentence) in wrong {
            let refused = dry_run(client, &object).await.expect_err(sentence).to_string();
            assert!(refused.contains(sentence), "{sentence}: {refused}");
        }
    });
}

#[test]
fn what_the_ledger_is_bound_to_never_changes() {
    case(async {
        let client = &cluster().await.client;
        let namespace = rig::namespace("immutable").await;
        let in_place = |mut object: Value| {
            object["metadata"]["namespace"] = namespace.as_str().into();
            object
        };
        rig::apply(client, in_place(valid())).await;
        let id = "22222222-2222-2222-2222-222222222222";
        for (changed, sentence) in [
            (with("/spec/entra/tenantId", id.into()), "the tenant never changes"),
            (with("/spec/entra/app", json!({ "servicePrincipalId": id })), "the app never changes"),
            (with("/spec/entra/cloud", "UsGov".into()), "the cloud never changes"),
            (with("/spec/target/scimUrl", "https://other.example.com/scim".into()), "scimUrl never changes"),
            (with("/spec/target/profile", "generic".into()), "the profile never changes"),
        ] {
            let refused = rig::try_apply(client, in_place(changed)).await.expect_err(sentence).to_string();
            assert!(refused.contains(sentence), "{sentence}: {refused}");
        }
        rig::apply(client, in_place(with("/spec/mode", "Enforce".into()))).await;
    });
}
