//! Carries out a rollback, in order, and nothing else.

use tokio_util::sync::CancellationToken;

use super::fresh_look::FreshLook;
use super::{Ours, carry_out, halted, room, taken, volley};
use crate::model::action::{Action, Done};
use crate::model::id::{GroupId, ServicePrincipalId};
use crate::model::spec::Spec;
use crate::undo::Undo;
use crate::world::error::Class;
use crate::world::{Clock, World};

/// How far a rollback came.
#[derive(Debug, Default)]
pub struct PutBack {
    pub done: Vec<(Action, Done)>,
    /// What was refused, one by one.
    pub failed: Vec<String>,
    /// Why it did not come to the end.
    pub stopped: Option<String>,
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
    let mut back = PutBack::default();
    let carriers: Vec<GroupId> = undo.carriers().into_iter().collect();
    let mut fresh: Option<FreshLook> = None;
    let mut rest = undo.actions().to_vec();
    while let Some(room) = room(world, &rest, stop).await {
        if let Some(why) = halted(world, stop) {
            back.stopped = Some(why);
            break;
        }
        let next = volley::next(&rest, room);
        if next.is_empty() {
            back.stopped = Some("no write may go out now".into());
            break;
        }
        let mut batches = taken(&mut rest, &next);
        let takes = batches.iter().flatten().any(Action::is_destructive);
        if takes {
            if !fresh.as_ref().is_some_and(|look| look.is_fresh(world.clock().moment())) {
                match FreshLook::look(world, app, &carriers).await {
                    Ok(look) => fresh = Some(look),
                    Err(why) => {
                        back.stopped = Some(why);
                        break;
                    }
                }
            }
            for batch in &mut batches {
                batch.retain(|action| {
                    let stands = fresh.as_ref().is_some_and(|look| look.carries(undo, action));
                    if !stands {
                        back.failed.push(format!("{action}: no group carries them any more"));
                    }
                    stands
                });
            }
            batches.retain(|batch| !batch.is_empty());
            if batches.is_empty() {
                continue;
            }
        }
        let last_word = || {
            let is_fresh = fresh.as_ref().is_some_and(|look| look.is_fresh(world.clock().moment()));
            let old = takes && !is_fresh;
            halted(world, stop).or_else(|| old.then(|| "it waited too long; the groups have to be read again".to_owned()))
        };
        match carry_out(world, spec, turn, app, Ours::default(), &batches, &last_word).await {
            Ok(outcomes) => {
                for (action, done, error) in outcomes {
                    back.done.push((action.clone(), done));
                    let Some(error) = error else { continue };
                    tracing::warn!(action = %action, result = done.label(), error = %error, "write not confirmed");
                    if done == Done::Open
                        || !matches!(error.class(), Class::Invalid | Class::Gone) && !error.is_failed_dependency()
                    {
                        rest.clear();
                        back.stopped.get_or_insert(error.to_string());
                    } else {
                        back.failed.push(format!("{action}: {error}"));
                    }
                }
            }
            Err(error) => {
                back.stopped = Some(error.to_string());
                break;
            }
        }
    }
    back
}
