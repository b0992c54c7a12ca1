//! The part `beyond`: a whole run with the service's own cycles, and what it takes longer than they ask for.

use std::time::Duration;

use anyhow::Result;

use crate::builds::Builds;
use crate::ours::{self, Run};
use crate::table::{Bar, Judged};
use crate::tenant::{Size, Waits};

const USERS: usize = 1_000;

/// With the cycles, margins and intervals that somebody has who sets none of them.
pub async fn measure(builds: &Builds, rounds: usize, groups: usize) -> Result<Judged> {
    let size = Size { waits: Waits::Service, latency: Duration::ZERO, ..Size::new(USERS, groups) };
    let mut runs = builds.lists::<Run>();
    for round in 1..=rounds {
        eprintln!("start to `Retired`, round {round} of {rounds}");
        for (build, runs) in builds.with(&mut runs) {
            runs.push(ours::run(build, size, 2).await?);
        }
    }
    let what = "start to `Retired`, beyond what cycles, settling and quota ask for";
    Ok(Judged::new(what, Bar::AtMost(5.0), runs.median(|run| run.beyond), "%"))
}
