//! The tenant as it truly is, as small as it can be: rows, members, the engine's cycles, the target. It uses none of the
//! daemon's judgement, and none of its model of the engine.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use unscim::model::id::*;
use unscim::model::snapshot::Principal;

use crate::company::{Layout, at, group, role, user};

/// What passes between two turns.
pub const TICK: SignedDuration = SignedDuration::from_secs(60);
/// Between the beginnings of two cycles.
pub const INTERVAL: SignedDuration = SignedDuration::from_secs(240);

pub type Rows = BTreeMap<(Principal, AppRoleId), Timestamp>;
pub type Members = BTreeSet<UserId>;

/// A list, and what a reader may still see in its place: replicas take turns, so one look may show what the one before it did not.
#[derive(Clone, Debug)]
pub struct Lagging<T> {
    pub now: T,
    pub before: Option<T>,
    /// Ticks for which that may still be seen.
    pub left: u8,
    lag: u8,
}

impl<T: Clone + PartialEq> Lagging<T> {
    pub fn new(now: T, lag: u8) -> Self {
        Lagging { now, before: None, left: 0, lag }
    }

    fn change(&mut self, change: impl FnOnce(&mut T)) {
        let old = self.now.clone();
        change(&mut self.now);
        if self.now != old && self.before.is_none() {
            (self.before, self.left) = (Some(old), self.lag);
        }
    }

    fn tick(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.before = None;
        }
    }

    fn seen(&self, stale: bool) -> &T {
        self.before.as_ref().filter(|_| stale).unwrap_or(&self.now)
    }
}

/// Which lists are read as they were: a bit for the rows, then one for each group.
pub type Stale = u8;

#[derive(Clone, Debug)]
pub struct Cycle {
    pub number: u32,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub good: bool,
    pub scope: BTreeSet<UserId>,
    pub groups: BTreeSet<GroupId>,
}

#[derive(Clone, Debug)]
pub struct Tenant {
    pub now: Timestamp,
    /// Reads may be behind by so many ticks.
    pub lag: u8,
    pub rows: Lagging<Rows>,
    pub members: BTreeMap<GroupId, Lagging<Members>>,
    pub enabled: BTreeMap<UserId, bool>,
    pub deleted: BTreeSet<UserId>,
    pub running: Option<Cycle>,
    pub last: Option<Cycle>,
    /// Beginning of the last good cycle, for the oracle.
    pub good: Option<Timestamp>,
    pub active: BTreeSet<UserId>,
    pub at_target: BTreeSet<GroupId>,
    pub token: bool,
    /// Users whom an admin has taken something away from: nothing is promised for them any more.
    pub excused: BTreeSet<UserId>,
    /// When an admin last changed something of theirs.
    pub touched: BTreeMap<UserId, Timestamp>,
    pub violation: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Admin {
    Join(u128, u128),
    Leave(u128, u128),
    Assign(u128, u128),
    Unassign(u128, u128),
    AssignGroup(u128),
    UnassignGroup(u128),
    Disable(u128),
    Delete(u128),
}

impl Tenant {
    pub fn new(layout: Layout, lag: u8) -> Tenant {
        let start = at(0);
        let old = start - SignedDuration::from_hours(24);
        let users: BTreeSet<UserId> = layout.iter().flat_map(|(_, users)| users.iter().map(|n| user(*n))).collect();
        Tenant {
            now: start,
            lag,
            rows: Lagging::new(layout.iter().map(|(g, _)| ((Principal::Group(group(*g)), role(*g)), old)).collect(), lag),
            members: layout
                .iter()
                .map(|(g, users)| (group(*g), Lagging::new(users.iter().map(|n| user(*n)).collect(), lag)))
                .collect(),
            enabled: users.iter().map(|user| (*user, true)).collect(),
            deleted: BTreeSet::new(),
            running: None,
            last: Some(Cycle {
                number: 1,
                began: old,
                ended: old + TICK,
                good: true,
                scope: BTreeSet::new(),
                groups: BTreeSet::new(),
            }),
            good: None,
            active: users,
            at_target: layout.iter().map(|(g, _)| group(*g)).collect(),
            token: true,
            excused: BTreeSet::new(),
            touched: BTreeMap::new(),
            violation: None,
        }
    }

    /// Lists that differ from what they were: these bits may be set.
    pub fn lagging(&self) -> Stale {
        let members = self.members.values().enumerate().map(|(n, list)| u8::from(list.before.is_some()) << (n + 1));
        u8::from(self.rows.before.is_some()) | members.sum::<u8>()
    }

