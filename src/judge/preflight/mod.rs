//! May we start at all? The guide's footnotes, every finding at once.

mod findings;
mod members;
mod target;
mod token;
mod uses;

pub use findings::Findings;
use std::collections::BTreeSet;

use members::ALREADY_DIRECT;

use crate::judge::facts::{Cover, Facts};
use crate::judge::good_cycle::{remedy, told};
use crate::judge::group_plan::GroupPlan;
use crate::judge::permissions::{self, ROLE_MANAGEMENT, When};
use crate::judge::{group_plan, waves};
use crate::model::baseline::Baseline;
use crate::model::id::{AppRoleId, GroupId};
use crate::model::key::Key;
use crate::model::observed::{Observed, Why};
use crate::model::snapshot::{JobCode, Principal, ScheduleState};
use crate::model::spec::{Acknowledgement, AppRef, Mode, ScopeConfirmed, Select};
use crate::model::words::{count, part, some_of};

const DEFAULT_ACCESS: AppRoleId = AppRoleId(uuid::Uuid::nil());

pub fn check(facts: &Facts) -> Findings {
    let mut found = Findings::default();
    looks(facts, &mut found);
    permissions(facts, &mut found);
    app_and_job(facts, &mut found);
    scope(facts, &mut found);
    groups(facts, &mut found);
    members::shown(facts, &mut found);
    uses::found(facts, &mut found);
    roles(facts, &mut found);
    target::check(facts, &mut found);
    found
}

/// It does not go away by itself.
fn asks_for_a_person(why: &Why) -> bool {
    matches!(why.kind.as_str(), "denied" | "credential" | "ambiguous" | "file" | "malformed")
}

fn looks(facts: &Facts, found: &mut Findings) {
    let seen = facts.seen;
    let mut need = |what: &str, why: Option<&Why>, absent: bool| {
        if let Some(why) = why {
            // Once it is over the credential may be taken away: not known all the same, but nobody's work.
            let asks = asks_for_a_person(why) && !facts.is_token_rejected();
            let list = if asks { &mut found.refusals } else { &mut found.unknowns };
            list.push(format!("{what} could not be read: {why}"));
        } else if absent {
            found.refusals.push(format!("{what} does not exist; correct the config"));
        }
    };
    let app = match &facts.spec.entra.app {
        AppRef::ServicePrincipalId(id) => format!("the enterprise application with object id {id} (entra.app)"),
        AppRef::AppId(id) => format!("the enterprise application with appId {id} (entra.app)"),
        AppRef::DisplayName(name) => format!("the enterprise application {name:?} (entra.app)"),
    };
    need(&app, seen.app.unknown(), seen.app.is_absent());
    if !seen.app.is_known() {
        return;
    }
    need("the app's assignments", seen.assignments.unknown(), false);
    need("the synchronization jobs", seen.jobs.unknown(), false);
    if facts.job().is_some() && !facts.is_token_rejected() {
        need("the job's schema", seen.schema.unknown(), seen.schema.is_absent());
    }
    if let Some(why) = seen.log.unknown().filter(|_| facts.job().is_some() && !facts.is_token_rejected()) {
        found.notes.push(format!("the provisioning log could not be read: {why}"));
    }
    if let Some(unread) = seen.log.known().map(|log| &log.value.unread).filter(|unread| !unread.is_empty()) {
        found.notes.push(format!(
            "{} of the provisioning log could not be read ({}), and the others are judged by; look at them in the portal",
            count(unread.len(), "entry"),
            some_of(unread.keys())
        ));
    }
}

