//! How far each protected user is from needing no group, alone and in each group.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use jiff::Timestamp;

use super::Facts;
use super::person::{Cover, InGroup, Person};
use crate::model::baseline::{Baseline, ManagedGroup, Protected};
use crate::model::compact::{Few, InOrder, Pool, find_among};
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::moment::{is_ahead, since};

/// Everybody, in the order of their ids; and apart, what is asked of very many at once.
#[derive(Default)]
pub(super) struct People<'a> {
    all: Vec<Person<'a>>,
    ids: Vec<UserId>,
    /// Who needs no group: settled, or departed.
    settled: Vec<bool>,
    /// Who was ever seen in which group, by place.
    ever_in: HashMap<GroupId, Vec<u32>>,
}

impl<'a> People<'a> {
    fn of(facts: &Facts<'a>) -> People<'a> {
        let (memory, mut of_rows) = (facts.memory, 0usize);
        let Some(baseline) = facts.baseline() else { return People::default() };
        // These are all in the order of their ids.
        let mut accounts = InOrder::over(&facts.seen.users);
        let mut in_sight = InOrder::over(&memory.remembered.covered_since);
        let mut pool = Pool::default();
        let given = |group: &ManagedGroup| group.roles.iter().map(|role| facts.own_role(*role)).collect();
        let mut groups: HashMap<GroupId, (Few<AppRoleId>, Vec<u32>)> =
            baseline.groups.iter().map(|(id, group)| (*id, (given(group), Vec::new()))).collect();
        let added = added(facts, baseline);
        // No engine runs any more, and what others take away from then on is their business.
        let is_owed =
            |group: &GroupId, id: &UserId| !facts.is_token_rejected() || (facts.is_on(*group) && facts.is_seen_in(*id, *group));
        let person = |(place, (id, user)): (u32, (&UserId, &'a Protected))| {
            let record = user.target.record().zip(memory.target.as_ref());
            let record = record.and_then(|(before, look)| look.user(&before.id).known().copied());
            let mut roles: Option<Few<AppRoleId>> = None;
            for group in &user.groups {
                let (given, members) = groups.entry(*group).or_default();
                members.push(place);
                if !is_owed(group, id) {
                    continue;
                }
                roles = Some(match roles {
                    None => given.clone(),
                    Some(roles) => pool.share(roles.iter().chain(given.iter()).copied().collect()),
                });
                if let Some((given, _)) = added.get(group).filter(|(_, members)| members.contains(id)) {
                    let roles = roles.get_or_insert_default();
                    *roles = pool.share(roles.iter().chain(given.iter()).copied().collect());
                }
            }
            let mut person = Person {
                id: *id,
                user,
                roles: roles.unwrap_or_default(),
                own: facts.rows().map_or(0..0, |rows| rows.next_of(&mut of_rows, *id)),
                in_sight: in_sight.get(id),
                cover: Cover::Departed,
                enabled: accounts.get(id).and_then(|seen| seen.known()?.enabled),
                record,
            };
            person.cover = facts.cover_of(&person);
            person
        };
        let all: Vec<Person> = (0..).zip(&baseline.users).map(person).collect();
        let settled = |person: &Person| matches!(person.cover, Cover::Settled | Cover::Departed);
        People {
            ids: all.iter().map(|person| person.id).collect(),
            settled: all.iter().map(settled).collect(),
            ever_in: groups.into_iter().map(|(id, (_, members))| (id, members)).collect(),
            all,
        }
    }
}

/// Roles with which groups were assigned again after they had been taken off the app: given to whom this look shows in them, and to
/// nobody who was in them before.
fn added<'f>(facts: &'f Facts, baseline: &Baseline) -> HashMap<GroupId, (Few<AppRoleId>, &'f BTreeSet<UserId>)> {
    let of_group = |(id, group): (&GroupId, &ManagedGroup)| {
        let rows = facts.rows()?.of(*id);
        let added: Few<_> =
            rows.iter().filter(|row| !group.roles.contains(&row.role)).map(|row| facts.own_role(row.role)).collect();
        let members = facts.members(*id).filter(|_| !added.is_empty())?;
        Some((*id, (added, &members.value.users)))
    };
    baseline.groups.iter().filter_map(of_group).collect()
}

impl<'a> Facts<'a> {
    fn everybody(&self) -> &People<'a> {
        self.people.get_or_init(|| People::of(self))
    }

    /// Every protected user; nobody where there is no baseline.
    pub fn people(&self) -> &[Person<'a>] {
        &self.everybody().all
    }

