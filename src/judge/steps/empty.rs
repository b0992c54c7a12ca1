//! Step 2: the managed groups have no user members left, where emptying them harms nobody else.

use std::collections::BTreeSet;

use crate::judge::{Facts, Ground, LOOKS, Reach, Step, Verdict, count, some_of, steps::cycle, waves};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::id::GroupId;
use crate::model::key::{Key, Kin};
use crate::model::memory::Uses;
use crate::model::seen::Why;
use crate::model::snapshot::{GroupProfile, GroupSeen, GroupUses};
use crate::model::spec::{Acknowledgement, EmptyGroups, MembersDecision, Rollout};

pub const STEP: Step = Step {
    number: 2,
    title: "Remove the users from the groups",
    condition: ConditionKind::GroupsEmptied,
    judge,
    reach: Reach::EachGroup,
};

/// What is to become of a group's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    Empty,
    /// The operator said so for this group.
    Keep,
    /// It has no user members, so nothing needs to be decided.
    Nothing,
    /// Only a person can decide; why, and what to write.
    Undecided(String),
    /// Not known well enough to say.
    Unknown(String),
}

/// How far step 2 is for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Emptied and carried out, or not to be emptied.
    Done,
    /// [`removals`] has them.
    Remove,
    Wait(Reason, String),
    Refused(String),
}

/// Why Graph can't edit the members of such a group (facts/entra.md section 3.2).
pub fn uneditable(profile: &GroupProfile) -> Option<&'static str> {
    if profile.dynamic {
        Some("its membership is ruled by a dynamic rule")
    } else if profile.synced {
        Some("it is synchronized from an on-premises directory")
    } else if profile.mail_enabled && !profile.unified {
        Some("it is mail-enabled and mastered by Exchange")
    } else if profile.management_restricted {
        Some("it is in a restricted-management administrative unit")
    } else {
        None
    }
}

/// Everything else that is known to hang on the group, by this look or by one before it; empty where nothing is.
pub fn other_uses(facts: &Facts, profile: &GroupProfile, uses: &GroupUses) -> Vec<String> {
    let known = facts.memory.remembered.uses.get(&profile.id);
    let with = |seen: &[String], known: Option<&Uses>| -> BTreeSet<String> {
        seen.iter().chain(known.into_iter().flat_map(Uses::keys)).cloned().collect()
    };
    let mut found = Vec::new();
    if profile.unified {
        found.push(if profile.team { "it is a Team" } else { "it is a Microsoft 365 group" }.to_owned());
    }
    if profile.licensed {
        found.push("licences are assigned through it".to_owned());
    }
    if profile.role_assignable {
        found.push("directory roles can be assigned to it".to_owned());
    }
    let apps = with(&uses.other_apps, known.map(|known| &known.apps));
    if !apps.is_empty() {
        found.push(format!("it is assigned to other applications: {}", some_of(&apps)));
    }
    let parents = with(&uses.member_of, known.map(|known| &known.parents));
    if !parents.is_empty() {
        found.push(format!("it is itself a member of: {}", some_of(&parents)));
    }
    if profile.converted {
        found.push(
            "it was synchronized from an on-premises directory and is mastered in Entra now: where Entra writes it back, emptying it empties it there too"
                .to_owned(),
        );
    }
    let seen = facts.seen.groups.get(&profile.id);
    let governed = |who: Option<Vec<String>>, known: Option<&Uses>| with(&who.unwrap_or_default(), known).len();
    let lent = governed(seen.and_then(lent_of), known.map(|known| &known.lent));
    let eligible = governed(seen.and_then(eligible_of), known.map(|known| &known.eligible));
    if lent + eligible > 0 {
        found.push(format!(
            "Privileged Identity Management governs it: {} a member for a while, {} become one",
            some_people(lent, "is", "are"),
            some_people(eligible, "may", "may")
        ));
    }
    let policies = with(&policies_of(facts, profile.id).unwrap_or_default(), known.map(|known| &known.policies));
    if !policies.is_empty() {
        found.push(format!("Conditional Access policies name it: {}", some_of(policies)));
    }
    found
}

