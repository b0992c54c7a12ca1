//! Carries out an [`Approved`], in order, and nothing else. The dry-run of a turn is here and only here.

pub mod back;
mod fresh_look;
mod in_order;
pub mod volley;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use crate::judge::brakes::Approved;
use crate::model::action::{Action, Done};
use crate::model::id::GroupId;
use crate::model::memory::Memory;
use crate::model::moment::Moment;
use crate::model::names::Names;
use crate::model::snapshot::Snapshot;
use crate::model::spec::{Mode, Spec};
use crate::world::World;
use crate::world::error::{Class, Error};
use fresh_look::FreshLook;
use in_order::{Rules, Run, Stopped, Verdict, carry_out};

/// What was done of a plan. Made by [`act`] only.
#[derive(Debug)]
pub struct Acted {
    approved: Approved,
    done: Vec<(&'static str, Done, usize)>,
    stopped: Option<String>,
}

impl Acted {
    pub fn approved(&self) -> &Approved {
        &self.approved
    }
    /// The kinds of the actions that were tried, how they ended, and how many in a row so; the journal has all of it.
    pub fn done(&self) -> &[(&'static str, Done, usize)] {
        &self.done
    }
    /// Why it did not come to the end of the plan.
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }
}

/// `mode` may be stricter than the spec's.
pub async fn act(
    world: &impl World,
    spec: &Spec,
    mode: Mode,
    seen: &Snapshot,
    memory: &Memory,
    mut approved: Approved,
    stop: &CancellationToken,
) -> Acted {
    let Some(app) = seen.app.known().filter(|_| mode != Mode::Observe) else {
        return Acted { approved, done: Vec::new(), stopped: None };
    };
    let actions = approved.take();
    let run = Run {
        turn: memory.remembered.turn,
        app: app.id,
        stop,
        baseline: approved.baseline(),
        revocation_by: spec.target.revocation.by,
        hook_key: hook_key(spec, memory),
    };
    let mut rules = OfTurn { approved: &approved, names: memory.names, done: Vec::new(), failed: None };
    let ended = carry_out(world, &run, &mut rules, actions, Some(FreshLook::of_turn(seen))).await;
    let OfTurn { done, failed, .. } = rules;
    Acted { approved, done, stopped: ended.err().or(failed) }
}

fn hook_key(spec: &Spec, memory: &Memory) -> String {
    let taken = memory.baseline.known().map_or(0, |baseline| baseline.taken.as_second());
    format!("unscim-{}-{taken}-{}", spec.name, memory.remembered.revocations_void)
}

/// A turn goes by its approval, and looks afresh in the next one at anything that is not as it was.
struct OfTurn<'a> {
    approved: &'a Approved,
    names: Names,
    done: Vec<(&'static str, Done, usize)>,
    /// What was first said against a write.
    failed: Option<String>,
}

impl Rules for OfTurn<'_> {
    const STALE: &'static str = "it waited too long; who is covered has to be read again";

    fn has_lapsed(&self, now: Moment) -> Option<String> {
        self.approved.has_expired(now).then(|| "the approval has expired".to_owned())
    }

    /// The groups whose end is among these.
    fn rests_on(&self, actions: &[&Action]) -> Vec<GroupId> {
        let groups: BTreeSet<GroupId> = actions.iter().filter_map(|action| action.unassigns()).collect();
        groups.into_iter().collect()
    }

    fn judge(&mut self, look: &FreshLook, action: &Action) -> Verdict {
        match look.covers(self.approved, action) {
            Ok(()) => Verdict::Goes,
            Err(why) => Verdict::Ends(why),
        }
    }

    fn conclude(&mut self, action: Action, done: Done, error: Option<Error>) -> ControlFlow<()> {
        match self.done.last_mut() {
            Some((last, how, times)) if *last == action.kind() && *how == done => *times += 1,
            _ => self.done.push((action.kind(), done, 1)),
        }
        let Some(error) = error else { return ControlFlow::Continue(()) };
        let words = self.names.of(&error.to_string());
        // The warning is given once for its kind, by `turn::warnings`.
        tracing::info!(action = %action, result = done.label(), error = words, "write not confirmed");
        self.failed.get_or_insert(error.to_string());
        // One user's refusal says nothing of the next one's row, and who waited for another is looked at again; anything else
        // ends it.
        let independent = matches!(action, Action::AssignUser { .. }) && matches!(error.class(), Class::Invalid | Class::Gone);
        if done != Done::Open && (independent || error.is_failed_dependency()) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    fn without_room(&self) -> Stopped {
        Ok(())
    }
}
