//! Reads everything one turn needs. It never returns early: each part is known, absent or unknown by itself.

#![deny(clippy::disallowed_methods)]

mod target;
mod unlisted;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::model::baseline::Baseline;
use crate::model::compact::packed;
use crate::model::id::{GroupId, ServicePrincipalId, UserId};
use crate::model::key::Key;
use crate::model::memory::Memory;
use crate::model::moment::{Moment, earlier, is_ahead, lasts, since};
use crate::model::observed::{Listed, Observed, UNHEARD_OF, Why};
use crate::model::snapshot::{
    Assignment, DirectoryUser, GroupProfile, Job, Log, Look, Members, ObservedGroup, OptionalLook, Permissions, Policy,
    Principal, ScimUser, Snapshot, TargetLook,
};
use crate::model::spec::{Acknowledgement, Select, Spec};
use crate::world::error::Error;
use crate::world::{Clock, Directory, Freeze, Target, World, listed, observed};
use target::{bystanders, in_turn};

/// Groups whose users are read in one go: their names are in memory all together.
const GROUPS_AT_ONCE: usize = 100;
/// Rows of the provisioning log come minutes after what they tell; Microsoft promises nothing.
const LOG_OVERLAP: Duration = Duration::from_secs(2 * 3600);
/// After this it is read from the baseline on once more, for rows that came later than that.
const LOG_WHOLE: Duration = Duration::from_secs(24 * 3600);
/// Between probes once the token has been proven dead.
pub const PROBE_AFTERWARDS: Duration = Duration::from_secs(3600);

pub async fn observe(world: &impl World, spec: &Spec, memory: &Memory) -> Snapshot {
    let directory = world.directory();
    let began = world.clock().moment();
    let frozen = world.freeze().why();
    let mut now = Snapshot { began, frozen, permissions: observed(directory.permissions().await), ..Snapshot::default() };
    now.rounds = memory.rounds;
    now.credential = directory.credential_life();
    now.app = observed(directory.app(&spec.entra.app).await);
    let retired = memory.remembered.revocation_proof.is_some();
    if let Some(app) = now.app.known().map(|app| app.id) {
        // The job before everything that is judged against its cycles.
        now.jobs = listed(directory.jobs(app).await);
        let job = now.jobs.known().filter(|_| !retired).and_then(|look| Some((look.at, spec.entra.job(&look.value)?)));
        if let Some((at, job)) = job {
            now.schema = observed(directory.schema(app, &job.id).await);
            now.settings = listed(directory.settings(app).await);
            (now.log, now.log_whole) = log(world, spec, memory, job, at).await;
        }
        now.assignments = listed(directory.assignments(app).await);
        groups(world, spec, memory, app, &mut now).await;
    } else if let Some(why) = now.app.unknown() {
        now.assignments = Listed::Unknown(why.clone());
    }
    target::target(world, spec, memory, &mut now).await;
    users(world, spec, memory, &mut now).await;
    unlisted::look_up(world, spec, memory, &mut now).await;
    probe(world, spec, memory, &mut now).await;
    now
}

