//! `unscim plan`: the whole way from here, and what a turn would do now. Nothing is written but stdout.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit, Output};
use crate::cli::terminal::{Sheet, Tone, print_json};
use crate::config;
use crate::config::freeze::ConfigFreeze;
use crate::judge::roadmap::Roadmap;
use crate::model::condition::{ConditionKind, Truth};
use crate::model::names::Names;
use crate::model::spec::Spec;
use crate::model::status::{Outlook, Status};
use crate::model::words::count;
use crate::turn::{LoopState, Permit, Turn, turn};
use crate::world::SystemClock;
use crate::world::connect::{Outside, network};
use crate::world::http::Unobserved;
use crate::world::ledger::SqliteLedger;

/// Actions that are printed one by one.
const SHOWN: usize = 20;

pub async fn run(args: &args::Plan, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    let ledger = match &args.data_dir {
        Some(dir) if !dir.exists() => {
            bail!("there is no directory {} (--data-dir); leave the flag out to plan as if there were no ledger", dir.display())
        }
        Some(dir) => SqliteLedger::open_read_only(dir)?,
        None => SqliteLedger::in_memory()?,
    };
    let turn = look(&spec, &args.config.config, ledger, stop).await?;
    match args.output {
        Output::Text => plan_text(&spec, &turn).print()?,
        Output::Json => print_json(&plan_json(&turn))?,
    }
    let status = &turn.status;
    Ok(if !status.is_true(ConditionKind::GraphReachable) {
        Exit::Trouble
    } else if status.is_true(ConditionKind::Held) {
        Exit::Held
    } else if turn.acted.approved().actions().is_empty() {
        Exit::Done
    } else {
        Exit::Pending
    })
}

fn plan_text(spec: &Spec, turn: &Turn) -> Sheet {
    let status = &turn.status;
    let mut sheet = Sheet::new();
    sheet.item("", Tone::Title, &format!("{} ", spec.name), &format!("(mode {:?})", spec.mode));
    sheet.blank();
    for (title, kind) in [
        ("preflight", ConditionKind::Preflight),
        ("baseline", ConditionKind::BaselineRecorded),
        ("users kept", ConditionKind::UsersKept),
    ] {
        let Some(condition) = status.condition(kind) else { continue };
        let (tone, mark) = match condition.status {
            Truth::True => (Tone::Good, "done"),
            Truth::False => (Tone::Open, "open"),
            Truth::Unknown => (Tone::Open, "?"),
        };
        sheet.item("  ", tone, &format!("{mark:<5}"), &format!("{title}: {} ({})", condition.message, condition.reason));
    }
    if let Some(roadmap) = &turn.roadmap {
        write_roadmap(spec, roadmap, status, &mut sheet);
    }
    let now = turn.roadmap.as_ref().map(|roadmap| roadmap.now.as_slice()).unwrap_or_default();
    if now.is_empty() {
        sheet.title(Tone::Title, "A turn would do nothing now.");
    } else {
        sheet.title(Tone::Title, "A turn would do now:");
        sheet.list("  ", now, SHOWN);
    }
    let held: Vec<_> = status.held.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect();
    sheet.titled(Tone::Bad, "Held:", &held);
    sheet.titled(Tone::Title, "Notes:", &status.notes);
    sheet
}

