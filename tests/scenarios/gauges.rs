//! What the gauges say where something can't be seen, and of cycles that don't come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Request, StatusCode};
use tower::{Service, ServiceExt};
use unscim::cli::terminal::{Sheet, view};
use unscim::model::condition::{ConditionKind, Truth};
use unscim::model::memory::Remembered;
use unscim::model::spec::{Credential, Mode};
use unscim::model::status::{Outlook, Phase, Progress, Status};
use unscim::practice::scenario::Scenario;
use unscim::world::http::{Transport, in_process};
use unscim::world::{Ledger, World};

use crate::support::Rig;
use crate::walk::small;

/// Answers 503 to paths with `part` in them, from now on while it is switched on.
fn failing(rig: &mut Rig, part: &'static str) -> Arc<AtomicBool> {
    let (inner, on) = (rig.transport.clone(), Arc::new(AtomicBool::new(false)));
    let is_on = on.clone();
    let down = in_process(axum::Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE.into_response()));
    rig.transport = Transport::new(tower::service_fn(move |request: Request<Bytes>| {
        let asks = |bytes: &[u8]| bytes.windows(part.len()).any(|window| window == part.as_bytes());
        let fails = is_on.load(Ordering::SeqCst) && (asks(request.uri().path().as_bytes()) || asks(request.body()));
        let mut to = if fails { down.clone() } else { inner.clone() };
        async move { to.ready().await?.call(request).await }
    }));
    on
}

#[tokio::test(start_paused = true)]
async fn who_is_lost_stays_lost_while_the_app_cant_be_read_even_for_a_new_process() {
    let mut rig = Rig::new(small()).await;
    let down = failing(&mut rig, "/scim/v2/");
    rig.until(10, |status| status.is_true(ConditionKind::BaselineRecorded)).await;
    let record = rig.practice.scim_user(rig.user(4)).unwrap();
    let patch = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}"#;
    let request = Request::patch(format!("{}/Users/{record}", rig.spec.target.scim_url))
        .header("authorization", format!("Bearer {}", rig.practice.scim_token()))
        .header("content-type", "application/scim+json")
        .body(Bytes::from(patch))
        .unwrap();
    assert!(rig.transport.ready().await.unwrap().call(request).await.unwrap().status().is_success());
    let status = rig.until(20, |status| status.gauges.users_lost == Some(1)).await;
    assert_eq!(status.condition(ConditionKind::UsersKept).unwrap().status, Truth::False);
    down.store(true, Ordering::SeqCst);
    rig.restart();
    let status = rig.turn().await.status;
    assert_eq!(status.condition(ConditionKind::UsersKept).unwrap().status, Truth::Unknown);
    assert_eq!((status.gauges.users_lost, status.progress.users_lost), (Some(1), Some(1)));
    assert_eq!((status.gauges.target_users_active, status.gauges.token_revoked), (None, Some(false)));
}

