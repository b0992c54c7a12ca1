//! `unscim rollback` as its user meets it.

use unscim::model::spec::Mode;

use crate::support::{Rig, output, stderr, stdout};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rollback_shows_first_needs_the_daemon_stopped_and_holds_the_ledger_afterwards() {
    let rig = Rig::new(Mode::Enforce).await;
    let (config, data) = (rig.config.to_str().unwrap().to_owned(), rig.data().to_str().unwrap().to_owned());
    let rollback = async |more: &[&str]| {
        let mut args = vec!["rollback", "--config", &config, "--data-dir", &data];
        args.extend(more);
        output(&args).await
    };
    let nothing = rollback(&[]).await;
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("there is no ledger in"), "{}", stderr(&nothing));
    assert!(!rig.data().exists());

    let mut daemon = rig.start();
    daemon.until_phase("AwaitingRevocation").await;
    let writes = rig.served.practice.writes().len();
    let shown = rollback(&[]).await;
    assert_eq!(shown.status.code(), Some(2), "{}", stderr(&shown));
    for text in
        ["To be put back, in this order", "assign group", "back into group", "no rollback brings back", "Nothing was written"]
    {
        assert!(stdout(&shown).contains(text), "{text}: {}", stdout(&shown));
    }
    assert_eq!(rig.served.practice.writes().len(), writes);
    let locked = rollback(&["--yes"]).await;
    assert_eq!(locked.status.code(), Some(1));
    assert!(stderr(&locked).contains("another unscim is running on this ledger"), "{}", stderr(&locked));

    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
    let proofs = async || {
        let told = output(&["report", "--data-dir", &data, "--format", "json"]).await;
        let told: serde_json::Value = serde_json::from_str(stdout(&told)).unwrap();
        assert!(told["cycleProof"].is_object() && told["rolledBack"].is_null(), "{told:#}");
        (told["cycleProof"].clone(), told["journal"].clone())
    };
    let proven = proofs().await;
    // What writes nothing takes nothing from what was proven: by the operator's own word, and where nothing can be read.
    let beside = |name: &str| rig.config.with_file_name(name);
    std::fs::write(beside("freeze"), "a change elsewhere").unwrap();
    let frozen = rollback(&["--yes"]).await;
    std::fs::remove_file(beside("freeze")).unwrap();
    rig.edit("mode: Enforce", "mode: Observe");
    let observed = rollback(&["--yes"]).await;
    rig.edit("mode: Observe", "mode: Enforce");
    for (ended, why) in [(frozen, "freeze"), (observed, "spec.mode is Observe")] {
        assert_eq!(ended.status.code(), Some(3), "{}", stderr(&ended));
        assert!(stderr(&ended).contains(why) && stderr(&ended).contains("nothing was written"), "{}", stderr(&ended));
    }
    let secret = std::fs::read(beside("client-secret")).unwrap();
    std::fs::write(beside("client-secret"), "another").unwrap();
    for flags in [&[][..], &["--yes"]] {
        let blind = rollback(flags).await;
        assert_eq!(blind.status.code(), Some(1), "{}{}", stdout(&blind), stderr(&blind));
        assert!(stdout(&blind).contains("can't be told"), "{}", stdout(&blind));
    }
    std::fs::write(beside("client-secret"), secret).unwrap();
    assert_eq!((proofs().await, rig.served.practice.writes().len()), (proven, writes));
    let done = rollback(&["--yes"]).await;
    assert_eq!(done.status.code(), Some(0), "{}{}", stdout(&done), stderr(&done));
    assert!(stdout(&done).contains("The ledger is held now"), "{}", stdout(&done));
    let again = rollback(&["--yes"]).await;
    assert_eq!(again.status.code(), Some(0));
    assert!(stdout(&again).contains("Nothing to put back now"), "{}", stdout(&again));

    let told = output(&["report", "--data-dir", &data, "--format", "json"]).await;
    let told: serde_json::Value = serde_json::from_str(stdout(&told)).unwrap();
    assert_eq!(told["proven"], false);
    assert!(told["result"].as_str().unwrap().contains("rolled back from "), "{}", told["result"]);
    let told = output(&["report", "--data-dir", &data]).await;
    assert_eq!(stdout(&told).matches("<td class=\"any\">rolled back from ").count(), 1, "what happened meanwhile");
    assert_eq!(stdout(&told).matches("Not proven: rolled back from ").count(), 1);
    assert_eq!(stdout(&told).matches("Not proven to be rejected: rolled back from ").count(), 1);

    let writes = rig.served.practice.writes().len();
    let mut daemon = rig.start();
    let held = daemon.until_phase("Held").await;
    assert!(held["held"].to_string().contains("\"rolled-back\""), "{held:#}");
    let ready = held["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == "Ready").unwrap();
    assert_eq!(ready["reason"], "RolledBack");
    daemon.signal("-TERM");
    daemon.exit_code().await;
    assert_eq!(rig.served.practice.writes().len(), writes);
    assert_eq!(output(&["verify", "--data-dir", &data]).await.status.code(), Some(0));
    rig.assert_nobody_hurt();
}
