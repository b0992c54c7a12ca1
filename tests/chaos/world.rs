//! One world from its seed to its end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use unscim::model::action::Action;
use unscim::model::condition::ConditionKind;
use unscim::model::id::UserId;
use unscim::model::moment::since;
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Acknowledgement, MembersDecision, Mode, Percent};
use unscim::model::status::Phase;
use unscim::turn::Turn;
use unscim::turn::observe::PROBE_AFTERWARDS;
use unscim::undo::Direct;
use unscim::undo::look;
use unscim::world::Directory;
use unscim::world::http::Transport;

use crate::dice::Dice;
use crate::draw;
use crate::kinds::{Kinds, Trouble};
use crate::oracle::{Oracle, records};
use crate::second::{Second, When};
use crate::status::told;
use crate::story::Story;
use crate::support::Rig;
use crate::trouble::{self, Admins};
use crate::wire::{Jump, jumpy, mortal};

/// Turns with trouble, and turns in which it must come to its end after that.
const TROUBLED: usize = 90;
const QUIET: usize = 900;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Honest,
    /// Somebody with the daemon's own rights unassigns every group before anybody is covered.
    Reckless,
}

pub async fn run(seed: u64, kind: Kind) -> Result<Story, String> {
    let mut dice = Dice::new(seed);
    let mut kinds = Kinds::of(seed);
    let scenario = draw::scenario(&mut dice, &mut kinds, seed);
    let mut rig = Rig::new(scenario.clone()).await;
    draw::spec(&mut dice, &scenario, &mut rig.spec);
    let jump = Arc::default();
    rig.transport = jumpy(rig.transport.clone(), rig.clock.clone(), Arc::clone(&jump));
    let mut world = World {
        before: records(&rig),
        plain: rig.transport.clone(),
        second: kinds.dice(Trouble::SecondDaemon).map(|_| Second::new()),
        kinds,
        jump,
        direct_goes: false,
        looks_first: false,
        rig,
        dice,
        admins: Admins::default(),
        revoked: false,
        entered: None,
        lag: scenario.lag + scenario.replicas.behind * (scenario.replicas.count - 1),
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
            "{why}\ntroubles: {:?}\nscenario: {scenario:?}\nspec: {:?}\nadmins:\n  {}\nwrites:\n  {}\nlast requests:\n  {last}",
            world.kinds.struck(),
            world.rig.spec,
            world.admins.told.join("\n  "),
            writes.join("\n  ")
        )
    })?;
    Ok(Story {
        turns: world.turns,
        deaths: world.deaths,
        acts: world.admins.told.len(),
        faults: world.faults,
        second_turns: world.second.map_or(0, |second| second.turns),
        struck: world.kinds.struck(),
        told,
    })
}

struct World {
    rig: Rig,
    dice: Dice,
    kinds: Kinds,
    admins: Admins,
    /// The way to the tenant without a death on it.
    plain: Transport,
    jump: Jump,
    second: Option<Second>,
    /// Active records at the target when time began, by user.
    before: BTreeMap<String, String>,
    revoked: bool,
    /// When the operator entered a new token in place of a deleted one.
    entered: Option<Timestamp>,
    /// A rollback was allowed to take back direct assignments.
    direct_goes: bool,
    /// It was rolled back: the next turn only looks.
    looks_first: bool,
    lag: Duration,
    turns: usize,
    deaths: usize,
    faults: usize,
}

