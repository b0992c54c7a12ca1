//! A worker's `/status`, as far as the resource tells it: small, and without users.

use serde::Deserialize;

use super::resource::{App, Condition, ConditionStatus, Cycle, Group, Held, KIND, Plan, RetirementStatus};
use crate::model::condition::{ConditionKind, Truth};
use crate::model::status::{Phase, Status};

/// Groups that are listed by name.
const GROUPS: usize = 50;
const HOLDS: usize = 10;
/// Of one text (bytes): conditions, holds and groups together stay below 32 KiB.
const TEXT: usize = 500;
const NAME: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub name: String,
    pub tenant: Option<String>,
    /// The part of the resource's status that the worker knows. As text it takes half the room.
    pub(super) status: Box<str>,
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

impl Told {
    pub fn status(&self) -> RetirementStatus {
        serde_json::from_str(&self.status).expect("it was written by us")
    }
}

pub fn told(bytes: &[u8]) -> Result<Told, String> {
    let read = serde_json::from_slice::<Document>(bytes);
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
        status: text(&summary(status), bytes.len())?,
    })
}

/// Some dozen of these are made in each second: with room for all of it at once.
fn text(status: &RetirementStatus, room: usize) -> Result<Box<str>, String> {
    let mut text = Vec::with_capacity(room);
    serde_json::to_writer(&mut text, status).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(text).map_err(|error| error.to_string())?.into())
}

fn summary(status: Status) -> RetirementStatus {
    let plan = plan(&status);
    let progress = &status.progress;
    let of = |part: Option<u64>, all: Option<u64>| Some(format!("{}/{}", part?, all?));
    let time = |time: Option<jiff::Timestamp>| time.map(|time| format!("{time:.0}"));
    let groups_not_listed = status.groups.len().checked_sub(GROUPS).filter(|n| *n > 0).map(|n| n as u64);
    let listed = status.groups.into_iter().take(GROUPS);
    RetirementStatus {
        phase: Some(status.phase.as_str().to_owned()),
        conditions: status.conditions.into_iter().map(condition).collect(),
        users: of(progress.users_kept, progress.users_protected),
        users_lost: progress.users_lost.map(|n| n.to_string()),
        groups: of(progress.groups_off(), progress.groups),
        group_list: listed
            .map(|group| Group { id: group.id.to_string(), name: cut(group.name, NAME), state: group.state.as_str().to_owned() })
            .collect(),
        groups_not_listed,
        held: status
            .held
            .into_iter()
            .take(HOLDS)
            .map(|held| Held { by: short(held.brake), message: short(held.message) })
            .collect(),
        remaining: Some(status.remaining.left()),
        earliest_finish: time(status.remaining.earliest_finish),
        cycle: Some(Cycle {
            last_ended: time(status.cycle.last_ended),
            last_state: status.cycle.last_state.map(short),
            expected_by: time(status.cycle.expected_by),
        }),
        app: status.app.map(|app| App { service_principal_id: app.id.to_string(), name: short(app.name) }),
        plan,
        ledger: status.ledger,
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

fn condition(condition: crate::model::condition::Condition) -> Condition {
    Condition {
        kind: condition.kind.as_str().to_owned(),
        status: match condition.status {
            Truth::True => ConditionStatus::True,
            Truth::False => ConditionStatus::False,
            Truth::Unknown => ConditionStatus::Unknown,
        },
        reason: condition.reason.as_str().to_owned(),
        message: short(condition.message),
        last_transition_time: condition.last_transition_time,
        observed_generation: None,
    }
}

/// As much of a text as has room.
pub fn short(text: impl Into<String>) -> String {
    cut(text.into(), TEXT)
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::status::{GroupState, GroupStatus};

    fn document() -> Value {
        let condition = |kind: &str, status: &str, reason: &str| json!({ "type": kind, "status": status, "reason": reason, "message": "…", "lastTransitionTime": "2026-11-29T10:00:00Z" });
        json!({
            "apiVersion": "unscim.dev/v1alpha1", "kind": "ScimRetirement", "metadata": { "name": "uniqkey" },
            "spec": { "entra": { "tenantId": "11111111-1111-1111-1111-111111111111" } },
            "status": {
                "phase": "EmptyingGroups", "turn": 7, "pending": [], "notes": [], "cycle": {}, "gauges": {},
                "lastAttempt": null, "lastSuccess": null, "held": [{ "brake": "window", "message": "closed" }],
                "conditions": [condition("BaselineRecorded", "True", "Recorded"), condition("Ready", "False", "InProgress")],
                "progress": { "usersProtected": 40, "usersKept": 39, "usersLost": 1, "groups": 5, "groupsAssigned": 3 },
                "remaining": { "assignments": 1, "memberRemovals": 2, "unassignments": 3, "cycles": 4, "writing": null, "outlook": "Held" },
                "decisions": "sha256:00",
                "timeline": { "writes": [{ "action": "RemoveMember", "count": 1, "from": "2026-11-29T10:00:00Z", "to": "2026-11-29T10:00:00Z" }] },
            },
        })
    }

    fn read(document: &Value) -> Result<Told, String> {
        told(document.to_string().as_bytes())
    }

    #[test]
    fn a_status_is_told_in_short() {
        let told = read(&document()).unwrap();
        let status = told.status();
        assert_eq!(
            (status.users.as_deref(), status.groups.as_deref(), status.users_lost.as_deref()),
            (Some("39/40"), Some("2/5"), Some("1"))
        );
        assert_eq!(status.plan, Some(Plan { digest: "sha256:00".into(), writes: 6, cycles: Some(4), decisions_needed: 0 }));
        assert!(told.has_baseline && told.is_in_the_middle && told.users_lost == Some(1));
        let mut over = document();
        over["status"]["conditions"][1]["status"] = "True".into();
        assert!(!read(&over).unwrap().is_in_the_middle);
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let mut unread = document();
        unread["status"]["progress"] = json!({});
        unread["status"]["remaining"] = json!({});
        let status = read(&unread).unwrap().status();
        assert_eq!((status.users, status.groups, status.users_lost, status.plan), (None, None, None, None));
    }

    #[test]
    fn whatever_is_no_status_is_told_as_that() {
        let mut another = document();
        another["kind"] = "Deployment".into();
        let mut without = document();
        without["status"].as_object_mut().unwrap().remove("phase");
        for garbage in [another.to_string(), without.to_string(), "<html>".into(), "{}".into(), "[]".into(), String::new()] {
            let why = told(garbage.as_bytes()).unwrap_err();
            assert!(why.contains("is another program there?"), "{garbage}: {why}");
        }
    }

    #[test]
    fn it_stays_small_whatever_the_tenant_is() {
        let mut status: Status = serde_json::from_value(document()["status"].clone()).unwrap();
        let long = "ü".repeat(20_000);
        let group = GroupStatus {
            id: crate::model::id::GroupId(uuid::Uuid::nil()),
            name: "g".repeat(256),
            state: GroupState::Refused,
            members: None,
            members_seen_at: None,
            last_known: None,
            why: None,
        };
        status.groups = vec![group; 3000];
        status.held = vec![crate::model::status::Held { brake: "window".into(), message: long.clone(), seen_at: None }; 500];
        status.conditions = vec![status.conditions[0].clone(); 14];
        status.conditions.iter_mut().for_each(|condition| condition.message.clone_from(&long));
        let told = summary(status);
        assert_eq!((told.group_list.len(), told.groups_not_listed), (GROUPS, Some(2950)));
        let size = serde_json::to_string(&told).unwrap().len();
        assert!(size < 32 << 10, "{size}");
    }
}
