//! A worker's `/status`, as far as the resource tells it: small, and without users.

use serde::Deserialize;

use super::resource::{App, Condition, ConditionStatus, Cycle, Group, Held, KIND, Plan, RetirementStatus};
use crate::model::condition::{ConditionKind, Truth};
use crate::model::status::{Phase, Status};

/// Groups that are listed by name.
const GROUPS: usize = 50;
const HOLDS: usize = 10;
/// Of one text (bytes): conditions, holds and groups together stay below 32 KiB.
const TEXT: usize = 800;

#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub name: String,
    pub tenant: Option<String>,
    /// The part of the resource's status that the worker knows.
    pub status: RetirementStatus,
    pub phase: Phase,
    pub has_baseline: bool,
    /// Something was taken away, and it is not over.
    pub is_in_the_middle: bool,
    pub users_lost: Option<u64>,
}

#[derive(Deserialize)]
struct Document {
    kind: String,
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
struct Spec {
    entra: Entra,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entra {
    tenant_id: Option<String>,
}

pub fn told(document: &[u8]) -> Result<Told, String> {
    let read = serde_json::from_slice::<Document>(document);
    let document = read.map_err(|error| format!("what it sends is no status of unscim ({error}); is another program there?"))?;
    if document.kind != KIND {
        return Err(format!("what it sends is a {:?} and no {KIND}; is another program there?", short(&document.kind)));
    }
    let Document { metadata, spec, status, .. } = document;
    let taken = status
        .timeline
        .writes
        .iter()
        .any(|burst| burst.count > 0 && ["RemoveMember", "UnassignGroup"].contains(&burst.action.as_str()));
    Ok(Told {
        name: metadata.name,
        tenant: spec.entra.tenant_id,
        phase: status.phase,
        has_baseline: status.is_true(ConditionKind::BaselineRecorded),
        is_in_the_middle: taken && !status.is_true(ConditionKind::Ready),
        users_lost: status.progress.users_lost,
        status: summary(&status),
    })
}

fn summary(status: &Status) -> RetirementStatus {
    let progress = &status.progress;
    let of = |part: Option<u64>, all: Option<u64>| Some(format!("{}/{}", part?, all?));
    let time = |time: Option<jiff::Timestamp>| time.map(|time| format!("{time:.0}"));
    let listed = status.groups.iter().take(GROUPS);
    RetirementStatus {
        phase: Some(status.phase.as_str().to_owned()),
        conditions: status.conditions.iter().map(condition).collect(),
        users: of(progress.users_kept, progress.users_protected),
        users_lost: progress.users_lost.map(|n| n.to_string()),
        groups: of(progress.groups_off(), progress.groups),
        group_list: listed
            .map(|group| Group { id: group.id.to_string(), name: short(&group.name), state: group.state.as_str().to_owned() })
            .collect(),
        groups_not_listed: status.groups.len().checked_sub(GROUPS).filter(|n| *n > 0).map(|n| n as u64),
        held: status.held.iter().take(HOLDS).map(|held| Held { by: short(&held.brake), message: short(&held.message) }).collect(),
        remaining: Some(status.remaining.left()),
        earliest_finish: time(status.remaining.earliest_finish),
        cycle: Some(Cycle {
            last_ended: time(status.cycle.last_ended),
            last_state: status.cycle.last_state.as_deref().map(short),
            expected_by: time(status.cycle.expected_by),
        }),
        app: status.app.as_ref().map(|app| App { service_principal_id: app.id.to_string(), name: short(&app.name) }),
        plan: plan(status),
        observed_generation: None,
        worker: None,
    }
}

fn plan(status: &Status) -> Option<Plan> {
    let left = &status.remaining;
    Some(Plan {
        digest: status.decisions.clone()?,
        writes: left.assignments? + left.member_removals? + left.unassignments?,
        cycles: left.cycles,
        decisions_needed: status.groups.iter().filter(|group| group.state == crate::model::status::GroupState::Refused).count()
            as u64,
    })
}

fn condition(condition: &crate::model::condition::Condition) -> Condition {
    Condition {
        kind: condition.kind.as_str().to_owned(),
        status: match condition.status {
            Truth::True => ConditionStatus::True,
            Truth::False => ConditionStatus::False,
            Truth::Unknown => ConditionStatus::Unknown,
        },
        reason: condition.reason.as_str().to_owned(),
        message: short(&condition.message),
        last_transition_time: condition.last_transition_time,
        observed_generation: None,
    }
}

/// As much of a text as has room.
pub fn short(text: &str) -> String {
    if text.len() <= TEXT {
        return text.to_owned();
    }
    let end = (0..=TEXT - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