    pub fn rows_seen(&self, stale: Stale) -> &Rows {
        self.rows.seen(stale & 1 != 0)
    }

    pub fn members_seen(&self, id: GroupId, stale: Stale) -> Option<&Members> {
        let n = self.members.keys().position(|known| *known == id)?;
        Some(self.members[&id].seen(stale & (2 << n) != 0))
    }

    fn scope(&self, stale: Stale) -> BTreeSet<UserId> {
        let mut scope = BTreeSet::new();
        for (principal, _) in self.rows_seen(stale).keys() {
            match principal {
                Principal::User(user) => _ = scope.insert(*user),
                Principal::Group(group) => scope.extend(self.members_seen(*group, stale).into_iter().flatten()),
                Principal::Other(_) | Principal::Unheard(_) => {}
            }
        }
        scope.retain(|user| !self.deleted.contains(user));
        scope
    }

    pub fn tick(&mut self) {
        self.now += TICK;
        self.rows.tick();
        self.members.values_mut().for_each(Lagging::tick);
        if let Some(cycle) = self.running.take() {
            if cycle.good {
                self.active = self.active.union(&cycle.scope).copied().filter(|user| cycle.scope.contains(user)).collect();
                self.at_target = cycle.groups.clone();
                self.good = Some(cycle.began);
            }
            self.last = Some(cycle);
        }
    }

    pub fn may_begin(&self) -> bool {
        let last = self.last.as_ref().is_none_or(|last| self.now >= last.began + INTERVAL);
        self.running.is_none() && self.token && last
    }

    /// The engine reads the scope, perhaps an old one of each list. Whoever is not in it now is about to be hurt.
    pub fn begin(&mut self, stale: Stale, good: bool) {
        let scope = self.scope(stale);
        let hurt = self.enabled.keys().find(|user| !scope.contains(user) && !self.excused.contains(user));
        if let Some(user) = hurt.copied() {
            self.blame(format!("a cycle begins and {user} is out of scope"));
        }
        let groups = self.rows_seen(stale).keys().filter_map(|(principal, _)| group_of(principal)).collect();
        let number = self.last.as_ref().map_or(0, |last| last.number) + 1;
        self.running = Some(Cycle { number, began: self.now, ended: self.now + TICK, good, scope, groups });
    }

