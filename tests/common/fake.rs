//! A world that shows a snapshot, writes down what it is told to do, and answers as the test wants.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use unscim::model::action::Action;
use unscim::model::baseline::{Baseline, Growth};
use unscim::model::history::HistoryEntry;
use unscim::model::id::*;
use unscim::model::journal::Journal;
use unscim::model::memory::Remembered;
use unscim::model::moment::since;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::*;
use unscim::model::spec::{AppRef, MatchBy};
use unscim::model::write_record::WriteRecord;
use unscim::world::error::{Error, Result};
use unscim::world::{AppList, Clock, Directory, Freeze, Hook, LastWord, Ledger, Outcome, Target, World, Written};

use crate::book::Book;
use crate::company::{at, calibration, members_of, rows_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    Rows,
    Members(GroupId),
    Jobs,
    Target,
    User,
    /// What no test lets fail.
    Other(&'static str),
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Read::Rows => f.write_str("read rows"),
            Read::Members(group) => write!(f, "read members/{group}"),
            Read::Jobs => f.write_str("read jobs"),
            Read::Target => f.write_str("read the target"),
            Read::User => f.write_str("read a user"),
            Read::Other(what) => write!(f, "read {what}"),
        }
    }
}

pub struct Fake {
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
    /// What reads are answered with.
    pub seen: RefCell<Snapshot>,
    /// Whom the directory does not find by id, whatever its lists show.
    pub deleted: BTreeSet<UserId>,
    pub fails: Cell<Option<Read>>,
    /// Answers to the next writes; when they run out, each is done.
    pub answers: RefCell<VecDeque<Result<Written>>>,
    pub broken: Cell<Option<&'static str>>,
    pub book: RefCell<Book>,
    /// What may be asked of it here, as it stands in `did`; all else is a defect of what is tested.
    pub may: fn(&str) -> bool,
    /// Everything in order: reads, journal, writes.
    pub did: RefCell<Vec<String>>,
}

impl Fake {
    pub fn new(seen: Snapshot, now: Timestamp, book: Book, may: fn(&str) -> bool) -> Fake {
        Fake {
            now: Cell::new(now),
            set_back: Cell::default(),
            room: Cell::new(usize::MAX),
            read: Cell::default(),
            loses: Cell::default(),
            gate: Cell::default(),
            each: Cell::default(),
            frozen_after: Cell::new(usize::MAX),
            seen: RefCell::new(seen),
            deleted: BTreeSet::new(),
            fails: Cell::default(),
            answers: RefCell::default(),
            broken: Cell::default(),
            book: RefCell::new(book),
            may,
            did: RefCell::default(),
        }
    }

    pub fn answer(&self, answer: Result<Written>) {
        self.answers.borrow_mut().push_back(answer);
    }

    pub fn did(&self) -> Vec<String> {
        self.did.borrow().clone()
    }

    pub fn has_been_asked(&self, read: Read) -> bool {
        self.did.borrow().contains(&read.to_string())
    }

    pub fn edit_rows(&self, edit: impl FnOnce(&mut Vec<Assignment>)) {
        edit(rows_of(&mut self.seen.borrow_mut()));
    }

    pub fn edit_members(&self, group: GroupId, edit: impl FnOnce(&mut BTreeSet<UserId>)) {
        edit(members_of(&mut self.seen.borrow_mut(), group));
    }

    fn note(&self, what: String) {
        assert!((self.may)(&what), "nobody may ask for that here: {what}");
        self.did.borrow_mut().push(what);
    }

    /// A read, which takes its time and may fail.
    fn asked(&self, read: Read) -> Result<()> {
        self.note(read.to_string());
        self.now.set(self.now.get() + self.read.get());
        if self.fails.get() == Some(read) { timed_out(&read.to_string()) } else { Ok(()) }
    }

    fn look<T>(&self, value: T) -> Look<T> {
        Look { at: self.now.get(), value }
    }

    /// A part of the snapshot.
    fn one<T: Clone>(&self, read: Read, part: impl FnOnce(&Snapshot) -> Option<&Observed<T>>) -> Result<T> {
        self.asked(read)?;
        match part(&self.seen.borrow()) {
            Some(Observed::Known(value)) => Ok(value.clone()),
            Some(Observed::Absent) => Err(Error::NotFound { doing: read.to_string(), request_id: None }),
            Some(Observed::Unknown(_)) | None => timed_out(&read.to_string()),
        }
    }

    fn list<T: Clone>(&self, read: Read, part: impl FnOnce(&Snapshot) -> Option<&Listed<T>>) -> Result<T> {
        self.asked(read)?;
        let known = part(&self.seen.borrow()).and_then(|list| list.known().cloned());
        known.map_or_else(|| timed_out(&read.to_string()), Ok)
    }

