//! Reads everything one turn needs. It never returns early: each part is known, absent or unknown by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::baseline::Baseline;
use crate::model::compact::packed;
use crate::model::id::{GroupId, ScimId, ServicePrincipalId, UserId};
use crate::model::memory::{Memory, lasts, since};
use crate::model::moment::Moment;
use crate::model::seen::{Seen, Why};
use crate::model::snapshot::{
    Calibration, DirectoryUser, GroupSeen, Job, LogRow, Look, Principal, ScimUser, Snapshot, TargetLook, TargetSeen, TokenState,
};
use crate::model::spec::{Select, Spec};
use crate::world::error::Error;
use crate::world::{Clock, Directory, Freeze, Target, World, seen};

/// Single users asked for in one turn; more wait for the next one.
const USERS_PER_TURN: usize = 100;
/// Groups whose users are read in one go: their names are in memory all together.
const GROUPS_AT_ONCE: usize = 100;
/// An app that answers otherwise after an upgrade is noticed within this.
const CALIBRATED_FOR: Duration = Duration::from_secs(24 * 3600);
const POLICIES: &str = "Conditional Access";
/// Between probes once the token has been proven dead.
const PROBE_AFTERWARDS: Duration = Duration::from_secs(3600);

pub async fn observe(world: &impl World, spec: &Spec, memory: &Memory) -> Snapshot {
    let directory = world.directory();
    let began = world.clock().moment();
    let frozen = world.freeze().why();
    let mut now = Snapshot { began, frozen, permissions: seen(directory.permissions().await), ..Snapshot::default() };
    now.credential = directory.credential_life();
    now.app = seen(directory.app(&spec.entra.app).await);
    let retired = memory.remembered.revocation_proof.is_some();
    if let Some(app) = now.app.known().map(|app| app.id) {
        // The job before everything that is judged against its cycles.
        now.jobs = seen(directory.jobs(app).await);
        let job = now.jobs.known().filter(|_| !retired).and_then(|look| Some((look.at, spec.entra.job(&look.value)?)));
        if let Some((at, job)) = job {
            now.schema = seen(directory.schema(app, &job.id).await);
            now.settings = seen(directory.settings(app).await);
            now.log = log(world, spec, memory, job, at).await;
        }
        now.assignments = seen(directory.assignments(app).await);
        groups(world, spec, memory, app, &mut now).await;
    }
    target(world, spec, memory, &mut now).await;
    users(world, spec, memory, &mut now).await;
    probe(world, spec, memory, &mut now).await;
    now
}

/// Rows matter from the baseline on; before there is one, a day shows whether the log can be read. It is read at its own
/// interval, and once more when a cycle has ended: no cycle is judged by a log that was read before its end.
async fn log(world: &impl World, spec: &Spec, memory: &Memory, job: &Job, at: Timestamp) -> Seen<Look<Vec<LogRow>>> {
    let ended = job.last.as_ref().and_then(|last| last.ended);
    let young =
        |look: &Look<_>| since(look.at, at) < spec.provisioning.log_read_interval && ended.is_none_or(|ended| ended < look.at);
    if let Some((_, look)) = memory.log.as_ref().filter(|(of, look)| *of == job.id && young(look)) {
        return Seen::Known(look.clone());
    }
    let from = match memory.baseline.known() {
        Some(baseline) => baseline.taken,
        None => at.checked_sub(Duration::from_secs(86_400)).unwrap_or(Timestamp::MIN),
    };
    seen(world.directory().log(&job.id, from).await)
}