/// Rows matter from the baseline on; before there is one, a day shows whether the log can be read. It is read at its own
/// interval, and once more when a cycle has ended: no cycle is judged by a log that was read before its end. A read goes on
/// where the last one ended, and a little before that: rows come late.
async fn log(world: &impl World, spec: &Spec, memory: &Memory, job: &Job, at: Timestamp) -> (Listed<Look<Log>>, Moment) {
    let now = world.clock().moment();
    let known = memory.log.as_ref().filter(|known| known.job == job.id && !is_ahead(known.look.at, at));
    let ended = job.last.as_ref().and_then(|last| last.ended);
    let young =
        |look: &Look<_>| since(look.at, at) < spec.provisioning.log_read_interval && ended.is_none_or(|ended| ended < look.at);
    if let Some(known) = known.filter(|known| young(&known.look)) {
        return (Listed::Known(known.look.clone()), known.whole);
    }
    let begins = match memory.baseline.known() {
        Some(baseline) => baseline.taken,
        None => earlier(at, Duration::from_secs(86_400)),
    };
    let known = known.filter(|known| memory.baseline.is_known() && known.whole.age(now) < LOG_WHOLE);
    let from = known.map_or(begins, |known| earlier(known.look.at, LOG_OVERLAP).max(begins));
    let whole = known.map_or(now, |known| known.whole);
    let read = world.directory().log(&job.id, from).await.map(|look| {
        let log = known.map_or_else(Log::default, |known| known.look.value.clone());
        Look { at: look.at, value: look.value.join(&log).settled() }
    });
    (listed(read), whole)
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
    let is_over = |id: &GroupId| {
        let never = |baseline: &Baseline| baseline.groups.get(id).is_some_and(|group| !group.was_assigned());
        memory.remembered.members_closed.contains_key(id) || memory.baseline.known().is_some_and(never)
    };
    let wanted: Vec<GroupId> = wanted.into_iter().filter(|id| assigned.contains(id) || !is_over(id)).collect();
    for (id, profile) in wanted.iter().zip(directory.profiles_of(&wanted).await) {
        now.groups.insert(*id, ObservedGroup { profile: observed(profile), ..ObservedGroup::default() });
    }
    let known = |now: &Snapshot| -> Vec<GroupId> {
        now.groups.iter().filter(|(_, group)| group.profile.is_known()).map(|(id, _)| *id).collect()
    };
    let there = known(now);
    for (id, members) in there.iter().zip(directory.members_of(&there).await) {
        now.groups.entry(*id).or_default().members = listed(members);
    }
    let peopled = |now: &Snapshot, id: &GroupId| {
        now.groups.get(id).and_then(|group| group.members.known()).is_some_and(|members| !members.value.users.is_empty())
    };
    let there: Vec<GroupId> = there.into_iter().filter(|id| assigned.contains(id)).collect();
    let used: Vec<GroupId> = there.iter().copied().filter(|id| peopled(now, id)).collect();
    for (id, uses) in used.iter().zip(directory.uses_of(&used, app).await) {
        now.groups.entry(*id).or_default().uses = listed(uses);
    }
    let recorded = memory.baseline.known().map(|baseline| &baseline.users);
    let mut users = BTreeMap::new();
    // What looks empty when it is first seen may not be.
    let asked = if recorded.is_some() { &used } else { &there };
    for groups in asked.chunks(GROUPS_AT_ONCE) {
        for (id, read) in groups.iter().zip(directory.properties_of(groups, &attribute).await) {
            let (properties, read) = match read {
                Ok(read) => (Listed::Known(()), read),
                Err(error) => (listed(Err(error)), Vec::new()),
            };
            let seen = now.groups.entry(*id).or_default();
            seen.properties = properties;
            if let Some(why) = contradiction(memory, *id, seen.members.known(), &read) {
                seen.members = Listed::Unknown(why);
            }
            for user in read {
                // Whose record is known is known by name from there.
                let known = recorded.and_then(|recorded| recorded.get(&user.id)?.target.record()).is_some();
                let user = if known { DirectoryUser { user_principal_name: None, match_value: None, ..user } } else { user };
                users.insert(user.id, Observed::Known(user));
            }
        }
    }
    now.users = packed(users);
    now.policies = policies(world, now).await;
    lent(world, &there, now).await;
}

/// Who is in these groups for a while and who may come into them, each list where it may be read.
async fn lent(world: &impl World, there: &[GroupId], now: &mut Snapshot) {
    let profile = |id: &GroupId| now.groups.get(id).and_then(|group| group.profile.known());
    let governed: Vec<GroupId> = there.iter().copied().filter(|id| profile(id).is_some_and(GroupProfile::may_be_lent)).collect();
    let held = now.permissions.known().cloned().unwrap_or_default();
    if held.may(OptionalLook::Activations) {
        for (id, lent) in governed.iter().zip(world.directory().lent_in(&governed).await) {
            now.groups.entry(*id).or_default().lent = optional(lent, &held, OptionalLook::Activations, "whose membership ends");
        }
    }
    if held.may(OptionalLook::Eligibilities) {
        for (id, eligible) in governed.iter().zip(world.directory().eligible_for(&governed).await) {
            now.groups.entry(*id).or_default().eligible =
                optional(eligible, &held, OptionalLook::Eligibilities, "who may become a member");
        }
    }
}

