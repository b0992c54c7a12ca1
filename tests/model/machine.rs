//! Every interleaving as a machine: a look, each write with its outcomes, time, cycles, admins, deaths. What is judged is
//! judged by the daemon's own code; two states that differ only in how long ago old things were are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::task::{Context, Poll, Waker};

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use unscim::guide::{Facts, LOOKS};
use unscim::model::action::Action;
use unscim::model::id::*;
use unscim::model::memory::{GoodCycle, since};
use unscim::model::seen::Seen;
use unscim::model::snapshot::{Principal, TargetLook};
use unscim::model::spec::{MembersDecision, Spec};
use unscim::plan::{NewBaseline, plan};
use unscim::reconcile::{Carried, Leave, Prepared, prepare};

use crate::fake::{Book, Fake, Mutant, Read, calibration};
use crate::tenant::{Admin, INTERVAL, Layout, Stale, TICK, Tenant};

/// As long as the longest span that is compared (`timing.settle`).
const LONG: i64 = 120;

/// How much may go wrong on one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trouble {
    pub faults: u8,
    pub crashes: u8,
    pub admin: u8,
}

#[derive(Clone)]
pub struct Machine {
    pub layout: Layout,
    pub spec: Spec,
    pub trouble: Trouble,
    pub mutants: &'static [Mutant],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Done,
    /// It did not happen, and we are told.
    Refused,
    /// It happened, and nobody tells us.
    Lost,
    /// It did not happen, and nobody tells us.
    Nothing,
    /// The process ends when it has happened.
    DiesAfter,
    /// The process ends when it was begun.
    DiesBefore,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Look {
        stale: Stale,
        fails: Option<Read>,
    },
    Write(Fate),
    Tick,
    Cycle {
        stale: Stale,
        good: bool,
    },
    Admin(Admin),
    /// The person deletes the token that we asked for.
    Revoke,
}

#[derive(Clone, Debug)]
pub struct State {
    pub tenant: Tenant,
    pub book: Book,
    target: Option<TargetLook>,
    /// What is left of the approved plan.
    pending: Vec<Action>,
    /// The look of this tick was made.
    looked: bool,
    left: Trouble,
    asked: bool,
    last_unassigned: Option<Timestamp>,
    key: (u64, u64),
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key.hash(hasher);
    }
}

impl Machine {
    /// The baseline is taken, nothing else is done.
    pub fn start(&self) -> State {
        let tenant = Tenant::new(self.layout);
        let mut state = State {
            book: Book::default(),
            target: None,
            pending: Vec::new(),
            looked: false,
            left: self.trouble,
            asked: false,
            last_unassigned: None,
            key: (0, 0),
            tenant,
        };
        state.book.baseline = Seen::Absent;
        state.book.remembered.calibration = Some(calibration(state.tenant.now));
        let (prepared, _, _) = self.prepared(&state, 0, None, Leave::FirstBaseline);
        let baseline = prepared.approved.baseline().unwrap_or_else(|| panic!("no baseline: {:?}", prepared.approved.plan()));
        state.book.baseline = Seen::Known(baseline.clone());
        state.sealed(self)
    }

