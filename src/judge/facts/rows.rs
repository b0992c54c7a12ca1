//! The app's assignments, whole, as this turn has read them. There is none of this where they were not: whoever asks for a row
//! must say what they make of not knowing.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;

use super::person::Person;
use crate::model::compact::partition_near;
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::snapshot::{Assignment, Look, Principal};

pub struct Rows<'a> {
    /// The service's time of the look.
    pub at: Timestamp,
    all: &'a [Assignment],
    /// Rows of users, in their order, by the place among all rows.
    direct: Vec<(UserId, u32)>,
    groups: BTreeMap<GroupId, Vec<&'a Assignment>>,
    /// Where the last one was found: most are asked for in their order.
    last: Cell<usize>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(look: &'a Look<Vec<Assignment>>) -> Self {
        let all = look.value.as_slice();
        let users = all.iter().filter(|row| matches!(row.principal, Principal::User(_))).count();
        let mut direct = Vec::with_capacity(users);
        let mut groups: BTreeMap<GroupId, Vec<&Assignment>> = BTreeMap::new();
        for (place, row) in (0u32..).zip(all) {
            match row.principal {
                Principal::User(user) => direct.push((user, place)),
                Principal::Group(group) => groups.entry(group).or_default().push(row),
                Principal::Other(_) | Principal::Unheard(_) => {}
            }
        }
        direct.sort_unstable();
        Rows { at: look.at, all, direct, groups, last: Cell::new(0) }
    }

    pub fn all(&self) -> &'a [Assignment] {
        self.all
    }

    /// Rows of the group on the app.
    pub fn of(&self, group: GroupId) -> &[&'a Assignment] {
        self.groups.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn has(&self, group: GroupId) -> bool {
        self.groups.contains_key(&group)
    }

    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.groups.keys().copied()
    }

    /// Who has rows of their own, in the order of their ids, and when each was made; whoever has several comes as often.
    pub fn users(&self) -> impl Iterator<Item = (UserId, Option<Timestamp>)> {
        self.direct.iter().map(|(user, place)| (*user, self.all[*place as usize].created))
    }

    /// How many rows users have of their own.
    pub fn of_users(&self) -> usize {
        self.direct.len()
    }

    /// The user's own rows: the role, and when it was made.
    pub fn of_user(&self, user: UserId) -> impl Iterator<Item = (AppRoleId, Option<Timestamp>)> {
        let first = partition_near(&self.direct, self.last.get(), |(other, _)| *other < user);
        self.last.set(first);
        self.at_places(self.places_from(first, user))
    }

    pub fn own(&self, person: &Person) -> impl Iterator<Item = (AppRoleId, Option<Timestamp>)> {
        self.at_places(person.own.clone())
    }

    /// The rows of this user, of which the first can only be at `place` or behind it; the place of the first.
    pub(super) fn next_of(&self, place: &mut usize, user: UserId) -> Range<u32> {
        *place += self.direct[*place..].iter().take_while(|(other, _)| *other < user).count();
        self.places_from(*place, user)
    }

    fn places_from(&self, first: usize, user: UserId) -> Range<u32> {
        let after = first + self.direct[first..].iter().take_while(|(other, _)| *other == user).count();
        first as u32..after as u32
    }

    fn at_places(&self, places: Range<u32>) -> impl Iterator<Item = (AppRoleId, Option<Timestamp>)> {
        self.direct[places.start as usize..places.end as usize]
            .iter()
            .map(|(_, place)| &self.all[*place as usize])
            .map(|row| (row.role, row.created))
    }
}
