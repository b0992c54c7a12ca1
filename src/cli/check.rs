//! `unscim check`: config, permissions and preflight, every finding at once. Nothing is written but stdout.

use anyhow::Result;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit, Output};
use crate::cli::plan::look;
use crate::cli::terminal::{Sheet, Tone, print, print_json};
use crate::config;
use crate::model::spec::Spec;
use crate::model::status::figure;
use crate::world::ledger::SqliteLedger;

pub async fn run(args: &args::Check, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    if args.offline {
        match args.output {
            Output::Text => print(&fine(args, &spec))?,
            Output::Json => {
                print_json(&json!({ "config": args.config.config, "mode": spec.mode, "offline": true, "passed": true }))?
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
        print_json(&json!({
            "config": args.config.config, "mode": spec.mode, "offline": false, "passed": exit == Exit::Done,
            "refused": refusals, "unknown": unknowns, "heldLater": later, "notes": findings.notes, "progress": progress,
        }))?;
        return Ok(exit);
    }
    let mut sheet = Sheet::new();
    sheet.titled(Tone::Bad, "Refused; a person must decide:", refusals);
    sheet.titled(Tone::Open, "Could not be read:", unknowns);
    let later: Vec<_> = later.iter().map(|held| format!("{}: {}", held.brake, held.message)).collect();
    sheet.titled(Tone::Open, "Would be held later:", &later);
    sheet.titled(Tone::Title, "Notes:", &findings.notes);
    sheet.blank();
    sheet.say(&match progress.users_protected {
        None => "who is to be protected is not known yet".to_owned(),
        Some(users) => format!(
            "{} groups, {users} users to protect, {} of them assigned directly",
            figure(progress.groups),
            figure(progress.users_assigned)
        ),
    });
    match exit {
        Exit::Done => sheet.item("", Tone::Good, "preflight: passed", ""),
        _ => sheet.say(
            "Checked as before the first run, without a ledger. Of a retirement under way, unscim plan --data-dir DIR tells.",
        ),
    }
    print(&(fine(args, &spec) + &sheet.into_text()))?;
    Ok(exit)
}

fn fine(args: &args::Check, spec: &Spec) -> String {
    format!("config: {} is fine (mode {:?})\n", args.config.config.display(), spec.mode)
}
