//! The status page: the status in words, for whoever has to wait or to decide. It names no user and loads nothing from
//! elsewhere.

mod advice;
mod words;

use askama::Template;
use jiff::Timestamp;

use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::status::{Progress, Status};
use words::{scrub, step_title, words_of};

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
    view: Option<View>,
}

struct View {
    phase: &'static str,
    tone: &'static str,
    words: &'static str,
    advice: Vec<Advice>,
    bars: Vec<Bar>,
    steps: Vec<Row>,
    rest: Vec<Row>,
    held: Vec<(String, String)>,
    pending: Vec<(String, u64)>,
    times: Vec<(&'static str, Time)>,
    cycle_state: Option<String>,
    notes: Vec<String>,
    turn: u64,
}

struct Advice {
    text: String,
    message: String,
}

struct Bar {
    label: &'static str,
    value: u64,
    max: u64,
    text: String,
}

struct Row {
    title: &'static str,
    tone: &'static str,
    state: &'static str,
    reason: &'static str,
    message: String,
    since: Time,
}

struct Time {
    machine: String,
    shown: String,
}

/// The whole page; without a status it says that the first look is under way.
pub(super) fn render(name: &str, status: Option<&Status>) -> askama::Result<String> {
    Page { name, version: env!("CARGO_PKG_VERSION"), view: status.map(view) }.render()
}

fn view(status: &Status) -> View {
    let (words, tone) = words_of(status.phase);
    let cycle = &status.cycle;
    let times = [
        ("Last cycle began", cycle.last_began),
        ("Last cycle ended", cycle.last_ended),
        ("Next one expected by", cycle.expected_by),
        ("Last look", status.last_attempt),
        ("Last look that saw everything", status.last_success),
    ];
    View {
        phase: status.phase.as_str(),
        tone,
        words,
        advice: advice(status),
        bars: bars(&status.progress),
        steps: STEPS.iter().filter_map(|kind| status.condition(*kind)).map(row).collect(),
        rest: status.conditions.iter().filter(|condition| !STEPS.contains(&condition.kind)).map(row).collect(),
        held: status.held.iter().map(|held| (scrub(&held.brake), scrub(&held.message))).collect(),
        pending: status.pending.iter().map(|pending| (scrub(&pending.action), pending.count)).collect(),
        times: times.into_iter().filter_map(|(label, at)| Some((label, time(at?)))).collect(),
        cycle_state: if cycle.quarantined { Some("in quarantine".into()) } else { cycle.last_state.as_deref().map(scrub) },
        notes: status.notes.iter().map(|note| scrub(note)).collect(),
        turn: status.turn,
    }
}

/// What only a person can do: one line for each reason, once.
fn advice(status: &Status) -> Vec<Advice> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for condition in &status.conditions {
        let Some(text) = advice::for_reason(condition.reason) else { continue };
        if !seen.contains(&condition.reason) {
            seen.push(condition.reason);
            found.push(Advice { text: text.into(), message: scrub(&condition.message) });
        }
    }
    found
}

fn bars(progress: &Progress) -> Vec<Bar> {
    let Progress {
        users_protected,
        users_assigned,
        memberships,
        groups,
        groups_assigned,
        target_groups,
        users_lost,
        users_counted,
        users_kept,
    } = *progress;
    let gone = groups.saturating_sub(groups_assigned);
    vec![
        Bar {
            label: "Users with an assignment of their own",
            value: users_assigned,
            max: users_protected,
            text: format!("{users_assigned} of {users_protected}"),
        },
        Bar {
            label: "Memberships left in the groups",
            value: 0,
            max: 0,
            text: if memberships == 0 { "none left".into() } else { format!("{memberships} left") },
        },
        Bar {
            label: "Groups taken off the app",
            value: gone,
            max: groups,
            text: format!("{gone} of {groups}, {groups_assigned} still assigned, {target_groups} still at the target"),
        },
        Bar {
            label: "Users kept at the target",
            value: users_kept,
            max: users_counted,
            text: format!("{users_kept} of {users_counted}, {users_lost} lost"),
        },
    ]
}

fn row(condition: &Condition) -> Row {
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
        title: step_title(condition.kind),
        tone,
        state,
        reason: condition.reason.as_str(),
        message: scrub(&condition.message),
        since: time(condition.last_transition_time),
    }
}

fn time(at: Timestamp) -> Time {
    Time { machine: at.to_string(), shown: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string() }
}
