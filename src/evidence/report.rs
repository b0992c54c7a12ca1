//! The evidence in one document: who was protected, what was done, what was seen afterwards. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::baseline::{Baseline, Binding, without_query};
use crate::model::history::{Event, HistoryEntry, UserAfter};
use crate::model::id::{AppRoleId, GroupId, ScimId, UserId};
use crate::model::key::Key;
use crate::model::last_read::Figures;
use crate::model::memory::{CycleProof, Remembered, RevocationProof};
use crate::model::snapshot::ScimUser;
use crate::model::words::{count, some_of};
use crate::model::write_record::WriteRecord;

/// What the ledger holds, as it was read.
pub struct Evidence {
    pub baseline: Baseline,
    pub remembered: Remembered,
    pub writes: Vec<WriteRecord>,
    pub witnessed: Vec<HistoryEntry>,
    pub lines: u64,
    pub head: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub unscim: &'static str,
    pub made_at: Timestamp,
    /// "N of N users kept", only where that is what was read and still holds.
    pub result: String,
    pub proven: bool,
    pub retirement: Binding,
    /// Service time of the look it was first taken from.
    pub baseline_taken: Timestamp,
    pub journal: JournalSeal,
    pub users: Vec<UserRow>,
    pub groups: Vec<GroupRow>,
    pub writes: Vec<WriteRecord>,
    /// Objects that were corrected more than once: somebody undid it, and no rollback of ours.
    pub repeated: BTreeMap<String, u32>,
    pub cycle_proof: Option<CycleProof>,
    /// The last read of the target that told of everybody, less who was released since.
    pub last_read: Option<Figures>,
    pub revocation_proof: Option<RevocationProof>,
    /// The last that was done is a rollback.
    pub rolled_back: Option<RolledBack>,
    /// All of them, also those after which it was begun anew.
    pub rollbacks: Vec<RolledBack>,
    pub witnessed: Vec<HistoryEntry>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RolledBack {
    pub writes: usize,
    /// Our time of its first write.
    pub from: Timestamp,
    /// Our time of its last write.
    pub at: Timestamp,
}

impl RolledBack {
    /// One for each series of writes that a rollback has made; and whether nothing was done after the last.
    fn all(writes: &[WriteRecord]) -> (Vec<RolledBack>, bool) {
        let puts_back = |write: &WriteRecord| write.action.key().undone().is_some();
        let ours: Vec<&WriteRecord> = writes.iter().filter(|write| write.is_ours()).collect();
        let series = ours.chunk_by(|one, next| puts_back(one) == puts_back(next)).filter(|series| puts_back(series[0]));
        let all = series.map(|series| RolledBack { writes: series.len(), from: series[0].at, at: series[series.len() - 1].at });
        (all.collect(), ours.last().is_some_and(|last| puts_back(last)))
    }

