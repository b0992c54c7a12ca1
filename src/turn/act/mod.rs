//! Carries out an [`Approved`], in order, and nothing else. Dry-run is here and only here.

pub mod back;
mod fresh_look;
pub mod volley;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::judge::brakes::Approved;
use crate::model::action::{Action, Done};
use crate::model::baseline::Baseline;
use crate::model::id::ServicePrincipalId;
use crate::model::memory::Memory;
use crate::model::snapshot::Snapshot;
use crate::model::spec::{Mode, RevocationBy, Spec};
use crate::world::error::{Class, Error, Result};
use crate::world::{Clock, Directory, Freeze, Hook, LastWord, Ledger, Outcome, World, Written};
use fresh_look::{FreshLook, ending};

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

    fn note(&mut self, kind: &'static str, done: Done) {
        match self.done.last_mut() {
            Some((last, how, times)) if *last == kind && *how == done => *times += 1,
            _ => self.done.push((kind, done, 1)),
        }
    }
}

/// `mode` may be stricter than the spec's.
pub async fn act(
    world: &impl World,
    spec: &Spec,
    mode: Mode,
    seen: &Snapshot,
    memory: &Memory,
    approved: Approved,
    stop: &CancellationToken,
) -> Acted {
    let mut acted = Acted { approved, done: Vec::new(), stopped: None };
    if mode == Mode::Observe {
        return acted;
    }
    let Some(app) = seen.app.known().map(|app| app.id) else { return acted };
    let mut fresh = FreshLook::of_turn(seen);
    let mut rest = acted.approved.take();
    while let Some(room) = room(world, &rest, stop).await {
        let forbidden = || {
            let expired = acted.approved.has_expired(world.clock().moment());
            halted(world, stop).or_else(|| expired.then(|| "the approval has expired".to_owned()))
        };
        if let Some(why) = forbidden() {
            acted.stopped = Some(why);
            break;
        }
        let mut next = volley::next(&rest, room);
        let takes = next.iter().flatten().any(|index| rest[*index].is_destructive());
        let groups = ending(next.iter().flatten().map(|index| &rest[*index]));
        if takes && !fresh.serves(&groups, world.clock().moment()) {
            match FreshLook::look(world, app, &groups).await {
                Ok(look) => fresh = look,
                Err(why) => {
                    acted.stopped = Some(why);
                    break;
                }
            }
        }
        let judged = |index: &usize| fresh.covers(&acted.approved, &rest[*index]).err().map(|why| (*index, why));
        let uncovered = next.concat().iter().find_map(judged);
        let ends = uncovered.is_some();
        if let Some((first, why)) = uncovered {
            // What stands before it in the plan was looked at, and goes.
            acted.stopped = Some(why);
            next.iter_mut().for_each(|batch| batch.retain(|other| *other < first));
            next.retain(|batch| !batch.is_empty());
        }
        let batches = taken(&mut rest, &next);
        if ends {
            rest.clear();
        }
        if batches.is_empty() {
            break;
        }
        let last_word = || {
            let old = takes && !fresh.is_fresh(world.clock().moment());
            forbidden().or_else(|| old.then(|| "it waited too long; who is covered has to be read again".to_owned()))
        };
        let ours = Ours { baseline: acted.approved.baseline(), hook_key: hook_key(spec, memory) };
        match carry_out(world, spec, memory.remembered.turn, app, ours, &batches, &last_word).await {
            Ok(outcomes) => {
                for (action, done, error) in outcomes {
                    acted.note(action.kind(), done);
                    if let Some(error) = error {
                        let words = memory.names.of(&error.to_string());
                        // The warning is given once for its kind, by `turn::warnings`.
                        tracing::info!(action = %action, result = done.label(), error = words, "write not confirmed");
                        // One user's refusal says nothing of the next one's row, and who waited for another is looked at
                        // again; anything else ends it.
                        let independent =
                            matches!(action, Action::AssignUser { .. }) && matches!(error.class(), Class::Invalid | Class::Gone);
                        if done == Done::Open || !(independent || error.is_failed_dependency()) {
                            rest.clear();
                        }
                        acted.stopped.get_or_insert(error.to_string());
                    }
                }
            }
            Err(error) => {
                acted.stopped = Some(error.to_string());
                break;
            }
        }
    }
    acted
}

