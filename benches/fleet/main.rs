//! What the operator costs with a thousand retirements, on a real API server, beside workers that only tell their status.
//!
//! `checks/cluster --bench`; `benches/README.md` says what the figures mean.

#[path = "../../tests/cluster/audit.rs"]
mod audit;
#[allow(dead_code, reason = "the cases of tests/cluster use all of it")]
#[path = "../../tests/cluster/chart.rs"]
mod chart;
#[allow(dead_code, reason = "the cases of tests/cluster use all of it")]
#[path = "../../tests/cluster/control_plane.rs"]
mod control_plane;
#[path = "../quota/median.rs"]
mod median;
#[allow(dead_code, reason = "the cases of tests/cluster use all of it")]
#[path = "../../tests/cluster/objects.rs"]
mod objects;
mod operator;
#[path = "../proc.rs"]
mod proc;
mod requests;
mod workers;

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, ListParams};
use unscim::model::status::Phase;
use unscim::operator::resource::ScimRetirement;
use unscim::operator::worker::objects::Kind;

use control_plane::ControlPlane;
use median::median;
use objects::until;
use operator::Operator;
use workers::{NAMESPACE, Workers, name};

const LONG: Duration = Duration::from_secs(600);
/// Between two looks at what is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// Changes of phase in each round.
const CHANGES: usize = 15;
/// Quiet before anything is measured.
const SETTLED: Duration = Duration::from_secs(20);
/// In place of an hour.
const SOON: Duration = Duration::from_secs(120);

fn number(name: &str, otherwise: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a number")),
        Err(_) => otherwise,
    }
}

#[tokio::main]
async fn main() {
    let (count, rounds) = (number("UNSCIM_BENCH_RETIREMENTS", 1000), number("UNSCIM_BENCH_ROUNDS", 5));
    // A worker that is heard is written down once in this time.
    let rest = Duration::from_secs(number("UNSCIM_BENCH_REST_SECONDS", 1500) as u64);
    let folder = tempfile::tempdir().expect("a folder");
    let flags = audit::flags(folder.path());
    let plane = ControlPlane::start(folder, flags).await;
    chart::install(&plane).await;
    let client = plane.client().await;
    workers::namespace(&client).await;
    plane.stop_controllers();
    eprintln!("{count} resources");
    let fleet = Workers::apply(&client, count).await;
    let first = Operator::start(&plane, &[]);
    until_all(&client, "every object is applied, and so every resource has a status", count, |resource| {
        resource.status.is_some()
    })
    .await;
    fleet.run(&client).await;
    first.until_heard(count).await;
    drop(first);

    let (mut starts, mut seen, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = None;
    for round in 1..=rounds {
        drop(last.take());
        let begun = Instant::now();
        let operator = Operator::start(&plane, &[]);
        operator.until_heard(count).await;
        starts.push(begun.elapsed().as_secs_f64());
        tokio::time::sleep(SETTLED).await;
        seen.push(median(visible(&client, &fleet, round).await));
        peaks.push(operator.peak());
        eprintln!(
            "round {round}: start {:.1} s, phase {:.2} s, peak {:.1} MiB",
            starts[round - 1],
            seen[round - 1],
            peaks[round - 1]
        );
        last = Some(operator);
    }
    let operator = last.expect("a round");
    eprintln!("at rest, {} s", rest.as_secs());
    let (from, cpu) = (requests::count(plane.folder.path()), operator.cpu());
    tokio::time::sleep(rest).await;
    let asked = requests::count(plane.folder.path()) - from;
    let share = (operator.cpu() - cpu) / rest.as_secs_f64();
    let peak = median(peaks).max(operator.peak());
    drop(operator);
    eprintln!("every object applied once more");
    let (applied, cost) = applied_once_more(&plane, count, share).await;
    let hour = (asked.in_an_hour(rest) + applied as f64) / count as f64;
    let share = (share + cost / 3600.0) * 100.0;

    println!("| with {count} retirements | bar | measured |\n|---|---|---|");
    for (what, bar, measured, unit) in [
        ("operator's peak memory", 64.0, peak, "MiB"),
        ("CPU at rest, of one core", 2.0, share, "%"),
        ("requests to the API server at rest, of a retirement in an hour", 12.0, hour, ""),
        ("a worker's phase until `kubectl get` shows it, median", 2.0, median(seen), "s"),
        ("start until all are reconciled and heard", 30.0, median(starts), "s"),
    ] {
        println!("| {what} | ≤ {bar} {unit} | {measured:.2} {unit}{} |", if measured <= bar { "" } else { " **missed**" });
    }
}

/// What by default is done once in an hour: how many requests that is, and how many seconds of a processor it takes beside the share that it takes
/// at rest.
async fn applied_once_more(plane: &ControlPlane, count: usize, at_rest: f64) -> (usize, f64) {
    let operator = Operator::start(plane, &[&format!("--resync={}s", SOON.as_secs())]);
    operator.until_heard(count).await;
    let (begun, from, cpu) = (Instant::now(), requests::count(plane.folder.path()), operator.cpu());
    let all = async || {
        let applied = (requests::count(plane.folder.path()) - from).applied;
        (applied >= count * Kind::ALL.len()).then_some(applied)
    };
    tokio::time::sleep(SOON).await;
    let applied = until("every object is applied once more", LONG, all).await;
    (applied, operator.cpu() - cpu - at_rest * begun.elapsed().as_secs_f64())
}

/// How long each of some changes of a worker's phase takes until the resource has it, one after the other.
async fn visible(client: &Client, fleet: &Workers, round: usize) -> Vec<f64> {
    let api: Api<ScimRetirement> = Api::namespaced(client.clone(), NAMESPACE);
    let phase = [Phase::EmptyingGroups, Phase::AwaitingCycle][round % 2];
    let mut took = Vec::new();
    for change in 0..CHANGES {
        let number = change * fleet.len() / CHANGES;
        let begun = Instant::now();
        fleet.turn(number, phase);
        let shown = async || {
            let found = api.get(&name(number)).await.ok()?.status?.phase?;
            (found == phase.as_str()).then_some(())
        };
        while shown().await.is_none() {
            assert!(begun.elapsed() < LONG, "{} is never {phase}", name(number));
            tokio::time::sleep(LOOK).await;
        }
        took.push(begun.elapsed().as_secs_f64());
    }
    took
}

/// Until so many resources are as they are to be.
async fn until_all(client: &Client, what: &str, count: usize, is: impl Fn(&ScimRetirement) -> bool) {
    let api: Api<ScimRetirement> = Api::namespaced(client.clone(), NAMESPACE);
    let all = async || {
        let found = api.list(&ListParams::default()).await.ok()?.items;
        (found.iter().filter(|resource| is(resource)).count() >= count).then_some(())
    };
    until(what, LONG, all).await;
}
