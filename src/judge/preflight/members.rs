//! Whether it is known who would be protected: what the groups show of their members, and what the members show of themselves.

use std::collections::BTreeSet;

use super::findings::Findings;
use crate::judge::baseline;
use crate::judge::facts::Facts;
use crate::judge::steps::cycle;
use crate::model::baseline::{AtTarget, Baseline, Protected};
use crate::model::id::{GroupId, UserId};
use crate::model::observed::{Listed, UNHEARD_OF};
use crate::model::snapshot::{ObservedGroup, Principal};
use crate::model::spec::{Acknowledgement, Mode};
use crate::model::words::{count, part, some_of, some_users};

/// What lets a retirement begin where the guide's first steps were done before.
pub(super) const ALREADY_DIRECT: &str = "set groups.acknowledge: [AlreadyDirect]: whoever is assigned directly now is watched then, and the rest of the guide is done";

const HIDDEN: &str = "Member.Read.Hidden";
/// Fewer direct assignments than this tell of no earlier run.
const EARLIER: usize = 3;

/// Before the baseline: everybody who would be protected is known, and so is their record.
pub(super) fn known(facts: &Facts, found: &mut Findings) {
    let assigned = facts.wished_groups().into_iter().filter(|group| facts.is_on(*group));
    let security_enabled = |group: &GroupId| facts.profile(*group).map(|profile| profile.security_enabled);
    let (mut unread, mut empty) = (false, Vec::new());
    for group in assigned.filter(|group| security_enabled(group) == Some(true)) {
        let Some(seen) = facts.seen.groups.get(&group) else { continue };
        for (what, why) in [("the members", seen.members.failed()), ("the properties of the members", seen.properties.failed())] {
            if let Some(why) = why {
                // Reading again tells nothing of a kind that is not known here.
                let list = if why.kind == UNHEARD_OF { &mut found.refusals } else { &mut found.unknowns };
                list.push(format!("{what} of group {} could not be read: {why}", facts.group_name(group)));
                unread = true;
            }
        }
        // The app may say otherwise, and an empty list is what a hidden, a lagging and a filtered one look like.
        if seen.members.known().is_some_and(|look| look.value.users.is_empty()) && !hides(facts, seen) {
            empty.push(group);
        }
    }
    empty.iter().for_each(|group| shows_nobody(facts, *group, found));
    // Before its first cycle nobody has a record.
    let has_run = facts.job().is_some_and(|job| job.last.is_some());
    if unread || facts.memory.target.is_none() || !has_run {
        return;
    }
    match baseline::here(facts) {
        Ok(baseline) => {
            let missing = |(id, user): &(&UserId, &Protected)| {
                user.target == AtTarget::NoRecord && !user.disabled && !facts.is_released(**id)
            };
            let uncounted = baseline.users.iter().filter(missing).map(|(id, _)| *id).collect();
            found.refusals.extend(cycle::uncounted(facts, baseline.users.len(), &uncounted));
            found.notes.extend(unexplained(facts, baseline).filter(|_| !empty.is_empty()));
            found.refusals.extend(earlier(facts, baseline));
            found.refusals.extend(nobody(facts, baseline));
        }
        Err(why) if found.unknowns.is_empty() => found.unknowns.push(why.clone()),
        Err(_) => {}
    }
}

/// Held against the app's own group, and then against the operator's word.
fn shows_nobody(facts: &Facts, group: GroupId, found: &mut Findings) {
    let name = facts.group_name(group);
    match (at_app(facts, group), facts.decision(group)) {
        (Err(why), _) => found
            .unknowns
            .push(format!("group {name} shows no user among its members, and the app's own group could not be read: {why}")),
        (Ok(Some(members)), _) if members > 0 => found.refusals.push(format!(
            "group {name} shows no user among its members, and the app's own group has {}: whoever they are is in scope by it, and not known here; \
             where it was emptied just now, it goes on after the next cycle, else find out why its members are not shown, or take it off groups.list",
            count(members as usize, "member")
        )),
        (Ok(Some(_)), _) if facts.is_already_direct() => {}
        (Ok(_), None) => found.refusals.push(format!(
            "group {name} shows no user among its members, which is no proof that it brings nobody into scope; look at it in the portal and in the app, and \
             where it is really empty set members: Remove (or Keep) for it, else find out why its members are not shown"
        )),
        (Ok(_), Some(decision)) => found.notes.push(format!(
            "group {name} shows no user among its members; that it brings nobody into scope is the operator's word (members: {decision:?})"
        )),
    }
}

