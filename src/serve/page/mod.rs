//! The status page: the status in words, for whoever has to wait or to decide. It says what `/status` says, each thing once,
//! and loads nothing from elsewhere.

mod advice;
mod groups;
mod headline;
mod timeline;
mod todo;
mod words;

use askama::Template;
use jiff::Timestamp;
use serde_json::Value;

pub(super) use groups::Query;

use crate::model::condition::{Condition, ConditionKind, Reason, Truth};
use crate::model::status::{Held, JournalEntry, Phase, Progress, Status, figure};
use advice::Advice;
use groups::Table;
use headline::{Headline, Safe, Trouble};
use timeline::Picture;
use words::{outcome_words, step_title};

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
    mode: &'a str,
    app: Option<&'a str>,
    about: Vec<(&'static str, String)>,
    runbook: Option<&'a str>,
    view: Option<View<'a>>,
}

struct View<'a> {
    phase: &'static str,
    headline: Headline,
    safe: Safe,
    troubles: Vec<Trouble<'a>>,
    todo: Vec<Advice<'a>>,
    todo_tone: &'static str,
    finish: Option<Time>,
    /// Beside the time, or in its place.
    finish_words: &'static str,
    left: String,
    steps: Vec<Step<'a>>,
    rest: Vec<Row<'a>>,
    /// What is not said above already, and of when it is where it could not be judged now.
    held: Vec<(&'a Held, Option<Time>)>,
    picture: Option<Picture>,
    groups: Table<'a>,
    /// Newest first.
    journal: Vec<Entry<'a>>,
    pending: Vec<(&'a str, u64)>,
    times: Vec<(&'static str, Time)>,
    cycle_state: Option<&'a str>,
    cycle_old: Option<Time>,
    notes: &'a [String],
    turn: u64,
}

struct Step<'a> {
    row: Row<'a>,
    is_present: bool,
    figure: String,
    value: u64,
    /// Without a bar where it is 0.
    max: u64,
    /// Of when the figure is, where it could not be read in this turn.
    old: Option<Time>,
}

struct Row<'a> {
    kind: &'static str,
    title: &'static str,
    tone: &'static str,
    state: &'static str,
    reason: &'static str,
    /// `None`: it is said above.
    message: Option<&'a str>,
    truth: Truth,
    /// Of its truth: the reason may be a later one.
    since: Time,
    expected: Option<Time>,
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

impl Page<'_> {
    /// Where the runbook tells of this reason or brake.
    fn entry(&self, name: &str) -> Option<String> {
        Some(format!("{}#{}", self.runbook?, name.to_lowercase()))
    }
}

/// The whole page; without a status it says that the first look is under way. `spec` is the one that `/status` shows.
pub(super) fn render(name: &str, spec: &Value, query: Query, status: Option<&Status>) -> askama::Result<String> {
    Page {
        name,
        version: env!("CARGO_PKG_VERSION"),
        mode: spec["mode"].as_str().unwrap_or_default(),
        app: status.and_then(|status| Some(status.app.as_ref()?.name.as_str())),
        about: about(spec, status),
        runbook: spec["telemetry"]["runbookUrl"].as_str(),
        view: status.map(|status| view(spec, query, status)),
    }
    .render()
}

/// Whose provisioning it is.
fn about(spec: &Value, status: Option<&Status>) -> Vec<(&'static str, String)> {
    let app = status.and_then(|status| status.app.as_ref());
    let told = &spec["entra"]["app"];
    let told = ["servicePrincipalId", "appId", "displayName"].iter().find_map(|key| told[*key].as_str()).map(String::from);
    let fields = [
        ("App", app.map(|app| app.name.clone())),
        ("Enterprise application", app.map(|app| app.id.to_string()).or(told)),
        ("Tenant", spec["entra"]["tenantId"].as_str().map(String::from)),
        ("SCIM address", spec["target"]["scimUrl"].as_str().map(String::from)),
    ];
    fields.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn view<'a>(spec: &Value, query: Query, status: &'a Status) -> View<'a> {
    let cycle = &status.cycle;
    let times = [
        ("Last cycle began", cycle.last_began),
        ("Last cycle ended", cycle.last_ended),
        ("Next one expected by", cycle.expected_by),
        ("Last tried to read", status.last_attempt),
        ("Last read of Graph", status.last_success),
        ("Last read of the app", status.progress.target_seen_at),
    ];
    let troubles = headline::troubles(status);
    let todo = todo::todo(spec, status, &troubles);
    let in_todo = |text: &str| todo.iter().flat_map(|advice| &advice.says).any(|said| said.message.contains(text));
    let told = |text: &str| !text.is_empty() && (in_todo(text) || headline::tells(&troubles, text));
    let present = headline::present(status).map(|condition| condition.kind);
    let steps = STEPS.iter().filter_map(|kind| status.condition(*kind));
    let steps = steps.map(|condition| step(status, condition, present == Some(condition.kind), &told)).collect();
    let rest = status.conditions.iter().filter(|condition| !STEPS.contains(&condition.kind));
    let seen = |held: &Held| held.seen_at.map(|at| clock(at, status.last_attempt));
    View {
        phase: status.phase.as_str(),
        headline: headline::headline(status, &troubles),
        safe: headline::safe(status),
        todo_tone: match status.phase {
            _ if todo.is_empty() => "",
            Phase::Retired => "done",
            Phase::AwaitingRevocation => "busy",
            Phase::Observing if todo.len() == 1 => "busy",
            _ => "stop",
        },
        finish: status.remaining.earliest_finish.map(|at| clock(at, status.last_attempt)),
        finish_words: status.remaining.outlook.words(),
        left: status.remaining.left(),
        steps,
        rest: rest.map(|condition| row(status, condition, &told)).collect(),
        held: status.held.iter().filter(|held| !told(&held.message)).map(|held| (held, seen(held))).collect(),
        picture: timeline::picture(&status.timeline, |at| clock(at, status.timeline.until)),
        groups: groups::table(&status.groups, query, in_todo, |at| clock(at, status.last_attempt), status.last_attempt),
        journal: status.journal.iter().rev().map(entry).collect(),
        pending: status.pending.iter().map(|pending| (pending.action.as_str(), pending.count)).collect(),
        times: times.into_iter().filter_map(|(label, at)| Some((label, time(at?)))).collect(),
        cycle_state: if cycle.quarantined { Some("in quarantine") } else { cycle.last_state.as_deref() },
        cycle_old: cycle.seen_at.filter(|at| Some(*at) != status.last_attempt).map(|at| clock(at, status.last_attempt)),
        notes: &status.notes,
        turn: status.turn,
        troubles,
        todo,
    }
}

