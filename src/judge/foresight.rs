//! What Entra's engine would do at the target after each step: the model of the engine is asked before a write is made.

use std::collections::{BTreeMap, BTreeSet};

use crate::judge::facts::{Cover, Facts, Person};
use crate::judge::group_plan::{GroupPlan, plan_for};
use crate::model::baseline::{Baseline, ManagedGroup};
use crate::model::engine::{
    Attributes, Flow, Leaving, Linked, LinkedGroup, LinkedUser, Reach, ScimCall, Scope, SourceGroup, SourceUser, plan_cycle,
};
use crate::model::id::{GroupId, ScimId, UserId};
use crate::model::key::Key;
use crate::model::memory::DepartureKind;
use crate::model::snapshot::Mapping;

/// The state after one step, and the calls that a cycle would then make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub after: &'static str,
    pub calls: Vec<ScimCall>,
}

/// The stage before any step of ours.
pub const NOW: &str = "what is so now";

/// One stage for now, and one for each of steps 1 to 3; empty where there is nothing to go by.
pub fn foresee(facts: &Facts) -> Vec<Stage> {
    // Who reads it would take a guess at what the app has for a look.
    if facts.memory.target.is_none() {
        return Vec::new();
    }
    stages(facts, &facts.people().iter().collect::<Vec<_>>())
}

/// As far as it is about these, who are in the order of their ids.
fn stages(facts: &Facts, people: &[&Person]) -> Vec<Stage> {
    let Some(baseline) = facts.baseline().filter(|_| facts.seen.assignments.is_known() && !facts.is_token_rejected()) else {
        return Vec::new();
    };
    let mut scope = scope(facts, baseline, people);
    let mut linked = linked(facts, baseline, people);
    let mut stages = Vec::new();
    let mut stage = |after, scope: &Scope| {
        let calls = plan_cycle(scope, &linked);
        carry_out(&calls, &mut linked);
        stages.push(Stage { after, calls });
    };
    stage(NOW, &scope);
    scope.assigned_users.extend(people.iter().filter(|person| gets_rows(facts, person)).map(|person| person.id));
    stage("step 1", &scope);
    for (id, group) in &mut scope.groups {
        if plan_for(facts, *id) == GroupPlan::Empty {
            group.members.clear();
        }
    }
    stage("step 2", &scope);
    scope.assigned_groups.clear();
    stage("step 3", &scope);
    stages
}

/// Protected users whom a step of ours would change at the target, and how; in the order of their ids.
///
/// The engine judges each user alone and knows no group from another of its kind, so it is asked once for each
/// situation that users are in, and what becomes of one becomes of all who share it.
pub fn harm(facts: &Facts) -> Vec<(UserId, String)> {
    let kinds = kinds_of_groups(facts);
    let situations = || {
        let not_released = facts.people().iter().zip(&kinds).filter(|(person, _)| !facts.is_released(person.id));
        not_released.map(|(person, groups)| (situation(facts, person, *groups), person))
    };
    let mut one_in_each: BTreeMap<Situation, &Person> = BTreeMap::new();
    for (situation, person) in situations() {
        one_in_each.entry(situation).or_insert(person);
    }
    let of_one: BTreeMap<UserId, &Situation> = one_in_each.iter().map(|(situation, person)| (person.id, situation)).collect();
    let mut ones: Vec<&Person> = one_in_each.values().copied().collect();
    ones.sort_by_key(|person| person.id);
    let mut harmed: BTreeMap<&Situation, Vec<String>> = BTreeMap::new();
    for stage in stages(facts, &ones).iter().filter(|stage| stage.after != NOW) {
        for (user, what) in stage.calls.iter().filter_map(change) {
            if let Some(situation) = of_one.get(&user) {
                harmed.entry(situation).or_default().push(format!("{what} after {}", stage.after));
            }
        }
    }
    if harmed.is_empty() {
        return Vec::new();
    }
    let each = |(situation, person): (Situation, &Person)| {
        let harm = harmed.get(&situation).map(Vec::as_slice).unwrap_or_default();
        harm.iter().map(|what| (person.id, what.clone())).collect::<Vec<_>>()
    };
    situations().flat_map(each).collect()
}