fn some_people(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 user {one}") } else { format!("{n} users {many}") }
}

/// Ids of those whose membership ends by itself; `None` where that was not read.
pub fn lent_of(seen: &GroupSeen) -> Option<Vec<String>> {
    seen.lent.known().map(|lent| lent.keys().map(ToString::to_string).collect())
}

/// Ids of those who may become members for a while; `None` where that was not read.
pub fn eligible_of(seen: &GroupSeen) -> Option<Vec<String>> {
    seen.eligible.known().map(|eligible| eligible.iter().map(ToString::to_string).collect())
}

/// The Conditional Access policies that name it; `None` where they were not read.
pub fn policies_of(facts: &Facts, group: GroupId) -> Option<Vec<String>> {
    let naming = facts.seen.policies.known()?.iter().filter(|policy| policy.groups.contains(&group));
    Some(naming.map(|policy| format!("{:?}", policy.display_name)).collect())
}

/// From how many users emptying the group takes what hangs on it.
pub fn taken_from(members: usize) -> String {
    format!("emptying it takes that from {}", count(members, "user"))
}

/// What is to become of this group's members, from the spec and what the group is.
pub fn plan_for(facts: &Facts, group: GroupId) -> Plan {
    let Some(seen) = facts.seen.groups.get(&group) else { return Plan::Unknown("it was not read".into()) };
    let Some(profile) = seen.profile.known() else {
        let why = seen.profile.unknown().map_or("Graph has no such group".to_owned(), ToString::to_string);
        return Plan::Unknown(format!("what kind of group it is could not be read: {why}"));
    };
    let name = facts.group_name(group);
    match facts.decision(group) {
        Some(MembersDecision::Keep) => return Plan::Keep,
        Some(MembersDecision::Remove) => {
            return match uneditable(profile) {
                None => Plan::Empty,
                Some(why) => Plan::Undecided(format!(
                    "group {name} can't be emptied through Graph, {why}; set members: Keep for it to go with its members"
                )),
            };
        }
        None => {}
    }
    let Some(members) = seen.members.known() else { return Plan::Unknown("its members could not be read".into()) };
    let members = members.value.users.len();
    if members == 0 {
        return Plan::Nothing;
    }
    if let Some(why) = uneditable(profile) {
        return Plan::Undecided(format!(
            "group {name} can't be emptied through Graph, {why}; set members: Keep for it to go with its members"
        ));
    }
    match facts.spec.groups.empty_groups {
        EmptyGroups::Always => Plan::Empty,
        EmptyGroups::Never => Plan::Undecided(format!(
            "group {name} has members and emptyGroups is Never; set members: Keep for it to go with its members"
        )),
        EmptyGroups::WhenExclusive => {
            let Some(uses) = seen.uses.known() else {
                let why = seen.uses.unknown().map_or_else(String::new, |why| format!(": {why}"));
                return Plan::Unknown(format!("what else uses it could not be read{why}"));
            };
            let found = other_uses(facts, profile, uses);
            if !found.is_empty() {
                return Plan::Undecided(format!(
                    "group {name} serves something else, {}; {}; set members: Remove or members: Keep for it",
                    found.join("; "),
                    taken_from(members)
                ));
            }
            // Not being allowed to look is what `UndiscoverableUses` speaks of; a look that failed is not.
            if let Some(why) = facts.seen.policies.unknown().filter(|why| !why.is_not_looked()) {
                return Plan::Unknown(format!("whether Conditional Access names it could not be read: {why}"));
            }
            let of_its_own = [seen.lent.unknown(), seen.eligible.unknown()].into_iter().flatten();
            if let Some(why) = of_its_own.into_iter().find(|why| !why.is_not_looked()) {
                return Plan::Unknown(format!("whether Privileged Identity Management governs it could not be read: {why}"));
            }
            if !facts.spec.groups.acknowledge.contains(&Acknowledgement::UndiscoverableUses) {
                return Plan::Undecided(format!(
                    "group {name} shows no other use, but some can't be ruled out, as they are not looked for: {}; set acknowledge: [UndiscoverableUses], \
                     or members: Remove or members: Keep for it",
                    unsought(facts, seen)
                ));
            }
            Plan::Empty
        }
    }
}

