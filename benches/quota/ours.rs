//! The real daemon, from its first look to `Retired` and a little further, and what that took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;
use unscim::model::spec::Mode;

use crate::beyond::{Events, beyond};
use crate::builds::{Build, Each};
use crate::median::median;
use crate::process::{Daemon, Turned};
use crate::table::{digits, of_each, table};
use crate::tenant::{Size, Tenant};
use crate::writes::{STEPS, Step, rate, refused_later, steps};

/// No run takes longer; a stuck one is a defect.
const AT_MOST: Duration = Duration::from_secs(2 * 3600);

pub struct Run {
    pub steps: [Step; 3],
    users: usize,
    pub until_retired: f64,
    /// Round trips to Graph from the start to the last removal.
    pub trips: usize,
    /// Of them, those within the steps that they belong to.
    pub trips_pending: usize,
    /// Round trips to Graph until the last group was unassigned, and those of them that wrote.
    pub trips_all: usize,
    pub trips_writing: usize,
    /// Percent from start to `Retired` beyond what cycles, settling and quota ask for.
    pub beyond: f64,
    pub scim: u64,
    pub refused_later: usize,
    /// Round trips and requests of turns that wrote nothing while all memberships were there.
    idle: Vec<(u64, u64)>,
    retired: Vec<(u64, u64)>,
    /// Round trips of the costliest turn that wrote nothing.
    pub costliest: u64,
    /// KiB.
    pub peak: u64,
    pub idle_memory: u64,
}

impl Run {
    /// Real seconds with writes pending.
    pub fn pending(&self) -> f64 {
        self.steps.iter().map(|step| step.took).sum()
    }

    pub fn bound(&self) -> f64 {
        self.steps.iter().map(|step| step.bound).sum()
    }

    pub fn refused(&self) -> usize {
        self.steps.iter().map(|step| step.refused).sum()
    }

    pub fn trips_per_user(&self) -> f64 {
        self.trips as f64 / self.users as f64
    }

    pub fn idle_trips(&self) -> f64 {
        median(self.idle.iter().map(|(trips, _)| *trips as f64))
    }

    pub fn idle_asked(&self) -> f64 {
        median(self.idle.iter().map(|(_, asked)| *asked as f64))
    }

    pub fn retired_trips(&self) -> f64 {
        median(self.retired.iter().map(|(trips, _)| *trips as f64))
    }
}

/// `idle`: turns after `Retired`.
pub async fn run(build: &Build, size: Size, idle: usize) -> Result<Run> {
    let tenant = Tenant::start(size).await?;
    let config = tenant.config(Mode::Enforce)?;
    let (begun, started) = (Instant::now(), tenant.practice().now());
    let until = begun + AT_MOST;
    let mut daemon = Daemon::start(build, &tenant, &config)?;
    let mut turns: Vec<Turned> = Vec::new();
    let (mut revoked, mut asked_for, mut cycle) = (false, started, started);
    let retired = loop {
        let turned = daemon.turn(until).await?;
        let (phase, at) = (turned.phase.clone(), turned.at);
        turns.push(turned);
        match phase.as_str() {
            "AwaitingRevocation" if !revoked => {
                tenant.practice().revoke_token()?;
                (revoked, asked_for) = (true, at);
                // Once it is retired, nobody looks at the job any more.
                cycle = a_cycle(&mut daemon).await?;
            }
            "Retired" => break at,
            _ => {}
        }
    };
    let (until_retired, peak, retired_at) = (begun.elapsed().as_secs_f64(), daemon.memory("VmHWM")?, turns.len());
    for _ in 0..idle {
        turns.push(daemon.turn(until).await?);
    }
    let idle_memory = daemon.memory("VmRSS")?;
    daemon.stop().await?;
    tenant.check()?;

    let writes = tenant.practice().writes();
    let steps = steps(&writes);
    ensure!(steps[0].accepted >= size.users && steps[1].accepted >= size.memberships(), "writes are missing: {steps:?}");
    let arrived = tenant.wire().graph.clone();
    let at = |n: usize| (tenant.instant(steps[n].first), tenant.instant(steps[n].last));
    let within = |from: Instant, to: Instant| arrived.iter().filter(|(at, _)| (from..=to).contains(at)).count();
    let events = Events { started, asked_for, retired, cycle };
    let nothing_written = |pair: &[Turned]| pair[0].writes == pair[1].writes;
    let cost = |pair: &[Turned]| (pair[1].trips - pair[0].trips, pair[1].asked - pair[0].asked);
    let whole = |pair: &[Turned]| pair[1].memberships as usize >= size.memberships() && pair[1].assigned as usize >= size.users;
    let run = Run {
        users: size.users,
        until_retired,
        trips: within(begun, at(1).1),
        trips_pending: within(at(0).0, at(0).1) + within(at(1).0, at(1).1),
        trips_all: within(begun, at(2).1),
        trips_writing: arrived.iter().filter(|(arrived, writes)| *writes && *arrived <= at(2).1).count(),
        beyond: beyond(&events, &steps, size.waits),
        scim: tenant.wire().scim,
        refused_later: refused_later(&writes),
        idle: turns.windows(2).filter(|pair| nothing_written(pair) && whole(pair)).map(cost).collect(),
        costliest: turns.windows(2).filter(|pair| nothing_written(pair)).map(|pair| cost(pair).0).max().unwrap_or_default(),
        retired: turns[retired_at - 1..].windows(2).map(cost).collect(),
        peak,
        idle_memory,
        steps,
    };
    ensure!(!run.idle.is_empty(), "there was no turn with nothing to do");
    tenant.close().await.context("the tenant")?;
    Ok(run)
}