    pub fn blame(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// The order that the guide demands: whoever loses a path has direct assignments that a good cycle has seen.
    fn proven(&mut self, user: UserId, what: &str) {
        if self.excused.contains(&user) || !self.enabled.contains_key(&user) {
            return;
        }
        let made = self.rows.now.iter().filter(|((principal, _), _)| *principal == Principal::User(user)).map(|(_, made)| *made);
        let made: Vec<_> = made.collect();
        if !made.iter().any(|made| self.good.is_some_and(|began| began > *made)) {
            self.blame(format!("{what} before a good cycle has seen {user} assigned directly"));
        }
    }

    pub fn remove_member(&mut self, group: GroupId, user: UserId) {
        if self.members[&group].now.contains(&user) {
            self.proven(user, "removed from a group");
        }
        let before = self.scope(0);
        self.members.get_mut(&group).unwrap().change(|members| _ = members.remove(&user));
        self.dropped(&before);
    }

    /// By how much reads may be behind.
    pub fn behind(&self) -> SignedDuration {
        TICK * i32::from(self.lag)
    }

    /// An admin's hand was there within the time that reads lag.
    fn is_just_touched(&self, user: UserId) -> bool {
        self.touched.get(&user).is_some_and(|at| *at + self.behind() >= self.now)
    }

    /// A write of ours takes nobody's last path, unless an admin's hand was there within the time that reads lag.
    fn dropped(&mut self, before: &BTreeSet<UserId>) {
        let after = self.scope(0);
        let lost = before.difference(&after).find(|user| !self.is_just_touched(**user));
        if let Some(user) = lost.copied() {
            self.blame(format!("a write of ours takes the last path of {user}"));
        }
    }

    pub fn unassign(&mut self, key: (Principal, AppRoleId), keeps_members: bool) {
        if let Some(group) = group_of(&key.0).filter(|_| self.rows.now.contains_key(&key)) {
            for user in self.members[&group].now.clone() {
                // Who has just joined is covered when that shows, as the first look after the group's end must say.
                if !self.is_just_touched(user) {
                    self.proven(user, "their group unassigned");
                }
            }
            let list = &self.members[&group];
            let just_joined = list.before.as_ref().is_some_and(BTreeSet::is_empty);
            if !list.now.is_empty() && !just_joined && !keeps_members {
                self.blame(format!("{group} is unassigned with members in it"));
            }
        }
        let before = self.scope(0);
        self.rows.change(|rows| _ = rows.remove(&key));
        self.dropped(&before);
    }

    /// Whoever is deleted holds nothing.
    pub fn assign(&mut self, key: (Principal, AppRoleId)) {
        let now = self.now;
        if matches!(key.0, Principal::User(user) if self.deleted.contains(&user)) {
            return;
        }
        self.rows.change(|rows| _ = rows.entry(key).or_insert(now));
    }

    /// Everything that would change something.
    pub fn admin_acts(&self) -> Vec<Admin> {
        let mut acts = Vec::new();
        let groups = 1..=self.members.len() as u128;
        let has = |principal, r| self.rows.now.contains_key(&(principal, role(r)));
        for u in 1..=self.enabled.len() as u128 {
            if self.deleted.contains(&user(u)) {
                continue;
            }
            for g in groups.clone() {
                let inside = self.members[&group(g)].now.contains(&user(u));
                acts.push(if inside { Admin::Leave(u, g) } else { Admin::Join(u, g) });
                acts.push(if has(Principal::User(user(u)), g) { Admin::Unassign(u, g) } else { Admin::Assign(u, g) });
            }
            if self.enabled[&user(u)] {
                acts.push(Admin::Disable(u));
            }
            acts.push(Admin::Delete(u));
        }
        for g in groups {
            acts.push(if has(Principal::Group(group(g)), g) { Admin::UnassignGroup(g) } else { Admin::AssignGroup(g) });
        }
        acts
    }

    pub fn admin(&mut self, act: Admin) {
        let (now, members) = (self.now, |g: u128| self.members[&group(g)].now.clone());
        let touched = match act {
            Admin::Join(u, _) | Admin::Leave(u, _) | Admin::Assign(u, _) | Admin::Unassign(u, _) => BTreeSet::from([user(u)]),
            Admin::Disable(u) | Admin::Delete(u) => BTreeSet::from([user(u)]),
            Admin::AssignGroup(g) | Admin::UnassignGroup(g) => members(g),
        };
        self.touched.extend(touched.into_iter().map(|user| (user, now)));
        match act {
            Admin::Join(u, g) => self.members.get_mut(&group(g)).unwrap().change(|members| _ = members.insert(user(u))),
            Admin::Leave(u, g) => {
                self.excused.insert(user(u));
                self.members.get_mut(&group(g)).unwrap().change(|members| _ = members.remove(&user(u)));
            }
            Admin::Assign(u, r) => self.assign((Principal::User(user(u)), role(r))),
            Admin::Unassign(u, r) => {
                self.excused.insert(user(u));
                self.rows.change(|rows| _ = rows.remove(&(Principal::User(user(u)), role(r))));
            }
            Admin::AssignGroup(g) => self.assign((Principal::Group(group(g)), role(g))),
            Admin::UnassignGroup(g) => {
                let members = self.members[&group(g)].now.clone();
                self.excused.extend(members);
                self.rows.change(|rows| _ = rows.remove(&(Principal::Group(group(g)), role(g))));
            }
            Admin::Disable(u) => {
                self.excused.insert(user(u));
                self.enabled.insert(user(u), false);
            }
            Admin::Delete(u) => {
                self.excused.insert(user(u));
                self.deleted.insert(user(u));
                self.rows.change(|rows| rows.retain(|(principal, _), _| *principal != Principal::User(user(u))));
                self.members.values_mut().for_each(|list| list.change(|members| _ = members.remove(&user(u))));
            }
        }
    }

    /// The token is asked for: the groups must be gone, and a good cycle must have seen that.
    pub fn revocation_is_due(&mut self, last_unassigned: Option<Timestamp>) {
        let old = |made: &Timestamp| *made + self.behind() < self.now;
        let left = self.rows.now.iter().any(|((principal, _), made)| group_of(principal).is_some() && old(made));
        if left {
            self.blame("the token's end is asked for while a managed group is assigned".into());
        }
        let seen = last_unassigned.is_none_or(|at| self.good.is_some_and(|began| began > at));
        if !seen {
            self.blame("the token's end is asked for before a good cycle has seen the groups gone".into());
        }
    }
}

pub fn group_of(principal: &Principal) -> Option<GroupId> {
    if let Principal::Group(group) = principal { Some(*group) } else { None }
}
