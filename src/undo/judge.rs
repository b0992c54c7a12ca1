//! What a rollback puts back, judged from the journal and one look. Pure. Only what we did ourselves is undone, and nothing
//! is taken away from anybody whom no group carries again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::judge::facts::{Facts, Rows};
use crate::judge::others::{self, Least};
use crate::model::action::Action;
use crate::model::id::{AppRoleId, AssignmentId, GroupId, UserId};
use crate::model::key::Key;
use crate::model::memory::{LOOKS, Streak};
use crate::model::moment::later;
use crate::model::observed::Observed;
use crate::model::snapshot::{Assignment, Principal};
use crate::model::words::{count, some_of};
use crate::model::write_record::{LastOutcome, WriteRecord};

/// Stamps of one write may lie this far apart.
const STAMPS: Duration = Duration::from_secs(60);

/// May direct assignments go that we made?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    Stay,
    Go,
}

/// A rollback. Made by [`undo`] only.
#[derive(Debug, Default)]
pub struct Undo {
    actions: Vec<Action>,
    /// Objects that are as they were before us.
    pub already: usize,
    /// What must be seen first.
    pub waits: Vec<String>,
    /// Some of that because a read failed.
    pub is_blind: bool,
    /// What stays as it is, and why.
    pub stays: Vec<String>,
    /// Who comes into scope with it, though nobody but this would bring them there.
    pub comes: Vec<String>,
    paths: BTreeMap<UserId, Paths>,
}

/// For each role of theirs, the groups that give it, with the role that they hold.
pub type Paths = BTreeMap<AppRoleId, BTreeSet<(GroupId, AppRoleId)>>;

impl Undo {
    /// In the order in which nobody is ever without a path: rows of groups, members, direct rows.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }
    fn unread(&mut self, what: String) {
        self.is_blind = true;
        self.waits.push(what);
    }
    /// Every group on which the end of a direct row rests.
    pub fn carriers(&self) -> BTreeSet<GroupId> {
        self.paths.values().flat_map(BTreeMap::values).flatten().map(|(group, _)| *group).collect()
    }
    /// The groups that carry this user; all their roles must be among them when a direct assignment goes.
    pub fn paths(&self, user: UserId) -> Option<&Paths> {
        self.paths.get(&user)
    }
}

/// What is ours now: done by us, and not undone by an earlier rollback.
#[derive(Default)]
struct Ours {
    rows: BTreeSet<(GroupId, AppRoleId)>,
    members: BTreeSet<(GroupId, UserId)>,
    /// With the service time by which our row was there.
    direct: BTreeMap<(UserId, AppRoleId), Timestamp>,
    /// Direct rows whose write nobody answered: ours, or somebody else's.
    doubtful: BTreeSet<(UserId, AppRoleId)>,
    /// Service time of the last thing that was put back.
    restored: Option<Timestamp>,
    /// Keys of what was put back and nobody answered: asked once more, so that there is a time to count cycles from.
    unanswered: BTreeSet<Key>,
    open: usize,
}

impl Ours {
    fn of(writes: &[WriteRecord]) -> Ours {
        let mut ours = Ours::default();
        for write in writes {
            let open = write.ending.as_ref().is_none_or(|ending| ending.outcome == LastOutcome::Open);
            match &write.action {
                Action::UnassignGroup { group, role, .. } if write.is_ours() => _ = ours.rows.insert((*group, *role)),
                Action::RemoveMember { group, user } if write.is_ours() => _ = ours.members.insert((*group, *user)),
                // Only what was answered: a row that nobody confirmed may be somebody else's.
                Action::AssignUser { user, role } => {
                    let row = (*user, *role);
                    let made = write.ending.as_ref().filter(|ending| ending.already == Some(false));
                    if let Some(at) = made.and_then(|ending| ending.service_at) {
                        ours.direct.insert(row, at);
                        ours.doubtful.remove(&row);
                    } else if open || write.is_ours() {
                        ours.doubtful.insert(row);
                    }
                }
                Action::RestoreAssignment { .. } | Action::RestoreMember { .. } => {
                    ours.restored = ours.restored.max(write.ending.as_ref().and_then(|ending| ending.service_at));
                    if open {
                        ours.unanswered.insert(write.action.key());
                    } else {
                        ours.unanswered.remove(&write.action.key());
                    }
                }
                Action::RemoveDirect { user, role, .. } if write.is_ours() => {
                    ours.direct.remove(&(*user, *role));
                    ours.doubtful.remove(&(*user, *role));
                }
                Action::UnassignGroup { .. } | Action::RemoveMember { .. } if open => ours.open += 1,
                _ => {}
            }
        }
        ours
    }
}

