//! How fast a retirement goes, against what Graph's write quota allows, and beside Microsoft's own clients.
//!
//! `cargo bench --bench quota`; `benches/README.md` says what the parts are and what the figures mean.

mod memory;
mod ours;
mod peers;
mod planning;
mod process;
mod start;
mod table;
mod tenant;
mod writes;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use ours::Run;
use peers::{Peer, Tools};
use table::{Judged, kib, median};
use tenant::Size;

/// What is measured, and in which order.
const PARTS: [&str; 6] = ["quota", "peers", "memory", "idle", "planning", "start"];
/// Turns after `Retired` before the memory of an idle process is read.
const IDLE_TURNS: usize = 10;

struct Plan {
    parts: BTreeSet<String>,
    rounds: usize,
    groups: usize,
    users: usize,
    peer_users: usize,
}

impl Plan {
    fn read() -> Result<Self> {
        let parts = std::env::var("UNSCIM_BENCH_PARTS").unwrap_or_else(|_| PARTS.join(","));
        let parts: BTreeSet<String> = parts.split(',').map(|part| part.trim().to_owned()).collect();
        if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
            bail!("UNSCIM_BENCH_PARTS names {unknown:?}; the parts are {}", PARTS.join(", "));
        }
        Ok(Plan {
            parts,
            rounds: number("UNSCIM_BENCH_ROUNDS", 5)?,
            groups: number("UNSCIM_BENCH_GROUPS", 20)?,
            users: number("UNSCIM_BENCH_USERS", 10_000)?,
            peer_users: number("UNSCIM_BENCH_PEER_USERS", 1_000)?,
        })
    }

    fn has(&self, part: &str) -> bool {
        self.parts.contains(part)
    }
}

pub fn number(name: &str, otherwise: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => bail!("{name} is {text:?}; it must be a number above 0"),
        },
        Err(_) => Ok(otherwise),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo test --all-targets` runs it too, and means no benchmark.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run it with `cargo bench --bench quota`");
        return ExitCode::SUCCESS;
    }
    match measure().await {
        Ok(judged) => {
            println!("## Bars\n\n{}", Judged::table(&judged));
            let missed = judged.iter().any(|one| !one.is_held());
            let strict = std::env::var("UNSCIM_BENCH_STRICT").is_ok_and(|value| value == "1");
            if missed && strict { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("the benchmark itself failed: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn measure() -> Result<Vec<Judged>> {
    let plan = Plan::read()?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# unscim, measured on {cores} cores, {} rounds, medians\n", plan.rounds);
    let mut judged = Vec::new();
    if plan.has("start") {
        judged.push(start::measure(plan.rounds, plan.groups).await?);
    }
    if plan.has("planning") {
        judged.push(planning::measure(plan.rounds)?);
    }
    if plan.has("peers") || plan.has("idle") {
        judged.extend(beside_peers(&plan).await?);
    }
    if plan.has("quota") {
        judged.extend(against_quota(&plan).await?);
    }
    if plan.has("memory") {
        judged.push(memory::measure().await?);
    }
    Ok(judged)
}

/// The large tenant: here the quota is what takes the time.
async fn against_quota(plan: &Plan) -> Result<Vec<Judged>> {
    let size = Size::new(plan.users, plan.groups);
    let tools = if plan.has("peers") { Some(Tools::install().await?) } else { None };
    let (mut runs, mut others) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        eprintln!("quota, round {round} of {}: {} users", plan.rounds, size.users);
        let run = ours::run(size, 2).await.context("unscim")?;
        eprintln!("unscim: {:.1} s with writes pending, {:.1} s at least", run.pending(), run.bound());
        runs.push(run);
        if let Some(tools) = &tools {
            for peer in Peer::ALL.into_iter().filter(|peer| peer.tuned) {
                others.push((peer, peers::run(tools, peer, size).await.with_context(|| peer.to_string())?));
            }
        }
    }
    println!("## {} users, {} groups\n\n{}", size.users, size.groups, ours::table_of(&runs));
    if tools.is_some() {
        println!("{}", peers::table_of(&runs, &others));
    }
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(value));
    let mut judged = Vec::new();
    if of(Run::bound) > 0.0 {
        let ratio = |run: &Run| run.pending() / run.bound();
        let what = "time with writes pending / the quota's lower bound";
        judged.push(Judged::new(what, 1.05, median(runs.iter().map(ratio)), ""));
    } else {
        println!("The bucket holds more than any step writes: there is no lower bound to compare with.\n");
    }
    judged.extend([
        Judged::new("Graph round trips per converted user, looks and waiting included", 0.15, of(Run::trips_per_user), ""),
        Judged::new("429s after the first", 0.0, of(|run| run.refused_later as f64), ""),
        Judged::new("Graph round trips of a turn with nothing to do", 40.0, of(Run::idle_trips), ""),
    ]);
    Ok(judged)
}

/// The small tenant, where a write after the other is bearable.
async fn beside_peers(plan: &Plan) -> Result<Vec<Judged>> {
    let size = Size::new(plan.peer_users, plan.groups);
    let tools = if plan.has("peers") { Some(Tools::install().await?) } else { None };
    let (mut runs, mut others) = (Vec::new(), Vec::new());
    for round in 1..=plan.rounds {
        eprintln!("side by side, round {round} of {}: {} users", plan.rounds, size.users);
        runs.push(ours::run(size, IDLE_TURNS).await.context("unscim")?);
        for peer in Peer::ALL {
            if let Some(tools) = &tools {
                others.push((peer, peers::run(tools, peer, size).await.with_context(|| peer.to_string())?));
            }
        }
    }
    if tools.is_some() {
        println!("## {} users, {} groups, side by side\n\n{}", size.users, size.groups, peers::table_of(&runs, &others));
    }
    let idle = median(runs.iter().map(|run| run.idle_memory as f64));
    let what = format!("memory, idle after `Retired` with {} users", size.users);
    Ok(vec![Judged::new(what, 24.0, kib(idle), "MiB")])
}
