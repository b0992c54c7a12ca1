//! Verbs that end by themselves, and their exit codes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use unscim::model::spec::Mode;
use unscim::practice::{Effect, Fault};
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, bind, listen};
use unscim::world::ledger::SqliteLedger;

use crate::support::{Rig, binary, output, stderr, stdout};

#[tokio::test]
async fn usage_is_64_and_help_is_not_trouble() {
    for args in [&["--help"][..], &["--version"], &["run", "--help"], &["schema"]] {
        assert_eq!(output(args).await.status.code(), Some(0), "{args:?}");
    }
    for args in [
        &[][..],
        &["rum"],
        &["run"],
        &["run", "--config"],
        &["demo", "--users", "0"],
        &["run", "--config", "f", "--listen", "here"],
    ] {
        let ended = output(args).await;
        assert_eq!((ended.status.code(), stdout(&ended)), (Some(64), ""), "{args:?}");
        assert!(stderr(&ended).contains("Usage") || stderr(&ended).contains("--help"), "{args:?}: {}", stderr(&ended));
    }
    let help = output(&["run", "--help"]).await;
    for name in ["UNSCIM_CONFIG", "UNSCIM_LISTEN", "UNSCIM_DATA_DIR", "UNSCIM_ONCE", "UNSCIM_NEW_BASELINE", "UNSCIM_LOG_FORMAT"] {
        assert!(stdout(&help).contains(name), "{name}");
    }
}

#[tokio::test]
async fn a_wrong_config_is_64_with_every_mistake_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.yaml");
    std::fs::write(
        &path,
        "apiVersion: unscim.dev/v1alpha1\nkind: ScimRetirement\nmetadata: {name: a}\nspec: {mode: Watch, speed: 3}\n",
    )
    .unwrap();
    let (path, data) = (path.to_str().unwrap(), dir.path().join("data"));
    for args in [
        &["run", "--config", path, "--data-dir", data.to_str().unwrap()][..],
        &["plan", "--config", path],
        &["check", "--config", path],
        &["check", "--config", path, "--offline"],
    ] {
        let ended = output(args).await;
        assert_eq!(ended.status.code(), Some(64), "{args:?}: {}", stderr(&ended));
        for part in
            ["f.yaml:4:14: spec.mode: \"Watch\"", "f.yaml:4:21: spec.speed: unknown field", "spec.entra: missing", "mistakes"]
        {
            assert!(stderr(&ended).contains(part), "{args:?}: {}", stderr(&ended));
        }
    }
    assert!(!data.exists());
    let ended = output(&["run", "--config", "/nowhere/f.yaml"]).await;
    assert_eq!(ended.status.code(), Some(64));
    assert!(stderr(&ended).contains("/nowhere/f.yaml:1:1: can't be read"), "{}", stderr(&ended));
}

#[tokio::test]
async fn what_a_flag_names_is_looked_at_before_anything_is_told_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (data, config) = (dir.path().to_str().unwrap(), concat!(env!("CARGO_MANIFEST_DIR"), "/config/observe.yaml"));
    let ended = output(&["verify", "--data-dir", data, "--head", "c0ffee"]).await;
    assert_eq!(ended.status.code(), Some(64), "no tampering is told of: {}", stderr(&ended));
    assert!(stderr(&ended).contains("64 hexadecimal digits"), "{}", stderr(&ended));
    std::fs::create_dir(dir.path().join("ledger.db")).unwrap();
    let ended = output(&["verify", "--data-dir", data]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("ledger.db is a directory"), "{}", stderr(&ended));
    let ended = output(&["plan", "--config", config, "--data-dir", "/nowhere/data"]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("there is no directory /nowhere/data"), "{}", stderr(&ended));
}

#[tokio::test]
async fn evidence_that_its_reader_may_not_read_is_named_with_the_remedy() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteLedger::open(&dir.path().join("data")).unwrap());
    let (data, program) = (dir.path().join("data"), dir.path().join("unscim"));
    for path in [dir.path(), &data] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::fs::set_permissions(data.join("ledger.db"), PermissionsExt::from_mode(0o000)).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_unscim"), &program).unwrap();
    let mut command = tokio::process::Command::new(&program);
    command.args(["verify", "--data-dir", data.to_str().unwrap()]).kill_on_drop(true);
    // Root reads everything.
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let ended = command.output().await.unwrap();
    let told = stderr(&ended);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("ledger.db can't be read (") && told.contains("make it readable"), "{told}");
}

#[tokio::test]
async fn a_flag_wins_over_its_environment_variable_and_that_over_the_default() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/observe.yaml");
    let check = |config: Option<&'static str>, env: &'static str| async move {
        let mut command = binary();
        command.arg("check").env("UNSCIM_CONFIG", env).env("UNSCIM_OFFLINE", "1");
        if let Some(config) = config {
            command.args(["--config", config]);
        }
        command.output().await.unwrap().status.code()
    };
    assert_eq!(check(None, example).await, Some(0));
    assert_eq!(check(Some("/nowhere"), example).await, Some(64));
    assert_eq!(check(Some(example), "/nowhere").await, Some(0));
}

