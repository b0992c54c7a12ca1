//! Walking a rig through the guide, and what must hold at every halt.

use std::collections::BTreeSet;

use unscim::model::id::UserId;
use unscim::model::status::{Phase, Status};
use unscim::practice::scenario::Scenario;

use crate::status::told;
use crate::support::Rig;

/// The scenario of most tests: small, so that many can run.
pub fn small() -> Scenario {
    Scenario { users: 8, groups: 3, ..Scenario::default() }
}

impl Rig {
    /// Turns and waits until `done`, at most `turns` of them; panics with the last status otherwise.
    pub async fn until(&mut self, turns: usize, done: impl Fn(&Status) -> bool) -> Status {
        let mut last = None;
        for _ in 0..turns {
            let turn = self.turn().await;
            let wait = unscim::turn::wait_after(&turn, &self.spec);
            if done(&turn.status) {
                return turn.status;
            }
            last = Some(turn.status);
            tokio::time::sleep(wait).await;
        }
        panic!("not reached in {turns} turns, {}", told(&last.expect("at least one turn")));
    }

    pub async fn until_phase(&mut self, phase: Phase) -> Status {
        self.until(600, |status| status.phase == phase).await
    }

    /// The whole guide, the person who deletes the token included.
    pub async fn retire(&mut self) -> Status {
        self.until_phase(Phase::AwaitingRevocation).await;
        self.practice.revoke_token().unwrap();
        self.until_phase(Phase::Retired).await
    }

    /// Users who had an active record when time started.
    pub fn active_users(&self) -> BTreeSet<String> {
        let users = self.practice.scim_app().expect("the app inside").users();
        users.iter().filter(|user| user["active"] == true).filter_map(|user| user["id"].as_str().map(str::to_owned)).collect()
    }

    /// Nobody dropped out of scope, no forbidden call was made, and the app has the same active records as before.
    pub fn assert_nobody_hurt(&self, before: &BTreeSet<String>) {
        let moments = self.practice.out_of_scope_moments();
        assert!(moments.is_empty(), "dropped out of scope: {moments:?}");
        let forbidden = self.practice.forbidden_calls();
        assert!(forbidden.is_empty(), "forbidden: {forbidden:?}");
        let now = self.active_users();
        let lost: Vec<_> = before.difference(&now).collect();
        assert!(lost.is_empty(), "lost at the target: {lost:?}");
    }

    pub fn user(&self, number: usize) -> UserId {
        self.practice.ids().users[number - 1]
    }
}
