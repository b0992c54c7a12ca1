//! The verbs that look and tell: `plan`, `check`, `status`. Nothing is written but stdout.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Exit, Output};
use crate::config;
use crate::config::freeze::ConfigFreeze;
use crate::guide::GUIDE;
use crate::model::condition::{ConditionKind, Truth};
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
    turn(&world, spec, Leave::Looks, &mut Carried::default(), stop).await.context("interrupted")
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
    let (status, actions) = (&turn.status, turn.acted.approved().actions());
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
    for step in &GUIDE {
        condition(&mut out, &format!("{}. {}", step.number, step.title), step.condition);
    }
    condition(&mut out, "users kept", ConditionKind::UsersKept);
    if actions.is_empty() {
        out += "\nA turn would do nothing now.\n";
    } else {
        let _ = writeln!(out, "\nA turn would do now:");
        for action in actions.iter().take(SHOWN) {
            let _ = writeln!(out, "  {action}");
        }
        if actions.len() > SHOWN {
            let _ = writeln!(out, "  and {} more (--output json lists them all)", actions.len() - SHOWN);
        }
    }
    list(&mut out, "Held:", status.held.iter().map(|held| format!("{}: {}", held.brake, held.message)));
    list(&mut out, "Notes:", status.notes.iter().cloned());
    out
}

fn plan_json(turn: &Turn) -> Value {
    let status = &turn.status;
    json!({
        "conditions": status.conditions,
        "progress": status.progress,
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

/// To stdout; a reader that went away is no trouble of ours.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to stdout"),
    }
}