/// Who may not look has not looked; that is no "no". Whoever may and is refused all the same does not know.
fn optional<T>(read: Result<T, Error>, held: &Permissions, look: OptionalLook, what: &str) -> Listed<T> {
    match read {
        // A directory role may or may not serve; the service's own word tells.
        Err(error) if error.is_denied_in_words() && !held.claims(look) => Listed::Unknown(Why::not_looked(what)),
        read => listed(read),
    }
}

/// Two lists of the same members, one of them of users alone: whoever is only in that one is missing in the other. A removal of ours
/// may show in one of them first.
fn contradiction(memory: &Memory, group: GroupId, members: Option<&Look<Members>>, users: &[DirectoryUser]) -> Option<Why> {
    let members = &members?.value;
    let listed = &members.users;
    let removed = |user: UserId| memory.journal.entry(&Key::Member(group, user)).is_some();
    let missing: Vec<UserId> =
        users.iter().map(|user| user.id).filter(|user| !listed.contains(user) && !removed(*user)).collect();
    let otherwise = members.others.iter().find(|(_, id)| missing.contains(&UserId(*id))).map(|(kind, _)| kind.as_str());
    (!missing.is_empty()).then(|| {
        let what =
            format!("the list of the members of group {group} lacks {} of the users whom its list of users has", missing.len());
        // A new kind of user stands in both lists, and in one of them under a name that says nothing here, or something else.
        match otherwise.or_else(|| members.unheard_of().next()) {
            Some(kind) => Why::new(
                UNHEARD_OF,
                format!(
                    "{what}, and has one of another kind ({kind}): whether Entra provisions them can't be told; take \
                     them out of the group by hand, or use a newer unscim"
                ),
            ),
            None => Why::new("incomplete", format!("{what}; they are read again")),
        }
    })
}

async fn policies(world: &impl World, now: &Snapshot) -> Listed<Vec<Policy>> {
    const WHAT: &str = "Conditional Access";
    let uses_matter = now.groups.values().any(|group| group.uses.is_known());
    let Some(held) = now.permissions.known().filter(|held| uses_matter && held.may(OptionalLook::Policies)) else {
        return Listed::Unknown(Why::not_looked(WHAT));
    };
    optional(world.directory().policies().await, held, OptionalLook::Policies, WHAT)
}

