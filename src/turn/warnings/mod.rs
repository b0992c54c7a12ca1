//! What a turn tells the log as a warning or an error: once when it begins, and once when it ends. Pure: a process that has just
//! been started knows of nothing before, and tells all of it again.

mod trouble;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::model::action::Done;
use crate::model::status::{Phase, Status};
pub use trouble::Level;
use trouble::Trouble;

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
}

impl Warnings {
    /// What is new with this turn. `done` is how its writes ended, by their kinds.
    pub fn of(&mut self, status: &Status, done: &[(&'static str, Done, usize)]) -> Vec<Line> {
        let now = trouble::all(status, done, |trouble| self.told.contains_key(trouble));
        let mut lines: Vec<Line> = Vec::new();
        for (trouble, messages) in &now {
            let said: BTreeSet<String> = messages.iter().map(|message| without_figures(message)).collect();
            let told = self.told.entry(trouble.clone()).or_insert(Told { since: status.last_attempt, said: BTreeSet::new() });
            let is_new = said.iter().any(|message| !told.said.contains(message));
            if told.said.is_empty() || is_new && trouble.is_what_it_says() {
                let (level, what) = trouble.begun();
                lines.push(Line { level, what, why: Some(messages.join("; ")), since: None });
            }
            told.said = said;
        }
        let ended: Vec<Trouble> =
            self.told.keys().filter(|trouble| !now.contains_key(trouble) && trouble.is_over(status, done)).cloned().collect();
        for trouble in ended {
            let since = self.told.remove(&trouble).and_then(|told| told.since);
            lines.push(Line { level: trouble.begun().0.min(Level::Warn), what: trouble.over(), why: None, since });
        }
        if self.phase.replace(status.phase).is_some_and(|before| before != status.phase) {
            lines.push(Line { level: Level::Info, what: format!("phase is {} now", status.phase), why: None, since: None });
        }
        lines
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
    use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
    use crate::model::status::{
        CycleStatus, Gauges, GroupState, GroupStatus, Held, JournalEntry, Progress, Remaining, WriteOutcome,
    };
    use crate::model::timeline::Timeline;
    use crate::model::words::STRANGERS;

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
    fn groups_that_are_assigned_again_are_told_each_time_and_when_they_are_off() {
        let mut warnings = Warnings::default();
        let again = |names: &[&str]| {
            let mut status = status(&[], &[]);
            let group = |(n, name): (u128, &&str)| GroupStatus {
                id: crate::model::id::GroupId(uuid::Uuid::from_u128(n)),
                name: (*name).into(),
                state: GroupState::ToBeEmptied,
                members: None,
                members_seen_at: None,
                last_known: None,
                assigned_again: true,
                why: None,
            };
            status.groups = (1..).zip(names).map(group).collect();
            status.gauges.groups_assigned_again = Some(names.len() as u64);
            status
        };
        let begun = [(Level::Warn, "managed groups are assigned to the app again, by somebody else".to_owned())];
        let over = [(Level::Warn, "the managed groups that were assigned again are off the app".to_owned())];
        for _ in 0..2 {
            assert_eq!(told(&mut warnings, &again(&[])), []);
            assert_eq!(told(&mut warnings, &again(&["Sales"])), begun);
            assert_eq!(told(&mut warnings, &again(&["Sales"])), []);
            assert_eq!(told(&mut warnings, &again(&["Sales", "Ops"])), begun, "another one");
            // Nothing can be read.
            assert_eq!(told(&mut warnings, &status(&[], &[])), []);
            assert_eq!(told(&mut warnings, &again(&[])), over);
        }
    }

    #[test]
    fn who_is_offboarded_after_the_end_is_told_once() {
        let mut warnings = Warnings::default();
        let offboarded = |count: u64, truth, why: &str| {
            let mut status = status(&[(ConditionKind::UsersAssigned, truth, Reason::AllAssigned, why)], &[]);
            status.gauges.users_offboarded = Some(count);
            status
        };
        assert_eq!(told(&mut warnings, &offboarded(0, Truth::True, "all 40")), []);
        let one = offboarded(1, Truth::True, "39 of 40; taken away: of Anna");
        let lines = warnings.of(&one, &[]);
        assert_eq!(
            (lines.len(), lines[0].level, lines[0].why.as_deref()),
            (1, Level::Warn, Some("39 of 40; taken away: of Anna"))
        );
        assert_eq!(warnings.of(&one, &[]), []);
        // Somebody else's assignment settles meanwhile.
        assert_eq!(told(&mut warnings, &offboarded(1, Truth::False, "settling")), []);
        assert_eq!(told(&mut warnings, &offboarded(2, Truth::True, "38 of 40; taken away: of Anna, Bob")).len(), 1);
        assert_eq!(told(&mut warnings, &offboarded(0, Truth::True, "all 40")).len(), 1);
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