/// Where a group shows nobody: records at the app of people who would not be protected. They may be in scope by what it does not show.
fn unexplained(facts: &Facts, baseline: &Baseline) -> Option<String> {
    let direct: BTreeSet<UserId> = facts.rows().into_iter().flat_map(|rows| rows.users()).map(|(user, _)| user).collect();
    let ours: BTreeSet<_> = baseline.users.values().filter_map(|user| user.target.record()).map(|record| &record.id).collect();
    let look = facts.memory.target.as_ref()?;
    let others = look.users.values().filter(|record| record.active != Some(false) && !ours.contains(&record.id)).count();
    (others > direct.len()).then(|| {
        format!(
            "the app has {} of people who would not be protected, of whom {} may be explained by direct assignments: see that nobody of the others is in a \
             group that shows no member",
            count(others, "active record"),
            direct.len()
        )
    })
}

/// How many members the app's own group has; `None` where it does not say, or there is no such group.
fn at_app(facts: &Facts, group: GroupId) -> Result<Option<u64>, String> {
    let Some(look) = facts.memory.target.as_ref() else { return Err("the app was not read yet".into()) };
    let Some(profile) = facts.profile(group) else { return Ok(None) };
    let (mut most, mut all_tell) = (None, true);
    for own in look.groups_like(group, &profile.display_name) {
        match look.group_members.get(&own.id) {
            Some(Listed::Known(members)) => {
                most = most.max(*members);
                all_tell &= members.is_some();
            }
            Some(Listed::Unknown(why)) => return Err(why.to_string()),
            // The app is read less often than the directory, and the group has lost its members since.
            None => return Err("it was not asked for when the app was last read; the next read asks".into()),
        }
    }
    Ok(most.filter(|members| all_tell || *members > 0))
}

/// It hides its members from this token.
fn hides(facts: &Facts, seen: &ObservedGroup) -> bool {
    let shown = facts.seen.permissions.known().is_none_or(|held| held.has_directory_role() || held.roles.contains(HIDDEN));
    seen.profile.known().is_some_and(|profile| profile.hidden) && !shown
}

/// Before the first baseline: most of those who would be protected hold their roles themselves already, as a run leaves it whose
/// ledger knew who they were.
fn earlier(facts: &Facts, baseline: &Baseline) -> Option<String> {
    let acknowledged = facts.acknowledges(Acknowledgement::EarlierAssignments) || facts.is_already_direct();
    let rows = facts.rows().filter(|_| facts.spec.mode == Mode::Enforce && !acknowledged)?;
    let holds = |(id, user): &(&UserId, &Protected)| {
        baseline.roles_of(user).into_iter().all(|role| rows.of_user(**id).any(|(held, _)| held == facts.own_role(role)))
    };
    let direct = baseline.users.iter().filter(holds).count();
    (direct >= EARLIER && direct * 2 >= baseline.users.len()).then(|| {
        format!(
            "{} hold their roles themselves already, as an earlier run leaves it: if its ledger was lost with its volume, restore it, for it alone knows who \
             was protected; if they were assigned by hand, set groups.acknowledge: [EarlierAssignments]",
            part(direct, baseline.users.len(), "member")
        )
    })
}

/// No group brings anybody into scope, and somebody is: the groups were emptied before.
fn nobody(facts: &Facts, baseline: &Baseline) -> Option<String> {
    let direct = facts.rows().map_or(0, |rows| rows.users().map(|(user, _)| user).collect::<BTreeSet<_>>().len());
    (baseline.users.is_empty() && !baseline.groups.is_empty() && direct > 0).then(|| {
        format!(
            "no group has a member, and {} assigned directly: nobody would be watched; if the groups were emptied before, by hand or by a run whose ledger \
             is lost, {ALREADY_DIRECT}",
            some_users(direct, "is", "are")
        )
    })
}

/// Groups whose list of members can't be taken for what it shows, at any time.
pub(super) fn shown(facts: &Facts, found: &mut Findings) {
    for (group, seen) in &facts.seen.groups {
        let name = || facts.group_name(*group);
        if hides(facts, seen) {
            found.refusals.push(format!(
                "group {} hides its members (visibility HiddenMembership), and Graph shows an empty list of them to a token without {HIDDEN}: who is in it is \
                 not known; grant the permission with admin consent, or take the group off groups.list",
                name()
            ));
        }
        if let Some(kind) = seen.members.known().and_then(|look| look.value.unheard_of().next()) {
            found.refusals.push(format!(
                "group {} has members of a kind that is not known here ({kind}): whether Entra provisions them can't be told; take them out of the group by \
                 hand, or use a newer unscim",
                name()
            ));
        }
    }
    let unheard = facts.rows().into_iter().flat_map(|rows| rows.all());
    let unheard: Vec<_> =
        unheard.filter_map(|row| if let Principal::Unheard(id) = row.principal { Some(id) } else { None }).collect();
    if !unheard.is_empty() {
        found.refusals.push(format!(
            "{} of the app of a kind of principal that is not known here, for {}: whom they bring into scope can't be told; look at them in the portal, and \
             use a newer unscim",
            count(unheard.len(), "assignment"),
            some_of(unheard)
        ));
    }
}
