//! What a person sees who has `kubectl` and nothing else.

use std::process::Command;

use serde_json::{Value, json};

use crate::chart::{helm, said};
use crate::control_plane::program;
use crate::rig::{Operator, Retirement, alone, case, cluster, namespace};

async fn kubectl(namespace: &str, args: &[&str]) -> String {
    let plane = &cluster().await.plane;
    let mut kubectl = Command::new(program("UNSCIM_KUBECTL"));
    let cache = plane.folder.path().join("kubectl");
    kubectl.arg("--kubeconfig").arg(plane.kubeconfig()).arg("--cache-dir").arg(cache).args(["--namespace", namespace]);
    kubectl.args(args);
    tokio::task::spawn_blocking(move || said(&mut kubectl)).await.unwrap()
}

/// A table as `kubectl` prints it, each row by its columns.
fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect()
}

#[test]
fn apply_wait_get_and_describe_tell_the_story() {
    case(async {
        let place = namespace("told").await;
        let _operator = Operator::start("told", &[&place], &["--leader-election=false"]).await;
        let retirement = Retirement::new(&place, "uniqkey", 41).await;
        retirement.secret().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uniqkey.json");
        std::fs::write(&file, retirement.manifest().to_string()).unwrap();
        let file = file.display().to_string();
        assert!(kubectl(&place, &["apply", "-f", &file]).await.contains("scimretirement.unscim.dev/uniqkey created"));
        let wait = async |what: &str| kubectl(&place, &["wait", "sret/uniqkey", what, "--timeout=120s"]).await;
        wait("--for=condition=BaselineRecorded").await;
        wait("--for=jsonpath={.status.phase}=AwaitingRevocation").await;
        retirement.practice().revoke_token().unwrap();
        wait("--for=condition=Ready").await;
        let short = kubectl(&place, &["get", "sret"]).await;
        let [head, row] = table(&short).try_into().unwrap_or_else(|_| panic!("{short}"));
        assert_eq!(head, ["NAME", "MODE", "PHASE", "USERS", "LOST", "GROUPS", "READY", "AGE"], "{short}");
        assert_eq!(row[..7], ["uniqkey", "Enforce", "Retired", "6/6", "0", "2/2", "True"], "{short}");
        let wide = kubectl(&place, &["get", "scimretirements", "-o", "wide"]).await;
        assert!(wide.contains("TENANT") && wide.contains("APP") && wide.contains("HELD"), "{wide}");
        let told = kubectl(&place, &["describe", "sret", "uniqkey"]).await;
        in_order(
            &told,
            &["Accepted", "WorkerReady", "UsersAssigned", "GroupsEmptied", "GroupsUnassigned", "TokenRevoked", "Ready"],
        );
        let events = told.split_once("\nEvents:").unwrap_or_else(|| panic!("{told}")).1;
        assert!(events.contains("PhaseChanged") && events.contains("DeleteTheToken") && events.contains("Retired"), "{events}");
        assert!(kubectl(&place, &["explain", "sret.spec.baseline"]).await.contains("What an empty ledger is"));
        retirement.assert_nobody_hurt();
    });
}

fn in_order(text: &str, wanted: &[&str]) {
    let told = text.lines().filter_map(|line| line.trim().strip_prefix("Type:")).map(str::trim);
    let found: Vec<&str> = told.filter(|kind| wanted.contains(kind)).collect();
    assert_eq!(found, wanted, "{text}");
}

#[test]
fn what_the_chart_has_put_there_is_of_the_release_and_complete() {
    alone(async {
        let plane = &cluster().await.plane;
        let release: Value =
            serde_json::from_str(&helm(plane, &["list", "--namespace", "unscim-operator", "--output", "json"])).unwrap();
        assert_eq!((&release[0]["name"], &release[0]["status"]), (&json!("unscim-operator"), &json!("deployed")), "{release}");
        let kinds = "deployments,poddisruptionbudgets,networkpolicies,serviceaccounts,roles,rolebindings";
        let all = kubectl("unscim-operator", &["get", kinds, "-o", "name"]).await;
        for kind in
            ["deployment.apps", "poddisruptionbudget.policy", "networkpolicy.networking.k8s.io", "serviceaccount", "role."]
        {
            assert!(all.lines().any(|line| line.starts_with(kind) && line.ends_with("/unscim-operator")), "no {kind}: {all}");
        }
        let again = helm(
            plane,
            &[
                "upgrade",
                "unscim-operator",
                &crate::chart::root("deploy/helm/unscim-operator").display().to_string(),
                "--namespace",
                "unscim-operator",
                "--reset-values",
            ],
        );
        assert!(again.contains("deployed"), "{again}");
    });
}
