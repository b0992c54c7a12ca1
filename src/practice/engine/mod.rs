//! The provisioning engine: cycles over the true scope, real SCIM requests to the target, rows in the log. What a cycle
//! wants is decided by [`plan_cycle`]; here it is only carried out.

pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod job;
pub(crate) mod log;
pub(crate) mod scim;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use self::export::Outcome;
use self::job::{Execution, ExecutionResult, Job, Schedule};
use self::scim::Form;
use super::Inner;
use super::clock::later;
use super::scenario::{ExternalId, Mapping, Scenario};
use super::scim_app::ScimApp;
use super::world::{Holder, World};
use crate::model::engine::{Attributes, Flow, Leaving, Linked, Reach, Scope, SourceGroup, SourceUser, plan_cycle};
use crate::model::id::{GroupId, ServicePrincipalId, UserId};

/// Whether a cycle took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    Ran,
    /// The job is paused, disabled or gone.
    NotScheduled,
}

/// All that belongs to the job rather than to the directory.
pub(crate) struct Sync {
    pub jobs: Vec<Job>,
    pub secrets: BTreeMap<String, String>,
    pub linked: Linked,
    pub log: Vec<log::Entry>,
}

/// The key of what an OAuth client has fetched.
pub(crate) const ACCESS_TOKEN: &str = "Oauth2AccessToken";

impl Sync {
    /// The "Tenant URL".
    pub fn base_address(&self) -> String {
        self.secrets.get("BaseAddress").cloned().unwrap_or_default()
    }

    /// What the engine shows the app, however it came by it.
    pub fn bearer(&self) -> String {
        self.secrets.get("SecretToken").or(self.secrets.get(ACCESS_TOKEN)).cloned().unwrap_or_default()
    }
}

/// A cycle that has begun.
pub(crate) struct Begun {
    pub at: Timestamp,
    pub activity: String,
    pub token: String,
    pub form: Form,
    pub scope: Scope,
    pub linked: Linked,
    pub touched: BTreeSet<Uuid>,
    pub threshold: Option<u64>,
    /// An empty app inside, whose first records are put there directly: a large tenant starts in seconds.
    pub fill: Option<ScimApp>,
}

/// One scheduled cycle from its beginning to its end; the calls go out in the middle of it.
pub(crate) async fn cycle(inner: &Inner) -> Cycle {
    let _alone = inner.gate.lock().await;
    let Some(begun) = begin(inner, inner.clock.now()) else { return Cycle::NotScheduled };
    let length = inner.scenario.cycle_length;
    inner.clock.sleep_until(later(begun.at, length / 2)).await;
    let outcome = export::export(inner, &begun, inner.clock.now()).await;
    inner.clock.sleep_until(later(begun.at, length)).await;
    end(inner, &begun, outcome, inner.clock.now());
    Cycle::Ran
}

/// Reads the scope; from here on the job shows as running.
pub(crate) fn begin(inner: &Inner, at: Timestamp) -> Option<Begun> {
    let mut state = inner.state();
    let state = &mut *state;
    let job = state.sync.jobs.first_mut().filter(|job| job.schedule == Schedule::Active)?;
    (job.running, job.began) = (Some(at), Some(at));
    let threshold = job.threshold.filter(|_| !std::mem::take(&mut job.deletes_allowed));
    let activity = state.world.fresh("cycle").to_string();
    let scope = scope(&inner.scenario, &state.world, &state.sync, inner.ids.service_principal);
    let mut touched = std::mem::take(&mut state.world.touched);
    let groups: Vec<Uuid> = touched.iter().copied().collect();
    for group in groups.iter().filter_map(|id| scope.groups.get(&GroupId(*id))) {
        touched.extend(group.members.iter().map(|user| user.0));
    }
    let token = state.sync.bearer();
    let form = Form::of(&state.sync.base_address(), inner.scenario.job.active_by);
    Some(Begun { at, activity, token, form, scope, linked: state.sync.linked.clone(), touched, threshold, fill: None })
}

