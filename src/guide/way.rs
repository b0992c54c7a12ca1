//! The whole way from here to the end, as far as it can be told now: what is left of each step, what it waits for, the
//! soonest end, and the digest of the decisions in it. It plans nothing and approves nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::empty::{self, Canary};
use super::foresight::{self, Stage};
use super::{Cover, Facts, GUIDE, LOOKS, count, decisions, waves};
use crate::model::action::Action;
use crate::model::baseline::Baseline;
use crate::model::engine::ScimCall;
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::memory::later;
use crate::model::seen::Seen;
use crate::model::spec::{Afterwards, MembersDecision, RevocationBy};

/// Entra's own interval, where the job does not say (facts/entra.md section 6).
const CYCLE: Duration = Duration::from_secs(40 * 60);

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// Of the decisions: groups, roles, what becomes of members, limits. Not of the people, who come and go.
    pub digest: String,
    pub users: Users,
    pub groups: Vec<Group>,
    pub steps: Vec<Leg>,
    pub writes: u64,
    /// At the quota, with every cycle on time and nobody to wait for.
    pub earliest: Timestamp,
    /// What Entra would send to the app after each step.
    pub calls: Vec<Calls>,
    /// What this turn would do, by name.
    pub now: Vec<String>,
}

/// Protected users by what is known of them; one user may count in several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Users {
    pub protected: u64,
    pub enabled: u64,
    pub disabled: u64,
    pub guests: u64,
    /// Gone from the directory, or in its bin.
    pub deleted: u64,
    pub in_several_groups: u64,
    pub with_several_roles: u64,
    /// Hold every role themselves.
    pub already_direct: u64,
    pub unknown_at_target: u64,
    pub inactive_at_target_from_the_start: u64,
    pub released: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    pub id: GroupId,
    pub name: String,
    pub roles: Vec<AppRoleId>,
    pub assigned: bool,
    /// Users in it now; `None` is not known.
    pub users: Option<u64>,
    /// They themselves: whoever keeps the plan can put them back by it.
    pub user_ids: Option<Vec<UserId>>,
    /// `Remove`, `Keep`, `Empty` (nobody is in it), `Undecided`, `Unknown` or `Done`.
    pub members: &'static str,
    /// What else hangs on it, and so would be taken from its users.
    pub uses: Vec<String>,
    pub why: Option<String>,
}

/// What is left of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leg {
    pub number: u8,
    pub title: &'static str,
    pub writes: u64,
    pub cycles: u64,
    /// In words, empty where nothing is left.
    pub left: Vec<String>,
    #[serde(serialize_with = "in_words")]
    pub takes: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    pub after: &'static str,
    pub calls: Vec<String>,
}

fn in_words<S: serde::Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&humantime::format_duration(Duration::from_secs(value.as_secs())))
}

/// `None` where there is no baseline, not even a provisional one.
pub fn way(facts: &Facts, now: &[Action]) -> Option<Way> {
    let baseline = facts.baseline()?;
    let steps = vec![assign(facts, baseline), empty(facts, baseline), unassign(facts, baseline), cycle(facts), revoke(facts)];
    let takes: Duration = steps.iter().map(|leg| leg.takes).sum();
    Some(Way {
        digest: decisions::digest(facts.spec, baseline),
        users: users(facts, baseline),
        groups: groups(facts, baseline),
        writes: steps.iter().map(|leg| leg.writes).sum(),
        earliest: later(facts.now, takes),
        steps,
        calls: foresight::foresee(facts).iter().map(|stage| calls(facts, stage)).collect(),
        now: now.iter().map(|action| by_name(facts, action)).collect(),
    })
}

fn leg(facts: &Facts, number: usize, writes: usize, cycles: u32, waits: Duration, left: Vec<String>) -> Leg {
    let writing = Duration::from_secs_f64(writes as f64 / facts.spec.limits.writes_per_second());
    let every = facts.job().and_then(|job| job.interval).unwrap_or(CYCLE);
    let cycling = if cycles == 0 { Duration::ZERO } else { facts.spec.provisioning.cycle_margin + every * cycles };
    let step = &GUIDE[number - 1];
    Leg {
        number: step.number,
        title: step.title,
        writes: writes as u64,
        cycles: u64::from(cycles),
        left,
        takes: writing + waits + cycling,
    }
}