/// Single users whom a list has left open: what does the directory itself say of them?
async fn users(world: &impl World, spec: &Spec, memory: &Memory, now: &mut Snapshot) {
    let looked_anew = now.target.look.is_known();
    let look = now.target.look.known().or(memory.target.as_ref());
    let direct: Option<BTreeSet<UserId>> = now.assignments.known().map(|look| {
        let of_user = |row: &Assignment| if let Principal::User(user) = row.principal { Some(user) } else { None };
        look.value.iter().filter_map(of_user).collect()
    });
    let harmful =
        now.log.known().into_iter().flat_map(|log| log.value.rows.iter().filter(|row| row.is_harmful() && !row.of_group));
    let harmed: BTreeSet<UserId> = harmful.filter_map(|row| row.source.map(UserId)).collect();
    let worse = |before: &ScimUser| match look.map(|look| look.user(&before.id)) {
        Some(Observed::Known(now)) => now.is_inactive_since(before) || now.is_silent_since(before) || now.is_another_than(before),
        Some(Observed::Absent) => true,
        Some(Observed::Unknown(_)) | None => false,
    };
    // Whose record has another name now may have it in the directory, too.
    let renamed = |id: UserId, before: &ScimUser| {
        let now = look.and_then(|look| look.user(&before.id).known().copied()).filter(|now| now.is_renamed_since(before));
        let known = memory.remembered.renamed.get(&id);
        now.is_some_and(|now| known.is_none_or(|known| now.user_name.as_ref().is_none_or(|name| name.to_lowercase() != **known)))
    };
    let asked: Vec<UserId> = match memory.baseline.known() {
        Some(baseline) => {
            let protected = baseline.users.iter().filter(|(id, user)| {
                let is_open = !now.users.contains_key(id)
                    && (direct.as_ref().is_some_and(|direct| !direct.contains(id))
                        || harmed.contains(id)
                        || memory.remembered.departed.contains_key(id)
                        || user.target.record().is_some_and(worse)
                        || (looked_anew && user.target.record().is_none()));
                is_open || user.target.record().is_some_and(|before| renamed(**id, before))
            });
            // An ended record may be of anybody whom the app or the operator names.
            let of_record = look.is_some_and(|look| has_ended(look, memory)).then_some(direct.as_ref()).flatten();
            let ended = memory.remembered.ended.iter().filter_map(|ended| ended.who.user());
            let of_record = of_record.into_iter().flat_map(|direct| direct.iter().chain(&spec.released));
            let strangers = harmed.iter().chain(ended).chain(of_record);
            let strangers =
                strangers.filter(|id| !baseline.users.contains_key(id) && !baseline.groups.contains_key(&GroupId(id.0)));
            let asked: BTreeSet<UserId> = protected.map(|(id, _)| *id).chain(strangers.copied()).collect();
            let asked: Vec<UserId> = asked.into_iter().collect();
            in_turn(&asked, now.rounds.users, |id| *id).copied().collect()
        }
        // Members whom the list of their properties did not have.
        None => {
            let members =
                now.groups.values().filter(|group| group.properties.is_known()).filter_map(|group| group.members.known());
            let already = spec.groups.acknowledge.contains(&Acknowledgement::AlreadyDirect);
            let direct = direct.iter().flatten().filter(|_| already).copied();
            let members: BTreeSet<UserId> = members.flat_map(|look| look.value.users.iter().copied()).chain(direct).collect();
            members.into_iter().filter(|id| !now.users.contains_key(id)).collect()
        }
    };
    now.rounds.users = asked.last().copied().or(now.rounds.users);
    let attribute = spec.target.match_attribute(now.schema.known()).unwrap_or_else(|| "userPrincipalName".into());
    for (id, user) in asked.iter().zip(world.directory().users_by_id(&asked, &attribute).await) {
        now.users.insert(*id, observed(user));
    }
}

/// One of them is inactive or gone.
fn has_ended(look: &TargetLook, memory: &Memory) -> bool {
    bystanders(memory).any(|id| match look.user(id) {
        Observed::Known(record) => record.active == Some(false),
        Observed::Absent => true,
        Observed::Unknown(_) => false,
    })
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn whom_two_lists_of_members_differ_by_is_read_again_or_named_by_their_kind() {
        let users = [1, 2].map(|n| DirectoryUser {
            id: UserId(Uuid::from_u128(n)),
            user_principal_name: None,
            match_value: None,
            enabled: None,
            guest: false,
        });
        let listed = |listed: &[u128], others: &[(&str, u128)]| {
            let listed = listed.iter().map(|n| UserId(Uuid::from_u128(*n))).collect();
            let others = others.iter().map(|(kind, n)| ((*kind).to_owned(), Uuid::from_u128(*n))).collect();
            let look = Look { at: Timestamp::UNIX_EPOCH, value: Members { users: listed, others } };
            contradiction(&Memory::default(), GroupId(Uuid::from_u128(9)), Some(&look), &users)
        };
        assert_eq!(listed(&[1, 2], &[("device", 3)]), None);
        let read_again = listed(&[1], &[("device", 3)]).unwrap();
        assert!(read_again.kind != UNHEARD_OF && read_again.to_string().contains("lacks 1 of the users"), "{read_again}");
        for kind in ["robotUser", "agentIdentity"] {
            let named = listed(&[1], &[(kind, 2)]).unwrap();
            assert!(named.kind == UNHEARD_OF && named.to_string().contains(&format!("one of another kind ({kind})")), "{named}");
        }
    }
}
