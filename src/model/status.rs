//! What the world may read of us: `/status`, the page and the metrics are made of this alone.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::condition::{Condition, ConditionKind, Truth, closed_list, labelled};
use crate::model::extent::Extent;
use crate::model::id::{GroupId, ServicePrincipalId};
use crate::model::names::Names;
use crate::model::timeline::Timeline;

closed_list! {
    /// Where the retirement stands.
    Phase {
        Observing, Preflight, AssigningUsers, EmptyingGroups, UnassigningGroups, AwaitingCycle, AwaitingRevocation,
        Retired, Held,
    }
}

labelled! {
    /// A limit over a whole plan.
    Brake {
        Frozen = "frozen",
        Blind = "blind",
        UsersLost = "users-lost",
        Uncovered = "uncovered",
        Foreseen = "foreseen",
        TooMuch = "too-much",
        Shrunk = "shrunk",
        NotApproved = "not-approved",
        Fights = "fights",
        Undone = "undone",
        AnotherAtWork = "another-at-work",
        WriteRefused = "write-refused",
        Window = "window",
        RolledBack = "rolled-back",
        LedgerBehind = "ledger-behind",
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub phase: Phase,
    pub conditions: Vec<Condition>,
    pub progress: Progress,
    #[serde(default)]
    pub remaining: Remaining,
    pub pending: Vec<Pending>,
    pub held: Vec<Held>,
    pub cycle: CycleStatus,
    /// The managed groups, by name.
    #[serde(default)]
    pub groups: Vec<GroupStatus>,
    /// The last writes, oldest first; the ledger has all of them.
    #[serde(default)]
    pub journal: Vec<JournalEntry>,
    /// Things that are so and need no stop: worth an operator's eye.
    pub notes: Vec<String>,
    pub last_attempt: Option<Timestamp>,
    pub last_success: Option<Timestamp>,
    pub turn: u64,
    /// Digest of the decisions, as `unscim plan` prints it. `None` where there is no baseline, not even a provisional one.
    #[serde(default)]
    pub decisions: Option<String>,
    /// How far the ledger goes; `None` where it has no baseline, or can't be read.
    #[serde(default)]
    pub ledger: Option<Extent>,
    /// Whose provisioning it is, as Entra last named it.
    #[serde(default)]
    pub app: Option<AppStatus>,
    #[serde(default)]
    pub timeline: Timeline,
    /// Facts behind the metrics that have no other place.
    pub gauges: Gauges,
}

impl Status {
    pub fn condition(&self, kind: ConditionKind) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Takes names out of every text that others had a hand in. Groups keep theirs.
    pub fn withhold(&mut self, names: Names) {
        let conditions = self.conditions.iter_mut().map(|condition| &mut condition.message);
        let held = self.held.iter_mut().map(|held| &mut held.message);
        let groups = self.groups.iter_mut().filter_map(|group| group.why.as_mut());
        let journal = self.journal.iter_mut().flat_map(|entry| std::iter::once(&mut entry.message).chain(entry.why.as_mut()));
        for text in conditions.chain(held).chain(groups).chain(journal).chain(&mut self.notes) {
            *text = names.of(text);
        }
    }

    pub fn is_true(&self, kind: ConditionKind) -> bool {
        self.condition(kind).is_some_and(|condition| condition.status == Truth::True)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Of its service principal, the enterprise application.
    pub id: ServicePrincipalId,
    pub app_id: Option<Uuid>,
    pub name: String,
}

/// `None` is not known, never 0. What this turn could not read stays as it was last seen, with the time of that by our clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    pub users_protected: Option<u64>,
    /// Protected users who hold every role themselves.
    pub users_assigned: Option<u64>,
    /// User memberships left in managed groups that are to be emptied.
    pub memberships: Option<u64>,
    pub groups: Option<u64>,
    pub groups_assigned: Option<u64>,
    /// Managed groups still at the target.
    pub target_groups: Option<u64>,
    pub users_lost: Option<u64>,
    /// Protected users with a record at the target when they were first seen.
    pub users_counted: Option<u64>,
    /// Of those, the ones read as kept in the last look (or in the proof).
    pub users_kept: Option<u64>,
    /// Protected users without a record at the target: nobody can say that they are kept.
    pub users_not_known: Option<u64>,
    /// When the assignments were read that `usersAssigned` and `groupsAssigned` are from.
    pub assignments_seen_at: Option<Timestamp>,
    /// The same of `memberships`.
    pub memberships_seen_at: Option<Timestamp>,
    /// The same of all that is told of the target. Where it is from the ledger's proof: when that was made, as long as the token may still
    /// answer, and `None` after that.
    pub target_seen_at: Option<Timestamp>,
}

impl Progress {
    /// Managed groups that are off the app.
    pub fn groups_off(&self) -> Option<u64> {
        Some(self.groups?.saturating_sub(self.groups_assigned?))
    }
}

/// A figure as people read it.
pub fn figure(n: Option<u64>) -> String {
    n.map_or_else(|| "not known".into(), |n| n.to_string())
}

closed_list! {
    /// Whether an end is in sight, or why none is.
    #[derive(Default)]
    Outlook {
        /// Something that it hangs on is not known, or does not come by itself.
        #[default]
        NotKnown,
        /// At the earliest then; never a promise.
        InSight,
        /// In `Observe` nothing is written.
        Observing,
        Held,
        AwaitingPerson,
        Retired,
    }
}

/// What is left of the whole way, as far as it is decided. `None` is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Remaining {
    /// Direct assignments to be made.
    pub assignments: Option<u64>,
    /// Users to be taken out of groups.
    pub member_removals: Option<u64>,
    /// Rows of groups to be deleted.
    pub unassignments: Option<u64>,
    /// Good cycles still to wait for.
    pub cycles: Option<u64>,
    /// Seconds of writing, at our share of Graph's quota.
    #[serde(with = "seconds")]
    pub writing: Option<Duration>,
    pub outlook: Outlook,
    /// With nothing in the way and every cycle on time, by the service's clock. `None` unless it is in sight.
    pub earliest_finish: Option<Timestamp>,
}

