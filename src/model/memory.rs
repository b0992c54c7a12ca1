//! What the ledger remembers between turns and over restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::baseline::Baseline;
use crate::model::compact::{Few, Pool};
use crate::model::extent::Extent;
use crate::model::id::{AppRoleId, GroupId, JobId, ScimId, UserId};
use crate::model::journal::{Entry, Journal};
use crate::model::key::Key;
use crate::model::last_read::{Figures, LastRead, kept};
use crate::model::moment::{Moment, is_ahead, since};
use crate::model::names::Names;
use crate::model::observed::Observed;
use crate::model::snapshot::{Calibration, Log, Look, Probe, Rounds, TargetLook};
use crate::model::status::Phase;
use crate::model::stranger::Ended;

#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// `Unknown`: the ledger can't be read, and nothing may be written anywhere.
    pub baseline: Observed<Baseline>,
    /// Where the baseline comes from.
    pub source: BaselineSource,
    pub remembered: Remembered,
    pub journal: Arc<Journal>,
    /// Kept by the process, not by the ledger: the last round over the target.
    pub target: Option<Arc<TargetLook>>,
    /// So too what was read of the provisioning log.
    pub log: Option<ObservedLog>,
    pub rounds: Rounds,
    /// What was seen of this ledger before the process began, where it no longer goes as far.
    pub behind: Option<Extent>,
    /// Of the process too: whether messages may name users.
    pub names: Names,
}

impl Memory {
    /// Writes of this retirement that take something away: a rollback has ended the one before, also where it put nothing back.
    pub fn taking(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        let is_ours = |(key, entry): &(&Key, &Entry)| {
            entry.confirmed == 0 || entry.is_open() || self.is_of_this_retirement(self.dated(key, entry.last_confirmed()))
        };
        self.journal.taking().filter(is_ours)
    }

    /// Whether anything was tried to be taken away.
    pub fn has_taken(&self) -> bool {
        self.taking().any(|(_, entry)| entry.intents > 0)
    }

    /// Earliest confirmation of any of these since the last rollback.
    pub fn first_confirmed<'m>(&'m self, of: impl Iterator<Item = (&'m Key, &'m Entry)>) -> Option<Timestamp> {
        let first = |(key, entry): (&Key, &Entry)| {
            let confirmed = [entry.first_confirmed(), entry.last_confirmed()].map(|at| self.dated(key, at));
            confirmed.into_iter().find(|at| self.is_of_this_retirement(*at)).flatten()
        };
        of.filter_map(first).min()
    }

    /// When it was confirmed, as far as that can be believed.
    pub fn dated(&self, key: &Key, confirmed: Option<Timestamp>) -> Option<Timestamp> {
        let at = self.remembered.misdated.get(key).map(|(_, at)| *at);
        confirmed.map(|confirmed| at.map_or(confirmed, |at| confirmed.min(at)))
    }

    fn is_of_this_retirement(&self, confirmed: Option<Timestamp>) -> bool {
        confirmed.is_some_and(|confirmed| self.remembered.begun_anew.is_none_or(|anew| confirmed > anew))
    }
}

impl Remembered {
    /// Whatever was asked for so far no longer counts: the deletion of the token is asked for again.
    pub fn ask_anew(&mut self, journal: &Journal) {
        self.revocations_void = journal.revocations();
        self.failures_void = journal.refused.get(&Key::Revocation).map_or(0, |failed| failed.times);
    }

    /// Who counts as lost now.
    pub fn lost(&self) -> impl Iterator<Item = (UserId, Timestamp)> {
        self.lost_since.iter().filter(|(id, _)| !self.released.contains(id)).map(|(id, since)| (*id, *since))
    }

    /// Whose record has another name at the target, and nobody can say whose it is; and our time of the first read that showed it.
    pub fn doubted(&self) -> impl Iterator<Item = (&UserId, Timestamp)> {
        let doubted = self.doubts.iter().filter(|(_, doubt)| doubt.kind == DoubtKind::Renamed && doubt.believed);
        doubted.map(|(id, doubt)| (id, doubt.since))
    }

