//! A practice tenant and the real loop over the real clients, in one process and under tokio's paused clock.

mod spec;

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
use unscim::turn::{LoopState, Permit, Turn, turn};
use unscim::world::connect::Outside;
use unscim::world::http::{Transport, Unobserved, in_process};
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Clock, Freeze, Ledger as _};

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
    pub state: LoopState,
    pub stop: CancellationToken,
    pub clock: TokioClock,
    engine: CancellationToken,
}

pub fn spec_for(practice: &Practice, dir: &Path) -> Spec {
    let ids = practice.ids();
    let url = |path: &str| format!("{ROOT}{path}").parse().unwrap();
    std::fs::write(dir.join("client-secret"), practice.client_secret()).unwrap();
    std::fs::write(dir.join("scim-token"), practice.scim_token()).unwrap();
    let mut spec = spec::spec(ids.groups.iter().copied());
    spec.name = "practice".into();
    let entra = &mut spec.entra;
    (entra.tenant_id, entra.app) = (ids.tenant, AppRef::ServicePrincipalId(ids.service_principal));
    let client_secret_file = dir.join("client-secret");
    entra.credential = Credential::ClientSecret { client_id: ids.client, client_secret_file };
    (entra.authority, entra.graph) = (url(""), url(""));
    spec.groups.empty_groups = EmptyGroups::Always;
    spec.groups.acknowledge = vec![Acknowledgement::TargetGroupContent];
    (spec.target.scim_url, spec.target.token_file) = (url("/scim/v2"), dir.join("scim-token"));
    spec.provisioning.cycle_timeout = Duration::from_secs(6 * 3600);
    let limits = &mut spec.limits;
    (limits.max_groups, limits.max_users, limits.max_member_removals) = (20, 5000, 10_000);
    spec
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
            state: LoopState::default(),
            stop: CancellationToken::new(),
            clock: TokioClock::starting_now(),
            engine,
        }
    }

    /// The process as it is after a start; whatever it had only in memory is gone.
    pub fn restart(&mut self) {
        self.world = None;
        self.state = LoopState::default();
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
        let turn = turn(world, &self.spec, Permit::FirstBaseline, &mut self.state, &self.stop).await;
        if let Some(kept) = &self.state.baseline {
            assert_eq!(world.ledger.baseline().unwrap().known(), Some(kept), "what is kept is what the ledger has");
        }
        turn.expect("nobody asked it to stop")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.engine.cancel();
    }
}
