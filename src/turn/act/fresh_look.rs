//! What was seen of those from whom something is about to be taken away, and for how long a write may rest on it. All of that
//! which goes out at once is judged against one look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::judge::brakes::Approved;
use crate::model::action::Action;
use crate::model::id::{AppRoleId, GroupId, ServicePrincipalId, UserId};
use crate::model::moment::Moment;
use crate::model::snapshot::{Assignment, Principal, Snapshot};
use crate::undo::Undo;
use crate::world::{Clock, Directory, World};

/// A write may leave for so long after its look has begun, or twice as long as the look took: lists of a large company take
/// longer to read than this.
const FRESH: Duration = Duration::from_secs(30);

pub(super) struct FreshLook {
    began: Moment,
    lasts: Duration,
    /// In order.
    direct: Vec<(UserId, AppRoleId)>,
    groups: BTreeSet<(GroupId, AppRoleId)>,
    /// `None`: the turn's own look, which the approval rests on already.
    members: Option<BTreeMap<GroupId, BTreeSet<UserId>>>,
}

impl FreshLook {
    pub(super) fn of_turn(seen: &Snapshot) -> FreshLook {
        let rows = seen.assignments.known().map(|look| look.value.as_slice()).unwrap_or_default();
        FreshLook::new(seen.began, FRESH, rows, None)
    }

    /// Looks now: at who holds what, and last, which is soon done where they are empty, at who is in these groups.
    pub(super) async fn look(world: &impl World, app: ServicePrincipalId, groups: &[GroupId]) -> Result<FreshLook, String> {
        let began = world.clock().moment();
        let rows = world.directory().assignments(app).await;
        let rows = rows.map_err(|error| format!("coverage could not be read again: {error}"))?;
        let read = world.directory().members_of(groups).await.into_iter();
        let of_groups = groups.iter().zip(read).map(|(group, look)| {
            let look = look.map_err(|error| format!("the members of group {group} could not be read again: {error}"))?;
            let unheard = look.value.unheard_of().next().map(str::to_owned);
            match unheard {
                Some(kind) => Err(format!("group {group} has a member of a kind that is not known here ({kind})")),
                None => Ok((*group, look.value.users)),
            }
        });
        let members = of_groups.collect::<Result<_, String>>()?;
        let took = began.age(world.clock().moment());
        Ok(FreshLook::new(began, FRESH.max(took * 2), &rows.value, Some(members)))
    }

    fn new(
        began: Moment,
        lasts: Duration,
        rows: &[Assignment],
        members: Option<BTreeMap<GroupId, BTreeSet<UserId>>>,
    ) -> FreshLook {
        let (mut direct, mut groups) = (Vec::new(), BTreeSet::new());
        for row in rows {
            match row.principal {
                Principal::User(user) => direct.push((user, row.role)),
                Principal::Group(group) => _ = groups.insert((group, row.role)),
                Principal::Other(_) | Principal::Unheard(_) => {}
            }
        }
        direct.sort_unstable();
        FreshLook { began, lasts, direct, groups, members }
    }

    pub(super) fn is_fresh(&self, now: Moment) -> bool {
        self.began.age(now) <= self.lasts
    }

    /// It is fresh, and has what is asked of these groups.
    pub(super) fn serves(&self, groups: &[GroupId], now: Moment) -> bool {
        let known = |members: &BTreeMap<GroupId, _>| groups.iter().all(|group| members.contains_key(group));
        self.is_fresh(now) && self.members.as_ref().is_none_or(known)
    }

    /// Nobody is left bare by this action, or who would be.
    pub(super) fn covers(&self, approved: &Approved, action: &Action) -> Result<(), String> {
        match action {
            Action::RemoveMember { user, .. } => self.holds_directly(approved, *user),
            Action::UnassignGroup { group, .. } => {
                let known: BTreeSet<UserId> = approved.members(*group).collect();
                let now = self.members.as_ref().and_then(|members| members.get(group));
                if let Some(user) = now.into_iter().flatten().find(|user| !known.contains(user)) {
                    return Err(format!("user {user} has joined group {group} in the meantime"));
                }
                known.into_iter().try_for_each(|user| self.holds_directly(approved, user))
            }
            _ => Ok(()),
        }
    }

    fn holds_directly(&self, approved: &Approved, user: UserId) -> Result<(), String> {
        let first = self.direct.partition_point(|(other, _)| *other < user);
        let has_any = self.direct.get(first).is_some_and(|(other, _)| *other == user);
        let held = |role: &AppRoleId| self.direct.binary_search(&(user, *role)).is_ok();
        match approved.needs(user) {
            Some(needs) if !(has_any && needs.iter().all(held)) => {
                Err(format!("user {user} no longer holds their roles directly"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Some group carries the user whose direct assignment this action takes back, for each of their roles.
    pub(super) fn carries(&self, undo: &Undo, action: &Action) -> bool {
        let Action::RemoveDirect { user, .. } = action else { return true };
        let Some(members) = &self.members else { return false };
        let in_group = |group: &GroupId| members.get(group).is_some_and(|users| users.contains(user));
        let stands = |groups: &BTreeSet<(GroupId, AppRoleId)>| {
            groups.iter().any(|(group, role)| self.groups.contains(&(*group, *role)) && in_group(group))
        };
        undo.paths(*user).is_some_and(|paths| paths.values().all(stands))
    }
}