/// What the group may serve without our seeing it.
fn unsought(facts: &Facts, seen: &GroupSeen) -> String {
    let not_looked = |why: Option<&Why>| why.is_some_and(Why::is_not_looked);
    let mut unsought = vec!["Azure roles, Intune, SharePoint, access packages"];
    if not_looked(facts.seen.policies.unknown()) {
        unsought.push("Conditional Access");
    }
    if not_looked(seen.lent.unknown()) || not_looked(seen.eligible.unknown()) {
        unsought.push("Privileged Identity Management");
    }
    unsought.join(", ")
}

/// Step 2 for one group that is still assigned.
pub fn progress(facts: &Facts, group: GroupId) -> Progress {
    let name = facts.group_name(group);
    let plan = plan_for(facts, group);
    if facts.is_token_rejected() {
        // No engine runs any more: a group that is re-used is unassigned, never emptied.
        return Progress::Done;
    }
    let Some(members) = facts.seen.groups.get(&group).and_then(|seen| seen.members.known()) else {
        return Progress::Wait(Reason::GroupReadFailed, format!("a complete list of the members of {name}"));
    };
    match plan {
        Plan::Keep => return Progress::Done,
        Plan::Unknown(why) => return Progress::Wait(Reason::GroupReadFailed, format!("group {name}: {why}")),
        Plan::Undecided(why) => return Progress::Refused(why),
        Plan::Empty | Plan::Nothing => {}
    }
    if !members.value.users.is_empty() {
        if !facts.is_group_settled(group) {
            return Progress::Wait(Reason::Blocked, format!("step 1 for everybody in {name}"));
        }
        return if removals(facts, group).next().is_none() {
            Progress::Wait(
                Reason::AwaitingReplication,
                format!("removals that Graph confirmed to show up in the members of {name}"),
            )
        } else {
            Progress::Remove
        };
    }
    let believed =
        facts.memory.remembered.empty.get(&group).is_some_and(|streak| streak.is_believed(LOOKS, facts.spec.timing.settle));
    if !believed {
        return Progress::Wait(Reason::ReadingAgain, format!("{LOOKS} agreeing complete looks that show {name} empty"));
    }
    match facts.last_confirmed(Kin::MembersOf(group)) {
        Some(removed) if facts.good_cycles_after(removed).len() < facts.spec.provisioning.settle_cycles as usize => {
            Progress::Wait(
                Reason::AwaitingEmptyCycle,
                format!("a good cycle that began after the last removal from {name}{}", cycle::doubt(facts)),
            )
        }
        Some(_) | None => Progress::Done,
    }
}

/// Everybody whom this turn's look shows in the group, but for those whose removal was confirmed so lately that it may not show yet.
fn removals(facts: &Facts, group: GroupId) -> impl Iterator<Item = Action> {
    let members = facts.seen.groups.get(&group).and_then(|seen| seen.members.known());
    let users = members.into_iter().flat_map(|look| look.value.users.iter().copied());
    users.filter(move |user| !facts.is_fresh(&Key::Member(group, *user))).map(move |user| Action::RemoveMember { group, user })
}

/// Some group of this wave that is assigned has members that are to go one by one, now or later: the canary is one of them.
pub fn has_members_to_remove(facts: &Facts) -> bool {
    waves::open(facts).into_iter().any(|group| {
        let members = facts.seen.groups.get(&group).and_then(|seen| seen.members.known());
        facts.is_on(group)
            && match plan_for(facts, group) {
                Plan::Empty => members.is_some_and(|look| !look.value.users.is_empty()),
                Plan::Unknown(_) => true,
                Plan::Keep | Plan::Nothing | Plan::Undecided(_) => false,
            }
    })
}

