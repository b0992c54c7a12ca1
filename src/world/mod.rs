//! The outside, behind doors: what the loop may ask of Graph, of the app's SCIM service, of the ledger and of the clock.
//!
//! [`Target`] has no write: nothing here can harm a user in the app, even by mistake. [`Directory`] has one,
//! and what [`Action`] does not name can't be asked of it.

#![deny(clippy::disallowed_methods)]

pub mod connect;
pub mod error;
pub mod file;
pub mod graph;
pub mod http;
pub mod ledger;
pub mod pem;
pub mod scim;
pub mod secret;
pub mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::model::action::Action;
use crate::model::baseline::{Baseline, Growth};
use crate::model::history::HistoryEntry;
use crate::model::id::{GroupId, JobId, ScimId, ServicePrincipalId, UserId};
use crate::model::journal::Journal;
use crate::model::memory::Remembered;
use crate::model::moment::Moment;
use crate::model::observed::{Listed, Observed, Why};
use crate::model::snapshot::{
    App, Assignment, Calibration, CredentialLife, DirectoryUser, GroupProfile, GroupUses, Job, Log, Look, Members, Permissions,
    Policy, Probe, ScimGroup, ScimUser, Signature, SyncSchema, SyncSettings, TargetLook,
};
use crate::model::spec::{AppRef, MatchBy};
use crate::model::write_record::WriteRecord;
use error::{Error, Result};

/// Everything outside that one turn needs.
#[allow(async_fn_in_trait)]
pub trait World {
    type Directory: Directory;
    type Target: Target;
    type Ledger: Ledger;
    type Clock: Clock;
    type Hook: Hook;
    type Freeze: Freeze;
    fn directory(&self) -> &Self::Directory;
    fn target(&self) -> &Self::Target;
    fn ledger(&self) -> &Self::Ledger;
    fn clock(&self) -> &Self::Clock;
    fn hook(&self) -> &Self::Hook;
    fn freeze(&self) -> &Self::Freeze;
}

/// Microsoft Graph. Every list is complete or an error.
#[allow(async_fn_in_trait)]
pub trait Directory {
    async fn permissions(&self) -> Result<Permissions>;
    /// How long our credential is good; `None` where nobody can tell.
    fn credential_life(&self) -> Option<CredentialLife> {
        None
    }
    async fn app(&self, app: &AppRef) -> Result<App>;
    async fn assignments(&self, app: ServicePrincipalId) -> Result<Look<Vec<Assignment>>>;
    /// Conditional Access policies of the tenant.
    async fn policies(&self) -> Result<Vec<Policy>>;
    // Of several at once: one result for each, in their order.
    async fn profiles_of(&self, groups: &[GroupId]) -> Vec<Result<GroupProfile>>;
    async fn uses_of(&self, groups: &[GroupId], app: ServicePrincipalId) -> Vec<Result<GroupUses>>;
    async fn members_of(&self, groups: &[GroupId]) -> Vec<Result<Look<Members>>>;
    /// Properties of the groups' user members; `attribute` is the one the job matches by.
    async fn properties_of(&self, groups: &[GroupId], attribute: &str) -> Vec<Result<Vec<DirectoryUser>>>;
    async fn users_by_id(&self, users: &[UserId], attribute: &str) -> Vec<Result<DirectoryUser>>;
    /// Of each group: whose membership ends by itself, and when (Privileged Identity Management).
    async fn lent_in(&self, groups: &[GroupId]) -> Vec<Result<BTreeMap<UserId, Option<Timestamp>>>>;
    /// Of each group: who may become a member of it for a while.
    async fn eligible_for(&self, groups: &[GroupId]) -> Vec<Result<BTreeSet<UserId>>>;
    async fn jobs(&self, app: ServicePrincipalId) -> Result<Look<Vec<Job>>>;
    async fn schema(&self, app: ServicePrincipalId, job: &JobId) -> Result<SyncSchema>;
    async fn settings(&self, app: ServicePrincipalId) -> Result<SyncSettings>;
    /// Rows after `since` that harm or failed, oldest first.
    async fn log(&self, job: &JobId, since: Timestamp) -> Result<Look<Log>>;

    /// How many of `wanted` writes may go out now: it waits until a batch of them fits into our share of Graph's quota.
    async fn room(&self, wanted: usize) -> usize;
    /// Sends these writes in one request, at most twenty: changes of a group's members one after the other, each only if the
    /// one before it was done; others in any order. One outcome for each, in their order.
    async fn write(&self, app: ServicePrincipalId, actions: &[Action], last_word: LastWord<'_>) -> Vec<Result<Written>>;
}

/// Asked when everything that a write has to wait for is over and it is about to leave: why it may not, after all.
pub type LastWord<'a> = &'a dyn Fn() -> Option<String>;

/// What the service said of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Service time of the answer.
    pub at: Timestamp,
    /// It was so before we asked.
    pub already: bool,
    pub request_id: Option<String>,
    pub client_request_id: String,
}

/// One of the app's lists.
#[derive(Clone, Debug, PartialEq)]
pub struct AppList<T> {
    pub records: BTreeMap<ScimId, T>,
    /// Nothing shows that it is whole.
    pub may_lack: bool,
}

