//! Brakes over single actions: would this one leave somebody bare, or touch what was not handed to us?

use std::cell::LazyCell;
use std::collections::BTreeSet;

use crate::judge::facts::{Cover, Facts, Person, Rows};
use crate::judge::group_plan::{GroupPlan, plan_for};
use crate::judge::pim::{self, Open};
use crate::model::action::Action;
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::words::{part, some_of};

/// Would any of these leave somebody without a direct assignment? Counted afresh from this turn's lists, not from the steps.
pub(super) fn uncovered(facts: &Facts, actions: &[Action]) -> Option<String> {
    let ends = actions.iter().filter_map(Action::unassigns);
    let blind_groups: Vec<_> =
        ends.filter(|group| members(facts, *group).is_none()).map(|group| facts.group_name(group)).collect();
    let alone = LazyCell::new(|| alone(facts));
    let is_bare = |(user, group): &(UserId, GroupId)| !stands_alone(facts, &alone, *user, *group);
    let bare = || actions.iter().flat_map(|action| concerned(facts, action)).filter(is_bare);
    if blind_groups.is_empty() && bare().next().is_none() {
        return None;
    }
    let users: BTreeSet<UserId> = actions.iter().flat_map(|action| concerned(facts, action)).map(|(user, _)| user).collect();
    let names: BTreeSet<_> = bare().map(|(user, _)| facts.user_name(user)).collect();
    Some(format!(
        "{} would be left without a direct assignment of the same role that was seen twice, and none may be: {}{}; it goes on by itself when two \
         reads have shown it",
        part(names.len(), users.len(), "user"),
        some_of(names),
        if blind_groups.is_empty() { String::new() } else { format!("; members not known: {}", some_of(blind_groups)) }
    ))
}

/// It assigns somebody directly whom no group is seen to carry. Where that could not be read they count as carried only as long as
/// we have taken nothing away from any group.
pub(super) fn heals(facts: &Facts, action: &Action) -> bool {
    let Action::AssignUser { user, .. } = action else { return false };
    let (Some(ground), Some(person)) = (facts.ground(), facts.person(*user)) else { return false };
    let taken = || facts.memory.journal.taking().next().is_some();
    let carried = |group: &GroupId| {
        ground.rows.has(*group) && members(facts, *group).map_or_else(|| !taken(), |members| members.contains(user))
    };
    !person.user.groups.iter().any(carried)
}

/// Whose path into scope this action ends, and which.
fn concerned<'f, 'a>(facts: &'f Facts<'a>, action: &Action) -> impl Iterator<Item = (UserId, GroupId)> + use<'f, 'a> {
    let (removed, ended) = match action {
        Action::RemoveMember { group, user } => (Some((*user, *group)), None),
        Action::UnassignGroup { group, .. } => (None, Some(*group)),
        _ => (None, None),
    };
    let of_group = move |group| {
        let staying = facts.users_of(group).filter(move |person| !facts.is_let_go(person, group)).map(|person| person.id);
        staying.chain(members(facts, group).into_iter().flatten().copied()).map(move |user| (user, group))
    };
    removed.into_iter().chain(ended.into_iter().flat_map(of_group))
}

fn members<'f>(facts: &'f Facts, group: GroupId) -> Option<&'f BTreeSet<UserId>> {
    Some(&facts.members(group)?.value.users)
}

/// Of everybody, by place: whether they hold all that their groups give. In their order, as each has rows somewhere else in memory.
fn alone(facts: &Facts) -> Vec<bool> {
    let Some(rows) = facts.rows() else { return Vec::new() };
    facts.people().iter().map(|person| person.roles.iter().all(|role| holds(rows, person, *role))).collect()
}

/// This turn's look shows a row of their own for it, and so did one before it.
fn holds(rows: &Rows, person: &Person, role: AppRoleId) -> bool {
    let now = rows.own(person).any(|(held, _)| held == role);
    let before = person.in_sight.and_then(|roles| roles.get(&role)).is_some_and(|first| first < rows.at);
    now && before
}

fn stands_alone(facts: &Facts, alone: &[bool], id: UserId, group: GroupId) -> bool {
    let Some(rows) = facts.rows() else { return false };
    let Some(place) = facts.place_in(group, id) else { return false };
    let person = &facts.people()[place];
    let is_out = members(facts, group).is_some_and(|members| !members.contains(&id));
    let mut of_rows = rows.of(group).iter().map(|row| facts.own_role(row.role));
    person.cover == Cover::Departed
        || (alone[place] && (is_out || of_rows.all(|role| person.roles.contains(&role) || holds(rows, person, role))))
}

/// Only what was handed to us, and members only where that was decided. What forbids the removal of one member forbids it for
/// all of the group: it is asked for once for those who stand side by side.
pub(super) fn not_approved(
    facts: &Facts,
    open: &BTreeSet<GroupId>,
    last: &mut Option<(GroupId, Option<String>)>,
    action: &Action,
) -> Option<String> {
    match action {
        Action::RemoveMember { group, .. } => {
            if last.as_ref().is_none_or(|(last, _)| last != group) {
                *last = Some((*group, closed(facts, open, *group).or_else(|| members_stay(facts, *group))));
            }
            last.as_ref().and_then(|(_, why)| why.clone())
        }
        Action::UnassignGroup { group, .. } => closed(facts, open, *group),
        Action::AssignUser { user, .. } if facts.is_released(*user) => {
            Some(format!("user {} is in spec.released", facts.user_name(*user)))
        }
        Action::AssignUser { user, role } => match pim::open(facts, *user, *role) {
            Some(Open::Undecided(why) | Open::NotRead(why)) => Some(why),
            None => never_in_scope(facts, *user),
        },
        Action::RestoreAssignment { .. } | Action::RestoreMember { .. } | Action::RemoveDirect { .. } => {
            Some(format!("only a rollback may do this: {action}"))
        }
        Action::PauseJob { .. } | Action::RequestRevocation | Action::RecordBaseline => None,
    }
}

fn never_in_scope(facts: &Facts, user: UserId) -> Option<String> {
    let protected = facts.baseline().is_some_and(|baseline| baseline.users.contains_key(&user));
    (!protected).then(|| format!("user {user} was never in scope through a managed group"))
}

/// Why nothing may be taken away from this group now.
fn closed(facts: &Facts, open: &BTreeSet<GroupId>, group: GroupId) -> Option<String> {
    if !facts.baseline().is_some_and(|baseline| baseline.groups.contains_key(&group)) {
        Some(format!("group {} is not in the managed set", facts.group_name(group)))
    } else if facts.is_withdrawn(group) {
        Some(format!(
            "group {} is in the baseline, but no longer in groups.list; list it again, or start anew with another --data-dir",
            facts.group_name(group)
        ))
    } else if !open.contains(&group) {
        Some(format!("group {} belongs to a later wave", facts.group_name(group)))
    } else {
        None
    }
}

fn members_stay(facts: &Facts, group: GroupId) -> Option<String> {
    match plan_for(facts, group) {
        GroupPlan::Empty => None,
        GroupPlan::Keep => Some(format!("the members of {} are to be kept", facts.group_name(group))),
        GroupPlan::Nothing => Some(format!("group {} has no members to remove", facts.group_name(group))),
        GroupPlan::Undecided(why) | GroupPlan::Unknown(why) => Some(why),
    }
}
