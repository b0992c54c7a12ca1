//! What the log tells at `warn`, and what a signal has it do.

use std::time::Duration;

use serde_json::Value;
use unscim::model::spec::Mode;
use unscim::practice::{Effect, Fault};

use crate::support::{Daemon, Rig, output, stderr, stdout};

/// Waits for the line; how often it is there some turns later.
async fn told(daemon: &Daemon, level: &str, what: &str) -> usize {
    let fits = |line: &&String| line.contains(&format!("\"{level}\"")) && line.contains(&format!("\"message\":\"{what}\""));
    daemon.until(what, |log| log.iter().find(fits).map(drop)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    daemon.log().iter().filter(fits).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_and_an_outage_are_warned_of_once_and_so_is_their_end() {
    let rig = Rig::new(Mode::Enforce).await;
    rig.edit("spec:\n", "spec:\n  telemetry:\n    logLevel: Warn\n");
    let freeze = rig.config.with_file_name("freeze");
    std::fs::write(&freeze, "").unwrap();
    let mut daemon = rig.start();
    assert_eq!(told(&daemon, "WARN", "held: frozen").await, 1);
    std::fs::remove_file(&freeze).unwrap();
    assert_eq!(told(&daemon, "WARN", "no longer held: frozen").await, 1);
    rig.served.practice.faults().add(Fault::once("/servicePrincipals", Effect::Html(502)).times(1_000_000));
    assert_eq!(told(&daemon, "WARN", "Graph can't be read").await, 1);
    rig.served.practice.faults().clear();
    assert_eq!(told(&daemon, "WARN", "Graph can be read again").await, 1);
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
    let turns = daemon.log().iter().filter(|line| line.contains("\"message\":\"turn\"")).count();
    assert_eq!(turns, 0, "the rest is no warning: {:#?}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_has_the_config_looked_at_long_before_the_next_turn() {
    let rig = Rig::new(Mode::Observe).await;
    let text = std::fs::read_to_string(&rig.config).unwrap();
    let (head, _) = text.split_once("  timing:").unwrap();
    std::fs::write(&rig.config, format!("{head}  timing:\n    interval: 10m\n")).unwrap();
    let mut daemon = rig.start();
    daemon.until_status("a turn", |_| true).await;
    rig.edit("mode: Observe", "mode: Enforce");
    daemon.signal("-HUP");
    let document = daemon.until_status("the new mode", |status: &Value| status["phase"] != "Observing").await;
    assert_eq!(document["spec"]["mode"], "Enforce");
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_by_its_exit_code_waits_and_fits_a_screen_and_freeze_is_a_verb() {
    let rig = Rig::new(Mode::Enforce).await;
    let config = rig.config.to_str().unwrap();
    let ended = output(&["freeze", "--config", config]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert!(rig.config.with_file_name("freeze").exists());
    let daemon = rig.start();
    let root = daemon.root().await;
    let asked = async |more: &[&str]| {
        let ended = output(&[&["status", "--url", &root], more].concat()).await;
        (ended.status.code(), stdout(&ended).to_owned() + stderr(&ended))
    };
    let (code, text) = asked(&["--wait-for", "held", "--timeout", "60s"]).await;
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = asked(&[]).await;
    assert!(code == Some(3) && text.contains("frozen: the file") && text.lines().count() <= 40, "{code:?} {text}");
    let (_, whole) = asked(&["--verbose"]).await;
    assert!(whole.lines().count() > text.lines().count() && whole.contains("Groups"), "{whole}");
    assert_eq!(output(&["unfreeze", "--config", config]).await.status.code(), Some(0));
    assert!(!rig.config.with_file_name("freeze").exists());
    let (code, text) = asked(&["--wait-for", "AwaitingRevocation", "--timeout", "100s"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(asked(&[]).await.0, Some(0));
    let (code, text) = asked(&["--wait-for", "Retired", "--timeout", "1s"]).await;
    assert!(code == Some(4) && text.contains("not in Retired but in AwaitingRevocation"), "{code:?} {text}");
    rig.served.practice.revoke_token().unwrap();
    assert_eq!(asked(&["--wait-for", "Retired", "--timeout", "100s"]).await.0, Some(0));
    assert_eq!(asked(&[]).await.0, Some(5));
    assert_eq!(asked(&["--wait-for", "EmptyingGroups"]).await.0, Some(5), "it can't come any more");
    rig.served.practice.faults().add(Fault::once("/servicePrincipals", Effect::Html(502)).times(1_000_000));
    let away = |status: &Value| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|condition| condition["type"] == "GraphReachable" && condition["status"] == "False")
    };
    daemon.until_status("an outage", away).await;
    assert_eq!(asked(&[]).await.0, Some(1));
}

#[tokio::test]
async fn unfreeze_says_what_holds_it_all_the_same_and_neither_verb_works_beside_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("unscim.yaml");
    let at = config.to_str().unwrap();
    for verb in ["freeze", "unfreeze"] {
        let ended = output(&[verb, "--config", at]).await;
        assert_eq!(ended.status.code(), Some(64));
        assert!(stderr(&ended).contains("there is no config"), "{}", stderr(&ended));
    }
    assert!(!dir.path().join("freeze").exists());
    // Wrong elsewhere, and frozen all the same.
    std::fs::write(&config, "spec: [\n  hold: Held\n").unwrap();
    for _ in 0..2 {
        assert_eq!(output(&["freeze", "--config", at]).await.status.code(), Some(0));
    }
    let ended = output(&["unfreeze", "--config", at]).await;
    assert_eq!(ended.status.code(), Some(3));
    assert!(stdout(&ended).contains("held all the same: spec.hold"), "{}", stdout(&ended));
}

#[tokio::test]
async fn a_scenario_that_is_wrong_or_too_large_is_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scenario.yaml");
    let at = path.to_str().unwrap();
    for (text, why) in [
        ("users: many\n", "scenario.yaml"),
        ("uzers: 3\n", "uzers"),
        ("groups: 2\ngroupTraits: {3: [dynamic]}\n", "there is no group 3"),
        ("users: 4000000000000\n", "no tenant of practice has more than 1000000"),
    ] {
        std::fs::write(&path, text).unwrap();
        let ended = output(&["practice", "--scenario", at, "--config-dir", dir.path().to_str().unwrap()]).await;
        assert_eq!((ended.status.code(), stdout(&ended)), (Some(64), ""), "{text}: {}", stderr(&ended));
        assert!(stderr(&ended).contains(why), "{}", stderr(&ended));
    }
    let ended = output(&["practice", "--scenario", "/nowhere/s.yaml"]).await;
    assert_eq!(ended.status.code(), Some(64));
    assert!(stderr(&ended).contains("/nowhere/s.yaml: can't be read"), "{}", stderr(&ended));
}
