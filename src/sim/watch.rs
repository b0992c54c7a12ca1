//! Keeps watch over the true scope: who dropped out of it, when and by whose call. It shares no code with the engine.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::world::{Holder, World};
use crate::model::id::{GroupId, ServicePrincipalId, UserId};

/// A user who had a path into the scope and lost the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub at: Timestamp,
    pub user: UserId,
    /// The call (`DELETE /groups/…`) or the admin's act (`admin: …`).
    pub by: String,
}

#[derive(Default)]
pub(crate) struct Watch {
    app: Option<ServicePrincipalId>,
    reach: Reach,
    /// `None` while time has not started.
    scope: Option<BTreeSet<UserId>>,
    moments: Vec<Moment>,
}

/// Whom the job looks at, as far as it never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    #[default]
    Assigned,
    All,
}

impl Watch {
    pub fn new(app: ServicePrincipalId, reach: Reach) -> Self {
        Watch { app: Some(app), reach, scope: None, moments: Vec::new() }
    }

    pub fn begin(&mut self, world: &World) {
        self.scope = Some(self.scope_of(world));
    }

    /// A user got a row of his own: the one change that needs no look, so that a large first step stays cheap.
    pub fn gained(&mut self, app: ServicePrincipalId, user: UserId) {
        if let Some(scope) = self.scope.as_mut().filter(|_| self.app == Some(app)) {
            scope.insert(user);
        }
    }

    pub fn look(&mut self, world: &World, by: &str) {
        let Some(before) = self.scope.take() else { return };
        let now = self.scope_of(world);
        let at = world.now();
        self.moments.extend(before.difference(&now).map(|user| Moment { at, user: *user, by: by.to_owned() }));
        self.scope = Some(now);
    }

    /// As of the last change; nobody while time has not started.
    pub fn scope(&self) -> BTreeSet<UserId> {
        self.scope.clone().unwrap_or_default()
    }

    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Everybody with a path into the scope. A disabled account keeps its path; a deleted user has none.
    fn scope_of(&self, world: &World) -> BTreeSet<UserId> {
        let alive = |user: &UserId| world.users.get(user).is_some_and(|user| user.presence.is_there());
        if self.reach == Reach::All {
            return world.users.keys().filter(|user| alive(user)).copied().collect();
        }
        let mut scope = BTreeSet::new();
        let mut groups: BTreeSet<GroupId> = BTreeSet::new();
        for row in world.rows().filter(|row| Some(row.app) == self.app) {
            match row.principal {
                Holder::User(user) => _ = scope.insert(user),
                Holder::Group(group) => _ = groups.insert(group),
            }
        }
        for group in groups.iter().filter_map(|id| world.groups.get(id)).filter(|group| group.security_enabled()) {
            scope.extend(group.members.iter().filter(|(_, there)| there.is_there()).map(|(id, _)| UserId(*id)));
        }
        scope.retain(|user| alive(user));
        scope
    }
}
