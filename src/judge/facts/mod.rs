//! All that a judgement may depend on, and the few questions that several judgements ask of it; about people, in `people`.

mod people;
mod person;
mod rows;
mod tally;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::baseline::Baseline;
use crate::model::compact::InOrder;
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::journal::Entry;
use crate::model::key::{Key, KeyKind};
use crate::model::memory::{BaselineSource, Departure, DepartureKind, GoodCycle, LOOKS, Memory};
use crate::model::moment::{Moment, SKEW, lasts, later, since};
use crate::model::names::Names;
use crate::model::snapshot::{GroupProfile, Job, Look, Members, ProbeVerdict, ScimUser, Snapshot, TokenState};
use crate::model::spec::{Acknowledgement, MatchBy, MembersDecision, Select, Spec};
use crate::model::words::lower;
use people::People;
use person::InGroup;
pub use person::{Cover, Person};
pub use rows::Rows;
pub use tally::{Loss, Tally};

/// Graph's replicas mostly agree within this: so long a row that was just made is not made again, whatever comes.
const LEAST_REPLICATION: Duration = Duration::from_secs(60);

pub struct Facts<'a> {
    pub spec: &'a Spec,
    pub seen: &'a Snapshot,
    pub memory: &'a Memory,
    /// Our clock: for waits only.
    pub now: Timestamp,
    /// The same, for ages.
    pub moment: Moment,
    rows: Option<Rows<'a>>,
    journal: RefCell<InOrder<'a, Key, Entry>>,
    /// Where the last one was found among the people: most are asked for in their order.
    last_person: Cell<usize>,
    /// And among those who were ever in a group.
    last_in: Cell<usize>,
    /// What follows is worked out once somebody has asked.
    people: OnceCell<People<'a>>,
    judged: RefCell<BTreeMap<GroupId, Rc<InGroup>>>,
    pub(in crate::judge) tally: OnceCell<Option<Tally>>,
    /// Whether memberships that end are in question for anybody.
    pub(in crate::judge) may_be_lent: OnceCell<bool>,
    /// The target's users by one of their attributes, in lower case.
    user_names: OnceCell<Records<'a>>,
    external_ids: OnceCell<Records<'a>>,
    /// The baseline that this look would give.
    pub(in crate::judge) first: OnceCell<Result<Arc<Baseline>, String>>,
}

/// The facts of a turn in which both whom we protect and who is assigned are known.
pub struct Ground<'f, 'a> {
    facts: &'f Facts<'a>,
    pub baseline: &'a Baseline,
    pub rows: &'f Rows<'a>,
}

impl<'a> Deref for Ground<'_, 'a> {
    type Target = Facts<'a>;

    fn deref(&self) -> &Facts<'a> {
        self.facts
    }
}

/// In the order of their values.
type Records<'a> = Vec<(Cow<'a, str>, &'a ScimUser)>;

impl<'a> Facts<'a> {
    pub fn new(spec: &'a Spec, seen: &'a Snapshot, memory: &'a Memory, moment: Moment) -> Self {
        Facts {
            spec,
            seen,
            memory,
            now: moment.wall,
            moment,
            rows: seen.assignments.known().map(Rows::new),
            journal: RefCell::new(InOrder::over(&memory.journal.entries)),
            last_person: Cell::new(0),
            last_in: Cell::new(0),
            people: OnceCell::new(),
            judged: RefCell::default(),
            tally: OnceCell::new(),
            may_be_lent: OnceCell::new(),
            user_names: OnceCell::new(),
            external_ids: OnceCell::new(),
            first: OnceCell::new(),
        }
    }

