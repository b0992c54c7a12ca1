//! The doors of the daemon, opened onto the small tenant: one look with its choices, and a ledger in memory.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use unscim::model::action::Action;
use unscim::model::baseline::{Baseline, Growth};
use unscim::model::deed::Deed;
use unscim::model::id::*;
use unscim::model::journal::Journal;
use unscim::model::key::Key;
use unscim::model::memory::Remembered;
use unscim::model::moment::since;
use unscim::model::seen::Seen;
use unscim::model::snapshot::*;
use unscim::model::spec::AppRef;
use unscim::model::witness::Witnessed;
use unscim::world::error::{Error, Result};
use unscim::world::{Clock, Directory, Freeze, Hook, LastWord, Ledger, Outcome, Target, World, Written};
use uuid::Uuid;

use crate::tenant::{Stale, Tenant};

/// A read that fails in a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    Rows,
    Members(u8),
    Jobs,
    Target,
    User,
}

/// Our book.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub baseline: Seen<Baseline>,
    pub remembered: Remembered,
    pub journal: Arc<Journal>,
    pub lines: i64,
}

impl Book {
    pub fn intend(&mut self, action: &Action, at: Timestamp) {
        self.lines += 1;
        Arc::make_mut(&mut self.journal).entries.entry(action.key()).or_default().begin(self.lines, at);
    }

    /// `None`: nobody knows.
    pub fn conclude(&mut self, key: &Key, done: Option<bool>, served: Timestamp, at: Timestamp) {
        let entry = Arc::make_mut(&mut self.journal).entries.get_mut(key).expect("it was begun");
        match done {
            Some(true) => {
                entry.confirm(served, at);
                entry.close();
            }
            Some(false) => entry.close(),
            None => {}
        }
    }
}

/// What a mutant of the rules gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A list that could not be read is taken for an empty one.
    ShortList,
    /// What the ledger remembers of repeated looks is believed at once.
    OneLook,
    /// A cycle that began before the write counts.
    AnyCycle,
    /// Failed cycles count.
    FailedCycle,
    /// Everything is done in the first turn, without the brakes.
    AllAtOnce,
}

pub struct Fake<'a> {
    pub tenant: &'a Tenant,
    pub book: RefCell<Book>,
    pub stale: Stale,
    pub fails: Option<Read>,
    pub mutants: &'static [Mutant],
    /// Whether the read that fails was made at all.
    pub failed: Cell<bool>,
}

impl Fake<'_> {
    fn refuse(&self, read: Read) -> Result<()> {
        if self.fails != Some(read) {
            return Ok(());
        }
        self.failed.set(true);
        Err(Error::TimedOut { doing: format!("reading {read:?}"), after: Duration::from_secs(30) })
    }

    fn look<T>(&self, value: T) -> Look<T> {
        Look { at: self.tenant.now, value }
    }
}

impl World for Fake<'_> {
    type Directory = Self;
    type Target = Self;
    type Ledger = Self;
    type Clock = Self;
    type Hook = Self;
    type Freeze = NoHand;
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
    fn freeze(&self) -> &NoHand {
        &NoHand
    }
}

impl Clock for Fake<'_> {
    fn now(&self) -> Timestamp {
        self.tenant.now
    }
    fn steady(&self) -> Duration {
        since(Timestamp::UNIX_EPOCH, self.tenant.now)
    }
}

/// Nobody holds it.
pub struct NoHand;

impl Freeze for NoHand {
    fn why(&self) -> Option<String> {
        None
    }
}

// Written by the machine itself, one step at a time.
const BY_STEP: &str = "writes are steps of the machine";

impl Hook for Fake<'_> {
    async fn call(&self, _: &str, _: LastWord<'_>) -> Result<Written> {
        unreachable!("{BY_STEP}")
    }
}

