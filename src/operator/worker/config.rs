//! The config file of a worker, and the keys of Secrets that it needs beside it.

use serde_json::{Map, Value, json};
use url::Url;

use super::egress::Allowed;
use crate::config;
use crate::operator::resource::{GROUP, KIND, VERSION};

/// Where the pod finds the Secrets' keys.
pub const SECRETS: &str = "/run/secrets/unscim";

/// A key of a Secret, and the file in [`SECRETS`] that it becomes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretKey {
    pub secret: String,
    pub key: String,
    pub file: String,
    /// The field that names it.
    pub field: String,
}

/// What is the platform team's and not the author's.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    pub authority: Option<Url>,
    pub graph: Option<Url>,
    pub allowed: Allowed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WorkerConfig {
    /// The file's text.
    pub text: String,
    pub secrets: Vec<SecretKey>,
    /// Ports that a worker must reach beside 443.
    pub ports: Vec<u16>,
}

/// The config, or what is wrong with it, in the daemon's own sentences.
pub fn of(name: &str, spec: Map<String, Value>, held: bool, sharers: u32, platform: &Platform) -> Result<WorkerConfig, String> {
    let mut spec = Value::Object(spec);
    if let Some(why) = refused(&spec, &platform.allowed) {
        return Err(why);
    }
    let ports = addresses(&spec).iter().filter_map(|(_, url)| url.port()).filter(|port| *port != 443).collect();
    let mut secrets = Vec::new();
    files("spec", &mut spec, &mut secrets);
    secrets.sort();
    if held {
        spec["hold"] = "Held".into();
    }
    // Whoever knows of more who write says so.
    let fields = spec.as_object_mut().filter(|_| sharers > 1);
    if let Some(limits) = fields.and_then(|fields| fields.entry("limits").or_insert_with(|| json!({})).as_object_mut()) {
        let said = limits.get("sharedBy").and_then(Value::as_u64).unwrap_or(1);
        limits.insert("sharedBy".into(), said.max(sharers.into()).into());
    }
    let endpoints: Map<String, Value> = [("authority", &platform.authority), ("graph", &platform.graph)]
        .into_iter()
        .filter_map(|(field, url)| Some((field.to_owned(), url.as_ref()?.as_str().into())))
        .collect();
    if !endpoints.is_empty() {
        spec["entra"]["endpoints"] = endpoints.into();
    }
    // Of a workload identity, what its webhook puts into the pod.
    let variables = |variable: &str| match variable {
        "AZURE_FEDERATED_TOKEN_FILE" => Some("/var/run/secrets/azure/tokens/azure-identity-token".to_owned()),
        "AZURE_CLIENT_ID" => Some(uuid::Uuid::nil().to_string()),
        _ => None,
    };
    let document =
        json!({ "apiVersion": format!("{GROUP}/{VERSION}"), "kind": KIND, "metadata": { "name": name }, "spec": spec });
    let text = format!("{document:#}\n");
    config::parse_with(&text, name, std::path::Path::new("/etc/unscim"), &variables).map_err(|errors| sentences(&errors))?;
    Ok(WorkerConfig { text, secrets, ports })
}

/// In the words of the resource, which has no lines to point to.
fn sentences(errors: &config::Errors) -> String {
    let said = errors.mistakes.iter().map(|mistake| match mistake.path.strip_suffix("File") {
        Some(stem) => format!("{stem}Ref: {}", mistake.what),
        None => format!("{}: {}", mistake.path, mistake.what),
    });
    said.collect::<Vec<_>>().join("; ")
}

/// Every address that the author names and a worker asks.
fn addresses(spec: &Value) -> Vec<(&'static str, Url)> {
    let named = [
        ("spec.target.scimUrl", "/target/scimUrl"),
        ("spec.target.revocation.webhook.url", "/target/revocation/webhook/url"),
        ("spec.telemetry.traces.otlpEndpoint", "/telemetry/traces/otlpEndpoint"),
    ];
    named.into_iter().filter_map(|(field, at)| Some((field, Url::parse(spec.pointer(at)?.as_str()?).ok()?))).collect()
}

fn refused(spec: &Value, allowed: &Allowed) -> Option<String> {
    addresses(spec).iter().find_map(|(field, url)| Some(format!("{field}: {}", allowed.refuses(url)?)))
}

