//! The baseline as a look gives it: who is in scope through which group, with which role, as which record at the target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::judge::facts::{Facts, Rows};
use crate::model::baseline::{AtTarget, Baseline, Binding, ManagedGroup, Protected, without_query};
use crate::model::compact::{Few, Pool, packed};
use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::observed::{Observed, UNSEARCHABLE, Why};
use crate::model::snapshot::{DirectoryUser, ObservedGroup, ScimGroup, ScimUser, TargetLook};
use crate::model::spec::Acknowledgement;
use crate::model::words::{count, lower, some_of};

/// The baseline as this turn's look gives it, or why it can't be taken from it.
pub fn take_baseline(facts: &Facts) -> Result<Baseline, String> {
    let app = facts.seen.app.known().ok_or("the app was not read")?;
    let job = facts.job().ok_or("the job was not read")?;
    let rows = facts.rows().ok_or("the assignments were not read")?;
    let target = facts.memory.target.as_ref().ok_or("the target was not read")?;
    let mut baseline = Baseline {
        binding: Binding {
            tenant: facts.spec.entra.tenant_id,
            app: app.id,
            job: job.id.clone(),
            scim_url: facts.spec.target.scim_url.to_string(),
        },
        taken: rows.at,
        groups: BTreeMap::new(),
        users: BTreeMap::new(),
    };
    for id in facts.wished_groups().into_iter().filter(|id| rows.has(*id) || facts.is_already_direct()) {
        let seen = facts.seen.groups.get(&id).ok_or_else(|| format!("group {id} was not read"))?;
        if !rows.has(id) {
            baseline.groups.insert(id, left(target, id, seen).ok_or_else(|| format!("group {id} was not read"))?);
            continue;
        }
        let profile = seen.profile.known().ok_or_else(|| format!("group {id} was not read"))?;
        if !profile.security_enabled {
            continue;
        }
        let members = seen.members.known().ok_or_else(|| format!("the members of group {id} were not read"))?;
        let roles = rows.of(id).iter().map(|row| row.role).collect();
        let scim = match_group(target, id, &profile.display_name);
        baseline.groups.insert(id, ManagedGroup { display_name: profile.display_name.clone(), roles, scim });
        for user in &members.value.users {
            let entry = baseline.users.entry(*user).or_insert_with(|| new_protected(facts, *user));
            entry.groups.insert(id);
        }
    }
    if facts.is_already_direct() {
        for user in direct(rows, rows.at) {
            baseline.users.entry(user).or_insert_with(|| new_protected(facts, user));
        }
    }
    let mut pool = Pool::default();
    baseline.users = packed(baseline.users);
    for user in baseline.users.values_mut() {
        user.groups = pool.share(std::mem::take(&mut user.groups));
        user.share_name();
    }
    // Who has several records was read; preflight refuses that by name.
    let known = |id: &UserId| facts.seen.users.get(id).and_then(Observed::known);
    let several = |id: &UserId| known(id).is_some_and(|user| matching(facts, user).len() > 1);
    let unread = baseline.users.iter().filter(|(id, user)| user.target == AtTarget::NotRead && !several(id)).map(|(id, _)| *id);
    match unread.collect::<Vec<_>>() {
        unread if unread.is_empty() => Ok(baseline),
        unread => Err(format!(
            "who of {} has a record at the target could not be read{}: {}",
            count(baseline.users.len(), "member"),
            why_unread(facts)
                .map(ToString::to_string)
                .or_else(|| unmatched(facts, &unread))
                .map_or_else(String::new, |why| format!(" ({why})")),
            some_of(unread)
        )),
    }
}

/// The one that is judged by, or the one that this look would give.
pub(super) fn here<'f>(facts: &'f Facts) -> Result<&'f Baseline, &'f String> {
    match facts.baseline() {
        Some(baseline) => Ok(baseline),
        None => first(facts).map(|first| &**first),
    }
}

pub(super) fn first<'f>(facts: &'f Facts) -> Result<&'f Arc<Baseline>, &'f String> {
    facts.first.get_or_init(|| take_baseline(facts).map(Arc::new)).as_ref()
}

/// Who was assigned directly before this service time. A look may be short: whoever a later one shows counts as well.
pub fn direct(rows: &Rows, before: Timestamp) -> impl Iterator<Item = UserId> {
    rows.users().filter(move |(_, made)| made.is_none_or(|made| made <= before)).map(|(user, _)| user)
}

/// Why the properties of some members are not known, where a read of them has failed.
fn why_unread<'a>(facts: &Facts<'a>) -> Option<&'a Why> {
    facts.seen.groups.values().find_map(|group| group.properties.failed())
}

/// Why it is not known whether the app has a record of one of these, where its list of users may not be whole.
fn unmatched(facts: &Facts, users: &[UserId]) -> Option<String> {
    let look = facts.memory.target.as_ref().filter(|look| look.may_lack_users)?;
    let seen = users.iter().filter(|id| !look.has_looked_for(**id)).map(|id| look.users_by_match.get(id));
    let (asked, unasked): (Vec<_>, Vec<_>) = seen.partition(Option::is_some);
    let why = asked.into_iter().flatten().find_map(Observed::unknown).map(|why| {
        let remedy = "; where the app can look nobody up, groups.acknowledge: [UncountedUsers] goes on without counting them";
        format!("{why}{}", if why.kind == UNSEARCHABLE { remedy } else { "" })
    });
    why.or_else(|| {
        let waits =
            "the app gives the same list whatever is asked, so it may not be whole, and who is not in it is looked up one by one";
        (!unasked.is_empty()).then(|| waits.to_owned())
    })
}