impl Directory for Fake<'_> {
    async fn permissions(&self) -> Result<Permissions> {
        let roles = ["AppRoleAssignment.ReadWrite.All", "GroupMember.ReadWrite.All", "Application.Read.All", "User.Read.All"];
        Ok(Permissions { roles: roles.map(String::from).into(), directory_roles: BTreeSet::new() })
    }

    async fn app(&self, _: &AppRef) -> Result<App> {
        let role = |n| AppRole { id: crate::tenant::role(n), display_name: format!("Role {n}"), enabled: true, for_users: true };
        let id = ServicePrincipalId(Uuid::from_u128(2));
        let roles = (1..=self.tenant.members.len() as u8).map(role).collect();
        Ok(App { id, app_id: None, display_name: "The app".into(), roles })
    }

    async fn assignments(&self, _: ServicePrincipalId) -> Result<Look<Vec<Assignment>>> {
        if let Err(error) = self.refuse(Read::Rows) {
            return if self.mutants.contains(&Mutant::ShortList) { Ok(self.look(Vec::new())) } else { Err(error) };
        }
        let row = |((principal, role), made): (&(Principal, AppRoleId), &Timestamp)| Assignment {
            id: AssignmentId::from(format!("{principal:?}/{role}")),
            principal: *principal,
            role: *role,
            created: Some(*made),
        };
        Ok(self.look(self.tenant.rows_seen(self.stale).iter().map(row).collect()))
    }

    async fn group(&self, id: GroupId) -> Result<GroupProfile> {
        Ok(GroupProfile {
            id,
            display_name: format!("Group {}", id.0.as_u128() & 0xf),
            security_enabled: true,
            mail_enabled: false,
            dynamic: false,
            unified: false,
            team: false,
            synced: false,
            role_assignable: false,
            management_restricted: false,
            licensed: false,
            hidden: false,
            converted: false,
            rule_by_groups: false,
            rule_paused: false,
        })
    }

    async fn group_uses(&self, _: GroupId, _: ServicePrincipalId) -> Result<GroupUses> {
        Ok(GroupUses::default())
    }

    async fn policies(&self) -> Result<Vec<Policy>> {
        Ok(Vec::new())
    }

    async fn lent_in(&self, groups: &[GroupId]) -> Vec<Result<BTreeMap<UserId, Option<Timestamp>>>> {
        groups.iter().map(|_| Ok(BTreeMap::new())).collect()
    }

    async fn eligible_for(&self, groups: &[GroupId]) -> Vec<Result<BTreeSet<UserId>>> {
        groups.iter().map(|_| Ok(BTreeSet::new())).collect()
    }

    async fn members(&self, id: GroupId) -> Result<Look<Members>> {
        let number = (id.0.as_u128() & 0xf) as u8;
        if let Err(error) = self.refuse(Read::Members(number)) {
            return if self.mutants.contains(&Mutant::ShortList) { Ok(self.look(Members::default())) } else { Err(error) };
        }
        let users = self.tenant.members_seen(id, self.stale).cloned().unwrap_or_default();
        Ok(self.look(Members { users, others: Vec::new() }))
    }

    async fn member_properties(&self, id: GroupId, _: &str) -> Result<Vec<DirectoryUser>> {
        let users = self.tenant.members_seen(id, self.stale).cloned().unwrap_or_default();
        Ok(users.into_iter().map(|user| self.person(user)).collect())
    }

    async fn user(&self, user: UserId, _: &str) -> Result<DirectoryUser> {
        self.refuse(Read::User)?;
        if self.tenant.deleted.contains(&user) {
            return Err(Error::NotFound { doing: "reading a user".into(), request_id: None });
        }
        Ok(self.person(user))
    }

    async fn jobs(&self, _: ServicePrincipalId) -> Result<Look<Vec<Job>>> {
        self.refuse(Read::Jobs)?;
        let last = self.tenant.last.as_ref().map(|cycle| Execution {
            activity: if self.mutants.contains(&Mutant::AnyCycle) {
                format!("cycle-of-{}", self.tenant.now)
            } else {
                format!("cycle-{}", cycle.number)
            },
            state: if cycle.good || self.mutants.contains(&Mutant::FailedCycle) {
                ExecutionState::Succeeded
            } else {
                ExecutionState::Failed
            },
            began: if self.mutants.contains(&Mutant::AnyCycle) { self.tenant.now } else { cycle.began },
            ended: Some(if self.mutants.contains(&Mutant::AnyCycle) { self.tenant.now } else { cycle.ended }),
            escrowed: Some(0),
            error: None,
        });
        let quarantine = (!self.tenant.token)
            .then(|| Quarantine { reason: "EncounteredQuarantineException".into(), message: "the token is refused".into() });
        Ok(self.look(vec![Job {
            id: JobId("scim.job".into()),
            schedule: ScheduleState::Active,
            interval: Some(Duration::from_secs(240)),
            code: if quarantine.is_some() { JobCode::Quarantine } else { JobCode::Active },
            steady_state_last: last.as_ref().and_then(|last| last.ended),
            last,
            quarantine,
            delete_threshold: None,
        }]))
    }

    async fn schema(&self, _: ServicePrincipalId, _: &JobId) -> Result<SyncSchema> {
        let sources = BTreeMap::from([("username".into(), Some("userPrincipalName".into()))]);
        let mapping = Mapping { enabled: true, deletes: true, scoped: false, sources };
        Ok(SyncSchema { user: Some(mapping.clone()), group: Some(mapping) })
    }

    async fn settings(&self, _: ServicePrincipalId) -> Result<SyncSettings> {
        Ok(SyncSettings {
            sync_all: Some(false),
            skip_out_of_scope_deletions: Some(false),
            base_address: None,
            delete_threshold: None,
            oauth: Vec::new(),
        })
    }

    async fn log(&self, _: &JobId, _: Timestamp) -> Result<Look<Log>> {
        Ok(self.look(Log::default()))
    }

    async fn room(&self, _: usize) -> usize {
        unreachable!("{BY_STEP}")
    }
    async fn write(&self, _: ServicePrincipalId, _: &[Action], _: LastWord<'_>) -> Vec<Result<Written>> {
        unreachable!("{BY_STEP}")
    }
}

