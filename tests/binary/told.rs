//! What the log tells at `warn`, and what a signal has it do.

use std::time::Duration;

use serde_json::Value;
use unscim::model::spec::Mode;
use unscim::practice::{Effect, Fault};

use crate::support::{Daemon, Rig};

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
