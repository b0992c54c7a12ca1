//! Carries out an [`Approved`], in order, and nothing else. Dry-run is here and only here.

pub mod volley;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::brakes::Approved;
use crate::model::action::{Action, Done};
use crate::model::baseline::Baseline;
use crate::model::id::{AppRoleId, GroupId, ServicePrincipalId, UserId};
use crate::model::memory::{Memory, since};
use crate::model::snapshot::{Assignment, Principal, Snapshot};
use crate::model::spec::{Mode, RevocationBy, Spec};
use crate::undo::Undo;
use crate::world::error::{Class, Error, Result};
use crate::world::{Clock, Directory, Freeze, Hook, Ledger, Outcome, World, Written};

/// How old the sight of somebody's own assignment, or of who is in a group, may be when something is taken away.
const SIGHT: Duration = Duration::from_secs(30);

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
    let rows = seen.assignments.known().map(|look| look.value.as_slice()).unwrap_or_default();
    let mut sight = Sight { began: seen.began, at: seen.began, direct: direct(rows) };
    let mut rest = acted.approved.take();
    while let Some(room) = room(world, &rest, stop).await {
        if let Some(why) = halted(world, stop) {
            acted.stopped = Some(why);
            break;
        }
        if world.clock().now() >= acted.approved.expires() {
            acted.stopped = Some("the approval has expired".into());
            break;
        }
        let mut next = volley::next(&rest, room);
        let mut uncovered = false;
        for index in next.concat() {
            if rest[index].is_destructive()
                && let Err(why) = sight.covers(world, app, &acted.approved, &rest[index]).await
            {
                // What stands before it in the plan was looked at, and goes.
                acted.stopped = Some(why);
                next.iter_mut().for_each(|batch| batch.retain(|other| *other < index));
                next.retain(|batch| !batch.is_empty());
                uncovered = true;
                break;
            }
        }
        let batches = taken(&mut rest, &next);
        if uncovered {
            rest.clear();
        }
        if batches.is_empty() {
            break;
        }
        match carry_out(world, spec, memory.remembered.turn, app, acted.approved.baseline(), &batches).await {
            Ok(outcomes) => {
                for (action, done, error) in outcomes {
                    acted.note(action.kind(), done);
                    if let Some(error) = error {
                        let words = memory.names.of(&error.to_string());
                        tracing::warn!(action = %action, result = done.label(), error = words, "write not confirmed");
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
/// Before a row of a user's own goes, his groups are looked at again.
pub async fn put_back(
    world: &impl World,
    spec: &Spec,
    turn: u64,
    app: ServicePrincipalId,
    undo: &Undo,
    stop: &CancellationToken,
) -> PutBack {
    let mut back = PutBack::default();
    let mut sight: Option<(Timestamp, Carried)> = None;
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
        if batches.iter().flatten().any(|action| matches!(action, Action::RemoveDirect { .. })) {
            if sight.as_ref().is_none_or(|(at, _)| since(*at, world.clock().now()) > SIGHT) {
                match carried(world, app, undo).await {
                    Ok(carried) => sight = Some((world.clock().now(), carried)),
                    Err(error) => {
                        back.stopped = Some(format!("the groups could not be read again: {error}"));
                        break;
                    }
                }
            }
            let carried = sight.as_ref().map(|(_, carried)| carried);
            for batch in &mut batches {
                batch.retain(|action| {
                    let stands = carried.is_some_and(|carried| carried.stands_for(undo, action));
                    if !stands {
                        back.failed.push(format!("{action}: no group carries him any more"));
                    }
                    stands
                });
            }
            batches.retain(|batch| !batch.is_empty());
            if batches.is_empty() {
                continue;
            }
        }
        match carry_out(world, spec, turn, app, None, &batches).await {
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

/// Rows and members of the groups on which a rollback rests.
struct Carried {
    rows: BTreeSet<(GroupId, AppRoleId)>,
    members: BTreeMap<GroupId, BTreeSet<UserId>>,
}

impl Carried {
    /// Some group carries the user whose own row this action takes back, for each of his roles.
    fn stands_for(&self, undo: &Undo, action: &Action) -> bool {
        let Action::RemoveDirect { user, .. } = action else { return true };
        let stands = |groups: &BTreeSet<(GroupId, AppRoleId)>| groups.iter().any(|(group, role)| self.has(*user, *group, *role));
        undo.paths(*user).is_some_and(|paths| paths.values().all(stands))
    }

    fn has(&self, user: UserId, group: GroupId, role: AppRoleId) -> bool {
        self.rows.contains(&(group, role)) && self.members.get(&group).is_some_and(|members| members.contains(&user))
    }
}

async fn carried(world: &impl World, app: ServicePrincipalId, undo: &Undo) -> Result<Carried> {
    let look = world.directory().assignments(app).await?;
    let rows = look.value.iter().filter_map(|row| match row.principal {
        Principal::Group(group) => Some((group, row.role)),
        _ => None,
    });
    let mut carried = Carried { rows: rows.collect(), members: BTreeMap::new() };
    let groups: Vec<GroupId> = undo.carriers().into_iter().collect();
    for (group, members) in groups.iter().zip(world.directory().members_of(&groups).await) {
        carried.members.insert(*group, members?.value.users);
    }
    Ok(carried)
}

/// Who holds what himself, and when that was seen by our clock.
struct Sight {
    /// When the turn's look began: its lists of members are not younger.
    began: Timestamp,
    at: Timestamp,
    /// In order.
    direct: Vec<(UserId, AppRoleId)>,
}

fn direct(rows: &[Assignment]) -> Vec<(UserId, AppRoleId)> {
    let of_user = |row: &Assignment| if let Principal::User(user) = row.principal { Some((user, row.role)) } else { None };
    let mut direct: Vec<_> = rows.iter().filter_map(of_user).collect();
    direct.sort_unstable();
    direct
}

impl Sight {
    /// He has rows of his own, these among them.
    fn holds(&self, user: UserId, needs: &[AppRoleId]) -> bool {
        let first = self.direct.partition_point(|(other, _)| *other < user);
        let has_any = self.direct.get(first).is_some_and(|(other, _)| *other == user);
        has_any && needs.iter().all(|role| self.direct.binary_search(&(user, *role)).is_ok())
    }

    async fn covers(
        &mut self,
        world: &impl World,
        app: ServicePrincipalId,
        approved: &Approved,
        action: &Action,
    ) -> std::result::Result<(), String> {
        if since(self.at, world.clock().now()) > SIGHT {
            let look =
                world.directory().assignments(app).await.map_err(|error| format!("coverage could not be read again: {error}"))?;
            *self = Sight { at: world.clock().now(), direct: direct(&look.value), ..*self };
        }
        if let Action::UnassignGroup { group, .. } = action
            && since(self.began, world.clock().now()) > SIGHT
        {
            let members = world
                .directory()
                .members(*group)
                .await
                .map_err(|error| format!("the members of group {group} could not be read again: {error}"))?;
            let known: BTreeSet<UserId> = approved.members(*group).collect();
            if let Some(user) = members.value.users.iter().find(|user| !known.contains(user)) {
                return Err(format!("user {user} has joined group {group} in the meantime"));
            }
        }
        let users: Vec<UserId> = match action {
            Action::RemoveMember { user, .. } => vec![*user],
            Action::UnassignGroup { group, .. } => approved.members(*group).collect(),
            _ => Vec::new(),
        };
        for user in users {
            let Some(needs) = approved.needs(user) else { continue };
            if !self.holds(user, needs) {
                return Err(format!("user {user} no longer holds his roles himself"));
            }
        }
        Ok(())
    }
}

/// How each of these ended, with what was said against it.
type Outcomes = Vec<(Action, Done, Option<Error>)>;

/// Journal, write, journal. An error here means that our own book failed; a write's error comes beside its outcome.
async fn carry_out(
    world: &impl World,
    spec: &Spec,
    turn: u64,
    app: ServicePrincipalId,
    baseline: Option<&Baseline>,
    batches: &[Vec<Action>],
) -> Result<Outcomes> {
    let ledger = world.ledger();
    let actions = batches.concat();
    if actions == [Action::RecordBaseline] {
        let baseline = baseline.ok_or_else(|| Error::Ledger("the baseline could not be taken from this look".into()))?;
        ledger.create_baseline(baseline)?;
        tracing::info!(users = baseline.users.len(), groups = baseline.groups.len(), "baseline recorded");
        return Ok(vec![(Action::RecordBaseline, Done::Ok, None)]);
    }
    let intents = ledger.intend(turn, &actions, world.clock().now())?;
    let results = match (actions.as_slice(), intents.as_slice()) {
        ([Action::RequestRevocation], [intent]) => vec![match spec.target.revocation.by {
            RevocationBy::Webhook => world.hook().call(&format!("unscim-{}-{intent}", spec.name)).await,
            RevocationBy::Operator => {
                Ok(Written { at: world.clock().now(), already: false, request_id: None, client_request_id: String::new() })
            }
        }],
        _ => join_all(batches.iter().map(|batch| world.directory().write(app, batch))).await.concat(),
    };
    let (mut outcomes, mut endings) = (Vec::new(), Vec::new());
    for ((action, intent), result) in actions.into_iter().zip(intents).zip(results) {
        let (done, outcome, error) = match result {
            Ok(written) => (if written.already { Done::Already } else { Done::Ok }, Outcome::Done(written), None),
            Err(error) if error.leaves_outcome_open() => (Done::Open, Outcome::Open(error.to_string()), Some(error)),
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