    pub(super) fn words(&self) -> String {
        format!("rolled back from {:.0} to {:.0} by {}", self.from, self.at, count(self.writes, "write"))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalSeal {
    pub lines: u64,
    pub head: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRow {
    pub id: UserId,
    pub name: Option<String>,
    pub disabled_when_first_seen: bool,
    pub through: Vec<GroupId>,
    pub roles: Vec<AppRoleId>,
    /// The record at the target when the user was first seen.
    pub before: Option<ScimUser>,
    /// When step 4 was last proven.
    pub after: Option<UserAfter>,
    /// By the operator, in `spec.released`: not counted.
    pub released: bool,
    /// Counts as lost now, since then.
    pub lost_since: Option<Timestamp>,
    /// The record was gone in some read: the user is never called kept again.
    pub gone_since: Option<Timestamp>,
    /// The record has another name at the target since then, and Entra does not say why.
    pub renamed_since: Option<Timestamp>,
}

impl UserRow {
    pub(super) fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    pub id: GroupId,
    pub name: String,
    pub roles: Vec<AppRoleId>,
    pub record_before: Option<ScimId>,
    /// Proven to be gone from the target, and still believed.
    pub gone: bool,
    /// Service time by which its unassignment is believed.
    pub unassigned_at: Option<Timestamp>,
}

pub fn report(evidence: Evidence, now: Timestamp) -> Report {
    let Evidence { mut baseline, mut remembered, writes, mut witnessed, lines, head } = evidence;
    let told = witnessed.iter_mut().filter_map(|one| match &mut one.event {
        Event::TokenRejected { proof } => Some(proof),
        _ => None,
    });
    let probed = told.chain(&mut remembered.revocation_proof).map(|proof| &mut proof.calibration.url);
    for url in probed.chain([&mut baseline.binding.scim_url]) {
        url.truncate(without_query(url).len());
    }
    count_out_earlier(&mut witnessed, baseline.taken);
    // The last proof, if it still holds.
    let proven = witnessed.iter().rposition(|one| matches!(one.event, Event::CycleProven { .. }));
    let parts = witnessed[..proven.filter(|_| remembered.cycle_proof.is_some()).unwrap_or_default()].iter().rev();
    let parts = parts.map_while(|one| if let Event::UsersAfter { users } = &one.event { Some(users) } else { None });
    let after: BTreeMap<UserId, &UserAfter> = parts.flatten().map(|(id, user)| (*id, user)).collect();
    let users = rows(&baseline, &remembered, &after);
    let gone = remembered.cycle_proof.is_some();
    let groups = baseline.groups.iter().map(|(id, group)| GroupRow {
        id: *id,
        name: group.display_name.clone(),
        roles: group.roles.iter().copied().collect(),
        record_before: group.scim.clone(),
        gone,
        unassigned_at: remembered.unassigned_at.get(id).copied(),
    });
    let (rollbacks, is_last) = RolledBack::all(&writes);
    let rolled_back = rollbacks.last().filter(|_| is_last).cloned();
    let (result, proven) = result(&remembered, &users, rolled_back.as_ref());
    Report {
        api_version: "unscim.dev/v1alpha1",
        kind: "ScimRetirementReport",
        unscim: env!("CARGO_PKG_VERSION"),
        made_at: now,
        result,
        proven,
        retirement: baseline.binding.clone(),
        baseline_taken: baseline.taken,
        journal: JournalSeal { lines, head },
        groups: groups.collect(),
        users,
        repeated: repeated(&writes),
        writes,
        last_read: remembered.last_figures(),
        cycle_proof: remembered.cycle_proof,
        revocation_proof: remembered.revocation_proof,
        rolled_back,
        rollbacks,
        witnessed,
    }
}

/// Everybody who was ever protected, in the order of their ids.
fn rows(baseline: &Baseline, remembered: &Remembered, after: &BTreeMap<UserId, &UserAfter>) -> Vec<UserRow> {
    let lost: BTreeMap<UserId, Timestamp> = remembered.lost().collect();
    let doubted: BTreeMap<&UserId, Timestamp> = remembered.doubted().collect();
    baseline
        .users
        .iter()
        .map(|(id, user)| UserRow {
            id: *id,
            name: user.name.as_deref().map(str::to_owned),
            disabled_when_first_seen: user.disabled,
            through: user.groups.iter().copied().collect(),
            roles: baseline.roles_of(user).into_iter().collect(),
            before: user.target.record().cloned(),
            after: after.get(id).copied().cloned(),
            released: remembered.released.contains(id),
            lost_since: lost.get(id).copied(),
            renamed_since: doubted.get(id).copied(),
            gone_since: remembered.doubts.get(id).filter(|doubt| doubt.is_believed_gone()).map(|doubt| doubt.since),
        })
        .collect()
}

/// Cycles that ended before the baseline was taken.
fn count_out_earlier(witnessed: &mut [HistoryEntry], taken: Timestamp) {
    for one in witnessed {
        if let Event::Cycle { ended, counts, why, .. } = &mut one.event
            && *counts
            && *ended <= taken
        {
            (*counts, *why) = (false, Some("before the baseline".into()));
        }
    }
}

fn result(remembered: &Remembered, users: &[UserRow], rolled_back: Option<&RolledBack>) -> (String, bool) {
    let lost = users.iter().filter(|user| user.lost_since.is_some()).count();
    if lost > 0 {
        return (format!("{} lost, of {} protected", count(lost, "user"), users.len()), false);
    }
    let Some(read) = remembered.last_figures().filter(|_| remembered.cycle_proof.is_some()) else {
        let begun =
            remembered.rolled_back.map(|at| format!("a rollback was begun at {at:.0}, which has put nothing back so far"));
        let why = rolled_back.map(RolledBack::words).or(begun).unwrap_or_else(|| "step 4 has no proof that holds".into());
        return (format!("not proven: {} protected, and {why}", count(users.len(), "user")), false);
    };
    let mut text = read.words();
    let in_doubt = read.counted.saturating_sub(read.kept + read.explained);
    if in_doubt > 0 {
        let renamed: Vec<_> =
            users.iter().filter(|user| user.renamed_since.is_some() && !user.released).map(UserRow::shown).collect();
        let named = if renamed.is_empty() { String::new() } else { format!(" (another name at the app: {})", some_of(renamed)) };
        text += &format!("; of {in_doubt} nobody can say{named}");
    }
    if read.explained > 0 {
        text += &format!("; {} changed for a reason in the directory, not by unscim", read.explained);
    }
    let released: Vec<_> = users.iter().filter(|user| user.released).map(UserRow::shown).collect();
    let uncounted = (users.len() as u64).saturating_sub(read.counted + read.not_known + released.len() as u64);
    if !released.is_empty() {
        text += &format!("; {} released by the operator, and not counted: {}", released.len(), some_of(released));
    }
    if uncounted > 0 {
        // An older ledger does not name whom the operator has released.
        let why = if remembered.last_read.is_some() { "left" } else { "were released, or left" };
        text += &format!("; {uncounted} more {why} before they had a record");
    }
    text += &besides(users);
    (text, in_doubt == 0)
}

/// What else must be known of those who are counted.
fn besides(users: &[UserRow]) -> String {
    let mut text = String::new();
    let direct = users.iter().filter(|user| user.through.is_empty()).count();
    if direct > 0 {
        text +=
            &format!("; {direct} were assigned directly before it began, and who else was in scope before that can't be proven");
    }
    let gone: Vec<_> = users.iter().filter(|user| user.gone_since.is_some()).map(UserRow::shown).collect();
    if !gone.is_empty() {
        text += &format!(
            "; of {} the record was gone for a time, and they are not called kept: {}",
            count(gone.len(), "user"),
            some_of(gone)
        );
    }
    if is_silent(users) {
        text += "; the app did not say who is active, so that nobody could have seen a deactivation";
    }
    text
}

/// All who had a record, and none of the records said whether they are active.
fn is_silent(users: &[UserRow]) -> bool {
    let mut records = users.iter().filter_map(|user| user.before.as_ref()).peekable();
    records.peek().is_some() && records.all(|record| record.active.is_none())
}

/// What a rollback put back was undone by us, so it counts from there again.
fn repeated(writes: &[WriteRecord]) -> BTreeMap<String, u32> {
    let mut times: BTreeMap<(Key, bool), u32> = BTreeMap::new();
    let mut most: BTreeMap<String, u32> = BTreeMap::new();
    for write in writes.iter().filter(|write| write.is_ours()) {
        let key = write.action.key();
        let (key, is_back) = key.undone().map_or((key, false), |undone| (undone, true));
        times.remove(&(key.clone(), !is_back));
        // And the token's end is asked for anew.
        if is_back {
            times.remove(&(Key::Revocation, false));
        }
        let times = times.entry((key, is_back)).or_default();
        *times += 1;
        if *times > 1 {
            most.entry(write.action.to_string()).and_modify(|most| *most = (*times).max(*most)).or_insert(*times);
        }
    }
    most
}
