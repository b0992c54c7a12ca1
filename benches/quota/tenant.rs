//! A practice tenant behind a slow network that counts what passes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode};
use jiff::Timestamp;
use tempfile::TempDir;
use unscim::cli::practice::Served;
use unscim::model::id::GroupId;
use unscim::model::spec::Mode;
use unscim::practice::Practice;
use unscim::practice::scenario::{Quota, Quotas, Scenario, SecondGroup};

/// Virtual seconds per second: every quota is so many times larger.
pub const SPEED: f64 = 20.0;
/// The same where a run is told by the tenant's own time, and nothing of it by ours.
const FAST: f64 = 100.0;
const MINUTE: Duration = Duration::from_secs(60);
/// No batch is longer.
const MAX_BODY: usize = 4 << 20;
/// Of every HTTP request, there and back.
pub const LATENCY: Duration = Duration::from_millis(40);
/// The service's own quotas, in virtual time.
pub const WRITES: Quota = Quota { amount: 3_000, per: Duration::from_secs(150) };
const RESOURCE_UNITS: Quota = Quota { amount: 8_000, per: Duration::from_secs(10) };

/// How long cycles and settling take, by the tenant's time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Waiting is not what is measured.
    Short,
    /// As the service has them, and the config where nobody sets it.
    Service,
}

#[derive(Clone, Copy)]
pub struct Size {
    pub users: usize,
    pub groups: usize,
    /// Every user is in this many groups.
    pub each_in: usize,
    pub latency: Duration,
    pub waits: Waits,
    /// The write quota is so many times the service's.
    pub quota: u32,
    /// Groups of the first wave; none: everything at once.
    pub wave: usize,
}

impl Size {
    pub fn new(users: usize, groups: usize) -> Self {
        Size { users, groups, each_in: 1, latency: LATENCY, waits: Waits::Short, quota: 1, wave: 0 }
    }

    /// Virtual seconds per second.
    pub fn speed(self) -> f64 {
        if self.waits == Waits::Short { SPEED } else { FAST }
    }

    pub fn memberships(self) -> usize {
        self.users * self.each_in
    }
}

/// What went over the wire.
#[derive(Default)]
pub struct Wire {
    /// When each request to Graph arrived, and whether it writes; a batch is one.
    pub graph: Vec<(Instant, bool)>,
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
        let service = Scenario::default();
        let waits = match size.waits {
            Waits::Short => [3 * MINUTE, MINUTE / 2, MINUTE / 2],
            Waits::Service => [service.cycle_interval, service.cycle_length, service.log_latency],
        };
        let times = |quota: Quota| Quota { amount: quota.amount * size.quota, ..quota };
        let scenario = Scenario {
            speed: size.speed(),
            users: size.users,
            groups: size.groups,
            cycle_interval: waits[0],
            cycle_length: waits[1],
            log_latency: waits[2],
            quotas: Quotas { writes: Some(times(WRITES)), resource_units: Some(times(RESOURCE_UNITS)), reports: None },
            // Groups at an even distance have the same role.
            second_group: SecondGroup { every: size.each_in - 1, distance: 2 },
            direct_users: [].into(),
            disabled_users: [].into(),
            guests: [].into(),
            ..service
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

    /// A config without limits but the quota and, for all but waves, without a canary: neither is what is measured.
    pub fn config(&self, mode: Mode) -> Result<PathBuf> {
        let size = self.size;
        let path = self.served.write_config(self.folder(), size.speed(), mode)?;
        let (users, memberships) = (2 * size.users, 2 * size.memberships());
        let rollout = match self.practice().ids().groups.split_at(size.wave) {
            ([], _) => "AllAtOnce".to_owned(),
            (wave, rest) => {
                let ids = |groups: &[GroupId]| groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let rest = if rest.is_empty() { String::new() } else { format!(", [{}]", ids(rest)) };
                format!("\n    waves: [[{}]{rest}]", ids(wave))
            }
        };
        let limits = format!(
            "  rollout: {rollout}\n  limits:\n    maxGroups: {}\n    maxUsers: {users}\n    maxMemberRemovals: {memberships}\n",
            size.groups
        );
        edit(&path, "  limits:\n", &limits)?;
        edit(&path, "writeQuota: 3000/", &format!("writeQuota: {}/", WRITES.amount * size.quota))?;
        match size.waits {
            Waits::Short => edit(&path, "  timing:\n", "  provisioning:\n    cycleMargin: 3m\n  timing:\n    settle: 2m\n")?,
            // Five minutes of the tenant's: ours pass as they do.
            Waits::Service => edit(&path, "readInterval: 600ms", "readInterval: 3s")?,
        }
        Ok(path)
    }

    /// By our clock.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let (now, virtual_now) = (Instant::now(), self.practice().now());
        let ago = Duration::try_from(virtual_now.duration_since(at)).unwrap_or_default();
        now.checked_sub(ago.div_f64(self.size.speed())).unwrap_or(now)
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

/// Whether a request to Graph writes; Graph looks objects up by POST too.
fn writes(method: &Method, path: &str, body: &[u8]) -> bool {
    let says = |word: &str| body.windows(word.len()).any(|part| part == word.as_bytes());
    match path {
        "/v1.0/$batch" => says("\"DELETE\"") || (says("\"POST\"") && !says("getByIds")),
        "/v1.0/directoryObjects/getByIds" => false,
        _ => method != Method::GET,
    }
}

async fn pass(State((wire, latency)): State<(Shared, Duration)>, request: Request, next: Next) -> Response {
    let now = Instant::now();
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    {
        let mut wire = lock(&wire);
        wire.first.get_or_insert(now);
        match head.uri.path() {
            path if path.starts_with("/v1.0/") => wire.graph.push((now, writes(&head.method, path, &body))),
            path if path.starts_with("/scim/") => wire.scim += 1,
            _ => wire.tokens += 1,
        }
    }
    if !latency.is_zero() {
        tokio::time::sleep(latency / 2).await;
    }
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    if !latency.is_zero() {
        tokio::time::sleep(latency / 2).await;
    }
    lock(&wire).last_answer = Some(Instant::now());
    response
}
