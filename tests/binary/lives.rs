//! A daemon's whole life: the guide, what is seen of it, how it is stopped.

use std::time::Duration;

use serde_json::Value;
use unscim::model::key::KeyKind;
use unscim::model::spec::Mode;
use unscim::practice::{Effect, Fault};
use unscim::serve::metrics::operations;
use unscim::world::Ledger;
use unscim::world::http::Api;
use unscim::world::ledger::SqliteLedger;

use crate::support::{Daemon, Rig, get, output, stderr, stdout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_drives_the_guide_is_seen_doing_it_and_changes_nothing_afterwards() {
    let rig = Rig::new(Mode::Enforce).await;
    let mut daemon = rig.start();
    let root = daemon.root().await;
    daemon.until_phase("AwaitingRevocation").await;
    rig.served.practice.revoke_token().unwrap();
    let document = daemon.until_status("Retired", |status| status["phase"] == "Retired").await;
    assert_eq!((&document["apiVersion"], &document["kind"]), (&"unscim.dev/v1alpha1".into(), &"ScimRetirement".into()));
    assert_eq!((&document["metadata"]["name"], &document["spec"]["mode"]), (&"practice".into(), &"Enforce".into()));
    let status = &document["status"];
    assert_eq!((&status["progress"]["usersKept"], &status["progress"]["groupsAssigned"]), (&12.into(), &0.into()));
    rig.assert_nobody_hurt();

    let writes = rig.served.practice.writes();
    let turn = status["turn"].as_u64().unwrap();
    daemon.until_status("three turns more", |status| status["turn"].as_u64() > Some(turn + 3)).await;
    assert_eq!(rig.served.practice.writes(), writes, "again changes nothing");

    let (code, page) = get(&root).await;
    assert!(code == 200 && page.contains("Retired"), "{page}");
    for path in ["/livez", "/healthz", "/readyz", "/readyz?verbose"] {
        assert_eq!(get(&format!("{root}{path}")).await.0, 200, "{path}");
    }
    let metrics = get(&format!("{root}/metrics")).await.1;
    for line in [
        "unscim_phase{phase=\"Retired\"} 1",
        "unscim_token_revoked 1",
        "unscim_users_lost 0",
        "unscim_users{state=\"direct_only\"} 12",
        "unscim_actions_total{action=\"AssignUser\",result=\"ok\"} 13",
        "unscim_config_last_reload_success 1",
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line} is not in\n{metrics}");
    }
    let of_batch =
        |line: &str| line.starts_with("unscim_http_requests_total") && line.ends_with("code=\"201\",operation=\"assign\"} 13");
    assert!(metrics.lines().any(of_batch), "each write of a batch is counted as what it is\n{metrics}");
    for api in Api::ALL {
        let known = operations(api);
        for line in metrics.lines().filter(|line| line.contains(&format!("api=\"{}\"", api.label()))) {
            let operation = line.split("operation=\"").nth(1).and_then(|rest| rest.split('"').next());
            assert!(operation.is_none_or(|operation| known.contains(&operation)), "not in the list of operations: {line}");
        }
    }
    let shown = output(&["status", "--url", &root]).await;
    assert!(stdout(&shown).starts_with("practice: Retired"), "{}", stdout(&shown));
    let ready = output(&["status", "--ready", "--url", &root]).await;
    assert_eq!((ready.status.code(), stdout(&ready)), (Some(0), "ok\n"));
    let shown = output(&["status", "--url", &root, "--output", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(stdout(&shown)).unwrap()["status"]["phase"], "Retired");

    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
    let log = daemon.log();
    let secrets = [rig.served.practice.client_secret(), std::fs::read_to_string(rig.dir.path().join("scim-token")).unwrap()];
    for line in &log {
        let line: Value = serde_json::from_str(line).expect("every line is JSON");
        assert!(secrets.iter().all(|secret| !line.to_string().contains(secret.trim())), "{line}");
    }
    let turns = log.iter().filter(|line| line.contains("\"message\":\"turn\"")).count();
    assert!(turns as u64 >= turn, "one line for each turn");
    assert!(log.iter().any(|line| line.contains("request_id")));

    let mut args = rig.args();
    args.push("--once".into());
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = output(&args).await;
    assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
    assert_eq!(rig.served.practice.writes(), writes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn observe_writes_nothing_however_long_it_looks() {
    let rig = Rig::new(Mode::Observe).await;
    let mut daemon = rig.start();
    let document = daemon.until_status("ten turns", |status| status["turn"].as_u64() >= Some(10)).await;
    let status = &document["status"];
    assert_eq!((&status["phase"], &status["pending"][0]["action"]), (&"Observing".into(), &"AssignUser".into()));
    daemon.signal("-INT");
    assert_eq!(daemon.exit_code().await, Some(0));
    assert_eq!(rig.served.practice.writes(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_lives_and_is_ready_while_graph_is_down() {
    let rig = Rig::new(Mode::Enforce).await;
    rig.served.practice.faults().add(Fault::once("", Effect::Html(503)).times(1_000_000));
    let daemon = rig.start();
    let document = daemon.until_status("a status", |_| true).await;
    let conditions = document["status"]["conditions"].as_array().unwrap();
    let reachable = conditions.iter().find(|condition| condition["type"] == "GraphReachable").unwrap();
    assert_ne!(reachable["status"], "True");
    let root = daemon.root().await;
    for path in ["/livez", "/readyz", "/metrics", "/"] {
        assert_eq!(get(&format!("{root}{path}")).await.0, 200, "{path}");
    }
    rig.served.practice.faults().clear();
    daemon.until_status("assignments", |status| status["progress"]["usersAssigned"] == 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_the_batch_in_hand_and_begins_no_other() {
    let rig = Rig::new(Mode::Enforce).await;
    // Four writes at a time.
    rig.edit("writeQuota: 3000/", "writeQuota: 4/1s # 3000/");
    let mut daemon = rig.start();
    daemon.until("write", |log| log.iter().filter(|line| line.contains("\"message\":\"done\"")).nth(3).map(drop)).await;
    let slow = Fault::once("/$batch", Effect::Delay(Duration::from_millis(700))).on(http::Method::POST);
    rig.served.practice.faults().add(slow);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
    let written = rig.served.practice.writes().len();
    assert_eq!(written, 8, "the quick batch, and the slow one that was in hand");
    let journal = SqliteLedger::open(&rig.data()).unwrap().journal().unwrap();
    let entries: Vec<_> = journal.of(KeyKind::Assigns).collect();
    assert!(entries.len() == written && entries.iter().all(|(_, entry)| !entry.is_open() && entry.confirmed == 1), "{entries:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_after_a_restart_in_the_middle_of_many_writes_need_not_wait_for_them() {
    let rig = Rig::new(Mode::Enforce).await;
    rig.edit("writeQuota: 3000/", "writeQuota: 2/1s # 3000/");
    let mut daemon = rig.start();
    daemon.until("write", |log| log.iter().filter(|line| line.contains("\"message\":\"done\"")).nth(1).map(drop)).await;
    daemon.child.kill().await.unwrap();
    let daemon = rig.start();
    let document = daemon.until_status("the first status", |_| true).await;
    let (status, written) = (&document["status"], rig.served.practice.writes().len());
    assert!(written < 12 && status["progress"]["usersAssigned"].as_u64() < Some(12), "{written} writes, {status:#}");
    assert_eq!((&status["phase"], &status["pending"][0]["action"]), (&"AssigningUsers".into(), &"AssignUser".into()));
    assert_eq!(get(&format!("{}/readyz", daemon.root().await)).await.0, 200);
    daemon.until_status("assignments", |status| status["progress"]["usersAssigned"] == 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_cant_be_read_is_trouble_in_the_exit_code_and_no_hold_of_a_new_process() {
    let rig = Rig::new(Mode::Enforce).await;
    let mut daemon = rig.start();
    daemon.until_phase("AwaitingCycle").await;
    rig.served.practice.faults().add(Fault::once("/scim/", Effect::Html(503)).times(1_000_000));
    for restarts in [false, true] {
        if restarts {
            daemon.child.kill().await.unwrap();
            daemon = rig.start();
        }
        let is_unread = |condition: &Value| condition["type"] == "TargetReachable" && condition["status"] == "False";
        let unread = |status: &Value| status["conditions"].as_array().is_some_and(|all| all.iter().any(is_unread));
        let document = daemon.until_status("the outage", unread).await;
        assert_eq!(
            (&document["status"]["phase"], &document["status"]["held"]),
            (&"AwaitingCycle".into(), &serde_json::json!([]))
        );
        let root = daemon.root().await;
        assert_eq!(output(&["status", "--url", &root]).await.status.code(), Some(1), "restarts: {restarts}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_cant_be_written_is_an_error_in_the_log() {
    let rig = Rig::new(Mode::Enforce).await;
    let mut daemon = rig.start();
    daemon.until_status("assignments", |status| status["progress"]["usersAssigned"] == 12).await;
    let error = |line: &String| line.contains("\"ERROR\"") && line.contains("the ledger can't be used");
    assert!(!daemon.log().iter().any(error));
    // To the daemon it is the same as a full disk: what it writes is refused.
    let other = rusqlite::Connection::open(rig.data().join("ledger.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    daemon.until("error", |log| log.iter().find(|line| error(line) && line.contains("another process holds it")).map(drop)).await;
    drop(other);
    daemon.until_phase("EmptyingGroups").await;
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_beside_the_config_and_a_word_in_it_hold_the_running_daemon() {
    let rig = Rig::new(Mode::Enforce).await;
    let freeze = rig.config.with_file_name("freeze");
    std::fs::write(&freeze, "").unwrap();
    let daemon = rig.start();
    let held = |status: &Value| status["held"].as_array().is_some_and(|held| held.iter().any(|held| held["brake"] == "frozen"));
    daemon.until_status("held by the file", held).await;
    assert_eq!(rig.served.practice.writes(), vec![]);
    std::fs::remove_file(&freeze).unwrap();
    daemon.until_phase("EmptyingGroups").await;
    rig.edit("spec:", "spec:\n  hold: Held");
    daemon.until_status("held by the config", held).await;
    let writes = rig.served.practice.writes().len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(rig.served.practice.writes().len(), writes);
    rig.edit("hold: Held", "hold: None");
    daemon.until_phase("AwaitingRevocation").await;
    rig.assert_nobody_hurt();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_ledger_is_refused() {
    let rig = Rig::new(Mode::Enforce).await;
    let daemon = rig.start();
    daemon.root().await;
    let mut second = Daemon::start(&rig.args());
    assert_eq!(second.exit_code().await, Some(1));
    second
        .until("refusal", |log| log.iter().find(|line| line.contains("another unscim is running on this ledger")).map(drop))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_and_a_ledger_that_is_damaged_are_told_with_a_remedy() {
    let rig = Rig::new(Mode::Observe).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut args = rig.args();
    *args.last_mut().unwrap() = taken.local_addr().unwrap().to_string();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = output(&args).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("choose another address with --listen"), "{}", stderr(&ended));
    assert!(!rig.data().exists(), "a busy port leaves no new ledger behind");
    drop(taken);
    std::fs::create_dir(rig.data()).unwrap();
    std::fs::write(rig.data().join("ledger.db"), "no ledger").unwrap();
    let ended = output(&args).await;
    assert_eq!(ended.status.code(), Some(1));
    assert!(stderr(&ended).contains("it was left as it is"), "{}", stderr(&ended));
    assert_eq!(rig.served.practice.writes(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_config_that_changes_is_taken_up_and_a_wrong_one_changes_nothing() {
    let rig = Rig::new(Mode::Observe).await;
    let mut daemon = rig.start();
    let root = daemon.root().await;
    let loaded = |status: &Value, truth: &str| {
        let conditions = status["conditions"].as_array().unwrap();
        conditions.iter().any(|condition| condition["type"] == "ConfigLoaded" && condition["status"] == truth)
    };
    daemon.until_status("a turn", |status| loaded(status, "True")).await;
    rig.edit("mode: Observe", "mode: Look");
    let document = daemon.until_status("the mistake", |status| loaded(status, "False")).await;
    assert_eq!((&document["spec"]["mode"], &document["status"]["phase"]), (&"Observe".into(), &"Observing".into()));
    let reload = async || {
        let metrics = get(&format!("{root}/metrics")).await.1;
        metrics.lines().find_map(|line| line.strip_prefix("unscim_config_last_reload_success ").map(str::to_owned))
    };
    assert_eq!(reload().await.as_deref(), Some("0"));
    rig.edit("mode: Look", "mode: Enforce");
    let document = daemon.until_status("the new mode", |status| status["phase"] != "Observing").await;
    assert_eq!(document["spec"]["mode"], "Enforce");
    assert!(loaded(&document["status"], "True"));
    assert_eq!(reload().await.as_deref(), Some("1"));
    daemon.until_phase("AwaitingRevocation").await;
    rig.served.practice.revoke_token().unwrap();
    daemon.until_status("Retired", |status| status["phase"] == "Retired").await;
    rig.assert_nobody_hurt();
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
    let told = daemon.log().into_iter().filter(|line| line.contains("the config has changed and is wrong")).count();
    assert_eq!(told, 1, "once, however many turns");
}