    pub fn baseline(&self) -> Option<&'a Baseline> {
        self.memory.baseline.known()
    }

    /// The baseline, where it is on disk.
    pub fn recorded(&self) -> Option<&'a Baseline> {
        self.baseline().filter(|_| self.memory.source == BaselineSource::Ledger)
    }

    /// The app's assignments; `None` where this turn could not read them.
    pub fn rows(&self) -> Option<&Rows<'a>> {
        self.rows.as_ref()
    }

    /// What a step may judge by: it is there only where both the baseline and the assignments are known.
    pub fn ground(&self) -> Option<Ground<'_, 'a>> {
        Some(Ground { facts: self, baseline: self.baseline()?, rows: self.rows()? })
    }

    /// Observed on the app in this turn. Not so of any group where the assignments are not known, nor is [`Facts::is_off`].
    pub fn is_on(&self, group: GroupId) -> bool {
        self.rows().is_some_and(|rows| rows.has(group))
    }

    /// Observed not to be on the app any more in this turn.
    pub fn is_off(&self, group: GroupId) -> bool {
        self.rows().is_some_and(|rows| !rows.has(group))
    }

    /// Who is in the group by this turn's look; `None` where that could not be read.
    pub fn members(&self, group: GroupId) -> Option<&'a Look<Members>> {
        self.seen.groups.get(&group)?.members.known()
    }

    /// This turn's look shows them in the group.
    pub fn is_seen_in(&self, user: UserId, group: GroupId) -> bool {
        self.members(group).is_some_and(|look| look.value.users.contains(&user))
    }

    pub fn profile(&self, group: GroupId) -> Option<&'a GroupProfile> {
        self.seen.groups.get(&group)?.profile.known()
    }

    /// Groups on the app that nobody handed to us, as far as is known.
    pub fn unmanaged_groups(&self) -> Vec<GroupId> {
        let managed = |group: &GroupId| self.baseline().is_some_and(|baseline| baseline.groups.contains_key(group));
        self.rows().into_iter().flat_map(Rows::groups).filter(|group| !managed(group)).collect()
    }

    /// What the journal has of this write.
    pub fn written(&self, key: &Key) -> Option<&'a Entry> {
        self.journal.borrow_mut().get(key)
    }

    /// What the write was to bring about may have come by it: it was tried, and not refused every time.
    pub fn may_be_ours(&self, key: &Key) -> bool {
        let refused = || self.memory.journal.refused.get(key).map_or(0, |refusal| refusal.times);
        self.written(key).is_some_and(|entry| entry.confirmed > 0 || entry.is_open() || refused() < entry.intents)
    }

    /// The token has been proven dead: no engine runs any more, so no cycle is awaited.
    pub fn is_token_rejected(&self) -> bool {
        self.memory.remembered.revocation_proof.is_some()
    }

    /// Step 4 is proven and the token refused since: the target has said all that it had to say.
    pub fn is_target_closed(&self) -> bool {
        let refused = matches!(self.seen.target.token, TokenState::Refused(_));
        self.is_token_rejected() || (refused && self.memory.remembered.cycle_proof.is_some())
    }

    /// What the last probe heard, where that does not tell whether the token is dead. Not every turn probes.
    pub fn inconclusive(&self) -> Option<&str> {
        match &self.seen.probe {
            Some(probe) => Some(probe.detail.as_str()).filter(|_| probe.verdict == ProbeVerdict::Inconclusive),
            None => self.memory.remembered.inconclusive.as_deref(),
        }
    }

    /// Not since the last rollback, before which the token may well have been deleted as the guide has it.
    pub fn is_target_unread_since_rollback(&self) -> bool {
        self.memory.remembered.begun_anew.is_some() && self.memory.remembered.bystanders_at.is_none()
    }

    /// The token of Entra's own is none that somebody has entered, and the one in our file is another: that it ends says nothing.
    pub fn signs_in_by_oauth(&self) -> bool {
        match self.seen.settings.known() {
            Some(settings) => !settings.oauth.is_empty(),
            None => self.memory.remembered.signs_in_by_oauth,
        }
    }

    /// By the clock of Entra, where it was heard.
    pub fn service_time(&self) -> Timestamp {
        self.seen.jobs.known().map_or(self.now, |look| look.at)
    }

    /// When the token for the app ends, where that is over by what it says, or about to be.
    pub fn token_ended(&self) -> Option<Timestamp> {
        self.seen.target.token_ends.filter(|end| *end <= later(self.service_time(), SKEW))
    }

    /// Why a token that is refused need not have been deleted.
    pub fn runs_out(&self) -> Option<String> {
        match self.token_ended() {
            Some(end) => Some(format!("by what it says it has expired by itself on {end:.0}, or is about to")),
            None if self.signs_in_by_oauth() => {
                Some("Entra signs in to the app by OAuth, so it may be an access token that has expired by itself".into())
            }
            None => None,
        }
    }

    pub fn group_name(&self, group: GroupId) -> String {
        let name = self
            .baseline()
            .and_then(|baseline| baseline.groups.get(&group))
            .map(|group| group.display_name.clone())
            .or_else(|| self.profile(group).map(|profile| profile.display_name.clone()));
        name.map_or_else(|| group.to_string(), |name| format!("{name:?} ({group})"))
    }

    /// The one way for a user into a message.
    pub fn user_name(&self, user: UserId) -> String {
        let known = self.baseline().filter(|_| self.memory.names == Names::Shown);
        let name = known.and_then(|baseline| baseline.users.get(&user)?.name.clone());
        name.map_or_else(|| user.to_string(), |name| format!("{name} ({user})"))
    }

    pub fn role_name(&self, role: AppRoleId) -> String {
        let known = self.seen.app.known().and_then(|app| app.roles.iter().find(|known| known.id == role));
        known.map_or_else(|| format!("role {role}"), |known| format!("role {:?}", known.display_name))
    }

    /// The role that users are to hold themselves for this one of their groups.
    pub fn own_role(&self, role: AppRoleId) -> AppRoleId {
        *self.spec.roles.get(&role).unwrap_or(&role)
    }

    pub fn acknowledges(&self, what: Acknowledgement) -> bool {
        self.spec.groups.acknowledge.contains(&what)
    }

    pub fn decision(&self, group: GroupId) -> Option<MembersDecision> {
        self.spec.groups.list.iter().find(|entry| entry.id == group).and_then(|entry| entry.members)
    }

    /// What the spec hands to us, before there is a baseline: the ids that are to be looked at.
    pub fn wished_groups(&self) -> BTreeSet<GroupId> {
        match self.spec.groups.select {
            Select::Listed => self.spec.groups.list.iter().map(|entry| entry.id).collect(),
            Select::AllAssigned => self.rows().into_iter().flat_map(Rows::groups).collect(),
        }
    }

    /// Groups were emptied or unassigned before there was a baseline, by the operator's word.
    pub fn is_already_direct(&self) -> bool {
        self.acknowledges(Acknowledgement::AlreadyDirect)
    }

    /// It was handed over once, and the operator has taken it off the list since.
    pub fn is_withdrawn(&self, group: GroupId) -> bool {
        self.spec.groups.select == Select::Listed && !self.wished_groups().contains(&group)
    }

    /// The one job, where there is exactly one or the spec names it.
    pub fn job(&self) -> Option<&'a Job> {
        self.spec.entra.job(&self.seen.jobs.known()?.value)
    }

    /// From when on a cycle is late: a job with a long interval of its own is not late by our time-out.
    pub fn cycle_limit(&self) -> Duration {
        let interval = self.job().and_then(|job| job.interval).unwrap_or_default();
        self.spec.provisioning.cycle_timeout.max(interval * 2)
    }

    /// Entra's threshold against accidental deletions, per cycle. Which of its two places decides Microsoft does not
    /// say: the smaller one counts.
    pub fn delete_threshold(&self) -> Option<u64> {
        let settings = self.seen.settings.known().and_then(|settings| settings.delete_threshold);
        let job = self.job().and_then(|job| job.delete_threshold);
        [settings, job].into_iter().flatten().min()
    }

    /// Nothing is owed to them: Graph has no such user, or an admin took them out of every managed group first.
    pub fn has_departed(&self, user: UserId) -> bool {
        self.memory.remembered.departed.get(&user).is_some_and(|Departure { kind, streak }| match kind {
            DepartureKind::Deleted => streak.is_believed(LOOKS, self.spec.timing.settle) && !self.is_there(user, streak.since),
            DepartureKind::Left => streak.is_believed(LOOKS, self.spec.timing.settle),
            DepartureKind::Disabled => false,
        })
    }

    /// Graph drops the assignments of whoever is deleted, so a direct assignment from before then says that they are not.
    fn is_there(&self, user: UserId, since: Timestamp) -> bool {
        let from_before = |made: Option<Timestamp>| made.is_none_or(|made| made < since);
        self.rows().is_some_and(|rows| rows.of_user(user).any(|(_, made)| from_before(made)))
    }

    /// Good cycles that began more than the margin after this service time.
    pub fn good_cycles_after(&self, event: Timestamp) -> Vec<&'a GoodCycle> {
        self.cycles_after(event).collect()
    }

    fn cycles_after(&self, event: Timestamp) -> impl Iterator<Item = &'a GoodCycle> {
        let margin = self.spec.provisioning.cycle_margin;
        self.memory.remembered.cycles.iter().filter(move |cycle| since(event, cycle.began) > margin)
    }

    /// Users of the last look at the target who have this value, in lower case; in the order of their ids.
    pub fn records_by(&self, attribute: MatchBy, value: &str) -> impl Iterator<Item = &'a ScimUser> {
        let records = match attribute {
            MatchBy::UserName => &self.user_names,
            MatchBy::ExternalId => &self.external_ids,
        };
        let records = records.get_or_init(|| {
            let records = self.memory.target.iter().flat_map(|look| look.users.values());
            let valued = records.filter_map(|record| Some((lower(record.value_of(attribute)?), record)));
            let mut records: Records = valued.collect();
            records.sort_by(|(one, _), (other, _)| one.cmp(other));
            records
        });
        let from = records.partition_point(|(known, _)| **known < *value);
        records[from..].iter().take_while(move |(known, _)| known == value).map(|(_, record)| *record)
    }

    /// Latest confirmation by the service of any of these writes of ours.
    pub fn last_confirmed(&self, kin: KeyKind) -> Option<Timestamp> {
        self.memory.journal.of(kin).filter_map(|(key, entry)| self.memory.dated(key, entry.last_confirmed())).max()
    }

    /// A row of the user's own was confirmed so recently that reads may not show it yet. It is not waited for past the next
    /// cycle: that is when it is missed, and making it twice is making it once.
    pub fn is_row_fresh(&self, key: &Key) -> bool {
        let Some(at) = self.written(key).and_then(Entry::last_confirmed_here) else { return false };
        let wait = self.replication().min(LEAST_REPLICATION.max(self.until_next_cycle()));
        lasts(at, self.now, wait)
    }

    /// Until the job is due to begin again, in the service's time; nothing where that is not known.
    fn until_next_cycle(&self) -> Duration {
        let due = || {
            let (job, now) = (self.job()?, self.seen.jobs.known()?.at);
            Some(since(now, later(job.last.as_ref()?.began, job.interval?)))
        };
        due().unwrap_or_default()
    }

    /// A write of ours was confirmed so recently (by our clock) that reads may not show it yet.
    pub fn is_fresh(&self, key: &Key) -> bool {
        self.written(key).and_then(Entry::last_confirmed_here).is_some_and(|at| lasts(at, self.now, self.replication()))
    }

    /// How long a confirmed write may stay out of sight before it is done again.
    fn replication(&self) -> Duration {
        self.spec.timing.settle
    }
}
