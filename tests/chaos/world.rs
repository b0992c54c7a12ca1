//! One world from its seed to its end, and the oracle over it. The oracle knows the practice tenant's truth and what admins
//! did; it uses none of the daemon's judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};
use unscim::model::action::Action;
use unscim::model::condition::ConditionKind;
use unscim::model::id::UserId;
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Mode, Percent};
use unscim::model::status::{Phase, Status};
use unscim::reconcile::Turn;
use unscim::sim::Moment;
use unscim::world::Directory;
use unscim::world::http::Transport;

use crate::draw::{self, Dice};
use crate::support::Rig;
use crate::trouble::{self, Admins};

/// Turns with trouble, and turns in which it must come to its end after that.
const TROUBLED: usize = 90;
const QUIET: usize = 900;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Honest,
    /// Somebody with the daemon's own rights unassigns every group before anybody is covered.
    Reckless,
}

/// What became of a world that ended well.
#[derive(Debug)]
pub struct Story {
    pub turns: usize,
    pub deaths: usize,
    pub acts: usize,
    pub faults: usize,
    /// Every request with its answer, in order.
    pub told: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Totals {
    pub ended_well: usize,
    pub turns: usize,
    pub requests: usize,
    pub deaths: usize,
    pub admin_acts: usize,
    pub faults: usize,
}

impl Totals {
    pub fn add(&mut self, story: &Story) {
        self.ended_well += 1;
        self.turns += story.turns;
        self.requests += story.told.len();
        self.deaths += story.deaths;
        self.admin_acts += story.acts;
        self.faults += story.faults;
    }
}

pub async fn run(seed: u64, kind: Kind) -> Result<Story, String> {
    let mut dice = Dice::new(seed);
    let scenario = draw::scenario(&mut dice, seed);
    let mut rig = Rig::new(scenario.clone()).await;
    draw::spec(&mut dice, &scenario, &mut rig.spec);
    let mut world = World {
        before: records(&rig),
        plain: rig.transport.clone(),
        rig,
        dice,
        admins: Admins::default(),
        revoked: false,
        lag: scenario.lag,
        turns: 0,
        deaths: 0,
        faults: 0,
    };
    let ended = world.live(kind).await;
    let told: Vec<String> =
        world.rig.practice.requests().iter().map(|r| format!("{} {} {} {}", r.at, r.method, r.path, r.status)).collect();
    ended.map_err(|why| {
        let last = told.iter().rev().take(40).rev().cloned().collect::<Vec<_>>().join("\n  ");
        let writes: Vec<_> =
            world.rig.practice.writes().iter().map(|w| format!("{} {} {} {}", w.at, w.method, w.path, w.status)).collect();
        format!(
            "{why}\nscenario: {scenario:?}\nspec: {:?}\nadmins:\n  {}\nwrites:\n  {}\nlast requests:\n  {last}",
            world.rig.spec,
            world.admins.told.join("\n  "),
            writes.join("\n  ")
        )
    })?;
    Ok(Story { turns: world.turns, deaths: world.deaths, acts: world.admins.told.len(), faults: world.faults, told })
}

struct World {
    rig: Rig,
    dice: Dice,
    admins: Admins,
    /// The way to the tenant without a death on it.
    plain: Transport,
    /// Active records at the target when time began, by user.
    before: BTreeMap<String, String>,
    revoked: bool,
    lag: Duration,
    turns: usize,
    deaths: usize,
    faults: usize,
}

/// Active records by user name.
fn records(rig: &Rig) -> BTreeMap<String, String> {
    let users = rig.practice.scim_app().expect("the app inside").users();
    let active = users.into_iter().filter(|user| user["active"] == true);
    active.map(|user| (user["id"].as_str().unwrap_or_default().to_owned(), user["userName"].to_string())).collect()
}

impl World {
    async fn live(&mut self, kind: Kind) -> Result<(), String> {
        if kind == Kind::Reckless {
            self.forge().await;
            return self.turn(None).await.map(drop);
        }
        let troubled = 20 + self.dice.below(TROUBLED);
        for _ in 0..troubled {
            if self.dice.one_in(4) {
                let fault = trouble::fault(&mut self.dice);
                self.rig.practice.faults().add(fault);
                self.faults += 1;
            }
            if self.dice.one_in(12) {
                self.admins.act(&mut self.dice, &self.rig.practice);
            }
            let dies = self.dice.one_in(15).then(|| self.dice.below(60));
            let turn = self.turn(dies).await?;
            let wanted = turn.map_or(Duration::from_secs(10), |turn| self.wanted(&turn));
            tokio::time::sleep(trouble::pause(&mut self.dice, wanted)).await;
        }
        self.admins.make_good(&self.rig.practice);
        if self.rig.spec.mode == Mode::Observe {
            let writes = self.rig.practice.writes();
            return if writes.is_empty() { Ok(()) } else { Err(format!("Observe has written: {writes:?}")) };
        }
        // "If somebody did that on purpose, raise it until it has been seen once": the admins are the somebody.
        self.rig.spec.limits.max_shrink = Percent(100);
        self.rig.spec.limits.fights = 1000;
        for _ in 0..QUIET {
            let Some(turn) = self.turn(None).await? else { continue };
            let status = &turn.status;
            if !status.is_true(ConditionKind::BaselineRecorded) {
                // Before anything was begun, an admin took the groups off the app: nothing is left to retire until he is back.
                self.admins.give_groups_back(&self.rig.practice);
            }
            if status.phase == Phase::AwaitingRevocation && !self.revoked {
                self.rig.practice.revoke_token().map_err(|error| error.to_string())?;
                self.revoked = true;
            }
            self.heed(&turn);
            if status.phase == Phase::Retired {
                return self.at_the_end();
            }
            let wanted = self.wanted(&turn);
            tokio::time::sleep(wanted).await;
        }
        let turn = self.turn(None).await?.ok_or("it died in quiet times")?;
        Err(format!("not retired after {QUIET} quiet turns: {}", told(&turn.status)))
    }

