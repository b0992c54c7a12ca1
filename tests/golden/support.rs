//! The company further on its way, changed by a few words at a time, and what is said of it.

use std::sync::Arc;

use jiff::SignedDuration;
use unscim::judge::brakes::{Approved, approve};
use unscim::judge::facts::Facts;
use unscim::judge::plan::{NewBaseline, plan};
use unscim::judge::preflight;
use unscim::judge::step::Verdict;
use unscim::judge::steps::GUIDE;
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::memory::*;
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::*;

use crate::book::Book;
pub use crate::company::*;
use crate::fake::Fake;

/// The world as the case sees it, ten seconds after it looked. Whoever acts reads rows and members, and nothing else.
pub fn world_of(case: &Case) -> Fake {
    const MAY: [&str; 6] = ["write ", "intend ", "conclude ", "baseline of ", "read rows", "read members/"];
    let may = |what: &str| MAY.iter().any(|known| what.starts_with(known));
    let book = Book { lines: 6, ..Book::default() };
    Fake::new(case.seen.clone(), case.seen.began.wall + SignedDuration::from_secs(10), book, may)
}

/// A Conditional Access policy that names this group.
pub fn policy(n: u128) -> Policy {
    Policy { display_name: "Ask for a second factor".into(), groups: [group(n)].into() }
}

pub fn failed(kind: &str) -> Why {
    Why::new(kind, "the service is down")
}

impl Case {
    /// Step 1 is done: rows of minute 10, in sight since then, and a good cycle since.
    pub fn assigned() -> Case {
        let mut case = Case::untouched();
        for (u, r) in [(1, 1), (2, 1), (2, 2), (3, 2)] {
            case.assign(u, r, 10);
            case.in_sight(u, r, 10);
            case.confirmed(&Action::AssignUser { user: user(u), role: role(r) }, 10);
        }
        case.cycle(60);
        case
    }

    /// Step 2 is done too: emptied at minutes 100 to 103, proven by cycles and looks.
    pub fn emptied() -> Case {
        let mut case = Case::assigned();
        for (n, (g, u)) in [(1, 1), (1, 2), (2, 2), (2, 3)].into_iter().enumerate() {
            case.leave(g, u);
            case.confirmed(&Action::RemoveMember { group: group(g), user: user(u) }, 100 + n as i64);
        }
        for (g, _) in MEMBERS {
            case.memory.remembered.empty.insert(group(g), Streak { since: at(110), last: at(NOW), looks: 3 });
        }
        case.cycle(140);
        case
    }

    /// Step 3 is done too, at minute 200.
    pub fn unassigned() -> Case {
        let mut case = Case::emptied();
        for (g, _) in MEMBERS {
            case.unrow(Principal::Group(group(g)));
            case.memory.remembered.unassigned.insert(group(g), Streak { since: at(200), last: at(NOW), looks: 3 });
            case.memory.remembered.unassigned_at.insert(group(g), at(200));
            case.memory.remembered.members_closed.insert(group(g), at(201));
        }
        case
    }

    /// Step 4 is done too.
    pub fn cycled() -> Case {
        let mut case = Case::unassigned();
        case.cycle(240);
        case.cycle(280);
        case.groups_gone();
        let turn = case.memory.remembered.turn;
        case.memory.remembered.clean_rounds = vec![turn, turn];
        let proof = unscim::judge::steps::cycle::prove(&case.facts()).expect("the proof of step 4");
        case.memory.remembered.cycle_proof = Some(proof);
        case
    }

    /// All is done.
    pub fn retired() -> Case {
        let mut case = Case::cycled();
        let rejections = vec![probe(ProbeVerdict::Rejected); 3];
        let calibration = case.memory.remembered.calibration.clone().unwrap();
        case.memory.remembered.revocation_proof = Some(RevocationProof { calibration, rejections, at: at(NOW) });
        case
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts::new(&self.spec, &self.seen, &self.memory, moment(NOW))
    }

