//! Peak memory at a size where lists dominate. The network is not slow here: only memory is looked at.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use unscim::model::spec::Mode;

use crate::number;
use crate::process::Daemon;
use crate::table::{Judged, kib};
use crate::tenant::{Size, Tenant, edit};

/// Turns that only look, at the end.
const LOOKS: usize = 2;
/// No single turn takes longer.
const TURN: Duration = Duration::from_secs(3600);

pub async fn measure() -> Result<Judged> {
    let users = number("UNSCIM_BENCH_MEMORY_USERS", 100_000)?;
    let groups = number("UNSCIM_BENCH_MEMORY_GROUPS", 500)?;
    let writing = Duration::from_secs(number("UNSCIM_BENCH_MEMORY_SECONDS", 1_500)? as u64);
    let size = Size { users, groups, each_in: 2, latency: Duration::ZERO };
    eprintln!("memory: {users} users, {} memberships; {} s from the first write", size.memberships(), writing.as_secs());
    let tenant = Tenant::start(size).await?;
    let config = tenant.config(Mode::Enforce)?;
    let mut daemon = Daemon::start(&tenant, &config)?;
    let pid = daemon.pid;
    let peak = || crate::process::memory(pid, "VmHWM").map_or(f64::NAN, |peak| kib(peak as f64));

    let mut turned = daemon.turn(Instant::now() + TURN).await?;
    println!("Memory, {users} users: {:.1} MiB at the peak of the first look.", peak());
    let begun = Instant::now();
    while tenant.practice().tally().writes == 0 {
        ensure!(begun.elapsed() < TURN, "it writes nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{:.1} MiB when the first write arrived.", peak());
    let end = Instant::now() + writing;
    let mut revoked = false;
    while turned.phase != "Retired" && Instant::now() < end {
        let next = tokio::time::timeout_at(end.into(), daemon.turn(Instant::now() + TURN)).await;
        let Ok(next) = next else { break };
        turned = next?;
        if turned.phase == "AwaitingRevocation" && !revoked {
            tenant.practice().revoke_token()?;
            revoked = true;
        }
    }
    if turned.phase != "Retired" {
        edit(&config, "  mode: Enforce\n", "  mode: Enforce\n  hold: Held\n")?;
        // The turn that was under way may still write.
        turned = daemon.turn(Instant::now() + TURN).await?;
    }
    for _ in 0..LOOKS {
        turned = daemon.turn(Instant::now() + TURN).await?;
    }
    let (peak, writes) = (kib(daemon.memory("VmHWM")? as f64), tenant.practice().tally().writes);
    println!(
        "{peak:.1} MiB at the end: {writes} writes, {} users assigned, {} memberships left, phase {}.\n",
        turned.assigned, turned.memberships, turned.phase
    );
    daemon.stop().await?;
    tenant.check()?;
    tenant.close().await?;
    Ok(Judged::new(format!("peak memory, {users} users, {} memberships", size.memberships()), 96.0, peak, "MiB"))
}