fn looks(facts: &Facts) -> Duration {
    facts.spec.timing.settle.max(facts.spec.timing.interval * (LOOKS - 1))
}

fn assign(facts: &Facts, baseline: &Baseline) -> Leg {
    let (mut rows, mut missing, mut waiting, mut settling) = (0, 0usize, 0usize, false);
    for (id, user) in &baseline.users {
        match facts.cover(*id, user) {
            Cover::Missing(roles) if !facts.is_released(*id) => {
                rows += roles.len();
                missing += 1;
                settling = true;
            }
            Cover::Settling => {
                waiting += 1;
                settling = true;
            }
            Cover::AwaitingCycle => waiting += 1,
            Cover::Missing(_) | Cover::Settled | Cover::Departed => {}
        }
    }
    let mut left = Vec::new();
    if rows > 0 {
        left.push(format!("{} for {}", count(rows, "direct assignment"), count(missing, "user")));
    }
    if waiting > 0 {
        left.push(format!("{} assigned, and not settled yet", count(waiting, "user")));
    }
    let settle = if settling { facts.spec.timing.settle } else { Duration::ZERO };
    let cycles = if rows + waiting > 0 { facts.spec.provisioning.settle_cycles } else { 0 };
    leg(facts, 1, rows, cycles, settle, left)
}

fn assigned<'a>(facts: &'a Facts, baseline: &'a Baseline) -> impl Iterator<Item = GroupId> + 'a {
    baseline.groups.keys().copied().filter(|group| !facts.rows_of(*group).is_empty())
}

fn empty(facts: &Facts, baseline: &Baseline) -> Leg {
    let members = |group: &GroupId| {
        let seen = facts.seen.groups.get(group).and_then(|seen| seen.members.known());
        seen.map_or(0, |look| look.value.users.len())
    };
    let to_empty: Vec<GroupId> =
        assigned(facts, baseline).filter(|group| empty::plan_for(facts, *group) == empty::Plan::Empty).collect();
    let removals: usize = to_empty.iter().map(members).sum();
    let undecided =
        assigned(facts, baseline).filter(|group| matches!(empty::plan_for(facts, *group), empty::Plan::Undecided(_))).count();
    let waiting = assigned(facts, baseline)
        .filter(|group| matches!(empty::progress(facts, *group), empty::Progress::Wait(..)))
        .filter(|group| members(group) == 0)
        .count();
    let mut left = Vec::new();
    if removals > 0 {
        left.push(format!("{} out of {}", count(removals, "membership"), count(to_empty.len(), "group")));
    }
    if waiting > 0 {
        left.push(format!("{} empty, and not believed or carried out yet", count(waiting, "group")));
    }
    if undecided > 0 {
        left.push(format!("{} on which a person must decide", count(undecided, "group")));
    }
    let canary = removals > 0 && !matches!(empty::canary(facts), Canary::Passed);
    let settle = if removals + waiting > 0 { facts.spec.provisioning.settle_cycles * waves_left(facts) } else { 0 };
    let waits = if removals + waiting > 0 { looks(facts) } else { Duration::ZERO };
    leg(facts, 2, removals, settle + u32::from(canary), waits, left)
}

/// Waves that are not verified yet, at least one.
fn waves_left(facts: &Facts) -> u32 {
    let (all, open) = (waves::waves(facts), waves::open(facts));
    let behind = all.iter().filter(|wave| wave.iter().all(|group| open.contains(group))).count();
    u32::try_from(all.len() + 1 - behind.clamp(1, all.len().max(1))).unwrap_or(u32::MAX)
}

