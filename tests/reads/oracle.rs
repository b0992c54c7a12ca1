//! What must hold after every turn and at the end. It knows the practice tenant's truth and uses none of the daemon's judgement.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;
use unscim::model::condition::{ConditionKind, Truth};
use unscim::model::id::{GroupId, ServicePrincipalId, UserId};
use unscim::model::snapshot::Principal;
use unscim::model::status::{Phase as Said, Status};
use unscim::practice::Request;
use unscim::world::Directory;
use unscim::world::connect::Outside;
use unscim::world::http::Unobserved;
use unscim::world::ledger::SqliteLedger;

use crate::support::{Hand, Rig, TokioClock};
use crate::table::{Cell, Deed, Length, PLAIN};

pub struct Oracle {
    /// Ids of the active records at the app when time began.
    before: BTreeSet<String>,
    /// Everybody in a managed group.
    protected: BTreeSet<UserId>,
    /// How many of them had a record.
    counted: usize,
    /// The groups about which only a person can decide, and who is in them.
    named: Vec<(GroupId, BTreeSet<UserId>)>,
    app: ServicePrincipalId,
    truth: Outside<TokioClock, Hand>,
    _dir: TempDir,
    writes: usize,
    /// Whose record an admin deleted at the app, and when.
    lost: Option<(String, Instant)>,
    /// Whom an admin deleted in the directory.
    deleted: Option<(UserId, String)>,
}

/// What the oracle must know of the turn.
pub struct Around<'a> {
    pub cell: &'a Cell,
    /// Requests that failed in it.
    pub struck: usize,
    /// Requests that Graph has seen in it.
    pub asked: u64,
    /// Groups whose fate the operator has decided.
    pub decided: &'a BTreeSet<GroupId>,
    pub revoked: bool,
}

impl Oracle {
    pub async fn new(rig: &Rig) -> Oracle {
        let dir = tempfile::tempdir().expect("a folder");
        let ledger = SqliteLedger::open(&dir.path().join("data")).expect("a ledger");
        let clock = TokioClock::starting_now();
        // Its own way to the tenant, on which nothing fails.
        let truth = Outside::new(&rig.spec, rig.transport.clone(), Arc::new(Unobserved), ledger, clock, Hand::default());
        let (mut protected, mut named) = (BTreeSet::new(), Vec::new());
        for (n, group) in (1..).zip(&rig.practice.ids().groups) {
            let members: BTreeSet<UserId> = members(&truth, *group).await;
            protected.extend(&members);
            if n != PLAIN {
                named.push((*group, members));
            }
        }
        let there: BTreeSet<String> = records(rig, |_| true);
        let record = |user: &&UserId| rig.practice.scim_user(**user).is_some_and(|id| there.contains(&id.to_string()));
        let counted = protected.iter().filter(record).count();
        let before = records(rig, |active| active);
        let app = rig.practice.ids().service_principal;
        Oracle { before, protected, counted, named, app, truth, _dir: dir, writes: 0, lost: None, deleted: None }
    }

    pub fn lost(&mut self, record: String) {
        self.lost = Some((record, Instant::now()));
    }

    pub fn deleted(&mut self, user: UserId, record: String) {
        self.deleted = Some((user, record));
    }

    /// After every turn: everything that is wrong with it.
    pub async fn watch(&mut self, rig: &Rig, status: &Status, around: &Around<'_>) -> Vec<String> {
        let mut found = vec![
            self.nobody_is_hurt(rig),
            self.baseline_is_whole(status),
            reads_are_told(status, around),
            figures_are_known(status, around),
            self.people_are_told(rig, status),
            self.nothing_is_over_too_early(rig, status, around).await,
        ];
        let writes = rig.practice.writes();
        let new = &writes[self.writes..];
        if !new.is_empty() {
            found.push(self.decisions_are_kept(around).await);
            found.push(rests_on_what_was_read(rig, new, around));
        }
        self.writes = writes.len();
        found.into_iter().filter_map(Result::err).filter(|why| !is_excused(around.cell, why)).collect()
    }

    fn nobody_is_hurt(&self, rig: &Rig) -> Result<(), String> {
        let mut ours = rig.practice.out_of_scope_moments();
        ours.retain(|moment| !moment.by.starts_with("admin"));
        if !ours.is_empty() {
            return Err(format!("OUT OF SCOPE: {ours:?}"));
        }
        let forbidden = rig.practice.forbidden_calls();
        if !forbidden.is_empty() {
            return Err(format!("FORBIDDEN: {forbidden:?}"));
        }
        Ok(())
    }

