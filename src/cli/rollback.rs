//! `unscim rollback`: shows what of ours can be undone and, where that is asked for, undoes it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit, Output};
use crate::cli::terminal::{Sheet, Tone, print};
use crate::config;
use crate::config::freeze::ConfigFreeze;
use crate::judge::way::by_name;
use crate::judge::{Facts, count, dates};
use crate::model::action::{Action, Done};
use crate::model::deed::Deed;
use crate::model::id::UserId;
use crate::model::memory::{Memory, Remembered};
use crate::model::names::Names;
use crate::model::seen::Seen;
use crate::model::snapshot::Snapshot;
use crate::model::spec::{Hold, Mode, Spec};
use crate::model::window::Hours;
use crate::turn::act::back::{PutBack, put_back};
use crate::turn::observe::observe;
use crate::turn::remember::remember;
use crate::turn::{Carried, bound_elsewhere, recall};
use crate::undo::{Direct, Undo, carried, undo};
use crate::world::connect::{Outside, network};
use crate::world::http::Unobserved;
use crate::world::ledger::SqliteLedger;
use crate::world::{Clock as _, Directory as _, Ledger as _, SystemClock, World, seen};

/// Actions that are printed one by one.
const SHOWN: usize = 20;

/// What cannot be undone by anybody, in plain words.
const GONE: [&str; 3] = [
    "a SCIM token that was deleted: make a new one in the app, and enter it on the app's provisioning page in Entra",
    "a group that was deleted at the target: the next cycle creates it under a new id, without what the app kept in it",
    "what happened in the app meanwhile",
];

/// `unscim rollback`.
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
        rollback.shown().print()?;
    }
    let json = |back: Option<&PutBack>| match args.output {
        Output::Text => Ok(()),
        Output::Json => print(&format!("{:#}\n", rollback.document(back))),
    };
    if rollback.undo.actions().is_empty() {
        if args.yes && !rollback.undo.waits.is_empty() {
            rollback.begin(&world)?;
        }
        json(None)?;
        return Ok(if rollback.undo.waits.is_empty() { Exit::Done } else { Exit::Waiting });
    }
    if !args.yes {
        json(None)?;
        if text {
            print("\nNothing was written. Stop the daemon and run this again with --yes to do it.\n")?;
        }
        return Ok(Exit::Pending);
    }
    let back = rollback.carry_out(&world, &spec, stop).await?;
    json(Some(&back))?;
    if text {
        told(&back).print()?;
    }
    Ok(if back.stopped.is_some() || !back.failed.is_empty() {
        Exit::Held
    } else if rollback.undo.waits.is_empty() {
        Exit::Done
    } else {
        Exit::Waiting
    })
}

/// A rollback that was looked at and not yet done.
#[derive(Debug)]
pub struct Rollback {
    pub undo: Undo,
    names: Vec<String>,
    seen: Snapshot,
    memory: Memory,
}

/// Looks at everything that we have changed; writes nothing.
pub async fn look(world: &impl World, spec: &Spec, direct: Direct, stop: &CancellationToken) -> Result<Rollback> {
    let mut memory = recall(world, &Carried { names: Names::Shown, ..Carried::default() });
    match &memory.baseline {
        Seen::Known(_) => {}
        Seen::Absent => bail!("this ledger has no baseline: nothing was ever done by it"),
        Seen::Unknown(why) => bail!("the ledger can't be read: {why}"),
    }
    let deeds = world.ledger().deeds()?;
    memory.remembered = anew(&memory.remembered);
    let mut now = stop.run_until_cancelled(observe(world, spec, &memory)).await.context("interrupted")?;
    memory.remembered.latest = dates::heed(spec, memory.remembered.latest, &mut now);
    let at = world.clock().moment();
    if let Some(why) = bound_elsewhere(&Facts::new(spec, &now, &memory, at)) {
        bail!("{why}");
    }
    stop.run_until_cancelled(people(world, spec, &deeds, &mut now)).await.context("interrupted")?;
    remember(spec, &now, &mut memory, at);
    memory.remembered.carried = carried(&Facts::new(spec, &now, &memory, at), &deeds);
    let facts = Facts::new(spec, &now, &memory, at);
    let undo = undo(&facts, &deeds, direct);
    let names = undo.actions().iter().map(|action| by_name(&facts, action)).collect();
    Ok(Rollback { undo, names, seen: now, memory })
}

