//! Puts the real clients behind the doors, from a spec. The only place that knows all of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::moment::since;
use crate::model::spec::Spec;
use crate::world::error::Result;
use crate::world::graph::GraphDirectory;
use crate::world::graph::pace::Pace;
use crate::world::graph::token::{EntraTokens, Machine};
use crate::world::http::{self, Api, Http, Observer, Transport, Trust};
use crate::world::ledger::SqliteLedger;
use crate::world::scim::ScimTarget;
use crate::world::secret::SecretFile;
use crate::world::webhook::RevocationHook;
use crate::world::{Clock, Freeze, Ledger as _, World};

/// Everything outside, ready to be asked.
pub struct Outside<C, F> {
    pub directory: GraphDirectory<EntraTokens>,
    pub target: ScimTarget,
    pub ledger: SqliteLedger,
    pub hook: RevocationHook,
    pub clock: C,
    pub freeze: F,
}

/// What depends on the spec.
struct Clients {
    directory: GraphDirectory<EntraTokens>,
    target: ScimTarget,
    hook: RevocationHook,
}

impl Clients {
    fn new(spec: &Spec, transport: &Transport, observer: &Arc<dyn Observer>, pace: Arc<Pace>) -> Clients {
        let http = |api| Http::new(transport.clone(), api, spec.timing.request_timeout, observer.clone());
        #[expect(clippy::disallowed_methods, reason = "a variable that is no text is none")]
        let machine = Machine::from_variables(|name| std::env::var(name).ok());
        let token = EntraTokens::new(http(Api::Token), &spec.entra, machine);
        Clients {
            directory: GraphDirectory::new(http(Api::Graph), token, spec.entra.graph.clone(), pace),
            target: ScimTarget::new(
                http(Api::Scim),
                spec.target.scim_url.clone(),
                SecretFile::new(spec.target.token_file.clone()),
                spec.target.profile,
            ),
            hook: RevocationHook::new(http(Api::Webhook), spec.target.revocation.webhook.clone()),
        }
    }
}

impl<C: Clock, F: Freeze> Outside<C, F> {
    /// Over any transport: the network, or a router in a test.
    pub fn new(
        spec: &Spec,
        transport: Transport,
        observer: Arc<dyn Observer>,
        ledger: SqliteLedger,
        clock: C,
        freeze: F,
    ) -> Self {
        let pace = Arc::new(Pace::new(&spec.limits));
        pace.spent_before(lately(spec, &ledger, clock.now()));
        let Clients { directory, target, hook } = Clients::new(spec, &transport, &observer, pace);
        Outside { directory, target, ledger, hook, clock, freeze }
    }

    /// The same, by another spec; the ledger stays, and what was spent of the write quota is not forgotten.
    pub fn refit(&mut self, spec: &Spec, transport: Transport, observer: Arc<dyn Observer>) {
        let pace = self.directory.pace();
        pace.limit(&spec.limits);
        let Clients { directory, target, hook } = Clients::new(spec, &transport, &observer, pace);
        (self.directory, self.target, self.hook) = (directory, target, hook);
    }
}

/// Writes that an earlier process began within the span of the quota.
#[expect(clippy::disallowed_methods, reason = "a ledger that can't be read stops every write anyway")]
fn lately(spec: &Spec, ledger: &SqliteLedger, now: Timestamp) -> usize {
    let quota = spec.limits.write_quota;
    let writes = ledger.recent(quota.amount as usize).unwrap_or_default();
    writes.iter().filter(|write| since(write.at, now) < quota.per).count()
}

/// The network as `new` wants it.
pub fn network(spec: &Spec) -> Result<Transport> {
    let hosts = [&spec.entra.authority, &spec.entra.graph].into_iter().filter_map(|url| url.host_str().map(str::to_owned));
    let trust = spec.entra.ca_file.clone().map(|bundle| Trust { bundle, hosts: hosts.collect() });
    http::network(spec.timing.request_timeout.min(Duration::from_secs(10)), trust)
}

impl<C: Clock, F: Freeze> World for Outside<C, F> {
    type Directory = GraphDirectory<EntraTokens>;
    type Target = ScimTarget;
    type Ledger = SqliteLedger;
    type Clock = C;
    type Hook = RevocationHook;
    type Freeze = F;
    fn directory(&self) -> &Self::Directory {
        &self.directory
    }
    fn target(&self) -> &Self::Target {
        &self.target
    }
    fn ledger(&self) -> &Self::Ledger {
        &self.ledger
    }
    fn clock(&self) -> &C {
        &self.clock
    }
    fn hook(&self) -> &Self::Hook {
        &self.hook
    }
    fn freeze(&self) -> &F {
        &self.freeze
    }
}
