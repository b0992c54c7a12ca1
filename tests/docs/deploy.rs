//! The image and the manifests, as far as their form goes: a cluster and a registry are not at hand here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser as _};
use serde_json::Value;
use unscim::cli::args::{Cli, Exit, Verb};
use unscim::model::spec::{Credential, Mode};

use crate::{read, root};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn deploy() -> PathBuf {
    root().join("deploy")
}

fn text(name: &str) -> String {
    read(&format!("deploy/{name}"))
}

fn manifest(name: &str) -> Value {
    serde_saphyr::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The one object of this kind that the chart renders into the base, or the ledger's folder.
fn rendered(kind: &str) -> Value {
    let folder = if kind == "PersistentVolumeClaim" { "ledger" } else { "base" };
    let all: Vec<Value> = serde_saphyr::from_multiple(&text(&format!("kubernetes/{folder}/rendered.yaml"))).unwrap();
    let mut found = all.into_iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    object
}

const FOLDERS: [&str; 6] =
    ["base", "ledger", "overlays/observe", "overlays/enforce", "components/monitoring", "components/new-baseline"];

#[test]
fn each_folder_names_every_file_in_it_and_each_is_there() {
    for folder in FOLDERS {
        let list = manifest(&format!("kubernetes/{folder}/kustomization.yaml"));
        let files = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let mut named = files(&list["resources"]);
        named.extend(files(&list["configMapGenerator"][0]["files"]));
        let (outside, named): (Vec<String>, BTreeSet<String>) = {
            let (outside, inside): (Vec<_>, Vec<_>) = named.into_iter().partition(|name| name.starts_with(".."));
            (outside, inside.into_iter().collect())
        };
        let at = deploy().join("kubernetes").join(folder);
        for name in outside.iter().chain(&files(&list["components"])) {
            assert!(at.join(name).join("kustomization.yaml").exists(), "{folder}: {name}");
        }
        let there = std::fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let there: BTreeSet<String> = there.filter(|name| name != "kustomization.yaml").collect();
        assert_eq!(named, there, "{folder}");
    }
}

#[test]
fn every_config_that_is_shipped_is_one() {
    for (folder, writes) in [
        ("kubernetes/base", false),
        ("kubernetes/overlays/observe", false),
        ("kubernetes/overlays/enforce", true),
        ("systemd", false),
        ("compose/config", false),
    ] {
        let spec = unscim::config::load(&deploy().join(folder).join("unscim.yaml")).unwrap();
        assert_eq!(spec.mode == Mode::Enforce, writes, "{folder}");
    }
}

#[test]
fn one_process_owns_the_ledger_and_may_do_nothing_else() {
    let deployment = rendered("Deployment");
    let spec = &deployment["spec"];
    assert_eq!((&spec["replicas"], &spec["strategy"]["type"]), (&1.into(), &"Recreate".into()));
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false, "a service named unscim would set variables that begin like ours");
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
    assert_eq!(claim, rendered("PersistentVolumeClaim")["metadata"]["name"].as_str());
    assert_eq!(pod["serviceAccountName"], rendered("ServiceAccount")["metadata"]["name"]);
    let config = pod["volumes"].as_array().unwrap().iter().find_map(|volume| volume["configMap"]["name"].as_str());
    assert_eq!(config, manifest("kubernetes/base/kustomization.yaml")["configMapGenerator"][0]["name"].as_str());
}