fn unassign(facts: &Facts, baseline: &Baseline) -> Leg {
    let rows: usize = assigned(facts, baseline).map(|group| facts.rows_of(group).len()).sum();
    let open = baseline.groups.keys().filter(|group| !facts.memory.remembered.unassigned_at.contains_key(group)).count();
    let mut left = Vec::new();
    if rows > 0 {
        left.push(format!("{} of {}", count(rows, "row"), count(assigned(facts, baseline).count(), "group")));
    } else if open > 0 {
        left.push(format!("{LOOKS} agreeing looks without a row of {}", count(open, "group")));
    }
    leg(facts, 3, rows, 0, if open > 0 { looks(facts) } else { Duration::ZERO }, left)
}

fn cycle(facts: &Facts) -> Leg {
    let remembered = &facts.memory.remembered;
    if remembered.cycle_proof.is_some() || facts.is_token_rejected() {
        return leg(facts, 4, 0, 0, Duration::ZERO, Vec::new());
    }
    let needed = facts.spec.provisioning.verify_cycles;
    let confirmed = facts.baseline().and_then(|baseline| {
        let at = baseline.groups.keys().map(|group| remembered.unassigned_at.get(group).copied());
        at.collect::<Option<Vec<_>>>()?.into_iter().max()
    });
    let have = confirmed.map_or(0, |confirmed| facts.good_cycles_after(confirmed).len());
    // Each wave but the last is verified before the next one begins.
    let before = needed * waves_left(facts).saturating_sub(1);
    let cycles = before + needed.saturating_sub(u32::try_from(have).unwrap_or(u32::MAX));
    let mut left = Vec::new();
    if cycles > 0 {
        left.push(format!("{} after the groups are gone", count(cycles as usize, "good cycle")));
    }
    left.push("two agreeing rounds over the target: groups gone, everybody kept".to_owned());
    leg(facts, 4, 0, cycles, facts.spec.target.read_interval, left)
}

fn revoke(facts: &Facts) -> Leg {
    if facts.is_token_rejected() {
        return leg(facts, 5, 0, 0, Duration::ZERO, Vec::new());
    }
    let revocation = &facts.spec.target.revocation;
    let mut left = vec![match revocation.by {
        RevocationBy::Operator => "a person deletes the token".to_owned(),
        RevocationBy::Webhook => "the webhook is called".to_owned(),
    }];
    let pauses = facts.spec.provisioning.afterwards == Afterwards::Pause;
    if pauses {
        left.insert(0, "the job is paused".to_owned());
    }
    left.push(format!("{} rejections of the token in a row", revocation.confirmations));
    leg(facts, 5, usize::from(pauses), 0, revocation.confirm_every * revocation.confirmations, left)
}

fn users(facts: &Facts, baseline: &Baseline) -> Users {
    let mut users = Users { protected: baseline.users.len() as u64, ..Users::default() };
    for (id, user) in &baseline.users {
        let known = facts.seen.users.get(id);
        match known {
            Some(Seen::Absent) => users.deleted += 1,
            Some(Seen::Known(known)) => {
                users.enabled += u64::from(known.enabled == Some(true));
                users.disabled += u64::from(known.enabled == Some(false));
                users.guests += u64::from(known.guest);
            }
            Some(Seen::Unknown(_)) | None => {}
        }
        users.in_several_groups += u64::from(user.groups.len() > 1);
        users.with_several_roles += u64::from(baseline.roles_of(user, &facts.spec.roles).len() > 1);
        users.already_direct += u64::from(!matches!(facts.cover(*id, user), Cover::Missing(_) | Cover::Departed));
        match &user.target {
            None => users.unknown_at_target += 1,
            Some(record) => users.inactive_at_target_from_the_start += u64::from(record.active != Some(true)),
        }
        users.released += u64::from(facts.is_released(*id));
    }
    users
}

