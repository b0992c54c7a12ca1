//! A container's environment, and `$(VAR)` in what it is given.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod};
use kube::ResourceExt as _;

use super::{NODE, OnNode};

pub(super) type Env = BTreeMap<String, String>;

/// In the order of the pod; a failure is in the kubelet's own words.
pub(super) fn of(on: &OnNode, pod: &Pod, container: &Container, ip: IpAddr) -> Result<Env, String> {
    let mut env = Env::from([("HOSTNAME".to_owned(), pod.name_any())]);
    whole_objects(on, pod, container, &mut env)?;
    for var in container.env.iter().flatten() {
        if let Some(value) = value(on, pod, var, ip, &env)? {
            env.insert(var.name.clone(), value);
        }
    }
    Ok(env)
}

fn whole_objects(on: &OnNode, pod: &Pod, container: &Container, env: &mut Env) -> Result<(), String> {
    let namespace = pod.namespace().expect("stored");
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let mut add = |name: &str, value: String| env.insert(format!("{prefix}{name}"), value);
        if let Some(wanted) = &from.config_map_ref {
            match on.config_map(&namespace, &wanted.name) {
                Some(object) => object.data.iter().flatten().for_each(|(name, value)| drop(add(name, value.clone()))),
                None if wanted.optional == Some(true) => {}
                None => return Err(format!("configmap {:?} not found", wanted.name)),
            }
        }
        if let Some(wanted) = &from.secret_ref {
            match on.secret(&namespace, &wanted.name) {
                Some(object) => object.data.iter().flatten().for_each(|(name, value)| drop(add(name, text(&value.0)))),
                None if wanted.optional == Some(true) => {}
                None => return Err(format!("secret {:?} not found", wanted.name)),
            }
        }
    }
    Ok(())
}

/// `None`: it is optional, and not there.
fn value(on: &OnNode, pod: &Pod, var: &EnvVar, ip: IpAddr, env: &Env) -> Result<Option<String>, String> {
    let Some(from) = &var.value_from else {
        return Ok(Some(expanded(var.value.as_deref().unwrap_or_default(), env)));
    };
    if let Some(field) = &from.field_ref {
        return self::field(pod, &field.field_path, ip).map(Some);
    }
    of_object(on, pod, from)
}

fn of_object(on: &OnNode, pod: &Pod, from: &EnvVarSource) -> Result<Option<String>, String> {
    let namespace = pod.namespace().expect("stored");
    let (kind, wanted, optional, found) = if let Some(key) = &from.config_map_key_ref {
        let object = on.config_map(&namespace, &key.name);
        let found = object.map(|object| object.data.as_ref().and_then(|data| data.get(&key.key).cloned()));
        ("ConfigMap", (&key.name, &key.key), key.optional, found)
    } else if let Some(key) = &from.secret_key_ref {
        let object = on.secret(&namespace, &key.name);
        let found = object.map(|object| object.data.as_ref().and_then(|data| data.get(&key.key).map(|value| text(&value.0))));
        ("Secret", (&key.name, &key.key), key.optional, found)
    } else {
        return Err("this kubelet takes a variable from a field, a ConfigMap or a Secret only".into());
    };
    match found {
        Some(Some(value)) => Ok(Some(value)),
        _ if optional == Some(true) => Ok(None),
        Some(None) => Err(format!("couldn't find key {} in {kind} {namespace}/{}", wanted.1, wanted.0)),
        None => Err(format!("{} {:?} not found", kind.to_lowercase(), wanted.0)),
    }
}

pub(super) fn field(pod: &Pod, path: &str, ip: IpAddr) -> Result<String, String> {
    let account = || pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default();
    let quoted = |path: &str, of: &str| Some(path.strip_prefix(of)?.strip_prefix("['")?.strip_suffix("']")?.to_owned());
    match path {
        "metadata.name" => Ok(pod.name_any()),
        "metadata.namespace" => Ok(pod.namespace().expect("stored")),
        "metadata.uid" => Ok(pod.uid().expect("stored")),
        "spec.nodeName" => Ok(NODE.into()),
        "spec.serviceAccountName" => Ok(account()),
        "status.podIP" | "status.podIPs" => Ok(ip.to_string()),
        "status.hostIP" | "status.hostIPs" => Ok("127.0.0.1".into()),
        _ => {
            if let Some(label) = quoted(path, "metadata.labels") {
                return Ok(pod.labels().get(&label).cloned().unwrap_or_default());
            }
            let annotation = quoted(path, "metadata.annotations").ok_or_else(|| format!("unsupported fieldPath: {path}"))?;
            Ok(pod.annotations().get(&annotation).cloned().unwrap_or_default())
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `$(NAME)` is the variable, or stays where there is none; `$$` is a `$`.
pub(super) fn expanded(text: &str, env: &Env) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let name = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = name {
            out.push_str(&env.get(name).cloned().unwrap_or_else(|| format!("$({name})")));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out + rest
}

#[test]
fn variables_are_expanded_as_kubernetes_does() {
    let env = Env::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())]);
    for (text, got) in [
        ("--a=$(A)", "--a=1"),
        ("$(A)$(A)", "11"),
        ("$(B)", "$(A)"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("", ""),
    ] {
        assert_eq!(expanded(text, &env), got, "{text}");
    }
}