#[tokio::test]
async fn plan_and_check_look_and_write_nothing_anywhere() {
    let rig = Rig::new(Mode::Enforce).await;
    let config = rig.config.to_str().unwrap();
    let data = rig.data();
    std::fs::create_dir(&data).unwrap();
    let ended = output(&["check", "--config", config]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert!(stdout(&ended).contains("12 users to protect") && stdout(&ended).contains("preflight: passed"), "{}", stdout(&ended));
    for more in [&[][..], &["--data-dir", data.to_str().unwrap()]] {
        let ended = output(&[&["plan", "--config", config], more].concat()).await;
        assert_eq!(ended.status.code(), Some(2), "{}", stderr(&ended));
        assert!(stdout(&ended).contains("assign user") && stdout(&ended).contains("provisional baseline"), "{}", stdout(&ended));
    }
    let ended = output(&["plan", "--config", config, "--output", "json"]).await;
    let plan: Value = serde_json::from_str(stdout(&ended)).unwrap();
    assert_eq!(plan["actions"].as_array().unwrap().iter().filter(|action| action["action"] == "AssignUser").count(), 13);
    assert_eq!(rig.served.practice.writes(), []);
    assert_eq!(data.read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_data_directory_that_is_a_file_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes");
    std::fs::write(&file, "notes").unwrap();
    let (inner, file) = (file.join("data"), file.to_str().unwrap());
    for verb in
        [&["run", "--config", "f"][..], &["plan", "--config", "f"], &["rollback", "--config", "f"], &["report"], &["verify"]]
    {
        for (path, why) in
            [(file, "it is a file, and the ledger needs a directory"), (inner.to_str().unwrap(), "it lies in a file")]
        {
            let ended = output(&[verb, &["--data-dir", path]].concat()).await;
            assert_eq!(ended.status.code(), Some(64), "{verb:?}");
            let told = stderr(&ended);
            assert!(told.contains("--data-dir") && told.contains(why) && told.contains("name another path"), "{told}");
        }
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "notes");
}

#[tokio::test]
async fn plan_and_check_tell_trouble_from_refusal() {
    let rig = Rig::new(Mode::Enforce).await;
    let config = rig.config.to_str().unwrap();
    rig.served.practice.faults().add(Fault::once("/servicePrincipals", Effect::Html(502)).times(10_000));
    for verb in ["plan", "check"] {
        let ended = output(&[verb, "--config", config]).await;
        assert_eq!(ended.status.code(), Some(1), "{verb}: {}", stdout(&ended));
    }
    rig.served.practice.faults().clear();
    rig.served.practice.admin().pause_job();
    for verb in ["plan", "check"] {
        let ended = output(&[verb, "--config", config]).await;
        assert_eq!(ended.status.code(), Some(3), "{verb}: {}", stdout(&ended));
        assert!(stdout(&ended).contains("JobPaused"), "{}", stdout(&ended));
    }
    assert_eq!(rig.served.practice.writes(), []);
}

#[tokio::test]
async fn once_goes_as_far_as_it_can_and_says_where_it_stands() {
    let rig = Rig::new(Mode::Observe).await;
    let once = async |more: &[&str]| {
        let args = rig.args();
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        args.push("--once");
        args.extend(more);
        output(&args).await
    };
    assert_eq!(once(&[]).await.status.code(), Some(2));
    assert_eq!(rig.served.practice.writes(), []);
    rig.edit("mode: Observe", "mode: Enforce");
    let ended = once(&[]).await;
    assert_eq!(ended.status.code(), Some(3));
    assert!(stderr(&ended).contains("--new-baseline"), "{}", stderr(&ended));
    assert_eq!(rig.served.practice.writes(), []);
    assert_eq!(once(&["--new-baseline"]).await.status.code(), Some(4));
    assert_eq!(rig.served.practice.writes().len(), 13);
    rig.served.practice.faults().add(Fault::once("/servicePrincipals", Effect::Html(502)).times(10_000));
    assert_eq!(once(&[]).await.status.code(), Some(1));
}

#[tokio::test]
async fn status_without_a_daemon_is_trouble_with_a_remedy() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = output(&["status", "--url", &format!("http://{free}")]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("is unscim running there? (--url)"), "{}", stderr(&ended));
    let rig = Rig::new(Mode::Observe).await;
    let ended = output(&["status", "--url", &rig.served.root]).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("is that unscim?"), "{}", stderr(&ended));
}

#[tokio::test]
async fn the_demo_ends_well_in_under_a_minute() {
    let begun = std::time::Instant::now();
    let ended = output(&["demo", "--fast", "--once"]).await;
    let text = stdout(&ended);
    assert_eq!(ended.status.code(), Some(0), "{text}\n{}", stderr(&ended));
    for number in 1..=5 {
        assert!(text.contains(&format!("done {number}. ")), "{text}");
    }
    assert!(text.contains("the page: http://127.0.0.1:") && text.trim_end().ends_with("40 of 40 users kept"), "{text}");
    assert!(begun.elapsed().as_secs() < 60);
}

#[tokio::test]
async fn who_is_not_ready_is_told_by_the_exit_code() {
    let state = State::new("uniqkey", Value::Null, Arc::new(Metrics::new()), Duration::from_secs(60));
    let (stop, socket) = (CancellationToken::new(), bind("127.0.0.1:0".parse().unwrap()).await.unwrap());
    let (at, serving) = listen(socket, state, Hosts::default(), None, stop.clone()).unwrap();
    let serving = tokio::spawn(serving);
    let asked = || async { output(&["status", "--ready", "--url", &format!("http://{at}")]).await };
    let ended = asked().await;
    assert_eq!((ended.status.code(), stdout(&ended)), (Some(1), ""));
    assert!(stderr(&ended).contains("/readyz answers 503 Service Unavailable: no turn has ended yet"), "{}", stderr(&ended));
    stop.cancel();
    serving.await.unwrap().unwrap();
    let ended = asked().await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("is unscim running there?"), "{}", stderr(&ended));
}