    /// What the target shows to whoever has a token that it takes.
    fn at_target<T>(&self, part: impl FnOnce(&TargetLook) -> T) -> Result<T> {
        self.asked(Read::Target)?;
        let target = &self.seen.borrow().target;
        if let TokenState::Refused(status) = target.token {
            let (doing, code) = ("listing".to_owned(), "unauthorized".to_owned());
            return Err(Error::Denied { doing, status, code, message: "the token is not valid".into(), request_id: None });
        }
        target.look.known().map_or_else(|| timed_out("reading the target"), |look| Ok(part(look)))
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

fn timed_out<T>(doing: &str) -> Result<T> {
    Err(Error::TimedOut { doing: doing.into(), after: Duration::from_secs(30) })
}

impl World for Fake {
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

impl Clock for Fake {
    fn now(&self) -> Timestamp {
        self.now.get()
    }
    fn steady(&self) -> Duration {
        since(Timestamp::UNIX_EPOCH, self.now.get() - self.set_back.get())
    }
}

impl Hook for Fake {
    async fn call(&self, key: &str, last_word: LastWord<'_>) -> Result<Written> {
        self.wait(last_word)?;
        self.wrote(format!("webhook {key}"))
    }
}

impl Directory for Fake {
    async fn permissions(&self) -> Result<Permissions> {
        self.one(Read::Other("permissions"), |seen| Some(&seen.permissions))
    }
    async fn app(&self, _: &AppRef) -> Result<App> {
        self.one(Read::Other("the app"), |seen| Some(&seen.app))
    }
    async fn assignments(&self, _: ServicePrincipalId) -> Result<Look<Vec<Assignment>>> {
        let begun = self.now.get();
        let mut rows = self.list(Read::Rows, |seen| Some(&seen.assignments))?.value;
        if let Some((_, whose)) = self.loses.get().filter(|(at, _)| *at <= begun) {
            rows.retain(|row| row.principal != whose);
        }
        Ok(self.look(rows))
    }
    async fn policies(&self) -> Result<Vec<Policy>> {
        self.list(Read::Other("policies"), |seen| Some(&seen.policies))
    }
    async fn profiles_of(&self, groups: &[GroupId]) -> Vec<Result<GroupProfile>> {
        let profile = |id| self.one(Read::Other("a group"), |seen| Some(&seen.groups.get(id)?.profile));
        groups.iter().map(profile).collect()
    }
    async fn uses_of(&self, groups: &[GroupId], _: ServicePrincipalId) -> Vec<Result<GroupUses>> {
        let uses = |id| self.list(Read::Other("uses"), |seen| Some(&seen.groups.get(id)?.uses));
        groups.iter().map(uses).collect()
    }
    async fn members_of(&self, groups: &[GroupId]) -> Vec<Result<Look<Members>>> {
        let members = |id: &GroupId| {
            let members = self.list(Read::Members(*id), |seen| Some(&seen.groups.get(id)?.members))?.value;
            Ok(self.look(members))
        };
        groups.iter().map(members).collect()
    }
    async fn properties_of(&self, groups: &[GroupId], _: &str) -> Vec<Result<Vec<DirectoryUser>>> {
        let properties = |id| {
            self.asked(Read::Other("properties"))?;
            let seen = self.seen.borrow();
            let members = seen.groups.get(id).and_then(|group| group.members.known());
            let users = members.into_iter().flat_map(|look| &look.value.users);
            Ok(users.filter_map(|user| seen.users.get(user)?.known().cloned()).collect())
        };
        groups.iter().map(properties).collect()
    }
    async fn users_by_id(&self, users: &[UserId], _: &str) -> Vec<Result<DirectoryUser>> {
        let user = |id: &UserId| {
            let deleted = self.deleted.contains(id);
            self.one(Read::User, |seen| if deleted { Some(&Observed::Absent) } else { seen.users.get(id) })
        };
        users.iter().map(user).collect()
    }
    async fn lent_in(&self, groups: &[GroupId]) -> Vec<Result<BTreeMap<UserId, Option<Timestamp>>>> {
        let lent = |id| self.list(Read::Other("who is lent"), |seen| Some(&seen.groups.get(id)?.lent));
        groups.iter().map(lent).collect()
    }
    async fn eligible_for(&self, groups: &[GroupId]) -> Vec<Result<BTreeSet<UserId>>> {
        let eligible = |id| self.list(Read::Other("who is eligible"), |seen| Some(&seen.groups.get(id)?.eligible));
        groups.iter().map(eligible).collect()
    }
    async fn jobs(&self, _: ServicePrincipalId) -> Result<Look<Vec<Job>>> {
        let jobs = self.list(Read::Jobs, |seen| Some(&seen.jobs))?.value;
        Ok(self.look(jobs))
    }
    async fn schema(&self, _: ServicePrincipalId, _: &JobId) -> Result<SyncSchema> {
        self.one(Read::Other("the schema"), |seen| Some(&seen.schema))
    }
    async fn settings(&self, _: ServicePrincipalId) -> Result<SyncSettings> {
        self.list(Read::Other("the settings"), |seen| Some(&seen.settings))
    }
    async fn log(&self, _: &JobId, _: Timestamp) -> Result<Look<Log>> {
        let log = self.list(Read::Other("the log"), |seen| Some(&seen.log))?.value;
        Ok(self.look(log))
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
}

impl Target for Fake {
    async fn users(&self, _: Option<&TargetLook>) -> Result<AppList<ScimUser>> {
        self.at_target(|look| AppList { records: look.users.clone(), may_lack: look.may_lack_users })
    }
    async fn groups(&self) -> Result<AppList<ScimGroup>> {
        self.at_target(|look| AppList { records: look.groups.clone(), may_lack: look.may_lack_groups })
    }
    async fn user(&self, id: &ScimId, _: &[Signature]) -> Result<Observed<ScimUser>> {
        self.at_target(|look| look.users.get(id).cloned().map_or(Observed::Absent, Observed::Known))
    }
    async fn user_by(&self, attribute: MatchBy, value: &str) -> Result<Observed<ScimUser>> {
        self.at_target(|look| {
            look.users.values().find(|user| user.matches(attribute, value)).cloned().map_or(Observed::Absent, Observed::Known)
        })
    }
    async fn group(&self, id: &ScimId, _: &[Signature]) -> Result<Observed<ScimGroup>> {
        self.at_target(|look| look.groups.get(id).cloned().map_or(Observed::Absent, Observed::Known))
    }
    async fn group_members(&self, id: &ScimId) -> Result<Option<u64>> {
        self.at_target(|look| look.group_members.get(id).and_then(|members| members.known().copied()).flatten())
    }
    async fn calibrate(&self, at: Timestamp) -> Result<Calibration> {
        self.note("make a calibration".into());
        Ok(calibration(at))
    }
    fn fits(&self, _: &Calibration) -> bool {
        self.note("fit a calibration".into());
        true
    }
    async fn probe(&self, _: &Calibration, at: Timestamp) -> Probe {
        let verdict = match (self.asked(Read::Target), &self.seen.borrow().target.token) {
            (Err(_), _) | (_, TokenState::Unknown) => ProbeVerdict::Inconclusive,
            (Ok(()), TokenState::Accepted) => ProbeVerdict::Answers,
            (Ok(()), TokenState::Refused(_)) => ProbeVerdict::Rejected,
        };
        Probe { at, verdict, detail: String::new() }
    }
}

const NEVER: &str = "a turn asks for nothing of the kind";

impl Ledger for Fake {
    fn baseline(&self) -> Result<Observed<Baseline>> {
        self.note("read the baseline".into());
        Ok(self.book.borrow().baseline.clone())
    }
    fn remembered(&self) -> Result<Remembered> {
        self.note("read what is remembered".into());
        Ok(self.book.borrow().remembered.clone())
    }
    fn journal(&self) -> Result<Arc<Journal>> {
        self.note("read the journal".into());
        Ok(self.book.borrow().journal.clone())
    }
    fn writes(&self) -> Result<Vec<WriteRecord>> {
        unreachable!("{NEVER}")
    }
    fn recent(&self, _: usize) -> Result<Vec<WriteRecord>> {
        unreachable!("{NEVER}")
    }
    fn last_line(&self) -> Result<Option<(u64, String)>> {
        unreachable!("{NEVER}")
    }
    fn line(&self, number: u64) -> Result<Option<String>> {
        self.note(format!("read line {number}"));
        self.booked("line")?;
        Ok(None)
    }
    fn history(&self) -> Result<Vec<HistoryEntry>> {
        unreachable!("{NEVER}")
    }
    fn remember_with(&self, remembered: &Remembered, _: impl Iterator<Item = HistoryEntry>) -> Result<()> {
        self.note("remember".into());
        self.book.borrow_mut().remembered = remembered.clone();
        Ok(())
    }
    fn create_baseline(&self, baseline: &Baseline) -> Result<()> {
        self.note(format!("baseline of {} users", baseline.users.len()));
        self.booked("baseline")?;
        self.book.borrow_mut().baseline = Observed::Known(baseline.clone());
        Ok(())
    }
    fn grow_baseline(&self, growth: &Growth) -> Result<()> {
        self.note("grow the baseline".into());
        if let Observed::Known(baseline) = &mut self.book.borrow_mut().baseline {
            baseline.grow(growth);
        }
        Ok(())
    }
    fn intend(&self, turn: u64, actions: &[Action], at: Timestamp) -> Result<Vec<i64>> {
        actions.iter().for_each(|action| self.note(format!("intend {} in turn {turn}", action.key())));
        self.booked("intend")?;
        let mut book = self.book.borrow_mut();
        Ok(actions.iter().map(|action| book.intend(action, at)).collect())
    }
    fn conclude(&self, outcomes: &[(i64, Outcome)], at: Timestamp) -> Result<()> {
        for (intent, outcome) in outcomes {
            let outcome = match outcome {
                Outcome::Done(written) if written.already => "already",
                Outcome::Done(_) => "done",
                Outcome::Observed(_) => "seen",
                Outcome::Failed(_) => "failed",
                Outcome::Refused(_) => "refused",
                Outcome::Open(_) => "open",
            };
            self.note(format!("conclude {intent} {outcome}"));
        }
        self.booked("conclude")?;
        let mut book = self.book.borrow_mut();
        outcomes.iter().for_each(|(intent, outcome)| book.end(*intent, outcome, at));
        Ok(())
    }
}
