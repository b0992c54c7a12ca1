//! Killed at random moments, it goes on where the world is, and nobody is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use unscim::model::spec::Mode;
use unscim::practice::{Effect, Fault};
use unscim::world::ledger::SqliteLedger;

use crate::support::{Rig, output};

/// 20 kills; `UNSCIM_KILLS=50 cargo test --test binary killed` for more, `UNSCIM_SEED=…` for other moments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_settles_with_nobody_lost() {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (kills, seed) = (number("UNSCIM_KILLS", 20), number("UNSCIM_SEED", 1));
    let mut chance = StdRng::seed_from_u64(seed);
    let rig = Rig::new(Mode::Enforce).await;
    let mut phases = BTreeMap::new();
    for _ in 0..kills {
        let mut daemon = rig.start();
        tokio::time::sleep(Duration::from_millis(chance.random_range(20..450))).await;
        if let Some(phase) = daemon.phase().await {
            if phase == "AwaitingRevocation" && chance.random_bool(0.3) {
                rig.served.practice.revoke_token().unwrap();
            }
            *phases.entry(phase).or_insert(0) += 1;
        }
        daemon.child.kill().await.unwrap();
        rig.assert_nobody_hurt();
    }
    eprintln!("seed {seed}, {kills} kills, in the phases {phases:?}");

    let daemon = rig.start();
    daemon
        .until_status("AwaitingRevocation or Retired", |status| {
            status["phase"] == "AwaitingRevocation" || status["phase"] == "Retired"
        })
        .await;
    rig.served.practice.revoke_token().unwrap();
    daemon.until_phase("Retired").await;
    rig.assert_nobody_hurt();
    let mut deleted = BTreeMap::new();
    for write in rig.served.practice.writes() {
        if write.method == "DELETE" && write.status == 204 {
            *deleted.entry(write.path).or_insert(0) += 1;
        }
    }
    assert!(!deleted.is_empty() && deleted.values().all(|times| *times == 1), "deleted twice: {deleted:?}");
}

/// Killed after every k-th request, from the beginning to the end: right after the tenant has done it, or right before, and
/// never with an answer. `UNSCIM_EVERY=31,47,61 cargo test --test binary every` for other distances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_every_kth_request_it_comes_to_its_end_with_nobody_lost() {
    let every = std::env::var("UNSCIM_EVERY").unwrap_or_else(|_| "83".into());
    for k in every.split(',').map(|text| text.trim().parse::<usize>().expect("numbers with commas between them")) {
        let rig = Rig::new(Mode::Enforce).await;
        // How long it waits, by its own clock, before it believes that a write without an answer was not done.
        rig.edit("timing:", "timing:\n    settle: 1m");
        let practice = &rig.served.practice;
        let (mut lives, mut revoked) = (0, false);
        let ended = 'lives: loop {
            lives += 1;
            assert!(lives < 600, "no end after {lives} lives of {k} requests");
            let effect = if lives % 2 == 0 { Effect::Hang } else { Effect::LoseAnswer };
            practice.faults().add(Fault::once("", effect).nth(k));
            let mut daemon = rig.start();
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if practice.faults().waiting() == 0 {
                    break;
                }
                let phase = daemon.phase().await;
                if phase.as_deref() == Some("AwaitingRevocation") && !revoked {
                    practice.revoke_token().unwrap();
                    revoked = true;
                }
                if phase.as_deref() == Some("Retired") {
                    practice.faults().clear();
                    daemon.signal("-TERM");
                    daemon.exit_code().await;
                    break 'lives lives;
                }
            }
            daemon.child.kill().await.unwrap();
            rig.assert_nobody_hurt();
            let found = SqliteLedger::open_evidence(&rig.data()).unwrap().verify(None).unwrap();
            assert_eq!(found.breaks, [], "after life {lives} of {k} requests");
        };
        rig.assert_nobody_hurt();
        let data = rig.data();
        assert_eq!(output(&["verify", "--data-dir", data.to_str().unwrap()]).await.status.code(), Some(0));
        eprintln!("killed after every {k} requests: retired in life {ended}, {} requests", practice.requests().len());
    }
}
