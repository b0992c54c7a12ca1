//! Groups under Privileged Identity Management, groups that were mastered elsewhere once, and the newer permission for the log.

use std::collections::BTreeMap;

use unscim::model::id::{GroupId, UserId};
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Acknowledgement, EmptyGroups, MembersDecision};
use unscim::model::status::{GroupState, Phase, Status};
use unscim::practice::scenario::{GroupTrait, Privileged, Scenario};
use unscim::world::Directory as _;

use crate::support::Rig;
use crate::walk::small;

const MAY: [&str; 2] = ["PrivilegedAssignmentSchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.Read.AzureADGroup"];

fn governed(active: usize, eligible: usize) -> Scenario {
    let mut scenario = small();
    scenario.permissions.extend(MAY.map(String::from));
    let privileged = Privileged { active: [active].into(), eligible: [eligible].into() };
    scenario.privileged = BTreeMap::from([(1, privileged)]);
    scenario
}

fn held(status: &Status) -> String {
    format!("{:?}", status.held)
}

async fn roles(rig: &mut Rig, user: UserId) -> usize {
    let app = rig.practice.ids().service_principal;
    let rows = rig.world().directory.assignments(app).await.unwrap().value;
    rows.iter().filter(|row| row.principal == Principal::User(user)).count()
}

/// An admin's hand takes them out; after the retirement they hold so many roles themselves, and we have hurt nobody.
async fn leaves_before_the_end(rig: &mut Rig, user: UserId, group: GroupId, own: usize) {
    rig.practice.admin().leave(user, group).unwrap();
    rig.retire().await;
    assert_eq!(roles(rig, user).await, own);
    assert!(rig.practice.out_of_scope_moments().iter().all(|moment| moment.by.starts_with("admin")));
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_an_assignment_that_lasts_for_a_membership_of_hours_without_a_word() {
    let mut rig = Rig::new(governed(7, 2)).await;
    let (seven, first) = (rig.user(7), rig.practice.ids().groups[0]);
    let status = rig.until_phase(Phase::Held).await;
    assert!(held(&status).contains(&seven.to_string()) && held(&status).contains("TemporaryMembers"), "{status:#?}");
    assert!(rig.practice.writes().is_empty());
    // The activation ends, and they have left.
    leaves_before_the_end(&mut rig, seven, first, 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_activation_on_the_way_holds_its_group_and_gives_nothing_that_lasts() {
    // User 5 is in group 2 for good, and activates group 1, whose role is another.
    let mut rig = Rig::new(governed(5, 5)).await;
    let (five, first) = (rig.user(5), rig.practice.ids().groups[0]);
    rig.until(20, |status| !status.journal.is_empty()).await;
    rig.practice.admin().join(five, first).unwrap();
    for _ in 0..150 {
        let turn = rig.turn().await;
        tokio::time::sleep(unscim::turn::wait_after(&turn, &rig.spec)).await;
    }
    let status = rig.turn().await.status;
    assert!(held(&status).contains(&five.to_string()) && held(&status).contains("TemporaryMembers"), "{status:#?}");
    assert_eq!(roles(&mut rig, five).await, 1);
    let of = |status: &Status| status.groups.iter().find(|group| group.id == first).unwrap().members;
    assert!(
        of(&status).is_some_and(|members| members > 0),
        "nobody is taken out of a group in which somebody stands on nothing else"
    );
    leaves_before_the_end(&mut rig, five, first, 1).await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_and_goes_by_activation_while_groups_are_emptied_is_no_loss() {
    let mut rig = Rig::new(governed(7, 7)).await;
    let (seven, first) = (rig.user(7), rig.practice.ids().groups[0]);
    rig.practice.admin().leave(seven, first).unwrap();
    let taken = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.path.contains("/members/")).count();
    for _ in 0..600 {
        let turn = rig.turn().await;
        tokio::time::sleep(unscim::turn::wait_after(&turn, &rig.spec)).await;
        if taken(&rig) > 0 {
            break;
        }
    }
    assert!(taken(&rig) > 0);
    rig.practice.admin().join(seven, first).unwrap();
    // Entra makes them a record that is active again, and takes it back when they have left.
    rig.until(200, |status| held(status).contains("TemporaryMembers")).await;
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    leaves_before_the_end(&mut rig, seven, first, 0).await;
}

#[tokio::test(start_paused = true)]
async fn with_the_operators_word_they_keep_the_access() {
    let mut rig = Rig::new(governed(7, 2)).await;
    let before = rig.active_users();
    rig.spec.groups.acknowledge.push(Acknowledgement::TemporaryMembers);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let seven = rig.user(7);
    assert_eq!(roles(&mut rig, seven).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_governed_and_a_converted_group_are_asked_about_and_a_failed_look_empties_nothing() {
    let mut scenario = governed(5, 2);
    scenario.group_traits = [(2, [GroupTrait::Converted].into())].into();
    let mut rig = Rig::new(scenario).await;
    let before = rig.active_users();
    rig.spec.groups.empty_groups = EmptyGroups::WhenExclusive;
    rig.spec.groups.acknowledge.push(Acknowledgement::UndiscoverableUses);
    let ids = rig.practice.ids().groups.clone();
    let status = rig.until_phase(Phase::Held).await;
    let why = |n: usize| {
        let group = status.groups.iter().find(|group| group.id == ids[n]).unwrap();
        assert_eq!(group.state == GroupState::Refused, n < 2, "{group:?}");
        group.why.clone().unwrap_or_default()
    };
    assert!(
        why(0).contains("Privileged Identity Management governs it") && why(1).contains("on-premises"),
        "{} {}",
        why(0),
        why(1)
    );
    why(2);
    rig.spec.groups.list[0].members = Some(MembersDecision::Keep);
    rig.spec.groups.list[1].members = Some(MembersDecision::Remove);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_read_with_the_newer_permission_alone() {
    let mut scenario = small();
    scenario.permissions.retain(|held| !["AuditLog.Read.All", "Directory.Read.All"].contains(&held.as_str()));
    let mut rig = Rig::new(scenario.clone()).await;
    let log = |rig: &mut Rig| {
        let (job, now) = (rig.practice.ids().job.clone(), rig.practice.now());
        (job, now)
    };
    let (job, now) = log(&mut rig);
    assert!(rig.world().directory.log(&job, now).await.is_err());
    scenario.permissions.push("ProvisioningLog.Read.All".into());
    let mut rig = Rig::new(scenario).await;
    let before = rig.active_users();
    let (job, now) = log(&mut rig);
    rig.world().directory.log(&job, now).await.unwrap();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}
