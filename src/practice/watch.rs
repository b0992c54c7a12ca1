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

    pub fn begin(&mut self, directory: &Directory) {
        self.scope = Some(self.scope_of(directory));
    }

    /// A user got a row of his own: the one change that needs no look, so that a large first step stays cheap.
    pub fn gained(&mut self, app: ServicePrincipalId, user: UserId) {
        if let Some(scope) = self.scope.as_mut().filter(|_| self.app == Some(app)) {
            scope.insert(user);
        }
    }

    /// Judges those anew whom a change can concern: the user himself, or everybody who ever was in the group.
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
    fn scope_of(&self, directory: &Directory) -> BTreeSet<UserId> {
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
        Some(row.app) == self.app && row.presence.is_there()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::chance::Chance;
    use crate::practice::clock::Clock;
    use crate::practice::scenario::Scenario;
    use crate::practice::seed;
    use crate::practice::world::Account;

    #[tokio::test(start_paused = true)]
    async fn what_it_keeps_is_what_a_whole_look_would_find() {
        let scenario = Scenario { users: 12, groups: 3, ..Scenario::default() };
        let (mut world, ids) = seed::world(&scenario, Clock::new(scenario.start, 1.0));
        let (mut chance, mut before, mut dropped) = (Chance::new(7), world.scope(), 0);
        let roles = [ids.role_user, ids.role_admin];
        for _ in 0..5_000 {
            let mut draw = |n: usize| (chance.draw() % n as u64) as usize;
            let (user, group, role) = (ids.users[draw(12)], ids.groups[draw(3)], roles[draw(2)]);
            let holder = if draw(2) == 0 { Holder::User(user) } else { Holder::Group(group) };
            let there = world.rows_of(holder.id()).filter(|row| row.presence.is_there());
            let held: Vec<_> = there.map(|row| (row.app, row.id.clone())).collect();
            // Whether anything changes is no matter.
            let _ = match draw(12) {
                0..3 => world.assign(ids.service_principal, holder, role, "").map(|_| ()),
                3..6 => held.first().map_or(Ok(()), |(app, row)| world.unassign(*app, row, "")),
                6..8 => world.join(group, user.0, ""),
                8..11 => world.leave(group, user.0, ""),
                11 if draw(200) == 0 => world.delete_user(user, ""),
                _ => world.set_account(user, Account::Disabled, ""),
            };
            let whole = Watch::new(ids.service_principal, Reach::Assigned).scope_of(&world);
            assert_eq!(world.scope(), whole);
            dropped += before.difference(&whole).count();
            before = whole;
        }
        assert!(dropped > 100 && world.moments().len() == dropped, "{dropped}");
    }
}