#[test]
fn what_the_pod_is_started_with_is_what_the_program_takes() {
    let deployment = rendered("Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let first = manifest("kubernetes/components/new-baseline/kustomization.yaml");
    let patch: Vec<Value> = serde_saphyr::from_str(first["patches"][0]["patch"].as_str().unwrap()).unwrap();
    for more in [None, patch[0]["value"].as_str()] {
        Cli::command()
            .try_get_matches_from(["unscim"].iter().chain(&args).copied().chain(more))
            .unwrap_or_else(|error| panic!("{error}"));
    }
    let mounts = container["volumeMounts"].as_array().unwrap();
    let is_mounted = |path: &str| mounts.iter().any(|mount| path.starts_with(mount["mountPath"].as_str().unwrap()));
    for flag in ["--config=", "--data-dir="] {
        let path = args.iter().find_map(|arg| arg.strip_prefix(flag)).unwrap();
        assert!(is_mounted(path), "{path} is on no volume");
    }
    for overlay in ["observe", "enforce"] {
        let spec = unscim::config::load(&deploy().join(format!("kubernetes/overlays/{overlay}/unscim.yaml"))).unwrap();
        let Credential::ClientSecret { client_secret_file, .. } = &spec.entra.credential else {
            panic!("the examples have a secret")
        };
        for path in [&spec.target.token_file, client_secret_file] {
            assert!(is_mounted(path.to_str().unwrap()), "{} is on no volume", path.display());
        }
    }
    let port = &container["ports"][0];
    assert!(args.iter().any(|arg| *arg == format!("--listen=[::]:{}", port["containerPort"])));
    let env = container["env"].as_array().unwrap();
    let place = |name: &str| env.iter().position(|one| one["name"] == name).unwrap();
    assert!(place("NAMESPACE") < place("UNSCIM_ALLOWED_HOST"), "only what stands before is put in");
    let hosts = env[place("UNSCIM_ALLOWED_HOST")]["value"].as_str().unwrap().replace("$(NAMESPACE)", "unscim");
    let hosts: Vec<&str> = hosts.split(',').collect();
    assert_eq!(hosts[2], format!("{}.unscim.svc", rendered("Service")["metadata"]["name"].as_str().unwrap()));
    Cli::command().try_get_matches_from(["unscim", "demo", "--allowed-host", &hosts.join(",")]).unwrap();
    for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        assert_eq!((&container[probe]["httpGet"]["path"], &container[probe]["httpGet"]["port"]), (&path.into(), &port["name"]));
    }
    assert_eq!(rendered("Service")["spec"]["ports"][0]["targetPort"], port["name"]);
    assert_eq!(rendered("Service")["spec"]["type"], "ClusterIP");
}

/// The files that a config names.
fn secret_files(config: &str) -> [PathBuf; 2] {
    let spec = unscim::config::load(&deploy().join(config)).unwrap();
    let Credential::ClientSecret { client_secret_file, .. } = spec.entra.credential else { panic!("the examples have a secret") };
    [client_secret_file, spec.target.token_file]
}

