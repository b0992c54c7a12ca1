//! A practice tenant: Graph, the provisioning engine and a SCIM app over real HTTP. Nothing but rehearsals uses it.

mod admin;
mod chance;
mod clock;
mod directory;
mod engine;
mod faults;
mod graph;
mod lagged;
mod odata;
mod record;
mod replicas;
mod routes;
pub mod scenario;
pub mod scim_app;
mod seed;
mod tenant;
mod throttle;
mod token;
mod watch;
mod world;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use self::admin::Admin;
pub use self::engine::Cycle;
pub use self::faults::{Effect, Fault, Faults, Place};
pub use self::record::{Request, ScimRequest, Tally};
pub use self::seed::Ids;
pub use self::tenant::PracticeError;
pub use self::watch::Moment;
pub use self::world::Unchanged;

use self::clock::Clock;
use self::engine::scim::Sender;
use self::replicas::Replicas;
use self::scenario::Scenario;
use self::scim_app::ScimApp;
use self::tenant::{Inner, State};
use self::throttle::Throttle;
use self::token::Tokens;
use crate::model::id::{GroupId, ScimId, UserId};

/// A running practice tenant; clones are handles to the same one.
#[derive(Clone)]
pub struct Practice(Arc<Inner>);

impl Practice {
    /// Builds the tenant and plays its history: when this returns, the target is filled and time has started.
    pub async fn new(scenario: Scenario) -> Result<Practice, PracticeError> {
        if let Some(objection) = scenario.objection() {
            return Err(PracticeError::Scenario(objection));
        }
        let clock = Clock::new(scenario.start, scenario.speed);
        let (world, ids) = seed::world(&scenario, clock);
        let (sender, app, token, base_address) = match &scenario.target.external {
            None => {
                let token = token::of_target(&scenario, world.names);
                let app = ScimApp::new(token.clone());
                (Sender::Inside(app.router()), Some(app), token, scenario.target.address("http://127.0.0.1"))
            }
            Some(external) => {
                let token = std::fs::read_to_string(&external.token_file)
                    .map_err(|error| PracticeError::Scenario(format!("reading {}: {error}", external.token_file.display())))?;
                let sender = Sender::network(&external.url).map_err(PracticeError::Target)?;
                (sender, None, token.trim().to_owned(), external.url.clone())
            }
        };
        let sync = engine::history::sync(&scenario, &ids, token, &base_address);
        let mut inner = Inner {
            tokens: Mutex::new(Tokens::new(&scenario, world.names)),
            throttle: Mutex::new(Throttle::new(&scenario.quotas, clock.now())),
            records: Mutex::default(),
            replicas: Mutex::new(Replicas::new(scenario.replicas)),
            state: Mutex::new(State { world, sync }),
            faults: Faults::default(),
            gate: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            scenario,
            clock,
            ids,
            sender,
            app,
        };
        engine::history::play(&mut inner).await?;
        Ok(Practice(Arc::new(inner)))
    }

    /// `/{tenant}/oauth2/v2.0/token`, Graph under `/v1.0`, the SCIM app under `/scim/v2`.
    pub fn router(&self) -> axum::Router {
        routes::router(self.0.clone(), self.0.app.clone())
    }

    /// Names the address under which the router is served (`http://127.0.0.1:8080`), for the job's settings.
    pub fn served_at(&self, root: &str) {
        if self.0.app.is_some() {
            let address = self.0.scenario.target.address(root);
            self.0.state().sync.secrets.insert("BaseAddress".into(), address);
        }
    }

    /// Runs the scheduled cycles in virtual time until cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        loop {
            let due = self.0.state().sync.jobs.first().and_then(engine::job::Job::due);
            let begins = async {
                match due {
                    Some(at) => self.0.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.0.wake.notified() => continue,
                () = begins => {}
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = engine::cycle(&self.0) => {}
            }
        }
    }

    /// One cycle, due or not; it takes its virtual time. A job that is not active has none.
    pub async fn run_cycle_now(&self) -> Cycle {
        engine::cycle(&self.0).await
    }

    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// The virtual time.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Lets this much virtual time pass.
    pub async fn pass(&self, span: std::time::Duration) {
        self.0.clock.sleep_until(clock::later(self.now(), span)).await;
    }

    pub fn client_secret(&self) -> String {
        self.0.tokens().secret().to_owned()
    }

    /// The "Tenant URL" of the target, as the job's settings have it.
    pub fn scim_url(&self) -> String {
        self.0.state().sync.base_address()
    }

    /// The token that Entra holds for the target.
    pub fn scim_token(&self) -> String {
        self.0.state().sync.bearer()
    }

    /// The SCIM app inside; a service elsewhere is its own affair.
    pub fn scim_app(&self) -> Option<&ScimApp> {
        self.0.app.as_ref()
    }

    /// The person who deletes the token in the app's settings.
    pub fn revoke_token(&self) -> Result<(), PracticeError> {
        match &self.0.app {
            Some(app) => {
                app.revoke();
                Ok(())
            }
            None => Err(PracticeError::Target("the token of an external SCIM service is deleted there".into())),
        }
    }

    /// The user's record at the target, as far as the engine knows.
    pub fn scim_user(&self, user: UserId) -> Option<ScimId> {
        self.0.state().sync.linked.users.get(&user).map(|link| link.id.clone())
    }

    /// The group's record at the target, as far as the engine knows.
    pub fn scim_group(&self, group: GroupId) -> Option<ScimId> {
        self.0.state().sync.linked.groups.get(&group).map(|link| link.id.clone())
    }

    pub fn admin(&self) -> Admin<'_> {
        Admin::new(&self.0)
    }

    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Everything that was asked of Graph, batches item by item.
    pub fn requests(&self) -> Vec<Request> {
        self.0.records().requests.iter().cloned().collect()
    }

    /// The same, only counted, and without a bound.
    pub fn tally(&self) -> Tally {
        self.0.records().tally
    }

    /// Every call of Graph that was no reading.
    pub fn writes(&self) -> Vec<Request> {
        self.0.records().writes.clone()
    }

    /// Calls that nobody who retires a provisioning may ever make.
    pub fn forbidden_calls(&self) -> Vec<Request> {
        self.0.records().forbidden.clone()
    }

    /// Users who dropped out of the true scope since time started, and by whose call.
    pub fn out_of_scope_moments(&self) -> Vec<Moment> {
        self.0.state().world.moments()
    }

    /// Who truly has a path into the scope now.
    pub fn scope(&self) -> BTreeSet<UserId> {
        self.0.state().world.scope()
    }

    /// What the engine sent to the target since time started.
    pub fn scim_calls(&self) -> Vec<ScimRequest> {
        self.0.records().scim.iter().cloned().collect()
    }
}
