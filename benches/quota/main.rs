//! How fast a retirement goes, against what Graph's write quota allows, and beside Microsoft's own clients.
//!
//! `cargo bench --bench quota`; `benches/README.md` says what the parts are and what the figures mean.

mod beyond;
mod builds;
mod compile;
mod median;
mod memory;
mod ours;
mod peers;
mod planning;
#[path = "../proc.rs"]
mod proc;
mod process;
mod rest;
mod start;
mod table;
mod tenant;
mod whole;
mod writes;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use builds::Builds;
use ours::Run;
use peers::{Cost, Peer, Tools};
use table::{Bar, Judged, kib};
use tenant::Size;

/// What is measured where nobody says what.
const PARTS: [&str; 8] = ["quota", "peers", "memory", "idle", "planning", "start", "rest", "beyond"];
/// What takes so long that somebody has to ask for it.
const LONG: [&str; 2] = ["million", "build"];
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
        let all = [&PARTS[..], &LONG[..]].concat();
        if let Some(unknown) = parts.iter().find(|part| !all.contains(&part.as_str())) {
            bail!("UNSCIM_BENCH_PARTS names {unknown:?}; the parts are {}", all.join(", "));
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
            let missed = judged.iter().any(Judged::is_missed);
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
    let (plan, builds) = (Plan::read()?, Builds::find().await?);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# unscim, measured on {cores} cores, {} rounds, medians\n", plan.rounds);
    let mut judged = Vec::new();
    if plan.has("start") {
        judged.push(start::measure(&builds, plan.rounds, plan.groups).await?);
    }
    if plan.has("planning") {
        judged.push(planning::measure(&builds, plan.rounds).await?);
    }
    if plan.has("peers") || plan.has("idle") {
        judged.extend(beside_peers(&plan, &builds).await?);
    }
    if plan.has("quota") {
        judged.extend(against_quota(&plan, &builds).await?);
    }
    if plan.has("beyond") {
        judged.push(whole::measure(&builds, plan.rounds, plan.groups).await?);
    }
    if plan.has("rest") {
        judged.extend(rest::measure(&builds, plan.rounds).await?);
    }
    if plan.has("memory") {
        judged.extend(memory::measure(&builds).await?);
    }
    if plan.has("million") {
        judged.push(memory::million(&builds).await?);
    }
    if plan.has("build") {
        judged.extend(compile::measure(&builds, plan.rounds).await?);
    }
    Ok(judged)
}

/// The large tenant: here the quota is what takes the time.
async fn against_quota(plan: &Plan, builds: &Builds) -> Result<Vec<Judged>> {
    let size = Size::new(plan.users, plan.groups);
    let tools = if plan.has("peers") { Some(Tools::install().await?) } else { None };
    let (mut runs, mut others) = (builds.lists::<Run>(), Vec::new());
    for round in 1..=plan.rounds {
        eprintln!("quota, round {round} of {}: {} users", plan.rounds, size.users);
        for (build, runs) in builds.with(&mut runs) {
            let run = ours::run(build, size, 2).await.context(build.name)?;
            eprintln!("{}: {:.1} s with writes pending, {:.1} s at least", build.name, run.pending(), run.bound());
            runs.push(run);
        }
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
    let mut judged = Vec::new();
    if runs.median(Run::bound).now > 0.0 {
        let ratio = runs.median(|run| run.pending() / run.bound());
        judged.push(Judged::new("time with writes pending / the quota's lower bound", Bar::AtMost(1.05), ratio, ""));
    } else {
        println!("The bucket holds more than any step writes: there is no lower bound to compare with.\n");
    }
    if tools.is_some() {
        let what = format!("time with writes pending, {} users; 0.62 × the fastest tuned client", size.users);
        judged.push(Judged::new(what, Bar::AtMost(0.62 * pending(&others)), runs.median(Run::pending), "s"));
    }
    let trips = "Graph round trips per converted user, looks and waiting included";
    judged.extend([
        Judged::new(trips, Bar::AtMost(0.15), runs.median(Run::trips_per_user), ""),
        Judged::new("429s after the first", Bar::AtMost(0.0), runs.median(|run| run.refused_later as f64), ""),
        Judged::new("Graph round trips of a turn with nothing to do", Bar::AtMost(40.0), runs.median(Run::idle_trips), ""),
    ]);
    Ok(judged)
}

fn pending(others: &[(Peer, Cost)]) -> f64 {
    peers::least(others, |cost| cost.pending)
}

/// The small tenant, where a write after the other is bearable.
async fn beside_peers(plan: &Plan, builds: &Builds) -> Result<Vec<Judged>> {
    let size = Size::new(plan.peer_users, plan.groups);
    let tools = if plan.has("peers") { Some(Tools::install().await?) } else { None };
    let (mut runs, mut others) = (builds.lists::<Run>(), Vec::new());
    for round in 1..=plan.rounds {
        eprintln!("side by side, round {round} of {}: {} users", plan.rounds, size.users);
        for (build, runs) in builds.with(&mut runs) {
            runs.push(ours::run(build, size, IDLE_TURNS).await.context(build.name)?);
        }
        for peer in Peer::ALL {
            if let Some(tools) = &tools {
                others.push((peer, peers::run(tools, peer, size).await.with_context(|| peer.to_string())?));
            }
        }
    }
    let idle = format!("memory, idle after `Retired` with {} users", size.users);
    let mut judged = vec![Judged::new(idle, Bar::OfBefore(0.5), runs.median(|run| kib(run.idle_memory as f64)), "MiB")];
    if tools.is_some() {
        println!("## {} users, {} groups, side by side\n\n{}", size.users, size.groups, peers::table_of(&runs, &others));
        let beside = |what: &str, share: f64| format!("{what}, {} users; {share} × the best tuned client", size.users);
        let (writing, trips) =
            (peers::least(&others, |cost| cost.writing as f64), peers::least(&others, |cost| cost.trips as f64));
        judged.extend([
            Judged::new(beside("time with writes pending", 1.0), Bar::AtMost(pending(&others)), runs.median(Run::pending), "s"),
            Judged::new(
                beside("Graph round trips that write", 1.0),
                Bar::AtMost(writing),
                runs.median(|run| run.trips_writing as f64),
                "",
            ),
            Judged::new(
                beside("all Graph round trips", 1.5),
                Bar::AtMost(1.5 * trips),
                runs.median(|run| run.trips_all as f64),
                "",
            ),
        ]);
    }
    Ok(judged)
}