/// A user as first seen.
pub fn new_protected(facts: &Facts, id: UserId) -> Protected {
    let known = facts.seen.users.get(&id).and_then(Observed::known);
    Protected {
        name: known.and_then(|user| user.user_principal_name.clone()),
        groups: Few::default(),
        disabled: known.is_some_and(|user| user.enabled == Some(false)),
        target: known.map_or(AtTarget::NotRead, |user| match_user(facts, user)),
    }
}

/// The one record that matches. Several tell nothing, nor does a user whose properties Graph did not show: everybody has a user
/// principal name.
fn match_user(facts: &Facts, user: &DirectoryUser) -> AtTarget {
    let Some(look) = facts.memory.target.as_ref().filter(|_| user.user_principal_name.is_some()) else {
        return AtTarget::NotRead;
    };
    let acknowledged = facts.acknowledges(Acknowledgement::UncountedUsers);
    match matching(facts, user).as_slice() {
        [one] => AtTarget::Record((*one).clone()),
        [] if look.has_looked_for(user.id) || (acknowledged && look.has_no_answer_for(user.id)) => AtTarget::NoRecord,
        _ => AtTarget::NotRead,
    }
}

/// What this look shows of those of whom no record was known so far, or not when it was made.
pub fn found(facts: &Facts, baseline: &Baseline) -> BTreeMap<UserId, AtTarget> {
    let look = facts.memory.target.as_ref().filter(|look| look.turn == facts.memory.remembered.turn);
    let undated = baseline.users.iter().filter(|(id, _)| !facts.memory.remembered.doubts.contains_key(id));
    let undated = undated.filter_map(|(id, user)| Some((*id, user.target.record().filter(|before| before.created.is_none())?)));
    let dated = undated.filter_map(|(id, before)| {
        let created = Some(look?.users.get(&before.id)?.created?);
        Some((id, AtTarget::Record(ScimUser { created, ..before.clone() })))
    });
    let open = baseline.users.iter().filter(|(_, user)| user.target.record().is_none());
    let now = open.filter_map(|(id, user)| {
        let seen = match_user(facts, facts.seen.users.get(id)?.known()?);
        (seen != AtTarget::NotRead && seen != user.target).then_some((*id, seen))
    });
    now.chain(dated).collect()
}

const GUEST: &str = "#ext#";

/// Records at the target that match this user.
pub(super) fn matching<'a>(facts: &Facts<'a>, user: &DirectoryUser) -> Vec<&'a ScimUser> {
    let Some(value) = user.match_value.as_deref().map(lower) else { return Vec::new() };
    let attribute = facts.spec.target.match_by;
    let mut records: Vec<_> = facts.records_by(attribute, &value).collect();
    // Entra takes the marker out of a guest's name before it matches (Microsoft, "How application provisioning works").
    if value.contains(GUEST) {
        records.extend(facts.records_by(attribute, &value.replace(GUEST, "")));
        records.sort_by_key(|record| &record.id);
    }
    records
}

/// A group that is not on the app any more: only its record at the target is looked for, by its Entra id where Entra has deleted it.
fn left(target: &TargetLook, id: GroupId, seen: &ObservedGroup) -> Option<ManagedGroup> {
    let display_name = match &seen.profile {
        Observed::Known(profile) => profile.display_name.clone(),
        Observed::Absent => id.to_string(),
        Observed::Unknown(_) => return None,
    };
    let scim = match_group(target, id, &display_name);
    Some(ManagedGroup { display_name, roles: BTreeSet::new(), scim })
}

pub(super) fn match_group(target: &TargetLook, id: GroupId, name: &str) -> Option<ScimId> {
    let one = |test: &dyn Fn(&ScimGroup) -> bool| {
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

/// A ledger of another tenant, app, job or SCIM service is as good as unreadable: nothing is written by it.
pub fn bound_elsewhere(facts: &Facts) -> Option<Why> {
    let bound = &facts.recorded()?.binding;
    let (app, job) = (facts.seen.app.known().map(|app| app.id), facts.job().map(|job| &job.id));
    let here = Binding {
        tenant: facts.spec.entra.tenant_id,
        app: app.unwrap_or(bound.app),
        job: job.unwrap_or(&bound.job).clone(),
        scim_url: facts.spec.target.scim_url.to_string(),
    };
    (here != *bound).then(|| {
        let (theirs, ours) = (without_query(&bound.scim_url), without_query(&here.scim_url));
        let query = if theirs == ours && bound.scim_url != here.scim_url { " with another query" } else { "" };
        let text = format!(
            "this ledger belongs to tenant {}, app {}, job {}, {theirs}, and the config means tenant {}, app {}, job {}, {ours}{query}; give each retirement its own --data-dir",
            bound.tenant, bound.app, bound.job, here.tenant, here.app, here.job
        );
        Why::new("bound-elsewhere", text)
    })
}
