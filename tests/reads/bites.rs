//! The oracle bites: what it must catch is forged here, one thing at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use unscim::model::action::Action;
use unscim::model::condition::{ConditionKind, Truth};
use unscim::model::snapshot::Principal;
use unscim::model::status::{Phase as Said, Status};
use unscim::world::Directory;

use crate::oracle::Around;
use crate::run::{Run, WITHOUT_TROUBLE, alone};
use crate::table::{BY_POLICY, By, Cell, PLAIN, Phase, named};

fn cell(name: &str) -> Cell {
    named(name).remove(0)
}

/// A run without trouble up to this phase.
async fn before(phase: Phase) -> (Run, Status) {
    let mut run = Run::new(By::ObjectId).await;
    for n in 1.. {
        let turn = run.rig.turn().await;
        if n + 1 >= WITHOUT_TROUBLE[&phase] {
            return (run, turn.status);
        }
        run.heed(&turn.status);
        run.wait(&turn).await;
    }
    unreachable!("a phase begins")
}

/// The kinds of what is found wrong with this status after a turn in which so many requests failed.
async fn found(run: &mut Run, status: &Status, cell: &Cell, struck: usize) -> BTreeSet<String> {
    let decided = BTreeSet::new();
    let around = Around { cell, struck, asked: 0, decided: &decided, revoked: false };
    let found = run.oracle.watch(&run.rig, status, &around).await;
    found.iter().map(|why| why.split(':').next().unwrap_or_default().to_owned()).collect()
}

fn kinds(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(|kind| (*kind).to_owned()).collect()
}

fn says(status: &mut Status, kind: ConditionKind, message: &str) {
    let condition = status.conditions.iter_mut().find(|condition| condition.kind == kind).expect("it always speaks of it");
    (condition.status, condition.message) = (Truth::True, message.into());
}

#[test]
fn a_status_that_says_more_than_is_true_is_caught() {
    alone(async {
        let (mut run, status) = before(Phase::Unassigning).await;
        let assignments = cell("assignments/500/unassigning/turns");
        assert_eq!(found(&mut run, &status, &assignments, 0).await, kinds(&[]));
        assert_eq!(found(&mut run, &status, &assignments, 1).await, kinds(&["UNTRUE, REACHABLE"]));

        type Forge = fn(&mut Status);
        let forged: [(Forge, &str); 6] = [
            (|status| says(status, ConditionKind::UsersKept, "11 of 11 users kept"), "UNTRUE, KEPT"),
            (|status| says(status, ConditionKind::UsersKept, "everybody is kept"), "UNTRUE, KEPT"),
            (|status| says(status, ConditionKind::TokenRevoked, "it is"), "UNTRUE, REVOKED"),
            (|status| status.phase = Said::Retired, "UNTRUE, REVOKED"),
            (|status| status.phase = Said::AwaitingRevocation, "UNTRUE, OVER"),
            (|status| status.progress.users_protected = Some(11), "UNTRUE, BASELINE"),
        ];
        for (forge, kind) in forged {
            let mut said = status.clone();
            forge(&mut said);
            assert_eq!(found(&mut run, &said, &assignments, 0).await, kinds(&[kind]));
        }
        let mut zeros = status.clone();
        (zeros.progress.groups_assigned, zeros.progress.users_assigned) = (Some(0), Some(0));
        assert_eq!(
            found(&mut run, &zeros, &assignments, 1).await,
            kinds(&["UNTRUE, PROGRESS", "UNTRUE, REACHABLE"]),
            "the list was not read"
        );

        run.oracle.lost("somebody's".into());
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(found(&mut run, &status, &assignments, 0).await, kinds(&["UNTRUE, KEPT"]), "an hour after the loss");
    });
}

#[test]
fn a_daemon_that_takes_away_what_it_may_not_is_caught() {
    let deeds: [(usize, Phase, &str, &[&str]); 4] = [
        (PLAIN, Phase::Assigning, "policies/500/assigning/once", &["OUT OF SCOPE"]),
        (BY_POLICY, Phase::Canary, "policies/500/canary/once", &["UNDECIDED, UNASSIGNED"]),
        (PLAIN, Phase::Unassigning, "assignments/500/unassigning/turns", &["BLIND WRITE", "UNTRUE, REACHABLE"]),
        (PLAIN, Phase::Unassigning, "policies/500/unassigning/turns", &[]),
    ];
    for (group, phase, name, expected) in deeds {
        alone(async {
            let (mut run, status) = before(phase).await;
            assert_eq!(found(&mut run, &status, &cell(name), 0).await, kinds(&[]), "{name}");
            let ids = run.rig.practice.ids().clone();
            let (app, group) = (ids.service_principal, ids.groups[group - 1]);
            let directory = &run.rig.world().directory;
            let rows = directory.assignments(app).await.expect("the rows").value;
            for row in rows.into_iter().filter(|row| row.principal == Principal::Group(group)) {
                let action = Action::UnassignGroup { group, assignment: row.id.into(), role: row.role };
                directory.write(app, &[action], &|| None).await.remove(0).expect("it is done");
            }
            assert_eq!(found(&mut run, &status, &cell(name), 1).await, kinds(expected), "{name}");
        });
    }
    alone(async {
        let (mut run, status) = before(Phase::Canary).await;
        let ids = run.rig.practice.ids().clone();
        let group = ids.groups[BY_POLICY - 1];
        let action = Action::RemoveMember { group, user: ids.users[BY_POLICY - 1] };
        run.rig.world().directory.write(ids.service_principal, &[action], &|| None).await.remove(0).expect("it is done");
        assert_eq!(found(&mut run, &status, &cell("policies/500/canary/once"), 0).await, kinds(&["UNDECIDED, EMPTIED"]));
    });
}
