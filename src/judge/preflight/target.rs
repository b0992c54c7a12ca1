//! Whether the app can be read, and tells who is who there.

use std::collections::BTreeSet;

use super::findings::Findings;
use super::token;
use crate::judge::baseline::{match_group, matching};
use crate::judge::facts::Facts;
use crate::model::id::{GroupId, UserId};
use crate::model::observed::{Observed, Why};
use crate::model::snapshot::TokenState;
use crate::model::spec::{Acknowledgement, MatchBy, Mode, Profile};
use crate::model::words::{count, part, some_of};

pub(super) fn check(facts: &Facts, found: &mut Findings) {
    let remembered = &facts.memory.remembered;
    if facts.spec.mode == Mode::Enforce
        && facts.spec.target.profile == Profile::Uniqkey
        && !facts.acknowledges(Acknowledgement::TargetGroupContent)
    {
        found.refusals.push(
            "credentials saved into a Uniqkey group may go with it; move them, then set groups.acknowledge: [TargetGroupContent]"
                .into(),
        );
    }
    if remembered.revocations_void > 0 && remembered.revocation_proof.is_none() {
        found.notes.push(
            "steps 4 and 5 are open again, though the deletion of the token was asked for before: a managed group came back, the token answers again, or it was rolled back"
                .into(),
        );
    }
    token::end(facts, found);
    if remembered.cycle_proof.is_some() {
        return;
    }
    if let TokenState::Refused(status) = facts.seen.target.token {
        found.refusals.push(token::refused(facts, status));
        return;
    }
    if let (None, Some(why)) = (&facts.memory.target, facts.seen.target.look.unknown()) {
        unread(facts, why, found).push(format!("the target can't be read: {why}"));
    }
    if remembered.calibration.is_none() {
        match &facts.seen.calibration {
            Some(Observed::Unknown(why)) => {
                unread(facts, why, found).push(format!("the revocation probe can't be calibrated: {why}"))
            }
            Some(Observed::Absent) => {
                found.refusals.push("the revocation probe can't be calibrated: the service has no such path".into())
            }
            Some(Observed::Known(_)) => {}
            None if facts.memory.target.is_some() => found.unknowns.push("the revocation probe is not calibrated yet".into()),
            None => {}
        }
    }
    silence(facts, found);
    groups(facts, found);
    records(facts, found);
}

/// A service that was not reached, or is over its rate, has refused nothing: the next look asks again. Nor has one that could be read
/// when it began, whatever it says to a new process.
fn unread<'f>(facts: &Facts, why: &Why, found: &'f mut Findings) -> &'f mut Vec<String> {
    if why.stalls() || facts.recorded().is_some() { &mut found.unknowns } else { &mut found.refusals }
}

/// What the app leaves out, so that nobody can see it change.
fn silence(facts: &Facts, found: &mut Findings) {
    let Some(look) = &facts.memory.target else { return };
    if !look.users.is_empty() && look.users.values().all(|record| record.active.is_none()) {
        found.notes.push(
            "the app does not say of anybody whether they are active: that somebody is deactivated there can't be seen unless it begins to say so".into(),
        );
    }
    if facts.memory.remembered.undated {
        found.notes.push(
            "the app gives other times of creation (meta.created) with every answer: a record that is made anew under the same id is seen only while it is \
             gone".into(),
        );
    }
}

/// Managed groups by their records at the app: those that lack one, and whether it will be seen that they are gone.
fn groups(facts: &Facts, found: &mut Findings) {
    let Some(look) = &facts.memory.target else { return };
    let name = |id: &GroupId| facts.profile(*id).map(|profile| profile.display_name.as_str());
    let managed: Vec<GroupId> = facts.wished_groups().into_iter().filter(|id| facts.is_on(*id)).collect();
    let (there, missing): (Vec<GroupId>, Vec<GroupId>) = managed
        .into_iter()
        .filter(|id| name(id).is_some())
        .partition(|id| match_group(look, *id, name(id).unwrap_or_default()).is_some());
    // Before its first cycle none has one.
    if !missing.is_empty() && facts.job().is_some_and(|job| job.last.is_some()) {
        found.notes.push(format!(
            "the app has no record, or more than one, of {}: {}: cycles may fail for them, which holds this up; see the provisioning log before it begins",
            part(missing.len(), there.len() + missing.len(), "managed group"),
            some_of(missing.iter().map(|id| facts.group_name(*id)))
        ));
    }
    let learned = facts.memory.remembered.calibration.as_ref().and_then(|calibration| calibration.no_such.as_ref());
    if there.is_empty() || learned.is_none_or(|learned| !learned.groups.is_empty()) {
        return;
    }
    let what = "the app does not say of a group that nobody has that it is not there (RFC 7644 section 3.12 asks for a 404)";
    if facts.acknowledges(Acknowledgement::GroupsByListOnly) {
        found.notes.push(format!("{what}; that its list lacks a group is enough (GroupsByListOnly)"));
    } else {
        found.refusals.push(format!(
            "{what}, so that step 4 could not be verified at the end; have the vendor fix GET /Groups/{{id}}, or, to go by its list of groups alone, set \
             groups.acknowledge: [GroupsByListOnly]"
        ));
    }
}

/// Before the first baseline: records at the target that leave open who is who. Later it is their ids that count.
fn records(facts: &Facts, found: &mut Findings) {
    if facts.recorded().is_some() {
        return;
    }
    let Some(look) = &facts.memory.target else { return };
    let nameless: Vec<_> = look.users.values().filter(|record| record.user_name.is_none()).map(|record| &record.id).collect();
    if facts.spec.target.match_by == MatchBy::UserName && !nameless.is_empty() {
        found.refusals.push(format!(
            "{} at the target without a userName ({}): nobody can be matched with it; fix the record in the app",
            count(nameless.len(), "user"),
            some_of(nameless)
        ));
    }
    let members = facts.wished_groups().into_iter().filter_map(|id| facts.seen.groups.get(&id)?.members.known());
    let direct = facts.rows().filter(|_| facts.is_already_direct()).into_iter().flat_map(|rows| rows.users());
    let members = members.flat_map(|look| look.value.users.iter().copied()).chain(direct.map(|(user, _)| user));
    for user in
        members.collect::<BTreeSet<UserId>>().into_iter().filter_map(|id| facts.seen.users.get(&id).and_then(Observed::known))
    {
        let records = matching(facts, user);
        if records.len() > 1 {
            found.refusals.push(format!(
                "{} records at the target match {} ({}); leave one of them, so that it can be told who is kept",
                records.len(),
                facts.user_name(user.id),
                some_of(records.iter().map(|record| &record.id))
            ));
        }
    }
}
