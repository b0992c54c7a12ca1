//! Memberships that end by themselves (Privileged Identity Management): to whom a row of their own would give more than they have.
//! A person decides about them, for as long as groups carry them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::judge::facts::{Facts, Ground};
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::memory::KnownUses;
use crate::model::snapshot::ObservedGroup;
use crate::model::spec::Acknowledgement;
use crate::model::words::some_of;

pub const REMEDY: &str = "wait until they have left, put them into spec.released, or set groups.acknowledge: [TemporaryMembers] to let them keep the access";

/// How a role comes to somebody, the weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// A membership that ends gives it.
    Lent(Option<Timestamp>, GroupId),
    /// Whether the membership ends could not be read.
    NotRead(GroupId),
    /// A membership that lasts gives it, as far as anybody may look.
    Lasting,
}

/// Why this role is not to be given to them for good without a word of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    Undecided(String),
    NotRead(String),
}

/// Whether anything is left open about anybody; asked before people are gone through one by one.
fn may_be_open(facts: &Facts) -> bool {
    *facts.may_be_lent.get_or_init(|| facts.seen.groups.iter().any(|(id, seen)| is_in_doubt(facts, *id, seen)))
}

fn is_in_doubt(facts: &Facts, id: GroupId, seen: &ObservedGroup) -> bool {
    let by_this_look = seen.lent.failed().is_some() || seen.lent.known().is_some_and(|lent| !lent.is_empty());
    let acknowledged = facts.acknowledges(Acknowledgement::TemporaryMembers);
    !acknowledged && (by_this_look || known(facts, id).is_some_and(|known| !known.lent.is_empty()))
}

/// Of somebody who was never seen in this group before. Nobody is protected through a membership that ends before that is decided:
/// they would be owed its role when it has ended.
pub fn of_newcomer(facts: &Facts, id: GroupId, seen: &ObservedGroup, user: UserId) -> Option<Open> {
    let asked = is_in_doubt(facts, id, seen) && !facts.is_released(user);
    asked.then(|| told_of(facts, user, in_group(facts, id, seen, user))).flatten()
}

/// Members of managed groups who are not protected through them, as that is not decided.
pub fn newcomers(facts: &Ground) -> Vec<Open> {
    let in_doubt = facts.seen.groups.iter().filter(|(id, seen)| facts.is_on(**id) && is_in_doubt(facts, **id, seen));
    let of_group = |(id, seen): (&GroupId, &ObservedGroup)| {
        let members = seen.members.known().into_iter().flat_map(|look| &look.value.users);
        let managed = facts.baseline.groups.contains_key(id);
        let is_new = |user: &UserId| managed && facts.baseline.users.get(user).is_none_or(|known| !known.groups.contains(id));
        members.filter(|user| is_new(user)).filter_map(|user| of_newcomer(facts, *id, seen, *user)).collect::<Vec<_>>()
    };
    in_doubt.flat_map(of_group).collect()
}

/// `role` is one that they would hold themselves. Nothing where no group carries them: they need their row.
pub fn open(facts: &Facts, user: UserId, role: AppRoleId) -> Option<Open> {
    if may_be_open(facts) { told_of(facts, user, hold(facts, user, role)?) } else { None }
}

fn hold(facts: &Facts, user: UserId, role: AppRoleId) -> Option<Hold> {
    let gives = |id: &GroupId| {
        let rows = facts.rows().into_iter().flat_map(|rows| rows.of(*id));
        rows.into_iter().any(|row| facts.own_role(row.role) == role)
    };
    let carries = |(id, seen): &(&GroupId, &ObservedGroup)| {
        seen.members.known().is_some_and(|look| look.value.users.contains(&user)) && gives(id)
    };
    facts.seen.groups.iter().filter(carries).map(|(id, seen)| in_group(facts, *id, seen, user)).max()
}

fn told_of(facts: &Facts, user: UserId, hold: Hold) -> Option<Open> {
    match hold {
        Hold::Lasting => None,
        Hold::Lent(until, group) => Some(Open::Undecided(format!(
            "{} is a member of {} {} only, and an assignment of their own would last; {REMEDY}",
            facts.user_name(user),
            facts.group_name(group),
            end(until)
        ))),
        Hold::NotRead(group) => Some(Open::NotRead(format!(
            "whether {} is a member of {} for a while only could not be read",
            facts.user_name(user),
            facts.group_name(group)
        ))),
    }
}

/// By this look, and by the ones before it: an end that was known stays known until repeated looks leave it out, for a list of
/// members may be older than the list of ends.
fn in_group(facts: &Facts, id: GroupId, seen: &ObservedGroup, user: UserId) -> Hold {
    let remembered = known(facts, id).is_some_and(|known| known.lent.contains_key(&user.to_string()));
    match (seen.lent.known().and_then(|lent| lent.get(&user)), seen.lent.failed()) {
        (Some(until), _) => Hold::Lent(*until, id),
        (None, _) if remembered => Hold::Lent(None, id),
        (None, Some(_)) => Hold::NotRead(id),
        (None, None) => Hold::Lasting,
    }
}

fn known<'a>(facts: &Facts<'a>, id: GroupId) -> Option<&'a KnownUses> {
    facts.memory.remembered.uses.get(&id)
}

/// Whom a row of their own would give a role of this group for good that they have for a while only, by this look; whoever the
/// operator has released gets none.
pub fn gaining(facts: &Facts, id: GroupId, seen: &ObservedGroup) -> BTreeMap<UserId, Option<Timestamp>> {
    let Some(rows) = facts.rows() else { return BTreeMap::new() };
    let gains = |user: UserId| {
        let mut roles = rows.of(id).iter().map(|row| facts.own_role(row.role));
        roles.any(|role| {
            let has_it = rows.of_user(user).any(|(held, _)| held == role);
            !has_it && matches!(hold(facts, user, role), Some(Hold::Lent(..)))
        })
    };
    let lent = seen.lent.known().into_iter().flatten().map(|(user, until)| (*user, *until));
    lent.filter(|(user, _)| !facts.is_released(*user) && gains(*user)).collect()
}

/// They come into a managed group by activation, and go when that ends: nobody has to ask by what path they were in scope.
pub fn comes_and_goes(facts: &Facts, user: UserId) -> bool {
    let (id, known) = (user.to_string(), facts.memory.remembered.uses.values());
    let by_this_look = |seen: &ObservedGroup| {
        seen.lent.known().is_some_and(|lent| lent.contains_key(&user))
            || seen.eligible.known().is_some_and(|eligible| eligible.contains(&user))
    };
    known.into_iter().any(|known| known.lent.contains_key(&id) || known.eligible.contains_key(&id))
        || facts.seen.groups.values().any(by_this_look)
}

pub fn told(facts: &Facts, lent: &BTreeMap<UserId, Option<Timestamp>>) -> String {
    some_of(lent.iter().map(|(user, until)| format!("{} {}", facts.user_name(*user), end(*until))))
}

fn end(until: Option<Timestamp>) -> String {
    until.map_or_else(|| "for a while".to_owned(), |until| format!("until {until:.0}"))
}
