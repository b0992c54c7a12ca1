//! The real daemon, from its first look to `Retired` and a little further, and what that took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use unscim::model::spec::Mode;

use crate::process::{Daemon, Turned};
use crate::table::{digits, median, table};
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
    /// Round trips to Graph until the last group was unassigned.
    pub trips_all: usize,
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
pub async fn run(size: Size, idle: usize) -> Result<Run> {
    let tenant = Tenant::start(size).await?;
    let config = tenant.config(Mode::Enforce)?;
    let begun = Instant::now();
    let until = begun + AT_MOST;
    let mut daemon = Daemon::start(&tenant, &config)?;
    let mut turns = Vec::new();
    let mut revoked = false;
    loop {
        let turned = daemon.turn(until).await?;
        let phase = turned.phase.clone();
        turns.push(turned);
        match phase.as_str() {
            "AwaitingRevocation" if !revoked => {
                tenant.practice().revoke_token()?;
                revoked = true;
            }
            "Retired" => break,
            _ => {}
        }
    }
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
    let within = |from: Instant, to: Instant| arrived.iter().filter(|arrived| (from..=to).contains(arrived)).count();
    let nothing_written = |pair: &[Turned]| pair[0].writes == pair[1].writes;
    let cost = |pair: &[Turned]| (pair[1].trips - pair[0].trips, pair[1].asked - pair[0].asked);
    let whole = |pair: &[Turned]| pair[1].memberships as usize >= size.memberships() && pair[1].assigned as usize >= size.users;
    let run = Run {
        users: size.users,
        until_retired,
        trips: within(begun, at(1).1),
        trips_pending: within(at(0).0, at(0).1) + within(at(1).0, at(1).1),
        trips_all: within(begun, at(2).1),
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

pub fn table_of(runs: &[Run]) -> String {
    let rows = STEPS.iter().enumerate().map(|(n, name)| {
        let of = |value: fn(&Step) -> f64| digits(median(runs.iter().map(|run| value(&run.steps[n]))));
        let plain = digits(median(runs.iter().map(|run| run.steps[n].accepted as f64 / rate())));
        vec![(*name).to_owned(), of(|s| s.accepted as f64), of(|s| s.refused as f64), of(|s| s.took), of(|s| s.bound), plain]
    });
    let of = |value: fn(&Run) -> f64| digits(median(runs.iter().map(value)));
    let notes = [
        ("time with writes pending", of(Run::pending), "s"),
        ("the quota's lower bound for it", of(Run::bound), "s"),
        ("start to `Retired`, cycles and settling included", of(|run| run.until_retired), "s"),
        ("Graph round trips until the last removal", of(|run| run.trips as f64), ""),
        ("of them with writes pending", of(|run| run.trips_pending as f64), ""),
        ("Graph round trips of a turn with nothing to do", of(Run::idle_trips), ""),
        ("requests in them, batches item by item", of(Run::idle_asked), ""),
        ("Graph round trips of the costliest turn without a write", of(|run| run.costliest as f64), ""),
        ("Graph round trips of a turn after `Retired`", of(Run::retired_trips), ""),
        ("SCIM round trips until `Retired`", of(|run| run.scim as f64), ""),
        ("peak memory", of(|run| run.peak as f64 / 1024.0), "MiB"),
    ];
    let notes = notes.map(|(what, value, unit)| vec![what.to_owned(), format!("{value} {unit}").trim_end().to_owned()]);
    let head = ["step", "writes", "429s", "first to last, s", "bound after a rest, s", "writes / rate, s"];
    format!("{}\n{}", table(&head, rows), table(&["unscim", "median"], notes))
}