    fn prepared(&self, state: &State, stale: Stale, fails: Option<Read>, leave: Leave) -> (Prepared, Book, bool) {
        let fake = Fake {
            tenant: &state.tenant,
            book: state.book.clone().into(),
            stale,
            fails,
            mutants: self.mutants,
            failed: false.into(),
        };
        let mut carried = Carried { target: state.target.clone(), ..Carried::default() };
        let stop = CancellationToken::new();
        let mut future = std::pin::pin!(prepare(&fake, &self.spec, leave, &mut carried, &stop));
        let Poll::Ready(Some(prepared)) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing here waits")
        };
        (prepared, fake.book.borrow().clone(), fake.failed.get())
    }

    pub fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.book.remembered.revocation_proof.is_some() || state.tenant.violation.is_some() {
            return;
        }
        let (faults, crashes) = (state.left.faults > 0, state.left.crashes > 0);
        let stales = masks(state.tenant.lagging());
        if let Some(action) = state.pending.first() {
            steps.push(Step::Write(Fate::Done));
            let asks = *action == Action::RequestRevocation;
            if faults && !asks {
                steps.extend([Fate::Refused, Fate::Lost, Fate::Nothing].map(Step::Write));
            }
            if crashes {
                steps.extend([Fate::DiesAfter, Fate::DiesBefore].map(Step::Write));
            }
        } else if state.looked {
            steps.push(Step::Tick);
        } else {
            for stale in &stales {
                steps.push(Step::Look { stale: *stale, fails: None });
            }
            if faults {
                let groups = (1..=self.layout.len() as u8).map(Read::Members);
                for read in [Read::Rows, Read::Jobs, Read::Target, Read::User].into_iter().chain(groups) {
                    steps.extend(stales.iter().map(|stale| Step::Look { stale: *stale, fails: Some(read) }));
                }
            }
        }
        if state.tenant.may_begin() {
            for stale in stales {
                steps.push(Step::Cycle { stale, good: true });
                if faults && stale == 0 {
                    steps.push(Step::Cycle { stale, good: false });
                }
            }
        }
        if state.left.admin > 0 {
            steps.extend(state.tenant.admin_acts().into_iter().map(Step::Admin));
        }
        if state.asked && state.tenant.token {
            steps.push(Step::Revoke);
        }
    }

    pub fn next(&self, state: &State, step: &Step) -> Option<State> {
        let mut state = state.clone();
        match step {
            Step::Look { stale, fails } => {
                let (prepared, book, failed) = self.prepared(&state, *stale, *fails, Leave::Writes);
                if fails.is_some() && !failed {
                    return None;
                }
                state.left.faults -= u8::from(fails.is_some());
                let facts = Facts::new(&self.spec, &prepared.seen, &prepared.memory, prepared.now);
                state.pending = if self.mutants.contains(&Mutant::AllAtOnce) {
                    let mut actions = plan(&facts, NewBaseline::Forbidden).actions;
                    actions.extend(everything(&facts));
                    actions
                } else {
                    prepared.approved.actions().to_vec()
                };
                (state.book, state.target, state.looked) = (book, prepared.memory.target, true);
            }
            Step::Write(fate) => self.write(&mut state, *fate),
            Step::Tick => {
                state.tenant.tick();
                state.looked = false;
            }
            Step::Cycle { stale, good } => {
                state.left.faults -= u8::from(!good);
                state.tenant.begin(*stale, *good);
            }
            Step::Admin(act) => {
                state.left.admin -= 1;
                state.tenant.admin(*act);
            }
            Step::Revoke => state.tenant.token = false,
        }
        Some(state.sealed(self))
    }

    /// As `act` does it: journal, write, journal; what is not confirmed ends the plan.
    fn write(&self, state: &mut State, fate: Fate) {
        let action = state.pending.remove(0);
        let now = state.tenant.now;
        state.book.intend(&action, now);
        if action == Action::RequestRevocation {
            // Once it stands in the journal the status says so, and the person acts on that.
            state.tenant.revocation_is_due(state.last_unassigned);
            state.asked = true;
        }
        if matches!(fate, Fate::Done | Fate::Lost | Fate::DiesAfter) {
            self.take_effect(state, &action);
        }
        let known = match fate {
            Fate::Done => Some(true),
            Fate::Refused => Some(false),
            Fate::Lost | Fate::Nothing | Fate::DiesAfter | Fate::DiesBefore => None,
        };
        state.book.conclude(&action.key(), known, now, now);
        if fate != Fate::Done {
            state.pending.clear();
        }
        match fate {
            Fate::Done => {}
            Fate::Refused | Fate::Lost | Fate::Nothing => state.left.faults -= 1,
            Fate::DiesAfter | Fate::DiesBefore => {
                state.left.crashes -= 1;
                (state.target, state.looked) = (None, false);
            }
        }
    }

    fn take_effect(&self, state: &mut State, action: &Action) {
        let tenant = &mut state.tenant;
        let kept = |group: &GroupId| {
            let entry = self.spec.groups.list.iter().find(|entry| entry.id == *group);
            entry.is_none_or(|entry| entry.members == Some(MembersDecision::Keep))
        };
        match action {
            Action::AssignUser { user, role } => tenant.assign((Principal::User(*user), *role)),
            Action::RemoveMember { group, user } => {
                if kept(group) {
                    tenant.blame(format!("removed from {group}, whose members are to be kept"));
                }
                tenant.remove_member(*group, *user);
            }
            Action::UnassignGroup { group, role, .. } => {
                tenant.unassign((Principal::Group(*group), *role), kept(group));
                state.last_unassigned = Some(tenant.now);
            }
            Action::RequestRevocation => {}
            other => tenant.blame(format!("nobody may do this: {other}")),
        }
    }

    /// Left alone from here, with an operator who does what is asked of him: the number of turns until it is retired.
    pub fn turns_left(&self, state: &State, enough: impl Fn(&State) -> bool) -> Result<Vec<State>, String> {
        let mut state = state.clone();
        let mut way = Vec::new();
        for _ in 0..200 {
            if state.book.remembered.revocation_proof.is_some() || enough(&state) {
                return state.tenant.violation.clone().map_or(Ok(way), Err);
            }
            let proof = state.book.remembered.cycle_proof.is_some();
            let step = if !state.pending.is_empty() {
                Step::Write(Fate::Done)
            } else if !state.tenant.token && !proof {
                // "Put a valid one into both": the token was deleted while a group had just come back.
                state.tenant.token = true;
                state.asked = false;
                continue;
            } else if state.asked && state.tenant.token && proof {
                Step::Revoke
            } else if !state.looked {
                Step::Look { stale: 0, fails: None }
            } else if state.tenant.may_begin() {
                Step::Cycle { stale: 0, good: true }
            } else {
                Step::Tick
            };
            state = self.next(&state, &step).expect("a step that can be taken");
            way.push(state.clone());
        }
        let approved = self.prepared(&state, 0, None, Leave::Writes).0.approved;
        let steps: Vec<_> = approved.plan().steps.iter().map(|step| format!("{:?}: {}", step.reason, step.message)).collect();
        Err(format!("not retired: {steps:#?}, held: {:?}, preflight: {:?}", approved.held(), approved.plan().findings))
    }
}

