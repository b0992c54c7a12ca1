//! The baseline as a look gives it: who is in scope through which group, with which role, as which record at the target.

use std::collections::BTreeMap;

use super::Facts;
use crate::model::baseline::{Baseline, Binding, ManagedGroup, Protected};
use crate::model::compact::Few;
use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::seen::Seen;
use crate::model::snapshot::{DirectoryUser, ScimUser, TargetLook};

/// The baseline as this turn's look gives it, or why it can't be taken from it.
pub fn take_baseline(facts: &Facts) -> Result<Baseline, String> {
    let app = facts.seen.app.known().ok_or("the app was not read")?;
    let job = facts.job().ok_or("the job was not read")?;
    let look = facts.seen.assignments.known().ok_or("the assignments were not read")?;
    let target = facts.memory.target.as_ref().ok_or("the target was not read")?;
    let mut baseline = Baseline {
        binding: Binding {
            tenant: facts.spec.entra.tenant_id,
            app: app.id,
            job: job.id.clone(),
            scim_url: facts.spec.target.scim_url.to_string(),
        },
        taken: look.at,
        groups: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    for id in facts.wished_groups().into_iter().filter(|id| !facts.rows_of(*id).is_empty()) {
        let seen = facts.seen.groups.get(&id).ok_or_else(|| format!("group {id} was not read"))?;
        let profile = seen.profile.known().ok_or_else(|| format!("group {id} was not read"))?;
        if !profile.security_enabled {
            continue;
        }
        let members = seen.members.known().ok_or_else(|| format!("the members of group {id} were not read"))?;
        let roles = facts.rows_of(id).iter().map(|row| row.role).collect();
        let scim = match_group(target, id, &profile.display_name);
        baseline.groups.insert(id, ManagedGroup { display_name: profile.display_name.clone(), roles, scim });
        for user in &members.value.users {
            let entry = baseline.users.entry(*user).or_insert_with(|| new_protected(facts, *user));
            entry.groups.insert(id);
        }
    }
    Ok(baseline)
}

/// A user as he is when he is first seen.
pub fn new_protected(facts: &Facts, id: UserId) -> Protected {
    let known = facts.seen.users.get(&id).and_then(Seen::known);
    Protected {
        name: known.and_then(|user| user.user_principal_name.clone()),
        groups: Few::default(),
        disabled: known.is_some_and(|user| user.enabled == Some(false)),
        target: known.and_then(|user| match_user(facts, user)),
    }
}

/// The one record that matches; several matches are none.
fn match_user(facts: &Facts, user: &DirectoryUser) -> Option<ScimUser> {
    match matching(facts, user).as_slice() {
        [one] => Some((*one).clone()),
        _ => None,
    }
}

/// Records at the target that match this user.
pub(super) fn matching<'a>(facts: &Facts<'a>, user: &DirectoryUser) -> Vec<&'a ScimUser> {
    let Some(value) = user.match_value.as_ref().map(|value| value.to_lowercase()) else { return Vec::new() };
    // Entra takes the marker out of a guest's name before it matches (facts/entra.md section 5).
    let stripped = value.replace("#ext#", "");
    let mut records = facts.records_of(&value).to_vec();
    if stripped != value {
        records.extend(facts.records_of(&stripped));
        records.sort_by_key(|record| &record.id);
    }
    records
}

fn match_group(target: &TargetLook, id: GroupId, name: &str) -> Option<ScimId> {
    let one = |test: &dyn Fn(&crate::model::snapshot::ScimGroup) -> bool| {
        let mut found = target.groups.values().filter(|group| test(group));
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one.id.clone()),
            _ => None,
        }
    };
    one(&|group| group.external_id.as_deref().is_some_and(|external| external.eq_ignore_ascii_case(&id.to_string()))).or_else(
        || one(&|group| group.display_name.as_deref().is_some_and(|display| display.to_lowercase() == name.to_lowercase())),
    )
}
