//! How far each protected user is from needing no group, alone and in each group.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;

use super::Facts;
use super::person::{Cover, InGroup, Person};
use crate::model::baseline::Protected;
use crate::model::compact::{Few, InOrder, Pool, find_among};
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::moment::{is_ahead, since};

impl<'a> Facts<'a> {
    /// Every protected user; nobody where there is no baseline.
    pub fn people(&self) -> &[Person<'a>] {
        self.people.get_or_init(|| {
            let (memory, mut place) = (self.memory, 0usize);
            let Some(baseline) = self.baseline() else { return Vec::new() };
            // These are all in the order of their ids.
            let mut accounts = InOrder::over(&self.seen.users);
            let mut in_sight = InOrder::over(&memory.remembered.covered_since);
            let mut pool = Pool::default();
            let person = |(id, user): (&UserId, &'a Protected)| {
                let record = user.target.record().zip(memory.target.as_ref());
                let record = record.and_then(|(before, look)| look.user(&before.id).known().copied());
                let mut person = Person {
                    id: *id,
                    user,
                    roles: pool.share(self.roles_of(user)),
                    own: self.rows().map_or(0..0, |rows| rows.next_of(&mut place, *id)),
                    in_sight: in_sight.get(id),
                    cover: Cover::Departed,
                    enabled: accounts.get(id).and_then(|seen| seen.known()?.enabled),
                    record,
                };
                person.cover = self.cover_of(&person);
                person
            };
            baseline.users.iter().map(person).collect()
        })
    }

    /// `None`: not protected.
    pub fn person(&self, id: UserId) -> Option<&Person<'a>> {
        let place = find_among(self.people(), &[], (&self.last_in, &self.last_person), &id, |person| person.id);
        place.map(|place| &self.people()[place])
    }

    /// The place among the people, of somebody who is most likely in this group.
    pub fn place_in(&self, group: GroupId, id: UserId) -> Option<usize> {
        find_among(self.people(), self.places_in(group), (&self.last_in, &self.last_person), &id, |person| person.id)
    }

    fn roles_of(&self, user: &Protected) -> Few<AppRoleId> {
        let given = self.given.get_or_init(|| {
            let groups = self.baseline().into_iter().flat_map(|baseline| &baseline.groups);
            groups.map(|(id, group)| (*id, group.roles.iter().map(|role| self.own_role(*role)).collect())).collect()
        });
        let mut groups = user.groups.iter().filter_map(|group| given.get(group));
        let first = groups.next().cloned().unwrap_or_default();
        groups.fold(first, |roles, more| {
            if roles == *more {
                return roles;
            }
            roles.iter().chain(more.iter()).copied().collect()
        })
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
        let people = self.people();
        let ever_in = self.ever_in.get_or_init(|| {
            let mut ever_in: BTreeMap<GroupId, Vec<u32>> = BTreeMap::new();
            for (place, person) in (0..).zip(people) {
                for group in &person.user.groups {
                    ever_in.entry(*group).or_default().push(place);
                }
            }
            ever_in
        });
        ever_in.get(&group).map(Vec::as_slice).unwrap_or_default()
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

    /// Released, without a direct assignment, and not in the group any more: its end takes nothing from them.
    pub fn is_let_go(&self, person: &Person, group: GroupId) -> bool {
        let members = self.members(group);
        self.is_released(person.id)
            && matches!(person.cover, Cover::Missing(_))
            && members.is_some_and(|look| !look.value.users.contains(&person.id))
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
        let people = self.people();
        for place in self.places_in(group) {
            let person = &people[*place as usize];
            while members.next_if(|member| **member < person.id).is_some() {
                // Somebody whom nobody has ever seen in it.
                is_settled = false;
            }
            if members.next_if_eq(&&person.id).is_none() {
                gone.push(*place);
            }
            is_settled &= matches!(person.cover, Cover::Settled | Cover::Departed) || self.is_let_go(person, group);
        }
        InGroup { is_settled: is_settled && members.peek().is_none(), gone }
    }
}
