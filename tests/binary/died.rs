//! Killed at random moments, it goes on where the world is, and nobody is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use unscim::model::spec::Mode;

use crate::support::{Rig, get};

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
        if let Some(address) =
            daemon.log().iter().find_map(|line| line.split("\"address\":\"").nth(1)?.split('"').next().map(str::to_owned))
        {
            let status: serde_json::Value =
                serde_json::from_str(&get(&format!("http://{address}/status")).await.1).unwrap_or_default();
            let phase = status["status"]["phase"].as_str().unwrap_or("none yet").to_owned();
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
