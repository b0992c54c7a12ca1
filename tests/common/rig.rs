//! A practice tenant and the real loop over the real clients, in one process and under tokio's paused clock.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use unscim::model::spec::*;
use unscim::practice::Practice;
use unscim::practice::scenario::Scenario;
use unscim::turn::{Carried, Leave, Turn, turn};
use unscim::world::connect::Outside;
use unscim::world::http::{Transport, Unobserved, in_process};
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Clock, Freeze};

pub const ROOT: &str = "http://127.0.0.1:9000";

/// Our clock, driven by tokio's; seconds that somebody has moved it by come on top.
#[derive(Clone)]
pub struct TokioClock {
    began: tokio::time::Instant,
    pub moved: Arc<AtomicI64>,
}

impl TokioClock {
    pub fn starting_now() -> TokioClock {
        TokioClock { began: tokio::time::Instant::now(), moved: Arc::default() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        // Far from the tenant's clock on purpose: nothing may compare the two.
        let start: Timestamp = "2031-05-05T05:05:05Z".parse().unwrap();
        let moved = SignedDuration::from_secs(self.moved.load(Ordering::SeqCst));
        start + SignedDuration::try_from(self.began.elapsed()).unwrap() + moved
    }
    fn steady(&self) -> Duration {
        self.began.elapsed()
    }
}

/// The operator's hand on the brake.
#[derive(Clone, Default)]
pub struct Hand(pub Arc<AtomicBool>);

impl Freeze for Hand {
    fn why(&self) -> Option<String> {
        self.0.load(Ordering::SeqCst).then(|| "somebody's hand is on the brake".into())
    }
}

pub struct Rig {
    pub hand: Hand,
    pub practice: Practice,
    pub spec: Spec,
    pub dir: TempDir,
    pub transport: Transport,
    pub world: Option<Outside<TokioClock, Hand>>,
    pub carried: Carried,
    pub stop: CancellationToken,
    pub clock: TokioClock,
    engine: CancellationToken,
}

pub fn spec_for(practice: &Practice, dir: &Path) -> Spec {
    let ids = practice.ids();
    let url = |path: &str| format!("{ROOT}{path}").parse().unwrap();
    std::fs::write(dir.join("client-secret"), practice.client_secret()).unwrap();
    std::fs::write(dir.join("scim-token"), practice.scim_token()).unwrap();
    Spec {
        name: "practice".into(),
        mode: Mode::Enforce,
        hold: Hold::None,
        approval: None,
        entra: Entra {
            cloud: Cloud::Public,
            tenant_id: ids.tenant,
            app: AppRef::ServicePrincipalId(ids.service_principal),
            job_id: None,
            credential: Credential::ClientSecret { client_id: ids.client, client_secret_file: dir.join("client-secret") },
            authority: url(""),
            graph: url(""),
            ca_file: None,
        },
        groups: Groups {
            select: Select::Listed,
            list: ids.groups.iter().map(|id| GroupEntry { id: *id, members: None }).collect(),
            empty_groups: EmptyGroups::Always,
            acknowledge: vec![Acknowledgement::TargetGroupContent],
        },
        roles: BTreeMap::new(),
        target: Target {
            profile: Profile::Uniqkey,
            scim_url: url("/scim/v2"),
            token_file: dir.join("scim-token"),
            match_by: MatchBy::UserName,
            match_from: None,
            read_interval: Duration::from_secs(300),
            revocation: Revocation {
                by: RevocationBy::Operator,
                webhook: None,
                confirmations: 3,
                confirm_every: Duration::from_secs(60),
            },
        },
        provisioning: Provisioning {
            settle_cycles: 1,
            verify_cycles: 2,
            scope_confirmed: None,
            cycle_margin: Duration::from_secs(600),
            cycle_timeout: Duration::from_secs(6 * 3600),
            log_read_interval: Duration::from_secs(300),
            afterwards: Afterwards::Leave,
        },
        released: BTreeSet::new(),
        released_records: BTreeSet::new(),
        rollout: Rollout::Canary,
        windows: None,
        limits: Limits {
            max_groups: 20,
            max_users: 5000,
            max_member_removals: 10_000,
            max_shrink: Percent(10),
            fights: 2,
            write_share: Percent(50),
            write_quota: Quota { amount: 3_000, per: Duration::from_secs(150) },
        },
        telemetry: Telemetry::default(),
        timing: Timing {
            interval: Duration::from_secs(60),
            settle: Duration::from_secs(300),
            request_timeout: Duration::from_secs(30),
        },
    }
}

impl Rig {
    pub async fn new(scenario: Scenario) -> Rig {
        let practice = Practice::new(scenario).await.expect("a practice tenant");
        practice.served_at(ROOT);
        let dir = tempfile::tempdir().unwrap();
        let spec = spec_for(&practice, dir.path());
        let engine = CancellationToken::new();
        tokio::spawn({
            let (practice, engine) = (practice.clone(), engine.clone());
            async move { practice.run(engine).await }
        });
        let transport = in_process(practice.router());
        Rig {
            hand: Hand::default(),
            practice,
            spec,
            dir,
            transport,
            world: None,
            carried: Carried::default(),
            stop: CancellationToken::new(),
            clock: TokioClock::starting_now(),
            engine,
        }
    }

    /// The process as it is after a start; whatever it had only in memory is gone.
    pub fn restart(&mut self) {
        self.world = None;
        self.carried = Carried::default();
    }

    pub fn world(&mut self) -> &Outside<TokioClock, Hand> {
        let (spec, transport, dir, clock, hand) = (&self.spec, &self.transport, &self.dir, self.clock.clone(), self.hand.clone());
        self.world.get_or_insert_with(|| {
            let ledger = SqliteLedger::open(&dir.path().join("data")).expect("the ledger");
            Outside::new(spec, transport.clone(), Arc::new(Unobserved), ledger, clock, hand)
        })
    }

    pub async fn turn(&mut self) -> Turn {
        self.world();
        let world = self.world.as_ref().expect("just made");
        turn(world, &self.spec, Leave::FirstBaseline, &mut self.carried, &self.stop).await.expect("nobody asked it to stop")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.engine.cancel();
    }
}