pub fn undo(facts: &Facts, writes: &[WriteRecord], direct: Direct) -> Undo {
    let ours = Ours::of(writes);
    let mut undo = Undo::default();
    let Some(app) = facts.rows() else {
        undo.unread(format!(
            "a complete list of the app's assignments: {}",
            facts.seen.assignments.unknown().map_or_else(String::new, ToString::to_string)
        ));
        return undo;
    };
    if ours.open > 0 {
        let what = count(ours.open, "write");
        undo.stays
            .push(format!("{what} of ours that nobody answered and no later read has settled yet; see them in unscim report"));
    }
    undo.stays.extend(paused(facts));
    rows(facts, app, &ours, &mut undo);
    members(facts, &ours, &mut undo);
    taken_out(facts, app, &mut undo);
    match direct {
        Direct::Go => own_rows(facts, app, &ours, &mut undo),
        Direct::Stay if ours.direct.is_empty() => {}
        Direct::Stay => {
            let rows = count(ours.direct.len(), "direct assignment");
            undo.stays.push(format!("{rows} made by us: only --remove-direct takes them back"));
        }
    }
    doubtful(facts, app, &ours, &mut undo);
    undo
}

/// Without a cycle nobody is provisioned, whatever was put back.
fn paused(facts: &Facts) -> Option<String> {
    let job = facts.job().filter(|job| job.is_paused())?;
    let by_us = facts.memory.journal.entry(&Key::Pause(job.id.clone())).is_some();
    let who = if by_us { "unscim as its last step" } else { "somebody else" };
    Some(format!(
        "job {} was paused by {who}, and nobody is provisioned until it is started in the portal; unscim never does",
        job.id
    ))
}

/// A row that is there and may be ours stays, and nobody should believe that none is left.
fn doubtful(facts: &Facts, app: &Rows, ours: &Ours, undo: &mut Undo) {
    let known: BTreeSet<&AssignmentId> = present(app, ours).into_iter().map(|(_, row)| &row.id).collect();
    let left = app.all().iter().filter_map(|row| match row.principal {
        Principal::User(user) if ours.doubtful.contains(&(user, row.role)) && !known.contains(&row.id) => Some(user),
        _ => None,
    });
    let left: Vec<UserId> = left.collect();
    if !left.is_empty() {
        let users: BTreeSet<UserId> = left.iter().copied().collect();
        undo.stays.push(format!(
            "{} whose writes nobody answered: ours, or somebody else's, so that no rollback takes them back; of {}: {} (unscim report has all)",
            count(left.len(), "direct assignment"),
            count(users.len(), "user"),
            some_of(users.into_iter().map(|user| facts.user_name(user)))
        ));
    }
}

fn rows(facts: &Facts, app: &Rows, ours: &Ours, undo: &mut Undo) {
    for (group, role) in &ours.rows {
        let name = facts.group_name(*group);
        let seen = facts.seen.groups.get(group);
        let action = Action::RestoreAssignment { group: *group, role: *role };
        if app.of(*group).iter().any(|row| row.role == *role) && !ours.unanswered.contains(&action.key()) {
            undo.already += 1;
        } else if seen.is_some_and(|seen| seen.profile.is_absent()) {
            undo.stays.push(format!("group {name} is no longer in Entra: it can't be assigned again"));
        } else if let Some(members) = facts.members(*group) {
            let was_in = |user: &&UserId| was_in(facts, **user, *group);
            let others = members.value.users.iter().filter(|user| !was_in(user)).count();
            if others > 0 {
                let who = count(others, "user");
                undo.comes.push(format!("group {name} has {who} now whom it never brought into scope before"));
            }
            undo.actions.push(action);
        } else {
            undo.unread(format!("group {name} and its members could not be read"));
        }
    }
}