/// What a call makes of a record that is there.
fn change(call: &ScimCall) -> Option<(UserId, &'static str)> {
    match call {
        ScimCall::DisableUser { user, .. } => Some((*user, "made inactive")),
        ScimCall::EnableUser { user } => Some((*user, "made active")),
        ScimCall::UpdateUser { user, .. } => Some((*user, "changed")),
        ScimCall::CreateUser { .. }
        | ScimCall::CreateGroup { .. }
        | ScimCall::UpdateGroup { .. }
        | ScimCall::AddMembers { .. }
        | ScimCall::RemoveMembers { .. }
        | ScimCall::DeleteGroup { .. } => None,
    }
}

/// All of a user that the engine goes by, in any stage.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Situation {
    source: (bool, bool),
    is_assigned: bool,
    will_be_assigned: bool,
    is_active: Option<bool>,
    groups: u8,
}

fn situation(facts: &Facts, person: &Person, groups: u8) -> Situation {
    let source = source(facts, person);
    Situation {
        source: (source.enabled, source.deleted),
        is_assigned: person.has_row(),
        will_be_assigned: gets_rows(facts, person),
        is_active: is_active(person),
        groups,
    }
}

/// Of which kinds the groups are that each of the people is a member of, a bit for each: assigned or not, to be emptied or not.
fn kinds_of_groups(facts: &Facts) -> Vec<u8> {
    let mut kinds = vec![0; facts.people().len()];
    for group in facts.baseline().into_iter().flat_map(|baseline| baseline.groups.keys()) {
        let kind = match (facts.is_on(*group), matches!(plan_for(facts, *group), GroupPlan::Empty)) {
            (false, false) => 1,
            (false, true) => 2,
            (true, false) => 4,
            (true, true) => 8,
        };
        for place in members(facts, *group).filter_map(|user| facts.place_in(*group, user)) {
            kinds[place] |= kind;
        }
    }
    kinds
}

/// Members of the group; where they could not be read, whom we ever saw in it.
fn members<'f>(facts: &'f Facts, group: GroupId) -> Box<dyn Iterator<Item = UserId> + 'f> {
    match facts.members(group) {
        Some(look) => Box::new(look.value.users.iter().copied()),
        None => Box::new(facts.users_of(group).map(|person| person.id)),
    }
}

fn gets_rows(facts: &Facts, person: &Person) -> bool {
    matches!(person.cover, Cover::Missing(_)) && !facts.is_released(person.id)
}

fn source(facts: &Facts, person: &Person) -> SourceUser {
    let enabled = person.enabled.unwrap_or(true);
    let departed = facts.memory.remembered.departed.get(&person.id);
    let deleted = departed.is_some_and(|departure| departure.kind == DepartureKind::Deleted);
    SourceUser { enabled, deleted, passes_filter: true, attributes: Attributes::new() }
}

/// Whether the record is active, as last seen; `None` where there was none at the baseline.
fn is_active(person: &Person) -> Option<bool> {
    let before = person.user.target.record()?;
    Some(person.record.unwrap_or(before).active.unwrap_or(false))
}

/// The scope as the tenant shows it, as far as it is about these users and managed groups.
fn scope(facts: &Facts, baseline: &Baseline, people: &[&Person]) -> Scope {
    let is_one = |id: &UserId| people.binary_search_by_key(id, |person| person.id).is_ok();
    let group = |id: &GroupId| {
        let members = members(facts, *id).filter(is_one).collect();
        (*id, SourceGroup { security_enabled: true, members, attributes: Attributes::new() })
    };
    let (settings, schema) = (facts.seen.settings.known(), facts.seen.schema.known());
    let flow = |mapping: Option<&Mapping>| match mapping {
        Some(mapping) => Flow { enabled: mapping.enabled, delete: mapping.deletes, ..Flow::default() },
        None => Flow::default(),
    };
    let everyone = settings.and_then(|settings| settings.sync_all) == Some(true);
    let leaves = settings.and_then(|settings| settings.skip_out_of_scope_deletions) == Some(true);
    Scope {
        reach: if everyone { Reach::Everyone } else { Reach::AssignedOnly },
        users: people.iter().map(|person| (person.id, source(facts, person))).collect(),
        groups: baseline.groups.keys().map(group).collect(),
        assigned_users: people.iter().filter(|person| person.has_row()).map(|person| person.id).collect(),
        assigned_groups: baseline.groups.keys().filter(|group| facts.is_on(**group)).copied().collect(),
        user_flow: flow(schema.and_then(|schema| schema.user.as_ref())),
        group_flow: flow(schema.and_then(|schema| schema.group.as_ref())),
        leaving: if leaves { Leaving::LeaveAlone } else { Leaving::Deprovision },
    }
}