/// Writes down how it went.
pub(crate) fn end(inner: &Inner, begun: &Begun, outcome: Outcome, at: Timestamp) {
    let mut state = inner.state();
    let state = &mut *state;
    let Some(job) = state.sync.jobs.first_mut() else { return };
    let entitled = begun.scope.entitled();
    let seen: Vec<_> = entitled.iter().filter(|user| begun.touched.contains(&user.0) || job.last.is_none()).collect();
    let active = seen.iter().filter(|user| begun.scope.users.get(user).is_some_and(|user| user.enabled)).count();
    let mut execution = Execution {
        activity: begun.activity.clone(),
        result: ExecutionResult::Succeeded,
        began: begun.at,
        ended: at,
        entitled: seen.len(),
        provisionable: active,
        exports: 0,
        exported: 0,
        failed: 0,
        deltas: begun.touched.len(),
        error: None,
    };
    match outcome {
        Outcome::Finished { exports, failed } => {
            (execution.exports, execution.exported, execution.failed) = (exports, exports - failed, failed);
            if failed > 0 {
                execution.result = ExecutionResult::EntryLevelErrors;
            }
            let counts = [("User to User", state.sync.linked.users.len()), ("Group to Group", state.sync.linked.groups.len())];
            for (kind, count) in counts {
                let total = job.counts.entry(kind).or_default();
                *total = (*total).max(count as u64);
            }
            job.ended(execution);
        }
        Outcome::Quarantined { reason, message } => {
            // What was not carried out is found again.
            state.world.touched.extend(&begun.touched);
            execution.result = ExecutionResult::Failed;
            execution.error = Some((reason, message.clone()));
            job.ended(execution);
            job.quarantine(reason, message, at);
        }
    }
}

/// The truth, as a cycle that begins now reads it.
fn scope(scenario: &Scenario, world: &World, sync: &Sync, app: ServicePrincipalId) -> Scope {
    let is_true = |key: &str| sync.secrets.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut scope = Scope {
        reach: if is_true("SyncAll") { Reach::Everyone } else { Reach::AssignedOnly },
        leaving: if is_true("SkipOutOfScopeDeletions") { Leaving::LeaveAlone } else { Leaving::Deprovision },
        user_flow: flow(&scenario.job.user_mapping),
        group_flow: flow(&scenario.job.group_mapping),
        ..Scope::default()
    };
    for row in world.rows().filter(|row| row.app == app) {
        match row.principal {
            Holder::User(user) => scope.assigned_users.insert(user),
            Holder::Group(group) => scope.assigned_groups.insert(group),
        };
    }
    for (id, user) in &world.users {
        let external_id = match scenario.job.external_id {
            ExternalId::MailNickname => user.nickname.clone(),
            ExternalId::ObjectId => id.to_string(),
        };
        // The service strips the mark of guests before it matches.
        let user_name = user.upn.replace("#EXT#", "");
        let named = [("userName", user_name), ("externalId", external_id), ("displayName", user.display_name.clone())];
        let source = SourceUser {
            enabled: user.enabled.truth(),
            deleted: !user.presence.is_there(),
            passes_filter: scenario.job.scoping_filter.as_ref().is_none_or(|wanted| *wanted == user.department),
            attributes: attributes(named),
        };
        scope.users.insert(*id, source);
    }
    for (id, group) in &world.groups {
        let members = group.members.iter().filter(|(_, there)| there.is_there()).map(|(id, _)| UserId(*id));
        let source = SourceGroup {
            security_enabled: group.security_enabled(),
            members: members.filter(|id| scope.users.contains_key(id)).collect(),
            attributes: attributes([("displayName", group.display_name.clone()), ("externalId", id.to_string())]),
        };
        scope.groups.insert(*id, source);
    }
    scope
}

fn flow(mapping: &Mapping) -> Flow {
    let has = |kind: &str| mapping.flow_types.split(',').any(|word| word.trim().eq_ignore_ascii_case(kind));
    Flow { enabled: mapping.enabled, add: has("Add"), update: has("Update"), delete: has("Delete") }
}

fn attributes<const N: usize>(pairs: [(&str, String); N]) -> Attributes {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