    /// The operator does what the status asks for: whom the app refuses in every cycle he takes out of protection, for a
    /// token that was deleted while a group had just come back he enters a new one everywhere, and he allows the deletions
    /// that admins' own acts have brought over the threshold.
    fn heed(&mut self, turn: &Turn) {
        let asks = |user: &&UserId| {
            let named = [format!("({user}), who is protected"), format!("for {user}, who is protected")];
            let said = |text: &str| named.iter().any(|named| text.contains(named));
            turn.status.conditions.iter().any(|condition| said(&condition.message))
        };
        let practice = &self.rig.practice;
        let asks_for_token = turn.status.held.iter().any(|held| held.message.contains("RevokedTooEarly"))
            || turn.status.conditions.iter().any(|condition| condition.message.contains("put a valid token into the token file"));
        if self.revoked && asks_for_token {
            let token = format!("token-of-turn-{}", self.turns);
            std::fs::write(&self.rig.spec.target.token_file, &token).expect("the token file is ours");
            practice.scim_app().expect("the app inside").set_token(token.clone());
            practice.admin().enter_token(&token);
            practice.admin().start_job();
            self.revoked = false;
            self.admins.told.push(format!("{} operator: enters a new token", practice.now()));
        }
        if turn.status.held.iter().any(|held| held.message.contains("\"Allow deletes\"")) {
            practice.admin().allow_deletes();
            self.admins.told.push(format!("{} operator: allows deletes", practice.now()));
        }
        let released: Vec<_> = practice.ids().users.iter().filter(asks).copied().collect();
        for user in released {
            if self.rig.spec.released.insert(user) {
                self.admins.touched.insert(user);
                self.admins.told.push(format!("{} operator: releases {user}", self.rig.practice.now()));
            }
        }
    }

    /// As the daemon waits, without its own chance.
    fn wanted(&self, turn: &Turn) -> Duration {
        if turn.has_written() { Duration::from_secs(5) } else { self.rig.spec.timing.interval }
    }

    /// One turn; `None` if the process died at that call of it.
    async fn turn(&mut self, dies: Option<usize>) -> Result<Option<Turn>, String> {
        self.turns += 1;
        let died = CancellationToken::new();
        if let Some(k) = dies {
            self.rig.transport = mortal(self.plain.clone(), k, died.clone());
            self.rig.restart();
        }
        let turn = tokio::select! {
            biased;
            () = died.cancelled() => None,
            turn = self.rig.turn() => Some(turn),
        };
        if dies.is_some() {
            self.rig.transport = self.plain.clone();
            self.rig.restart();
            self.deaths += usize::from(turn.is_none());
        }
        self.watch(turn.as_ref().map(|turn| &turn.status))?;
        Ok(turn)
    }