    /// An older ledger remembers its proof alone.
    pub fn last_read(&self) -> Option<LastRead> {
        self.last_read.or_else(|| self.cycle_proof.as_ref().map(CycleProof::as_last_read))
    }

    /// Of the last read of the target, without who was released since.
    pub fn last_figures(&self) -> Option<Figures> {
        let amiss: BTreeSet<_> = self.lost_since.keys().chain(self.doubted().map(|(id, _)| id)).collect();
        Some(self.last_read()?.figures(amiss.difference(&self.released.iter().collect()).count() as u64))
    }
}

/// What was read of the provisioning log, up to the last look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedLog {
    pub job: JobId,
    pub look: Look<Log>,
    /// When it was last read from the baseline on.
    pub whole: Moment,
}

/// What a judgement may call "the baseline".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BaselineSource {
    /// Written down, on disk.
    #[default]
    Ledger,
    /// Taken from this turn's look, in memory only: `Observe` and `plan`.
    Provisional,
}

/// A few roles, with a time each. Who was first seen in the same look with the same roles has the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Since(Few<(AppRoleId, Timestamp)>);

impl Since {
    pub fn get(&self, role: &AppRoleId) -> Option<Timestamp> {
        self.0.iter().find(|(known, _)| known == role).map(|(_, at)| *at)
    }

    /// In the order of the roles.
    pub fn iter(&self) -> impl Iterator<Item = (AppRoleId, Timestamp)> {
        self.0.iter().copied()
    }

    pub fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.0.iter().map(|(_, at)| *at)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn insert(&mut self, role: AppRoleId, at: Timestamp) {
        self.0 = self.iter().filter(|(known, _)| *known != role).chain([(role, at)]).collect();
    }

    pub fn shared(self, pool: &mut Pool<(AppRoleId, Timestamp)>) -> Since {
        Since(pool.share(self.0))
    }
}

impl FromIterator<(AppRoleId, Timestamp)> for Since {
    fn from_iter<I: IntoIterator<Item = (AppRoleId, Timestamp)>>(roles: I) -> Self {
        let mut since = Since::default();
        roles.into_iter().for_each(|(role, at)| since.insert(role, at));
        since
    }
}