impl World {
    fn oracle(&self) -> Oracle<'_> {
        Oracle {
            rig: &self.rig,
            before: &self.before,
            admins: &self.admins,
            revoked: self.revoked,
            direct_goes: self.direct_goes,
            lag: self.lag,
        }
    }

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
            self.sometimes().await?;
            let dies = self.dice.one_in(15).then(|| self.dice.below(60));
            let turn = self.turn(dies).await?;
            let wanted = turn.map_or(Duration::from_secs(10), |turn| self.wanted(&turn));
            tokio::time::sleep(trouble::pause(&mut self.dice, wanted)).await;
        }
        self.admins.make_good(&self.rig.practice);
        if self.rig.spec.mode == Mode::Observe {
            let writes = self.rig.practice.writes();
            if !writes.is_empty() {
                return Err(format!("Observe has written: {writes:?}"));
            }
            self.rig.spec.mode = Mode::Enforce;
        }
        // "If somebody did that on purpose, raise it until it has been seen once": the admins are the somebody.
        self.rig.spec.limits.max_shrink = Percent(100);
        self.rig.spec.limits.fights = 1000;
        _ = self.jump.lock().unwrap().take();
        if self.kinds.dice(Trouble::SecondDaemon).is_some_and(|dice| dice.one_in(2)) {
            self.second = None;
        }
        let back = self.kinds.dice(Trouble::Rollback).map(|dice| dice.below(200));
        for n in 0..QUIET {
            if back == Some(n) {
                self.roll_back().await?;
            }
            let Some(turn) = self.turn(None).await? else { continue };
            let status = &turn.status;
            if !status.is_true(ConditionKind::BaselineRecorded) {
                // Before anything was begun, an admin took the groups off the app: nothing is left to retire until they are back.
                self.admins.give_groups_back(&self.rig.practice);
            }
            if status.phase == Phase::AwaitingRevocation && !self.revoked {
                self.rig.practice.revoke_token().map_err(|error| error.to_string())?;
                self.revoked = true;
            }
            self.heed(&turn);
            if status.phase == Phase::Retired {
                return self.oracle().at_the_end();
            }
            let wanted = self.wanted(&turn);
            tokio::time::sleep(wanted).await;
        }
        let turn = self.turn(None).await?.ok_or("it died in quiet times")?;
        Err(format!("not retired after {QUIET} quiet turns: {}", told(&turn.status)))
    }

    /// Trouble of the kinds that this world has.
    async fn sometimes(&mut self) -> Result<(), String> {
        let faults = self.rig.practice.faults();
        if let Some(dice) = self.kinds.strikes(Trouble::Items, 3) {
            faults.add(trouble::batch(dice));
        }
        if let Some(dice) = self.kinds.strikes(Trouble::Slow, 12) {
            trouble::slow(dice).into_iter().for_each(|fault| faults.add(fault));
        }
        if let Some(dice) = self.kinds.strikes(Trouble::WrongDates, 6) {
            faults.add(trouble::date(dice));
        }
        if let Some(dice) = self.kinds.strikes(Trouble::ClockSteps, 8) {
            let by = trouble::step(dice);
            if dice.one_in(2) {
                self.rig.clock.moved.fetch_add(by, Ordering::SeqCst);
            } else {
                *self.jump.lock().unwrap() = Some((dice.below(60), by));
            }
            self.admins.told.push(format!("{} our clock: {by} s", self.rig.practice.now()));
        }
        if self.kinds.strikes(Trouble::Rollback, 30).is_some() {
            self.roll_back().await?;
        }
        Ok(())
    }

    /// The operator rolls it back, in as many calls as they like; after that the daemon looks once and goes on.
    async fn roll_back(&mut self) -> Result<(), String> {
        let Some(dice) = self.kinds.dice(Trouble::Rollback) else { return Ok(()) };
        let (direct, calls) = if dice.one_in(2) { (Direct::Go, 1 + dice.below(12)) } else { (Direct::Stay, 1 + dice.below(3)) };
        if self.rig.spec.mode == Mode::Enforce {
            self.direct_goes |= direct == Direct::Go;
            self.admins.rows_made_again = true;
            self.looks_first = true;
        }
        // Who rolls back one ledger while a daemon goes on by another has two hands that each rest on what the other takes.
        let apart = self.second.as_ref().map(|_| self.lag + Duration::from_secs(120));
        tokio::time::sleep(apart.unwrap_or_default()).await;
        for _ in 0..calls {
            self.admins.told.push(format!("{} operator: rolls back, {direct:?}", self.rig.practice.now()));
            let dies = self.kinds.dice(Trouble::Rollback).and_then(|dice| dice.one_in(6).then(|| dice.below(60)));
            let died = self.mortal(dies);
            self.rig.world();
            let (world, spec, stop) = (self.rig.world.as_ref().expect("just made"), &self.rig.spec, &self.rig.stop);
            let back = async {
                if let Ok(rollback) = look(world, spec, direct, stop).await {
                    _ = rollback.carry_out(world, spec, stop).await;
                }
            };
            tokio::select! {
                biased;
                () = died.cancelled() => {}
                () = back => {}
            }
            self.born_again(dies);
            self.oracle().watch(None)?;
            let pause = self.kinds.dice(Trouble::Rollback).map(|dice| dice.seconds(10, 900));
            tokio::time::sleep(pause.unwrap_or_default()).await;
        }
        tokio::time::sleep(apart.unwrap_or_default()).await;
        Ok(())
    }

    /// The operator does what the status asks for: assigns who was released, acknowledges what it names, takes out of protection
    /// whom the app refuses in every cycle, enters a new token everywhere where one was deleted while a group had just come back,
    /// and allows the deletions that admins' own acts have brought over the threshold.
    fn heed(&mut self, turn: &Turn) {
        let asks = |user: &&UserId| {
            let named = [format!("({user}), who is protected"), format!("for {user}, who is protected")];
            let said = |text: &str| named.iter().any(|named| text.contains(named));
            turn.status.conditions.iter().any(|condition| said(&condition.message))
        };
        let status = &turn.status;
        let said = status.conditions.iter().map(|known| &known.message).chain(status.held.iter().map(|held| &held.message));
        let said: Vec<String> = said.cloned().collect();
        let says = |what: &str| said.iter().any(|text| text.contains(what));
        self.looks_first |= says("run once with spec.mode: Observe");
        let acknowledgeable =
            [Acknowledgement::UndiscoverableUses, Acknowledgement::TargetGroupContent, Acknowledgement::AlreadyDirect];
        for known in acknowledgeable {
            let acknowledged = &mut self.rig.spec.groups.acknowledge;
            if says(&format!("acknowledge: [{known:?}]")) && !acknowledged.contains(&known) {
                acknowledged.push(known);
            }
        }
        for entry in &mut self.rig.spec.groups.list {
            let id = entry.id.to_string();
            if said.iter().any(|text| text.contains("shows no user among its members") && text.contains(&id)) {
                entry.members = Some(MembersDecision::Keep);
            }
        }
        let practice = &self.rig.practice;
        let ids = practice.ids();
        for user in ids.users.iter().chain(&ids.nested_only).chain([&ids.outsider]) {
            if said.iter().any(|text| text.contains("who were never protected") && text.contains(&user.to_string())) {
                self.rig.spec.released.insert(*user);
            }
            // The rollback has taken back whose own row it was.
            let bare = format!("{user} is released, lacks a direct assignment");
            for role in [ids.role_user, ids.role_admin].into_iter().filter(|_| says(&bare)) {
                if practice.admin().assign_user(*user, role).is_ok() {
                    self.admins.told.push(format!("{} operator: assigns {user}", practice.now()));
                }
            }
            // Where the log does not tell yet whose record it is.
            let record = practice.scim_user(*user).filter(|id| says(&format!("record:{id}: ")));
            self.rig.spec.released_records.extend(record);
        }
        let asks_for_token = turn
            .status
            .held
            .iter()
            .any(|held| ["RevokedTooEarly", "put a new one into both Entra"].iter().any(|what| held.message.contains(what)))
            || turn.status.conditions.iter().any(|condition| condition.message.contains("put a valid token into the token file"));
        if self.revoked && asks_for_token {
            let token = format!("token-of-turn-{}", self.turns);
            std::fs::write(&self.rig.spec.target.token_file, &token).expect("the token file is ours");
            practice.scim_app().expect("the app inside").set_token(token.clone());
            practice.admin().enter_token(&token);
            practice.admin().start_job();
            self.revoked = false;
            self.entered = Some(practice.now());
            self.admins.told.push(format!("{} operator: enters a new token", practice.now()));
        }
        if turn.status.held.iter().any(|held| held.message.contains("\"Allow deletes\"")) {
            practice.admin().allow_deletes();
            self.admins.told.push(format!("{} operator: allows deletes", practice.now()));
        }
        // The other daemon may have paused it for good.
        if turn.status.held.iter().any(|held| held.message.contains("start it in the portal")) {
            practice.admin().start_job();
            self.admins.told.push(format!("{} operator: starts the job", practice.now()));
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

    /// One turn of ours; `None` if the process died at that call of it. A second daemon may take one too.
    async fn turn(&mut self, dies: Option<usize>) -> Result<Option<Turn>, String> {
        self.turns += 1;
        let mode = self.rig.spec.mode;
        let when =
            self.second.as_mut().zip(self.kinds.strikes(Trouble::SecondDaemon, 1)).and_then(|(second, dice)| second.comes(dice));
        if when == Some(When::Before) {
            self.seconded().await?;
        }
        if self.looks_first {
            self.rig.spec.mode = Mode::Observe;
        }
        let died = self.mortal(dies);
        let spec = self.rig.spec.clone();
        let (rig, second, plain) = (&mut self.rig, &mut self.second, &self.plain);
        let clock = rig.clock.clone();
        let theirs = async {
            match second {
                Some(second) if when == Some(When::Beside) => Some(second.turn(&spec, plain, &clock).await),
                Some(_) | None => None,
            }
        };
        let ours = async {
            tokio::select! {
                biased;
                () = died.cancelled() => None,
                turn = rig.turn() => Some(turn),
            }
        };
        let (turn, _) = tokio::join!(ours, theirs);
        self.rig.spec.mode = mode;
        self.looks_first &= turn.is_none();
        self.deaths += usize::from(turn.is_none());
        self.born_again(dies);
        self.oracle().watch(turn.as_ref().map(|turn| &turn.status))?;
        if when == Some(When::After) {
            self.seconded().await?;
        }
        Ok(turn)
    }

    async fn seconded(&mut self) -> Result<(), String> {
        let Some(second) = &mut self.second else { return Ok(()) };
        let status = second.turn(&self.rig.spec, &self.plain, &self.rig.clock).await;
        // It has proven its own end, and asks once an hour, by a clock that steps, whether that still holds.
        let has_not_asked = self.entered.is_some_and(|at| since(at, self.rig.practice.now()) < 2 * PROBE_AFTERWARDS);
        let oracle = Oracle { revoked: self.revoked || has_not_asked, ..self.oracle() };
        oracle.watch(Some(&status)).map_err(|why| format!("the second daemon: {why}"))
    }

    /// A new process that ends with that call of it.
    fn mortal(&mut self, dies: Option<usize>) -> CancellationToken {
        let died = CancellationToken::new();
        if let Some(k) = dies {
            self.rig.transport = mortal(self.plain.clone(), k, died.clone());
            self.rig.restart();
        }
        died
    }

    fn born_again(&mut self, dies: Option<usize>) {
        if dies.is_some() {
            self.rig.transport = self.plain.clone();
            self.rig.restart();
        }
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
