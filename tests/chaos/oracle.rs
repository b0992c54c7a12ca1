//! What no world may show. It knows the practice tenant's truth and what admins did, and none of the daemon's judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use unscim::model::condition::ConditionKind;
use unscim::model::status::{Phase, Status};
use unscim::practice::Moment;

use crate::status::told;
use crate::support::Rig;
use crate::trouble::{Admins, LEAVES, MOVES};

/// What it judges one world by.
pub struct Oracle<'w> {
    pub rig: &'w Rig,
    /// Active records at the target when time began, by user.
    pub before: &'w BTreeMap<String, String>,
    pub admins: &'w Admins,
    pub revoked: bool,
    /// A rollback was allowed to take back direct assignments.
    pub direct_goes: bool,
    pub lag: Duration,
}

impl Oracle<'_> {
    /// After every turn.
    pub fn watch(&self, status: Option<&Status>) -> Result<(), String> {
        let practice = &self.rig.practice;
        let lag = self.lag;
        let just = |acts: &[&str], moment: &Moment| self.admins.has_just(acts, moment.user, moment.at, lag);
        let excused =
            |moment: &Moment| moment.by.starts_with("admin") || just(&MOVES, moment) || self.direct_goes && just(&LEAVES, moment);
        let ours: Vec<_> = practice.out_of_scope_moments().into_iter().filter(|moment| !excused(moment)).collect();
        if !ours.is_empty() {
            return Err(format!("dropped out of scope by a call: {ours:?}"));
        }
        let forbidden = practice.forbidden_calls();
        if !forbidden.is_empty() {
            return Err(format!("forbidden calls: {forbidden:?}"));
        }
        let managed: BTreeSet<String> = self.rig.spec.groups.list.iter().map(|entry| entry.id.to_string()).collect();
        let mut deleted = BTreeSet::new();
        for write in practice.writes().iter().filter(|write| write.method == "DELETE" && write.status == 204) {
            if write.path.contains("/groups/") && !managed.iter().any(|group| write.path.contains(group)) {
                return Err(format!("a group that was not handed over: {write:?}"));
            }
            if !deleted.insert(&write.path) && !self.admins.rows_made_again {
                return Err(format!("deleted twice: {write:?}"));
            }
        }
        if let Some(status) = status
            && !self.revoked
            && (status.is_true(ConditionKind::TokenRevoked) || status.phase == Phase::Retired)
        {
            return Err(format!("the token works, and it says: {}", told(status)));
        }
        Ok(())
    }

    /// Whom no admin has touched is the same at the target, and covered.
    pub fn at_the_end(&self) -> Result<(), String> {
        let practice = &self.rig.practice;
        let touched: BTreeSet<String> =
            self.admins.touched.iter().filter_map(|user| Some(practice.scim_user(*user)?.to_string())).collect();
        let now = records(self.rig);
        let lost: Vec<_> = self.before.iter().filter(|(id, _)| !now.contains_key(*id) && !touched.contains(*id)).collect();
        if !lost.is_empty() {
            return Err(format!("retired, and lost at the target: {lost:?}"));
        }
        let scope = practice.scope();
        let uncovered: Vec<_> = practice
            .out_of_scope_moments()
            .into_iter()
            .filter(|m| self.admins.has_just(&MOVES, m.user, m.at, self.lag) && !self.admins.has_taken_out(m.user, m.at))
            .filter(|moment| !scope.contains(&moment.user))
            .collect();
        if !uncovered.is_empty() {
            return Err(format!("retired, and who was moved at the last moment was never covered: {uncovered:?}"));
        }
        let left: Vec<_> = practice.ids().groups.iter().filter(|group| practice.scim_group(**group).is_some()).collect();
        if !left.is_empty() {
            return Err(format!("retired, and groups are left at the target: {left:?}"));
        }
        Ok(())
    }
}

/// Active records by user name.
pub fn records(rig: &Rig) -> BTreeMap<String, String> {
    let users = rig.practice.scim_app().expect("the app inside").users();
    let active = users.into_iter().filter(|user| user["active"] == true);
    active.map(|user| (user["id"].as_str().unwrap_or_default().to_owned(), user["userName"].to_string())).collect()
}
