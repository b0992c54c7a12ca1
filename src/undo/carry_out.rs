//! A rollback: looks at what of ours can be undone, and undoes it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::judge::{Direct, Undo, carried, undo};
use crate::judge::baseline::bound_elsewhere;
use crate::judge::dates;
use crate::judge::facts::Facts;
use crate::judge::roadmap::by_name;
use crate::model::action::Action;
use crate::model::history::HistoryEntry;
use crate::model::id::UserId;
use crate::model::key::KeyKind;
use crate::model::memory::{DepartureKind, Remembered};
use crate::model::names::Names;
use crate::model::observed::Observed;
use crate::model::snapshot::Snapshot;
use crate::model::spec::{Hold, Mode, Spec};
use crate::model::window::Hours;
use crate::model::write_record::WriteRecord;
use crate::turn::act::back::{PutBack, put_back};
use crate::turn::observe::observe;
use crate::turn::remember::take_in;
use crate::turn::{LoopState, history, record};
use crate::world::{Clock as _, Directory as _, Ledger as _, World, observed};

/// A rollback that was looked at and not yet done.
#[derive(Debug)]
pub struct Rollback {
    pub undo: Undo,
    /// Of the actions, in their order.
    pub names: Vec<String>,
    seen: Snapshot,
    /// What holds from its beginning on.
    remembered: Remembered,
    /// What this look was the first to show, for the report.
    witnessed: Vec<HistoryEntry>,
}

/// Looks at everything that we have changed; writes nothing.
pub async fn look(world: &impl World, spec: &Spec, direct: Direct, stop: &CancellationToken) -> Result<Rollback> {
    let mut memory = record::load(world.ledger(), &mut LoopState { names: Names::Shown, ..LoopState::default() });
    match &memory.baseline {
        Observed::Known(_) => {}
        Observed::Absent => bail!("this ledger has no baseline: nothing was ever done by it"),
        Observed::Unknown(why) => bail!("the ledger can't be read: {why}"),
    }
    let writes = world.ledger().writes()?;
    memory.remembered = anew(&memory.remembered);
    let before = memory.remembered.clone();
    let look = stop.run_until_cancelled(observe(world, spec, &memory)).await.context("interrupted")?;
    let (mut now, latest) = dates::believed(spec, memory.remembered.latest, look);
    memory.remembered.latest = latest;
    let at = world.clock().moment();
    if let Some(why) = bound_elsewhere(&Facts::new(spec, &now, &memory, at)) {
        bail!("{why}");
    }
    stop.run_until_cancelled(people(world, spec, &writes, &mut now)).await.context("interrupted")?;
    let mut memory = take_in(spec, &now, memory, at);
    memory.remembered.carried = carried(&Facts::new(spec, &now, &memory, at), &writes);
    let facts = Facts::new(spec, &now, &memory, at);
    let undo = undo(&facts, &writes, direct);
    let names = undo.actions().iter().map(|action| by_name(&facts, action)).collect();
    let taken = [KeyKind::Members, KeyKind::Unassigns].map(|kin| facts.last_confirmed(kin));
    let begun_anew = taken.into_iter().flatten().fold(facts.service_time(), Timestamp::max);
    memory.remembered = Remembered { begun_anew: Some(begun_anew), ..anew(&memory.remembered) };
    // Begun anew, it asks for the token's end again.
    memory.remembered.ask_anew(&memory.journal);
    let witnessed = history::since(&Facts::new(spec, &now, &memory, at), &before).collect();
    Ok(Rollback { undo, names, seen: now, remembered: memory.remembered, witnessed })
}

/// What holds of the memory once its writes are undone: cycles, how the target answers, who is disabled, and who is lost or in doubt.
/// Of other departures nothing is believed that was not read since.
fn anew(before: &Remembered) -> Remembered {
    let disabled = before.departed.iter().filter(|(_, departure)| departure.kind == DepartureKind::Disabled);
    Remembered {
        departed: disabled.map(|(id, departure)| (*id, departure.clone())).collect(),
        turn: before.turn,
        rolled_back: before.rolled_back,
        begun_anew: before.begun_anew,
        cycles: before.cycles.clone(),
        seen_cycle: before.seen_cycle.clone(),
        calibration: before.calibration.clone(),
        carried: before.carried.clone(),
        latest: before.latest,
        released: before.released.clone(),
        lost_since: before.lost_since.clone(),
        lost_by: before.lost_by.clone(),
        doubts: before.doubts.clone(),
        ..Remembered::default()
    }
}

/// Whether those whom we removed from groups exist and are enabled.
async fn people(world: &impl World, spec: &Spec, writes: &[WriteRecord], now: &mut Snapshot) {
    let attribute = spec.target.match_attribute(now.schema.known()).unwrap_or_else(|| "userPrincipalName".into());
    let removed = writes.iter().filter(|write| write.is_ours()).filter_map(|write| match write.action {
        Action::RemoveMember { user, .. } => Some(user).filter(|user| !now.users.contains_key(user)),
        _ => None,
    });
    let users: Vec<UserId> = removed.collect::<BTreeSet<_>>().into_iter().collect();
    for (user, found) in users.iter().zip(world.directory().users_by_id(&users, &attribute).await) {
        now.users.insert(*user, observed(found));
    }
}

impl Rollback {
    /// Why it must not be done now, by the operator's own word.
    pub fn forbidden(&self, world: &impl World, spec: &Spec) -> Option<String> {
        let why = self.seen.frozen.clone().or_else(|| forbidden(spec, &self.undo, world.clock().now()))?;
        Some(format!("{why}; nothing was written"))
    }

    /// Whether a run changes anything: the tenant, or the ledger, where it waits for something and this look counts.
    pub fn is_due(&self) -> bool {
        !self.undo.actions().is_empty() || (!self.undo.is_blind && !self.undo.waits.is_empty())
    }

    /// Writes, each with its line in the journal. From the first of them on, or from when it waits to write, the ledger is held until
    /// the mode is set anew.
    pub async fn carry_out(&self, world: &impl World, spec: &Spec, stop: &CancellationToken) -> Result<PutBack> {
        if !self.is_due() {
            return Ok(PutBack::default());
        }
        if let Some(why) = self.forbidden(world, spec) {
            bail!("{why}");
        }
        if self.undo.actions().is_empty() {
            self.begin(world)?;
            return Ok(PutBack { has_begun: true, ..PutBack::default() });
        }
        let app = self.seen.app.known().map(|app| app.id).context("the app could not be read; nothing was written")?;
        let (before, line) = (world.ledger().remembered()?, world.ledger().last_line()?);
        self.begin(world)?;
        let mut back = put_back(world, spec, self.remembered.turn, app, &self.undo, stop).await;
        // A journal that can't be read now, or has a new line, may tell of a write that went out.
        back.has_begun = !world.ledger().last_line().is_ok_and(|now| now == line);
        if !back.has_begun {
            // What was proven before still is.
            world.ledger().remember(&before)?;
        }
        Ok(back)
    }

    /// Remembers what this look has shown, for the next one; the ledger is held from now on.
    fn begin(&self, world: &impl World) -> Result<()> {
        // Done in several runs it is one, and began with the first.
        let rolled_back = Some(self.remembered.rolled_back.unwrap_or_else(|| world.clock().now()));
        let remembered = Remembered { rolled_back, ..self.remembered.clone() };
        Ok(world.ledger().remember_with(&remembered, self.witnessed.iter().cloned())?)
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