impl Fake<'_> {
    fn person(&self, id: UserId) -> DirectoryUser {
        let name = name(id);
        let enabled = self.tenant.enabled.get(&id).copied();
        DirectoryUser { id, user_principal_name: Some(name.clone()), match_value: Some(name), enabled, guest: false }
    }

    fn record(&self, id: UserId) -> ScimUser {
        let active = self.tenant.active.contains(&id);
        ScimUser {
            id: ScimId::from(id.to_string()),
            user_name: Some(name(id).into()),
            external_id: None,
            active: Some(active),
            created: None,
        }
    }

    fn denied(&self) -> Result<()> {
        self.refuse(Read::Target)?;
        if self.tenant.token {
            return Ok(());
        }
        let (doing, code) = ("listing".to_owned(), "unauthorized".to_owned());
        Err(Error::Denied { doing, status: 401, code, message: "the token is not valid".into(), request_id: None })
    }
}

fn name(id: UserId) -> String {
    format!("user{}@contoso.example", id.0.as_u128() & 0xf)
}

impl Target for Fake<'_> {
    async fn users(&self) -> Result<BTreeMap<ScimId, ScimUser>> {
        self.denied()?;
        Ok(self.tenant.enabled.keys().map(|id| (ScimId::from(id.to_string()), self.record(*id))).collect())
    }

    async fn groups(&self) -> Result<BTreeMap<ScimId, ScimGroup>> {
        self.denied()?;
        let record = |id: &GroupId| {
            let scim = ScimId::from(id.to_string());
            let display_name = Some(format!("Group {}", id.0.as_u128() & 0xf));
            (scim.clone(), ScimGroup { id: scim, display_name, external_id: None })
        };
        Ok(self.tenant.at_target.iter().map(record).collect())
    }

    async fn user(&self, id: &ScimId, _: &[Signature]) -> Result<Seen<ScimUser>> {
        self.denied()?;
        let known = self.tenant.enabled.keys().find(|user| ScimId::from(user.to_string()) == *id);
        Ok(known.map_or(Seen::Absent, |user| Seen::Known(self.record(*user))))
    }

    async fn group(&self, id: &ScimId, _: &[Signature]) -> Result<Seen<ScimGroup>> {
        self.denied()?;
        let there = self.groups().await?;
        Ok(there.get(id).map_or(Seen::Absent, |group| Seen::Known(group.clone())))
    }

    async fn calibrate(&self, at: Timestamp) -> Result<Calibration> {
        Ok(calibration(at))
    }

    fn fits(&self, _: &Calibration) -> bool {
        true
    }

    async fn probe(&self, _: &Calibration, at: Timestamp) -> Probe {
        let verdict = match (self.fails, self.tenant.token) {
            (Some(Read::Target), _) => {
                self.failed.set(true);
                ProbeVerdict::Inconclusive
            }
            (_, true) => ProbeVerdict::Answers,
            (_, false) => ProbeVerdict::Rejected,
        };
        Probe { at, verdict, detail: String::new() }
    }
}

