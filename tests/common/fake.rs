//! The world as a hand that writes down what it is told to do, and answers as the test wants.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use unscim::model::action::Action;
use unscim::model::baseline::{Baseline, Growth};
use unscim::model::deed::Deed;
use unscim::model::id::*;
use unscim::model::journal::Journal;
use unscim::model::memory::Remembered;
use unscim::model::moment::since;
use unscim::model::seen::Seen;
use unscim::model::snapshot::*;
use unscim::model::spec::AppRef;
use unscim::model::witness::Witnessed;
use unscim::world::error::{Error, Result};
use unscim::world::{Clock, Directory, Freeze, Hook, LastWord, Ledger, Outcome, Target, World, Written};

use crate::support::{Case, at};

/// What a read is answered with; `None` is a failure.
type Reads<T> = RefCell<Option<T>>;

pub struct Hand {
    pub now: Cell<Timestamp>,
    /// By so much somebody has set the clock, since the case's look.
    pub set_back: Cell<SignedDuration>,
    /// Writes that may go out at once.
    pub room: Cell<usize>,
    /// Passes with each read.
    pub read: Cell<SignedDuration>,
    /// Somebody takes all rows of this one away at that time.
    pub loses: Cell<Option<(Timestamp, Principal)>>,
    /// Passes before a write leaves.
    pub gate: Cell<SignedDuration>,
    /// Passes with each write.
    pub each: Cell<SignedDuration>,
    /// The operator freezes after so many lines.
    pub frozen_after: Cell<usize>,
    pub rows: Reads<Vec<Assignment>>,
    pub members: Reads<BTreeMap<GroupId, BTreeSet<UserId>>>,
    /// Answers to the next writes; when they run out, each is done.
    pub answers: RefCell<VecDeque<Result<Written>>>,
    pub broken: Cell<Option<&'static str>>,
    /// Everything in order: reads, journal, writes.
    pub did: RefCell<Vec<String>>,
}

impl Hand {
    /// As the case sees the world, ten seconds after it looked.
    pub fn new(case: &Case) -> Hand {
        let members = case.seen.groups.iter().map(|(id, seen)| (*id, seen.members.known().unwrap().value.users.clone()));
        Hand {
            now: Cell::new(case.seen.began.wall + SignedDuration::from_secs(10)),
            set_back: Cell::default(),
            room: Cell::new(usize::MAX),
            read: Cell::default(),
            loses: Cell::default(),
            gate: Cell::default(),
            each: Cell::new(SignedDuration::ZERO),
            frozen_after: Cell::new(usize::MAX),
            rows: RefCell::new(case.seen.assignments.known().map(|look| look.value.clone())),
            members: RefCell::new(Some(members.collect())),
            answers: RefCell::default(),
            broken: Cell::new(None),
            did: RefCell::default(),
        }
    }

    pub fn answer(&self, answer: Result<Written>) {
        self.answers.borrow_mut().push_back(answer);
    }

    pub fn did(&self) -> Vec<String> {
        self.did.borrow().clone()
    }

    fn note(&self, what: String) {
        self.did.borrow_mut().push(what);
    }

    /// As for a token, or for a throttle to end.
    fn wait(&self, last_word: LastWord<'_>) -> Result<()> {
        self.now.set(self.now.get() + self.gate.get());
        last_word().map_or(Ok(()), |why| Err(Error::Withheld { doing: "writing".into(), why }))
    }

    fn wrote(&self, what: String) -> Result<Written> {
        self.note(format!("write {what}"));
        self.now.set(self.now.get() + self.each.get());
        self.answers.borrow_mut().pop_front().unwrap_or_else(|| Ok(written(false)))
    }

    fn booked(&self, what: &'static str) -> Result<()> {
        if self.broken.get() == Some(what) { Err(Error::Ledger("no space left".into())) } else { Ok(()) }
    }
}

pub fn written(already: bool) -> Written {
    Written { at: at(601), already, request_id: None, client_request_id: "c".into() }
}

