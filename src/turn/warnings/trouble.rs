//! What is wrong by a status, when it is over, and how both are said.

use std::collections::BTreeMap;

use crate::model::action::Done;
use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::status::{Brake, JournalEntry, Status, WriteOutcome};
use crate::model::words::STRANGERS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As the operator wants it; told for completeness.
    Info,
    Warn,
    Error,
}

/// One thing that is wrong, whatever its message says from turn to turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Condition(ConditionKind, Reason),
    Hold(String),
    /// Writes of this kind ended without a confirmation.
    Writes(&'static str),
    /// Managed groups that were off the app are assigned to it again, by somebody else.
    GroupsBack,
    /// Direct assignments that somebody else took away after the retirement: they are not given back.
    Offboarded,
}

/// With what each says. `was_told`: it began in an earlier turn, and has not ended.
pub(super) fn all(
    status: &Status,
    done: &[(&'static str, Done, usize)],
    was_told: impl Fn(&Trouble) -> bool,
) -> BTreeMap<Trouble, Vec<String>> {
    let mut found: BTreeMap<Trouble, Vec<String>> = BTreeMap::new();
    let is_graph_away = status.condition(ConditionKind::GraphReachable).is_some_and(|graph| graph.status == Truth::False);
    // Who is lost or in doubt is told of everybody, and a step that waits for it is no second thing.
    let is_of_a_step = |condition: &Condition| {
        matches!(condition.reason, Reason::UsersLost | Reason::UsersUncertain) && condition.kind != ConditionKind::UsersKept
    };
    let troubled = status.conditions.iter().filter(|condition| is_trouble(condition) && !is_of_a_step(condition));
    for condition in troubled {
        // Then everything that it would have shown fails with it.
        let follows = is_graph_away && matches!(condition.reason, Reason::LookFailed | Reason::GroupReadFailed);
        // A refusal stands in both places.
        let is_held = condition.kind != ConditionKind::UsersKept
            && status.held.iter().any(|held| condition.message.contains(&held.message));
        if !follows && !is_held {
            let trouble = Trouble::Condition(condition.kind, condition.reason);
            found.entry(trouble).or_default().push(condition.message.clone());
        }
    }
    let has = |reason| found.keys().any(|trouble| matches!(trouble, Trouble::Condition(_, found) if *found == reason));
    let lost = Trouble::Condition(ConditionKind::UsersKept, Reason::UsersLost);
    // Told before, and nothing read since.
    let are_lost = has(Reason::UsersLost) || was_told(&lost) && !status.is_true(ConditionKind::UsersKept);
    let is_ledger_away = has(Reason::LedgerUnreadable) || has(Reason::LedgerBoundElsewhere);
    for held in &status.held {
        // Of whom the condition does not tell, the hold does.
        let is_of_the_lost = held.brake == Brake::UsersLost.label() && !held.message.contains(STRANGERS);
        let said = are_lost && is_of_the_lost || is_ledger_away && held.message.starts_with("the ledger can't");
        if !said {
            found.entry(Trouble::Hold(held.brake.clone())).or_default().push(held.message.clone());
        }
    }
    for (kind, _, _) in done.iter().filter(|(_, done, _)| is_unconfirmed(*done)) {
        let of_kind = |entry: &&JournalEntry| {
            entry.action == *kind && matches!(entry.outcome, WriteOutcome::Failed | WriteOutcome::Unknown)
        };
        let last = status.journal.iter().rev().find(of_kind);
        let why = last.map(|entry| match &entry.why {
            Some(why) => format!("{}: {why}", entry.message),
            None => entry.message.clone(),
        });
        found.insert(Trouble::Writes(kind), vec![why.unwrap_or_else(|| "see the journal".into())]);
    }
    found.extend(by_others(status));
    found
}

/// What somebody else does to what we have brought about: mostly that is put right before anybody looks.
fn by_others(status: &Status) -> impl Iterator<Item = (Trouble, Vec<String>)> {
    let back = status.groups.iter().filter(|group| group.assigned_again).map(|group| format!("{:?} ({})", group.name, group.id));
    let back: Vec<String> = back.collect();
    let assigned = status.condition(ConditionKind::UsersAssigned).filter(|assigned| assigned.status == Truth::True);
    let offboarded = assigned.filter(|_| status.gauges.users_offboarded > Some(0)).map(|assigned| assigned.message.clone());
    let back = (!back.is_empty()).then_some((Trouble::GroupsBack, back));
    back.into_iter().chain(offboarded.map(|why| (Trouble::Offboarded, vec![why])))
}

fn is_unconfirmed(done: Done) -> bool {
    matches!(done, Done::Failed | Done::Open)
}

fn is_trouble(condition: &Condition) -> bool {
    condition.status != Truth::True
        && matches!(
            condition.reason,
            Reason::LookFailed
                | Reason::LedgerUnreadable
                | Reason::LedgerBoundElsewhere
                | Reason::GroupReadFailed
                | Reason::CycleOverdue
                | Reason::JobQuarantined
                | Reason::JobNotActive
                | Reason::EntriesFailed
                | Reason::UsersLost
                | Reason::UsersUncertain
                | Reason::ProbeInconclusive
                | Reason::TokenEnded
                | Reason::UnmanagedGroupAssigned
                | Reason::RevokedTooEarly
                | Reason::CredentialExpiring
                | Reason::CredentialExpired
                | Reason::CredentialRefused
                | Reason::Unreachable
        )
        // That it is not ready is what the others say.
        && condition.kind != ConditionKind::Ready
}

/// The step that writes of this kind are for holds.
fn is_served(kind: &str, status: &Status) -> bool {
    let step = match kind {
        "AssignUser" => ConditionKind::UsersAssigned,
        "RemoveMember" => ConditionKind::GroupsEmptied,
        "UnassignGroup" => ConditionKind::GroupsUnassigned,
        _ => return false,
    };
    status.is_true(step)
}

impl Trouble {
    /// For a condition and a write it is the thing itself that counts; a hold is what it says, and of people and groups it is who they are.
    pub(super) fn is_what_it_says(&self) -> bool {
        match self {
            Trouble::Hold(_) | Trouble::Condition(ConditionKind::UsersKept, _) | Trouble::GroupsBack | Trouble::Offboarded => {
                true
            }
            Trouble::Condition(..) | Trouble::Writes(_) => false,
        }
    }

    /// Not knowing is never "no": what a look could not see goes on.
    pub(super) fn is_over(&self, status: &Status, done: &[(&'static str, Done, usize)]) -> bool {
        match self {
            // The next one went through, or none is needed any more.
            Trouble::Writes(kind) => done.iter().any(|(done, _, _)| done == kind) || is_served(kind, status),
            // Told in other words it is not over either.
            Trouble::Hold(brake) => {
                status.is_true(ConditionKind::GraphReachable) && !status.held.iter().any(|held| held.brake == *brake)
            }
            Trouble::GroupsBack => status.gauges.groups_assigned_again == Some(0),
            Trouble::Offboarded => status.gauges.users_offboarded == Some(0),
            Trouble::Condition(ConditionKind::GraphReachable, _) => true,
            // Nor can it be read where it refuses the token.
            Trouble::Condition(ConditionKind::TargetReachable, Reason::Unreachable) => {
                status.is_true(ConditionKind::TargetReachable)
            }
            Trouble::Condition(kind, reason) => {
                let unknown = status.condition(*kind).is_none_or(|condition| condition.status == Truth::Unknown);
                status.is_true(ConditionKind::GraphReachable) && (!unknown || *reason == Reason::LookFailed)
            }
        }
    }

    pub(super) fn begun(&self) -> (Level, String) {
        match self {
            Trouble::Condition(kind, reason) => match (kind, reason) {
                (ConditionKind::GraphReachable, _) => (Level::Warn, "Graph can't be read".into()),
                (ConditionKind::TargetReachable, Reason::Unreachable) => (Level::Warn, "the target can't be read".into()),
                (_, Reason::LedgerUnreadable | Reason::LedgerBoundElsewhere) => {
                    (Level::Error, "the ledger can't be used; nothing is written anywhere until it can".into())
                }
                (_, Reason::UsersLost) => (Level::Error, "users are lost at the target".into()),
                (_, Reason::RevokedTooEarly) => (Level::Error, "the token is refused before its time".into()),
                (_, Reason::CredentialExpired | Reason::CredentialRefused) => (Level::Error, format!("{kind}: {reason}")),
                _ => (Level::Warn, format!("{kind}: {reason}")),
            },
            // The operator's own hours.
            Trouble::Hold(brake) if brake == Brake::Window.label() => (Level::Info, "outside the windows for writes".into()),
            Trouble::Hold(brake) => (Level::Warn, format!("held: {brake}")),
            Trouble::Writes(kind) => (Level::Warn, format!("{kind}: writes not confirmed")),
            Trouble::GroupsBack => (Level::Warn, "managed groups are assigned to the app again, by somebody else".into()),
            Trouble::Offboarded => (
                Level::Warn,
                "direct assignments were taken away by somebody else after the retirement, and are not given back".into(),
            ),
        }
    }

    pub(super) fn over(&self) -> String {
        match self {
            Trouble::Condition(ConditionKind::GraphReachable, _) => "Graph can be read again".into(),
            Trouble::Condition(ConditionKind::TargetReachable, Reason::Unreachable) => "the target can be read again".into(),
            Trouble::Condition(_, Reason::LedgerUnreadable | Reason::LedgerBoundElsewhere) => {
                "the ledger can be used again".into()
            }
            Trouble::Condition(_, Reason::UsersLost) => "nobody counts as lost at the target any more".into(),
            Trouble::Condition(kind, reason) => format!("{kind}: {reason} is over"),
            Trouble::Hold(brake) if brake == Brake::Window.label() => "inside a window for writes".into(),
            Trouble::Hold(brake) => format!("no longer held: {brake}"),
            Trouble::Writes(kind) => format!("{kind}: writes are confirmed again"),
            Trouble::GroupsBack => "the managed groups that were assigned again are off the app".into(),
            Trouble::Offboarded => "no direct assignment that others took away after the retirement is missing any more".into(),
        }
    }
}
