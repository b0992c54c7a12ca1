//! The verbs that look and tell: `plan`, `check`, `status`. Nothing is written but stdout.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit, Output};
use crate::cli::terminal::view;
use crate::cli::terminal::{Sheet, Tone, print};
use crate::config;
use crate::config::freeze::ConfigFreeze;
use crate::judge::count;
use crate::judge::way::Way;
use crate::model::condition::{ConditionKind, Truth};
use crate::model::names::Names;
use crate::model::spec::Spec;
use crate::turn::{Carried, Leave, Turn, turn};
use crate::world::SystemClock;
use crate::world::connect::{Outside, network};
use crate::world::http::Unobserved;
use crate::world::ledger::SqliteLedger;

/// Actions that are printed one by one.
const SHOWN: usize = 20;
const STATUS_WITHIN: Duration = Duration::from_secs(10);
const STATUS_CAP: usize = 4 << 20;

/// One turn with its hands tied.
async fn look(spec: &Spec, config: &Path, ledger: SqliteLedger, stop: &CancellationToken) -> Result<Turn> {
    let world = Outside::new(spec, network(spec)?, Arc::new(Unobserved), ledger, SystemClock, ConfigFreeze::of(config));
    let mut carried = Carried { names: Names::Shown, ..Carried::default() };
    turn(&world, spec, Leave::Looks, &mut carried, stop).await.context("interrupted")
}

/// `unscim plan`.
pub async fn plan(args: &args::Plan, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    let ledger = match &args.data_dir {
        Some(dir) => SqliteLedger::open_read_only(dir)?,
        None => SqliteLedger::in_memory()?,
    };
    let turn = look(&spec, &args.config.config, ledger, stop).await?;
    match args.output {
        Output::Text => plan_text(&spec, &turn).print()?,
        Output::Json => json_out(&plan_json(&turn))?,
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
    if let Some(way) = &turn.way {
        way_text(spec, way, &mut sheet);
    }
    let now = turn.way.as_ref().map(|way| way.now.as_slice()).unwrap_or_default();
    if now.is_empty() {
        sheet.title(Tone::Title, "A turn would do nothing now.");
    } else {
        sheet.title(Tone::Title, "A turn would do now:");
        sheet.list("  ", now, SHOWN);
    }
    let held: Vec<_> = status.held.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect();
    list(&mut sheet, Tone::Bad, "Held:", &held);
    list(&mut sheet, Tone::Title, "Notes:", &status.notes);
    sheet
}

fn way_text(spec: &Spec, way: &Way, sheet: &mut Sheet) {
    let users = &way.users;
    let kinds = [
        (users.enabled, "enabled"),
        (users.disabled, "disabled"),
        (users.guests, "guests"),
        (users.deleted, "deleted"),
        (users.in_several_groups, "in several groups"),
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
    sheet.title(Tone::Title, &format!("{}:", count(way.groups.len(), "managed group")));
    sheet.table(
        &["group", "users", "members", "what hangs on it, and why"],
        way.groups.iter().map(|group| {
            let users = group.users.map_or_else(|| "not known".to_owned(), |users| users.to_string());
            vec![format!("{} ({})", group.name, group.id), users, group.members.to_owned(), group.about()]
        }),
    );
    sheet.title(Tone::Title, "The way from here:");
    sheet.table(
        &["step", "what is left", "cycles", "writes", "at least"],
        way.steps.iter().map(|leg| {
            let left = if leg.left.is_empty() { "nothing".to_owned() } else { leg.left.join("; ") };
            let step = format!("{}. {}", leg.number, leg.title);
            vec![step, left, leg.cycles.to_string(), leg.writes.to_string(), rounded(leg.takes)]
        }),
    );
    let takes: Duration = way.steps.iter().map(|leg| leg.takes).sum();
    sheet.say(&format!(
        "In all {}, and done {} from now at the soonest ({:.0}): at {}% of Graph's write quota, every cycle on time, nobody to wait for.",
        count(way.writes as usize, "write"),
        rounded(takes),
        way.earliest,
        spec.limits.write_share.0
    ));
    sheet.title(Tone::Title, "What Entra would then send to the app:");
    for stage in &way.calls {
        sheet.item(
            "  ",
            Tone::Plain,
            "",
            &format!("after {}:{}", stage.after, if stage.calls.is_empty() { " nothing" } else { "" }),
        );
        sheet.list("    ", &stage.calls, SHOWN);
    }
    sheet.blank();
    sheet.say(&format!("The decisions in it: {}", way.digest));
    sheet.say("As spec.approval it makes Enforce refuse anything decided otherwise.");
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
        "way": turn.way,
        "actions": turn.acted.approved().actions(),
        "held": status.held,
        "notes": status.notes,
    })
}

