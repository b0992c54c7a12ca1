//! The status page: the status in words, for whoever has to wait or to decide. It says what `/status` says, and loads
//! nothing from elsewhere.

mod advice;
mod words;

use askama::Template;
use jiff::Timestamp;

use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::status::{GroupStatus, Held, JournalEntry, Progress, Status, figure};
use words::{group_words, outcome_words, step_title, words_of};

pub(super) const CSS: &str = include_str!("page.css");
pub(super) const JS: &str = include_str!("page.js");

/// The five steps in the guide's order.
const STEPS: [ConditionKind; 5] = [
    ConditionKind::UsersAssigned,
    ConditionKind::GroupsEmptied,
    ConditionKind::GroupsUnassigned,
    ConditionKind::CycleCompleted,
    ConditionKind::TokenRevoked,
];

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    name: &'a str,
    version: &'static str,
    view: Option<View<'a>>,
}

struct View<'a> {
    phase: &'static str,
    tone: &'static str,
    words: &'static str,
    advice: Vec<Advice<'a>>,
    tiles: Vec<Tile>,
    finish: Option<Time>,
    /// Beside the time, or in its place.
    finish_words: &'static str,
    left: String,
    steps: Vec<Row<'a>>,
    rest: Vec<Row<'a>>,
    /// What is not said under the advice already.
    held: Vec<&'a Held>,
    groups: Vec<Group<'a>>,
    /// Newest first.
    journal: Vec<Entry<'a>>,
    pending: Vec<(&'a str, u64)>,
    times: Vec<(&'static str, Time)>,
    cycle_state: Option<&'a str>,
    notes: &'a [String],
    turn: u64,
}

impl View<'_> {
    fn is_quiet(&self) -> bool {
        self.advice.is_empty()
    }
}

struct Advice<'a> {
    text: &'static str,
    /// Where to click, one after the other.
    clicks: &'static [&'static str],
    message: &'a str,
    /// The entry of `held` that says the same.
    brake: Option<&'a str>,
}

impl Advice<'_> {
    fn tells(&self, held: &Held) -> bool {
        self.brake == Some(&held.brake) && self.message == held.message
    }
}

struct Tile {
    label: &'static str,
    tone: &'static str,
    figure: String,
    value: u64,
    /// Without a bar where it is 0.
    max: u64,
    more: String,
}

struct Row<'a> {
    kind: &'static str,
    title: &'static str,
    tone: &'static str,
    state: &'static str,
    reason: &'static str,
    message: &'a str,
    since: Time,
    expected: Option<Time>,
}

struct Group<'a> {
    id: String,
    name: &'a str,
    tone: &'static str,
    state: &'static str,
    members: String,
    why: Option<&'a str>,
}

struct Entry<'a> {
    line: i64,
    at: Time,
    message: &'a str,
    tone: &'static str,
    outcome: &'static str,
    why: Option<&'a str>,
}

struct Time {
    machine: String,
    shown: String,
}

/// The whole page; without a status it says that the first look is under way. `profile` is the target's, as in the spec.
pub(super) fn render(name: &str, profile: Option<&str>, status: Option<&Status>) -> askama::Result<String> {
    Page { name, version: env!("CARGO_PKG_VERSION"), view: status.map(|status| view(profile, status)) }.render()
}

fn view<'a>(profile: Option<&str>, status: &'a Status) -> View<'a> {
    let (words, tone) = words_of(status.phase);
    let cycle = &status.cycle;
    let times = [
        ("Last cycle began", cycle.last_began),
        ("Last cycle ended", cycle.last_ended),
        ("Next one expected by", cycle.expected_by),
        ("Last look", status.last_attempt),
        ("Last look that saw everything", status.last_success),
    ];
    let advice = advice(profile, status);
    let held = status.held.iter().filter(|held| advice.iter().all(|advice| !advice.tells(held))).collect();
    View {
        phase: status.phase.as_str(),
        tone,
        words,
        advice,
        tiles: tiles(&status.progress, status.last_attempt),
        finish: status.remaining.earliest_finish.map(time),
        finish_words: status.remaining.outlook.words(),
        left: status.remaining.left(),
        steps: STEPS.iter().filter_map(|kind| status.condition(*kind)).map(row).collect(),
        rest: status.conditions.iter().filter(|condition| !STEPS.contains(&condition.kind)).map(row).collect(),
        held,
        groups: status.groups.iter().map(group).collect(),
        journal: status.journal.iter().rev().map(entry).collect(),
        pending: status.pending.iter().map(|pending| (pending.action.as_str(), pending.count)).collect(),
        times: times.into_iter().filter_map(|(label, at)| Some((label, time(at?)))).collect(),
        cycle_state: if cycle.quarantined { Some("in quarantine") } else { cycle.last_state.as_deref() },
        notes: &status.notes,
        turn: status.turn,
    }
}

