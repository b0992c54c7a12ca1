//! Scenarios over many turns: the real loop and clients against the practice tenant.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use http::HeaderMap;
use tower::{Service, ServiceExt};
use unscim::model::baseline::Protected;
use unscim::model::condition::{ConditionKind, Reason};
use unscim::model::history::Event;
use unscim::model::id::GroupId;
use unscim::model::journal::Entry;
use unscim::model::key::{Key, KeyKind};
use unscim::model::spec::{Afterwards, EmptyGroups, MembersDecision, Mode, Percent, Quota, RevocationBy, Rollout, Webhook};
use unscim::model::status::{Phase, Status};
use unscim::practice::scenario::{GroupTrait, Replicas, Scenario};
use unscim::world::Ledger;
use unscim::world::http::{Transport, in_process};

use crate::support::Rig;
use crate::walk::small;

#[tokio::test(start_paused = true)]
async fn the_whole_guide_keeps_everybody_and_removes_the_groups() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    let status = rig.retire().await;
    rig.assert_nobody_hurt(&before);
    assert!(status.is_true(ConditionKind::Ready) && status.is_true(ConditionKind::UsersKept));
    assert_eq!(status.progress.users_kept, status.progress.users_counted);
    let groups = rig.practice.scim_app().unwrap().groups();
    let managed: Vec<_> = rig.practice.ids().groups.iter().filter_map(|group| rig.practice.scim_group(*group)).collect();
    assert!(managed.is_empty(), "still linked: {managed:?}; at the target: {}", groups.len());
}