/// Every managed group, and who of these was ever seen in it.
fn ever_in(baseline: &Baseline, people: &[&Person]) -> BTreeMap<GroupId, BTreeSet<UserId>> {
    let mut groups: BTreeMap<_, BTreeSet<_>> = baseline.groups.keys().map(|group| (*group, BTreeSet::new())).collect();
    for person in people {
        for group in &person.user.groups {
            if let Some(members) = groups.get_mut(group) {
                members.insert(person.id);
            }
        }
    }
    groups
}

/// What the engine has made of it so far, by the records that were matched at the baseline.
fn linked(facts: &Facts, baseline: &Baseline, people: &[&Person]) -> Linked {
    let mut ever_in = ever_in(baseline, people);
    let look = facts.memory.target.as_ref();
    let user = |person: &&Person| {
        let (id, active) = (person.user.target.record()?.id.clone(), is_active(person)?);
        Some((person.id, LinkedUser { id, active, attributes: Attributes::new() }))
    };
    let users: BTreeMap<_, _> = people.iter().filter_map(user).collect();
    // After a rollback the engine has made it anew, under another id.
    let made_anew = |id: GroupId, name: &str| {
        let mut like = look.into_iter().flat_map(|look| look.groups_like(id, name));
        like.next().filter(|_| like.next().is_none()).map(|group| &group.id)
    };
    let group = |(id, group): (&GroupId, &ManagedGroup)| {
        let scim = group.scim.as_ref().filter(|scim| look.is_none_or(|look| look.groups.contains_key(scim)));
        let scim = scim.or_else(|| made_anew(*id, &group.display_name))?;
        let mut members = ever_in.remove(id).unwrap_or_default();
        members.retain(|user| users.contains_key(user) && !is_taken_out(facts, *id, *user));
        Some((*id, LinkedGroup { id: scim.clone(), members, attributes: Attributes::new() }))
    };
    Linked { groups: baseline.groups.iter().filter_map(group).collect(), users }
}

/// We took them out of it, and a good cycle has begun since: the engine has carried it out.
fn is_taken_out(facts: &Facts, group: GroupId, user: UserId) -> bool {
    let key = Key::Member(group, user);
    let confirmed = facts.written(&key).and_then(|entry| facts.memory.dated(&key, entry.last_confirmed()));
    confirmed.is_some_and(|at| !facts.good_cycles_after(at).is_empty()) && !facts.is_seen_in(user, group)
}

/// So that the next stage shows only what is new.
fn carry_out(calls: &[ScimCall], linked: &mut Linked) {
    for call in calls {
        match call {
            ScimCall::CreateUser { user, attributes } => {
                let id = ScimId::from(format!("to be created for {user}"));
                linked.users.insert(*user, LinkedUser { id, active: true, attributes: attributes.clone() });
            }
            ScimCall::EnableUser { user } => set_active(linked, *user, true),
            ScimCall::DisableUser { user, .. } => set_active(linked, *user, false),
            ScimCall::CreateGroup { group, attributes } => {
                let id = ScimId::from(format!("to be created for {group}"));
                let made = LinkedGroup { id, members: BTreeSet::new(), attributes: attributes.clone() };
                linked.groups.insert(*group, made);
            }
            ScimCall::AddMembers { group, users } => {
                if let Some(group) = linked.groups.get_mut(group) {
                    group.members.extend(users);
                }
            }
            ScimCall::RemoveMembers { group, users } => {
                if let Some(group) = linked.groups.get_mut(group) {
                    group.members.retain(|user| !users.contains(user));
                }
            }
            ScimCall::DeleteGroup { group } => _ = linked.groups.remove(group),
            // Attributes are not modelled here: nothing of ours changes them.
            ScimCall::UpdateUser { .. } | ScimCall::UpdateGroup { .. } => {}
        }
    }
}

fn set_active(linked: &mut Linked, user: UserId, active: bool) {
    if let Some(user) = linked.users.get_mut(&user) {
        user.active = active;
    }
}