impl Outlook {
    /// What stands beside the time, or in its place.
    pub fn words(self) -> &'static str {
        match self {
            Outlook::NotKnown => "not known: something that it hangs on could not be read, or does not come by itself",
            Outlook::InSight => "a floor, with every cycle on time and over as soon as it begins; no promise",
            Outlook::Observing => "none: nothing is written in Observe",
            Outlook::Held => "none while it is held",
            Outlook::AwaitingPerson => "it waits for a person, who deletes the token",
            Outlook::Retired => "it is over",
        }
    }
}

impl Remaining {
    /// What is left, in words.
    pub fn left(&self) -> String {
        let figures = [self.assignments, self.member_removals, self.unassignments, self.cycles];
        if figures.iter().all(Option::is_none) {
            return if self.outlook == Outlook::Retired { "nothing, when it was last read" } else { "not known" }.into();
        }
        let kinds = [
            (self.assignments, "direct assignment", "direct assignments"),
            (self.member_removals, "removal from a group", "removals from groups"),
            (self.unassignments, "assignment of a group", "assignments of groups"),
            (self.cycles, "cycle to wait for", "cycles to wait for"),
        ];
        let words = kinds.into_iter().filter_map(|(n, one, more)| match n {
            Some(0) => None,
            Some(1) => Some(format!("1 {one}")),
            Some(n) => Some(format!("{n} {more}")),
            None => Some(format!("{more}: not known")),
        });
        let mut words: Vec<String> = words.collect();
        if let Some(writing) = self.writing.filter(|writing| !writing.is_zero()) {
            words.push(format!("at least {} of writing", humantime::format_duration(writing)));
        }
        if words.is_empty() { "nothing to write, and no cycle to wait for".into() } else { words.join(", ") }
    }
}