/// What holds of the memory once its deeds are undone: cycles, and how the target answers.
fn anew(before: &Remembered) -> Remembered {
    Remembered {
        turn: before.turn,
        rolled_back: before.rolled_back,
        cycles: before.cycles.clone(),
        calibration: before.calibration.clone(),
        carried: before.carried.clone(),
        latest: before.latest,
        ..Remembered::default()
    }
}

/// Whether those whom we removed from groups exist and are enabled.
async fn people(world: &impl World, spec: &Spec, deeds: &[Deed], now: &mut Snapshot) {
    let attribute = spec.target.match_attribute(now.schema.known()).unwrap_or_else(|| "userPrincipalName".into());
    let removed = deeds.iter().filter(|deed| deed.is_ours()).filter_map(|deed| match deed.action {
        Action::RemoveMember { user, .. } => Some(user).filter(|user| !now.users.contains_key(user)),
        _ => None,
    });
    let users: Vec<UserId> = removed.collect::<BTreeSet<_>>().into_iter().collect();
    for (user, found) in users.iter().zip(world.directory().users_by_id(&users, &attribute).await) {
        now.users.insert(*user, seen(found));
    }
}

impl Rollback {
    pub fn shown(&self) -> Sheet {
        let mut sheet = Sheet::new();
        if self.names.is_empty() {
            sheet.say("Nothing to put back now.");
        } else {
            sheet.item("", Tone::Title, "To be put back, in this order ", &format!("({}):", count(self.names.len(), "write")));
            sheet.list("  ", &self.names, SHOWN);
        }
        if self.undo.already > 0 {
            sheet.blank();
            sheet.say(&format!("Already as before: {}", count(self.undo.already, "object")));
        }
        for (title, lines) in [("Waits for:", &self.undo.waits), ("Stays as it is:", &self.undo.stays)] {
            if !lines.is_empty() {
                sheet.title(Tone::Title, title);
                sheet.list("  ", lines, usize::MAX);
            }
        }
        sheet.title(Tone::Title, "What no rollback brings back:");
        sheet.list("  ", &GONE.map(str::to_owned), usize::MAX);
        sheet
    }

    /// For machines; `back` is what was done of it.
    fn document(&self, back: Option<&PutBack>) -> Value {
        let done = back.map(|back| {
            let done = back.done.iter().map(|(action, done)| json!({ "action": action, "result": done.label() }));
            json!({ "done": done.collect::<Vec<_>>(), "refused": back.failed, "stopped": back.stopped })
        });
        json!({
            "actions": self.undo.actions(), "alreadyAsBefore": self.undo.already, "waits": self.undo.waits, "stays": self.undo.stays,
            "carriedOut": done,
        })
    }

    /// Writes, each with its line in the journal. From its beginning on the ledger is held until the mode is set anew.
    pub async fn carry_out(&self, world: &impl World, spec: &Spec, stop: &CancellationToken) -> Result<PutBack> {
        let at = world.clock().now();
        if let Some(why) = forbidden(spec, &self.undo, at) {
            bail!("{why}; nothing was written");
        }
        let app = self.seen.app.known().map(|app| app.id).context("the app could not be read; nothing was written")?;
        self.begin(world)?;
        Ok(put_back(world, spec, self.memory.remembered.turn, app, &self.undo, stop).await)
    }

    /// Remembers what this look has shown, for the next one; the ledger is held from now on.
    fn begin(&self, world: &impl World) -> Result<()> {
        let remembered = Remembered { rolled_back: Some(world.clock().now()), ..anew(&self.memory.remembered) };
        Ok(world.ledger().remember(&remembered)?)
    }
}

/// The operator's own word against it.
fn forbidden(spec: &Spec, undo: &Undo, at: Timestamp) -> Option<String> {
    if spec.mode == Mode::Observe {
        return Some("spec.mode is Observe, in which nothing is ever written; set it to Enforce for a rollback".into());
    }
    if spec.hold == Hold::Held {
        return Some("spec.hold is Held; set it to None for a rollback".into());
    }
    let takes = undo.actions().iter().any(Action::is_destructive);
    match spec.windows.as_ref().filter(|_| takes).map(|windows| windows.at(at)) {
        Some(Hours::Open(_)) | None => None,
        Some(_) => Some("spec.windows: assignments are taken back only in those hours".into()),
    }
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
    sheet.say(
        "The ledger is held now: the daemon writes nothing until it has run with spec.mode: Observe and the mode is set again.",
    );
    sheet
}