    /// Nothing of a group about which a person must decide is touched before they have.
    async fn decisions_are_kept(&self, around: &Around<'_>) -> Result<(), String> {
        let gone: BTreeSet<UserId> = self.deleted.iter().map(|(user, _)| *user).collect();
        for (group, before) in self.named.iter().filter(|(group, _)| !around.decided.contains(group)) {
            let now = members(&self.truth, *group).await;
            let missing: Vec<_> = before.difference(&now).filter(|user| !gone.contains(user)).collect();
            if !missing.is_empty() {
                return Err(format!("UNDECIDED, EMPTIED: {group} serves something else, and lost {missing:?}"));
            }
            if !self.assigned().await.contains(group) {
                return Err(format!("UNDECIDED, UNASSIGNED: {group} serves something else"));
            }
        }
        Ok(())
    }

    fn baseline_is_whole(&self, status: &Status) -> Result<(), String> {
        let (said, truly) = (status.progress.users_protected.unwrap_or(0), self.protected.len() as u64);
        if status.is_true(ConditionKind::BaselineRecorded) && said < truly {
            return Err(format!("UNTRUE, BASELINE: recorded with {said} users, and the groups hold {truly}"));
        }
        Ok(())
    }

    fn people_are_told(&self, rig: &Rig, status: &Status) -> Result<(), String> {
        let Some(kept) = status.condition(ConditionKind::UsersKept).filter(|kept| kept.status == Truth::True) else {
            return Ok(());
        };
        let words: Vec<&str> = kept.message.split(' ').collect();
        let [said, "of", counted, ..] = words[..] else { return Err(format!("UNTRUE, KEPT: no figures: {}", kept.message)) };
        let (said, counted): (usize, usize) = (said.parse().unwrap_or(0), counted.parse().unwrap_or(0));
        if counted < self.counted {
            return Err(format!("UNTRUE, KEPT: {:?}, and {} had a record", kept.message, self.counted));
        }
        let Some((record, since)) = &self.lost else { return Ok(()) };
        // The target is read at its own interval, and the last look stands until then.
        let unseen = rig.spec.target.read_interval + rig.spec.timing.interval * 2 + Duration::from_secs(120);
        if said == counted && since.elapsed() > unseen {
            return Err(format!("UNTRUE, KEPT: {:?}, and record {record} has been gone for {:?}", kept.message, since.elapsed()));
        }
        Ok(())
    }

    async fn nothing_is_over_too_early(&self, rig: &Rig, status: &Status, around: &Around<'_>) -> Result<(), String> {
        let over = status.phase == Said::Retired;
        if !around.revoked && (over || status.is_true(ConditionKind::TokenRevoked)) {
            return Err(format!("UNTRUE, REVOKED: the token works, and the phase is {}", status.phase));
        }
        if self.lost.is_some() && (over || status.phase == Said::AwaitingRevocation) {
            return Err(format!("UNTRUE, LOSS: a record is gone at the app, and the phase is {}", status.phase));
        }
        if over || status.phase == Said::AwaitingRevocation {
            let left = self.assigned().await;
            if rig.practice.ids().groups.iter().any(|group| left.contains(group)) {
                return Err(format!("UNTRUE, OVER: groups are assigned, and the phase is {}", status.phase));
            }
        }
        Ok(())
    }

    /// Whoever is the concern of nobody else is the same at the app, and in their groups where those were kept.
    pub async fn at_the_end(&self, rig: &Rig, cell: &Cell) -> Result<(), String> {
        let now = records(rig, |active| active);
        let excused: BTreeSet<&String> =
            self.deleted.iter().map(|(_, record)| record).chain(self.lost.iter().map(|(record, _)| record)).collect();
        let lost: Vec<_> = self.before.difference(&now).filter(|id| !excused.contains(id)).collect();
        if !lost.is_empty() {
            return Err(format!("LOST AT THE APP: {lost:?}"));
        }
        if self.lost.is_some() {
            return Ok(());
        }
        let scope = rig.practice.scope();
        let gone: BTreeSet<UserId> = self.deleted.iter().map(|(user, _)| *user).collect();
        let uncovered: Vec<_> = self.protected.difference(&scope).filter(|user| !gone.contains(user)).collect();
        if !uncovered.is_empty() {
            return Err(format!("OUT OF SCOPE at the end: {uncovered:?}"));
        }
        for (group, before) in &self.named {
            let now = members(&self.truth, *group).await;
            if before.difference(&now).any(|user| !gone.contains(user)) && !cell.nobody_can_tell() {
                return Err(format!("UNDECIDED, EMPTIED: {group} was to keep its members"));
            }
        }
        Ok(())
    }

    async fn assigned(&self) -> BTreeSet<GroupId> {
        let rows = self.truth.directory.assignments(self.app).await.expect("the assignments").value;
        rows.iter().filter_map(|row| if let Principal::Group(group) = row.principal { Some(group) } else { None }).collect()
    }
}