#[test]
fn the_unit_starts_what_the_program_takes_and_hands_it_what_the_config_names() {
    let unit = text("systemd/unscim.service");
    let all = |key: &str| -> Vec<&str> { unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect() };
    let [start] = all("ExecStart")[..] else { panic!("it starts one thing") };
    let words: Vec<&str> = start.split_ascii_whitespace().collect();
    let taken = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{error}"));
    let Verb::Run(run) = taken.verb else { panic!("{start}") };
    assert!(run.listen.ip().is_loopback(), "the page names people");
    let [state] = all("StateDirectory")[..] else { panic!("one place that outlives it") };
    assert!(run.data_dir.starts_with(Path::new("/var/lib").join(state)), "{}", run.data_dir.display());
    let given: BTreeSet<PathBuf> = all("LoadCredential")
        .iter()
        .map(|one| Path::new("/run/credentials/unscim.service").join(one.split(':').next().unwrap()))
        .collect();
    assert_eq!(given, BTreeSet::from(secret_files("systemd/unscim.yaml")));
    assert!(!run.new_baseline && !run.once);
    for (key, value) in
        [("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("DynamicUser", "yes"), ("CapabilityBoundingSet", "")]
    {
        assert_eq!(all(key), [value], "{key}");
    }
    assert_eq!(all("RestartPreventExitStatus"), [(Exit::Usage as u8).to_string()]);
}

#[test]
fn the_compose_file_starts_what_the_image_takes_and_hands_it_what_the_config_names() {
    let file = manifest("compose/compose.yaml");
    let service = &file["services"]["unscim"];
    let texts =
        |value: &Value| -> Vec<String> { value.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect() };
    let image = text("../Dockerfile");
    let has = |line: &str| image.lines().any(|have| have == line);
    assert!(service["image"].as_str().unwrap().ends_with(&format!("unscim:{VERSION}}}")), "{}", service["image"]);
    assert!(has(&format!("USER {}", service["user"].as_str().unwrap())));
    assert!(service["entrypoint"].is_null(), "the image has one");
    let words: Vec<String> = ["unscim".to_owned()].into_iter().chain(texts(&service["command"])).collect();
    let Verb::Run(run) = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{error}")).verb else { panic!("{words:?}") };
    let port = run.listen.port();
    assert_eq!(texts(&service["ports"]), [format!("127.0.0.1:{port}:{port}")], "the page names people");
    assert!(has(&format!("EXPOSE {port}")));
    let health = texts(&service["healthcheck"]["test"]);
    assert_eq!(health[0], "CMD", "the image has no shell");
    assert!(has(&format!("ENTRYPOINT [\"{}\"]", health[1])));
    let Verb::Status(asks) = Cli::try_parse_from(&health[1..]).unwrap_or_else(|error| panic!("{error}")).verb else { panic!() };
    assert!(asks.ready && asks.url.port() == Some(port), "{health:?}");
    let targets = |list: &Value| -> BTreeSet<PathBuf> {
        list.as_array().unwrap().iter().map(|one| one["target"].as_str().unwrap().into()).collect()
    };
    assert_eq!(targets(&service["secrets"]), BTreeSet::from(secret_files("compose/config/unscim.yaml")));
    let volumes = targets(&service["volumes"]);
    for path in [&run.config.config, &run.data_dir] {
        assert!(volumes.iter().any(|volume| path.starts_with(volume)), "{} is on no volume", path.display());
    }
    assert!(volumes.iter().any(|volume| has(&format!("VOLUME {}", volume.display()))), "the image's volume stays unnamed");
    for variable in service["environment"].as_object().unwrap().keys() {
        let known =
            Cli::command().find_subcommand("run").unwrap().get_arguments().any(|arg| arg.get_env() == Some(variable.as_ref()));
        assert!(known || variable == "HTTPS_PROXY", "{variable}");
    }
    assert_eq!((&service["read_only"], &service["cap_drop"][0]), (&true.into(), &"ALL".into()));
    assert_eq!(service["security_opt"][0], "no-new-privileges:true");
}

const STALE: &str = "run deploy/render";

#[test]
fn the_chart_refuses_what_the_config_refuses() {
    let values: Value = serde_json::from_str(&text("helm/unscim/values.schema.json")).unwrap();
    let mut config = unscim::config::schema();
    let object = config.as_object_mut().unwrap();
    object.remove("$schema");
    let parts = object.remove("$defs").unwrap();
    assert!(values["$defs"]["ScimRetirement"] == config, "{STALE}");
    for (name, part) in parts.as_object().unwrap() {
        assert!(values["$defs"][name] == *part, "{name}: {STALE}");
    }
    let schema = jsonschema::validator_for(&values).unwrap();
    let example = manifest("helm/unscim/examples/observe.yaml");
    assert!(schema.is_valid(&example));
    let mut wrong = example;
    wrong["config"]["spec"]["mode"] = "Perhaps".into();
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn the_chart_carries_copies_and_one_version() {
    for (source, copy) in [("prometheus/rules.yaml", "rules.yaml"), ("grafana/unscim.json", "dashboard.json")] {
        assert!(text(source) == text(&format!("helm/unscim/files/{copy}")), "{source}: {STALE}");
    }
    let chart = manifest("helm/unscim/Chart.yaml");
    assert_eq!((chart["version"].as_str(), chart["appVersion"].as_str()), (Some(VERSION), Some(VERSION)));
    assert!(
        rendered("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"] == format!("unscim:{VERSION}"),
        "{STALE}"
    );
    for overlay in ["observe", "enforce"] {
        let list = manifest(&format!("kubernetes/overlays/{overlay}/kustomization.yaml"));
        assert_eq!(list["images"][0]["newTag"], VERSION, "{overlay}");
    }
    assert!(text("../Dockerfile").contains(&format!("\nARG UNSCIM_VERSION={VERSION}\n")));
}

#[test]
fn the_image_holds_what_it_needs_and_runs_as_nobody() {
    let root = root();
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