/// What takes away all that there is.
fn everything(facts: &Facts) -> Vec<Action> {
    let mut actions = Vec::new();
    for (group, seen) in &facts.seen.groups {
        let users = seen.members.known().into_iter().flat_map(|look| &look.value.users);
        actions.extend(users.map(|user| Action::RemoveMember { group: *group, user: *user }));
        actions.extend(facts.rows_of(*group).iter().map(|row| Action::UnassignGroup {
            group: *group,
            assignment: row.id.clone(),
            role: row.role,
        }));
    }
    actions
}

/// Every way to set some of these bits.
fn masks(bits: Stale) -> Vec<Stale> {
    (0..=bits).filter(|mask| mask & !bits == 0).collect()
}

impl State {
    fn sealed(mut self, machine: &Machine) -> State {
        let text = self.text(machine);
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            hasher.finish()
        };
        self.key = (hash(1), hash(2));
        self
    }

    /// All that the future depends on. Nothing depends on how long ago something was that is longer ago than every span
    /// that is compared, on names of cycles, or on the order of events that a good cycle has followed.
    fn text(&self, machine: &Machine) -> String {
        let now = self.tenant.now;
        let recent = |at: Timestamp| at.max(now - SignedDuration::from_secs(LONG));
        let mut tenant = self.tenant.clone();
        for cycle in tenant.running.iter_mut().chain(tenant.last.as_mut()) {
            cycle.number = 0;
        }
        if let Some(last) = &mut tenant.last {
            last.began = last.began.max(now - INTERVAL);
            (last.ended, last.scope, last.groups) = (last.began, BTreeSet::new(), BTreeSet::new());
        }
        tenant.touched.retain(|_, at| *at + TICK >= now);
        let mut journal = self.book.journal.clone();
        for entry in journal.entries.values_mut() {
            entry.intent = None;
            entry.last_intent = entry.last_intent.map(recent);
            entry.last_confirmed_here = entry.last_confirmed_here.map(recent);
        }
        let mut remembered = self.book.remembered.clone();
        let cycles = std::mem::take(&mut remembered.cycles);
        (remembered.seen_cycle, remembered.calibration) = (None, None);
        remembered.lost_since.values_mut().for_each(|at| *at = now);
        remembered.probed_at = remembered.probed_at.map(recent);
        let streaks = remembered.empty.values_mut().chain(remembered.unassigned.values_mut()).chain(remembered.gone.values_mut());
        for streak in streaks.chain(remembered.departed.values_mut().map(|departure| &mut departure.streak)) {
            streak.looks = streak.looks.min(LOOKS);
            streak.since = streak.since.max(streak.last - SignedDuration::from_secs(LONG));
        }

        let mut look = self.target.clone();
        let read = look.as_ref().map(|look| look.turn);
        let margin = machine.spec.provisioning.cycle_margin;
        let follows = |cycle: &GoodCycle, at: Timestamp| cycle.began > at && since(at, cycle.began) > margin;
        let events = timestamps(&format!("{remembered:?}{journal:?}{:?}{:?}", tenant.rows, self.last_unassigned));
        let mut old = BTreeSet::new();
        let mut kept: Vec<GoodCycle> = Vec::new();
        for event in events {
            let Some(after) = cycles.iter().find(|cycle| follows(cycle, event)) else { continue };
            let last = SignedDuration::from_secs(LONG);
            if read.is_some_and(|turn| turn >= after.turn) && event + last <= now && after.began + last <= now {
                old.insert(event);
            } else if !kept.contains(after) {
                kept.push(after.clone());
            }
        }
        kept.sort_by_key(|cycle| cycle.began);
        let proven = remembered.cycle_proof.iter().flat_map(|proof| &proof.cycles);
        let mut turns: BTreeSet<u64> = kept.iter().chain(proven).map(|cycle| cycle.turn).collect();
        turns.extend(remembered.clean_rounds.iter().chain(&read).chain([&remembered.turn]));
        let turns: BTreeMap<u64, u64> = turns.into_iter().zip(0..).collect();
        remembered.turn = turns[&remembered.turn];
        remembered.clean_rounds.iter_mut().for_each(|turn| *turn = turns[turn]);
        let proven = remembered.cycle_proof.iter_mut().flat_map(|proof| &mut proof.cycles);
        for cycle in kept.iter_mut().chain(proven) {
            (cycle.turn, cycle.activity, cycle.ended) = (turns[&cycle.turn], String::new(), cycle.began);
        }
        if let Some(look) = &mut look {
            (look.turn, look.at) = (turns[&look.turn], recent(look.at));
        }
        let known = self.tenant.last.as_ref().map(|last| format!("cycle-{}", last.number));
        let is_known = cycles.iter().any(|cycle| Some(&cycle.activity) == known.as_ref());
        let rest = (&self.pending, self.looked, self.left, self.asked, self.last_unassigned, is_known, &self.book.baseline);
        relative(&format!("{tenant:?}{remembered:?}{kept:?}{journal:?}{look:?}{rest:?}"), now, &old)
    }

    pub fn key(&self) -> (u64, u64) {
        self.key
    }
}

