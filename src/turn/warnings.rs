//! What a turn tells the log as a warning or an error: once when it begins, and once when it ends. Pure: a process that has just
//! been started knows of nothing before, and tells all of it again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::action::Done;
use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::status::{Brake, Phase, Status, WriteOutcome};
use crate::model::words::STRANGERS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As the operator wants it; told for completeness.
    Info,
    Warn,
    Error,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub level: Level,
    pub what: String,
    /// As the status says it; nothing where it has ended.
    pub why: Option<String>,
    /// When it began, where it has ended.
    pub since: Option<Timestamp>,
}

/// One thing that is wrong, whatever its message says from turn to turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Condition(ConditionKind, Reason),
    Hold(String),
    /// Writes of this kind ended without a confirmation.
    Writes(&'static str),
}

#[derive(Clone, Debug)]
struct Told {
    since: Option<Timestamp>,
    /// Without its figures: those change from turn to turn.
    said: BTreeSet<String>,
}

/// What has been told and goes on.
#[derive(Debug, Default)]
pub struct Warnings {
    told: BTreeMap<Trouble, Told>,
    phase: Option<Phase>,
    /// No managed group was on the app any more.
    groups_are_off: bool,
}

impl Warnings {
    /// What is new with this turn. `done` is how its writes ended, by their kinds.
    pub fn of(&mut self, status: &Status, done: &[(&'static str, Done, usize)]) -> Vec<Line> {
        let now = troubles(status, done, &self.told);
        let mut lines: Vec<Line> = Vec::new();
        for (trouble, messages) in &now {
            let said: BTreeSet<String> = messages.iter().map(|message| without_figures(message)).collect();
            let told = self.told.entry(trouble.clone()).or_insert(Told { since: status.last_attempt, said: BTreeSet::new() });
            let is_new = said.iter().any(|message| !told.said.contains(message));
            // For a condition and a write it is the thing itself that counts; a hold is what it says, and of the lost it is who they are.
            let is_what_it_says = matches!(trouble, Trouble::Hold(_) | Trouble::Condition(ConditionKind::UsersKept, _));
            if told.said.is_empty() || is_new && is_what_it_says {
                let (level, what) = trouble.begun();
                lines.push(Line { level, what, why: Some(messages.join("; ")), since: None });
            }
            told.said = said;
        }
        let ended: Vec<Trouble> =
            self.told.keys().filter(|trouble| !now.contains_key(trouble) && is_over(trouble, status, done)).cloned().collect();
        for trouble in ended {
            let since = self.told.remove(&trouble).and_then(|told| told.since);
            lines.push(Line { level: trouble.begun().0.min(Level::Warn), what: trouble.over(), why: None, since });
        }
        lines.extend(self.back(status));
        if self.phase.replace(status.phase).is_some_and(|before| before != status.phase) {
            lines.push(Line { level: Level::Info, what: format!("phase is {} now", status.phase), why: None, since: None });
        }
        lines
    }

    /// Somebody has assigned groups again that were taken off: mostly that is put right before anybody looks.
    fn back(&mut self, status: &Status) -> Option<Line> {
        let groups = status.condition(ConditionKind::GroupsUnassigned)?;
        let were_off = self.groups_are_off;
        match groups.status {
            Truth::True => self.groups_are_off = true,
            Truth::False if status.progress.groups_assigned > Some(0) => self.groups_are_off = false,
            Truth::False | Truth::Unknown => {}
        }
        let what = "managed groups are assigned to the app again, by somebody else";
        let line = || Line { level: Level::Warn, what: what.into(), why: Some(groups.message.clone()), since: None };
        (were_off && !self.groups_are_off).then(line)
    }
}

fn troubles(
    status: &Status,
    done: &[(&'static str, Done, usize)],
    told: &BTreeMap<Trouble, Told>,
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
    let are_lost = has(Reason::UsersLost) || told.contains_key(&lost) && !status.is_true(ConditionKind::UsersKept);
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
        let of_kind = |entry: &&crate::model::status::JournalEntry| {
            entry.action == *kind && matches!(entry.outcome, WriteOutcome::Failed | WriteOutcome::Unknown)
        };
        let last = status.journal.iter().rev().find(of_kind);
        let why = last.map(|entry| match &entry.why {
            Some(why) => format!("{}: {why}", entry.message),
            None => entry.message.clone(),
        });
        found.insert(Trouble::Writes(kind), vec![why.unwrap_or_else(|| "see the journal".into())]);
    }
    found
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

/// Not knowing is never "no": what a look could not see goes on.
fn is_over(trouble: &Trouble, status: &Status, done: &[(&'static str, Done, usize)]) -> bool {
    match trouble {
        // The next one went through, or none is needed any more.
        Trouble::Writes(kind) => done.iter().any(|(done, _, _)| done == kind) || is_served(kind, status),
        // Told in other words it is not over either.
        Trouble::Hold(brake) => {
            status.is_true(ConditionKind::GraphReachable) && !status.held.iter().any(|held| held.brake == *brake)
        }
        Trouble::Condition(ConditionKind::GraphReachable, _) => true,
        // Nor can it be read where it refuses the token.
        Trouble::Condition(ConditionKind::TargetReachable, Reason::Unreachable) => status.is_true(ConditionKind::TargetReachable),
        Trouble::Condition(kind, reason) => {
            let unknown = status.condition(*kind).is_none_or(|condition| condition.status == Truth::Unknown);
            status.is_true(ConditionKind::GraphReachable) && (!unknown || *reason == Reason::LookFailed)
        }
    }
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
    fn begun(&self) -> (Level, String) {
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
        }
    }

    fn over(&self) -> String {
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
        }
    }
}

/// Numbers, times and durations change while the thing goes on; ids tell one thing from another.
fn without_figures(message: &str) -> String {
    let is_figure = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        word.starts_with(|c: char| c.is_ascii_digit()) && uuid::Uuid::try_parse(word).is_err()
    };
    message.split_whitespace().map(|word| if is_figure(word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
}

/// To the log.
pub fn log(lines: &[Line]) {
    for Line { level, what, why, since } in lines {
        let (why, since) = (why.as_deref(), since.map(|since| format!("{since:.0}")));
        match level {
            Level::Info => tracing::info!(why, since, "{what}"),
            Level::Warn => tracing::warn!(why, since, "{what}"),
            Level::Error => tracing::error!(why, since, "{what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::{CycleStatus, Gauges, Held, JournalEntry, Progress, Remaining};
    use crate::model::timeline::Timeline;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn status(conditions: &[(ConditionKind, Truth, Reason, &str)], held: &[(&str, &str)]) -> Status {
        let condition = |(kind, status, reason, message): &(ConditionKind, Truth, Reason, &str)| Condition {
            kind: *kind,
            status: *status,
            reason: *reason,
            message: (*message).into(),
            last_transition_time: at(0),
            expected_by: None,
        };
        let mut conditions: Vec<Condition> = conditions.iter().map(condition).collect();
        if !conditions.iter().any(|condition| condition.kind == ConditionKind::GraphReachable) {
            conditions.push(condition(&(ConditionKind::GraphReachable, Truth::True, Reason::Reachable, "Graph answered")));
        }
        Status {
            phase: Phase::AssigningUsers,
            conditions,
            progress: Progress::default(),
            remaining: Remaining::default(),
            pending: Vec::new(),
            held: held
                .iter()
                .map(|(brake, why)| Held { brake: (*brake).into(), message: (*why).into(), since: None, seen_at: None })
                .collect(),
            cycle: CycleStatus::default(),
            groups: Vec::new(),
            journal: Vec::new(),
            notes: Vec::new(),
            last_attempt: Some(at(0)),
            last_success: None,
            turn: 1,
            gauges: Gauges::default(),
            app: None,
            decisions: None,
            ledger: None,
            timeline: Timeline::default(),
        }
    }

    fn told(warnings: &mut Warnings, status: &Status) -> Vec<(Level, String)> {
        warnings.of(status, &[]).into_iter().map(|line| (line.level, line.what)).collect()
    }

    const GRAPH: (ConditionKind, Truth, Reason, &str) =
        (ConditionKind::GraphReachable, Truth::False, Reason::Unreachable, "502 after 3 tries");

    #[test]
    fn a_failed_look_is_told_once_and_so_is_its_end_with_when_it_began() {
        let mut warnings = Warnings::default();
        let failed = (ConditionKind::Preflight, Truth::Unknown, Reason::LookFailed, "the app: 502");
        assert_eq!(told(&mut warnings, &status(&[], &[])), []);
        assert_eq!(told(&mut warnings, &status(&[GRAPH, failed], &[])), [(Level::Warn, "Graph can't be read".into())]);
        assert_eq!(told(&mut warnings, &status(&[GRAPH, failed], &[])), []);
        let lines = warnings.of(&status(&[], &[]), &[]);
        assert_eq!((lines.len(), lines[0].what.as_str(), lines[0].since), (1, "Graph can be read again", Some(at(0))));
        // A new process tells what goes on once again.
        assert_eq!(told(&mut Warnings::default(), &status(&[GRAPH], &[])).len(), 1);
    }

    #[test]
    fn a_hold_is_told_again_where_it_says_something_else_than_other_figures() {
        let mut warnings = Warnings::default();
        let held = |why: &str| status(&[], &[("refused", why)]);
        let (one, two) = ("2f5a9a1c-0000-4000-8000-000000000001", "2f5a9a1c-0000-4000-8000-000000000002");
        assert_eq!(
            told(&mut warnings, &held(&format!("group {one}: 3 members, since 10:00"))),
            [(Level::Warn, "held: refused".into())]
        );
        assert_eq!(told(&mut warnings, &held(&format!("group {one}: 4 members, since 10:01"))), []);
        assert_eq!(told(&mut warnings, &held(&format!("group {two}: 4 members, since 10:01"))).len(), 1);
        let mut closed = held("");
        closed.held.clear();
        assert_eq!(told(&mut warnings, &closed), [(Level::Warn, "no longer held: refused".into())]);
        assert_eq!(told(&mut warnings, &status(&[], &[("window", "closed until 22:00")]))[0].0, Level::Info);
    }

    #[test]
    fn what_a_failed_look_could_not_see_has_not_ended() {
        let mut warnings = Warnings::default();
        let lost = (ConditionKind::UsersKept, Truth::False, Reason::UsersLost, "Anna: inactive");
        let both = status(&[lost], &[("users-lost", "Anna: inactive, first seen at 10:00"), ("shrunk", "the list shrank")]);
        let begun = [(Level::Error, "users are lost at the target".into()), (Level::Warn, "held: shrunk".into())];
        assert_eq!(told(&mut warnings, &both), begun);
        assert_eq!(told(&mut warnings, &status(&[GRAPH], &[])), [(Level::Warn, "Graph can't be read".into())]);
        let unread = (ConditionKind::UsersKept, Truth::Unknown, Reason::TargetUnread, "the target was not read");
        let ended = ["Graph can be read again", "no longer held: shrunk"];
        assert_eq!(told(&mut warnings, &status(&[unread], &[])).into_iter().map(|(_, what)| what).collect::<Vec<_>>(), ended);
        assert_eq!(told(&mut warnings, &both).len(), 1, "the hold; that they are lost has not ended");
        // The app can't be read: it is held by what was seen last, and nothing of it is new or over.
        let last = status(&[unread], &[("users-lost", "Anna, when the app was last read"), ("shrunk", "the list shrank")]);
        assert_eq!((told(&mut warnings, &last), told(&mut warnings, &both)), (Vec::new(), Vec::new()));
        // Nor to a process that has begun in between.
        let mut begun = Warnings::default();
        let lines = [told(&mut begun, &last), told(&mut begun, &both)].concat();
        let lines: Vec<_> = lines.into_iter().map(|(_, what)| what).collect();
        assert_eq!(lines, ["held: shrunk", "held: users-lost", "users are lost at the target"]);
        let kept = (ConditionKind::UsersKept, Truth::True, Reason::AllKept, "12 of 12");
        let ended = told(&mut warnings, &status(&[kept], &[]));
        assert!(ended.contains(&(Level::Warn, "nobody counts as lost at the target any more".into())), "{ended:?}");
    }

    #[test]
    fn a_step_that_waits_for_who_is_lost_neither_begins_nor_ends_their_loss() {
        let mut warnings = Warnings::default();
        let lost = (ConditionKind::UsersKept, Truth::False, Reason::UsersLost, "Anna: gone; see the log");
        let step = (ConditionKind::CycleCompleted, Truth::False, Reason::UsersLost, "Anna: gone");
        let waits = (ConditionKind::CycleCompleted, Truth::False, Reason::AwaitingCycle, "a cycle");
        let held = [("users-lost", "Anna: gone; see the log, first seen at 10:00"), ("refused", "Anna: gone")];
        // A process that begins in the middle, too.
        let begun = [(Level::Error, "users are lost at the target".into()), (Level::Warn, "held: refused".into())];
        assert_eq!(told(&mut warnings, &status(&[lost, step], &held)), begun);
        assert_eq!(told(&mut warnings, &status(&[lost, waits], &held)), []);
        assert_eq!(told(&mut warnings, &status(&[lost, step], &held)), []);
        let kept = (ConditionKind::UsersKept, Truth::True, Reason::AllKept, "12 of 12");
        let over = [(Level::Warn, "nobody counts as lost at the target any more".into())];
        assert_eq!(told(&mut warnings, &status(&[kept, waits], &held[1..])), over);
    }

    #[test]
    fn who_else_is_lost_is_told_and_who_is_left() {
        let mut warnings = Warnings::default();
        let lost =
            |who: &str| status(&[(ConditionKind::UsersKept, Truth::False, Reason::UsersLost, who)], &[("users-lost", who)]);
        for who in ["Anna: inactive", "Anna: inactive, Bob: gone", "Bob: gone"] {
            let lines = warnings.of(&lost(who), &[]);
            let told: Vec<_> = lines.iter().map(|line| (line.level, line.why.as_deref())).collect();
            assert_eq!(told, [(Level::Error, Some(who))]);
            assert_eq!(warnings.of(&lost(who), &[]), []);
        }
    }

    #[test]
    fn groups_that_are_assigned_again_are_told_each_time() {
        let mut warnings = Warnings::default();
        let assigned = |count: u64| {
            let off = if count == 0 { (Truth::True, Reason::AllUnassigned) } else { (Truth::False, Reason::RowsRemain) };
            let mut status = status(&[(ConditionKind::GroupsUnassigned, off.0, off.1, "1 assignment may go now")], &[]);
            status.progress.groups_assigned = Some(count);
            status
        };
        assert_eq!(told(&mut warnings, &assigned(3)), [], "as it begins");
        for _ in 0..2 {
            assert_eq!(told(&mut warnings, &assigned(0)), []);
            let again = [(Level::Warn, "managed groups are assigned to the app again, by somebody else".into())];
            assert_eq!(told(&mut warnings, &assigned(1)), again);
            assert_eq!(told(&mut warnings, &assigned(1)), []);
        }
    }

    #[test]
    fn who_was_never_protected_is_told_beside_who_is_lost() {
        let mut warnings = Warnings::default();
        let lost = [(ConditionKind::UsersKept, Truth::False, Reason::UsersLost, "Anna: gone")];
        assert_eq!(told(&mut warnings, &status(&lost, &[("users-lost", "Anna: gone, first seen at 10:00")])).len(), 1);
        let both = format!("Anna: gone, first seen at 10:00. And 1 user ended {STRANGERS}: record:u-9");
        let lines = told(&mut warnings, &status(&lost, &[("users-lost", &both)]));
        assert_eq!(lines, [(Level::Warn, "held: users-lost".into())]);
        assert_eq!(told(&mut warnings, &status(&lost, &[("users-lost", &both)])), []);
    }

    #[test]
    fn an_app_that_goes_on_to_refuse_the_token_can_not_be_read_again() {
        let mut warnings = Warnings::default();
        let target = |truth, reason| status(&[(ConditionKind::TargetReachable, truth, reason, "listing /Users")], &[]);
        assert_eq!(told(&mut warnings, &target(Truth::False, Reason::Unreachable)).len(), 1);
        let refused = [(Level::Error, "the token is refused before its time".into())];
        assert_eq!(told(&mut warnings, &target(Truth::False, Reason::RevokedTooEarly)), refused);
        let again: Vec<_> =
            told(&mut warnings, &target(Truth::True, Reason::Reachable)).into_iter().map(|(_, what)| what).collect();
        assert!(again.contains(&"the target can be read again".to_owned()) && again.len() == 2, "{again:?}");
    }

    #[test]
    fn writes_that_fail_in_every_turn_are_told_once_and_their_end_by_one_that_goes_through() {
        let mut warnings = Warnings::default();
        let mut failing = status(&[], &[]);
        failing.journal.push(JournalEntry {
            line: 7,
            at: at(0),
            action: "AssignUser".into(),
            message: "assign Anna".into(),
            outcome: WriteOutcome::Failed,
            why: Some("503".into()),
        });
        let lines = warnings.of(&failing, &[("AssignUser", Done::Failed, 2)]);
        assert_eq!((lines[0].level, lines[0].why.as_deref()), (Level::Warn, Some("assign Anna: 503")));
        assert_eq!(warnings.of(&failing, &[("AssignUser", Done::Ok, 9), ("AssignUser", Done::Open, 1)]), []);
        assert_eq!(warnings.of(&status(&[], &[]), &[("RemoveMember", Done::Ok, 1)]), [], "nothing of it was tried");
        assert_eq!(warnings.of(&status(&[], &[]), &[("AssignUser", Done::Ok, 1)]).len(), 1);
        // Nobody answered, and a look shows them done: no other write of the kind will come.
        assert_eq!(warnings.of(&failing, &[("AssignUser", Done::Open, 2)]).len(), 1);
        let settling = (ConditionKind::UsersAssigned, Truth::False, Reason::Settling, "seen once");
        assert_eq!(warnings.of(&status(&[settling], &[]), &[]), []);
        let assigned = (ConditionKind::UsersAssigned, Truth::True, Reason::AllAssigned, "all");
        assert_eq!(warnings.of(&status(&[assigned], &[]), &[]).len(), 1);
    }
}