fn permissions(facts: &Facts, found: &mut Findings) {
    let Some(held) = facts.seen.permissions.known() else { return };
    let role_assignable: Vec<_> = facts
        .wished_groups()
        .into_iter()
        .filter(|group| facts.spec.mode == Mode::Enforce && facts.profile(*group).is_some_and(|profile| profile.role_assignable))
        .collect();
    found.notes.extend(permissions::too_many(facts.spec, held, !role_assignable.is_empty()));
    // A directory role may serve in place of any of them.
    if held.has_directory_role() {
        return;
    }
    // Once it is over the credential may be narrowed, until a group comes back onto the app. A list that can't be read is not known for
    // itself, and stops every write.
    let only_watches = facts.is_token_rejected()
        && facts.recorded().is_some_and(|baseline| !baseline.groups.keys().any(|group| facts.is_on(*group)));
    for (permission, need) in permissions::missing(facts.spec, held) {
        let what_for = need.what_for;
        match need.when {
            When::Enforce | When::Empties | When::Pauses if only_watches => {}
            // Graph refuses nothing here: it leaves the properties of users out.
            When::Always if permission == "User.Read.All" => found.refusals.push(format!(
                "the token has no {permission}, needed to {what_for}: Graph shows members without names and states to it, and nobody can be matched \
                 with a record at the target; grant it with admin consent"
            )),
            // Looking tells by itself what it may not read.
            When::Always | When::Optional => {
                let instead = need.instead.map_or_else(String::new, |instead| format!(" (or {instead} in place of it)"));
                found.notes.push(format!("the token has no {permission}, needed to {what_for}; grant it{instead} with admin consent"));
            }
            When::Pauses => found.refusals.push(format!(
                "the token has no {permission}, needed for afterwards: Pause; grant it with admin consent, or set afterwards: Leave"
            )),
            When::Enforce | When::Empties => found.refusals.push(format!(
                "the token has no {permission}, needed in Enforce to {what_for}; grant it with admin consent, or give the app a directory role that covers it"
            )),
        }
    }
    if !held.roles.contains(ROLE_MANAGEMENT) {
        let emptied = |group: &GroupId| facts.is_on(*group) && group_plan::plan_for(facts, *group) == GroupPlan::Empty;
        for group in role_assignable.into_iter().filter(emptied) {
            found.refusals.push(format!(
                "group {} is role-assignable, and the token has no {ROLE_MANAGEMENT}, needed in Enforce to remove its members; \
                 set members: Keep for it, or grant the permission with admin consent",
                facts.group_name(group)
            ));
        }
    }
}

fn app_and_job(facts: &Facts, found: &mut Findings) {
    let Some(look) = facts.seen.jobs.known() else { return };
    let Some(job) = facts.job() else {
        let ids = some_of(look.value.iter().map(|job| &job.id));
        found.refusals.push(match (&facts.spec.entra.job_id, look.value.len()) {
            (Some(id), _) => format!("the app has no synchronization job {id}; it has: {ids}; correct entra.jobId"),
            (None, 0) => "the app has no synchronization job: nothing is provisioned from it".into(),
            (None, n) => format!("the app has {n} synchronization jobs ({ids}); name the one that is meant in entra.jobId"),
        });
        return;
    };
    if facts.is_token_rejected() {
        return;
    }
    // Ours comes at the end alone: where steps are owed again, somebody has to start it.
    let by_us = facts.memory.journal.entry(&Key::Pause(job.id.clone())).is_some();
    let owed =
        facts.memory.remembered.cycle_proof.is_none() || facts.people().iter().any(|person| person.cover == Cover::AwaitingCycle);
    let ours = by_us && !owed;
    if job.is_paused() && !ours {
        let who = if by_us { "by unscim's own last step, and earlier steps are owed again" } else { "by somebody else" };
        let why = format!("job {} is paused {who} (JobPaused); start it in the portal, unscim never does", job.id);
        found.refusals.push(why.clone());
        found.paused = Some(why);
    } else if matches!(job.code, JobCode::NotRun | JobCode::NotConfigured) || job.last.is_none() {
        found.refusals.push(format!("job {} has never finished a cycle; start provisioning and let the first cycle end", job.id));
    } else if job.schedule == ScheduleState::Disabled {
        found.refusals.push(format!("job {} is disabled; no cycle would carry anything out; start it in the portal", job.id));
    } else if let JobCode::Other(code) = &job.code {
        found.refusals.push(format!(
            "job {} has the status {code:?}, which this version does not know; see its provisioning page, and use a newer unscim",
            job.id
        ));
    }
    if let Some(quarantine) = job.quarantine.as_ref().filter(|_| facts.memory.remembered.cycle_proof.is_none()) {
        found.refusals.push(format!("job {} is in quarantine ({}); {}", job.id, told(quarantine), remedy(quarantine)));
    }
}