/// `unscim check`.
pub async fn check(args: &args::Check, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    if args.offline {
        match args.output {
            Output::Text => print(&fine(args, &spec))?,
            Output::Json => {
                json_out(&json!({ "config": args.config.config, "mode": spec.mode, "offline": true, "passed": true }))?
            }
        }
        return Ok(Exit::Done);
    }
    let turn = look(&spec, &args.config.config, SqliteLedger::in_memory()?, stop).await?;
    let findings = &turn.acted.approved().plan().findings;
    let (refusals, unknowns) = (&findings.refusals, &findings.unknowns);
    let exit = match (refusals.is_empty(), unknowns.is_empty()) {
        (false, _) => Exit::Held,
        (true, false) => Exit::Trouble,
        (true, true) => Exit::Done,
    };
    let later: Vec<_> = turn.status.held.iter().filter(|held| held.brake != "preflight").collect();
    let progress = &turn.status.progress;
    if args.output == Output::Json {
        json_out(&json!({
            "config": args.config.config, "mode": spec.mode, "offline": false, "passed": exit == Exit::Done,
            "refused": refusals, "unknown": unknowns, "heldLater": later, "notes": findings.notes, "progress": progress,
        }))?;
        return Ok(exit);
    }
    let mut sheet = Sheet::new();
    list(&mut sheet, Tone::Bad, "Refused; a person must decide:", refusals);
    list(&mut sheet, Tone::Open, "Could not be looked at:", unknowns);
    let later: Vec<_> = later.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect();
    list(&mut sheet, Tone::Open, "Would be held later:", &later);
    list(&mut sheet, Tone::Title, "Notes:", &findings.notes);
    sheet.blank();
    sheet.say(&format!(
        "{} groups, {} users to protect, {} of them assigned themselves",
        progress.groups, progress.users_protected, progress.users_assigned
    ));
    if exit == Exit::Done {
        sheet.item("", Tone::Good, "preflight: passed", "");
    }
    print(&(fine(args, &spec) + &sheet.into_text()))?;
    Ok(exit)
}

fn fine(args: &args::Check, spec: &Spec) -> String {
    format!("config: {} is fine (mode {:?})\n", args.config.config.display(), spec.mode)
}

fn json_out(document: &Value) -> Result<()> {
    print(&format!("{document:#}\n"))
}

/// `unscim status`.
pub async fn status(args: &args::Status) -> Result<Exit> {
    let url = args.url.join("/status").with_context(|| format!("{} has no /status", args.url))?;
    let asking = || async {
        let client = reqwest::Client::builder().timeout(STATUS_WITHIN).redirect(reqwest::redirect::Policy::none()).build()?;
        let mut response = client.get(url.clone()).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > STATUS_CAP {
                bail!("the answer is larger than any status");
            }
        }
        Ok((response.status(), body))
    };
    let (code, body) = asking().await.with_context(|| format!("asking {url}; is unscim running there? (--url)"))?;
    if code == reqwest::StatusCode::SERVICE_UNAVAILABLE {
        bail!("{url}: no turn has ended yet; ask again in a moment");
    }
    let document: Value = match serde_json::from_slice(&body) {
        Ok(document) if code.is_success() => document,
        Ok(_) | Err(_) => bail!("{url} answers {code} and no status; is that unscim? (--url)"),
    };
    match args.output {
        Output::Text => view::render(&document, Sheet::new()).print()?,
        Output::Json => json_out(&document)?,
    }
    Ok(Exit::Done)
}

fn list(sheet: &mut Sheet, tone: Tone, title: &str, items: &[String]) {
    if !items.is_empty() {
        sheet.title(tone, title);
        sheet.list("  ", items, usize::MAX);
    }
}
