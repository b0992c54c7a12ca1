//! A retirement that begins where somebody has done the guide's first steps already, by hand or by a run whose ledger is lost.

use std::time::Duration;

use unscim::evidence::{Evidence, report};
use unscim::model::id::UserId;
use unscim::model::spec::{Acknowledgement, MembersDecision};
use unscim::model::status::Phase;
use unscim::world::Ledger;
use unscim::world::ledger::SqliteLedger;

use crate::support::*;
use crate::walk::small;

/// Everybody who is in a group has a direct assignment, as the guide's first step leaves it.
fn assign_by_hand(rig: &Rig) -> Vec<UserId> {
    let ids = rig.practice.ids();
    let members: Vec<UserId> = ids.users.iter().copied().filter(|user| !ids.nested_only.contains(user)).collect();
    for user in &members {
        // One of them was assigned directly all along.
        _ = rig.practice.admin().assign_user(*user, ids.role_user);
    }
    members
}

#[tokio::test(start_paused = true)]
async fn groups_that_are_gone_already_are_taken_from_where_they_are() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    assign_by_hand(&rig);
    for group in &rig.practice.ids().groups.clone() {
        rig.practice.admin().unassign_group(*group).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let held = rig.until_phase(Phase::Held).await;
    assert!(held.held[0].message.contains("set groups.acknowledge: [AlreadyDirect]"), "{:#?}", held.held);
    rig.spec.groups.acknowledge.push(Acknowledgement::AlreadyDirect);
    let waiting = rig.until_phase(Phase::AwaitingRevocation).await;
    assert_eq!(rig.practice.writes(), vec![], "there is nothing left to do but to look");
    let note = &waiting.conditions[0].message;
    assert!(
        note.contains("assigned directly already when the baseline was taken") && note.contains("nobody can prove"),
        "{note}"
    );
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let ledger = SqliteLedger::open_evidence(&rig.dir.path().join("data")).unwrap();
    let (baseline, remembered) = (ledger.baseline().unwrap().known().unwrap().clone(), ledger.remembered().unwrap());
    let (writes, witnessed) = (ledger.writes().unwrap(), ledger.history().unwrap());
    let told = report(Evidence { baseline, remembered, writes, witnessed, lines: 0, head: String::new() }, rig.practice.now());
    assert!(told.result.contains("who else was in scope before that can't be proven"), "{}", told.result);
    assert!(told.proven && told.users.len() > 1, "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn one_of_them_who_is_hurt_is_seen() {
    let mut rig = Rig::new(small()).await;
    let members = assign_by_hand(&rig);
    for group in &rig.practice.ids().groups.clone() {
        rig.practice.admin().unassign_group(*group).unwrap();
    }
    rig.spec.groups.acknowledge.push(Acknowledgement::AlreadyDirect);
    rig.until(100, |status| status.progress.users_protected > Some(0)).await;
    let record = rig.practice.scim_user(members[0]).expect("provisioned");
    rig.practice.scim_app().unwrap().delete_user(&record.to_string());
    rig.until(600, |status| status.progress.users_lost == Some(1)).await;
}

#[tokio::test(start_paused = true)]
async fn groups_that_were_emptied_by_hand_are_unassigned_and_their_people_watched() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    assign_by_hand(&rig);
    let ids = rig.practice.ids().clone();
    for group in &ids.groups {
        for user in ids.users.iter().chain(&ids.nested_only) {
            _ = rig.practice.admin().leave(*user, *group);
        }
    }
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    for entry in &mut rig.spec.groups.list {
        entry.members = Some(MembersDecision::Remove);
    }
    let held = rig.until_phase(Phase::Held).await;
    let told = held.held.iter().any(|held| held.message.contains("nobody would be watched"));
    assert!(told, "{:#?}", held.held);
    rig.spec.groups.acknowledge.push(Acknowledgement::AlreadyDirect);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let writes = rig.practice.writes();
    assert!(writes.len() == ids.groups.len() && writes.iter().all(|write| write.method == "DELETE"), "{writes:#?}");
}