/// Where a time stands in a text, as `2026-11-24T12:00:00Z`.
fn places(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(19)).filter(move |i| {
        let at = |n: usize| bytes[i + n];
        at(4) == b'-' && at(7) == b'-' && at(10) == b'T' && at(13) == b':' && at(19) == b'Z' && at(0).is_ascii_digit()
    })
}

fn timestamps(text: &str) -> BTreeSet<Timestamp> {
    places(text).map(|i| text[i..i + 20].parse().expect("a time")).collect()
}

/// The same text with every time as its distance from now, in which no gap between two of them is longer than [`LONG`], and
/// one word for all the old ones.
fn relative(text: &str, now: Timestamp, old: &BTreeSet<Timestamp>) -> String {
    let mut times: BTreeSet<_> = timestamps(text).difference(old).copied().collect();
    times.insert(now);
    let mut named = BTreeMap::new();
    let (mut distance, mut last) = (0, None);
    for time in times {
        let gap = last.map_or(0, |last| time.duration_since(last).as_secs());
        distance += gap.min(LONG);
        last = Some(time);
        named.insert(time, distance);
    }
    let here = named[&now];
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for i in places(text) {
        let time: Timestamp = text[i..i + 20].parse().expect("a time");
        out.push_str(&text[from..i]);
        out.push_str(&named.get(&time).map_or_else(|| "old".into(), |distance| (distance - here).to_string()));
        from = i + 20;
    }
    out.push_str(&text[from..]);
    out
}