    /// What a step (from 1) says; asked twice, it says the same.
    pub fn judge(&self, step: usize) -> Verdict {
        let step = &GUIDE[step - 1];
        let verdict = step.verdict(&self.facts());
        assert_eq!(step.verdict(&self.facts()), verdict, "again changes nothing");
        verdict
    }

    pub fn approve(&self) -> Approved {
        self.approve_with([])
    }

    /// With actions beside those of the steps: no brake trusts a step.
    pub fn approve_with<const N: usize>(&self, more: [Action; N]) -> Approved {
        let facts = self.facts();
        let mut plan = plan(&facts, NewBaseline::Forbidden);
        plan.actions.extend(more);
        approve(&facts, plan)
    }

    pub fn refusals(&self) -> Vec<String> {
        preflight::check(&self.facts()).refusals
    }

    pub fn assign(&mut self, u: u128, r: u128, made: i64) {
        self.row(Principal::User(user(u)), role(r), made);
    }

    pub fn assign_group(&mut self, g: u128, r: u128) {
        self.row(Principal::Group(group(g)), role(r), 0);
    }

    pub fn unrow(&mut self, principal: Principal) {
        self.rows().retain(|row| row.principal != principal);
    }

    pub fn leave(&mut self, g: u128, u: u128) {
        self.members(g).remove(&user(u));
    }

    pub fn uses(&mut self, g: u128) -> &mut GroupUses {
        match &mut self.seen.groups.get_mut(&group(g)).unwrap().uses {
            Listed::Known(uses) => uses,
            Listed::Unknown(_) => panic!("the uses are not known"),
        }
    }

    pub fn profile(&mut self, g: u128) -> &mut GroupProfile {
        match &mut self.seen.groups.get_mut(&group(g)).unwrap().profile {
            Observed::Known(profile) => profile,
            Observed::Absent | Observed::Unknown(_) => panic!("the profile is not known"),
        }
    }

    pub fn job(&mut self) -> &mut Job {
        match &mut self.seen.jobs {
            Listed::Known(look) => &mut look.value[0],
            Listed::Unknown(_) => panic!("the job is not known"),
        }
    }

    pub fn target(&mut self) -> &mut TargetLook {
        Arc::make_mut(self.memory.target.as_mut().unwrap())
    }

    pub fn hold_permission(&mut self, permission: &str) {
        match &mut self.seen.permissions {
            Observed::Known(held) => held.roles.insert(permission.into()),
            Observed::Absent | Observed::Unknown(_) => panic!("the permissions are not known"),
        };
    }

    pub fn groups_gone(&mut self) {
        let look = self.target();
        for id in std::mem::take(&mut look.groups).into_keys() {
            look.groups_by_id.insert(id, Observed::Absent);
        }
    }
}

pub fn probe(verdict: ProbeVerdict) -> Probe {
    Probe { at: at(NOW), verdict, detail: "what was sent and heard".into() }
}

pub fn met(verdict: &Verdict, expected: Reason) {
    assert!(matches!(verdict, Verdict::Met { reason, .. } if *reason == expected), "{verdict:#?}");
}

pub fn waits(verdict: &Verdict, expected: Reason, words: &str) {
    assert!(
        matches!(verdict, Verdict::Wait { reason, on } if *reason == expected && on.contains(words)),
        "{words:?}: {verdict:#?}"
    );
}

pub fn refuses(verdict: &Verdict, expected: Reason, words: &str) {
    let fits = |why: &[String]| why.iter().any(|why| why.contains(words));
    assert!(matches!(verdict, Verdict::Refuse { reason, why } if *reason == expected && fits(why)), "{words:?}: {verdict:#?}");
}

/// The actions that it wants.
pub fn acts(verdict: &Verdict, expected: Reason) -> Vec<Action> {
    match verdict {
        Verdict::Act { reason, actions, .. } if *reason == expected => actions.clone(),
        other => panic!("{expected}: {other:#?}"),
    }
}
