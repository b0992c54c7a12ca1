//! Keeps watch over the true scope: who dropped out of it, when and by whose call. It shares no code with the engine.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::directory::{Directory, Group, Holder, Row};
use crate::model::id::{GroupId, ServicePrincipalId, UserId};

/// A user who had a path into the scope and lost the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Timestamp,
    pub user: UserId,
    /// The call (`DELETE /groups/…`) or the admin's act (`admin: …`).
    pub by: String,
}

pub(crate) struct Watch {
    app: ServicePrincipalId,
    reach: Reach,
    /// `None` while time has not started.
    scope: Option<BTreeSet<UserId>>,
    moments: Vec<Moment>,
}

/// Whom the job looks at, as far as it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Assigned,
    All,
}

impl Watch {
    pub fn new(app: ServicePrincipalId, reach: Reach) -> Self {
        Watch { app, reach, scope: None, moments: Vec::new() }
    }

    pub fn begin(&mut self, directory: &Directory) {
        self.scope = Some(self.scope_of(directory));
    }

    /// A user was assigned directly: the one change that needs no look, so that a large first step stays cheap.
    pub fn gained(&mut self, app: ServicePrincipalId, user: UserId) {
        if let Some(scope) = self.scope.as_mut().filter(|_| self.app == app) {
            scope.insert(user);
        }
    }

    /// Judges those anew whom a change can concern: the user alone, or everybody who ever was in the group.
    pub fn look(&mut self, directory: &Directory, now: Timestamp, what: Uuid, by: &str) {
        let Some(mut scope) = self.scope.take() else { return };
        let members = directory.groups.get(&GroupId(what)).map(|group| group.members.keys());
        let concerned: Vec<Uuid> = members.map_or_else(|| vec![what], |members| members.copied().collect());
        let groups = OnceCell::new();
        for user in concerned.into_iter().map(UserId) {
            let own = || directory.rows_of(user.0).any(|row| self.counts(row));
            let through = || groups.get_or_init(|| self.groups(directory)).iter().any(|group| group.has(user));
            if alive(directory, user) && (self.reach == Reach::All || own() || through()) {
                scope.insert(user);
            } else if scope.remove(&user) {
                self.moments.push(Moment { at: now, user, by: by.to_owned() });
            }
        }
        self.scope = Some(scope);
    }

    /// As of the last change; nobody while time has not started.
    pub fn scope(&self) -> BTreeSet<UserId> {
        self.scope.clone().unwrap_or_default()
    }

    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Everybody with a path into the scope. A disabled account keeps its path; a deleted user has none.
    pub(super) fn scope_of(&self, directory: &Directory) -> BTreeSet<UserId> {
        if self.reach == Reach::All {
            return directory.users.keys().filter(|user| alive(directory, **user)).copied().collect();
        }
        let own = directory.rows().filter(|row| self.counts(row)).filter_map(|row| match row.principal {
            Holder::User(user) => Some(user),
            Holder::Group(_) => None,
        });
        let mut scope: BTreeSet<UserId> = own.collect();
        for group in self.groups(directory) {
            scope.extend(group.members.iter().filter(|(_, there)| there.is_there()).map(|(id, _)| UserId(*id)));
        }
        scope.retain(|user| alive(directory, *user));
        scope
    }

    fn counts(&self, row: &Row) -> bool {
        row.app == self.app && row.presence.is_there()
    }

    /// Groups whose assignment counts.
    fn groups<'a>(&self, directory: &'a Directory) -> Vec<&'a Group> {
        let counting = directory
            .groups
            .iter()
            .filter(|(id, group)| group.security_enabled() && directory.rows_of(id.0).any(|row| self.counts(row)));
        counting.map(|(_, group)| group).collect()
    }
}

fn alive(directory: &Directory, user: UserId) -> bool {
    directory.users.get(&user).is_some_and(|user| user.presence.is_there())
}
