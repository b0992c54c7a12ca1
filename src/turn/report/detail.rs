//! What a status tells of single groups and of the last writes.

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::judge::group_plan::GroupPlan;
use crate::judge::roadmap::by_name;
use crate::judge::steps::empty::{self, Progress};
use crate::judge::{group_plan, kept};
use crate::model::id::GroupId;
use crate::model::status::{GroupState, GroupStatus, JournalEntry, LastKnown, Status, WriteOutcome};
use crate::model::write_record::{LastOutcome, WriteRecord};

/// The managed groups, by name; before there is a baseline, the listed ones that are assigned.
pub(super) fn groups(facts: &Facts, before: Option<&Status>) -> Vec<GroupStatus> {
    let last = before.map(|before| before.groups.as_slice()).unwrap_or_default();
    let at = before.and_then(|before| before.last_attempt).unwrap_or(facts.now);
    if let Some(why) = facts.seen.assignments.unknown().filter(|_| facts.memory.baseline.is_absent()) {
        let unknown = |last: &GroupStatus| GroupStatus { state: GroupState::Unknown, why: Some(why.to_string()), ..last.clone() };
        return last.iter().map(|last| remembering(unknown(last), Some(last), at)).collect();
    }
    let remaining = remaining(facts);
    let ids: Vec<GroupId> = match facts.baseline() {
        Some(baseline) => baseline.groups.keys().copied().collect(),
        None => facts.wished_groups().into_iter().filter(|group| facts.is_on(*group)).collect(),
    };
    let last = |id: GroupId| last.iter().find(|last| last.id == id);
    let group = |id| remembering(group(facts, id, remaining.as_deref()), last(id), at);
    let mut groups: Vec<_> = ids.into_iter().map(group).collect();
    groups.sort_by_key(|group| (group.name.to_lowercase(), group.id));
    groups
}

/// Managed groups that the target still has; `None` where that is not known.
fn remaining(facts: &Facts) -> Option<Vec<GroupId>> {
    if facts.memory.remembered.cycle_proof.is_some() {
        return Some(Vec::new());
    }
    kept::groups_remaining(facts, facts.memory.target.as_ref()?).ok()
}

fn group(facts: &Facts, id: GroupId, remaining: Option<&[GroupId]>) -> GroupStatus {
    let known = facts.baseline().and_then(|baseline| baseline.groups.get(&id)).map(|group| &group.display_name);
    let profile = facts.profile(id).map(|profile| &profile.display_name);
    let members = facts.members(id).map(|look| look.value.users.len() as u64);
    let (state, why) = state(facts, id, remaining);
    let name = known.or(profile).cloned().unwrap_or_else(|| id.to_string());
    let members_seen_at = members.map(|_| facts.now);
    let assigned_again = facts.memory.remembered.assigned_again.contains(&id);
    let by_others = (assigned_again && facts.is_on(id)).then(|| "assigned again by somebody else".to_owned());
    let why = Some([by_others, why].into_iter().flatten().collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty());
    GroupStatus { id, name, state, members, members_seen_at, last_known: None, assigned_again, why }
}

/// Where it is not known now, with what the status before, of `at`, knew of it.
fn remembering(now: GroupStatus, last: Option<&GroupStatus>, at: Timestamp) -> GroupStatus {
    let Some(last) = last.filter(|_| now.state == GroupState::Unknown) else { return now };
    let known = if last.state == GroupState::Unknown { last.last_known } else { Some(LastKnown { state: last.state, at }) };
    let (members, members_seen_at) = match now.members_seen_at {
        Some(_) => (now.members, now.members_seen_at),
        None => (last.members, last.members_seen_at),
    };
    GroupStatus { members, members_seen_at, last_known: known, ..now }
}

fn state(facts: &Facts, id: GroupId, remaining: Option<&[GroupId]>) -> (GroupState, Option<String>) {
    if let Some(why) = facts.seen.assignments.unknown() {
        return (GroupState::Unknown, Some(why.to_string()));
    }
    if facts.is_off(id) {
        let gone = remaining.is_some_and(|remaining| !remaining.contains(&id));
        return (if gone { GroupState::Gone } else { GroupState::Unassigned }, None);
    }
    let progress = facts.baseline().map(|_| empty::progress(facts, id));
    let waits = match &progress {
        Some(Progress::Wait(_, on)) => Some(format!("waits for {on}")),
        _ => None,
    };
    match group_plan::plan_for(facts, id) {
        GroupPlan::Keep => (GroupState::MembersKept, waits),
        GroupPlan::Empty | GroupPlan::Nothing => match facts.members(id) {
            Some(look) if look.value.users.is_empty() => (GroupState::Empty, waits),
            Some(_) => (GroupState::ToBeEmptied, waits),
            None => (GroupState::Unknown, waits),
        },
        GroupPlan::Undecided(why) => (GroupState::Refused, Some(why)),
        GroupPlan::Unknown(why) => (GroupState::Unknown, Some(why)),
    }
}

pub(super) fn journal(facts: &Facts, writes: &[WriteRecord]) -> Vec<JournalEntry> {
    let entry = |write: &WriteRecord| JournalEntry {
        line: write.line,
        at: write.at,
        action: write.action.kind().into(),
        message: by_name(facts, &write.action),
        outcome: match write.ending.as_ref().map(|ending| (ending.outcome, ending.already)) {
            Some((LastOutcome::Done, Some(true))) => WriteOutcome::AlreadySo,
            Some((LastOutcome::Done, _)) => WriteOutcome::Done,
            Some((LastOutcome::Failed, _)) => WriteOutcome::Failed,
            Some((LastOutcome::Open, _)) | None => WriteOutcome::Unknown,
        },
        why: write.ending.as_ref().and_then(|ending| ending.text.clone()),
    };
    writes.iter().map(entry).collect()
}