fn scope(facts: &Facts, found: &mut Findings) {
    if facts.job().is_none() || facts.is_token_rejected() {
        return;
    }
    let confirmed = facts.spec.provisioning.scope_confirmed == Some(ScopeConfirmed::AssignedOnly);
    let unreadable = facts.seen.settings.unknown();
    match facts.seen.settings.known().and_then(|settings| settings.sync_all) {
        Some(true) => found.refusals.push(
            "the job synchronizes all users and groups (SyncAll): unassigning a group would not take it out of scope; set the scope to assigned users and groups first".into(),
        ),
        Some(false) => {}
        None if confirmed => found.notes.push("that the scope is \"assigned only\" is the operator's word (scopeConfirmed)".into()),
        None if let Some(why) = unreadable.filter(|why| !asks_for_a_person(why)) => {
            found.unknowns.push(format!("the job's settings (secrets) could not be read: {why}"));
        }
        None => found.refusals.push(format!(
            "whether the job synchronizes all users and groups (SyncAll) is not known{}; look in the portal and set provisioning.scopeConfirmed: AssignedOnly if it does not",
            unreadable.map(|why| format!(": {why}")).unwrap_or_default()
        )),
    }
    if facts.seen.settings.known().and_then(|settings| settings.skip_out_of_scope_deletions) == Some(true) {
        found.refusals.push("SkipOutOfScopeDeletions is on: the groups may never leave the target; turn it off first".into());
    }
    let groups = waves::waves(facts).iter().map(Vec::len).max().unwrap_or_else(|| facts.wished_groups().len());
    match facts.delete_threshold() {
        Some(threshold) => found.notes.push(format!(
            "Entra's threshold against accidental deletions is {threshold} per cycle: fewer groups than that are unassigned in one cycle"
        )),
        None if facts.seen.settings.is_known() => found.notes.push(format!(
            "no threshold against accidental deletions is set: switch on \"Prevent accidental deletion\" in the app's provisioning settings, with {} \
             (one more than the groups that go in one cycle), as the last net under the users",
            groups.saturating_add(1)
        )),
        None => {}
    }
    elsewhere(facts, found);
    token::sign_in(facts, found);
    let Some(schema) = facts.seen.schema.known() else { return };
    match &schema.group {
        None => found.refusals.push("the job's schema has no group mapping: groups were never provisioned by it".into()),
        Some(mapping) if !mapping.enabled => {
            found.refusals.push("the job's group mapping is off: the groups would never leave the target; switch it on".into())
        }
        Some(mapping) if !mapping.deletes => {
            found.refusals.push(
                "the job's group mapping lacks the Delete action: the groups would never leave the target; tick Delete".into(),
            );
        }
        Some(_) => {}
    }
    if facts.spec.target.match_attribute(Some(schema)).is_none() {
        found.refusals.push(format!(
            "the schema does not say in a plain way which Entra attribute becomes {:?}; set target.matchFrom",
            facts.spec.target.match_by
        ));
    }
    if schema.user.as_ref().is_some_and(|mapping| mapping.scoped) {
        found
            .notes
            .push("the user mapping has a scoping filter: users whom it excludes are assigned but expected nowhere".into());
    }
}

/// Another address may be another instance, which would be verified in place of the right one, or another way to the same
/// app: only a person can tell. One that is not known differs from nothing.
fn elsewhere(facts: &Facts, found: &mut Findings) {
    let base = facts.seen.settings.known().and_then(|settings| settings.base_address.as_deref());
    let Some(base) = base.and_then(|base| url::Url::parse(base).ok()).filter(url::Url::has_host) else { return };
    let place = |url: &url::Url| format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/'));
    let (base, ours) = (place(&base), place(&facts.spec.target.scim_url));
    if base == ours {
        return;
    }
    let differs = format!("Entra provisions to {base} (BaseAddress), and target.scimUrl is {ours}");
    if facts.acknowledges(Acknowledgement::OtherTenantUrl) {
        found.notes.push(format!("{differs}; that both lead to the same app is the operator's word (OtherTenantUrl)"));
    } else {
        found.refusals.push(format!(
            "{differs}: the wrong instance would be read, and its token asked for; correct target.scimUrl, or, where both lead to the same app, set \
             groups.acknowledge: [OtherTenantUrl]"
        ));
    }
}

fn groups(facts: &Facts, found: &mut Findings) {
    if !facts.seen.assignments.is_known() {
        return;
    }
    match facts.recorded() {
        Some(baseline) => taken_before(facts, baseline, found),
        None => wished(facts, found),
    }
    let Some(baseline) = facts.baseline() else { return };
    let direct = baseline.direct_before();
    if direct > 0 {
        found.notes.push(format!(
            "{} assigned directly already when the baseline was taken (AlreadyDirect): these are watched, and nobody can prove who was in scope before",
            part(direct, baseline.users.len(), "protected user")
        ));
    }
    let strangers: Vec<_> = facts.spec.released.iter().filter(|user| !baseline.users.contains_key(user)).collect();
    if !strangers.is_empty() {
        found.notes.push(format!("spec.released names users who are not protected anyway: {}", some_of(strangers)));
    }
    let unmanaged = facts.unmanaged_groups();
    if !unmanaged.is_empty() {
        let names = some_of(unmanaged.into_iter().map(|group| facts.group_name(group)));
        found.notes.push(format!("UnmanagedGroupAssigned: {names}; not touched, and step 5 waits for it"));
    }
}