fn lost<T>(doing: &str) -> Result<T> {
    Err(Error::TimedOut { doing: doing.into(), after: std::time::Duration::from_secs(30) })
}

impl World for Hand {
    type Directory = Self;
    type Target = Self;
    type Ledger = Self;
    type Clock = Self;
    type Hook = Self;
    type Freeze = Brake;
    fn directory(&self) -> &Self {
        self
    }
    fn target(&self) -> &Self {
        self
    }
    fn ledger(&self) -> &Self {
        self
    }
    fn clock(&self) -> &Self {
        self
    }
    fn hook(&self) -> &Self {
        self
    }
    fn freeze(&self) -> &Brake {
        if self.did.borrow().len() >= self.frozen_after.get() { &Brake::Pulled } else { &Brake::Free }
    }
}

pub enum Brake {
    Free,
    Pulled,
}

impl Freeze for Brake {
    fn why(&self) -> Option<String> {
        matches!(self, Brake::Pulled).then(|| "frozen by hand".into())
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        self.now.get()
    }
    fn steady(&self) -> Duration {
        since(Timestamp::UNIX_EPOCH, self.now.get() - self.set_back.get())
    }
}

impl Hook for Hand {
    async fn call(&self, key: &str, last_word: LastWord<'_>) -> Result<Written> {
        self.wait(last_word)?;
        self.wrote(format!("webhook {key}"))
    }
}

const UNASKED: &str = "act asks for nothing else";

impl Directory for Hand {
    async fn assignments(&self, _: ServicePrincipalId) -> Result<Look<Vec<Assignment>>> {
        self.note("read rows".into());
        let mut rows = self.rows.borrow().clone();
        if let (Some(rows), Some((_, whose))) = (&mut rows, self.loses.get().filter(|(at, _)| *at <= self.now.get())) {
            rows.retain(|row| row.principal != whose);
        }
        self.now.set(self.now.get() + self.read.get());
        rows.map_or_else(|| lost("listing the rows"), |value| Ok(Look { at: self.now.get(), value }))
    }
    async fn members(&self, id: GroupId) -> Result<Look<Members>> {
        self.note(format!("read members/{id}"));
        let users = self.members.borrow().as_ref().map(|all| all[&id].clone());
        self.now.set(self.now.get() + self.read.get());
        let look = |users| Look { at: self.now.get(), value: Members { users, others: Vec::new() } };
        users.map_or_else(|| lost("listing the members"), |users| Ok(look(users)))
    }
    async fn room(&self, wanted: usize) -> usize {
        wanted.min(self.room.get())
    }
    async fn write(&self, _: ServicePrincipalId, actions: &[Action], last_word: LastWord<'_>) -> Vec<Result<Written>> {
        if let Err(error) = self.wait(last_word) {
            return actions.iter().map(|_| Err(error.clone())).collect();
        }
        let wrote = |action: &Action| match action {
            Action::UnassignGroup { assignment, .. } | Action::RemoveDirect { assignment, .. } => {
                format!("unassign {assignment}")
            }
            Action::PauseJob { job } => format!("pause {job}"),
            other => other.key().to_string(),
        };
        actions.iter().map(|action| self.wrote(wrote(action))).collect()
    }
    async fn permissions(&self) -> Result<Permissions> {
        unreachable!("{UNASKED}")
    }
    async fn app(&self, _: &AppRef) -> Result<App> {
        unreachable!("{UNASKED}")
    }
    async fn group(&self, _: GroupId) -> Result<GroupProfile> {
        unreachable!("{UNASKED}")
    }
    async fn group_uses(&self, _: GroupId, _: ServicePrincipalId) -> Result<GroupUses> {
        unreachable!("{UNASKED}")
    }
    async fn policies(&self) -> Result<Vec<Policy>> {
        unreachable!("{UNASKED}")
    }
    async fn lent_in(&self, _: &[GroupId]) -> Vec<Result<BTreeMap<UserId, Option<Timestamp>>>> {
        unreachable!("{UNASKED}")
    }
    async fn eligible_for(&self, _: &[GroupId]) -> Vec<Result<BTreeSet<UserId>>> {
        unreachable!("{UNASKED}")
    }
    async fn member_properties(&self, _: GroupId, _: &str) -> Result<Vec<DirectoryUser>> {
        unreachable!("{UNASKED}")
    }
    async fn user(&self, _: UserId, _: &str) -> Result<DirectoryUser> {
        unreachable!("{UNASKED}")
    }
    async fn jobs(&self, _: ServicePrincipalId) -> Result<Look<Vec<Job>>> {
        unreachable!("{UNASKED}")
    }
    async fn schema(&self, _: ServicePrincipalId, _: &JobId) -> Result<SyncSchema> {
        unreachable!("{UNASKED}")
    }
    async fn settings(&self, _: ServicePrincipalId) -> Result<SyncSettings> {
        unreachable!("{UNASKED}")
    }
    async fn log(&self, _: &JobId, _: Timestamp) -> Result<Look<Log>> {
        unreachable!("{UNASKED}")
    }
}