async fn groups(world: &impl World, spec: &Spec, memory: &Memory, app: ServicePrincipalId, now: &mut Snapshot) {
    let directory = world.directory();
    let Some(rows) = now.assignments.known() else { return };
    let assigned: BTreeSet<GroupId> = rows
        .value
        .iter()
        .filter_map(|row| if let Principal::Group(group) = row.principal { Some(group) } else { None })
        .collect();
    let wanted: BTreeSet<GroupId> = match (memory.baseline.known(), spec.groups.select) {
        (Some(baseline), _) => baseline.groups.keys().copied().collect(),
        (None, Select::Listed) => spec.groups.list.iter().map(|entry| entry.id).collect(),
        (None, Select::AllAssigned) => assigned.clone(),
    };
    let attribute = spec.target.match_attribute(now.schema.known()).unwrap_or_else(|| "userPrincipalName".into());
    let wanted: Vec<GroupId> =
        wanted.into_iter().filter(|id| assigned.contains(id) || !memory.remembered.members_closed.contains_key(id)).collect();
    for (id, profile) in wanted.iter().zip(directory.profiles_of(&wanted).await) {
        now.groups.insert(*id, GroupSeen { profile: seen(profile), ..GroupSeen::default() });
    }
    let known = |now: &Snapshot| -> Vec<GroupId> {
        now.groups.iter().filter(|(_, group)| group.profile.is_known()).map(|(id, _)| *id).collect()
    };
    let there = known(now);
    for (id, members) in there.iter().zip(directory.members_of(&there).await) {
        now.groups.entry(*id).or_default().members = seen(members);
    }
    let peopled = |now: &Snapshot, id: &GroupId| {
        now.groups.get(id).and_then(|group| group.members.known()).is_some_and(|members| !members.value.users.is_empty())
    };
    let used: Vec<GroupId> = there.into_iter().filter(|id| assigned.contains(id) && peopled(now, id)).collect();
    for (id, uses) in used.iter().zip(directory.uses_of(&used, app).await) {
        now.groups.entry(*id).or_default().uses = seen(uses);
    }
    let recorded = memory.baseline.known().map(|baseline| &baseline.users);
    let mut users = BTreeMap::new();
    for groups in used.chunks(GROUPS_AT_ONCE) {
        for user in directory.properties_of(groups, &attribute).await.into_iter().flat_map(Result::unwrap_or_default) {
            // Whoever is in the baseline is known by name from there.
            let recorded = recorded.is_some_and(|recorded| recorded.contains_key(&user.id));
            let user = if recorded { DirectoryUser { user_principal_name: None, match_value: None, ..user } } else { user };
            users.insert(user.id, Seen::Known(user));
        }
    }
    now.users = packed(users);
    // Who may not look has not looked; that is no "no".
    let uses_matter = now.groups.values().any(|group| group.uses.is_known());
    now.policies = match now.permissions.known() {
        Some(permissions) if uses_matter && permissions.may_read_policies() => match directory.policies().await {
            Err(Error::Denied { .. }) => Seen::Unknown(Why::not_looked(POLICIES)),
            other => seen(other),
        },
        _ => Seen::Unknown(Why::not_looked(POLICIES)),
    };
}

async fn target(world: &impl World, spec: &Spec, memory: &Memory, now: &mut Snapshot) {
    let at = world.clock().moment();
    let remembered = &memory.remembered;
    // Until the probe is calibrated for the token in the file, every turn tries anew: preflight and step 5 stand and fall with it.
    let due = !remembered.calibration.as_ref().is_some_and(|calibration| world.target().fits(calibration))
        || memory.target.as_ref().is_none_or(|look| look.at.age(at) >= spec.target.read_interval);
    if remembered.revocation_proof.is_some() || !due {
        now.target.look = Seen::Unknown(Why::not_looked("the target"));
        return;
    }
    now.target = match look_at_target(world, memory, at).await {
        Ok(look) => TargetSeen { token: TokenState::Accepted, look: Seen::Known(Arc::new(look)) },
        Err(error) => {
            let token =
                if let Error::Denied { status, .. } = &error { TokenState::Refused(*status) } else { TokenState::Unknown };
            TargetSeen { token, look: Seen::Unknown(Why::new(error.label(), error.to_string())) }
        }
    };
    // Only a good token can be calibrated, and there is no telling which look is the last at which it is good.
    let fits = |calibration: &Calibration| world.target().fits(calibration) && lasts(calibration.at, at.wall, CALIBRATED_FOR);
    if now.target.token == TokenState::Accepted && !remembered.calibration.as_ref().is_some_and(fits) {
        now.calibration = Some(seen(world.target().calibrate(at.wall).await));
    }
}

