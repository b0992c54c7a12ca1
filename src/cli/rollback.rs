//! `unscim rollback`: shows what of ours can be undone and, where that is asked for, undoes it.

use anyhow::Result;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit, Output, Refused};
use crate::cli::terminal::{Sheet, Tone, print, print_json};
use crate::config;
use crate::config::freeze::ConfigFreeze;
use crate::model::action::Done;
use crate::model::words::count;
use crate::turn::act::back::PutBack;
use crate::undo::{Direct, Rollback, look};
use crate::world::SystemClock;
use crate::world::connect::{Outside, network};
use crate::world::http::Unobserved;
use crate::world::ledger::SqliteLedger;

/// Actions that are printed one by one.
const SHOWN: usize = 20;

/// What cannot be undone by anybody, in plain words.
const GONE: [&str; 3] = [
    "a SCIM token that was deleted: make a new one in the app, and enter it on the app's provisioning page in Entra",
    "a group that was deleted at the target: the next cycle creates it under a new id, without what the app kept in it",
    "what happened in the app meanwhile",
];

const HELD: &str =
    "The ledger is held now: the daemon writes nothing until it has run with spec.mode: Observe and the mode is set again.";

pub async fn run(args: &args::Rollback, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&args.config.config)?;
    let copy = SqliteLedger::open_evidence(&args.data_dir)?;
    let ledger = if args.yes { SqliteLedger::open(&args.data_dir)? } else { copy };
    let freeze = ConfigFreeze::of(&args.config.config);
    let world = Outside::new(&spec, network(&spec)?, std::sync::Arc::new(Unobserved), ledger, SystemClock, freeze);
    let direct = if args.remove_direct { Direct::Go } else { Direct::Stay };
    let rollback = look(&world, &spec, direct, stop).await?;
    let text = args.output == Output::Text;
    if text {
        shown(&rollback).print()?;
    }
    let json = |back: Option<&PutBack>| match args.output {
        Output::Text => Ok(()),
        Output::Json => print_json(&document(&rollback, back)),
    };
    let undo = &rollback.undo;
    let nothing_to_write = undo.actions().is_empty();
    if !args.yes || !rollback.is_due() {
        json(None)?;
        if text && !nothing_to_write {
            print("\nNothing was written. Stop the daemon and run this again with --yes to do it.\n")?;
        }
        return Ok(match undo {
            _ if !nothing_to_write => Exit::Pending,
            undo if undo.is_blind => Exit::Trouble,
            undo if undo.waits.is_empty() => Exit::Done,
            _ => Exit::Waiting,
        });
    }
    if let Some(why) = rollback.forbidden(&world, &spec) {
        return Err(Refused(why).into());
    }
    let back = rollback.carry_out(&world, &spec, stop).await?;
    json(Some(&back))?;
    if text && nothing_to_write {
        print(&format!("\n{HELD}\n"))?;
    } else if text {
        told(&back).print()?;
    }
    Ok(if back.stopped.is_some() || !back.failed.is_empty() {
        Exit::Held
    } else if undo.waits.is_empty() {
        Exit::Done
    } else {
        Exit::Waiting
    })
}

pub fn shown(rollback: &Rollback) -> Sheet {
    let mut sheet = Sheet::new();
    if rollback.names.is_empty() {
        sheet.say(if rollback.undo.is_blind {
            "What is to be put back can't be told, as the tenant could not be read. Nothing was written."
        } else {
            "Nothing to put back now."
        });
    } else {
        sheet.item("", Tone::Title, "To be put back, in this order ", &format!("({}):", count(rollback.names.len(), "write")));
        sheet.list("  ", &rollback.names, SHOWN);
    }
    if rollback.undo.already > 0 {
        sheet.blank();
        sheet.say(&format!("Already as before: {}", count(rollback.undo.already, "object")));
    }
    sheet.titled(Tone::Title, "Waits for:", &rollback.undo.waits);
    sheet.titled(Tone::Title, "Comes into scope with it:", &rollback.undo.comes);
    sheet.titled(Tone::Title, "Stays as it is:", &rollback.undo.stays);
    sheet.title(Tone::Title, "What no rollback brings back:");
    sheet.list("  ", &GONE.map(str::to_owned), usize::MAX);
    sheet
}

/// For machines; `back` is what was done of it.
fn document(rollback: &Rollback, back: Option<&PutBack>) -> Value {
    let done = back.map(|back| {
        let done = back.done.iter().map(|(action, done)| json!({ "action": action, "result": done.label() }));
        json!({ "done": done.collect::<Vec<_>>(), "refused": back.failed, "stopped": back.stopped, "ledgerHeld": back.has_begun })
    });
    json!({
        "actions": rollback.undo.actions(), "alreadyAsBefore": rollback.undo.already, "waits": rollback.undo.waits, "stays": rollback.undo.stays,
        "comesIntoScope": rollback.undo.comes,
        "carriedOut": done,
    })
}

fn told(back: &PutBack) -> Sheet {
    let number = |wanted: Done| back.done.iter().filter(|(_, done)| *done == wanted).count();
    let mut sheet = Sheet::new();
    let already = if number(Done::Already) > 0 { format!(", {} already so", number(Done::Already)) } else { String::new() };
    sheet.blank();
    sheet.say(&format!("Done: {}{already}", count(number(Done::Ok), "write")));
    for line in &back.failed {
        sheet.item("  ", Tone::Bad, "refused: ", line);
    }
    if let Some(why) = &back.stopped {
        sheet.item("", Tone::Bad, "Stopped: ", &format!("{why}. What was done is in the journal; run it again for the rest."));
    }
    sheet.say(if back.has_begun { HELD } else { "Nothing was written, and the ledger is as it was." });
    sheet
}
