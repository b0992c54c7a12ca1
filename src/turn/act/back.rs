//! Carries out a rollback, in order, and nothing else.

use std::ops::ControlFlow;

use tokio_util::sync::CancellationToken;

use super::fresh_look::FreshLook;
use super::in_order::{Rules, Run, Stopped, Verdict, carry_out};
use crate::model::action::{Action, Done};
use crate::model::id::{GroupId, ServicePrincipalId};
use crate::model::moment::Moment;
use crate::model::spec::Spec;
use crate::undo::Undo;
use crate::world::World;
use crate::world::error::{Class, Error};

/// How far a rollback came.
#[derive(Debug, Default)]
pub struct PutBack {
    pub done: Vec<(Action, Done)>,
    /// What was refused, one by one.
    pub failed: Vec<String>,
    /// Why it did not come to the end.
    pub stopped: Option<String>,
    /// A write was written down as about to go, whatever became of it.
    pub has_begun: bool,
}

/// Carries out an [`Undo`], in order. One group's or user's refusal says nothing of the next one; anything else ends it.
/// Before a direct assignment goes, its user's groups are read again.
pub async fn put_back(
    world: &impl World,
    spec: &Spec,
    turn: u64,
    app: ServicePrincipalId,
    undo: &Undo,
    stop: &CancellationToken,
) -> PutBack {
    let by = spec.target.revocation.by;
    let run = Run { turn, app, stop, baseline: None, revocation_by: by, hook_key: String::new() };
    let mut rules = OfRollback { undo, carriers: undo.carriers().into_iter().collect(), back: PutBack::default() };
    let ended = carry_out(world, &run, &mut rules, undo.actions().to_vec(), None).await;
    PutBack { stopped: ended.err().or(rules.back.stopped), ..rules.back }
}

struct OfRollback<'a> {
    undo: &'a Undo,
    carriers: Vec<GroupId>,
    back: PutBack,
}

impl Rules for OfRollback<'_> {
    const STALE: &'static str = "it waited too long; the groups have to be read again";

    fn has_lapsed(&self, _: Moment) -> Option<String> {
        None
    }

    fn rests_on(&self, _: &[&Action]) -> Vec<GroupId> {
        self.carriers.clone()
    }

    fn judge(&mut self, look: &FreshLook, action: &Action) -> Verdict {
        if look.carries(self.undo, action) {
            return Verdict::Goes;
        }
        self.back.failed.push(format!("{action}: no group carries them any more"));
        Verdict::Dropped
    }

    fn conclude(&mut self, action: Action, done: Done, error: Option<Error>) -> ControlFlow<()> {
        self.back.done.push((action.clone(), done));
        let Some(error) = error else { return ControlFlow::Continue(()) };
        tracing::warn!(action = %action, result = done.label(), error = %error, "write not confirmed");
        let independent = matches!(error.class(), Class::Invalid | Class::Gone) || error.is_failed_dependency();
        if done != Done::Open && independent {
            self.back.failed.push(format!("{action}: {error}"));
            return ControlFlow::Continue(());
        }
        self.back.stopped.get_or_insert(error.to_string());
        ControlFlow::Break(())
    }

    fn without_room(&self) -> Stopped {
        Err("no write may go out now".into())
    }
}