    /// After every turn.
    fn watch(&self, status: Option<&Status>) -> Result<(), String> {
        let practice = &self.rig.practice;
        let lag = self.lag;
        let excused = |moment: &Moment| moment.by.starts_with("admin") || self.admins.has_just_moved(moment.user, moment.at, lag);
        let ours: Vec<_> = practice.out_of_scope_moments().into_iter().filter(|moment| !excused(moment)).collect();
        if !ours.is_empty() {
            return Err(format!("dropped out of scope by a call: {ours:?}"));
        }
        let forbidden = practice.forbidden_calls();
        if !forbidden.is_empty() {
            return Err(format!("forbidden calls: {forbidden:?}"));
        }
        let managed: BTreeSet<String> = self.rig.spec.groups.list.iter().map(|entry| entry.id.to_string()).collect();
        let mut deleted = BTreeSet::new();
        for write in practice.writes().iter().filter(|write| write.method == "DELETE" && write.status == 204) {
            if write.path.contains("/groups/") && !managed.iter().any(|group| write.path.contains(group)) {
                return Err(format!("a group that was not handed over: {write:?}"));
            }
            if !deleted.insert(&write.path) && !self.admins.rows_made_again {
                return Err(format!("deleted twice: {write:?}"));
            }
        }
        if let Some(status) = status
            && !self.revoked
            && (status.is_true(ConditionKind::TokenRevoked) || status.phase == Phase::Retired)
        {
            return Err(format!("the token works, and it says: {}", told(status)));
        }
        Ok(())
    }

    /// Whom no admin has touched is the same at the target, and covered.
    fn at_the_end(&self) -> Result<(), String> {
        let practice = &self.rig.practice;
        let touched: BTreeSet<String> =
            self.admins.touched.iter().filter_map(|user| Some(practice.scim_user(*user)?.to_string())).collect();
        let now = records(&self.rig);
        let lost: Vec<_> = self.before.iter().filter(|(id, _)| !now.contains_key(*id) && !touched.contains(*id)).collect();
        if !lost.is_empty() {
            return Err(format!("retired, and lost at the target: {lost:?}"));
        }
        let scope = practice.scope();
        let uncovered: Vec<_> = practice
            .out_of_scope_moments()
            .into_iter()
            .filter(|m| self.admins.has_just_moved(m.user, m.at, self.lag) && !self.admins.has_taken_out(m.user, m.at))
            .filter(|moment| !scope.contains(&moment.user))
            .collect();
        if !uncovered.is_empty() {
            return Err(format!("retired, and who was moved at the last moment was never covered: {uncovered:?}"));
        }
        let left: Vec<_> = practice.ids().groups.iter().filter(|group| practice.scim_group(**group).is_some()).collect();
        if !left.is_empty() {
            return Err(format!("retired, and groups are left at the target: {left:?}"));
        }
        Ok(())
    }

    /// With the daemon's own rights: every group's rows go, whoever is in it.
    async fn forge(&mut self) {
        let app = self.rig.practice.ids().service_principal;
        let directory = &self.rig.world().directory;
        let rows = directory.assignments(app).await.map(|look| look.value).unwrap_or_default();
        for row in rows {
            if let Principal::Group(group) = row.principal {
                let action = Action::UnassignGroup { group, assignment: row.id.into(), role: row.role };
                _ = directory.write(app, &[action], &|| None).await;
            }
        }
    }
}

fn told(status: &Status) -> String {
    let lines: Vec<_> =
        status.conditions.iter().map(|c| format!("{} {} {}: {}", c.kind, c.status, c.reason, c.message)).collect();
    format!("phase {}: {lines:#?} held {:?} pending {:?}", status.phase, status.held, status.pending)
}

/// The k-th call (from 0) is the last of the process.
fn mortal(inner: Transport, k: usize, died: CancellationToken) -> Transport {
    let calls = Arc::new(AtomicUsize::new(0));
    Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let (mut inner, died, n) = (inner.clone(), died.clone(), calls.fetch_add(1, Ordering::SeqCst));
        async move {
            let answer = inner.ready().await?.call(request).await;
            if n == k {
                died.cancel();
                return std::future::pending().await;
            }
            answer
        }
    }))
}