/// How many of these may go out now; `None` where none is left.
async fn room(world: &impl World, rest: &[Action], stop: &CancellationToken) -> Option<usize> {
    let wanted = volley::next(rest, usize::MAX).concat().len();
    match rest.first()? {
        // Our own book, and a person or a webhook: no quota of Graph's.
        Action::RecordBaseline | Action::RequestRevocation => Some(wanted),
        // Whoever wants us to stop does not wait for a quota.
        _ => Some(stop.run_until_cancelled(world.directory().room(wanted)).await.unwrap_or(wanted)),
    }
}

/// Takes these out of `rest`.
fn taken(rest: &mut Vec<Action>, batches: &[Vec<usize>]) -> Vec<Vec<Action>> {
    let taken = batches.iter().map(|batch| batch.iter().map(|index| rest[*index].clone()).collect()).collect();
    let gone: BTreeSet<usize> = batches.iter().flatten().copied().collect();
    let mut index = 0..;
    rest.retain(|_| index.next().is_some_and(|index| !gone.contains(&index)));
    taken
}

/// Why nothing more may be written now.
fn halted(world: &impl World, stop: &CancellationToken) -> Option<String> {
    if stop.is_cancelled() { Some("asked to stop".into()) } else { world.freeze().why() }
}

/// How each of these ended, with what was said against it.
type Outcomes = Vec<(Action, Done, Option<Error>)>;

/// What writes of our own need: to our book, and to the webhook.
#[derive(Default)]
struct Ours<'a> {
    baseline: Option<&'a Baseline>,
    hook_key: String,
}

/// The same for every call of one request for the deletion of the token, and another once that has to be asked for anew.
fn hook_key(spec: &Spec, memory: &Memory) -> String {
    let taken = memory.baseline.known().map_or(0, |baseline| baseline.taken.as_second());
    format!("unscim-{}-{taken}-{}", spec.name, memory.remembered.revocations_void)
}

/// Journal, write, journal. An error here means that our own book failed; a write's error comes beside its outcome.
async fn carry_out(
    world: &impl World,
    spec: &Spec,
    turn: u64,
    app: ServicePrincipalId,
    ours: Ours<'_>,
    batches: &[Vec<Action>],
    last_word: LastWord<'_>,
) -> Result<Outcomes> {
    let ledger = world.ledger();
    let actions = batches.concat();
    if actions == [Action::RecordBaseline] {
        let baseline = ours.baseline.ok_or_else(|| Error::Ledger("the baseline could not be taken from this read".into()))?;
        ledger.create_baseline(baseline)?;
        tracing::info!(users = baseline.users.len(), groups = baseline.groups.len(), "baseline recorded");
        return Ok(vec![(Action::RecordBaseline, Done::Ok, None)]);
    }
    let intents = ledger.intend(turn, &actions, world.clock().now())?;
    let results = match (actions.as_slice(), intents.as_slice()) {
        ([Action::RequestRevocation], [_]) => vec![match spec.target.revocation.by {
            RevocationBy::Webhook => world.hook().call(&ours.hook_key, last_word).await,
            RevocationBy::Operator => {
                Ok(Written { at: world.clock().now(), already: false, request_id: None, client_request_id: String::new() })
            }
        }],
        _ => join_all(batches.iter().map(|batch| world.directory().write(app, batch, last_word))).await.concat(),
    };
    let (mut outcomes, mut endings) = (Vec::new(), Vec::new());
    for ((action, intent), result) in actions.into_iter().zip(intents).zip(results) {
        let (done, outcome, error) = match result {
            Ok(written) => (if written.already { Done::Already } else { Done::Ok }, Outcome::Done(written), None),
            Err(error) if error.leaves_outcome_open() => (Done::Open, Outcome::Open(error.to_string()), Some(error)),
            // Of the webhook every failure counts, also that it could not be reached.
            Err(error) if error.is_refusal() || (action == Action::RequestRevocation && !error.is_withheld()) => {
                (Done::Failed, Outcome::Refused(error.to_string()), Some(error))
            }
            Err(error) => (Done::Failed, Outcome::Failed(error.to_string()), Some(error)),
        };
        if let Outcome::Done(written) = &outcome {
            tracing::info!(action = %action, request_id = written.request_id, client_request_id = written.client_request_id, already = written.already, "done");
        }
        endings.push((intent, outcome));
        outcomes.push((action, done, error));
    }
    ledger.conclude(&endings, world.clock().now())?;
    Ok(outcomes)
}