async fn look_at_target(world: &impl World, memory: &Memory, at: Moment) -> Result<TargetLook, Error> {
    let target = world.target();
    let mut look = TargetLook {
        turn: memory.remembered.turn,
        at,
        users: target.users().await?,
        groups: target.groups().await?,
        users_by_id: BTreeMap::new(),
        groups_by_id: BTreeMap::new(),
    };
    let Some(baseline) = memory.baseline.known() else { return Ok(look) };
    for before in baseline.users.values().filter_map(|user| user.target.as_ref()) {
        if let Some(now) = look.users.get_mut(&before.id) {
            now.share_texts(before);
        }
    }
    // Before anyone is called lost he is read by id.
    for id in doubtful(baseline, &look.users).take(USERS_PER_TURN) {
        let user = target.user(&id).await?;
        look.users_by_id.insert(id, user);
    }
    for id in baseline.groups.values().filter_map(|group| group.scim.as_ref()) {
        if !look.groups.contains_key(id) {
            let group = target.group(id).await?;
            look.groups_by_id.insert(id.clone(), group);
        }
    }
    Ok(look)
}

fn doubtful<'a>(baseline: &'a Baseline, users: &'a BTreeMap<ScimId, ScimUser>) -> impl Iterator<Item = ScimId> + 'a {
    baseline
        .users
        .values()
        .filter_map(|user| user.target.as_ref())
        .filter(|before| !users.get(&before.id).is_some_and(|now| now.active == Some(true) || before.active != Some(true)))
        .map(|before| before.id.clone())
}

/// Single users whom a list has left open: what does the directory itself say of them?
async fn users(world: &impl World, spec: &Spec, memory: &Memory, now: &mut Snapshot) {
    let Some(baseline) = memory.baseline.known() else { return };
    let look = now.target.look.known().or(memory.target.as_ref());
    let direct: BTreeSet<UserId> = now
        .assignments
        .known()
        .map(|look: &Look<_>| {
            look.value
                .iter()
                .filter_map(|row| if let Principal::User(user) = row.principal { Some(user) } else { None })
                .collect()
        })
        .unwrap_or_default();
    let harmed: BTreeSet<UserId> = now
        .log
        .known()
        .map(|log| log.value.iter().filter(|row| row.is_harmful()).filter_map(|row| row.source.map(UserId)).collect())
        .unwrap_or_default();
    let worse = |before: &ScimUser| match look.map(|look| look.user(&before.id)) {
        Some(Seen::Known(record)) => before.active == Some(true) && record.active != Some(true),
        Some(Seen::Absent) => true,
        Some(Seen::Unknown(_)) | None => false,
    };
    let asked: Vec<UserId> = baseline
        .users
        .iter()
        .filter(|(id, user)| {
            !now.users.contains_key(id)
                && ((now.assignments.is_known() && !direct.contains(id))
                    || harmed.contains(id)
                    || memory.remembered.departed.contains_key(id)
                    || user.target.as_ref().is_some_and(worse))
        })
        .map(|(id, _)| *id)
        .take(USERS_PER_TURN)
        .collect();
    let attribute = spec.target.match_attribute(now.schema.known()).unwrap_or_else(|| "userPrincipalName".into());
    for (id, user) in asked.iter().zip(world.directory().users_by_id(&asked, &attribute).await) {
        now.users.insert(*id, seen(user));
    }
}

async fn probe(world: &impl World, spec: &Spec, memory: &Memory, now: &mut Snapshot) {
    let remembered = &memory.remembered;
    let Some(calibration) = &remembered.calibration else { return };
    if remembered.cycle_proof.is_none() && remembered.revocation_proof.is_none() {
        return;
    }
    let every = if remembered.revocation_proof.is_some() { PROBE_AFTERWARDS } else { spec.target.revocation.confirm_every };
    let at = world.clock().now();
    if !remembered.probed_at.is_some_and(|last| lasts(last, at, every)) {
        now.probe = Some(world.target().probe(calibration, at).await);
    }
}
