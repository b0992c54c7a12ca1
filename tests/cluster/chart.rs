//! The chart, put into the cluster by Helm as a person does it: the definition, the rights, and the operator that they are for.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use kube::api::{Api, ListParams};
use serde_json::Value;
use unscim::operator::resource::ScimRetirement;

use crate::control_plane::{ControlPlane, command, program};
use crate::objects::until;

/// The release, its namespace, and by that the operator's service account.
pub const OWN_NAMESPACE: &str = "unscim-operator";
pub const ACCOUNT: &str = "system:serviceaccount:unscim-operator:unscim-operator";

pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub async fn install(plane: &ControlPlane) {
    let chart = root("deploy/helm/unscim-operator").display().to_string();
    helm(plane, &["install", OWN_NAMESPACE, &chart, "--namespace", OWN_NAMESPACE, "--create-namespace"]);
    let resources: Api<ScimRetirement> = Api::all(plane.client().await);
    until("the definition is served", Duration::from_secs(30), async || resources.list(&ListParams::default()).await.ok()).await;
}

pub fn helm(plane: &ControlPlane, args: &[&str]) -> String {
    let mut helm = Command::new(program("UNSCIM_HELM"));
    for folder in ["CACHE", "CONFIG", "DATA"] {
        helm.env(format!("HELM_{folder}_HOME"), plane.folder.path().join("helm").join(folder));
    }
    said(helm.env("KUBECONFIG", plane.kubeconfig()).args(args))
}

/// What it prints; it has to succeed.
pub fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (out, err) = (text(stdout), text(stderr));
    assert!(status.success(), "{command:?}: {status}\n{out}\n{err}");
    out
}

/// `unscim operator` with the rights of this account alone.
pub fn operator(plane: &ControlPlane, account: &str, name: &str) -> Command {
    let kubeconfig = plane.folder.path().join(format!("{name}.kubeconfig"));
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(plane.kubeconfig()).unwrap()).unwrap();
    config["users"][0]["user"]["as"] = account.into();
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let mut command = command(env!("CARGO_BIN_EXE_unscim"));
    command.args(["operator", "--namespace", OWN_NAMESPACE]).env("UNSCIM_LISTEN", "127.0.0.1:0").env("KUBECONFIG", kubeconfig);
    command
}
