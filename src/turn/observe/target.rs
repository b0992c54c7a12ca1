//! What a turn reads of the app: its lists, and by id whoever they lack or show worse than before.

#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::baseline::Baseline;
use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::memory::Memory;
use crate::model::moment::{Moment, lasts};
use crate::model::observed::{Listed, Observed, Why};
use crate::model::snapshot::{
    Calibration, ObservedGroup, ObservedTarget, Rounds, ScimGroup, ScimUser, Signature, Snapshot, TargetLook, TokenState,
};
use crate::model::spec::Spec;
use crate::world::error::Error;
use crate::world::{AppList, Clock, Target, World, listed, observed};

/// Single users asked for in one turn; more wait for the next one.
const USERS_PER_TURN: usize = 100;
/// An app that answers otherwise after an upgrade is noticed within this.
const CALIBRATED_FOR: Duration = Duration::from_secs(24 * 3600);
/// Each time costs made-up tokens, for which a service may lock us out.
const UNTOLD_FOR: Duration = Duration::from_secs(3600);

pub(super) async fn target(world: &impl World, spec: &Spec, memory: &Memory, now: &mut Snapshot) {
    let at = world.clock().moment();
    let remembered = &memory.remembered;
    let token_ends = world.target().token_ends();
    // Until the probe is calibrated for the token in the file, every turn tries anew: preflight and step 5 stand and fall with it.
    let due = !remembered.calibration.as_ref().is_some_and(|calibration| world.target().fits(calibration))
        || is_after_cycle(spec, memory, now)
        || memory.target.as_ref().is_none_or(|look| look.at.age(at) >= spec.target.read_interval);
    if remembered.revocation_proof.is_some() || !due {
        now.target =
            ObservedTarget { token_ends, look: Listed::Unknown(Why::not_looked("the target")), ..ObservedTarget::default() };
        return;
    }
    now.target = match world.target().users(memory.target.as_deref()).await {
        // What opens one list is not revoked, whatever the other one says.
        Ok(list) => match look_at_target(world, memory, at, list, &mut now.rounds).await {
            Ok(mut look) => {
                members_at_app(world, memory, &now.groups, &mut look).await;
                ObservedTarget { token: TokenState::Accepted, token_ends, look: Listed::Known(Arc::new(look)) }
            }
            Err(error) => ObservedTarget { token: TokenState::Unknown, token_ends, look: listed(Err(error)) },
        },
        Err(error) => {
            let token =
                if let Error::Denied { status, .. } = &error { TokenState::Refused(*status) } else { TokenState::Unknown };
            ObservedTarget { token, token_ends, look: listed(Err(error)) }
        }
    };
    // Only a good token can be calibrated, and there is no telling which look is the last at which it is good.
    let fits = |calibration: &Calibration| {
        // What was refused without a token may have been something in between, of a minute: the next look asks again. So may have been
        // what was said of records that nobody has, and that is asked for until there is a baseline.
        let was_up = (200..300).contains(&calibration.liveness);
        let tells = calibration.no_such.as_ref().is_some_and(|learned| !memory.baseline.is_absent() || learned.is_whole());
        let serves_for = if tells { CALIBRATED_FOR } else { UNTOLD_FOR };
        let whole = calibration.no_such.is_some() && was_up && lasts(calibration.at, at.wall, serves_for);
        whole && world.target().fits(calibration)
    };
    if now.target.token == TokenState::Accepted && !remembered.calibration.as_ref().is_some_and(fits) {
        now.calibration = Some(observed(world.target().calibrate(at.wall).await));
    }
}

/// A cycle that no turn has seen the end of yet: what it did at the target is looked for at once, before anything follows it.
fn is_after_cycle(spec: &Spec, memory: &Memory, now: &Snapshot) -> bool {
    let last = now.jobs.known().and_then(|look| spec.entra.job(&look.value)?.last.as_ref());
    let seen = memory.remembered.seen_cycle.as_ref().map(|(activity, _)| activity);
    last.zip(seen).is_some_and(|(last, seen)| last.ended.is_some() && *seen != last.activity)
}