#[tokio::test(start_paused = true)]
async fn again_changes_nothing_once_it_is_retired() {
    let mut rig = Rig::new(small()).await;
    rig.retire().await;
    let writes = rig.practice.writes().len();
    for _ in 0..5 {
        let turn = rig.turn().await;
        assert_eq!(turn.status.phase, Phase::Retired);
        tokio::time::sleep(rig.spec.timing.interval * 20).await;
    }
    rig.restart();
    assert_eq!(rig.until_phase(Phase::Retired).await.phase, Phase::Retired);
    assert_eq!(rig.practice.writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn observe_writes_nothing_and_says_what_it_would_do() {
    let mut rig = Rig::new(small()).await;
    rig.spec.mode = Mode::Observe;
    for _ in 0..5 {
        let turn = rig.turn().await;
        assert_eq!(turn.status.phase, Phase::Observing);
        assert!(turn.status.pending.iter().any(|pending| pending.action == "AssignUser"), "{:#?}", turn.status);
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn the_provisioning_log_is_read_at_its_interval_and_after_every_cycle() {
    let mut rig = Rig::new(small()).await;
    rig.spec.mode = Mode::Observe;
    rig.spec.timing.interval = Duration::from_secs(60);
    let read = |rig: &Rig| -> Vec<_> {
        let asked = rig.practice.requests().into_iter();
        asked.filter(|asked| asked.path.ends_with("/auditLogs/provisioning")).map(|asked| asked.at).collect()
    };
    for (every, turns) in [(Duration::from_secs(86_400), 200), (Duration::from_secs(300), 200)] {
        rig.restart();
        rig.spec.provisioning.log_read_interval = every;
        let before = read(&rig).len();
        let mut ends = BTreeSet::new();
        for _ in 0..turns {
            let ended = rig.turn().await.status.cycle.last_ended.expect("a cycle has ended");
            ends.insert(ended);
            let last = *read(&rig).last().unwrap();
            assert!(last > ended, "a cycle ended at {ended}, and the log was last read at {last}");
            assert!(Duration::try_from(rig.practice.now().duration_since(last)).unwrap() <= every);
            tokio::time::sleep(rig.spec.timing.interval).await;
        }
        let (reads, span) = (read(&rig).len() - before, rig.spec.timing.interval * turns);
        let most = ends.len() + usize::try_from(span.as_secs() / every.as_secs()).unwrap() + 1;
        assert!((2..20).contains(&ends.len()) && reads >= ends.len() && reads <= most, "{reads} reads, {} cycles", ends.len());
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_removal_is_one_user_and_waits_for_a_cycle() {
    let mut rig = Rig::new(small()).await;
    rig.until(600, |status| status.condition(ConditionKind::GroupsEmptied).is_some_and(|c| c.reason == Reason::CanaryRunning))
        .await;
    let removals = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.path.ends_with("/$ref")).count();
    assert_eq!(removals(&rig), 1);
}

#[tokio::test(start_paused = true)]
async fn lagging_reads_change_the_time_and_nothing_else() {
    let mut rig = Rig::new(Scenario { lag: std::time::Duration::from_secs(240), ..small() }).await;
    let before = rig.active_users();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_graph_cannot_edit_waits_for_a_decision_and_goes_with_keep() {
    let traits = [(2, [GroupTrait::Dynamic].into())].into();
    let mut rig = Rig::new(Scenario { group_traits: traits, ..small() }).await;
    let before = rig.active_users();
    let status = rig.until_phase(Phase::Held).await;
    assert!(status.held.iter().any(|held| held.message.contains("members: Keep")), "{:#?}", status.held);
    rig.spec.groups.list[1].members = Some(MembersDecision::Keep);
    rig.restart();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_shared_group_is_never_emptied_without_a_decision() {
    let traits = [(1, [GroupTrait::Licensed].into()), (2, [GroupTrait::OtherApp].into())].into();
    let mut rig = Rig::new(Scenario { group_traits: traits, ..small() }).await;
    rig.spec.groups.empty_groups = EmptyGroups::WhenExclusive;
    for _ in 0..120 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    let removed: Vec<_> = rig.practice.writes().into_iter().filter(|write| write.path.ends_with("/$ref")).collect();
    assert_eq!(removed, vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_joiner_is_covered_before_their_group_goes() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.until_phase(Phase::EmptyingGroups).await;
    let ids = rig.practice.ids().clone();
    let joiner = ids.nested_only[0];
    rig.practice.admin().join(joiner, ids.groups[2]).unwrap();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let assigned = rig.practice.writes().into_iter().filter(|write| write.method == "POST" && write.status == 201).count();
    assert!(assigned > 0);
}

#[tokio::test(start_paused = true)]
async fn who_joins_during_a_slow_turn_is_seen_before_their_group_goes() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.spec.target.read_interval = Duration::ZERO;
    let (joiner, group) = (rig.practice.ids().nested_only[0], rig.practice.ids().groups[0]);
    let (inner, practice) = (rig.transport.clone(), rig.practice.clone());
    let (slow, looked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let is_slow = slow.clone();
    rig.transport = Transport::new(tower::service_fn(move |request: http::Request<bytes::Bytes>| {
        let (mut inner, practice, slow, looked) = (inner.clone(), practice.clone(), is_slow.clone(), looked.clone());
        async move {
            let path = request.uri().path();
            if path.contains("/synchronization/jobs") {
                looked.store(false, Ordering::SeqCst);
            } else if path.contains("/scim/v2/") && slow.load(Ordering::SeqCst) {
                looked.store(true, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_secs(20)).await;
            } else if path.ends_with("/appRoleAssignedTo") && looked.load(Ordering::SeqCst) {
                // The look is over: this is the last one before something is taken away.
                _ = practice.admin().join(joiner, group);
            }
            inner.ready().await?.call(request).await
        }
    }));
    rig.until(600, |status| status.progress.memberships == Some(0) && status.progress.groups_assigned == Some(3)).await;
    let written = rig.practice.writes().len();
    slow.store(true, Ordering::SeqCst);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    assert!(rig.practice.writes()[written..].iter().any(|write| write.method == "POST"), "the joiner was covered");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_assigned_again_after_the_retirement_is_unassigned_and_not_emptied() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    rig.retire().await;
    let (group, role) = (rig.practice.ids().groups[0], rig.practice.ids().role_user);
    let newcomer = rig.practice.ids().nested_only[0];
    rig.practice.admin().assign_group(group, role).unwrap();
    rig.practice.admin().join(newcomer, group).unwrap();
    let removals = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.path.contains("/members/")).count();
    let removed = removals(&rig);
    let status = rig.until(30, |status| status.phase == Phase::UnassigningGroups || status.phase == Phase::AssigningUsers).await;
    assert!(status.is_true(ConditionKind::UsersKept));
    assert_eq!((status.gauges.token_revoked, status.gauges.groups_assigned), (Some(true), Some(1)), "the proof is not lost");
    rig.until_phase(Phase::Retired).await;
    assert_eq!(removals(&rig), removed);
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_assigned_again_gives_nothing_to_whom_is_not_in_it() {
    for after_the_retirement in [false, true] {
        let mut rig = Rig::new(small()).await;
        let (group, admin) = (rig.practice.ids().groups[0], rig.practice.ids().role_admin);
        let joiner = rig.practice.ids().nested_only[0];
        let (phase, gone) = match after_the_retirement {
            false => (Phase::AwaitingCycle, 0),
            true => (Phase::Retired, 1),
        };
        match after_the_retirement {
            false => _ = rig.until_phase(phase).await,
            true => {
                rig.retire().await;
                rig.practice.admin().unassign_user(rig.user(1)).unwrap();
            }
        }
        let admins = |rig: &mut Rig| {
            let journal = rig.world().ledger.journal().unwrap();
            let of_admins = |(key, _): &(&Key, &Entry)| matches!(key, Key::Assign(_, role) if *role == admin);
            journal.of(KeyKind::Assigns).filter(of_admins).count()
        };
        let before = admins(&mut rig);
        for joins in [false, true] {
            if joins {
                rig.practice.admin().join(joiner, group).unwrap();
            }
            let written = rig.practice.writes().len();
            rig.practice.admin().assign_group(group, admin).unwrap();
            let status = rig.turn().await.status;
            let again: Vec<GroupId> = status.groups.iter().filter(|group| group.assigned_again).map(|group| group.id).collect();
            assert_eq!((again, status.gauges.groups_assigned_again), (vec![group], Some(1)));
            let is_off = |status: &Status| status.phase == phase && status.gauges.groups_assigned_again == Some(0);
            let status = rig.until(200, is_off).await;
            assert_eq!(status.progress.groups_assigned, Some(0));
            assert!(rig.practice.writes()[written..].iter().any(|write| write.method == "DELETE"), "it is taken off");
            assert_eq!(admins(&mut rig), before + usize::from(joins), "{after_the_retirement}, {joins}");
            let (assigned, protected) = (status.progress.users_assigned.unwrap(), status.progress.users_protected.unwrap());
            assert_eq!((protected - assigned, status.held.len()), (gone, 0), "{after_the_retirement}, {joins}");
            assert_eq!(status.gauges.users_offboarded, Some(gone));
        }
        let told: Vec<Event> = rig.world().ledger.history().unwrap().into_iter().map(|one| one.event).collect();
        let times = |event: Event| told.iter().filter(|told| **told == event).count();
        assert_eq!((times(Event::AssignedAgain { group }), times(Event::OffAgain { group })), (2, 2), "{told:?}");
        assert_eq!(times(Event::Offboarded { user: rig.user(1) }), usize::from(after_the_retirement), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_demoted_after_the_retirement_stays_so_when_a_group_without_that_role_comes_back() {
    let mut rig = Rig::new(small()).await;
    let (plain, admin) = (rig.practice.ids().role_user, rig.practice.ids().role_admin);
    rig.retire().await;
    let baseline = rig.world().ledger.baseline().unwrap();
    let baseline = baseline.known().unwrap();
    let gives = |group: &GroupId, role| baseline.groups[group].roles.contains(&role);
    let group = *baseline.groups.keys().find(|group| !gives(group, admin)).unwrap();
    let is_admin = |of: &Protected| of.groups.iter().any(|group| gives(group, admin)) && !of.groups.contains(&group);
    let (user, _) = baseline.users.iter().find(|(_, of)| is_admin(of)).expect("an admin who is not in it");
    rig.practice.admin().unassign_user(*user).unwrap();
    rig.practice.admin().assign_user(*user, plain).unwrap();
    rig.until(30, |status| status.gauges.users_offboarded == Some(1)).await;
    let written = rig.practice.writes().len();
    rig.practice.admin().join(*user, group).unwrap();
    rig.practice.admin().assign_group(group, plain).unwrap();
    rig.turn().await;
    let is_off = |status: &Status| status.phase == Phase::Retired && status.gauges.groups_assigned_again == Some(0);
    let status = rig.until(200, is_off).await;
    assert_eq!(status.gauges.users_offboarded, Some(1));
    let ours = rig.practice.writes().split_off(written);
    assert!(ours.iter().all(|write| write.method == "DELETE"), "nobody is given anything: {ours:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lags_has_assigned_nothing_again() {
    let replicas = Replicas { count: 2, behind: Duration::from_secs(600) };
    let mut rig = Rig::new(Scenario { replicas, ..small() }).await;
    let (mut fewest, mut lagged) = (u64::MAX, 0);
    for _ in 0..600 {
        let status = rig.turn().await.status;
        assert_eq!(status.gauges.groups_assigned_again.unwrap_or_default(), 0, "{:#?}", status.groups);
        let assigned = status.gauges.groups_assigned.unwrap_or(u64::MAX);
        lagged += u32::from(assigned > fewest);
        fewest = fewest.min(assigned);
        if status.phase == Phase::AwaitingRevocation {
            break;
        }
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert!(lagged > 0, "no look has shown a group that an earlier one had not");
    assert!(!rig.world().ledger.history().unwrap().iter().any(|one| matches!(one.event, Event::AssignedAgain { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_answers_again_reopens_the_last_two_steps() {
    let mut rig = Rig::new(small()).await;
    let token = rig.practice.scim_token();
    rig.retire().await;
    rig.practice.scim_app().unwrap().set_token(token);
    tokio::time::sleep(std::time::Duration::from_secs(3700)).await;
    let status = rig.until(5, |status| status.phase != Phase::Retired).await;
    assert!(!status.is_true(ConditionKind::TokenRevoked) && !status.is_true(ConditionKind::CycleCompleted), "{status:#?}");
    assert_eq!(status.gauges.token_revoked, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_token_deleted_too_early_is_refused_with_the_remedy_and_no_write() {
    let mut rig = Rig::new(small()).await;
    rig.practice.scim_app().unwrap().revoke();
    let turn = rig.turn().await;
    assert_eq!(turn.status.phase, Phase::Held);
    assert!(turn.status.held.iter().any(|held| held.message.contains("RevokedTooEarly")), "{:#?}", turn.status.held);
    assert_eq!(rig.practice.writes(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn an_admin_who_disables_somebody_is_not_mistaken_for_us() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::EmptyingGroups).await;
    let user = rig.user(3);
    rig.practice.admin().disable(user).unwrap();
    let status = rig.retire().await;
    assert_eq!(status.progress.users_lost, Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_job_is_paused_before_the_token_goes_when_asked() {
    let mut rig = Rig::new(small()).await;
    rig.spec.provisioning.afterwards = Afterwards::Pause;
    rig.spec.rollout = Rollout::AllAtOnce;
    rig.retire().await;
    let pauses = rig.practice.writes().into_iter().filter(|write| write.path.ends_with("/pause")).count();
    assert_eq!(pauses, 1);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_of_another_target_stops_every_write() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::EmptyingGroups).await;
    let writes = rig.practice.writes().len();
    rig.spec.target.scim_url = format!("{}/scim/v2/", crate::support::ROOT).parse().unwrap();
    rig.restart();
    for _ in 0..60 {
        let turn = rig.turn().await;
        assert!(turn.status.held.iter().any(|held| held.message.contains("--data-dir")), "{:#?}", turn.status.held);
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn an_empty_ledger_is_not_taken_for_day_one() {
    let mut rig = Rig::new(small()).await;
    rig.world();
    let world = rig.world.as_ref().unwrap();
    let turn = unscim::turn::turn(world, &rig.spec, unscim::turn::Permit::Write, &mut rig.state, &rig.stop).await.unwrap();
    assert_eq!(turn.status.phase, Phase::Held);
    assert_eq!(turn.status.condition(ConditionKind::BaselineRecorded).unwrap().reason, Reason::NewBaselineNeeded);
    assert_eq!(rig.practice.writes(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn a_token_rotated_while_it_answers_is_the_one_that_is_proven_dead() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::EmptyingGroups).await;
    let token = "another-token-0123456789";
    rig.practice.scim_app().unwrap().set_token(token.into());
    rig.practice.admin().enter_token(token);
    std::fs::write(rig.dir.path().join("scim-token"), token).unwrap();
    let before = rig.active_users();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

/// A webhook that deletes the token beside the practice tenant, and the keys with which it was called.
fn with_webhook(rig: &mut Rig) -> Arc<Mutex<Vec<String>>> {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let (calls, practice) = (calls.clone(), rig.practice.clone());
        move |headers: HeaderMap| async move {
            calls.lock().unwrap().push(headers["idempotency-key"].to_str().unwrap().to_owned());
            practice.revoke_token().unwrap();
        }
    };
    rig.transport = in_process(Router::new().route("/hook", post(hook)).merge(rig.practice.router()));
    let url = format!("{}/hook", crate::support::ROOT).parse().unwrap();
    rig.spec.target.revocation.by = RevocationBy::Webhook;
    rig.spec.target.revocation.webhook = Some(Webhook {
        url,
        method: "POST".into(),
        header_files: Default::default(),
        attempts: 5,
        within: Duration::from_secs(3600),
    });
    calls
}

#[tokio::test(start_paused = true)]
async fn the_webhook_is_called_once_though_the_process_dies_and_starts_again() {
    let mut rig = Rig::new(small()).await;
    let calls = with_webhook(&mut rig);
    rig.until(600, |status| status.is_true(ConditionKind::CycleCompleted)).await;
    for _ in 0..3 {
        rig.restart();
        rig.turn().await;
    }
    rig.until_phase(Phase::Retired).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
    let token = "the-token-that-somebody-made";
    rig.practice.scim_app().unwrap().set_token(token.into());
    rig.practice.admin().enter_token(token);
    std::fs::write(rig.dir.path().join("scim-token"), token).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3700)).await;
    rig.until(5, |status| status.phase != Phase::Retired).await;
    rig.until_phase(Phase::Retired).await;
    let calls = calls.lock().unwrap();
    assert!(calls.len() == 2 && calls[0] != calls[1], "asked again once the latch had opened, with a key of its own: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_taken_off_the_list_is_left_alone_from_then_on() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::EmptyingGroups).await;
    let withdrawn = rig.spec.groups.list.remove(0).id;
    rig.restart();
    let before = rig.practice.writes().len();
    for _ in 0..240 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    let turn = rig.turn().await;
    assert!(turn.status.held.iter().any(|held| held.brake == "not-approved"), "{:#?}", turn.status.held);
    let role_rows = rig.practice.writes().split_off(before);
    assert!(role_rows.iter().all(|write| !write.path.contains(&withdrawn.to_string())), "{role_rows:#?}");
    assert!(rig.practice.scim_group(withdrawn).is_some());
}

#[tokio::test(start_paused = true)]
async fn waves_go_one_after_the_other_and_stay_under_entras_threshold() {
    let mut scenario = Scenario { users: 12, groups: 4, ..Scenario::default() };
    scenario.job.delete_threshold = Some(2);
    let mut rig = Rig::new(scenario).await;
    rig.spec.rollout = Rollout::SmallestFirst;
    let before = rig.active_users();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
    let writes = rig.practice.writes();
    let last = |part: &str| writes.iter().rposition(|write| write.method == "DELETE" && write.path.contains(part)).unwrap();
    let first = |part: &str| writes.iter().position(|write| write.method == "DELETE" && write.path.contains(part)).unwrap();
    assert!(first("/appRoleAssignedTo/") < last("/$ref"), "the first wave's group goes before the last wave's members");
    let gone: Vec<_> = writes
        .iter()
        .filter(|write| write.method == "DELETE" && write.path.contains("/appRoleAssignedTo/"))
        .map(|write| write.at)
        .collect();
    // One under a threshold of two: a whole cycle lies between any two groups.
    let every = Scenario::default().cycle_interval;
    assert!(gone.windows(2).all(|pair| Duration::try_from(pair[1].duration_since(pair[0])).unwrap() > every / 2), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hand_on_the_brake_stops_every_write_within_one_request() {
    let mut rig = Rig::new(small()).await;
    // Two writes at a time.
    (rig.spec.limits.write_quota, rig.spec.limits.write_share) = (Quota { amount: 2, per: Duration::from_secs(1) }, Percent(100));
    let before = rig.active_users();
    let (inner, hand, writes) = (rig.transport.clone(), rig.hand.clone(), Arc::new(Mutex::new(0)));
    rig.transport = Transport::new(tower::service_fn(move |request: http::Request<bytes::Bytes>| {
        let (mut inner, hand, writes) = (inner.clone(), hand.clone(), writes.clone());
        async move {
            if request.uri().path().ends_with("/$batch") && request.body().windows(4).any(|word| word == b"POST") {
                *writes.lock().unwrap() += 1;
                if *writes.lock().unwrap() == 2 {
                    hand.0.store(true, Ordering::SeqCst);
                }
            }
            inner.ready().await?.call(request).await
        }
    }));
    let status = rig.until(5, |status| status.held.iter().any(|held| held.brake == "frozen")).await;
    assert_eq!((status.phase, rig.practice.writes().len()), (Phase::Held, 4), "not one more");
    for _ in 0..5 {
        rig.turn().await;
    }
    assert_eq!(rig.practice.writes().len(), 4);
    rig.hand.0.store(false, Ordering::SeqCst);
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}