/// The first act of a run that concerns a user is a small one, followed by a good cycle and a look at the target.
pub enum Canary {
    /// Nothing was taken away yet: only the smallest piece may go.
    First,
    /// It went; what it did is not proven yet.
    Running(String),
    Passed,
}

pub fn canary(facts: &Facts) -> Canary {
    if facts.spec.rollout == Rollout::AllAtOnce || facts.is_token_rejected() {
        return Canary::Passed;
    }
    // The end of a group in which nobody is protected shows nothing about users.
    let concerning = |key: &Key| match key {
        Key::Member(group, _) | Key::Unassign(group, _) => facts.users_of(*group).len() > 0,
        _ => false,
    };
    let taken = || {
        let taken = [Kin::Members, Kin::Unassigns].into_iter().flat_map(|kin| facts.memory.journal.of(kin));
        taken.filter(|(key, _)| concerning(key))
    };
    let Some(first) = facts.first_confirmed(taken()) else {
        let open = taken().any(|(_, entry)| entry.confirmed == 0 && entry.is_open());
        return if open { Canary::Running("the outcome of the first removal".into()) } else { Canary::First };
    };
    let Some(cycle) = facts.good_cycles_after(first).first().copied() else {
        return Canary::Running(format!("a good cycle that began after the first removal{}", cycle::doubt(facts)));
    };
    match &facts.memory.target {
        Some(look) if look.turn >= cycle.turn => Canary::Passed,
        _ => Canary::Running("a look at the target after that cycle".into()),
    }
}

fn judge(facts: &Ground) -> Verdict {
    let (mut leaving, mut refused, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    let open = waves::open(facts);
    for group in facts.baseline.groups.keys().filter(|group| facts.rows.has(**group)) {
        match progress(facts, *group) {
            Progress::Done => {}
            Progress::Remove if !open.contains(group) => {
                waits.push((Reason::AwaitingWave, waves::later(facts).unwrap_or_else(|| facts.group_name(*group))));
            }
            Progress::Remove => leaving.push(*group),
            Progress::Wait(reason, on) => waits.push((reason, on)),
            Progress::Refused(why) => refused.push(why),
        }
    }
    if !leaving.is_empty() {
        let removals_of = |group: &GroupId| removals(facts, *group);
        let mut actions: Vec<Action> = Vec::new();
        let all = leaving.iter().map(|group| removals_of(group).count()).sum::<usize>();
        match canary(facts) {
            Canary::Running(on) if refused.is_empty() => return Verdict::Wait { reason: Reason::CanaryRunning, on },
            // A decision is asked for all the while, or it would be missed for as long as the canary takes.
            Canary::Running(on) => {
                let why = format!("waits for {on}");
                return Verdict::Act { reason: Reason::CanaryRunning, why, actions: Vec::new(), refused };
            }
            Canary::First => {
                let smallest = leaving.iter().min_by_key(|group| removals_of(group).count());
                actions.extend(smallest.and_then(|group| removals_of(group).next()));
            }
            Canary::Passed => {
                actions.reserve_exact(all);
                actions.extend(leaving.iter().flat_map(removals_of));
            }
        }
        return Verdict::Act {
            reason: Reason::MembersRemain,
            why: format!("{} to remove, {} in this turn", count(all, "membership"), actions.len()),
            actions,
            refused,
        };
    }
    if !refused.is_empty() {
        return Verdict::Refuse { reason: Reason::DecisionNeeded, why: refused };
    }
    // What the open wave waits for is why the later ones do.
    waits.sort_by_key(|(reason, _)| *reason == Reason::AwaitingWave);
    match waits.into_iter().next() {
        Some((reason, on)) => Verdict::Wait { reason, on },
        None => Verdict::Met { reason: Reason::AllEmptied, why: "no group that is to be emptied has a user left".into() },
    }
}