/// Times and proofs. Times marked "service" come from Graph's `Date` or stamps; others from our clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Remembered {
    /// Number of the last turn.
    pub turn: u64,
    /// When a rollback last wrote; our time. Nothing is written until the mode has been set anew.
    pub rolled_back: Option<Timestamp>,
    /// The look of the last rollback, for good; the service's time. What was taken away before it belongs to the retirement that it undid.
    pub begun_anew: Option<Timestamp>,
    /// The latest look so far.
    pub latest: Option<Latest>,
    /// The phase by the steps alone, as the last look that worked has it. Nothing is judged by it.
    pub standing: Option<Phase>,
    /// The look that showed this phase first; service.
    pub standing_since: Option<Timestamp>,
    /// The time before this process in which nobody watched, until the operator has said that the ledger is to go on.
    pub unwatched: Option<Unwatched>,
    /// Writes whose last confirmation was dated in the service's future: which one in number, and a time that it is not later than.
    pub misdated: BTreeMap<Key, (u32, Timestamp)>,
    /// Direct rows of protected users: service time of the first look of the unbroken series that showed them.
    #[serde(skip)]
    pub covered_since: Arc<BTreeMap<UserId, Since>>,
    /// Managed groups without user members: the unbroken series of looks that showed it.
    pub empty: BTreeMap<GroupId, Streak>,
    /// Managed groups without a row on the app.
    pub unassigned: BTreeMap<GroupId, Streak>,
    /// Managed groups whose unassignment was confirmed, and the service time of that.
    pub unassigned_at: BTreeMap<GroupId, Timestamp>,
    /// Of those, the groups whose members were read once more after that.
    pub members_closed: BTreeMap<GroupId, Timestamp>,
    /// Managed groups that were off the app and that somebody has assigned to it again, until repeated looks show them off it.
    pub assigned_again: BTreeSet<GroupId>,
    /// Protected users whom somebody has taken a direct assignment away from after the retirement.
    pub offboarded: BTreeSet<UserId>,
    /// Protected users whom Graph calls gone or disabled, or who left all managed groups by somebody else's hand.
    pub departed: BTreeMap<UserId, Departure>,
    /// Protected users who count as lost now, and when that was first seen; our time.
    pub lost_since: BTreeMap<UserId, Timestamp>,
    /// What the last read that told of them has shown.
    pub lost_by: BTreeMap<UserId, String>,
    /// Protected users whom the operator has released.
    pub released: BTreeSet<UserId>,
    /// Counted by the last read of the target that told of as many as the one before it, less who was released since.
    pub last_read: Option<LastRead>,
    /// Protected users whose record complete looks have shown to be gone, or under another name.
    pub doubts: BTreeMap<UserId, Doubt>,
    /// Of protected users, other names at the target than the first one that the directory has confirmed, in lower case.
    pub renamed: BTreeMap<UserId, Arc<str>>,
    /// Records of people who are not protected, as they were not inactive when something was first taken away.
    #[serde(skip)]
    pub bystanders: Arc<BTreeSet<ScimId>>,
    /// When these were last looked at before that; our time.
    pub bystanders_at: Option<Timestamp>,
    /// Who was not protected and has ended after that, as they count now.
    pub ended: Vec<Ended>,
    /// Looks at the target in a row after which every record there was made at another time than before.
    pub moved: u32,
    /// They were enough: the service keeps no such time, whatever it says later.
    pub undated: bool,
    /// What writes of ours were to take away and nobody answered: the unbroken series of looks without it.
    pub gone: BTreeMap<Key, Streak>,
    /// Other uses of managed groups that were ever seen, until repeated complete looks do not show them any more.
    pub uses: BTreeMap<GroupId, KnownUses>,
    /// Of a rollback only: users whose own rows of ours are to go, and the unbroken series of looks in which groups carry them.
    pub carried: BTreeMap<UserId, Streak>,
    /// Good cycles, oldest first, the last few.
    pub cycles: Vec<GoodCycle>,
    /// The last cycle that the report knows of, and whether it counts.
    pub seen_cycle: Option<(String, bool)>,
    /// Sizes of the last complete lists, for telling a list that suddenly shrank.
    pub sizes: BTreeMap<String, Size>,
    /// Turns of the latest rounds over the target, in a row, that showed no managed group and every protected user kept.
    pub clean_rounds: Vec<u64>,
    pub calibration: Option<Calibration>,
    /// The job signs in to the app as an OAuth client, as far as its settings were ever read.
    pub signs_in_by_oauth: bool,
    /// Step 4's proof.
    pub cycle_proof: Option<CycleProof>,
    /// Requests in the journal for the deletion of the token that no longer count, because a latch has opened since.
    pub revocations_void: u32,
    /// Of the webhook's calls that failed in a row, those that were made before a latch opened.
    pub failures_void: u32,
    /// Rejections in a row so far.
    pub rejections: Vec<Probe>,
    /// When the probe last ran; our time.
    pub probed_at: Option<Timestamp>,
    /// What it heard then, where that does not tell whether the token is dead.
    pub inconclusive: Option<String>,
    /// Step 5's proof.
    pub revocation_proof: Option<RevocationProof>,
}

/// The service's time of the latest look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    pub at: Timestamp,
    /// The unbroken series of looks whose times lie well before it.
    pub behind: Option<Streak>,
}

/// The time between the ledger's last look and the first one of the process that goes on with it; the service's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unwatched {
    pub from: Timestamp,
    /// The first look that shows the assignments.
    pub to: Option<Timestamp>,
    /// By the last look at them, something was put back in that time.
    pub holds: bool,
}

