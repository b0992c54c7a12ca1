//! From the start of the process to `/readyz`, beside the first look.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use unscim::model::spec::Mode;

use crate::builds::{Build, Builds};
use crate::median::median;
use crate::process::Daemon;
use crate::table::{Bar, Judged};
use crate::tenant::{Size, Tenant};

const USERS: usize = 1_000;
const AT_MOST: Duration = Duration::from_secs(300);

pub async fn measure(builds: &Builds, rounds: usize, groups: usize) -> Result<Judged> {
    let mut took = builds.lists();
    for round in 1..=rounds {
        eprintln!("start, round {round} of {rounds}");
        for (build, took) in builds.with(&mut took) {
            took.push(once(build, groups).await.context(build.name)?);
        }
    }
    println!("The first look at {USERS} users took {:.0} ms.\n", median(took.now.iter().map(|(_, look)| *look)));
    let own = took.median(|(ready, look)| ready - look);
    Ok(Judged::new("start to `/readyz`, the first look not counted", Bar::AtMost(150.0), own, "ms"))
}

/// Milliseconds until it was ready, and those from the first request to the last answer of its look.
async fn once(build: &Build, groups: usize) -> Result<(f64, f64)> {
    let tenant = Tenant::start(Size::new(USERS, groups)).await?;
    let config = tenant.config(Mode::Observe)?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let begun = Instant::now();
    let mut daemon = Daemon::start(build, &tenant, &config)?;
    let url = format!("http://{}/readyz", daemon.address().await?);
    while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        ensure!(begun.elapsed() < AT_MOST, "it is never ready");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ready = begun.elapsed();
    let look = {
        let wire = tenant.wire();
        let (first, last) = wire.first.zip(wire.last_answer).context("it asked nothing")?;
        last - first
    };
    daemon.stop().await?;
    tenant.close().await?;
    Ok((ready.as_secs_f64() * 1e3, look.as_secs_f64() * 1e3))
}