/// They were in scope by it while it counted.
fn was_in(facts: &Facts, user: UserId, group: GroupId) -> bool {
    facts.baseline().and_then(|baseline| baseline.users.get(&user)).is_some_and(|user| user.groups.contains(&group))
}

fn members(facts: &Facts, ours: &Ours, undo: &mut Undo) {
    for (group, user) in &ours.members {
        let (name, who) = (facts.group_name(*group), facts.user_name(*user));
        let seen = facts.seen.groups.get(group);
        let Some(members) = facts.members(*group) else {
            if seen.is_some_and(|seen| seen.profile.is_absent()) {
                undo.stays.push(format!("{who} can't go back into group {name}, which is no longer in Entra"));
            } else {
                undo.unread(format!("the members of group {name} could not be read"));
            }
            continue;
        };
        let action = Action::RestoreMember { group: *group, user: *user };
        if members.value.users.contains(user) && !ours.unanswered.contains(&action.key()) {
            undo.already += 1;
            continue;
        }
        match facts.seen.users.get(user) {
            Some(Observed::Known(person)) if person.enabled == Some(true) => {
                undo.actions.push(action);
            }
            Some(Observed::Known(person)) if person.enabled == Some(false) => {
                undo.stays.push(format!("{who} is disabled in Entra and is not put back into group {name}"));
            }
            Some(Observed::Absent) => {
                undo.stays.push(format!("{who} is no longer in Entra and is not put back into group {name}"));
            }
            Some(Observed::Known(_) | Observed::Unknown(_)) | None => {
                undo.unread(format!("whether {who} exists and is enabled could not be read"));
            }
        }
    }
}

/// Who goes back into scope and has no row of their own any more, though nobody was taken out of a group without: somebody else
/// has taken it away, as people are offboarded.
fn taken_out(facts: &Facts, app: &Rows, undo: &mut Undo) {
    let Some(baseline) = facts.baseline() else { return };
    let mut back: BTreeSet<UserId> = BTreeSet::new();
    let lacks = |user: &UserId, group: &GroupId| {
        let mut roles = baseline.groups.get(group).into_iter().flat_map(|group| &group.roles);
        let has = |role: AppRoleId| app.of_user(*user).any(|(held, _)| held == role);
        was_in(facts, *user, *group) && roles.any(|role| !has(facts.own_role(*role)))
    };
    for action in &undo.actions {
        match action {
            Action::RestoreMember { group, user } => back.extend(Some(*user).filter(|user| lacks(user, group))),
            Action::RestoreAssignment { group, .. } => {
                let members = facts.members(*group).into_iter().flat_map(|members| &members.value.users);
                back.extend(members.filter(|user| lacks(user, group)));
            }
            _ => {}
        }
    }
    let back: Vec<String> = back.into_iter().map(|user| facts.user_name(user)).collect();
    if !back.is_empty() {
        undo.comes.push(format!(
            "{} whose direct assignment somebody else has taken away: {}; take out of the groups again who is to stay away",
            count(back.len(), "user"),
            back.join(", ")
        ));
    }
}

/// Rows of ours that are still there.
fn present<'a>(app: &Rows<'a>, ours: &Ours) -> Vec<(UserId, &'a Assignment)> {
    let present = app.all().iter().filter_map(|row| match row.principal {
        // A row that was made later than ours is somebody else's.
        Principal::User(user) => {
            let ours = later(*ours.direct.get(&(user, row.role))?, STAMPS);
            row.created.is_none_or(|created| created <= ours).then_some((user, row))
        }
        _ => None,
    });
    present.collect()
}

/// By which groups each role of theirs is carried now; `None` where one of them is not.
fn paths(facts: &Facts, app: &Rows, user: UserId) -> Option<Paths> {
    let person = facts.person(user)?;
    let paths: Paths = person.roles.iter().map(|role| (*role, carriers(facts, app, user, *role))).collect();
    (!paths.is_empty() && !paths.values().any(BTreeSet::is_empty)).then_some(paths)
}

