//! What happens in the directory: every change goes through a method here and is watched.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::time::Duration;

use base64::Engine as _;
use jiff::Timestamp;
use uuid::Uuid;

use super::chance::{Chance, Names};
use super::clock::{Clock, later};
use super::directory::{Directory, Holder, Row};
use super::lagged::{Lagged, Presence};
use super::watch::{Moment, Watch};
use crate::model::id::{AppRoleId, AssignmentId, GroupId, ServicePrincipalId, UserId};

pub(crate) struct World {
    pub clock: Clock,
    pub directory: Directory,
    /// What the next cycle will find in the delta feed.
    pub touched: BTreeSet<Uuid>,
    pub names: Names,
    /// Longest time until a write shows in reads.
    pub lag: Duration,
    pub chance: Chance,
    made: u64,
    watch: Watch,
}

/// A write that changes nothing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    AlreadyThere,
    NotThere,
}

impl Deref for World {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

impl World {
    pub fn new(clock: Clock, names: Names, chance: Chance, watch: Watch) -> Self {
        World {
            clock,
            directory: Directory::default(),
            touched: BTreeSet::new(),
            names,
            lag: Duration::ZERO,
            chance,
            made: 0,
            watch,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn assign(
        &mut self,
        app: ServicePrincipalId,
        principal: Holder,
        role: AppRoleId,
        by: &str,
    ) -> Result<AssignmentId, Unchanged> {
        if self.is_deleted(principal.id()) {
            return Err(Unchanged::NotThere);
        }
        let same = |row: &Row| row.app == app && row.principal == principal && row.role == role;
        // A linear look would make a large first step quadratic; ids are drawn from the key, so the key finds them.
        let (key, created) = (format!("{app}/{}/{role}", principal.id()), self.now());
        let (mut turn, mut id) = (0, self.assignment_id(&key, 0));
        while let Some(row) = self.directory.assignments.get(&id) {
            if same(row) && row.presence.is_there() {
                return Err(Unchanged::AlreadyThere);
            }
            turn += 1;
            id = self.assignment_id(&key, turn);
        }
        let presence = Lagged::new(self.visible(), Presence::There);
        self.directory.held.entry(principal.id()).or_default().push(id.clone());
        self.directory.assignments.insert(id.clone(), Row { id: id.clone(), app, principal, role, created, presence });
        match principal {
            Holder::User(user) => {
                self.touched.insert(user.0);
                self.watch.gained(app, user);
            }
            Holder::Group(group) => self.changed(group.0, by),
        }
        Ok(id)
    }

    pub fn unassign(&mut self, app: ServicePrincipalId, id: &AssignmentId, by: &str) -> Result<(), Unchanged> {
        let visible = self.visible();
        let row = self.directory.assignments.get_mut(id).filter(|row| row.app == app && row.presence.is_there());
        let Some(row) = row else { return Err(Unchanged::NotThere) };
        row.presence.write(visible, Presence::Gone);
        let principal = row.principal.id();
        self.changed(principal, by);
        Ok(())
    }

    pub fn join(&mut self, group: GroupId, member: Uuid, by: &str) -> Result<(), Unchanged> {
        if self.is_deleted(member) {
            return Err(Unchanged::NotThere);
        }
        let visible = self.visible();
        let Some(group) = self.directory.groups.get_mut(&group) else { return Err(Unchanged::NotThere) };
        match group.members.get_mut(&member) {
            Some(presence) if presence.is_there() => return Err(Unchanged::AlreadyThere),
            Some(presence) => presence.write(visible, Presence::There),
            None => {
                group.members.insert(member, Lagged::new(visible, Presence::There));
            }
        }
        self.changed(member, by);
        Ok(())
    }

    pub fn leave(&mut self, group: GroupId, member: Uuid, by: &str) -> Result<(), Unchanged> {
        let visible = self.visible();
        let presence = self.directory.groups.get_mut(&group).and_then(|group| group.members.get_mut(&member));
        let Some(presence) = presence.filter(|presence| presence.is_there()) else { return Err(Unchanged::NotThere) };
        presence.write(visible, Presence::Gone);
        self.changed(member, by);
        Ok(())
    }

    /// Soft-deletes a user: rows and memberships go too.
    pub fn delete_user(&mut self, user: UserId, by: &str) -> Result<(), Unchanged> {
        let visible = self.visible();
        let person = self.directory.users.get_mut(&user).filter(|person| person.presence.is_there());
        let Some(person) = person else { return Err(Unchanged::NotThere) };
        person.presence.write(visible, Presence::Gone);
        let rows = self
            .directory
            .assignments
            .values_mut()
            .filter(|row| row.principal == Holder::User(user))
            .map(|row| &mut row.presence);
        let memberships = self.directory.groups.values_mut().filter_map(|group| group.members.get_mut(&user.0));
        for presence in rows.chain(memberships).filter(|presence| presence.is_there()) {
            presence.write(visible, Presence::Gone);
        }
        self.changed(user.0, by);
        Ok(())
    }

    fn is_deleted(&self, id: Uuid) -> bool {
        self.directory.users.get(&UserId(id)).is_some_and(|user| !user.presence.is_there())
    }

    pub fn set_account(&mut self, user: UserId, account: Account, by: &str) -> Result<(), Unchanged> {
        let visible = self.visible();
        let Some(person) = self.directory.users.get_mut(&user) else { return Err(Unchanged::NotThere) };
        person.enabled.write(visible, account == Account::Enabled);
        self.changed(user.0, by);
        Ok(())
    }

    pub fn rename(&mut self, user: UserId, upn: &str, by: &str) -> Result<(), Unchanged> {
        let Some(person) = self.directory.users.get_mut(&user) else { return Err(Unchanged::NotThere) };
        person.upn = upn.to_owned();
        self.changed(user.0, by);
        Ok(())
    }

    /// Makes everything that is there look as if it had been there since then.
    pub fn backdate(&mut self, born: Timestamp) {
        let there = || Lagged::new(born, Presence::There);
        for user in self.directory.users.values_mut() {
            (user.created, user.presence, user.enabled) = (born, there(), Lagged::new(born, user.enabled.truth()));
        }
        for group in self.directory.groups.values_mut() {
            group.created = born;
            group.members.values_mut().for_each(|member| *member = there());
        }
        for row in self.directory.assignments.values_mut() {
            (row.created, row.presence) = (born, there());
        }
    }

    /// Takes what is there now for granted, and watches from here on.
    pub fn settle(&mut self) {
        self.touched.clear();
        self.watch.begin(&self.directory);
    }

    pub fn moments(&self) -> Vec<Moment> {
        self.watch.moments().to_vec()
    }

    pub fn scope(&self) -> BTreeSet<UserId> {
        self.watch.scope()
    }

    /// An id nobody had before.
    pub fn fresh(&mut self, kind: &str) -> Uuid {
        self.made += 1;
        self.names.id(&format!("{kind}/{}", self.made))
    }

    fn assignment_id(&self, key: &str, turn: u32) -> AssignmentId {
        let (head, tail) = (self.names.id(&format!("row/{key}/{turn}")), self.names.id(&format!("tail/{key}/{turn}")));
        let bytes = [head.as_bytes().as_slice(), tail.as_bytes().as_slice()].concat();
        AssignmentId::from(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
    }

    /// When a write of this moment will show.
    fn visible(&mut self) -> Timestamp {
        let delay = self.lag.mul_f64(self.chance.fraction());
        later(self.clock.now(), delay)
    }

    fn changed(&mut self, what: Uuid, by: &str) {
        self.touched.insert(what);
        self.watch.look(&self.directory, self.clock.now(), what, by);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    Enabled,
    Disabled,
}
