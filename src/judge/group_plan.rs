//! What is to become of a group's members, from the spec, what the group is, and what else hangs on it.

use std::collections::BTreeSet;

use crate::judge::facts::Facts;
use crate::model::id::GroupId;
use crate::model::memory::Uses;
use crate::model::observed::Why;
use crate::model::snapshot::{GroupProfile, GroupUses, ObservedGroup};
use crate::model::spec::{Acknowledgement, EmptyGroups, MembersDecision};
use crate::model::words::{count, some_of, some_users};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupPlan {
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

/// Why Graph can't edit the members of such a group (Microsoft Graph, "Remove member"; Entra, "Restricted management administrative
/// units", "Use groups to manage role assignments").
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
            some_users(lent, "is", "are"),
            some_users(eligible, "may", "may")
        ));
    }
    let policies = with(&policies_of(facts, profile.id).unwrap_or_default(), known.map(|known| &known.policies));
    if !policies.is_empty() {
        found.push(format!("Conditional Access policies name it: {}", some_of(policies)));
    }
    found
}

/// Ids of those whose membership ends by itself; `None` where that was not read.
pub fn lent_of(seen: &ObservedGroup) -> Option<Vec<String>> {
    seen.lent.known().map(|lent| lent.keys().map(ToString::to_string).collect())
}

/// Ids of those who may become members for a while; `None` where that was not read.
pub fn eligible_of(seen: &ObservedGroup) -> Option<Vec<String>> {
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
pub fn plan_for(facts: &Facts, group: GroupId) -> GroupPlan {
    let Some(seen) = facts.seen.groups.get(&group) else { return GroupPlan::Unknown("it was not read".into()) };
    let Some(profile) = seen.profile.known() else {
        let why = seen.profile.unknown().map_or("Graph has no such group".to_owned(), ToString::to_string);
        return GroupPlan::Unknown(format!("what kind of group it is could not be read: {why}"));
    };
    let name = facts.group_name(group);
    let uneditable = uneditable(profile).map(|why| {
        let why = format!("group {name} can't be emptied through Graph, {why}; set members: Keep for it to go with its members");
        GroupPlan::Undecided(why)
    });
    match facts.decision(group) {
        Some(MembersDecision::Keep) => return GroupPlan::Keep,
        Some(MembersDecision::Remove) => return uneditable.unwrap_or(GroupPlan::Empty),
        None => {}
    }
    let Some(members) = seen.members.known() else { return GroupPlan::Unknown("its members could not be read".into()) };
    let members = members.value.users.len();
    if members == 0 {
        return GroupPlan::Nothing;
    }
    if let Some(undecided) = uneditable {
        return undecided;
    }
    match facts.spec.groups.empty_groups {
        EmptyGroups::Always => GroupPlan::Empty,
        EmptyGroups::Never => GroupPlan::Undecided(format!(
            "group {name} has members and emptyGroups is Never; set members: Keep for it to go with its members"
        )),
        EmptyGroups::WhenExclusive => {
            let Some(uses) = seen.uses.known() else {
                let why = seen.uses.unknown().map_or_else(String::new, |why| format!(": {why}"));
                return GroupPlan::Unknown(format!("what else uses it could not be read{why}"));
            };
            let found = other_uses(facts, profile, uses);
            if !found.is_empty() {
                return GroupPlan::Undecided(format!(
                    "group {name} serves something else, {}; {}; set members: Remove or members: Keep for it",
                    found.join("; "),
                    taken_from(members)
                ));
            }
            // Not being allowed to look is what `UndiscoverableUses` speaks of; a look that failed is not.
            if let Some(why) = facts.seen.policies.failed() {
                return GroupPlan::Unknown(format!("whether Conditional Access names it could not be read: {why}"));
            }
            if let Some(why) = seen.lent.failed().or(seen.eligible.failed()) {
                return GroupPlan::Unknown(format!("whether Privileged Identity Management governs it could not be read: {why}"));
            }
            if !facts.acknowledges(Acknowledgement::UndiscoverableUses) {
                return GroupPlan::Undecided(format!(
                    "group {name} shows no other use, but some can't be ruled out, as they are not looked for: {}; set acknowledge: [UndiscoverableUses], \
                     or members: Remove or members: Keep for it",
                    unsought(facts, seen)
                ));
            }
            GroupPlan::Empty
        }
    }
}

/// What the group may serve without our seeing it.
fn unsought(facts: &Facts, seen: &ObservedGroup) -> String {
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