/// Before there is a baseline on disk: the groups that it would be of.
fn wished(facts: &Facts, found: &mut Findings) {
    for group in facts.wished_groups() {
        let seen = facts.seen.groups.get(&group);
        match seen.map(|seen| &seen.profile) {
            Some(Observed::Absent) if facts.is_already_direct() => {}
            Some(Observed::Absent) => found.refusals.push(format!("group {group} does not exist; correct its id in groups.list")),
            Some(Observed::Unknown(why)) => found.unknowns.push(format!("group {group} could not be read: {why}")),
            Some(Observed::Known(profile)) if !profile.security_enabled => found.refusals.push(format!(
                "group {} is not security-enabled: its assignment gives nobody access; take it off groups.list",
                facts.group_name(group)
            )),
            Some(Observed::Known(_)) | None => {}
        }
        if facts.is_off(group) && !seen.is_some_and(|seen| seen.profile.is_absent()) && !facts.is_already_direct() {
            found.refusals.push(format!(
                "group {} is listed but not assigned to this app; a mistyped id? it will not be touched; if it was unassigned before, by hand or by a \
                 run whose ledger is lost, {ALREADY_DIRECT}",
                facts.group_name(group)
            ));
        }
    }
    members::known(facts, found);
    if facts.wished_groups().is_empty() && !facts.is_already_direct() {
        found.refusals.push(format!(
            "no group is assigned to the app: there is nothing to retire; if all were unassigned before, by hand or by a run whose ledger is lost, \
             {ALREADY_DIRECT}"
        ));
    }
}

/// What groups.list says by now of a baseline that was taken before.
fn taken_before(facts: &Facts, baseline: &Baseline, found: &mut Findings) {
    let listed = if facts.spec.groups.select == Select::Listed { facts.wished_groups() } else { BTreeSet::new() };
    let late: Vec<_> = listed.iter().filter(|group| !baseline.groups.contains_key(group)).collect();
    if !late.is_empty() {
        found.notes.push(format!(
            "groups.list names groups that are not in the baseline, which was taken before: {}; they are not touched; start anew with another --data-dir to retire them too",
            some_of(late.into_iter().map(|group| facts.group_name(*group)))
        ));
    }
    let withdrawn: Vec<_> = baseline.groups.keys().filter(|group| facts.is_withdrawn(**group) && facts.is_on(**group)).collect();
    if !withdrawn.is_empty() {
        found.notes.push(format!(
            "groups that are in the baseline were taken off groups.list: {}; they keep their members and their assignment, and step 3 waits for them",
            some_of(withdrawn.into_iter().map(|group| facts.group_name(*group)))
        ));
    }
}

fn roles(facts: &Facts, found: &mut Findings) {
    let (Some(app), Some(look)) = (facts.seen.app.known(), facts.seen.assignments.known()) else { return };
    let wished = facts.wished_groups();
    let held: BTreeSet<_> = look
        .value
        .iter()
        .filter(|row| matches!(row.principal, Principal::Group(group) if wished.contains(&group)))
        .map(|row| row.role)
        .collect();
    let trouble = |role: AppRoleId| match app.roles.iter().find(|declared| declared.id == role) {
        None if role == DEFAULT_ACCESS && app.roles.iter().all(|role| !role.enabled || !role.for_users) => None,
        None => Some("the app does not declare it"),
        Some(declared) if !declared.enabled => Some("it is disabled"),
        Some(declared) if !declared.for_users => Some("it is not for users"),
        Some(_) => None,
    };
    for (role, other) in facts.spec.roles.iter().filter(|(role, other)| held.contains(role) && role != other) {
        if trouble(*role).is_none() {
            found.refusals.push(format!(
                "spec.roles gives users {other} for role {role} of their groups, though users can be given {role} itself: they would lose it with the groups; take it out of spec.roles"
            ));
        }
    }
    let used: BTreeSet<_> = held.iter().map(|role| facts.own_role(*role)).collect();
    for role in used {
        if let Some(trouble) = trouble(role) {
            found
                .refusals
                .push(format!("users can't be given role {role}: {trouble}; name the one to assign instead in spec.roles"));
        }
    }
}
