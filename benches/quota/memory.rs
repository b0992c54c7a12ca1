//! Peak memory at a size where lists dominate. The network is not slow here: only memory is looked at.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use unscim::model::spec::Mode;

use crate::builds::{Build, Builds, Each};
use crate::number;
use crate::proc::memory;
use crate::process::{Daemon, Turned};
use crate::rest::{Rest, allowed, at_rest};
use crate::table::{Bar, Judged, kib};
use crate::tenant::{Size, Tenant, edit};

/// Turns that only look, at the end.
const LOOKS: usize = 2;
/// No single turn takes longer.
const TURN: Duration = Duration::from_secs(3600);
const GROUPS_OF_THE_WAVE: usize = 20;

/// Up to where a build is led.
struct Way {
    size: Size,
    /// It may write for so long.
    writing: Duration,
}

/// What it came to.
struct Reached {
    peak: f64,
    /// Seconds from the first write; none where the end was not reached.
    took: f64,
    rest: Option<Rest>,
}

/// To `Retired`.
pub async fn measure(builds: &Builds) -> Result<Vec<Judged>> {
    let users = number("UNSCIM_BENCH_MEMORY_USERS", 100_000)?;
    let groups = number("UNSCIM_BENCH_MEMORY_GROUPS", 500)?;
    let way = Way {
        size: Size { each_in: 2, latency: Duration::ZERO, ..Size::new(users, groups) },
        writing: Duration::from_secs(number("UNSCIM_BENCH_MEMORY_SECONDS", 1_500)? as u64),
    };
    let reached = each(builds, &way).await?;
    let what = format!("{users} users, {} memberships", way.size.memberships());
    let mut judged = vec![
        Judged::new(format!("peak memory to `Retired`, {what}"), Bar::OfBefore(0.44), reached.map(|of| of.peak), "MiB"),
        Judged::new(
            format!("first write to `Retired`, {what}"),
            Bar::AtMost(way.writing.as_secs_f64()),
            reached.map(|of| of.took),
            "s",
        ),
    ];
    if reached.now.rest.is_some() {
        let of = |value: fn(&Rest) -> f64| reached.map(|of| of.rest.as_ref().map_or(f64::NAN, value));
        judged.extend(Rest::judged(&format!("after `Retired`, {users} users"), of, allowed(users, groups)));
    }
    Ok(judged)
}

/// As much as ten times of it, until the first wave is through: with a quota that is larger by as much, or it would take hours.
pub async fn million(builds: &Builds) -> Result<Judged> {
    let users = number("UNSCIM_BENCH_MILLION_USERS", 1_000_000)?;
    let groups = number("UNSCIM_BENCH_MEMORY_GROUPS", 500)?;
    let wave = GROUPS_OF_THE_WAVE.min(groups);
    let way = Way {
        size: Size { each_in: 2, latency: Duration::ZERO, quota: 10, wave, ..Size::new(users, groups) },
        writing: Duration::from_secs(number("UNSCIM_BENCH_MILLION_SECONDS", 3_600)? as u64),
    };
    let reached = each(builds, &way).await?;
    let what = format!("peak memory to the end of the first wave, {users} users, {} memberships", way.size.memberships());
    Ok(Judged::new(what, Bar::AtMost(512.0), reached.map(|of| of.peak), "MiB"))
}

async fn each(builds: &Builds, way: &Way) -> Result<Each<Reached>> {
    let before = match &builds.before {
        Some(before) => Some(lead(before, way).await.context(before.name)?),
        None => None,
    };
    Ok(Each { before, now: lead(&builds.now, way).await.context(builds.now.name)? })
}

async fn lead(build: &Build, way: &Way) -> Result<Reached> {
    let Way { size, writing } = way;
    eprintln!(
        "memory, {}: {} users, {} memberships; {} s from the first write",
        build.name,
        size.users,
        size.memberships(),
        writing.as_secs()
    );
    let tenant = Tenant::start(*size).await?;
    println!("Memory, {}, {} users: the tenant itself, and this benchmark, take {:.0} MiB.", build.name, size.users, own());
    let config = tenant.config(Mode::Enforce)?;
    let mut daemon = Daemon::start(build, &tenant, &config)?;
    let pid = daemon.pid;
    let peak = || memory(pid, "VmHWM").map_or(f64::NAN, |peak| kib(peak as f64));

    let mut turned = daemon.turn(Instant::now() + TURN).await?;
    println!("{:.1} MiB at the peak of the first look.", peak());
    let begun = Instant::now();
    while tenant.practice().tally().writes == 0 {
        ensure!(begun.elapsed() < TURN, "it writes nothing");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("{:.1} MiB when the first write arrived.", peak());
    let begun = Instant::now();
    let end = begun + *writing;
    let mut revoked = false;
    let is_there = |turned: &Turned| match size.wave {
        0 => turned.phase == "Retired",
        wave => turned.assigned as usize >= size.users && turned.groups as usize <= size.groups - wave,
    };
    while !is_there(&turned) && Instant::now() < end {
        let next = tokio::time::timeout_at(end.into(), daemon.turn(Instant::now() + TURN)).await;
        let Ok(next) = next else { break };
        turned = next?;
        if turned.phase == "AwaitingRevocation" && !revoked {
            tenant.practice().revoke_token()?;
            revoked = true;
        }
    }
    let took = if is_there(&turned) { begun.elapsed().as_secs_f64() } else { f64::INFINITY };
    let mut rest = None;
    if turned.phase == "Retired" {
        rest = Some(at_rest(&mut daemon, LOOKS).await?);
    } else {
        edit(&config, "  mode: Enforce\n", "  mode: Enforce\n  hold: Held\n")?;
        // The turn that was under way may still write.
        for _ in 0..=LOOKS {
            turned = daemon.turn(Instant::now() + TURN).await?;
        }
    }
    let (peak, writes) = (kib(daemon.memory("VmHWM")? as f64), tenant.practice().tally().writes);
    println!(
        "{peak:.1} MiB at the end: {writes} writes, {} users assigned, {} memberships left, phase {}.\n",
        turned.assigned, turned.memberships, turned.phase
    );
    daemon.stop().await?;
    tenant.check()?;
    tenant.close().await?;
    Ok(Reached { peak, took, rest })
}

/// MiB that this process holds.
fn own() -> f64 {
    memory(std::process::id(), "VmRSS").map_or(f64::NAN, |held| kib(held as f64))
}
