//! Every interleaving as a machine: a look, each write with its outcomes, time, cycles, admins, deaths. What is judged is
//! judged by the daemon's own code; two states that differ only in how long ago old things were are the same.

use std::task::{Context, Poll, Waker};

use tokio_util::sync::CancellationToken;
use unscim::judge::facts::Facts;
use unscim::judge::plan::{NewBaseline, plan};
use unscim::model::action::Action;
use unscim::model::id::*;
use unscim::model::observed::Observed;
use unscim::model::snapshot::{Principal, Snapshot};
use unscim::model::spec::{MembersDecision, Spec};
use unscim::turn::{Decided, LoopState, Permit, decide};

use crate::book::Book;
use crate::company::{Layout, calibration, group, members_of, rows_of};
use crate::fake::{Fake, Read};
use crate::key::key;
use crate::shown::{Mutant, believe, shown};
use crate::state::{State, Trouble};
use crate::tenant::{Admin, Stale, Tenant};

#[derive(Clone)]
pub struct Machine {
    pub layout: Layout,
    pub untouched: Snapshot,
    pub spec: Spec,
    /// Reads may be behind by so many ticks.
    pub lag: u8,
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
    /// Nothing of all that is under way happened, and we are told: the request as a whole was refused, or one failed for which
    /// the others wait.
    RefusesAll,
    /// Nobody tells us anything of all that is under way; these of it happened, by bit.
    AllLost(u16),
    /// The process ends; these of all that is under way happened, by bit.
    Dies(u16),
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

impl Step {
    /// It uses up some of what may go wrong.
    pub fn is_trouble(&self) -> bool {
        match self {
            Step::Look { fails, .. } => fails.is_some(),
            Step::Write(fate) => *fate != Fate::Done,
            Step::Cycle { good, .. } => !good,
            Step::Admin(_) => true,
            Step::Tick | Step::Revoke => false,
        }
    }
}

impl Machine {
    /// The baseline is taken, nothing else is done.
    pub fn start(&self) -> State {
        let tenant = Tenant::new(self.layout, self.lag);
        let mut state = State::new(tenant, self.trouble);
        state.book.baseline = Observed::Absent;
        state.book.remembered.calibration = Some(calibration(state.tenant.now));
        let (prepared, _, _) = self.prepared(&state, 0, None, Permit::FirstBaseline);
        let baseline = prepared.approved.baseline().unwrap_or_else(|| panic!("no baseline: {:?}", prepared.approved.plan()));
        state.book.baseline = Observed::Known(baseline.clone());
        self.sealed(state)
    }

    fn sealed(&self, state: State) -> State {
        let key = key(&state, &self.spec);
        state.sealed(key)
    }

    fn prepared(&self, state: &State, stale: Stale, fails: Option<Read>, permit: Permit) -> (Decided, Book, bool) {
        let (mut seen, mut book) = (shown(&state.tenant, &self.untouched, stale, self.mutants), state.book.clone());
        let mut failing = fails;
        if self.mutants.contains(&Mutant::ShortList) {
            match fails {
                Some(Read::Rows) => rows_of(&mut seen).clear(),
                Some(Read::Members(group)) => members_of(&mut seen, group).clear(),
                _ => {}
            }
            failing = fails.filter(|read| !matches!(read, Read::Rows | Read::Members(_)));
        }
        if self.mutants.contains(&Mutant::OneLook) {
            believe(&mut book.remembered, state.tenant.now);
        }
        // Its writes are steps of the machine, one at a time.
        let may = |what: &str| !["write", "intend", "baseline"].iter().any(|of_steps| what.starts_with(of_steps));
        let mut fake = Fake::new(seen, state.tenant.now, book, may);
        fake.deleted.clone_from(&state.tenant.deleted);
        fake.fails.set(failing);
        let mut loop_state = LoopState { target: state.target.clone(), ..LoopState::default() };
        let stop = CancellationToken::new();
        let mut future = std::pin::pin!(decide(&fake, &self.spec, permit, &mut loop_state, &stop));
        let Poll::Ready(Some(prepared)) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("nothing here waits")
        };
        let failed = fails.is_some_and(|read| fake.has_been_asked(read));
        (prepared, fake.book.borrow().clone(), failed)
    }

