//! What is seen from outside: every path, every label set, and one status everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use unscim::cli::terminal::{Sheet, view};
use unscim::model::action::{Action, Done};
use unscim::model::condition::{Condition, ConditionKind, Reason, Truth};
use unscim::model::id::{GroupId, ServicePrincipalId};
use unscim::model::names::Names;
use unscim::model::status::{
    AppStatus, Brake, CycleStatus, Gauges, GroupState, GroupStatus, Held, JournalEntry, Outlook, Pending, Phase, Progress,
    Remaining, Status, TurnResult, WriteOutcome,
};
use unscim::model::timeline::Timeline;
use unscim::serve::metrics::Metrics;
use unscim::serve::{Hosts, State, bind};
use unscim::world::http::{Api, Observer};

const LIMIT: Duration = Duration::from_secs(600);

fn state() -> State {
    State::new("uniqkey", json!({"mode": "Enforce"}), Arc::new(Metrics::new()), LIMIT)
}

fn at(second: i8) -> Timestamp {
    jiff::civil::date(2026, 11, 24).at(10, 0, second, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

fn condition(kind: ConditionKind, status: Truth, reason: Reason, message: &str) -> Condition {
    Condition { kind, status, reason, message: message.into(), last_transition_time: at(0), expected_by: None }
}

fn status() -> Status {
    Status {
        phase: Phase::EmptyingGroups,
        conditions: vec![
            condition(ConditionKind::UsersAssigned, Truth::True, Reason::AllAssigned, "412 of 412 users"),
            condition(ConditionKind::GroupsEmptied, Truth::False, Reason::DecisionNeeded, "group Design is shared"),
            condition(ConditionKind::GroupsUnassigned, Truth::Unknown, Reason::Blocked, "waits for step 2"),
            condition(ConditionKind::CycleCompleted, Truth::Unknown, Reason::Blocked, "waits for step 2"),
            condition(ConditionKind::TokenRevoked, Truth::Unknown, Reason::Blocked, "waits for step 2"),
            condition(ConditionKind::Held, Truth::True, Reason::HeldByBrake, "not approved"),
        ],
        progress: Progress {
            users_protected: Some(412),
            users_assigned: Some(400),
            memberships: Some(37),
            groups: Some(7),
            groups_assigned: Some(2),
            target_groups: Some(6),
            users_lost: Some(1),
            users_counted: Some(390),
            users_kept: Some(389),
            users_not_known: Some(0),
            assignments_seen_at: Some(at(40)),
            memberships_seen_at: Some(at(40)),
            target_seen_at: Some(at(20)),
        },
        remaining: Remaining {
            assignments: Some(12),
            member_removals: Some(37),
            unassignments: Some(2),
            cycles: Some(4),
            writing: Some(Duration::from_secs(6)),
            outlook: Outlook::InSight,
            earliest_finish: Some(at(50)),
        },
        pending: vec![Pending { action: "RemoveMember".into(), count: 37 }],
        held: vec![Held { brake: "not-approved".into(), message: "group Design is shared".into(), since: None, seen_at: None }],
        cycle: CycleStatus {
            last_ended: Some(at(30)),
            expected_by: Some(at(30)),
            last_state: Some("Succeeded".into()),
            quarantined: true,
            ..CycleStatus::default()
        },
        groups: vec![GroupStatus {
            id: GroupId(uuid::Uuid::from_u128(7)),
            name: "Design".into(),
            state: GroupState::Refused,
            members: Some(9),
            members_seen_at: Some(at(40)),
            last_known: None,
            assigned_again: false,
            why: Some("group Design is shared".into()),
        }],
        journal: vec![JournalEntry {
            line: 5,
            at: at(20),
            action: "AssignUser".into(),
            message: "assign 1 with role 2".into(),
            outcome: WriteOutcome::Failed,
            why: Some("denied (403)".into()),
        }],
        notes: vec!["one group is nested".into()],
        last_attempt: Some(at(40)),
        last_success: Some(at(41)),
        turn: 42,
        app: Some(AppStatus { id: ServicePrincipalId(uuid::Uuid::from_u128(22)), app_id: None, name: "Uniqkey (prod)".into() }),
        decisions: None,
        ledger: None,
        timeline: Timeline::default(),
        gauges: Gauges {
            users_group_only: Some(12),
            group_members: Some(37),
            users_lost: Some(1),
            job_quarantined: Some(true),
            ..Gauges::default()
        },
    }
}

fn router(state: State) -> Router {
    unscim::serve::router(state, Hosts::default())
}

fn listen(
    listener: tokio::net::TcpListener,
    state: State,
    cancel: CancellationToken,
) -> std::io::Result<(std::net::SocketAddr, impl Future<Output = std::io::Result<()>> + Send)> {
    unscim::serve::listen(listener, state, Hosts::default(), None, cancel)
}

async fn ask(router: &Router, method: Method, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::builder().method(method).uri(path).header("host", "localhost").body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 22).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(router: &Router, path: &str) -> (StatusCode, String) {
    let (code, _, body) = ask(router, Method::GET, path).await;
    (code, body)
}

async fn free() -> tokio::net::TcpListener {
    bind("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

/// Series -> value.
fn series(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn before_the_first_status_it_lives_but_is_not_ready() {
    let router = router(state());
    assert_eq!(get(&router, "/livez").await, (StatusCode::OK, "ok\n".into()));
    assert_eq!(get(&router, "/healthz").await.0, StatusCode::OK);
    assert_eq!(get(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert!(get(&router, "/readyz?verbose").await.1.contains("[-] status"));
    let (code, body) = get(&router, "/status").await;
    assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
    assert!(serde_json::from_str::<Value>(&body).unwrap()["error"].is_string());
    let (code, page) = get(&router, "/").await;
    assert!(code.is_success() && page.contains("Starting"));
    assert_eq!(get(&router, "/metrics").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_published_status_shows_everywhere() {
    let state = state();
    let router = router(state.clone());
    state.publish(&status());

    let (code, headers, body) = ask(&router, Method::GET, "/status").await;
    assert_eq!((code, headers["content-type"].to_str().unwrap()), (StatusCode::OK, "application/json"));
    let document: Value = serde_json::from_str(&body).unwrap();
    let head = json!({"apiVersion": "unscim.dev/v1alpha1", "kind": "ScimRetirement", "metadata": {"name": "uniqkey"}});
    for key in ["apiVersion", "kind", "metadata"] {
        assert_eq!(document[key], head[key]);
    }
    assert_eq!(document["spec"], json!({"mode": "Enforce"}));
    assert_eq!(serde_json::from_value::<Status>(document["status"].clone()).unwrap(), status());
    assert_eq!(document["status"]["conditions"][0]["type"], "UsersAssigned");

    assert_eq!(get(&router, "/readyz").await, (StatusCode::OK, "ok\n".into()));
    assert!(get(&router, "/readyz?verbose").await.1.contains("of turn 42"));

    let (_, page) = get(&router, "/").await;
    for part in [
        "EmptyingGroups",
        "412 of 412 users",
        "400 of 412",
        "37 memberships left",
        "5 of 7 groups off",
        "1 of 390 people are lost at the app; 389 are kept",
        "assign 1 with role 2",
        "denied (403)",
        "00000000-0000-0000-0000-000000000007",
        "group Design is shared",
        "not-approved",
        "RemoveMember",
        "in quarantine",
        "one group is nested",
        "2026-11-24 10:00:30 UTC",
        "datetime=\"2026-11-24T10:00:50Z\">10:00 UTC",
        "a floor, with every cycle on time and over as soon as it begins; no promise",
        "12 direct assignments, 37 removals from groups, 2 assignments of groups, 4 cycles to wait for, at least 6s of writing",
        "Needs you",
        "Decide for the groups named",
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }

    let shown = series(&get(&router, "/metrics").await.1);
    for (name, value) in [
        ("unscim_phase{phase=\"EmptyingGroups\"}", 1.0),
        ("unscim_phase{phase=\"Held\"}", 0.0),
        ("unscim_condition{status=\"False\",type=\"GroupsEmptied\"}", 1.0),
        ("unscim_condition{status=\"True\",type=\"GroupsEmptied\"}", 0.0),
        ("unscim_reason{reason=\"DecisionNeeded\"}", 1.0),
        ("unscim_reason{reason=\"AwaitingOperator\"}", 0.0),
        ("unscim_users{state=\"group_only\"}", 12.0),
        ("unscim_users{state=\"lost\"}", 1.0),
        ("unscim_users_lost", 1.0),
        ("unscim_group_members", 37.0),
        ("unscim_writes_remaining{kind=\"assignment\"}", 12.0),
        ("unscim_writes_remaining{kind=\"member_removal\"}", 37.0),
        ("unscim_writes_remaining{kind=\"unassignment\"}", 2.0),
        ("unscim_earliest_finish_timestamp_seconds", at(50).as_second() as f64),
        ("unscim_held{brake=\"not-approved\"}", 1.0),
        ("unscim_held{brake=\"blind\"}", 0.0),
        ("unscim_sync_job_quarantined", 1.0),
        ("unscim_sync_last_cycle_timestamp_seconds", at(30).as_second() as f64),
        ("unscim_last_success_timestamp_seconds", at(41).as_second() as f64),
    ] {
        assert_eq!(shown.get(name), Some(&value), "{name}");
    }

    let text = view::render(&document, view::Depth::Whole, Sheet::of(100)).plain();
    assert!(text.starts_with("uniqkey: EmptyingGroups (turn 42, mode Enforce)\n"), "{text}");
    assert_eq!(document["status"]["remaining"]["writing"], "6s");
}

#[tokio::test]
async fn where_no_end_is_in_sight_none_is_shown_and_it_says_why() {
    for (outlook, why) in [
        (Outlook::Held, "none while it is held"),
        (Outlook::AwaitingPerson, "it waits for a person"),
        (Outlook::NotKnown, "not known: "),
        (Outlook::Retired, "it is over"),
        (Outlook::Observing, "none: nothing is written in Observe"),
    ] {
        let state = state();
        state.publish(&status());
        let mut none = status();
        none.remaining = Remaining { outlook, ..Remaining::default() };
        state.publish(&none);
        let router = router(state);
        let (_, page) = get(&router, "/").await;
        let card = page.split_once("id=\"finish\"").unwrap().1.split_once("</section>").unwrap().0;
        assert!(card.contains(why) && !card.contains("<time"), "{card}");
        let document: Value = serde_json::from_str(&get(&router, "/status").await.1).unwrap();
        assert_eq!(document["status"]["remaining"]["earliestFinish"], Value::Null);
        let text = view::render(&document, view::Depth::Whole, Sheet::of(140)).plain();
        assert!(text.contains(&format!("earliest finish       {why}")), "{text}");
        let shown = series(&get(&router, "/metrics").await.1);
        assert_eq!(shown["unscim_earliest_finish_timestamp_seconds"], 0.0, "{outlook}");
        assert_eq!(shown["unscim_writes_remaining{kind=\"unassignment\"}"], 2.0, "what is not known stays as it was");
    }
}

#[tokio::test]
async fn what_is_not_known_leaves_the_metric_as_it_was() {
    let state = state();
    state.publish(&status());
    let mut later = status();
    later.gauges = Gauges::default();
    later.cycle = CycleStatus::default();
    later.progress = Progress::default();
    later.held = vec![Held { brake: "something new".into(), message: String::new(), since: None, seen_at: None }];
    state.publish(&later);
    let shown = series(&state.metrics().text().unwrap());
    assert_eq!(shown["unscim_users{state=\"group_only\"}"], 12.0);
    for name in ["sync_last_cycle_timestamp_seconds", "sync_cycle_expected_by_timestamp_seconds"] {
        assert_eq!(shown[&format!("unscim_{name}")], at(30).as_second() as f64, "{name}");
    }
    for name in ["users_lost", "users{state=\"lost\"}", "sync_job_quarantined"] {
        assert_eq!(shown[&format!("unscim_{name}")], 1.0, "{name}: trouble does not end by not looking");
    }
    assert_eq!(shown["unscim_held{brake=\"not-approved\"}"], 0.0);
    assert_eq!(shown["unscim_held{brake=\"refused\"}"], 1.0, "a hold is never invisible");
    later.gauges = Gauges { job_quarantined: Some(false), users_lost: Some(0), ..Gauges::default() };
    state.publish(&later);
    let shown = series(&state.metrics().text().unwrap());
    assert_eq!(shown["unscim_sync_cycle_expected_by_timestamp_seconds"], 0.0, "none is due");
    assert_eq!((shown["unscim_sync_job_quarantined"], shown["unscim_users_lost"]), (0.0, 0.0));
}

#[test]
fn every_label_set_starts_at_zero() {
    let shown = series(&Metrics::new().described().unwrap());
    let mut expected = Vec::new();
    for phase in Phase::ALL {
        expected.push(format!("unscim_phase{{phase=\"{phase}\"}}"));
    }
    for kind in ConditionKind::ALL {
        for truth in Truth::ALL {
            expected.push(format!("unscim_condition{{status=\"{truth}\",type=\"{kind}\"}}"));
        }
    }
    for reason in Reason::ALL {
        expected.push(format!("unscim_reason{{reason=\"{reason}\"}}"));
    }
    for brake in Brake::ALL.iter().map(|brake| brake.label()).chain(["preflight", "refused"]) {
        expected.push(format!("unscim_held{{brake=\"{brake}\"}}"));
    }
    for state in ["group_only", "direct_and_group", "direct_only", "lost"] {
        expected.push(format!("unscim_users{{state=\"{state}\"}}"));
    }
    for kind in ["assignment", "member_removal", "unassignment"] {
        expected.push(format!("unscim_writes_remaining{{kind=\"{kind}\"}}"));
    }
    for state in ["assigned", "emptied", "unassigned", "refused"] {
        expected.push(format!("unscim_groups{{state=\"{state}\"}}"));
    }
    for truth in ["true", "false"] {
        expected.push(format!("unscim_target_users{{active=\"{truth}\"}}"));
        expected.push(format!("unscim_target_groups{{managed=\"{truth}\"}}"));
    }
    for result in TurnResult::ALL {
        expected.push(format!("unscim_reconcile_total{{result=\"{}\"}}", result.label()));
    }
    for kind in Action::KINDS {
        for result in Done::ALL {
            expected.push(format!("unscim_actions_total{{action=\"{kind}\",result=\"{}\"}}", result.label()));
        }
    }
    for api in Api::ALL {
        let label = api.label();
        expected.push(format!("unscim_throttled_total{{api=\"{label}\"}}"));
        expected.push(format!("unscim_throttle_wait_seconds_total{{api=\"{label}\"}}"));
    }
    for name in [
        "group_members",
        "token_revoked",
        "users_lost",
        "earliest_finish_timestamp_seconds",
        "sync_job_quarantined",
        "sync_last_cycle_timestamp_seconds",
        "sync_cycle_expected_by_timestamp_seconds",
        "sync_cycle_overdue",
        "reconcile_duration_seconds_count",
        "reconcile_interval_seconds",
        "last_attempt_timestamp_seconds",
        "last_success_timestamp_seconds",
        "write_quota_ratio",
        "credential_expiry_timestamp_seconds",
        "config_last_reload_success",
    ] {
        expected.push(format!("unscim_{name}"));
    }
    for name in expected {
        assert_eq!(shown.get(&name), Some(&0.0), "{name}");
    }
    let shown = series(&Metrics::new().text().unwrap());
    let requests: Vec<_> = shown.keys().filter(|name| name.starts_with("unscim_http_")).collect();
    assert!(requests.is_empty(), "a request is there when it was made: {requests:?}");
    assert!(shown.keys().any(|name| name.starts_with("unscim_build_info{") && name.contains(env!("CARGO_PKG_VERSION"))));
    assert!(shown.contains_key("process_start_time_seconds"), "as every standard dashboard asks for it");
}

#[test]
fn what_no_look_has_seen_yet_is_no_zero() {
    let metrics = Metrics::new();
    let seen = [
        "users{state=\"group_only\"}",
        "groups{state=\"assigned\"}",
        "writes_remaining{kind=\"assignment\"}",
        "target_users{active=\"true\"}",
        "target_groups{managed=\"true\"}",
        "group_members",
        "token_revoked",
        "users_lost",
        "sync_job_quarantined",
        "sync_cycle_overdue",
        "sync_cycle_expected_by_timestamp_seconds",
    ];
    let shown = series(&metrics.text().unwrap());
    for name in seen {
        assert!(!shown.contains_key(&format!("unscim_{name}")), "{name}");
    }
    assert_eq!(shown["unscim_held{brake=\"blind\"}"], 0.0, "what is ours to know is there");
    metrics.publish(&Status { gauges: Gauges { users_lost: Some(0), ..Gauges::default() }, ..status() });
    let shown = series(&metrics.text().unwrap());
    assert_eq!((shown["unscim_users_lost"], shown["unscim_users{state=\"lost\"}"]), (0.0, 0.0));
    assert!(!shown.contains_key("unscim_sync_job_quarantined") && !shown.contains_key("unscim_users{state=\"group_only\"}"));
}

#[test]
fn what_happens_is_counted() {
    let metrics = Metrics::new();
    metrics.turn(TurnResult::Held, Duration::from_secs(2));
    metrics.actions("AssignUser", Done::Ok, 1);
    metrics.answered(Api::Graph, "assign", "201", Duration::from_millis(20));
    metrics.answered(Api::Scim, "an operation of tomorrow", "418", Duration::from_millis(20));
    metrics.throttled(Api::Graph, Duration::from_millis(1500));
    metrics.ask_write_quota(|| 0.25);
    metrics.set_interval(Duration::from_secs(60));
    metrics.attempt(at(7));
    metrics.reloaded();
    let shown = series(&metrics.text().unwrap());
    for (name, value) in [
        ("unscim_reconcile_total{result=\"held\"}", 1.0),
        ("unscim_reconcile_duration_seconds_sum", 2.0),
        ("unscim_actions_total{action=\"AssignUser\",result=\"ok\"}", 1.0),
        ("unscim_http_requests_total{api=\"graph\",code=\"201\",operation=\"assign\"}", 1.0),
        ("unscim_http_requests_total{api=\"scim\",code=\"418\",operation=\"an operation of tomorrow\"}", 1.0),
        ("unscim_throttled_total{api=\"graph\"}", 1.0),
        ("unscim_throttle_wait_seconds_total{api=\"graph\"}", 1.5),
        ("unscim_write_quota_ratio", 0.25),
        ("unscim_reconcile_interval_seconds", 60.0),
        ("unscim_last_attempt_timestamp_seconds", at(7).as_second() as f64),
        ("unscim_config_last_reload_success", 1.0),
    ] {
        assert_eq!(shown.get(name), Some(&value), "{name}");
    }
    let requests = shown.keys().filter(|name| name.starts_with("unscim_http_requests_total")).count();
    let timed = shown.keys().filter(|name| name.starts_with("unscim_http_request_duration_seconds_count")).count();
    assert_eq!((requests, timed), (2, 2), "and no other");
    metrics.reload_failed();
    let shown = series(&metrics.text().unwrap());
    assert_eq!(shown["unscim_config_last_reload_success"], 0.0);
}

#[test]
fn a_share_of_nothing_is_zero_and_not_less() {
    let metrics = Metrics::new();
    metrics.ask_write_quota(|| std::iter::empty::<f64>().sum());
    let text = metrics.text().unwrap();
    assert!(text.contains("\nunscim_write_quota_ratio 0\n") && !text.contains(" -0"), "{text}");
}

#[tokio::test]
async fn the_metrics_are_compressed_for_whoever_asks_for_it() {
    let router = router(state());
    let asked = async |accepts: &str| {
        let request =
            Request::get("/metrics").header("host", "localhost").header("accept-encoding", accepts).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let encoding = answer.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(answer.headers()["vary"], "accept-encoding");
        (encoding, to_bytes(answer.into_body(), usize::MAX).await.unwrap())
    };
    let (plain, whole) = asked("gzip;q=0, identity").await;
    assert_eq!(plain, None);
    let (packed, bytes) = asked("deflate, gzip;q=0.5").await;
    assert_eq!(packed.as_deref(), Some("gzip"));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap();
    assert!(text.contains("unscim_phase{") && bytes.len() * 3 < whole.len(), "{} of {}", bytes.len(), whole.len());
}

#[tokio::test(start_paused = true)]
async fn it_is_dead_without_a_sign_of_life_and_a_request_is_one() {
    let state = state();
    let router = router(state.clone());
    tokio::time::advance(LIMIT).await;
    assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(1)).await;
    for path in ["/livez", "/healthz"] {
        let (code, text) = get(&router, path).await;
        assert_eq!((code, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "no sign of life for 10m 1s\n"));
    }
    state.metrics().answered(Api::Graph, "get_app", "200", Duration::ZERO);
    assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);
    tokio::time::advance(LIMIT * 2).await;
    state.heartbeat();
    assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn nothing_but_reading_is_served_and_only_what_is_there() {
    let state = state();
    state.publish(&status());
    let router = router(state);
    for path in ["/", "/page.css", "/page.js", "/status", "/events", "/metrics", "/livez", "/readyz", "/healthz"] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            assert_eq!(ask(&router, method, path).await.0, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
        let (code, headers, body) = ask(&router, Method::HEAD, path).await;
        assert_eq!((code, body.as_str()), (StatusCode::OK, ""), "{path}");
        assert!(headers.contains_key("content-type"), "{path}");
    }
    for path in ["/nothing", "/status/", "/page.html", "/../etc/passwd"] {
        assert_eq!(get(&router, path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for length in ["5000", "-1", "many"] {
        let request = Request::builder()
            .uri("/status")
            .header("host", "localhost")
            .header("content-length", length)
            .body(Body::empty())
            .unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE, "{length}");
    }
}

#[tokio::test]
async fn every_answer_bears_the_security_headers() {
    let router = router(state());
    for (method, path) in [(Method::GET, "/"), (Method::GET, "/status"), (Method::GET, "/nothing"), (Method::POST, "/")] {
        let (_, headers, _) = ask(&router, method, path).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
    let (_, page) = get(&router, "/").await;
    assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onload="));
    assert_eq!(page.matches("<script").count(), page.matches("<script src=\"page.js\" defer></script>").count());
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing comes from elsewhere");
}

#[tokio::test]
async fn the_page_takes_hostile_text_for_text() {
    let hostile = "<script>alert(1)</script> \"'>";
    let state = State::new(hostile, json!({}), Arc::new(Metrics::new()), LIMIT);
    let mut bad = status();
    for condition in &mut bad.conditions {
        condition.message = hostile.into();
    }
    bad.held[0] = Held { brake: hostile.into(), message: hostile.into(), since: None, seen_at: None };
    bad.notes = vec![hostile.into()];
    (bad.groups[0].name, bad.groups[0].why) = (hostile.into(), Some(hostile.into()));
    (bad.journal[0].message, bad.journal[0].why) = (hostile.into(), Some(hostile.into()));
    bad.pending[0].action = "<img src=x>".into();
    bad.cycle.quarantined = false;
    bad.cycle.last_state = Some("<b>".into());
    state.publish(&bad);
    let (_, page) = get(&router(state), "/").await;
    let body = page.replace("<script src=\"page.js\" defer></script>", "");
    assert!(!body.contains("<script") && !body.contains("<img") && !body.contains("<b>"), "{page}");
    assert!(body.contains("alert(1)"));
}

#[tokio::test]
async fn it_listens_until_it_is_told_to_stop() {
    let cancel = CancellationToken::new();
    let (addr, serving) = listen(free().await, state(), cancel.clone()).unwrap();
    let serving = tokio::spawn(serving);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{addr}/livez")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok\n");
    let error = bind(addr).await.err().unwrap().to_string();
    assert!(error.contains(&addr.to_string()) && error.contains("--listen"), "{error}");
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap().unwrap();
    assert!(client.get(format!("http://{addr}/livez")).send().await.is_err());
}

/// Reads on until what was read holds `wanted`.
async fn until(answer: &mut reqwest::Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = answer.chunk().await.unwrap().unwrap_or_else(|| panic!("it ended before {wanted:?}: {read}"));
        read.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    read
}

#[tokio::test]
async fn events_bring_the_status_at_once_then_each_newer_one_and_end_on_shutdown() {
    let (state, cancel) = (state(), CancellationToken::new());
    state.publish(&status());
    let (addr, serving) = listen(free().await, state.clone(), cancel.clone()).unwrap();
    let serving = tokio::spawn(serving);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answer = client.get(format!("http://{addr}/events")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(answer.headers().contains_key("content-security-policy"));

    let first = until(&mut answer, "\n\n").await;
    let lines: BTreeMap<&str, &str> = first.lines().filter_map(|line| line.split_once(": ")).collect();
    assert_eq!((lines["event"], lines["id"]), ("status", "42"), "{first}");
    assert_eq!(lines["data"], &*state.document().unwrap(), "the same document as /status");

    // Whoever does not read in time gets the newest, not all of them.
    for turn in 43..=200 {
        state.publish(&Status { turn, ..status() });
    }
    let later = until(&mut answer, "id: 200\n").await;
    assert!(later.matches("event: status").count() < 158, "{}", later.matches("event: status").count());

    cancel.cancel();
    let began = std::time::Instant::now();
    while answer.chunk().await.unwrap().is_some() {}
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "it ends by itself, not by the grace that answers get");
}

#[tokio::test(start_paused = true)]
async fn events_begin_with_the_first_status_and_are_never_silent_for_long() {
    let state = state();
    let request = Request::builder().uri("/events").header("host", "localhost").body(Body::empty()).unwrap();
    let mut body = router(state.clone()).oneshot(request).await.unwrap().into_body().into_data_stream();
    let mut next = async || {
        let began = tokio::time::Instant::now();
        let chunk = futures_util::StreamExt::next(&mut body).await.unwrap().unwrap();
        (String::from_utf8(chunk.to_vec()).unwrap(), began.elapsed())
    };
    for _ in 0..3 {
        let (comment, took) = next().await;
        assert!(comment.starts_with(':') && took <= Duration::from_secs(16), "{comment:?} after {took:?}");
    }
    state.publish(&status());
    let (event, took) = next().await;
    assert!(event.contains("event: status") && took < Duration::from_secs(1), "{event}");
    assert!(next().await.0.starts_with(':'));
}

#[tokio::test]
async fn whoever_watches_leaves_room_for_the_probes() {
    let router = router(state());
    let watch = async || {
        let request = Request::builder().uri("/events").header("host", "localhost").body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap()
    };
    let mut watching = Vec::new();
    for _ in 0..128 {
        watching.push(watch().await);
    }
    assert!(watching.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(watch().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    watching.pop();
    assert_eq!(watch().await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_and_one_that_watches_is_not() {
    let cancel = CancellationToken::new();
    let (addr, serving) = listen(free().await, state(), cancel.clone()).unwrap();
    let serving = tokio::spawn(serving);
    let began = tokio::time::Instant::now();
    let mut watching = tokio::net::TcpStream::connect(addr).await.unwrap();
    watching.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut silent = tokio::net::TcpStream::connect(addr).await.unwrap();
    let mut read = String::new();
    while read.matches(": alive").count() < 12 {
        let mut piece = [0; 1024];
        let n = watching.read(&mut piece).await.unwrap();
        assert!(n > 0, "closed after {:?}: {read}", began.elapsed());
        read.push_str(std::str::from_utf8(&piece[..n]).unwrap());
    }
    assert!(began.elapsed() > Duration::from_secs(60));
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap_or(0), 0);
    cancel.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn names_are_in_no_answer_where_they_are_hidden() {
    let named = || {
        let ada = "ada@example.com";
        let mut status = status();
        for condition in &mut status.conditions {
            condition.message = format!("{} {ada}", condition.message);
        }
        status.held[0].message = format!("of {ada}");
        status.notes = vec![format!("<{ada}>")];
        status.groups[0].why = Some(ada.into());
        (status.journal[0].message, status.journal[0].why) = (ada.into(), Some(format!("no user '{ada}'")));
        status
    };
    for (names, shown) in [(Names::Hidden, false), (Names::Shown, true)] {
        let mut status = named();
        status.withhold(names);
        let state = state();
        state.publish(&status);
        let router = router(state);
        for path in ["/", "/status", "/metrics"] {
            let text = get(&router, path).await.1;
            assert_eq!(text.contains("ada@"), shown && path != "/metrics", "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn the_page_says_what_only_a_person_can_do() {
    let shown = async |profile: &str, status: &Status| {
        let state = State::new("app", json!({"target": {"profile": profile}}), Arc::new(Metrics::new()), LIMIT);
        state.publish(status);
        get(&router(state), "/").await.1
    };
    let mut asked = status();
    (asked.phase, asked.held) = (Phase::AwaitingRevocation, Vec::new());
    asked.conditions = vec![condition(ConditionKind::TokenRevoked, Truth::False, Reason::AwaitingOperator, "waits for a person")];
    for (profile, click) in [("uniqkey", "Open Settings, then Integrations."), ("generic", "SCIM or user provisioning.")] {
        let page = shown(profile, &asked).await;
        assert!(page.contains(click) && !page.contains("waits for a person"), "{page}");
    }
    // Waiting for an hour is nobody's work.
    let mut waiting = asked.clone();
    waiting.conditions = vec![condition(ConditionKind::Held, Truth::True, Reason::HeldByBrake, "window: until 22:00")];
    waiting.held = vec![Held { brake: "window".into(), message: "until 22:00".into(), since: None, seen_at: None }];
    let page = shown("uniqkey", &waiting).await;
    assert!(page.contains("Nothing. It goes on by itself.") && page.contains("until 22:00"), "{page}");
}

#[tokio::test]
async fn the_page_calls_the_steps_as_the_guide_does() {
    let state = state();
    state.publish(&status());
    let page = get(&router(state), "/").await.1;
    let mut rest = page.as_str();
    for step in &unscim::judge::steps::GUIDE {
        let at = rest.find(&format!(">{}</span>", step.title)).unwrap_or_else(|| panic!("{} in\n{page}", step.title));
        rest = &rest[at..];
    }
}