/// When some cycle began; all of them do so at the same distance.
async fn a_cycle(daemon: &mut Daemon) -> Result<Timestamp> {
    let url = format!("http://{}/status", daemon.address().await?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let status: Value = serde_json::from_slice(&client.get(url).send().await?.bytes().await?)?;
    let began = status["status"]["cycle"]["lastBegan"].as_str().context("the status tells of no cycle")?;
    Ok(began.parse()?)
}

type Figure = fn(&Run) -> f64;

/// The present build step by step, and both as a whole.
pub fn table_of(runs: &Each<Vec<Run>>) -> String {
    let rows = STEPS.iter().enumerate().map(|(n, name)| {
        let of = |value: fn(&Step) -> f64| digits(median(runs.now.iter().map(|run| value(&run.steps[n]))));
        let plain = digits(median(runs.now.iter().map(|run| run.steps[n].accepted as f64 / rate())));
        vec![(*name).to_owned(), of(|s| s.accepted as f64), of(|s| s.refused as f64), of(|s| s.took), of(|s| s.bound), plain]
    });
    let whole: [(&str, Figure); 11] = [
        ("time with writes pending, s", Run::pending),
        ("the quota's lower bound for it, s", Run::bound),
        ("start to `Retired`, cycles and settling included, s", |run| run.until_retired),
        ("Graph round trips until the last removal", |run| run.trips as f64),
        ("of them with writes pending", |run| run.trips_pending as f64),
        ("Graph round trips of a turn with nothing to do", Run::idle_trips),
        ("requests in them, batches item by item", Run::idle_asked),
        ("Graph round trips of the costliest turn without a write", |run| run.costliest as f64),
        ("Graph round trips of a turn after `Retired`", Run::retired_trips),
        ("SCIM round trips until `Retired`", |run| run.scim as f64),
        ("peak memory, MiB", |run| run.peak as f64 / 1024.0),
    ];
    let builds = of_each(runs, |name, runs| {
        let figures = whole.map(|(_, value)| digits(median(runs.iter().map(value))));
        [name.to_owned()].into_iter().chain(figures).collect()
    });
    let notes = whole
        .iter()
        .enumerate()
        .map(|(n, (what, _))| [(*what).to_owned()].into_iter().chain(builds.iter().map(|of| of[n + 1].clone())).collect());
    let names: Vec<&str> = ["unscim, medians"].into_iter().chain(builds.iter().map(|of| of[0].as_str())).collect();
    let head = ["step", "writes", "429s", "first to last, s", "bound after a rest, s", "writes / rate, s"];
    format!("{}\n{}", table(&head, rows), table(&names, notes))
}