    pub fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        if state.book.remembered.revocation_proof.is_some() || state.tenant.violation.is_some() {
            return;
        }
        let (faults, crashes) = (state.left.faults > 0, state.left.crashes > 0);
        let stales = masks(state.tenant.lagging());
        if let Some(action) = state.flight.first() {
            steps.push(Step::Write(Fate::Done));
            let asks = *action == Action::RequestRevocation;
            let some_of_it = 0..1_u16 << state.flight.len();
            if faults && !asks {
                steps.extend([Fate::Refused, Fate::Lost, Fate::Nothing].map(Step::Write));
                if state.flight.len() > 1 {
                    steps.push(Step::Write(Fate::RefusesAll));
                    steps.extend(some_of_it.clone().map(|done| Step::Write(Fate::AllLost(done))));
                }
            }
            if crashes {
                steps.extend(some_of_it.map(|done| Step::Write(Fate::Dies(done))));
            }
        } else if state.looked {
            steps.push(Step::Tick);
        } else {
            for stale in &stales {
                steps.push(Step::Look { stale: *stale, fails: None });
            }
            if faults {
                let groups = self.layout.iter().map(|(g, _)| Read::Members(group(*g)));
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
                let (prepared, book, failed) = self.prepared(&state, *stale, *fails, Permit::Write);
                if fails.is_some() && !failed {
                    return None;
                }
                state.left.faults -= u8::from(fails.is_some());
                let facts = Facts::new(&self.spec, &prepared.look, &prepared.memory, prepared.now);
                state.pending = if self.mutants.contains(&Mutant::AllAtOnce) {
                    let mut actions = plan(&facts, NewBaseline::Forbidden).actions;
                    actions.extend(everything(&facts));
                    actions
                } else {
                    prepared.approved.actions().to_vec()
                };
                (state.book, state.target, state.looked) = (book, prepared.memory.target, true);
                state.take_off();
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
        Some(self.sealed(state))
    }

    /// As `act` does it: a line for each that goes out, write, a line for each; what is not confirmed ends the plan.
    fn write(&self, state: &mut State, fate: Fate) {
        let now = state.tenant.now;
        if fate == Fate::RefusesAll {
            for action in std::mem::take(&mut state.flight) {
                state.book.conclude(&action.key(), Some(false), now, now);
            }
            state.pending.clear();
        } else if let Fate::AllLost(done) | Fate::Dies(done) = fate {
            for (bit, action) in std::mem::take(&mut state.flight).into_iter().enumerate() {
                if done & 1 << bit != 0 {
                    self.take_effect(state, &action);
                }
                state.book.conclude(&action.key(), None, now, now);
            }
            state.pending.clear();
        } else {
            let action = state.flight.remove(0);
            if matches!(fate, Fate::Done | Fate::Lost) {
                self.take_effect(state, &action);
            }
            let known = match fate {
                Fate::Done => Some(true),
                Fate::Refused => Some(false),
                Fate::Lost | Fate::Nothing | Fate::RefusesAll | Fate::AllLost(_) | Fate::Dies(_) => None,
            };
            state.book.conclude(&action.key(), known, now, now);
            if fate != Fate::Done {
                state.pending.clear();
            }
            state.take_off();
        }
        match fate {
            Fate::Done => {}
            Fate::Refused | Fate::Lost | Fate::Nothing | Fate::RefusesAll | Fate::AllLost(_) => state.left.faults -= 1,
            Fate::Dies(_) => {
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

    /// Left alone from here, with an operator who does what is asked of them: the number of turns until it is retired.
    pub fn turns_left(&self, state: &State, enough: impl Fn(&State) -> bool) -> Result<Vec<State>, String> {
        let mut state = state.clone();
        let mut way = Vec::new();
        for _ in 0..200 {
            if state.book.remembered.revocation_proof.is_some() || enough(&state) {
                return state.tenant.violation.clone().map_or(Ok(way), Err);
            }
            let proof = state.book.remembered.cycle_proof.is_some();
            let step = if !state.flight.is_empty() {
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
        let approved = self.prepared(&state, 0, None, Permit::Write).0.approved;
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
        actions.extend(facts.rows().expect("read").of(*group).iter().map(|row| Action::UnassignGroup {
            group: *group,
            assignment: row.id.clone().into(),
            role: row.role,
        }));
    }
    actions
}

/// Every way to set some of these bits.
fn masks(bits: Stale) -> Vec<Stale> {
    (0..=bits).filter(|mask| mask & !bits == 0).collect()
}