/// Each `…Ref` becomes a `…File`.
fn files(at: &str, value: &mut Value, secrets: &mut Vec<SecretKey>) {
    let Value::Object(fields) = value else { return };
    let named = std::mem::take(fields);
    for (name, mut value) in named {
        let field = format!("{at}.{name}");
        if let Some(stem) = name.strip_suffix("Refs") {
            let headers = value.as_object().into_iter().flatten();
            let paths = headers.map(|(header, reference)| (header.clone(), file(&field, header, reference, secrets)));
            let paths: Map<String, Value> = paths.collect();
            fields.insert(format!("{stem}Files"), paths.into());
        } else if let Some(stem) = name.strip_suffix("Ref") {
            let path = file(&field, stem, &value, secrets);
            fields.insert(format!("{stem}File"), path);
        } else {
            files(&field, &mut value, secrets);
            fields.insert(name, value);
        }
    }
}

fn file(field: &str, name: &str, reference: &Value, secrets: &mut Vec<SecretKey>) -> Value {
    let text = |part: &str| reference[part].as_str().unwrap_or_default().to_owned();
    // A header may have any name; the file has one of ours.
    let plain = name.chars().fold(String::new(), |plain, c| match c {
        'a'..='z' | '0'..='9' => plain + &c.to_string(),
        'A'..='Z' => plain + "-" + &c.to_ascii_lowercase().to_string(),
        _ => plain + "-",
    });
    let file = if field.ends_with("Refs") { format!("header-{}{plain}", secrets.len()) } else { plain };
    let path = format!("{SECRETS}/{file}");
    secrets.push(SecretKey { secret: text("name"), key: text("key"), file, field: field.to_owned() });
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Map<String, Value> {
        let id = "11111111-1111-1111-1111-111111111111";
        let spec = json!({
            "mode": "Observe",
            "entra": {
                "tenantId": id, "app": { "servicePrincipalId": id },
                "credential": { "clientId": id, "clientSecretRef": { "name": "entra", "key": "client-secret" } },
            },
            "groups": { "list": [{ "id": id }] },
            "target": { "profile": "uniqkey", "scimUrl": "https://api.example.com:8443/scim", "tokenRef": { "name": "app", "key": "token" } },
        });
        spec.as_object().unwrap().clone()
    }

    #[test]
    fn a_reference_becomes_a_file_and_the_daemon_takes_it() {
        let made = of("uniqkey", spec(), false, 1, &Platform::default()).unwrap();
        assert!(made.text.contains(r#""clientSecretFile": "/run/secrets/unscim/client-secret""#), "{}", made.text);
        assert_eq!(made.ports, [8443]);
        let token =
            SecretKey { secret: "app".into(), key: "token".into(), file: "token".into(), field: "spec.target.tokenRef".into() };
        assert!(made.secrets.len() == 2 && made.secrets.contains(&token), "{:?}", made.secrets);
        assert!(!made.text.contains("limits"), "{}", made.text);
        let shared = of("uniqkey", spec(), false, 4, &Platform::default()).unwrap();
        assert!(shared.text.contains("\"sharedBy\": 4"), "{}", shared.text);
        assert!(
            !made.text.contains("Held") && of("uniqkey", spec(), true, 1, &Platform::default()).unwrap().text.contains("Held")
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_the_daemons_sentences() {
        let mut wrong = spec();
        wrong["groups"]["list"] = json!([]);
        wrong.insert("limits".into(), json!({ "maxShrink": "200%" }));
        let why = of("uniqkey", wrong, false, 1, &Platform::default()).unwrap_err();
        assert!(why.contains("spec.groups.list") && why.contains("200%"), "{why}");
        let mut inner = spec();
        inner["target"]["scimUrl"] = "https://10.0.0.1/scim".into();
        let why = of("uniqkey", inner, false, 1, &Platform::default()).unwrap_err();
        assert!(why.starts_with("spec.target.scimUrl: 10.0.0.1 is no public address"), "{why}");
    }

    #[test]
    fn addresses_of_the_cloud_are_the_platforms_to_name() {
        let url = |text| Some(Url::parse(text).unwrap());
        let platform =
            Platform { authority: url("http://127.0.0.1:1/"), graph: url("http://127.0.0.1:2/"), ..Platform::default() };
        let made = of("uniqkey", spec(), false, 1, &platform).unwrap();
        let document: Value = serde_json::from_str(&made.text).unwrap();
        assert_eq!(
            document["spec"]["entra"]["endpoints"],
            json!({ "authority": "http://127.0.0.1:1/", "graph": "http://127.0.0.1:2/" })
        );
    }
}
