//! A worker's `/status`, as far as the resource tells it: small, and without users.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use jiff::Timestamp;
use serde::Deserialize;

use super::resource::{self, App, ConditionStatus, Group, KIND, Plan, RetirementStatus};
use crate::model::condition::{ConditionKind, Reason, Truth};
use crate::model::extent::Extent;
use crate::model::id::{GroupId, ServicePrincipalId};
use crate::model::status::{GroupState, Phase, Remaining};

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
    pub(super) mark: u64,
}

impl Told {
    pub fn status(&self) -> RetirementStatus {
        serde_json::from_str(&self.status).expect("it was written by us")
    }
}

/// What is looked at in a worker's document. Most of it is passed over, and no text is copied before it is known to be new: some
/// dozen documents come in each second, and nearly all of them say what the last one said.
#[derive(Deserialize, Hash)]
pub struct Word<'a> {
    kind: Cow<'a, str>,
    #[serde(borrow)]
    metadata: Metadata<'a>,
    spec: Spec,
    #[serde(borrow)]
    status: Status<'a>,
}

#[derive(Deserialize, Hash)]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize, Hash)]
struct Spec {
    entra: Entra,
}

#[derive(Deserialize, Hash)]
#[serde(rename_all = "camelCase")]
struct Entra {
    tenant_id: Option<String>,
}

#[derive(Deserialize, Hash)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    phase: Phase,
    #[serde(borrow)]
    conditions: Vec<Condition<'a>>,
    progress: Progress,
    #[serde(default)]
    remaining: Remaining,
    #[serde(borrow)]
    held: Vec<Held<'a>>,
    cycle: Cycle,
    #[serde(borrow, default)]
    groups: Vec<GroupWord<'a>>,
    #[serde(default)]
    decisions: Option<String>,
    #[serde(default)]
    ledger: Option<Extent>,
    #[serde(borrow, default)]
    app: Option<AppWord<'a>>,
    #[serde(borrow, default)]
    timeline: Timeline<'a>,
}

#[derive(Deserialize, Hash)]
#[serde(rename_all = "camelCase")]
struct Condition<'a> {
    #[serde(rename = "type")]
    kind: ConditionKind,
    status: Truth,
    reason: Reason,
    #[serde(borrow)]
    message: Cow<'a, str>,
    last_transition_time: Timestamp,
}

#[derive(Default, Deserialize, Hash)]
#[serde(rename_all = "camelCase", default)]
struct Progress {
    users_protected: Option<u64>,
    users_kept: Option<u64>,
    users_lost: Option<u64>,
    groups: Option<u64>,
    groups_assigned: Option<u64>,
}

#[derive(Deserialize, Hash)]
struct Held<'a> {
    #[serde(borrow)]
    brake: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[derive(Deserialize, Hash)]
#[serde(rename_all = "camelCase")]
struct Cycle {
    last_ended: Option<Timestamp>,
    last_state: Option<String>,
    expected_by: Option<Timestamp>,
}

#[derive(Deserialize, Hash)]
struct GroupWord<'a> {
    id: GroupId,
    #[serde(borrow)]
    name: Cow<'a, str>,
    state: GroupState,
}

#[derive(Deserialize, Hash)]
struct AppWord<'a> {
    id: ServicePrincipalId,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize, Hash)]
#[serde(default)]
struct Timeline<'a> {
    #[serde(borrow)]
    writes: Vec<Burst<'a>>,
}

#[derive(Deserialize, Hash)]
struct Burst<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    count: u64,
}

pub fn word(bytes: &[u8]) -> Result<Word<'_>, String> {
    let read = serde_json::from_slice::<Word>(bytes);
    let word = read.map_err(|error| format!("what it sends is no status of unscim ({error}); is another program there?"))?;
    if word.kind != KIND {
        return Err(format!("what it sends is a {:?} and no {KIND}; is another program there?", short(word.kind)));
    }
    Ok(word)
}

impl Word<'_> {
    /// Of two that are the same, nothing that is looked at differs.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    pub fn told(self) -> Result<Told, String> {
        let mark = self.mark();
        let Word { metadata, spec, status, .. } = self;
        let is_true = |kind| status.conditions.iter().any(|condition| condition.kind == kind && condition.status == Truth::True);
        let takes = |burst: &Burst| burst.count > 0 && ["RemoveMember", "UnassignGroup"].contains(&burst.action.as_ref());
        Ok(Told {
            name: metadata.name.into_owned(),
            tenant: spec.entra.tenant_id,
            phase: status.phase,
            has_baseline: is_true(ConditionKind::BaselineRecorded),
            is_in_the_middle: status.timeline.writes.iter().any(takes) && !is_true(ConditionKind::Ready),
            users_lost: status.progress.users_lost,
            status: serde_json::to_string(&summary(status)).map_err(|error| error.to_string())?.into(),
            mark,
        })
    }
}