/// What complete looks at the target show of a record, and speaks against its being what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    pub kind: DoubtKind,
    /// Our time of the first look that showed it.
    pub since: Timestamp,
    /// So many in a row.
    pub looks: u32,
    /// They were enough. Of a record that was gone it stays so, whatever stands under its id later.
    pub believed: bool,
}

impl Doubt {
    pub fn is_believed_gone(&self) -> bool {
        self.kind == DoubtKind::Gone && self.believed
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DoubtKind {
    /// It was not there.
    Gone,
    /// It has another name, and the directory does not say why.
    Renamed,
}

/// Agreeing complete looks before an absence is believed, over at least `timing.settle`.
/// Graph serves reads from replicas that lag.
pub const LOOKS: u32 = 3;

/// An unbroken series of agreeing complete looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streak {
    /// Service time of the first look.
    pub since: Timestamp,
    /// Service time of the last one.
    pub last: Timestamp,
    pub looks: u32,
}

impl Streak {
    /// One more agreeing look at this service time.
    pub fn extend(streak: Option<Streak>, at: Timestamp) -> Streak {
        match streak.filter(|streak| !is_ahead(streak.last, at)) {
            Some(streak) if at > streak.last => Streak { last: at, looks: streak.looks + 1, ..streak },
            Some(streak) => streak,
            None => Streak { since: at, last: at, looks: 1 },
        }
    }

    /// Enough agreeing looks over enough time.
    pub fn is_believed(&self, looks: u32, settle: Duration) -> bool {
        self.looks >= looks && since(self.since, self.last) >= settle
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departure {
    pub kind: DepartureKind,
    pub streak: Streak,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DepartureKind {
    /// Graph has no such user any more.
    Deleted,
    /// `accountEnabled` is false.
    Disabled,
    /// Not in any managed group, without our doing, and without a direct assignment.
    Left,
}

/// Names, each with the unbroken series of complete looks that did not show it any more; none yet where the last one did.
pub type Uses = BTreeMap<String, Option<Streak>>;

/// Other uses of a group, by where they are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KnownUses {
    pub apps: Uses,
    pub parents: Uses,
    pub policies: Uses,
    /// Ids of those whose membership ends by itself.
    pub lent: Uses,
    /// Ids of those who may become members for a while.
    pub eligible: Uses,
}

/// A cycle that ended well, in the service's own times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodCycle {
    pub activity: String,
    pub began: Timestamp,
    pub ended: Timestamp,
    /// The turn in which we saw it.
    pub turn: u64,
    /// Nobody was waiting to be tried again at its end.
    #[serde(default)]
    pub clean: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub count: u64,
    /// Of a group: whom it lacked then of those who were ever in it, and no write of ours explains; one by one, so that neither
    /// a write that was tried again nor replicas that take turns make a riddle of it.
    #[serde(default)]
    pub missing: Option<u64>,
    /// A smaller count that has been seen since, and how often in a row.
    pub smaller: Option<(u64, u32)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CycleProof {
    pub cycles: Vec<GoodCycle>,
    pub users_kept: u64,
    pub users_counted: u64,
    /// Protected, and without a record at the target.
    #[serde(default)]
    pub users_not_known: u64,
    pub groups_gone: u64,
    /// Our time.
    pub at: Timestamp,
    pub log: String,
}

impl CycleProof {
    pub fn kept(&self) -> String {
        kept(self.users_kept, self.users_counted, self.users_not_known)
    }

    /// The read that it rests on.
    fn as_last_read(&self) -> LastRead {
        LastRead {
            at: self.at,
            counted: self.users_counted,
            explained: self.users_counted.saturating_sub(self.users_kept),
            unread: 0,
            not_known: self.users_not_known,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationProof {
    pub calibration: Calibration,
    pub rejections: Vec<Probe>,
    /// Our time.
    pub at: Timestamp,
}
