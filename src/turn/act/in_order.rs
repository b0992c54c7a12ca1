//! The one way of writing: a list of actions, in order, each in the journal before it leaves and again once it has ended. Whatever
//! takes something away is judged against a fresh look, and once more when its bytes leave.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::fresh_look::FreshLook;
use super::volley;
use crate::model::action::{Action, Done};
use crate::model::baseline::Baseline;
use crate::model::id::{GroupId, ServicePrincipalId};
use crate::model::moment::Moment;
use crate::model::spec::RevocationBy;
use crate::world::error::{Error, Result};
use crate::world::{Clock, Directory, Freeze, Hook, LastWord, Ledger, Outcome, World, Written};

/// The rules of a turn, or those of a rollback: they differ in what they judge by, and in what ends them.
pub(super) trait Rules {
    /// Why nothing may be written on a look that is no longer fresh.
    const STALE: &'static str;

    /// Why nothing may be written any more, whatever it is.
    fn has_lapsed(&self, now: Moment) -> Option<String>;
    /// Whose members must be seen before these are carried out.
    fn rests_on(&self, actions: &[&Action]) -> Vec<GroupId>;
    /// What a fresh look says to an action that takes something away.
    fn judge(&mut self, look: &FreshLook, action: &Action) -> Verdict;
    /// How an action ended; after some failures nothing more may go out.
    fn conclude(&mut self, action: Action, done: Done, error: Option<Error>) -> ControlFlow<()>;
    /// The quota lets nothing out.
    fn without_room(&self) -> Stopped;
}

/// Why it does not go on.
pub(super) type Stopped = std::result::Result<(), String>;

pub(super) enum Verdict {
    Goes,
    /// Neither does it go, nor does anything hang on it.
    Dropped,
    /// Neither does it go, nor anything after it, and why.
    Ends(String),
}

/// What a list of actions is carried out with.
pub(super) struct Run<'a> {
    pub(super) turn: u64,
    pub(super) app: ServicePrincipalId,
    pub(super) stop: &'a CancellationToken,
    /// What [`Action::RecordBaseline`] writes down.
    pub(super) baseline: Option<&'a Baseline>,
    pub(super) revocation_by: RevocationBy,
    /// The same for every call of one request for the deletion of the token, and another once that has to be asked for anew.
    pub(super) hook_key: String,
}

/// To the end, or why not.
pub(super) async fn carry_out<R: Rules>(
    world: &impl World,
    run: &Run<'_>,
    rules: &mut R,
    mut rest: Vec<Action>,
    mut fresh: Option<FreshLook>,
) -> Stopped {
    while let Some(room) = room(world, &rest, run.stop).await {
        may_write(world, run, rules)?;
        let volley = volley::next(&rest, room);
        if volley.is_empty() {
            return rules.without_room();
        }
        let actions: Vec<&Action> = volley.iter().flatten().map(|index| &rest[*index]).collect();
        let takes = actions.iter().any(|action| action.is_destructive());
        if takes {
            let groups = rules.rests_on(&actions);
            if !fresh.as_ref().is_some_and(|look| look.serves(&groups, world.clock().moment())) {
                fresh = Some(FreshLook::look(world, run.app, &groups).await?);
            }
        }
        let rests_on = fresh.as_ref().filter(|_| takes);
        let (goes, end) = judged(rules, rests_on, &rest, &volley);
        let batches = taken(&mut rest, &volley, &goes);
        let last_word = || {
            let is_stale = rests_on.is_some_and(|look| !look.is_fresh(world.clock().moment()));
            may_write(world, run, rules).err().or_else(|| is_stale.then(|| R::STALE.to_owned()))
        };
        if !batches.is_empty() {
            let outcomes = write(world, run, &batches, &last_word).await.map_err(|error| error.to_string())?;
            for (action, done, error) in outcomes {
                if rules.conclude(action, done, error).is_break() {
                    rest.clear();
                }
            }
        }
        end?;
    }
    Ok(())
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

fn may_write(world: &impl World, run: &Run<'_>, rules: &impl Rules) -> Stopped {
    let asked = || run.stop.is_cancelled().then(|| "asked to stop".to_owned());
    let why = asked().or_else(|| world.freeze().why()).or_else(|| rules.has_lapsed(world.clock().moment()));
    why.map_or(Ok(()), Err)
}

/// Which of a volley go, in the order of the plan up to the first that ends it. Where nothing is taken away there is no look, and
/// all of them go.
fn judged(
    rules: &mut impl Rules,
    look: Option<&FreshLook>,
    rest: &[Action],
    volley: &[Vec<usize>],
) -> (BTreeSet<usize>, Stopped) {
    let planned: BTreeSet<usize> = volley.iter().flatten().copied().collect();
    let Some(look) = look else { return (planned, Ok(())) };
    let mut goes = BTreeSet::new();
    for index in planned {
        match rules.judge(look, &rest[index]) {
            Verdict::Goes => _ = goes.insert(index),
            Verdict::Dropped => {}
            Verdict::Ends(why) => return (goes, Err(why)),
        }
    }
    (goes, Ok(()))
}

/// Takes a volley out of `rest`, and gives what goes of it.
fn taken(rest: &mut Vec<Action>, volley: &[Vec<usize>], goes: &BTreeSet<usize>) -> Vec<Vec<Action>> {
    let going =
        |batch: &Vec<usize>| batch.iter().filter(|index| goes.contains(index)).map(|index| rest[*index].clone()).collect();
    let taken = volley.iter().map(going).filter(|batch: &Vec<Action>| !batch.is_empty()).collect();
    let gone: BTreeSet<usize> = volley.iter().flatten().copied().collect();
    let mut index = 0..;
    rest.retain(|_| index.next().is_some_and(|index| !gone.contains(&index)));
    taken
}

/// Journal, write, journal. An error here means that our own book failed; a write's error comes beside its outcome.
async fn write(
    world: &impl World,
    run: &Run<'_>,
    batches: &[Vec<Action>],
    last_word: LastWord<'_>,
) -> Result<Vec<(Action, Done, Option<Error>)>> {
    let ledger = world.ledger();
    let actions = batches.concat();
    if actions == [Action::RecordBaseline] {
        let baseline = run.baseline.ok_or_else(|| Error::Ledger("the baseline could not be taken from this read".into()))?;
        ledger.create_baseline(baseline)?;
        tracing::info!(users = baseline.users.len(), groups = baseline.groups.len(), "baseline recorded");
        return Ok(vec![(Action::RecordBaseline, Done::Ok, None)]);
    }
    let intents = ledger.intend(run.turn, &actions, world.clock().now())?;
    let results = match (actions.as_slice(), run.revocation_by) {
        ([Action::RequestRevocation], RevocationBy::Webhook) => vec![world.hook().call(&run.hook_key, last_word).await],
        ([Action::RequestRevocation], RevocationBy::Operator) => {
            vec![Ok(Written { at: world.clock().now(), already: false, request_id: None, client_request_id: String::new() })]
        }
        _ => join_all(batches.iter().map(|batch| world.directory().write(run.app, batch, last_word))).await.concat(),
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