/// The app's SCIM service: reads only.
#[allow(async_fn_in_trait)]
pub trait Target {
    /// Every look begins with this one. Texts that the last look has, too, are held once.
    async fn users(&self, last: Option<&TargetLook>) -> Result<AppList<ScimUser>>;
    async fn groups(&self) -> Result<AppList<ScimGroup>>;
    /// `Absent` only for a 404 or 410 with a SCIM error body, or for one of the shapes in which the service is known to say "no".
    /// Those are given only where a whole list lacks the record.
    async fn user(&self, id: &ScimId, no_such: &[Signature]) -> Result<Observed<ScimUser>>;
    /// The one record with this value. `Absent` only where the service answers with an empty list; another's record, or several, are
    /// an error.
    async fn user_by(&self, attribute: MatchBy, value: &str) -> Result<Observed<ScimUser>>;
    async fn group(&self, id: &ScimId, no_such: &[Signature]) -> Result<Observed<ScimGroup>>;
    /// How many members the app's own group has; `None` where its record does not say.
    async fn group_members(&self, id: &ScimId) -> Result<Option<u64>>;
    /// Learns how a good token, a bad one and none are answered. An error where the good one is refused.
    async fn calibrate(&self, at: Timestamp) -> Result<Calibration>;
    /// It was made for this URL and the token that is in the file now.
    fn fits(&self, calibration: &Calibration) -> bool;
    /// When the token in the file ends by itself, as far as it says so.
    fn token_ends(&self) -> Option<Timestamp> {
        None
    }
    /// One round with its controls. Never an error: whatever goes wrong is `Inconclusive`.
    async fn probe(&self, calibration: &Calibration, at: Timestamp) -> Probe;
}

/// The operator's webhook that deletes the token, where there is one.
#[allow(async_fn_in_trait)]
pub trait Hook {
    async fn call(&self, idempotency_key: &str, last_word: LastWord<'_>) -> Result<Written>;
}

/// The operator's hand on the brake, asked before every write.
pub trait Freeze: Send + Sync {
    /// Why nothing may be written now, and how to take it back.
    fn why(&self) -> Option<String>;
}

impl<F: Freeze> Freeze for Option<F> {
    fn why(&self) -> Option<String> {
        self.as_ref()?.why()
    }
}

/// Our own book. No write anywhere without its line here first.
pub trait Ledger {
    /// `Absent`: the ledger is whole and has no baseline.
    fn baseline(&self) -> Result<Observed<Baseline>>;
    fn remembered(&self) -> Result<Remembered>;
    fn journal(&self) -> Result<Arc<Journal>>;
    /// Every write that was ever begun, oldest first.
    fn writes(&self) -> Result<Vec<WriteRecord>>;
    /// The last of them, at most so many; for showing, so no chain is walked for it.
    fn recent(&self, most: usize) -> Result<Vec<WriteRecord>>;
    /// Number and hash of the journal's last line.
    fn last_line(&self) -> Result<Option<(u64, String)>>;
    /// The hash of this line, where there is one.
    fn line(&self, number: u64) -> Result<Option<String>>;
    /// Writes what is remembered; only what changed since the last call.
    fn remember(&self, remembered: &Remembered) -> Result<()> {
        self.remember_with(remembered, std::iter::empty())
    }
    /// The same, together with what it shows that must not be forgotten: all of it, or nothing.
    fn remember_with(&self, remembered: &Remembered, witnessed: impl Iterator<Item = HistoryEntry>) -> Result<()>;
    /// All of that, oldest first.
    fn history(&self) -> Result<Vec<HistoryEntry>>;
    /// Creates the baseline; an error if there is one.
    fn create_baseline(&self, baseline: &Baseline) -> Result<()>;
    /// Adds to it; never removes.
    fn grow_baseline(&self, growth: &Growth) -> Result<()>;
    /// A line for each on disk before they are written, all of them or none; the numbers go into [`Ledger::conclude`].
    fn intend(&self, turn: u64, actions: &[Action], at: Timestamp) -> Result<Vec<i64>>;
    /// A line for each on disk after it, all of them or none.
    fn conclude(&self, outcomes: &[(i64, Outcome)], at: Timestamp) -> Result<()>;
}

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Written),
    /// Nobody answered, and later looks show it done before this service time.
    Observed(Timestamp),
    /// It certainly did not happen, and not because the service said so: it never left, or it waited for another.
    Failed(String),
    /// It certainly did not happen: the service refused it.
    Refused(String),
    /// It may or may not have happened; only a look can tell.
    Open(String),
}

pub trait Clock {
    /// For showing, and for what outlives the process; never compared with a service's time. Somebody may set it.
    fn now(&self) -> Timestamp;
    /// Since some beginning: it only goes on.
    fn steady(&self) -> Duration;
    /// For ages.
    fn moment(&self) -> Moment {
        Moment { wall: self.now(), steady: self.steady() }
    }
}

/// The machine's clock, in whole milliseconds: finer is of no use to a reader.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("now is a valid time")
    }
    fn steady(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}

/// A failed look at a list as a value: whatever the service said, nothing follows from it for what is in the list.
pub fn listed<T>(result: Result<T>) -> Listed<T> {
    match result {
        Ok(value) => Listed::Known(value),
        Err(error) => Listed::Unknown(Why::new(error.label(), error.to_string())),
    }
}

/// A failed look as a value. A thing that is not there is `Absent` only where the caller asked for one thing by id.
pub fn observed<T>(result: Result<T>) -> Observed<T> {
    match result {
        Ok(value) => Observed::Known(value),
        Err(Error::NotFound { .. }) => Observed::Absent,
        Err(error) => Observed::Unknown(Why::new(error.label(), error.to_string())),
    }
}
