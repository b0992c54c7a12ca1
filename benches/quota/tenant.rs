//! A practice tenant behind a slow network that counts what passes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use jiff::Timestamp;
use tempfile::TempDir;
use unscim::cli::practice::Served;
use unscim::model::spec::Mode;
use unscim::practice::Practice;
use unscim::practice::scenario::{Quota, Quotas, Scenario, SecondGroup};

/// Virtual seconds per second: every quota is so many times larger.
pub const SPEED: f64 = 20.0;
/// Of every HTTP request, there and back.
pub const LATENCY: Duration = Duration::from_millis(40);
/// The service's own quotas, in virtual time.
pub const WRITES: Quota = Quota { amount: 3_000, per: Duration::from_secs(150) };
const RESOURCE_UNITS: Quota = Quota { amount: 8_000, per: Duration::from_secs(10) };

#[derive(Clone, Copy)]
pub struct Size {
    pub users: usize,
    pub groups: usize,
    /// Every user is in this many groups.
    pub each_in: usize,
    pub latency: Duration,
}

impl Size {
    pub fn new(users: usize, groups: usize) -> Self {
        Size { users, groups, each_in: 1, latency: LATENCY }
    }

    pub fn memberships(self) -> usize {
        self.users * self.each_in
    }
}

/// What went over the wire.
#[derive(Default)]
pub struct Wire {
    /// When each request to Graph arrived; a batch is one.
    pub graph: Vec<Instant>,
    pub scim: u64,
    pub tokens: u64,
    pub first: Option<Instant>,
    pub last_answer: Option<Instant>,
}

type Shared = Arc<Mutex<Wire>>;

pub struct Tenant {
    served: Served,
    wire: Shared,
    size: Size,
    dir: TempDir,
}

impl Tenant {
    pub async fn start(size: Size) -> Result<Self> {
        let scenario = Scenario {
            speed: SPEED,
            users: size.users,
            groups: size.groups,
            // Shorter than the service's 40 minutes: waiting for cycles is not what is measured.
            cycle_interval: Duration::from_secs(3 * 60),
            cycle_length: Duration::from_secs(30),
            log_latency: Duration::from_secs(30),
            quotas: Quotas { writes: Some(WRITES), resource_units: Some(RESOURCE_UNITS), reports: None },
            // Groups at an even distance have the same role.
            second_group: SecondGroup { every: size.each_in - 1, distance: 2 },
            direct_users: [].into(),
            disabled_users: [].into(),
            guests: [].into(),
            ..Scenario::default()
        };
        let wire = Shared::default();
        let layer = from_fn_with_state((wire.clone(), size.latency), pass);
        let served = Served::start_behind(scenario, ([127, 0, 0, 1], 0).into(), |router| router.layer(layer)).await?;
        Ok(Tenant { served, wire, size, dir: tempfile::tempdir()? })
    }

    pub fn practice(&self) -> &Practice {
        &self.served.practice
    }

    pub fn root(&self) -> &str {
        &self.served.root
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn wire(&self) -> MutexGuard<'_, Wire> {
        lock(&self.wire)
    }

    pub fn watch(&self) -> (Shared, Practice) {
        (self.wire.clone(), self.practice().clone())
    }

    /// A config without limits but the quota, without a canary, with short waits: none of them is what is measured.
    pub fn config(&self, mode: Mode) -> Result<PathBuf> {
        let path = self.served.write_config(self.folder(), SPEED, mode)?;
        let (users, memberships) = (2 * self.size.users, 2 * self.size.memberships());
        let limits = format!(
            "  rollout: AllAtOnce\n  limits:\n    maxGroups: {}\n    maxUsers: {users}\n    maxMemberRemovals: {memberships}\n",
            self.size.groups
        );
        edit(&path, "  limits:\n", &limits)?;
        edit(&path, "  timing:\n", "  provisioning:\n    cycleMargin: 3m\n  timing:\n    settle: 2m\n")?;
        Ok(path)
    }

    /// By our clock.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let (now, virtual_now) = (Instant::now(), self.practice().now());
        let ago = Duration::try_from(virtual_now.duration_since(at)).unwrap_or_default();
        now.checked_sub(ago.div_f64(SPEED)).unwrap_or(now)
    }

    /// Nobody was hurt, and everybody is assigned directly.
    pub fn check(&self) -> Result<()> {
        let practice = self.practice();
        let moments = practice.out_of_scope_moments();
        ensure!(moments.is_empty(), "{} users dropped out of scope", moments.len());
        let forbidden = practice.forbidden_calls();
        ensure!(forbidden.is_empty(), "a forbidden call: {:?}", forbidden[0]);
        let scope = practice.scope();
        ensure!(practice.ids().users.iter().all(|user| scope.contains(user)), "somebody is not in scope");
        Ok(())
    }

    pub async fn close(self) -> Result<()> {
        self.served.close().await
    }
}

pub fn edit(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    ensure!(text.contains(from), "{from:?} is not in {}", path.display());
    std::fs::write(path, text.replacen(from, to, 1)).with_context(|| format!("writing {}", path.display()))
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(State((wire, latency)): State<(Shared, Duration)>, request: Request, next: Next) -> Response {
    {
        let mut wire = lock(&wire);
        let now = Instant::now();
        wire.first.get_or_insert(now);
        match request.uri().path() {
            path if path.starts_with("/v1.0/") => wire.graph.push(now),
            path if path.starts_with("/scim/") => wire.scim += 1,
            _ => wire.tokens += 1,
        }
    }
    if !latency.is_zero() {
        tokio::time::sleep(latency / 2).await;
    }
    let response = next.run(request).await;
    if !latency.is_zero() {
        tokio::time::sleep(latency / 2).await;
    }
    lock(&wire).last_answer = Some(Instant::now());
    response
}
