//! One cell from the first turn to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use http::Request;
use tower::ServiceExt;
use unscim::model::id::{GroupId, UserId};
use unscim::model::spec::{Acknowledgement, AppRef, EmptyGroups, MembersDecision, Percent};
use unscim::model::status::{GroupState, Phase as Said, Status};
use unscim::practice::scenario::{GroupTrait, Privileged, Scenario};
use unscim::practice::scim_app::Quirk;
use unscim::turn::Turn;

use crate::oracle::{Around, Oracle, must_retire, says_why};
use crate::status::told;
use crate::support::Rig;
use crate::table::{BY_APP, BY_PARENT, BY_PIM, BY_POLICY, By, Cell, Deed, Length, Phase};
use crate::weather::Weather;

/// Two looks that lie are no three agreeing ones, which is from when on an absence may be believed.
const A_FEW_TURNS: usize = 2;
const FOR_GOOD: usize = 50;
/// In which it must come to its end once nothing fails any more: three times what the whole way takes without trouble.
const QUIET: usize = 200;
/// After a loss: long enough for two cycles and several looks at the target.
const AFTER_A_LOSS: usize = 60;
/// The operator takes their time, so that what only they may decide is open for a while.
const THINKS: usize = 6;

/// What became of a cell.
#[derive(Default)]
pub struct Story {
    pub turns: usize,
    /// Requests that failed.
    pub struck: usize,
    /// What was wrong, the first of each kind (all before the first colon) with all that is to be known of it.
    pub wrong: BTreeMap<String, String>,
}

impl Story {
    fn note(&mut self, why: String) {
        self.wrong.entry(why.split(':').next().unwrap_or_default().to_owned()).or_insert(why);
    }
}

fn scenario() -> Scenario {
    let traits = [
        (BY_POLICY, [GroupTrait::ConditionalAccess].into()),
        (BY_APP, [GroupTrait::OtherApp].into()),
        (BY_PARENT, [GroupTrait::Nested].into()),
    ];
    let mut scenario = Scenario {
        users: 12,
        groups: 5,
        page_size: 2,
        cycle_interval: Duration::from_secs(10 * 60),
        cycle_length: Duration::from_secs(60),
        log_latency: Duration::from_secs(60),
        group_traits: traits.into(),
        privileged: [(BY_PIM, Privileged { eligible: [1].into(), ..Privileged::default() })].into(),
        ..Scenario::default()
    };
    let more =
        ["Policy.Read.All", "PrivilegedAssignmentSchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.Read.AzureADGroup"];
    scenario.permissions.extend(more.map(String::from));
    scenario
}

/// A small company, and four groups about which only a person can decide.
pub struct Run {
    pub rig: Rig,
    pub oracle: Oracle,
    decided: BTreeSet<GroupId>,
    revoked: bool,
    /// Turns in which it has asked for the deletion of the token, and those since a group went.
    asked: usize,
    gone: usize,
}

impl Run {
    pub async fn new(by: By) -> Run {
        let mut rig = Rig::new(scenario()).await;
        rig.practice.scim_app().expect("the app inside").set_quirk(Quirk::PageCap(5));
        rig.spec.groups.empty_groups = EmptyGroups::WhenExclusive;
        rig.spec.groups.acknowledge.push(Acknowledgement::UndiscoverableUses);
        rig.spec.provisioning.verify_cycles = 1;
        rig.spec.provisioning.cycle_margin = Duration::from_secs(120);
        let ids = rig.practice.ids();
        rig.spec.entra.app = match by {
            By::ObjectId => AppRef::ServicePrincipalId(ids.service_principal),
            By::AppId => AppRef::AppId(ids.app_id),
            By::Name => AppRef::DisplayName(ids.app_name.clone()),
        };
        let oracle = Oracle::new(&rig).await;
        Run { rig, oracle, decided: BTreeSet::new(), revoked: false, asked: 0, gone: 0 }
    }

    fn writes(&self) -> Vec<String> {
        let writes = self.rig.practice.writes();
        writes.iter().map(|write| format!("{} {} {} {}", write.at, write.method, write.path, write.status)).collect()
    }

    /// As the daemon waits, without its own chance.
    pub async fn wait(&self, turn: &Turn) {
        let wait = if turn.has_written() { Duration::from_secs(5) } else { self.rig.spec.timing.interval };
        tokio::time::sleep(wait).await;
    }

    /// The operator decides, and deletes the token, when asked.
    pub fn heed(&mut self, status: &Status) {
        let is_row = |write: &unscim::practice::Request| write.method == "DELETE" && write.path.contains("/appRoleAssignedTo/");
        let has_gone = self.rig.practice.writes().iter().any(is_row);
        self.gone += usize::from(has_gone);
        if self.gone >= THINKS {
            for group in status.groups.iter().filter(|group| group.state == GroupState::Refused) {
                let entry = self.rig.spec.groups.list.iter_mut().find(|entry| entry.id == group.id).expect("it is listed");
                entry.members = Some(MembersDecision::Keep);
                self.decided.insert(group.id);
            }
        }
        let asks = status.phase == Said::AwaitingRevocation;
        self.asked = if asks { self.asked + 1 } else { 0 };
        if self.asked >= THINKS && !self.revoked {
            self.rig.practice.revoke_token().expect("the app inside");
            self.revoked = true;
        }
    }