pub fn calibration(at: Timestamp) -> Calibration {
    let bad_token = Signature { status: 401, body: BodyShape::ScimError };
    Calibration {
        url: "http://127.0.0.1:1/scim/Users".into(),
        token: "0000".into(),
        bad_token,
        bad_token_too: None,
        control: Control::Alike,
        liveness: 200,
        no_such: None,
        at,
    }
}

impl Ledger for Fake<'_> {
    fn baseline(&self) -> Result<Seen<Baseline>> {
        Ok(self.book.borrow().baseline.clone())
    }

    fn remembered(&self) -> Result<Remembered> {
        let mut remembered = self.book.borrow().remembered.clone();
        if self.mutants.contains(&Mutant::OneLook) {
            let long_ago = self.tenant.now - SignedDuration::from_hours(12);
            let streaks = remembered.empty.values_mut().chain(remembered.unassigned.values_mut());
            for streak in streaks.chain(remembered.departed.values_mut().map(|departure| &mut departure.streak)) {
                (streak.since, streak.looks) = (long_ago, 9);
            }
            for since in Arc::make_mut(&mut remembered.covered_since).values_mut() {
                *since = since.iter().map(|(role, _)| (role, long_ago)).collect();
            }
        }
        Ok(remembered)
    }

    fn journal(&self) -> Result<Arc<Journal>> {
        Ok(self.book.borrow().journal.clone())
    }

    fn deeds(&self) -> Result<Vec<Deed>> {
        unreachable!("only a rollback asks for them")
    }

    fn recent(&self, _: usize) -> Result<Vec<Deed>> {
        unreachable!("only a status asks for them")
    }

    fn witness(&self, remembered: &Remembered, _: impl Iterator<Item = Witnessed>) -> Result<()> {
        self.book.borrow_mut().remembered = remembered.clone();
        Ok(())
    }

    fn witnessed(&self) -> Result<Vec<Witnessed>> {
        unreachable!("only a report asks for it")
    }

    fn create_baseline(&self, _: &Baseline) -> Result<()> {
        unreachable!("{BY_STEP}")
    }

    fn grow_baseline(&self, growth: &Growth) -> Result<()> {
        if let Seen::Known(baseline) = &mut self.book.borrow_mut().baseline {
            baseline.grow(growth);
        }
        Ok(())
    }

    fn intend(&self, _: u64, _: &[Action], _: Timestamp) -> Result<Vec<i64>> {
        unreachable!("{BY_STEP}")
    }

    fn conclude(&self, outcomes: &[(i64, Outcome)], at: Timestamp) -> Result<()> {
        let mut book = self.book.borrow_mut();
        for (intent, outcome) in outcomes {
            let found = book.journal.entries.iter().find(|(_, entry)| entry.open() == Some(*intent));
            let key = found.map(|(key, _)| key.clone()).expect("an intent of ours");
            match outcome {
                Outcome::Seen(served) => book.conclude(&key, Some(true), *served, at),
                Outcome::Failed(_) => book.conclude(&key, Some(false), at, at),
                Outcome::Done(_) | Outcome::Refused(_) | Outcome::Open(_) => unreachable!("{BY_STEP}"),
            }
        }
        Ok(())
    }
}