/// Whole ones, in the form of the config: "1m 30s".
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => s.collect_str(&humantime::format_duration(Duration::from_secs(value.as_secs()))),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| humantime::parse_duration(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub action: String,
    pub count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// A brake's label, `preflight`, or `refused`.
    pub brake: String,
    pub message: String,
    /// The first look of this process that was held by it, without one between that was not; by our clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<Timestamp>,
    /// When it was last seen to hold, by our clock, where this look could not tell.
    #[serde(rename = "seenAt", skip_serializing_if = "Option::is_none", default)]
    pub seen_at: Option<Timestamp>,
}

closed_list! {
    /// What happens to a managed group, or has happened.
    GroupState {
        /// Something of it could not be read.
        Unknown,
        /// A person must decide.
        Refused,
        ToBeEmptied,
        /// It goes with its members, by the operator's decision.
        MembersKept,
        /// It is assigned and has no user left.
        Empty,
        Unassigned,
        /// And gone at the target.
        Gone,
    }
}

/// What was known, and until when, by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastKnown {
    pub state: GroupState,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    pub id: GroupId,
    pub name: String,
    pub state: GroupState,
    /// Its user members; where its state is not known, as they were last read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub members: Option<u64>,
    /// When these were read, by our clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub members_seen_at: Option<Timestamp>,
    /// Its last known state, where it is not known now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_known: Option<LastKnown>,
    /// It was off the app, and somebody else has assigned it again; until repeated looks show it off once more.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub assigned_again: bool,
    /// Why it is refused, or not known, or what it waits for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

closed_list! {
    /// How a write ended, as far as is known.
    WriteOutcome { Done, AlreadySo, Failed, Unknown }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// The journal's line.
    pub line: i64,
    /// When it was begun.
    pub at: Timestamp,
    pub action: String,
    /// The same in words.
    pub message: String,
    pub outcome: WriteOutcome,
    /// Why it is so, where something is to be said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CycleStatus {
    pub last_began: Option<Timestamp>,
    pub last_ended: Option<Timestamp>,
    pub last_state: Option<String>,
    /// When the next cycle should have ended, by the job's own interval, or the time-out where it has none. `None`: none is due.
    pub expected_by: Option<Timestamp>,
    pub quarantined: bool,
    /// When the job was read that this is from, by our clock.
    pub seen_at: Option<Timestamp>,
}

/// `None` is "not known": the metric is then left as it was, never set to 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauges {
    pub users_group_only: Option<u64>,
    pub users_direct_and_group: Option<u64>,
    pub users_direct_only: Option<u64>,
    pub groups_assigned: Option<u64>,
    pub groups_emptied: Option<u64>,
    pub groups_unassigned: Option<u64>,
    pub groups_refused: Option<u64>,
    pub groups_assigned_again: Option<u64>,
    pub group_members: Option<u64>,
    /// Whom others have taken a direct assignment away from after the retirement.
    pub users_offboarded: Option<u64>,
    pub target_users_active: Option<u64>,
    pub target_users_inactive: Option<u64>,
    pub target_groups_managed: Option<u64>,
    pub target_groups_unmanaged: Option<u64>,
    pub users_lost: Option<u64>,
    /// By the proof in the ledger, whatever else the look could not see.
    pub token_revoked: Option<bool>,
    pub job_quarantined: Option<bool>,
    /// Cycles are due, and none has ended for longer than the time-out.
    pub cycle_overdue: Option<bool>,
    /// Of our credential at Entra, as far as it says so; here `None` is shown as 0.
    pub credential_expires: Option<Timestamp>,
}

labelled! {
    /// How a turn ended.
    TurnResult {
        Success = "success",
        /// A look or a write failed.
        Failed = "failed",
        /// A brake bit, or something was refused.
        Held = "held",
    }
}