fn step<'a>(status: &Status, condition: &'a Condition, is_present: bool, told: &impl Fn(&str) -> bool) -> Step<'a> {
    let progress = &status.progress;
    let Progress { users_assigned, users_protected, groups, .. } = *progress;
    let (assignments, members) = (progress.assignments_seen_at, progress.memberships_seen_at);
    let of = |n: Option<u64>, all: Option<u64>, what: &str| match n {
        Some(n) => format!("{n} of {} {what}", figure(all)),
        None => format!("{what}: not known"),
    };
    let bar = |n: Option<u64>, all: Option<u64>| n.zip(all).unwrap_or_default();
    let (figure, (value, max), seen) = match condition.kind {
        ConditionKind::UsersAssigned => {
            (of(users_assigned, users_protected, "people"), bar(users_assigned, users_protected), assignments)
        }
        ConditionKind::GroupsEmptied => (left(progress.memberships, "membership left", "memberships left"), (0, 0), members),
        ConditionKind::GroupsUnassigned => {
            let off = progress.groups_off();
            (of(off, groups, "groups off"), bar(off, groups), assignments)
        }
        ConditionKind::CycleCompleted => {
            (left(progress.target_groups, "group still at the app", "groups still at the app"), (0, 0), None)
        }
        _ => (String::new(), (0, 0), None),
    };
    let old = match condition.kind {
        ConditionKind::CycleCompleted if condition.status != Truth::True => headline::target_old(status),
        _ => seen.filter(|at| Some(*at) != status.last_attempt).map(|at| clock(at, status.last_attempt)),
    };
    Step { row: row(status, condition, told), is_present, figure, value, max, old }
}

fn left(n: Option<u64>, one: &str, more: &str) -> String {
    match n {
        None => format!("{more}: not known"),
        Some(0) => format!("no {one}"),
        Some(1) => format!("1 {one}"),
        Some(n) => format!("{n} {more}"),
    }
}

fn row<'a>(status: &Status, condition: &'a Condition, told: &impl Fn(&str) -> bool) -> Row<'a> {
    let (tone, state) = match (condition.kind, condition.status) {
        (ConditionKind::Held, Truth::True) => ("stop", "Held"),
        (ConditionKind::Held, Truth::False) => ("done", "Free"),
        (_, Truth::True) => ("done", "Done"),
        (_, Truth::False | Truth::Unknown) if condition.reason == Reason::Blocked => ("later", "Later"),
        (_, Truth::False) if advice::for_reason(condition.reason).is_some() => ("stop", "Needs you"),
        (ConditionKind::GraphReachable | ConditionKind::TargetReachable, Truth::False) => ("stop", "No"),
        (_, Truth::False) if condition.reason == Reason::LookFailed => ("later", "Not known"),
        // It may be that nothing goes on then.
        (_, Truth::False) if matches!(status.phase, Phase::Observing | Phase::Held) => ("later", "Open"),
        (_, Truth::False) => ("busy", "Under way"),
        (_, Truth::Unknown) => ("later", "Not known"),
    };
    // Notes and holds have places of their own.
    let message = match condition.kind {
        ConditionKind::Held => "",
        ConditionKind::Preflight => {
            let notes = status.notes.join("; ");
            condition.message.strip_suffix(notes.as_str()).map_or(condition.message.as_str(), |rest| rest.trim_end_matches("; "))
        }
        _ => &condition.message,
    };
    Row {
        kind: condition.kind.as_str(),
        title: step_title(condition.kind),
        tone,
        state,
        reason: condition.reason.as_str(),
        message: Some(message)
            .filter(|message| !message.is_empty() && !told(message) && advice::for_reason(condition.reason).is_none()),
        truth: condition.status,
        since: clock(condition.last_transition_time, status.last_attempt),
        expected: condition.expected_by.map(|at| clock(at, status.last_attempt)),
    }
}

fn entry(entry: &JournalEntry) -> Entry<'_> {
    let (tone, outcome) = outcome_words(entry.outcome);
    Entry { line: entry.line, at: time(entry.at), message: &entry.message, tone, outcome, why: entry.why.as_deref() }
}

fn time(at: Timestamp) -> Time {
    Time { machine: at.to_string(), shown: at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string() }
}

/// To the minute, and with the date where it is another day's.
fn clock(at: Timestamp, now: Option<Timestamp>) -> Time {
    let day = |at: Timestamp| at.strftime("%F").to_string();
    let form = if now.is_some_and(|now| day(now) == day(at)) { "%H:%M UTC" } else { "%F %H:%M UTC" };
    Time { machine: at.to_string(), shown: at.strftime(form).to_string() }
}