#[tokio::test(start_paused = true)]
async fn memberships_and_paths_are_not_told_from_groups_that_were_not_read() {
    let mut rig = Rig::new(small()).await;
    rig.spec.mode = Mode::Observe;
    let down = failing(&mut rig, "/members");
    let gauges = rig.turn().await.status.gauges;
    assert!(gauges.group_members > Some(0) && gauges.users_group_only.is_some());
    rig.spec.mode = Mode::Enforce;
    rig.until(10, |status| status.is_true(ConditionKind::BaselineRecorded)).await;
    down.store(true, Ordering::SeqCst);
    let gauges = rig.turn().await.status.gauges;
    assert_eq!((gauges.group_members, gauges.users_group_only, gauges.groups_assigned), (None, None, Some(3)));
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_the_last_figures_stay_with_their_age_and_a_new_process_says_that_it_knows_none() {
    let mut rig = Rig::new(small()).await;
    let down = failing(&mut rig, "/v1.0/");
    let seen = rig.until(10, |status| status.progress.users_assigned == Some(8)).await;
    down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let status = rig.turn().await.status;
    assert!(!status.is_true(ConditionKind::GraphReachable));
    assert_eq!(status.progress.users_assigned, Some(8));
    assert_eq!(status.progress.assignments_seen_at, seen.last_attempt);
    assert!(status.progress.assignments_seen_at < status.last_attempt);
    let members = |status: &Status| status.groups.iter().map(|group| group.members).collect::<Vec<_>>();
    assert!(members(&seen)[0] > Some(0) && members(&status) == members(&seen));
    let document = serde_json::json!({ "status": status });
    let text = view::render(&document, view::Depth::Whole, Sheet::of(140)).plain();
    assert!(text.contains(&format!("8 of 8, as last seen at {:.0}", seen.last_attempt.unwrap())), "{text}");
    rig.restart();
    let status = rig.turn().await.status;
    let Progress { users_protected, users_assigned, groups_assigned, memberships, .. } = status.progress;
    assert_eq!((users_protected, users_assigned, groups_assigned, memberships), (Some(8), None, None, None));
    let text = view::render(&serde_json::json!({ "status": status }), view::Depth::Whole, Sheet::of(140)).plain();
    assert!(text.contains("not known of 8") && !text.contains("0 of 8"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_begins_in_an_outage_knows_the_phase_and_what_was_written() {
    let mut rig = Rig::new(small()).await;
    let down = failing(&mut rig, "/v1.0/");
    for phase in [Phase::AssigningUsers, Phase::EmptyingGroups, Phase::UnassigningGroups, Phase::AwaitingCycle] {
        let seen = rig.until_phase(phase).await;
        down.store(true, Ordering::SeqCst);
        assert_eq!(rig.turn().await.status.phase, phase);
        rig.restart();
        let status = rig.turn().await.status;
        assert_eq!((status.phase, status.is_true(ConditionKind::GraphReachable)), (phase, false));
        let written = |status: &Status| status.timeline.writes.iter().map(|burst| burst.count).sum::<u64>();
        assert!(written(&status) >= written(&seen) && (phase == Phase::AssigningUsers || written(&status) > 0));
        assert!(status.timeline.until.is_some() && status.timeline.cycles.len() == seen.timeline.cycles.len());
        down.store(false, Ordering::SeqCst);
    }
    rig.until_phase(Phase::AwaitingRevocation).await;
    rig.restart();
    // Of a ledger from before the phase was remembered the proofs tell.
    let forget = |rig: &mut Rig| {
        let ledger = rig.world().ledger();
        let remembered = ledger.remembered().unwrap();
        ledger.remember(&Remembered { standing: None, ..remembered }).unwrap();
        rig.restart();
    };
    forget(&mut rig);
    down.store(true, Ordering::SeqCst);
    assert_eq!(rig.turn().await.status.phase, Phase::AwaitingRevocation);
    down.store(false, Ordering::SeqCst);
    rig.retire().await;
    forget(&mut rig);
    down.store(true, Ordering::SeqCst);
    assert_eq!(rig.turn().await.status.phase, Phase::Retired);
}

#[tokio::test(start_paused = true)]
async fn retired_and_its_credential_taken_away_it_is_retired_and_says_that_nobody_looks() {
    let mut rig = Rig::new(small()).await;
    rig.retire().await;
    let over = rig.turn().await.status.timeline.until;
    tokio::time::sleep(Duration::from_secs(48 * 3600)).await;
    rig.restart();
    assert_eq!(rig.turn().await.status.timeline.until, over, "the run was over then, however long the daemon goes on looking");
    rig.restart();
    let Credential::ClientSecret { client_secret_file, .. } = &rig.spec.entra.credential else { panic!("it is a secret") };
    std::fs::write(client_secret_file, "none that Entra knows").unwrap();
    let status = rig.turn().await.status;
    assert_eq!((status.phase, status.held.len(), status.remaining.outlook), (Phase::Retired, 0, Outlook::Retired));
    let ready = status.condition(ConditionKind::Ready).unwrap();
    assert!(ready.status == Truth::False && ready.message.contains("nobody looks any more"), "{}", ready.message);
    assert_eq!(status.remaining.left(), "nothing, when it was last read");
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_does_not_end_is_overdue_after_the_time_out_and_none_is_due_of_a_paused_job() {
    let hour = Duration::from_secs(3600);
    let mut rig = Rig::new(Scenario { cycle_length: hour * 12, ..small() }).await;
    rig.spec.mode = Mode::Observe;
    let status = rig.turn().await.status;
    assert_eq!(status.gauges.cycle_overdue, Some(false));
    assert!(status.cycle.expected_by.is_some());
    tokio::time::sleep(hour * 8).await;
    assert_eq!(rig.turn().await.status.gauges.cycle_overdue, Some(true), "the time-out is 6 h");
    rig.practice.admin().pause_job();
    let status = rig.turn().await.status;
    assert_eq!((status.gauges.cycle_overdue, status.cycle.expected_by), (Some(false), None));
    rig.practice.admin().start_job();
    assert_eq!(rig.turn().await.status.gauges.cycle_overdue, Some(true));
    tokio::time::sleep(hour * 5).await;
    rig.until(20, |status| status.gauges.cycle_overdue == Some(false)).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_once_a_day_is_not_late_by_a_time_out_of_hours() {
    let day = Duration::from_secs(86_400);
    let mut rig = Rig::new(Scenario { cycle_interval: day, ..small() }).await;
    rig.spec.mode = Mode::Observe;
    for _ in 0..5 {
        assert_eq!(rig.turn().await.status.gauges.cycle_overdue, Some(false));
        tokio::time::sleep(day / 4).await;
    }
}
