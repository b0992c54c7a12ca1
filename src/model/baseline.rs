//! Who was in scope, through what, with which role, as which record at the target. It only ever grows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::compact::Few;
use crate::model::id::{AppRoleId, GroupId, JobId, ScimId, ServicePrincipalId, TenantId, UserId};
use crate::model::snapshot::ScimUser;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Baseline {
    pub binding: Binding,
    /// The service's time of the look it was taken from.
    pub taken: Timestamp,
    pub groups: BTreeMap<GroupId, ManagedGroup>,
    pub users: BTreeMap<UserId, Protected>,
}

/// What a ledger belongs to; it is refused for anything else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Binding {
    pub tenant: TenantId,
    pub app: ServicePrincipalId,
    pub job: JobId,
    /// The whole of it, as it is compared.
    pub scim_url: String,
}

/// An address for people: its query may hold a secret.
pub fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A group that was handed to us and was assigned to the app when the baseline was taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ManagedGroup {
    pub display_name: String,
    /// Roles of its rows on the app, as Graph has them; every role ever seen while it is managed.
    pub roles: BTreeSet<AppRoleId>,
    /// Its id at the target, where one record matched.
    pub scim: Option<ScimId>,
}

impl ManagedGroup {
    /// It was on the app when it was first looked at, or since. One that never was is looked for at the target, and nothing else
    /// hangs on it.
    pub fn was_assigned(&self) -> bool {
        !self.roles.is_empty()
    }
}

/// A user whose path into scope led through a managed group; or who was assigned directly when the baseline was taken, where the
/// operator said that the groups had been left before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Protected {
    /// For messages and matching; the user principal name where it could be read.
    pub name: Option<Arc<str>>,
    /// Managed groups they were ever seen in while the groups counted.
    pub groups: Few<GroupId>,
    /// The account was disabled when first seen: assigned, but nobody waits for them.
    pub disabled: bool,
    /// The record at the target, as it was first seen.
    pub target: AtTarget,
}

impl Protected {
    /// Mostly their name is their record's, too: it is held once.
    pub fn share_name(&mut self) {
        if let Some(record) = self.target.record().filter(|record| record.user_name == self.name) {
            self.name.clone_from(&record.user_name);
        }
    }
}

/// What the target had of a user who was looked for there first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AtTarget {
    Record(ScimUser),
    /// Looked for, and there was none: covered, not counted, until there is one.
    NoRecord,
    /// Not looked for yet, or not in a way that tells: nothing follows, and nobody loses anything before it is known.
    NotRead,
}

impl AtTarget {
    pub fn record(&self) -> Option<&ScimUser> {
        match self {
            AtTarget::Record(record) => Some(record),
            AtTarget::NoRecord | AtTarget::NotRead => None,
        }
    }

    pub fn record_mut(&mut self) -> Option<&mut ScimUser> {
        match self {
            AtTarget::Record(record) => Some(record),
            AtTarget::NoRecord | AtTarget::NotRead => None,
        }
    }
}

/// What one turn adds to the baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    pub users: BTreeMap<UserId, Protected>,
    /// Roles newly seen on a managed group.
    pub roles: BTreeMap<GroupId, BTreeSet<AppRoleId>>,
    /// What became known since of those of whom no record was known, or not when it was made.
    pub records: BTreeMap<UserId, AtTarget>,
}

impl Growth {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty() && self.records.is_empty()
    }
}

impl Baseline {
    /// Users who were in no managed group when they were first seen: who was in scope before can't be proven of them.
    pub fn direct_before(&self) -> usize {
        self.users.values().filter(|user| user.groups.is_empty()).count()
    }

    /// The roles that the managed groups give (or gave) this user, as the groups have them.
    pub fn roles_of(&self, user: &Protected) -> BTreeSet<AppRoleId> {
        user.groups.iter().filter_map(|group| self.groups.get(group)).flat_map(|group| group.roles.iter().copied()).collect()
    }

    /// Adds; never removes, never replaces what is known.
    pub fn grow(&mut self, growth: &Growth) {
        for (id, new) in &growth.users {
            self.users
                .entry(*id)
                .and_modify(|user| user.groups.extend(new.groups.iter().copied()))
                .or_insert_with(|| new.clone());
        }
        for (id, target) in &growth.records {
            // When a record was made may become known later, as an earlier version did not ask.
            let is_open = |user: &&mut Protected| user.target.record().is_none_or(|known| known.created.is_none());
            if let Some(user) = self.users.get_mut(id).filter(is_open) {
                user.target = target.clone();
            }
        }
        for (id, roles) in &growth.roles {
            if let Some(group) = self.groups.get_mut(id) {
                group.roles.extend(roles.iter().copied());
            }
        }
    }
}
