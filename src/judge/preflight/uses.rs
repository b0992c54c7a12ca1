//! What else makes members of the groups, or hangs on them: whom a lasting assignment would give too much, who loses a way, and
//! what was not looked at.

use super::findings::Findings;
use crate::judge::facts::Facts;
use crate::judge::pim;
use crate::model::id::{GroupId, UserId};
use crate::model::observed::Why;
use crate::model::snapshot::{GroupProfile, ObservedGroup, OptionalLook};
use crate::model::spec::{Acknowledgement, EmptyGroups, MembersDecision};
use crate::model::words::{count, some_of, some_users};

pub(super) fn found(facts: &Facts, found: &mut Findings) {
    not_looked(facts, found);
    let assigned = facts.seen.groups.iter().filter(|(id, _)| facts.is_on(**id));
    for (id, seen) in assigned {
        unread(facts, *id, seen, found);
        for_a_while(facts, *id, seen, found);
        on_call(facts, *id, seen, found);
        if let Some(profile) = seen.profile.known() {
            kind(facts, *id, seen, profile, found);
        }
    }
}

fn not_looked(facts: &Facts, found: &mut Findings) {
    let is_not_looked = |why: Option<&Why>| why.is_some_and(Why::is_not_looked);
    let classified = || facts.seen.groups.values().filter(|group| group.uses.is_known());
    if classified().next().is_some() && is_not_looked(facts.seen.policies.unknown()) {
        found.notes.push(
            "whether Conditional Access policies name a managed group was not read: the credential has no Policy.Read.All".into(),
        );
    }
    let mut governed = classified().filter(|group| group.profile.known().is_some_and(GroupProfile::may_be_lent));
    let asks = [
        (
            OptionalLook::Activations,
            "who is a member of a managed group for a while only, by an activation or an assignment that ends,",
        ),
        (OptionalLook::Eligibilities, "who may become a member of a managed group for a while"),
    ];
    if let Some(group) = governed.next() {
        for ((look, what), why) in asks.into_iter().zip([group.lent.unknown(), group.eligible.unknown()]) {
            if is_not_looked(why) {
                found.notes.push(format!(
                    "{what} was not read (Privileged Identity Management): the credential has no {}",
                    look.permissions()[0]
                ));
            }
        }
    }
}

/// Before the baseline: where what else hangs on the group decides what becomes of its members, and could not be read.
fn unread(facts: &Facts, id: GroupId, seen: &ObservedGroup, found: &mut Findings) {
    if facts.recorded().is_some() || facts.decision(id).is_some() || facts.spec.groups.empty_groups != EmptyGroups::WhenExclusive
    {
        return;
    }
    let name = facts.group_name(id);
    if let Some(why) = seen.uses.failed() {
        found.unknowns.push(format!("what else uses group {name} could not be read: {why}"));
    }
    if let Some(why) = facts.seen.policies.failed() {
        found.unknowns.push(format!("whether Conditional Access names group {name} could not be read: {why}"));
    }
}

/// Told before anybody gets an assignment that lasts; once there is a baseline, step 1 asks for each of them by name.
fn for_a_while(facts: &Facts, id: GroupId, seen: &ObservedGroup, found: &mut Findings) {
    let begun = facts.recorded().is_some();
    let passing = pim::gaining(facts, id, seen);
    if !passing.is_empty() {
        let told = format!(
            "group {}: {} in it for a while only (Privileged Identity Management), and assignments of their own would last: {}",
            facts.group_name(id),
            some_users(passing.len(), "is", "are"),
            pim::told(facts, &passing)
        );
        if facts.acknowledges(Acknowledgement::TemporaryMembers) {
            found.notes.push(format!("{told}; that they may is the operator's word (TemporaryMembers)"));
        } else if !begun {
            found.refusals.push(format!("{told}; {}", pim::REMEDY));
        }
    }
    let acknowledged = facts.acknowledges(Acknowledgement::TemporaryMembers);
    if let Some(why) = seen.lent.failed().filter(|_| !begun && !acknowledged) {
        found.unknowns.push(format!(
            "who is in group {} for a while only could not be read: {why}; where the tenant has no Privileged Identity Management, take {} from the \
             application",
            facts.group_name(id),
            OptionalLook::Activations.permissions()[0]
        ));
    }
}

/// Who comes into the group when they activate it loses that way into provisioning with the group, unless they have another.
fn on_call(facts: &Facts, id: GroupId, seen: &ObservedGroup, found: &mut Findings) {
    let is_member = |user: UserId| {
        let groups = facts.seen.groups.values();
        groups.filter_map(|group| group.members.known()).any(|look| look.value.users.contains(&user))
    };
    let has_row = |user: UserId| facts.rows().is_some_and(|rows| rows.of_user(user).next().is_some());
    let eligible = seen.eligible.known().into_iter().flatten().copied();
    let waiting: Vec<UserId> = eligible.filter(|user| !is_member(*user) && !has_row(*user)).collect();
    if !waiting.is_empty() {
        found.notes.push(format!(
            "group {}: {} become a member for a while (Privileged Identity Management) and is none now; that way into provisioning ends with the group's \
             assignment: assign those who are to keep it: {}",
            facts.group_name(id),
            if waiting.len() == 1 { "1 user may".to_owned() } else { format!("each of {} users may", waiting.len()) },
            some_of(waiting.into_iter().map(|user| facts.user_name(user)))
        ));
    }
}

fn kind(facts: &Facts, id: GroupId, seen: &ObservedGroup, profile: &GroupProfile, found: &mut Findings) {
    let members = seen.members.known().map_or_else(|| "its members".to_owned(), |look| count(look.value.users.len(), "user"));
    let stale = [
        (profile.rule_by_groups, "takes them from other groups (memberOf), which Entra no longer keeps up to date everywhere"),
        (profile.rule_paused, "is paused"),
    ];
    for (_, why) in stale.into_iter().filter(|(is, _)| profile.dynamic && *is) {
        found.notes.push(format!(
            "group {}: {members} in it may be out of date, as the rule for its members {why}; see that it holds whom it should before they get assignments of \
             their own",
            facts.group_name(id)
        ));
    }
    if profile.converted && facts.decision(id) != Some(MembersDecision::Keep) {
        found.notes.push(format!(
            "group {} was synchronized from an on-premises directory and is mastered in Entra now: if it is written back there, emptying it takes {members} out \
             of it there too; where that must not be, set members: Keep for it",
            facts.group_name(id)
        ));
    }
}
