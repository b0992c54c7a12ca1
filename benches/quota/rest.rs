//! A turn that finds nothing to do: what it takes of a processor, and what it asks.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use unscim::model::spec::Mode;

use crate::builds::{Builds, Each};
use crate::median::median;
use crate::number;
use crate::process::{Daemon, Turned};
use crate::table::{Bar, Judged};
use crate::tenant::{Size, Tenant};

/// No single turn takes longer.
const TURN: Duration = Duration::from_secs(3600);
/// Seconds.
const CPU: f64 = 0.25;

/// Medians of a few turns.
pub struct Rest {
    pub cpu: f64,
    /// Round trips to Graph, requests to it, and requests to the app.
    pub trips: f64,
    pub asked: f64,
    pub scim: f64,
}

impl Rest {
    pub fn judged(which: &str, of: impl Fn(fn(&Rest) -> f64) -> Each<f64>, allowed: f64) -> [Judged; 2] {
        let what = format!("a turn at rest, {which}");
        [
            Judged::new(format!("{what}: time of a processor"), Bar::AtMost(CPU), of(|rest| rest.cpu), "s"),
            Judged::new(format!("{what}: Graph round trips"), Bar::AtMost(allowed), of(|rest| rest.trips), ""),
        ]
    }
}

/// A request for 999 rows of the app, one for 20 groups, and five.
pub fn allowed(rows: usize, groups: usize) -> f64 {
    (rows.div_ceil(999) + groups.div_ceil(20) + 5) as f64
}

/// The next turns, from the end of one to the end of the next.
pub async fn at_rest(daemon: &mut Daemon, turns: usize) -> Result<Rest> {
    let mut all = vec![daemon.turn(Instant::now() + TURN).await?];
    for _ in 0..turns {
        all.push(daemon.turn(Instant::now() + TURN).await?);
    }
    let of = |value: &dyn Fn(&Turned) -> f64| median(all.windows(2).map(|pair| value(&pair[1]) - value(&pair[0])));
    Ok(Rest {
        cpu: of(&|turned| turned.cpu),
        trips: of(&|turned| turned.trips as f64),
        asked: of(&|turned| turned.asked as f64),
        scim: of(&|turned| turned.scim as f64),
    })
}

/// Nothing was written yet, and everybody is in their groups.
pub async fn measure(builds: &Builds, rounds: usize) -> Result<Vec<Judged>> {
    let users = number("UNSCIM_BENCH_MEMORY_USERS", 100_000)?;
    let groups = number("UNSCIM_BENCH_MEMORY_GROUPS", 500)?;
    let size = Size { each_in: 2, latency: Duration::ZERO, ..Size::new(users, groups) };
    let mut rests = builds.lists();
    for (build, rests) in builds.with(&mut rests) {
        eprintln!("at rest, {}: {users} users", build.name);
        let tenant = Tenant::start(size).await?;
        let config = tenant.config(Mode::Observe)?;
        let mut daemon = Daemon::start(build, &tenant, &config)?;
        // What is looked at only once.
        daemon.turn(Instant::now() + TURN).await.context(build.name)?;
        let rest = at_rest(&mut daemon, rounds).await?;
        println!(
            "At rest, {}, {users} users in `Observe`: {:.2} s of a processor, {} round trips to Graph with {} requests, {} requests to the app.\n",
            build.name, rest.cpu, rest.trips, rest.asked, rest.scim
        );
        rests.push(rest);
        daemon.stop().await?;
        tenant.close().await?;
    }
    let of = |value: fn(&Rest) -> f64| rests.median(value);
    Ok(Rest::judged(&format!("`Observe`, {users} users"), of, allowed(groups, groups)).into())
}
