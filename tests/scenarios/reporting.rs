//! What a status tells beyond its conditions: single groups, the last writes, when to look again, and nobody by name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use tower::ServiceExt as _;
use unscim::evidence::{Evidence, report};
use unscim::model::condition::ConditionKind;
use unscim::model::history::{Event, HistoryEntry, Verdict};
use unscim::model::id::GroupId;
use unscim::model::memory::Remembered;
use unscim::model::names::Names;
use unscim::model::spec::{Acknowledgement, EmptyGroups, MembersDecision, Rollout};
use unscim::model::status::{GroupState, Outlook, Phase, Status, WriteOutcome};
use unscim::model::write_record::{Ending, LastOutcome};
use unscim::practice::scenario::{GroupTrait, Quota, Quotas, Scenario};
use unscim::practice::{Effect, Fault};
use unscim::world::Ledger as _;
use unscim::world::ledger::SqliteLedger;

use crate::support::Rig;
use crate::walk::small;

fn named(status: &Status) -> bool {
    serde_json::to_string(status).unwrap().contains('@')
}

#[tokio::test(start_paused = true)]
async fn each_group_goes_one_way_and_the_last_writes_are_told() {
    let mut rig = Rig::new(small()).await;
    let mut ways: BTreeMap<GroupId, Vec<GroupState>> = BTreeMap::new();
    let mut expected = BTreeSet::new();
    let mut revoked = false;
    let last = loop {
        let turn = rig.turn().await;
        let status = &turn.status;
        for group in &status.groups {
            let way = ways.entry(group.id).or_default();
            if way.last() != Some(&group.state) {
                way.push(group.state);
            }
            assert_eq!(group.state == GroupState::Refused, group.why.as_ref().is_some_and(|why| !why.starts_with("waits for")));
        }
        assert!(status.journal.len() <= 20 && status.journal.is_sorted_by_key(|entry| entry.line), "{:?}", status.journal);
        assert!(!named(status), "{status:#?}");
        expected.extend(status.conditions.iter().filter(|one| one.expected_by.is_some()).map(|one| one.reason.as_str()));
        if status.phase == Phase::AwaitingRevocation && !revoked {
            rig.practice.revoke_token().unwrap();
            revoked = true;
        }
        if status.phase == Phase::Retired {
            break turn.status;
        }
        tokio::time::sleep(unscim::turn::wait_after(&turn, &rig.spec)).await;
    };
    for way in ways.values() {
        let on = [GroupState::ToBeEmptied, GroupState::Empty, GroupState::Unassigned, GroupState::Gone];
        assert_eq!(*way, on, "{ways:?}");
    }
    for reason in
        ["Settling", "AwaitingSettleCycle", "CanaryRunning", "ReadingAgain", "AwaitingEmptyCycle", "AwaitingCycle", "Confirming"]
    {
        assert!(expected.contains(reason), "{reason} in {expected:?}");
    }
    assert!(last.conditions.iter().all(|condition| condition.expected_by.is_none()), "nothing is awaited any more");
    let preflight = &last.condition(ConditionKind::Preflight).unwrap().message;
    assert!(preflight.starts_with("no group is left to check"), "{preflight}");
    let entry = last.journal.last().unwrap();
    assert_eq!((entry.action.as_str(), entry.outcome), ("RequestRevocation", WriteOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_become_of_a_group_follows_the_decisions() {
    let traits = [(2, [GroupTrait::OtherApp].into()), (3, [GroupTrait::OtherApp].into())].into();
    let mut rig = Rig::new(Scenario { group_traits: traits, ..small() }).await;
    rig.spec.groups.empty_groups = EmptyGroups::WhenExclusive;
    rig.spec.groups.acknowledge.push(Acknowledgement::UndiscoverableUses);
    rig.spec.groups.list[2].members = Some(MembersDecision::Keep);
    let ids: Vec<GroupId> = rig.spec.groups.list.iter().map(|entry| entry.id).collect();
    let status = rig.until_phase(Phase::Held).await;
    let of = |id| status.groups.iter().find(|group| group.id == id).unwrap();
    assert_eq!(of(ids[0]).state, GroupState::ToBeEmptied);
    assert_eq!(of(ids[2]).state, GroupState::MembersKept);
    let refused = of(ids[1]);
    assert_eq!(refused.state, GroupState::Refused);
    assert!(refused.members.is_some_and(|members| members > 0), "{refused:?}");
    assert!(refused.why.as_ref().is_some_and(|why| why.contains("members: Remove or members: Keep")), "{refused:?}");
    assert!(status.groups.is_sorted_by_key(|group| group.name.to_lowercase()));
}

#[tokio::test(start_paused = true)]
async fn users_are_named_only_where_that_is_asked_for() {
    for names in [Names::Hidden, Names::Shown] {
        let mut rig = Rig::new(small()).await;
        rig.state.names = names;
        // What the service says of a user is not ours to word.
        let body = r#"{"error":{"code":"Request_BadRequest","message":"ada@example.com can't be assigned"}}"#.to_owned();
        let answer = Effect::Answer { status: 400, headers: Vec::new(), body };
        rig.practice.faults().add(Fault::once("/appRoleAssignedTo", answer).on(Method::POST));
        let first = rig.until(20, |status| !status.journal.is_empty()).await;
        let failed = first.journal.iter().find(|entry| entry.outcome == WriteOutcome::Failed).unwrap();
        let why = failed.why.as_deref().unwrap();
        assert!(
            why.contains(if names == Names::Shown { "ada@example.com" } else { "(name withheld) can't be assigned" }),
            "{why}"
        );
        assert_eq!(named(&first), names == Names::Shown, "{first:#?}");
        rig.until(200, |status| status.phase == Phase::EmptyingGroups).await;
        let id = rig.practice.scim_user(rig.user(1)).expect("there is a record");
        let delete = http::Request::delete(format!("/scim/v2/Users/{id}"))
            .header("authorization", format!("Bearer {}", rig.practice.scim_token()))
            .body(axum::body::Body::empty());
        let answer = rig.practice.router().oneshot(delete.unwrap()).await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        let lost = rig.until(200, |status| status.progress.users_lost > Some(0)).await;
        let message = &lost.condition(ConditionKind::UsersKept).unwrap().message;
        assert_eq!(message.contains('@'), names == Names::Shown, "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_run_is_over_before_the_earliest_finish_that_was_told() {
    for rollout in [Rollout::Canary, Rollout::AllAtOnce, Rollout::SmallestFirst] {
        let mut rig = Rig::new(small()).await;
        rig.spec.rollout = rollout.clone();
        let begun = rig.practice.now();
        let (mut told, mut outlooks, mut revoked) = (Vec::new(), BTreeSet::new(), false);
        let ended = loop {
            let turn = rig.turn().await;
            let (status, now) = (&turn.status, rig.practice.now());
            let remaining = &status.remaining;
            outlooks.insert(remaining.outlook.as_str());
            assert_eq!(remaining.earliest_finish.is_some(), remaining.outlook == Outlook::InSight, "{remaining:?}");
            told.extend(remaining.earliest_finish.map(|at| (status.turn, status.phase, at)));
            if status.phase == Phase::AwaitingRevocation && !revoked {
                rig.practice.revoke_token().unwrap();
                revoked = true;
            }
            if status.phase == Phase::Retired {
                break now;
            }
            tokio::time::sleep(unscim::turn::wait_after(&turn, &rig.spec)).await;
        };
        for (turn, phase, at) in &told {
            assert!(*at <= ended, "{rollout:?}, turn {turn}, {phase}: not before {at}, and over at {ended}");
        }
        let (first, took) = (told[0].2.duration_since(begun).as_secs_f64(), ended.duration_since(begun).as_secs_f64());
        assert!(first > 0.7 * took, "{rollout:?}: {first} of {took} seconds were foreseen");
        assert_eq!(outlooks, BTreeSet::from(["AwaitingPerson", "InSight", "NotKnown", "Retired"]), "{rollout:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_query_of_the_scim_url_is_shown_nowhere() {
    let mut rig = Rig::new(small()).await;
    rig.spec.target.scim_url.set_query(Some("sig=s3cret"));
    rig.retire().await;
    let ledger = SqliteLedger::open_evidence(&rig.dir.path().join("data")).unwrap();
    let (baseline, remembered) = (ledger.baseline().unwrap().known().unwrap().clone(), ledger.remembered().unwrap());
    assert!(baseline.binding.scim_url.ends_with("?sig=s3cret"), "it is compared as a whole");
    let (writes, witnessed) = (ledger.writes().unwrap(), ledger.history().unwrap());
    let evidence = Evidence { baseline, remembered, writes, witnessed, lines: 0, head: String::new() };
    let report = serde_json::to_value(report(evidence, rig.practice.now())).unwrap();
    assert!(!report.to_string().contains("s3cret"), "{report:#}");
    assert_eq!(report["retirement"]["scim_url"], format!("{}/scim/v2", crate::support::ROOT));
    assert_eq!(report["revocationProof"]["calibration"]["url"], format!("{}/scim/v2/Users", crate::support::ROOT));
    rig.spec.target.scim_url.set_query(Some("sig=an0ther"));
    rig.restart();
    let status = rig.turn().await.status;
    let shown = serde_json::to_string(&status).unwrap();
    assert!(shown.contains("/scim/v2 with another query; give each retirement its own --data-dir"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("an0ther"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn the_report_shows_users_as_the_last_proof_that_holds_has_them() {
    let mut rig = Rig::new(small()).await;
    rig.retire().await;
    let ledger = SqliteLedger::open_evidence(&rig.dir.path().join("data")).unwrap();
    let (baseline, remembered) = (ledger.baseline().unwrap().known().unwrap().clone(), ledger.remembered().unwrap());
    let is_proof = |one: &HistoryEntry| matches!(one.event, Event::UsersAfter { .. } | Event::CycleProven { .. });
    let proof: Vec<HistoryEntry> = ledger.history().unwrap().into_iter().filter(is_proof).collect();
    assert_eq!(proof.len(), 2, "{proof:#?}");
    let mut other = proof.clone();
    let Event::UsersAfter { users } = &mut other[0].event else { panic!("{other:#?}") };
    users.values_mut().for_each(|user| user.verdict = Verdict::Lost);
    let after = |witnessed: Vec<HistoryEntry>, remembered: &Remembered| -> BTreeSet<String> {
        let (baseline, remembered) = (baseline.clone(), remembered.clone());
        let evidence = Evidence { baseline, remembered, writes: Vec::new(), witnessed, lines: 0, head: String::new() };
        let report = serde_json::to_value(report(evidence, rig.practice.now())).unwrap();
        report["users"].as_array().unwrap().iter().map(|user| user["after"]["verdict"].to_string()).collect()
    };
    assert_eq!(after([other.clone(), proof.clone()].concat(), &remembered), BTreeSet::from(["\"kept\"".to_owned()]));
    assert_eq!(after([proof.clone(), other].concat(), &remembered), BTreeSet::from(["\"lost\"".to_owned()]));
    let undone = Remembered { cycle_proof: None, ..remembered };
    assert_eq!(after(proof, &undone), BTreeSet::from(["null".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_graph_has_throttled_was_not_done_and_is_told_so() {
    let writes = Some(Quota { amount: 4, per: Duration::from_secs(150) });
    let mut rig = Rig::new(Scenario { quotas: Quotas { writes, ..Quotas::default() }, ..small() }).await;
    let before = rig.active_users();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let endings: Vec<_> = rig.world().ledger.writes().unwrap().into_iter().map(|write| write.ending.unwrap()).collect();
    let throttled = |ending: &&Ending| ending.text.as_ref().is_some_and(|text| text.contains("throttled"));
    let throttled: Vec<_> = endings.iter().filter(throttled).map(|ending| ending.outcome).collect();
    assert!(!throttled.is_empty() && throttled.iter().all(|outcome| *outcome == LastOutcome::Failed), "{throttled:?}");
    assert!(endings.iter().all(|ending| ending.outcome != LastOutcome::Open), "{endings:#?}");
}