/// Whom groups carry whose own rows are to go, look after look: one look is no reason to take a row away.
pub fn carried(facts: &Facts, writes: &[WriteRecord]) -> BTreeMap<UserId, Streak> {
    let before = &facts.memory.remembered.carried;
    let Some(app) = facts.rows() else { return before.clone() };
    let of = |(user, _): (UserId, &Assignment)| {
        paths(facts, app, user).map(|_| (user, Streak::extend(before.get(&user).copied(), app.at)))
    };
    present(app, &Ours::of(writes)).into_iter().filter_map(of).collect()
}

/// A row goes only where each role of its user comes from groups again, by repeated looks and by a good cycle that has begun
/// since, and where nobody else is at work who might rest on it.
fn own_rows(facts: &Facts, app: &Rows, ours: &Ours, undo: &mut Undo) {
    if facts.baseline().is_none() {
        return;
    }
    let present = present(app, ours);
    // Graph may list two rows of one role.
    let there: BTreeSet<(UserId, AppRoleId)> = present.iter().map(|(user, row)| (*user, row.role)).collect();
    undo.already += ours.direct.len() - there.len();
    if present.is_empty() {
        return;
    }
    let rows = count(present.len(), "direct assignment");
    // So far there is nothing else among the actions; and what nobody answered gives no time from which a cycle counts.
    if !undo.actions.is_empty() || !ours.unanswered.is_empty() {
        undo.waits.push(format!("{rows} made by us stay until the groups carry their users again and a good cycle has seen it"));
        return;
    }
    if let Some(why) = others::sign(facts, Least::Any) {
        undo.waits.push(format!("{rows} made by us stay: {why}"));
        return;
    }
    let (mut bare, mut looking, mut awaiting) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (user, row) in present {
        let Some(paths) = paths(facts, app, user).filter(|paths| paths.contains_key(&row.role)) else {
            bare.insert(facts.user_name(user));
            continue;
        };
        let streak = facts.memory.remembered.carried.get(&user);
        let Some(streak) = streak.filter(|streak| streak.is_believed(LOOKS, facts.spec.timing.settle)) else {
            looking.insert(user);
            continue;
        };
        let seen_by_a_cycle = |since: Option<Timestamp>| since.is_none_or(|since| !facts.good_cycles_after(since).is_empty());
        if !seen_by_a_cycle(Some(streak.since)) || !seen_by_a_cycle(ours.restored) {
            awaiting.insert(user);
            continue;
        }
        undo.actions.push(Action::RemoveDirect { user, assignment: row.id.clone().into(), role: row.role });
        undo.paths.insert(user, paths);
    }
    if !looking.is_empty() {
        undo.waits.push(format!(
            "{LOOKS} agreeing reads over {} that show groups carry {}, before their direct assignments may go; each run of this with --yes is one",
            humantime::format_duration(facts.spec.timing.settle),
            count(looking.len(), "user")
        ));
    }
    if !awaiting.is_empty() {
        undo.waits.push(format!(
            "a good cycle that began {} or more after groups were first seen to carry {}, before their direct assignments may go{}",
            humantime::format_duration(facts.spec.provisioning.cycle_margin),
            count(awaiting.len(), "user"),
            paused(facts).map_or_else(String::new, |why| format!("; {why}"))
        ));
    }
    undo.stays.extend(bare.into_iter().map(|who| format!("{who} keeps the direct assignment: no group gives the same role")));
}

/// Managed groups of the user that give this role.
fn carriers(facts: &Facts, app: &Rows, user: UserId, role: AppRoleId) -> BTreeSet<(GroupId, AppRoleId)> {
    let managed = facts.baseline().into_iter().flat_map(|baseline| baseline.groups.keys().copied());
    managed
        .filter(|group| facts.is_seen_in(user, *group))
        .flat_map(|group| app.of(group).iter().filter(|row| facts.own_role(row.role) == role).map(move |row| (group, row.role)))
        .collect()
}