    async fn befall(&mut self, deed: Deed, cell: &Cell) {
        let practice = self.rig.practice.clone();
        let user: UserId = practice.ids().users[8];
        let record = practice.scim_user(user).expect("there is a record").to_string();
        match deed {
            Deed::Nothing if cell.read.needs_somebody_missing() => {
                practice.admin().delete_user(user).expect("the user is there");
                self.oracle.deleted(user, record);
            }
            Deed::Nothing => {}
            Deed::Loss => {
                let delete = Request::delete(format!("/scim/v2/Users/{record}"))
                    .header("authorization", format!("Bearer {}", practice.scim_token()))
                    .body(axum::body::Body::empty());
                let answer = practice.router().oneshot(delete.expect("a request")).await.expect("an answer");
                assert!(answer.status().is_success(), "{answer:?}");
                self.oracle.lost(record);
            }
        }
    }
}

/// The turn that comes to each phase where nothing goes wrong.
pub static WITHOUT_TROUBLE: LazyLock<BTreeMap<Phase, usize>> =
    LazyLock::new(|| std::thread::spawn(|| alone(without_trouble())).join().expect("a run without trouble"));

async fn without_trouble() -> BTreeMap<Phase, usize> {
    let (mut run, mut began) = (Run::new(By::ObjectId).await, BTreeMap::from([(Phase::First, 1)]));
    for _ in 0..QUIET {
        let before = run.rig.practice.writes().len();
        let turn = run.rig.turn().await;
        let (writes, status) = (run.rig.practice.writes(), &turn.status);
        let new = &writes[before..];
        let wrote = |method: &str, part: &str| new.iter().any(|write| write.method == method && write.path.contains(part));
        let mut came = |phase, has: bool| {
            if has {
                began.entry(phase).or_insert(status.turn as usize);
            }
            has
        };
        came(Phase::Assigning, wrote("POST", "/appRoleAssignedTo"));
        let first = writes[..before].iter().all(|write| !write.path.contains("/members/"));
        came(if first { Phase::Canary } else { Phase::Emptying }, wrote("DELETE", "/members/"));
        came(Phase::Unassigning, wrote("DELETE", "/appRoleAssignedTo/"));
        came(Phase::AwaitingCycle, status.phase == Said::AwaitingCycle);
        came(Phase::AwaitingRevocation, status.phase == Said::AwaitingRevocation);
        if came(Phase::Revoked, status.phase == Said::Retired) {
            began.insert(Phase::Retired, status.turn as usize + 1);
            assert_eq!(began.len(), Phase::ALL.len(), "{began:?}");
            return began;
        }
        run.heed(&turn.status);
        run.wait(&turn).await;
    }
    panic!("not retired without trouble: {began:?}");
}

/// In a runtime of its own, whose time jumps.
pub fn alone<F: Future>(scene: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(scene)
}

pub async fn run(cell: Cell) -> Story {
    let (mut run, mut story) = (Run::new(cell.read.by).await, Story::default());
    let weather = Weather::new(cell, &run.rig.practice.ids().groups);
    run.rig.transport = weather.on(run.rig.transport.clone());
    let begins = WITHOUT_TROUBLE[&cell.phase];
    let (requests, turns) = match cell.length {
        Length::Once => (1, A_FEW_TURNS),
        Length::Turns => (usize::MAX, A_FEW_TURNS),
        Length::ForGood => (usize::MAX, FOR_GOOD),
    };
    let ends = begins + turns;
    let last = ends + if must_retire(&cell) { QUIET } else { AFTER_A_LOSS };
    for n in 1..=last {
        if n == begins {
            run.befall(cell.deed, &cell).await;
            weather.begin(requests);
        }
        if n == ends && cell.length != Length::Once {
            weather.end();
        }
        if n == ends && cell.length == Length::ForGood {
            // "If somebody did that on purpose, raise it until it has been seen once."
            run.rig.spec.limits.max_shrink = Percent(100);
            run.rig.spec.limits.fights = 1000;
        }
        let asked = run.rig.practice.tally().asked;
        let turn = run.rig.turn().await;
        let status = &turn.status;
        let (struck, asked) = (weather.struck() - story.struck, run.rig.practice.tally().asked - asked);
        let around = Around { cell: &cell, struck, asked, decided: &run.decided, revoked: run.revoked };
        let mut found = run.oracle.watch(&run.rig, status, &around).await;
        if n + 1 == ends && cell.length == Length::ForGood {
            found.extend(says_why(status).err());
        }
        let over = status.phase == Said::Retired && n >= ends;
        if over || n == last {
            found.extend(run.oracle.at_the_end(&run.rig, &cell).await.err());
        }
        if n == last && must_retire(&cell) && !over {
            found.push(format!("STUCK: not retired {QUIET} turns after it failed last"));
        }
        (story.turns, story.struck) = (n, weather.struck());
        for why in found {
            story.note(format!("{why}\nin turn {n}, {}\nwrites:\n  {}", told(status), run.writes().join("\n  ")));
        }
        if over {
            break;
        }
        run.heed(status);
        run.wait(&turn).await;
    }
    story
}