fn groups(facts: &Facts, baseline: &Baseline) -> Vec<Group> {
    let group = |(id, group): (&GroupId, &crate::model::baseline::ManagedGroup)| {
        let seen = facts.seen.groups.get(id);
        let members = seen.and_then(|seen| seen.members.known());
        let profile = seen.and_then(|seen| seen.profile.known());
        let mut uses = Vec::new();
        if let (Some(profile), Some(known)) = (profile, seen.and_then(|seen| seen.uses.known())) {
            uses = empty::other_uses(facts, profile, known);
            if !uses.is_empty() && facts.decision(*id) != Some(MembersDecision::Keep) {
                uses.push(empty::taken_from(members.map_or(0, |look| look.value.users.len())));
            }
        }
        let assigned = !facts.rows_of(*id).is_empty();
        let (decision, why) = match empty::plan_for(facts, *id) {
            _ if !assigned => ("Done", None),
            empty::Plan::Empty => ("Remove", None),
            empty::Plan::Keep => ("Keep", None),
            empty::Plan::Nothing => ("Empty", None),
            empty::Plan::Undecided(why) => ("Undecided", Some(why)),
            empty::Plan::Unknown(why) => ("Unknown", Some(why)),
        };
        let others = members.map(|look| look.value.others.as_slice()).unwrap_or_default();
        if !others.is_empty() {
            uses.push(format!(
                "{} that no user is, which stay: nested groups, devices, service principals",
                count(others.len(), "member")
            ));
        }
        Group {
            id: *id,
            name: group.display_name.clone(),
            roles: group.roles.iter().copied().collect(),
            assigned,
            users: members.map(|look| look.value.users.len() as u64),
            user_ids: members.map(|look| look.value.users.iter().copied().collect()),
            members: decision,
            uses,
            why,
        }
    };
    baseline.groups.iter().map(group).collect()
}

fn calls(facts: &Facts, stage: &Stage) -> Calls {
    let user = |id: &UserId| facts.user_name(*id);
    let group = |id: &GroupId| facts.group_name(*id);
    let call = |call: &ScimCall| match call {
        ScimCall::CreateUser { user: id, .. } => format!("create user {}", user(id)),
        ScimCall::UpdateUser { user: id, .. } => format!("change user {}", user(id)),
        ScimCall::EnableUser { user: id } => format!("make user {} active", user(id)),
        ScimCall::DisableUser { user: id, why } => format!("make user {} inactive ({why:?})", user(id)),
        ScimCall::CreateGroup { group: id, .. } => format!("create group {}", group(id)),
        ScimCall::UpdateGroup { group: id, .. } => format!("change group {}", group(id)),
        ScimCall::AddMembers { group: id, users } => format!("add {} to group {}", count(users.len(), "member"), group(id)),
        ScimCall::RemoveMembers { group: id, users } => {
            format!("remove {} from group {}", count(users.len(), "member"), group(id))
        }
        ScimCall::DeleteGroup { group: id } => format!("delete group {}", group(id)),
    };
    Calls { after: stage.after, calls: stage.calls.iter().map(call).collect() }
}

/// For people: names beside the ids.
pub fn by_name(facts: &Facts, action: &Action) -> String {
    let roles = facts.seen.app.known().map(|app| app.roles.as_slice()).unwrap_or_default();
    let role = |id: &AppRoleId| match roles.iter().find(|role| role.id == *id) {
        Some(role) => format!("{:?} ({id})", role.display_name),
        None => id.to_string(),
    };
    match action {
        Action::AssignUser { user, role: id } => format!("assign {} with role {}", facts.user_name(*user), role(id)),
        Action::RemoveMember { group, user } => {
            format!("remove {} from group {}", facts.user_name(*user), facts.group_name(*group))
        }
        Action::UnassignGroup { group, role: id, .. } => {
            format!("unassign group {}, role {}", facts.group_name(*group), role(id))
        }
        Action::RestoreAssignment { group, role: id } => {
            format!("assign group {} again, role {}", facts.group_name(*group), role(id))
        }
        Action::RestoreMember { group, user } => {
            format!("put {} back into group {}", facts.user_name(*user), facts.group_name(*group))
        }
        Action::RemoveDirect { user, role: id, .. } => {
            format!("take back the assignment of {}, role {}", facts.user_name(*user), role(id))
        }
        Action::RecordBaseline | Action::PauseJob { .. } | Action::RequestRevocation => action.to_string(),
    }
}
