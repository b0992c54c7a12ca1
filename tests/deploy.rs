//! The image and the manifests, as far as their form goes: a cluster and a registry are not at hand here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use serde_json::Value;
use unscim::cli::Cli;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes")
}

fn manifest(name: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(folder().join(name)).unwrap())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn the_base_names_every_manifest_and_each_is_there() {
    let base = manifest("kustomization.yaml");
    let named: BTreeSet<String> =
        base["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let others = ["kustomization.yaml", "unscim.yaml"];
    let there = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let there: BTreeSet<String> = there.filter(|name| name.ends_with(".yaml") && !others.contains(&name.as_str())).collect();
    assert_eq!(named, there);
    unscim::config::load(&folder().join("unscim.yaml")).unwrap();
}

#[test]
fn one_process_owns_the_ledger_and_may_do_nothing_else() {
    let deployment = manifest("deployment.yaml");
    let spec = &deployment["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&1.into(), &"Recreate".into()));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!((&pod["securityContext"]["runAsNonRoot"], &pod["securityContext"]["runAsUser"]), (&true.into(), &65532.into()));
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    let security = &container["securityContext"];
    assert_eq!((&security["readOnlyRootFilesystem"], &security["allowPrivilegeEscalation"]), (&true.into(), &false.into()));
    assert_eq!(security["capabilities"]["drop"][0], "ALL");
    let names = |list: &Value| -> BTreeSet<String> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&pod["volumes"]), names(&container["volumeMounts"]));
    let claim =
        pod["volumes"].as_array().unwrap().iter().find_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str());
    assert_eq!(claim, manifest("volume.yaml")["metadata"]["name"].as_str());
}

#[test]
fn what_the_pod_is_started_with_is_what_the_program_takes() {
    let deployment = manifest("deployment.yaml");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    Cli::command().try_get_matches_from(["unscim"].iter().chain(&args)).unwrap_or_else(|error| panic!("{error}"));
    let mounts = container["volumeMounts"].as_array().unwrap();
    let is_mounted = |path: &str| mounts.iter().any(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()));
    for flag in ["--config=", "--data-dir="] {
        let path = args.iter().find_map(|arg| arg.strip_prefix(flag)).unwrap();
        assert!(is_mounted(path), "{path} is on no volume");
    }
    let spec = unscim::config::load(&folder().join("unscim.yaml")).unwrap();
    for path in [&spec.target.token_file, &spec.entra.credential.client_secret_file] {
        assert!(is_mounted(path.to_str().unwrap()), "{} is on no volume", path.display());
    }
    let port = &container["ports"][0];
    assert!(args.iter().any(|arg| *arg == format!("--listen=0.0.0.0:{}", port["containerPort"])));
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!((&container[probe]["httpGet"]["path"], &container[probe]["httpGet"]["port"]), (&path.into(), &port["name"]));
    }
    assert_eq!(manifest("service.yaml")["spec"]["ports"][0]["targetPort"], port["name"]);
}

#[test]
fn the_image_holds_what_it_needs_and_runs_as_nobody() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let last = &text[text.rfind("\nFROM ").unwrap()..];
    for line in ["FROM scratch", "USER 65532:65532", "ENTRYPOINT [\"/unscim\"]", "EXPOSE 8080"] {
        assert!(last.lines().any(|have| have == line), "{line}");
    }
    assert!(text.contains("ca-certificates.crt"));
    let ignored = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    let copied = text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--from"));
    for name in copied.flat_map(|line| line.split(' ').take(line.split(' ').count() - 1)) {
        assert!(root.join(name).exists(), "{name} is copied and not there");
        assert!(ignored.lines().any(|line| line == format!("!{name}")), "{name} is copied and not let in by .dockerignore");
    }
}