/// What only a person can do: one line for each reason and brake, once.
fn advice<'a>(profile: Option<&str>, status: &'a Status) -> Vec<Advice<'a>> {
    let mut found: Vec<Advice> = Vec::new();
    let mut add = |text: Option<&'static str>, clicks, message: &'a str| {
        let is_new = |text: &&str| found.iter().all(|other| other.text != *text && !other.message.contains(message));
        if let Some(text) = text.filter(is_new) {
            found.push(Advice { text, clicks, message, brake: None });
        }
    };
    for condition in &status.conditions {
        let clicks = if condition.reason == Reason::AwaitingOperator { advice::clicks(profile) } else { &[] };
        add(advice::for_reason(condition.reason), clicks, condition.message.as_str());
    }
    for held in &status.held {
        add(advice::for_brake(&held.brake), &[], held.message.as_str());
    }
    for advice in &mut found {
        advice.brake = status.held.iter().find(|held| held.message == advice.message).map(|held| held.brake.as_str());
    }
    found
}

fn tiles(progress: &Progress, now: Option<Timestamp>) -> Vec<Tile> {
    let Progress { users_protected, users_assigned, memberships, groups, groups_assigned, target_groups, .. } = *progress;
    let Progress { users_lost, users_counted, users_kept, users_not_known, .. } = *progress;
    let gone = progress.groups_off();
    let of = |n: Option<u64>, all: Option<u64>| n.map_or_else(|| "not known".into(), |n| format!("{n} of {}", figure(all)));
    let bar = |n: Option<u64>, all: Option<u64>| n.zip(all).unwrap_or_default();
    let tone = |done: Option<bool>| match done {
        None => "later",
        Some(true) => "done",
        Some(false) => "busy",
    };
    let as_of = |seen: Option<Timestamp>| {
        seen.filter(|seen| Some(*seen) != now).map_or_else(String::new, |at| format!(", as of {}", time(at).shown))
    };
    let assigned = (users_assigned, users_protected);
    let left_to_assign = users_protected.zip(users_assigned).map(|(all, n)| left(all.saturating_sub(n), "to go"));
    let everybody = users_counted.zip(users_not_known).map(|(counted, unknown)| counted + unknown);
    vec![
        Tile {
            label: "Protected users assigned",
            tone: tone(users_assigned.zip(users_protected).map(|(n, all)| n == all)),
            figure: of(users_assigned, users_protected),
            value: bar(assigned.0, assigned.1).0,
            max: bar(assigned.0, assigned.1).1,
            more: left_to_assign.unwrap_or_default() + &as_of(progress.assignments_seen_at),
        },
        Tile {
            label: "Users lost at the target",
            tone: if users_lost > Some(0) { "stop" } else { tone(users_kept.zip(users_counted).map(|(n, all)| n == all)) },
            figure: users_lost.map_or_else(|| "not known".into(), |lost| format!("{lost} lost")),
            value: bar(users_kept, users_counted).0,
            max: bar(users_kept, users_counted).1,
            more: match users_not_known.filter(|unknown| *unknown > 0) {
                None => format!("{} kept", of(users_kept, users_counted)),
                Some(unknown) => format!("{} kept, {unknown} not known there", of(users_kept, everybody)),
            },
        },
        Tile {
            label: "Memberships to remove",
            tone: tone(memberships.map(|left| left == 0)),
            figure: memberships.map_or_else(|| "not known".into(), |memberships| left(memberships, "left")),
            value: 0,
            max: 0,
            more: format!("of users, in groups that are still assigned{}", as_of(progress.memberships_seen_at)),
        },
        Tile {
            label: "Groups taken off the app",
            tone: tone(groups_assigned.zip(target_groups).map(|both| both == (0, 0))),
            figure: of(gone, groups),
            value: bar(gone, groups).0,
            max: bar(gone, groups).1,
            more: format!(
                "{} still assigned, {} still at the target{}",
                figure(groups_assigned),
                figure(target_groups),
                as_of(progress.assignments_seen_at)
            ),
        },
    ]
}

fn left(n: u64, what: &str) -> String {
    if n == 0 { format!("none {what}") } else { format!("{n} {what}") }
}

fn row(condition: &Condition) -> Row<'_> {
    let (tone, state) = match (condition.kind, condition.status) {
        (ConditionKind::Held, Truth::True) => ("stop", "Held"),
        (ConditionKind::Held, Truth::False) => ("done", "Free"),
        (_, Truth::True) => ("done", "Done"),
        (_, Truth::False | Truth::Unknown) if condition.reason == Reason::Blocked => ("later", "Later"),
        (_, Truth::False) if advice::for_reason(condition.reason).is_some() => ("stop", "Needs you"),
        (_, Truth::False) => ("busy", "Under way"),
        (_, Truth::Unknown) => ("later", "Not known"),
    };
    Row {
        kind: condition.kind.as_str(),
        title: step_title(condition.kind),
        tone,
        state,
        reason: condition.reason.as_str(),
        message: &condition.message,
        since: time(condition.last_transition_time),
        expected: condition.expected_by.map(time),
    }
}

fn group(group: &GroupStatus) -> Group<'_> {
    let (tone, state) = group_words(group.state);
    Group {
        id: group.id.to_string(),
        name: &group.name,
        tone,
        state,
        members: group.members.map_or_else(|| "–".into(), |members| members.to_string()),
        why: group.why.as_deref(),
    }
}

fn entry(entry: &JournalEntry) -> Entry<'_> {
    let (tone, outcome) = outcome_words(entry.outcome);
    Entry { line: entry.line, at: time(entry.at), message: &entry.message, tone, outcome, why: entry.why.as_deref() }
}

fn time(at: Timestamp) -> Time {
    Time { machine: at.to_string(), shown: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string() }
}
