//! A cycle that begins: the true scope as it reads it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::job::Schedule;
use super::scim::Form;
use super::sync::Sync;
use crate::model::engine::{Attributes, Flow, Leaving, Linked, Reach, Scope, SourceGroup, SourceUser};
use crate::model::id::{GroupId, ServicePrincipalId, UserId};
use crate::practice::directory::{Directory, Holder};
use crate::practice::scenario::{ExternalId, Mapping, Scenario};
use crate::practice::scim_app::ScimApp;
use crate::practice::tenant::Inner;

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

/// The truth, as a cycle that begins now reads it.
fn scope(scenario: &Scenario, directory: &Directory, sync: &Sync, app: ServicePrincipalId) -> Scope {
    let is_true = |key: &str| sync.secrets.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut scope = Scope {
        reach: if is_true("SyncAll") { Reach::Everyone } else { Reach::AssignedOnly },
        leaving: if is_true("SkipOutOfScopeDeletions") { Leaving::LeaveAlone } else { Leaving::Deprovision },
        user_flow: flow(&scenario.job.user_mapping),
        group_flow: flow(&scenario.job.group_mapping),
        ..Scope::default()
    };
    for row in directory.rows().filter(|row| row.app == app) {
        match row.principal {
            Holder::User(user) => scope.assigned_users.insert(user),
            Holder::Group(group) => scope.assigned_groups.insert(group),
        };
    }
    for (id, user) in &directory.users {
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
    for (id, group) in &directory.groups {
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