impl Target for Hand {
    async fn users(&self) -> Result<BTreeMap<ScimId, ScimUser>> {
        unreachable!("{UNASKED}")
    }
    async fn groups(&self) -> Result<BTreeMap<ScimId, ScimGroup>> {
        unreachable!("{UNASKED}")
    }
    async fn user(&self, _: &ScimId, _: &[Signature]) -> Result<Seen<ScimUser>> {
        unreachable!("{UNASKED}")
    }
    async fn group(&self, _: &ScimId, _: &[Signature]) -> Result<Seen<ScimGroup>> {
        unreachable!("{UNASKED}")
    }
    async fn calibrate(&self, _: Timestamp) -> Result<Calibration> {
        unreachable!("{UNASKED}")
    }
    fn fits(&self, _: &Calibration) -> bool {
        unreachable!("{UNASKED}")
    }
    async fn probe(&self, _: &Calibration, _: Timestamp) -> Probe {
        unreachable!("{UNASKED}")
    }
}

impl Ledger for Hand {
    fn create_baseline(&self, baseline: &Baseline) -> Result<()> {
        self.note(format!("baseline of {} users", baseline.users.len()));
        self.booked("baseline")
    }
    fn intend(&self, turn: u64, actions: &[Action], _: Timestamp) -> Result<Vec<i64>> {
        actions.iter().for_each(|action| self.note(format!("intend {} in turn {turn}", action.key())));
        self.booked("intend").map(|()| (7..).take(actions.len()).collect())
    }
    fn conclude(&self, outcomes: &[(i64, Outcome)], _: Timestamp) -> Result<()> {
        for (intent, outcome) in outcomes {
            let outcome = match outcome {
                Outcome::Done(written) if written.already => "already",
                Outcome::Done(_) => "done",
                Outcome::Seen(_) => "seen",
                Outcome::Failed(_) | Outcome::Refused(_) => "failed",
                Outcome::Open(_) => "open",
            };
            self.note(format!("conclude {intent} {outcome}"));
        }
        self.booked("conclude")
    }
    fn baseline(&self) -> Result<Seen<Baseline>> {
        unreachable!("{UNASKED}")
    }
    fn remembered(&self) -> Result<Remembered> {
        unreachable!("{UNASKED}")
    }
    fn journal(&self) -> Result<std::sync::Arc<Journal>> {
        unreachable!("{UNASKED}")
    }
    fn recent(&self, _: usize) -> Result<Vec<Deed>> {
        unreachable!("{UNASKED}")
    }
    fn deeds(&self) -> Result<Vec<Deed>> {
        unreachable!("{UNASKED}")
    }
    fn witness(&self, _: &Remembered, _: impl Iterator<Item = Witnessed>) -> Result<()> {
        unreachable!("{UNASKED}")
    }
    fn witnessed(&self) -> Result<Vec<Witnessed>> {
        unreachable!("{UNASKED}")
    }
    fn grow_baseline(&self, _: &Growth) -> Result<()> {
        unreachable!("{UNASKED}")
    }
}