async fn look_at_target(
    world: &impl World,
    memory: &Memory,
    at: Moment,
    list: AppList<ScimUser>,
    rounds: &mut Rounds,
) -> Result<TargetLook, Error> {
    let target = world.target();
    let turn = memory.remembered.turn;
    let AppList { records: users, may_lack: may_lack_users } = list;
    let AppList { records: groups, may_lack: may_lack_groups } = groups_at_app(target, memory).await?;
    let mut look = TargetLook { turn, at, users, may_lack_users, groups, may_lack_groups, ..TargetLook::default() };
    if let Some(before) = &memory.target {
        look.compare(before);
    }
    let Some(baseline) = memory.baseline.known() else { return Ok(look) };
    for before in baseline.users.values().filter_map(|user| user.target.record()) {
        if let Some(now) = look.users.get_mut(&before.id) {
            now.share_texts(before);
        }
    }
    let learned = memory.remembered.calibration.as_ref().filter(|calibration| target.fits(calibration));
    let learned = learned.and_then(|calibration| calibration.no_such.clone()).unwrap_or_default();
    // Before anyone is called lost they are read by id.
    let is_dated = !memory.remembered.undated;
    let doubtful: Vec<(UserId, &ScimUser)> = doubtful(baseline, &look.users, is_dated).collect();
    let missing: Vec<&ScimId> = bystanders(memory).filter(|id| !look.users.contains_key(id)).collect();
    if let Some(before) = &memory.target {
        // Of bystanders it is enough that they were once read to be gone: no round waits for them.
        for id in &missing {
            look.take_over(before, id);
            look.read_before.remove(*id);
        }
        doubtful.iter().for_each(|(_, record)| look.take_over(before, &record.id));
    }
    for (user, before) in in_turn(&doubtful, rounds.target, |(user, _)| *user) {
        rounds.target = Some(*user);
        // The service's own way of saying "no" counts where the list, read whole in this look, agrees.
        let no_such: &[Signature] = if look.users.contains_key(&before.id) { &[] } else { &learned.users };
        let read = one(target.user(&before.id, no_such).await);
        let stalls = read.unknown().is_some_and(Why::stalls);
        look.read_before.remove(&before.id);
        look.users_by_id.insert(before.id.clone(), read);
        if stalls {
            break;
        }
    }
    let mut unread: Vec<&ScimId> = missing.into_iter().filter(|id| !look.users_by_id.contains_key(id)).collect();
    // Whoever could not be read last time waits for the others.
    let has_failed = |id: &ScimId| memory.target.as_ref().is_some_and(|before| before.users_by_id.contains_key(id));
    unread.sort_by_key(|id| has_failed(id));
    for id in unread.into_iter().take(USERS_PER_TURN) {
        let read = one(target.user(id, &learned.users).await);
        let stalls = read.unknown().is_some_and(Why::stalls);
        look.users_by_id.insert(id.clone(), read);
        if stalls {
            break;
        }
    }
    for id in baseline.groups.values().filter_map(|group| group.scim.as_ref()) {
        if !look.groups.contains_key(id) {
            let group = one(target.group(id, &learned.groups).await);
            look.groups_by_id.insert(id.clone(), group);
        }
    }
    Ok(look)
}

/// An empty list that nothing shows to be whole serves only where it decides about no group: each is asked for by its id then.
async fn groups_at_app(target: &impl Target, memory: &Memory) -> Result<AppList<ScimGroup>, Error> {
    let list = target.groups().await?;
    let all_have_ids =
        || memory.baseline.known().is_some_and(|baseline| baseline.groups.values().all(|group| group.scim.is_some()));
    if list.may_lack && list.records.is_empty() && !all_have_ids() {
        let why = "answers an empty list that nothing shows to be whole, and not each managed group has an id to be asked for by";
        return Err(Error::Malformed { doing: "listing the app's groups".into(), why: why.into() });
    }
    Ok(list)
}

/// Before there is a baseline, a group that shows nobody is held against the app's own: whoever is in that one is in scope by it.
async fn members_at_app(world: &impl World, memory: &Memory, groups: &BTreeMap<GroupId, ObservedGroup>, look: &mut TargetLook) {
    if !memory.baseline.is_absent() {
        return;
    }
    let shows_nobody = |seen: &&ObservedGroup| seen.members.known().is_some_and(|members| members.value.users.is_empty());
    let empty = groups.values().filter(shows_nobody).filter_map(|seen| seen.profile.known());
    let alike: BTreeSet<ScimId> =
        empty.flat_map(|profile| look.groups_like(profile.id, &profile.display_name)).map(|group| group.id.clone()).collect();
    for id in alike {
        let members = listed(world.target().group_members(&id).await);
        look.group_members.insert(id, members);
    }
}

/// One record that can't be read is not known, and makes nothing else so.
pub(super) fn one<T>(read: Result<Observed<T>, Error>) -> Observed<T> {
    match read {
        Ok(seen) => seen,
        Err(error) => Observed::Unknown(Why::new(error.label(), error.to_string())),
    }
}

/// As many as one turn asks for, from behind the last one of the turn before on, and round.
pub(super) fn in_turn<T, K: Ord>(all: &[T], last: Option<K>, key: impl Fn(&T) -> K) -> impl Iterator<Item = &T> {
    let first = last.map_or(0, |last| all.partition_point(|one| key(one) <= last));
    all[first..].iter().chain(&all[..first]).take(USERS_PER_TURN)
}

fn doubtful<'a, 'u>(
    baseline: &'a Baseline,
    users: &'u BTreeMap<ScimId, ScimUser>,
    is_dated: bool,
) -> impl Iterator<Item = (UserId, &'a ScimUser)> + use<'a, 'u> {
    let records = baseline.users.iter().filter_map(|(id, user)| Some((*id, user.target.record()?)));
    let is_worse = move |now: &ScimUser, before: &ScimUser| {
        now.is_inactive_since(before) || now.is_silent_since(before) || (is_dated && now.is_another_than(before))
    };
    records.filter(move |(_, before)| users.get(&before.id).is_none_or(|now| is_worse(now, before)))
}

/// Records that were there before anything was taken away; nobody's until then.
pub(super) fn bystanders(memory: &Memory) -> impl Iterator<Item = &ScimId> {
    let has_taken = memory.has_taken();
    memory.remembered.bystanders.iter().filter(move |_| has_taken)
}
