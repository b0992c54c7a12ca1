//! The whole way from here to the end, for people: who and what is concerned, what is left of each step (`steps_left.rs`), the calls
//! that would follow, and the digest of the decisions in it. It plans nothing and approves nothing.

use jiff::Timestamp;
use serde::Serialize;

use crate::judge::facts::{Cover, Facts, Person};
use crate::judge::foresight::{self, Stage};
use crate::judge::group_plan::GroupPlan;
use crate::judge::steps_left::{StepLeft, earliest, steps_left};
use crate::judge::{decisions, group_plan};
use crate::model::action::Action;
use crate::model::baseline::{AtTarget, Baseline, ManagedGroup};
use crate::model::engine::ScimCall;
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::observed::Observed;
use crate::model::spec::MembersDecision;
use crate::model::words::count;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Roadmap {
    /// Of the decisions: groups, roles, what becomes of members, limits. Not of the people, who come and go.
    pub digest: String,
    pub users: Users,
    pub groups: Vec<Group>,
    pub steps: Vec<StepLeft>,
    pub writes: u64,
    /// By the service's clock, at the quota, with every cycle on time and nobody to wait for.
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
    /// In no managed group whose members are still read, so that nobody asked for their account.
    pub not_read: u64,
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

impl Group {
    /// What hangs on it, and why it is not done; once, where the one names the other.
    pub fn about(&self) -> String {
        let said = |what: &&String| self.why.as_ref().is_some_and(|why| why.contains(what.as_str()));
        let parts: Vec<&str> = self.uses.iter().filter(|what| !said(what)).chain(&self.why).map(String::as_str).collect();
        parts.join("; ")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Calls {
    pub after: &'static str,
    pub calls: Vec<String>,
}

/// `None` where there is no baseline, not even a provisional one.
pub fn roadmap(facts: &Facts, now: &[Action]) -> Option<Roadmap> {
    let baseline = facts.baseline()?;
    let steps = steps_left(facts)?;
    Some(Roadmap {
        digest: decisions::digest(facts.spec, baseline),
        users: users(facts),
        groups: groups(facts, baseline),
        writes: steps.iter().map(|step| step.writes).sum(),
        earliest: earliest(facts, &steps),
        steps,
        calls: foresight::foresee(facts).iter().map(|stage| calls(facts, stage)).collect(),
        now: now.iter().map(|action| by_name(facts, action)).collect(),
    })
}

fn users(facts: &Facts) -> Users {
    let mut users = Users { protected: facts.people().len() as u64, ..Users::default() };
    for Person { id, user, roles, cover, .. } in facts.people() {
        let known = facts.seen.users.get(id);
        match known {
            Some(Observed::Absent) => users.deleted += 1,
            Some(Observed::Known(known)) => {
                users.enabled += u64::from(known.enabled == Some(true));
                users.disabled += u64::from(known.enabled == Some(false));
                users.guests += u64::from(known.guest);
            }
            Some(Observed::Unknown(_)) | None => users.not_read += 1,
        }
        users.in_several_groups += u64::from(user.groups.len() > 1);
        users.with_several_roles += u64::from(roles.len() > 1);
        users.already_direct += u64::from(!matches!(cover, Cover::NotRead | Cover::Missing(_) | Cover::Departed));
        match &user.target {
            AtTarget::NoRecord | AtTarget::NotRead => users.unknown_at_target += 1,
            AtTarget::Record(record) => users.inactive_at_target_from_the_start += u64::from(record.active != Some(true)),
        }
        users.released += u64::from(facts.is_released(*id));
    }
    users
}

fn groups(facts: &Facts, baseline: &Baseline) -> Vec<Group> {
    let group = |(id, group): (&GroupId, &ManagedGroup)| {
        let seen = facts.seen.groups.get(id);
        let (members, profile) = (facts.members(*id), facts.profile(*id));
        let mut uses = Vec::new();
        if let (Some(profile), Some(known)) = (profile, seen.and_then(|seen| seen.uses.known())) {
            uses = group_plan::other_uses(facts, profile, known);
            if !uses.is_empty() && facts.decision(*id) != Some(MembersDecision::Keep) {
                uses.push(group_plan::taken_from(members.map_or(0, |look| look.value.users.len())));
            }
        }
        let assigned = facts.is_on(*id);
        let (decision, why) = match group_plan::plan_for(facts, *id) {
            _ if !assigned => ("Done", None),
            GroupPlan::Empty => ("Remove", None),
            GroupPlan::Keep => ("Keep", None),
            GroupPlan::Nothing => ("Empty", None),
            GroupPlan::Undecided(why) => ("Undecided", Some(why)),
            GroupPlan::Unknown(why) => ("Unknown", Some(why)),
        };
        let others = members.map(|look| look.value.others.as_slice()).unwrap_or_default();
        if !others.is_empty() {
            uses.push(format!(
                "{} {} not a user and not removed: nested groups, devices, service principals",
                count(others.len(), "member"),
                if others.len() == 1 { "is" } else { "are" }
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