fn write_roadmap(spec: &Spec, roadmap: &Roadmap, status: &Status, sheet: &mut Sheet) {
    let users = &roadmap.users;
    let kinds = [
        (users.enabled, "enabled"),
        (users.disabled, "disabled"),
        (users.not_read, "not looked up in Entra now"),
        (users.guests, if users.guests == 1 { "guest" } else { "guests" }),
        (users.deleted, "deleted"),
        (users.in_several_groups, "in several groups when first seen"),
        (users.with_several_roles, "with several roles"),
        (users.already_direct, "already assigned themselves"),
        (users.unknown_at_target, "unknown at the target"),
        (users.inactive_at_target_from_the_start, "inactive at the target from the start"),
        (users.released, "released"),
    ];
    let kinds: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    sheet.blank();
    sheet.say(&format!("{}{kinds}", count(users.protected as usize, "protected user")));
    sheet.title(Tone::Title, &format!("{}:", count(roadmap.groups.len(), "managed group")));
    sheet.table(
        &["group", "users", "members", "what hangs on it, and why"],
        roadmap.groups.iter().map(|group| {
            let unread = if group.assigned { "not known" } else { "not read" };
            let users = group.users.map_or_else(|| unread.to_owned(), |users| users.to_string());
            vec![format!("{} ({})", group.name, group.id), users, group.members.to_owned(), group.about()]
        }),
    );
    sheet.title(Tone::Title, "The way from here:");
    sheet.table(
        &["step", "what is left", "cycles", "writes", "at least"],
        roadmap.steps.iter().map(|step| {
            let left = if step.left.is_empty() { "nothing".to_owned() } else { step.left.join("; ") };
            let title = format!("{}. {}", step.number, step.title);
            vec![title, left, step.cycles.to_string(), step.writes.to_string(), rounded(step.takes)]
        }),
    );
    if roadmap.steps.iter().all(|step| step.left.is_empty()) {
        sheet.say("Nothing is left to do.");
    } else {
        sheet.say(&format!(
            "In all {}. {}",
            count(roadmap.writes as usize, "write"),
            ends(spec, roadmap, status.remaining.outlook)
        ));
    }
    sheet.title(Tone::Title, "What Entra would then send to the app:");
    if roadmap.calls.is_empty() {
        sheet.say(match status.gauges.token_revoked {
            Some(true) => "Nothing: its token is refused.",
            _ => "Not known: the app or its assignments could not be read.",
        });
    }
    for stage in &roadmap.calls {
        sheet.item(
            "  ",
            Tone::Plain,
            "",
            &format!("after {}:{}", stage.after, if stage.calls.is_empty() { " nothing" } else { "" }),
        );
        sheet.list("    ", &stage.calls, SHOWN);
    }
    sheet.blank();
    sheet.say(&format!("The decisions in it: {}", roadmap.digest));
    sheet.say("As spec.approval it makes Enforce refuse anything decided otherwise.");
}

fn ends(spec: &Spec, roadmap: &Roadmap, outlook: Outlook) -> String {
    if !matches!(outlook, Outlook::InSight | Outlook::Observing) {
        return format!("When it ends: {}.", outlook.words());
    }
    let takes: Duration = roadmap.steps.iter().map(|step| step.takes).sum();
    let soonest = if takes.as_secs() == 0 { "at once".into() } else { format!("{} from now", rounded(takes)) };
    format!(
        "Done {soonest} at the soonest ({:.0}): at {}% of Graph's write quota, every cycle on time, nobody to wait for.",
        roadmap.earliest,
        part(spec.limits.share())
    )
}

/// In percent, with a digit behind the point where it has one.
fn part(share: f64) -> String {
    format!("{:.1}", share * 100.0).trim_end_matches(".0").to_owned()
}

/// To the minute, as nothing here is known better.
fn rounded(time: Duration) -> String {
    let minutes = time.as_secs().div_ceil(60);
    if minutes == 0 { "now".into() } else { humantime::format_duration(Duration::from_secs(minutes * 60)).to_string() }
}

fn plan_json(turn: &Turn) -> Value {
    let status = &turn.status;
    json!({
        "conditions": status.conditions,
        "progress": status.progress,
        "way": turn.roadmap,
        "actions": turn.acted.approved().actions(),
        "held": status.held,
        "notes": status.notes,
    })
}

/// One turn with its hands tied.
pub(super) async fn look(spec: &Spec, config: &Path, ledger: SqliteLedger, stop: &CancellationToken) -> Result<Turn> {
    let world = Outside::new(spec, network(spec)?, Arc::new(Unobserved), ledger, SystemClock, ConfigFreeze::of(config));
    let mut state = LoopState { names: Names::Shown, ..LoopState::default() };
    turn(&world, spec, Permit::ReadOnly, &mut state, stop).await.context("interrupted")
}