    /// `None`: not protected.
    pub fn person(&self, id: UserId) -> Option<&Person<'a>> {
        let place = find_among(&self.everybody().ids, &[], (&self.last_in, &self.last_person), &id);
        place.map(|place| &self.people()[place])
    }

    /// The place among the people, of somebody who is most likely in this group.
    pub fn place_in(&self, group: GroupId, id: UserId) -> Option<usize> {
        find_among(&self.everybody().ids, self.places_in(group), (&self.last_in, &self.last_person), &id)
    }

    fn cover_of(&self, person: &Person) -> Cover {
        if self.has_departed(person.id) {
            return Cover::Departed;
        }
        let required = &person.roles;
        let Some(rows) = self.rows() else { return Cover::NotRead };
        let owned = || rows.own(person);
        let missing = required.iter().filter(|role| !owned().any(|(owned, _)| owned == **role));
        let missing: Vec<_> = missing.copied().collect();
        if !missing.is_empty() {
            return Cover::Missing(missing);
        }
        let mut latest: Option<Timestamp> = None;
        for role in required.iter() {
            let Some(first) = person.in_sight.and_then(|roles| roles.get(role)) else { return Cover::Settling };
            if since(first, rows.at) < self.spec.timing.settle || rows.at <= first {
                return Cover::Settling;
            }
            // Of two rows for one role the later one.
            let made = owned().filter(|(owned, _)| owned == role).filter_map(|(_, made)| made);
            let made = made.filter(|made| !is_ahead(*made, rows.at)).max();
            latest = latest.max(Some(made.unwrap_or(first)));
        }
        // Observed disabled in this turn: who was so at the baseline may have come back since.
        if person.enabled == Some(false) || self.is_token_rejected() {
            return Cover::Settled;
        }
        let enough = latest.is_none_or(|made| self.cycles_after(made).count() >= self.spec.provisioning.settle_cycles as usize);
        if enough { Cover::Settled } else { Cover::AwaitingCycle }
    }

    /// Protected users who were ever seen in this group.
    pub fn users_of(&self, group: GroupId) -> impl ExactSizeIterator<Item = &Person<'a>> {
        let people = self.people();
        self.places_in(group).iter().map(|place| &people[*place as usize])
    }

    fn places_in(&self, group: GroupId) -> &[u32] {
        self.everybody().ever_in.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// Protected users who were ever seen in this group and whom the look at its members does not show; nobody where there is none.
    pub fn gone_from(&self, group: GroupId) -> impl Iterator<Item = &Person<'a>> {
        let people = self.people();
        let judged = self.judged(group);
        (0..judged.gone.len()).map(move |n| &people[judged.gone[n] as usize])
    }

    /// Taken out of protection by the operator: nothing is assigned to them, and their state at the target is not judged.
    pub fn is_released(&self, user: UserId) -> bool {
        self.spec.released.contains(&user)
    }

    /// After the retirement a deleted direct assignment is how admins offboard: reported, not restored. Not so of a role that a group
    /// on the app gives them.
    pub fn is_offboarded(&self, person: &Person) -> bool {
        self.is_without(person) && !self.is_released(person.id)
    }

    /// After the retirement, and without a role that their groups gave them and nothing gives them now.
    pub fn is_without(&self, person: &Person) -> bool {
        let (Some(rows), Some(baseline)) = (self.rows().filter(|_| self.is_token_rejected()), self.baseline()) else {
            return false;
        };
        let has = |role: AppRoleId| person.roles.contains(&role) || rows.own(person).any(|(owned, _)| owned == role);
        let given = person.user.groups.iter().filter_map(|group| baseline.groups.get(group)).flat_map(|group| &group.roles);
        person.cover != Cover::Departed && given.into_iter().any(|role| !has(self.own_role(*role)))
    }

    /// Not in the group any more, and released without a direct assignment, or after the retirement: its end takes nothing from them.
    pub fn is_let_go(&self, person: &Person, group: GroupId) -> bool {
        let members = self.members(group);
        let is_left = || self.is_released(person.id) && matches!(person.cover, Cover::Missing(_));
        (self.is_token_rejected() || is_left()) && members.is_some_and(|look| !look.value.users.contains(&person.id))
    }

    /// Nobody in the group needs it, and the look that says who is in it is this turn's.
    pub fn is_group_settled(&self, group: GroupId) -> bool {
        self.judged(group).is_settled
    }

    fn judged(&self, group: GroupId) -> Rc<InGroup> {
        let known = self.judged.borrow().get(&group).cloned();
        known.unwrap_or_else(|| {
            let judged = Rc::new(self.judge(group));
            self.judged.borrow_mut().insert(group, judged.clone());
            judged
        })
    }

    fn judge(&self, group: GroupId) -> InGroup {
        let (mut is_settled, mut gone) = (true, Vec::new());
        let Some(members) = self.members(group) else { return InGroup { is_settled: false, gone } };
        // Whoever it is, nobody knows that they need no group.
        is_settled &= members.value.unheard_of().next().is_none();
        // Both are in the order of their ids.
        let mut members = members.value.users.iter().peekable();
        let everybody = self.everybody();
        for place in self.places_in(group) {
            let id = &everybody.ids[*place as usize];
            while members.next_if(|member| *member < id).is_some() {
                // Somebody whom nobody has ever seen in it.
                is_settled = false;
            }
            if members.next_if_eq(&id).is_none() {
                gone.push(*place);
            }
            is_settled &= everybody.settled[*place as usize] || self.is_let_go(&everybody.all[*place as usize], group);
        }
        InGroup { is_settled: is_settled && members.peek().is_none(), gone }
    }
}