/// A list that could not be read is no list of zeros.
fn figures_are_known(status: &Status, around: &Around<'_>) -> Result<(), String> {
    if !fails_all_the_while(around) {
        return Ok(());
    }
    let (read, progress) = (around.cell.read.name, &status.progress);
    // What is said to be not known is no figure.
    let said = |figure: Option<u64>| figure.unwrap_or(u64::MAX);
    // Nobody has a way to know these then, and none of them is 0 before the end.
    let zeros: &[(&str, u64)] = match read {
        "assignments" => &[("groupsAssigned", said(progress.groups_assigned)), ("usersAssigned", said(progress.users_assigned))],
        "members" => &[("memberships", said(progress.memberships))],
        _ => &[],
    };
    match zeros.iter().find(|(name, said)| *said == 0 && !is_zero(name, around)) {
        Some((name, said)) => Err(format!("UNTRUE, PROGRESS: {read} could not be read, and {name} is {said}")),
        None => Ok(()),
    }
}

/// By what is known of the phase: nobody is assigned before it assigns, nothing is left after it has emptied.
fn is_zero(figure: &str, around: &Around<'_>) -> bool {
    use crate::table::Phase::*;
    match (figure, around.cell.phase) {
        // Before there is a baseline nothing is counted, and the status says so.
        (_, First) => true,
        ("usersAssigned", Assigning) => true,
        ("memberships", Emptying | Unassigning) => true,
        ("groupsAssigned", AwaitingCycle | AwaitingRevocation | Revoked | Retired) => true,
        _ => false,
    }
}

/// Graph can't be reached while what everything rests on can't be read.
fn reads_are_told(status: &Status, around: &Around<'_>) -> Result<(), String> {
    let read = around.cell.read.name;
    // An old token lives on for a while when there is no new one.
    let cut_off = read == "token" && around.asked == 0;
    let vital = ["app", "app-by-app-id", "app-by-name", "assignments", "assignments-later-pages", "jobs"];
    if fails_all_the_while(around) && (cut_off || vital.contains(&read)) && status.is_true(ConditionKind::GraphReachable) {
        return Err(format!("UNTRUE, REACHABLE: {read} can't be read, and GraphReachable is True"));
    }
    Ok(())
}

/// Every request of this kind failed in this turn, and plainly so.
fn fails_all_the_while(around: &Around<'_>) -> bool {
    around.struck > 0 && around.cell.length != Length::Once && !around.cell.way.is_lie()
}

/// Nothing is taken away by a list that could not be read.
fn rests_on_what_was_read(rig: &Rig, writes: &[Request], around: &Around<'_>) -> Result<(), String> {
    if !fails_all_the_while(around) {
        return Ok(());
    }
    let group = |n: usize| rig.practice.ids().groups[n - 1].to_string();
    let rests = |write: &&Request| match around.cell.read.name {
        "assignments" | "assignments-later-pages" | "app" => true,
        "members" | "members-later-pages" | "group" => write.path.contains("/members/"),
        "members-of-plain" | "group-of-plain" => write.path.contains(&group(PLAIN)),
        _ => false,
    };
    let mut taken = writes.iter().filter(|write| write.method == "DELETE" && write.status == 204);
    match taken.find(rests) {
        Some(write) => {
            Err(format!("BLIND WRITE: {} could not be read, and it wrote {} {}", around.cell.read.name, write.method, write.path))
        }
        None => Ok(()),
    }
}

/// What rests on an untruth that nobody could have told; scope, records and the token are no matter of belief.
fn is_excused(cell: &Cell, why: &str) -> bool {
    let believed = ["UNDECIDED, EMPTIED", "UNDECIDED, UNASSIGNED", "UNTRUE, KEPT", "UNTRUE, LOSS"];
    cell.nobody_can_tell() && believed.iter().any(|kind| why.starts_with(kind))
}

async fn members(truth: &Outside<TokioClock, Hand>, group: GroupId) -> BTreeSet<UserId> {
    truth.directory.members_of(&[group]).await.remove(0).expect("the members").value.users.iter().copied().collect()
}

/// Ids of the records at the app.
fn records(rig: &Rig, wanted: impl Fn(bool) -> bool) -> BTreeSet<String> {
    let users = rig.practice.scim_app().expect("the app inside").users();
    let ids = users.iter().filter(|user| wanted(user["active"] == true)).filter_map(|user| user["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// Where it failed for good: a reader of the status learns that it is not over, and why.
pub fn says_why(status: &Status) -> Result<(), String> {
    let aside = [ConditionKind::Held, ConditionKind::CredentialValid, ConditionKind::Ready];
    let open = status.conditions.iter().any(|c| !aside.contains(&c.kind) && c.status != Truth::True && !c.message.is_empty());
    if status.phase == Said::Retired || !status.held.is_empty() || open {
        return Ok(());
    }
    Err(format!("SILENT: the phase is {}, and every condition is True", status.phase))
}

/// Without a loss it comes to its end; with one it never does.
pub fn must_retire(cell: &Cell) -> bool {
    cell.deed != Deed::Loss
}
