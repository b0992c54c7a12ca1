//! The verbs that look and tell: `plan`, `check`, `status`. Nothing is written but stdout.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Exit, Output, print};
use crate::config;
use crate::config::freeze::ConfigFreeze;
use crate::guide::count;
use crate::guide::way::Way;
use crate::model::condition::{ConditionKind, Truth};
use crate::model::names::Names;
use crate::model::spec::Spec;
use crate::reconcile::{Carried, Leave, Turn, turn};
use crate::serve::view;
use crate::wiring::{Outside, network};
use crate::world::SystemClock;
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
pub async fn plan(args: &cli::Plan, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    let ledger = match &args.data_dir {
        Some(dir) => SqliteLedger::open_read_only(dir)?,
        None => SqliteLedger::in_memory()?,
    };
    let turn = look(&spec, &args.config.config, ledger, stop).await?;
    match args.output {
        Output::Text => print(&plan_text(&spec, &turn))?,
        Output::Json => print(&format!("{:#}\n", plan_json(&turn)))?,
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

fn plan_text(spec: &Spec, turn: &Turn) -> String {
    let status = &turn.status;
    let mut out = format!("{} (mode {:?})\n\n", spec.name, spec.mode);
    let condition = |out: &mut String, title: &str, kind| {
        if let Some(condition) = status.condition(kind) {
            let mark = match condition.status {
                Truth::True => "done",
                Truth::False => "open",
                Truth::Unknown => "?",
            };
            let _ = writeln!(out, "  {mark:<5}{title}: {} ({})", condition.message, condition.reason);
        }
    };
    condition(&mut out, "preflight", ConditionKind::Preflight);
    condition(&mut out, "baseline", ConditionKind::BaselineRecorded);
    condition(&mut out, "users kept", ConditionKind::UsersKept);
    if let Some(way) = &turn.way {
        out += &way_text(spec, way);
    }
    let now = turn.way.as_ref().map(|way| way.now.as_slice()).unwrap_or_default();
    if now.is_empty() {
        out += "\nA turn would do nothing now.\n";
    } else {
        let _ = writeln!(out, "\nA turn would do now:");
        shortened(&mut out, now);
    }
    list(&mut out, "Held:", status.held.iter().map(|held| format!("{}: {}", held.brake, held.message)));
    list(&mut out, "Notes:", status.notes.iter().cloned());
    out
}

fn way_text(spec: &Spec, way: &Way) -> String {
    let users = &way.users;
    let mut out = format!("\n{} protected users", users.protected);
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
    let _ = writeln!(out, "{}{}", if kinds.is_empty() { "" } else { ": " }, kinds.join(", "));
    let _ = writeln!(out, "\n{} managed groups:", way.groups.len());
    for group in &way.groups {
        let users = group.users.map_or_else(|| "members not known".to_owned(), |users| count(users as usize, "user"));
        let _ = write!(out, "  {:?} ({}): {users}, members: {}", group.name, group.id, group.members);
        if !group.uses.is_empty() {
            let _ = write!(out, "; {}", group.uses.join("; "));
        }
        if let Some(why) = &group.why {
            let _ = write!(out, "; {why}");
        }
        out.push('\n');
    }
    out += "\nThe way from here:\n";
    for leg in &way.steps {
        let what = if leg.left.is_empty() { "nothing left".to_owned() } else { leg.left.join("; ") };
        let cycles =
            if leg.cycles > 0 { format!("; {} to wait for", count(leg.cycles as usize, "cycle")) } else { String::new() };
        let _ = writeln!(out, "  {}. {}: {what}{cycles} ({})", leg.number, leg.title, rounded(leg.takes));
    }
    let takes: Duration = way.steps.iter().map(|leg| leg.takes).sum();
    let _ = writeln!(
        out,
        "  in all {}, and done {} from now at the soonest ({:.0}): at {}% of Graph's write quota, every cycle on time, nobody to wait for",
        count(way.writes as usize, "write"),
        rounded(takes),
        way.earliest,
        spec.limits.write_share.0
    );
    out += "\nWhat Entra would then send to the app:\n";
    for stage in &way.calls {
        let _ = writeln!(out, "  after {}:{}", stage.after, if stage.calls.is_empty() { " nothing" } else { "" });
        shortened(&mut out, &stage.calls);
    }
    let _ = writeln!(out, "\nThe decisions in it: {}", way.digest);
    let _ = writeln!(out, "  as spec.approval it makes Enforce refuse anything decided otherwise");
    out
}

fn shortened(out: &mut String, lines: &[String]) {
    for line in lines.iter().take(SHOWN) {
        let _ = writeln!(out, "    {line}");
    }
    if lines.len() > SHOWN {
        let _ = writeln!(out, "    and {} more (--output json lists them all)", lines.len() - SHOWN);
    }
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
pub async fn check(args: &cli::Check, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    let mut out = format!("config: {} is fine (mode {:?})\n", args.config.config.display(), spec.mode);
    if args.offline {
        print(&out)?;
        return Ok(Exit::Done);
    }
    let turn = look(&spec, &args.config.config, SqliteLedger::in_memory()?, stop).await?;
    let findings = &turn.acted.approved().plan().findings;
    let (refusals, unknowns) = (&findings.refusals, &findings.unknowns);
    list(&mut out, "Refused; a person must decide:", refusals.iter().cloned());
    list(&mut out, "Could not be looked at:", unknowns.iter().cloned());
    let refused = turn.status.held.iter().filter(|held| held.brake != "preflight");
    list(&mut out, "Would be held later:", refused.map(|held| format!("{}: {}", held.brake, held.message)));
    list(&mut out, "Notes:", findings.notes.iter().cloned());
    let progress = &turn.status.progress;
    let _ = writeln!(
        out,
        "\n{} groups, {} users to protect, {} of them assigned themselves",
        progress.groups, progress.users_protected, progress.users_assigned
    );
    let exit = match (refusals.is_empty(), unknowns.is_empty()) {
        (false, _) => Exit::Held,
        (true, false) => Exit::Trouble,
        (true, true) => {
            out += "preflight: passed\n";
            Exit::Done
        }
    };
    print(&out)?;
    Ok(exit)
}

/// `unscim status`.
pub async fn status(args: &cli::Status) -> Result<Exit> {
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
        Output::Text => print(&view::render(&document))?,
        Output::Json => print(&format!("{document:#}\n"))?,
    }
    Ok(Exit::Done)
}

fn list(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        let _ = writeln!(out, "\n{title}");
        for item in items {
            let _ = writeln!(out, "  - {item}");
        }
    }
}