fn summary(status: Status) -> RetirementStatus {
    let plan = plan(&status);
    let progress = &status.progress;
    let of = |part: Option<u64>, all: Option<u64>| Some(format!("{}/{}", part?, all?));
    let groups_off = progress.groups.zip(progress.groups_assigned).map(|(all, assigned)| all.saturating_sub(assigned));
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.0}"));
    let groups_not_listed = status.groups.len().checked_sub(GROUPS).filter(|n| *n > 0).map(|n| n as u64);
    let group = |group: GroupWord| Group {
        id: group.id.to_string(),
        name: cut(group.name.into_owned(), NAME),
        state: group.state.as_str().to_owned(),
    };
    let held = |held: Held| resource::Held { by: short(held.brake), message: short(held.message) };
    RetirementStatus {
        phase: Some(status.phase.as_str().to_owned()),
        users: of(progress.users_kept, progress.users_protected),
        users_lost: progress.users_lost.map(|n| n.to_string()),
        groups: of(groups_off, progress.groups),
        conditions: status.conditions.into_iter().map(condition).collect(),
        group_list: status.groups.into_iter().take(GROUPS).map(group).collect(),
        groups_not_listed,
        held: status.held.into_iter().take(HOLDS).map(held).collect(),
        remaining: Some(status.remaining.left()),
        earliest_finish: time(status.remaining.earliest_finish),
        cycle: Some(resource::Cycle {
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
        decisions_needed: status.groups.iter().filter(|group| group.state == GroupState::Refused).count() as u64,
    })
}

fn condition(condition: Condition) -> resource::Condition {
    resource::Condition {
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
    use crate::model::status as whole;

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
        word(document.to_string().as_bytes()).and_then(Word::told)
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
            let why = word(garbage.as_bytes()).map(|word| word.mark()).unwrap_err();
            assert!(why.contains("is another program there?"), "{garbage}: {why}");
        }
    }

    #[test]
    fn it_stays_small_whatever_the_tenant_is() {
        let mut large = document();
        let mut status: whole::Status = serde_json::from_value(large["status"].clone()).unwrap();
        let long = "ü".repeat(20_000);
        let group = whole::GroupStatus {
            id: GroupId(uuid::Uuid::nil()),
            name: "g".repeat(256),
            state: GroupState::Refused,
            members: None,
            members_seen_at: None,
            last_known: None,
            assigned_again: false,
            why: None,
        };
        status.groups = vec![group; 3000];
        status.held = vec![whole::Held { brake: "window".into(), message: long.clone(), since: None, seen_at: None }; 500];
        status.conditions = vec![status.conditions[0].clone(); 14];
        status.conditions.iter_mut().for_each(|condition| condition.message.clone_from(&long));
        large["status"] = serde_json::to_value(&status).unwrap();
        let told = read(&large).unwrap();
        assert_eq!((told.status().group_list.len(), told.status().groups_not_listed), (GROUPS, Some(2950)));
        assert!(told.status.len() < 32 << 10, "{}", told.status.len());
    }

    #[test]
    fn whatever_the_resource_tells_makes_another_word_of_it_and_nothing_else_does() {
        let mut full = document();
        let at = "2026-11-29T11:00:00Z";
        full["status"]["cycle"] = json!({ "lastEnded": at, "lastState": "Succeeded", "expectedBy": at, "seenAt": at });
        full["status"]["app"] = json!({ "id": "33333333-3333-4333-8333-333333333333", "appId": null, "name": "Uniqkey" });
        full["status"]["ledger"] = json!({ "baselineTaken": at, "users": 40, "lines": 0 });
        full["status"]["groups"] =
            json!([{ "id": "44444444-4444-4444-8444-444444444444", "name": "Sales", "state": "ToBeEmptied" }]);
        full["status"]["remaining"]["earliestFinish"] = at.into();
        // As a worker writes it.
        let status: whole::Status = serde_json::from_value(full["status"].clone()).unwrap();
        full["status"] = serde_json::to_value(&status).unwrap();
        let first = read(&full).unwrap();
        let (later, other) = ("2026-11-29T12:00:00Z", "55555555-5555-4555-8555-555555555555");
        for (path, new) in [
            ("/metadata/name", json!("another")),
            ("/spec/entra/tenantId", other.into()),
            ("/status/phase", "UnassigningGroups".into()),
            ("/status/conditions/1/status", "True".into()),
            ("/status/conditions/1/message", "…!".into()),
            ("/status/progress/usersKept", 40.into()),
            ("/status/progress/groupsAssigned", 2.into()),
            ("/status/remaining/assignments", 0.into()),
            ("/status/remaining/earliestFinish", later.into()),
            ("/status/held/0/message", "open".into()),
            ("/status/cycle/lastEnded", later.into()),
            ("/status/cycle/lastState", "Failed".into()),
            ("/status/cycle/expectedBy", later.into()),
            ("/status/app/id", other.into()),
            ("/status/ledger/lines", 1.into()),
            ("/status/decisions", "sha256:01".into()),
            ("/status/groups/0/state", "Empty".into()),
            ("/status/groups/0/name", "Store".into()),
            ("/status/timeline/writes/0/count", 0.into()),
        ] {
            let mut changed = full.clone();
            *changed.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = new;
            let told = read(&changed).unwrap();
            assert!(told.mark != first.mark && told != first, "{path}");
        }
        for (path, new) in
            [("/status/turn", json!(8)), ("/status/lastAttempt", later.into()), ("/status/cycle/seenAt", later.into())]
        {
            let mut changed = full.clone();
            *changed.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = new;
            assert_eq!(read(&changed).unwrap(), first, "{path}");
        }
    }
}
