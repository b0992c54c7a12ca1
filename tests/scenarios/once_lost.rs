//! Ways in which somebody was lost once, or could have been: each as it was found, run to where it must end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, Request};
use tower::{Service, ServiceExt};
use unscim::model::action::Action;
use unscim::model::condition::{ConditionKind, Reason, Truth};
use unscim::model::id::UserId;
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Acknowledgement, MembersDecision, Percent, RevocationBy, Rollout, Webhook};
use unscim::model::status::{Phase, Status};
use unscim::practice::scenario::{GroupTrait, Scenario, Target};
use unscim::practice::{Effect, Fault};
use unscim::turn::{LoopState, Permit, turn};
use unscim::undo::Direct;
use unscim::undo::look;
use unscim::world::connect::Outside;
use unscim::world::http::{Transport, TransportError, Unobserved};
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Directory, Ledger};

use crate::support::{Hand, Rig, TokioClock};
use crate::walk::small;

/// One group, so that its reads go out by themselves and not in a batch.
fn one_group() -> Scenario {
    Scenario { users: 6, groups: 1, ..Scenario::default() }
}

fn reason(status: &Status, kind: ConditionKind) -> (Truth, Reason) {
    let condition = status.condition(kind).unwrap();
    (condition.status, condition.reason)
}

/// Between the daemon and the tenant: what it is handed is sent on, or not.
fn between<F>(rig: &Rig, change: F) -> Transport
where
    F: Fn(&mut Request<bytes::Bytes>) -> Option<TransportError> + Clone + Send + Sync + 'static,
{
    let inner = rig.transport.clone();
    Transport::new(tower::service_fn(move |mut request: Request<bytes::Bytes>| {
        let (mut inner, refused) = (inner.clone(), change(&mut request));
        async move {
            match refused {
                Some(error) => Err(error),
                None => inner.ready().await?.call(request).await,
            }
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn one_failed_read_of_the_members_properties_counts_nobody_out() {
    let mut rig = Rig::new(one_group()).await;
    rig.practice.faults().add(Fault::once("/members/microsoft.graph.user", Effect::Html(503)));
    let first = rig.turn().await.status;
    assert_eq!(reason(&first, ConditionKind::BaselineRecorded), (Truth::False, Reason::NotRecordedYet), "{first:#?}");
    let said = &first.condition(ConditionKind::Preflight).unwrap().message;
    assert!(said.contains("the properties of the members of group") && said.contains("503"), "{said}");
    let before = rig.active_users();
    let last = rig.retire().await;
    rig.assert_nobody_hurt(&before);
    // Who is disabled has no active record; everybody else counts.
    assert_eq!(
        (last.progress.users_counted, last.progress.users_kept),
        (last.progress.users_protected, last.progress.users_protected)
    );
}

#[tokio::test(start_paused = true)]
async fn a_joiner_whose_properties_could_not_be_read_is_covered_and_counted_once_they_can() {
    let mut rig = Rig::new(one_group()).await;
    rig.until(60, |status| status.is_true(ConditionKind::BaselineRecorded)).await;
    let (joiner, group) = (rig.practice.ids().nested_only[0], rig.practice.ids().groups[0]);
    rig.practice.faults().add(Fault::once("/members/microsoft.graph.user", Effect::Html(503)).times(4));
    rig.practice.faults().add(Fault::once("/users/", Effect::Html(503)).times(4));
    rig.practice.admin().join(joiner, group).unwrap();
    let seen = rig.until(20, |status| status.progress.users_protected == Some(7)).await;
    assert!(rig.practice.writes().iter().all(|write| write.method != "DELETE"), "{seen:#?}");
    let last = rig.retire().await;
    assert_eq!((last.progress.users_counted, last.progress.users_kept), (Some(7), Some(7)));
}

#[tokio::test(start_paused = true)]
async fn without_the_permission_to_read_users_nothing_is_begun() {
    let few = |permission: &String| !["User.Read.All", "Directory.Read.All"].contains(&permission.as_str());
    let permissions = Scenario::default().permissions.into_iter().filter(few).collect();
    let mut rig = Rig::new(Scenario { permissions, ..small() }).await;
    let held = rig.until_phase(Phase::Held).await;
    assert!(held.held.iter().any(|held| held.message.contains("the token has no User.Read.All")), "{:#?}", held.held);
    for _ in 0..20 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes(), vec![]);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_record_at_the_app_is_a_finding_and_stands_in_the_sentence() {
    let target = Target { missing: [4, 5].into(), ..Target::default() };
    let mut rig = Rig::new(Scenario { target, ..small() }).await;
    let held = rig.until_phase(Phase::Held).await;
    let message = &held.held[0].message;
    assert!(message.contains("2 of 8 protected users (25.0%) without a record at the app"), "{message}");
    assert_eq!(rig.practice.writes(), vec![]);
    rig.spec.groups.acknowledge.push(Acknowledgement::UncountedUsers);
    let last = rig.retire().await;
    let kept = &last.condition(ConditionKind::UsersKept).unwrap().message;
    assert!(kept.starts_with("6 of 8 users kept, 2 not known at the app"), "{kept}");
}

/// Another daemon with another ledger on the same app.
struct Another {
    world: Outside<TokioClock, Hand>,
    state: LoopState,
    _dir: tempfile::TempDir,
}

impl Another {
    fn beside(rig: &Rig) -> Another {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        let clock = TokioClock::starting_now();
        let world = Outside::new(&rig.spec, rig.transport.clone(), Arc::new(Unobserved), ledger, clock, Hand::default());
        Another { world, state: LoopState::default(), _dir: dir }
    }

    async fn turn(&mut self, rig: &Rig) -> Status {
        turn(&self.world, &rig.spec, Permit::FirstBaseline, &mut self.state, &rig.stop).await.unwrap().status
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_takes_no_row_on_which_another_ledgers_daemon_rests() {
    let mut rig = Rig::new(small()).await;
    rig.spec.groups.acknowledge.push(Acknowledgement::EarlierAssignments);
    let before = rig.active_users();
    let mut theirs = Another::beside(&rig);
    for _ in 0..5 {
        theirs.turn(&rig).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    // Ours comes to a tenant in which all rows are there, and goes on from them.
    rig.until_phase(Phase::EmptyingGroups).await;
    let mut taken = 0;
    for _ in 0..120 {
        rig.turn().await;
        let (spec, stop) = (rig.spec.clone(), rig.stop.clone());
        let rollback = look(&theirs.world, &spec, Direct::Go, &stop).await.unwrap();
        let back = rollback.carry_out(&theirs.world, &spec, &stop).await.unwrap();
        let removed = |(action, _): &&(Action, _)| matches!(action, Action::RemoveDirect { .. });
        taken += back.done.iter().filter(removed).count();
        rig.assert_nobody_hurt(&before);
        tokio::time::sleep(Duration::from_secs(120)).await;
    }
    let emptied = rig.practice.writes().iter().filter(|write| write.path.ends_with("/$ref") && write.method == "DELETE").count();
    assert!(emptied > 0, "ours was at work");
    rig.assert_nobody_hurt(&before);
    assert_eq!(taken, 0, "anything that tells of somebody else is enough");
}

#[tokio::test(start_paused = true)]
async fn no_brake_stands_between_a_protected_user_and_a_path() {
    let mut rig = Rig::new(Scenario { users: 24, groups: 3, ..Scenario::default() }).await;
    rig.spec.rollout = Rollout::AllAtOnce;
    rig.until(600, |status| status.progress.memberships == Some(0) && status.progress.groups_assigned == Some(3)).await;
    let role = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.method == "POST").count();
    let posts = role(&rig);
    // Ten of them at once, as somebody undoes a run; each is a correction more than is allowed; and there are too many users.
    rig.spec.limits.max_users = 3;
    rig.spec.limits.fights = 0;
    rig.spec.limits.max_shrink = Percent(1);
    let bare: Vec<UserId> = (4..14).map(|n| rig.user(n)).collect();
    for user in &bare {
        rig.practice.admin().unassign_user(*user).unwrap();
    }
    let held = rig.turn().await.status;
    let brakes: Vec<&str> = held.held.iter().map(|held| held.brake.as_str()).collect();
    for brake in ["undone", "too-much", "fights"] {
        assert!(brakes.contains(&brake), "{brake}: {brakes:?}");
    }
    assert!(role(&rig) >= posts + bare.len(), "they are given their rows in the same turn");
    let scope = rig.practice.scope();
    assert!(bare.iter().all(|user| scope.contains(user)));
}

#[tokio::test(start_paused = true)]
async fn a_row_taken_away_right_after_it_was_made_is_made_again_before_the_next_cycle() {
    let mut rig = Rig::new(small()).await;
    rig.spec.rollout = Rollout::AllAtOnce;
    // So long a confirmed write would be waited for, if nothing else counted.
    rig.spec.timing.settle = Duration::from_secs(3 * 3600);
    rig.until(10, |status| status.progress.users_assigned == Some(8)).await;
    let user = rig.user(4);
    rig.practice.admin().unassign_user(user).unwrap();
    let direct = async |rig: &mut Rig| {
        let app = rig.practice.ids().service_principal;
        let rows = rig.world().directory.assignments(app).await.unwrap().value;
        rows.iter().any(|row| row.principal == Principal::User(user))
    };
    let interval = rig.spec.timing.interval;
    let ended = |rig: &Rig| rig.state.status.as_ref().unwrap().cycle.last_ended;
    let before = ended(&rig);
    for _ in 0..45 {
        rig.turn().await;
        if direct(&mut rig).await || ended(&rig) != before {
            break;
        }
        tokio::time::sleep(interval).await;
    }
    assert!(direct(&mut rig).await && ended(&rig) == before, "before the cycle that would have missed it");
}

#[tokio::test(start_paused = true)]
async fn who_is_lost_after_the_proof_is_not_forgotten_with_the_token() {
    let mut rig = Rig::new(small()).await;
    let status = rig.until_phase(Phase::AwaitingRevocation).await;
    let (kept, lost) = (status.progress.users_kept.unwrap(), rig.user(1));
    let record = rig.practice.scim_user(lost).unwrap();
    rig.practice.scim_app().unwrap().delete_user(&record.to_string());
    let told = |status: &Status| {
        assert_eq!(status.phase, Phase::Held, "{:?}", status.held);
        assert!(status.held.iter().any(|held| held.brake == "users-lost" && held.message.contains(&lost.to_string())));
        assert_eq!(reason(status, ConditionKind::UsersKept), (Truth::False, Reason::UsersLost));
        let progress = &status.progress;
        assert_eq!((progress.users_lost, progress.users_kept, status.gauges.users_lost), (Some(1), Some(kept - 1), Some(1)));
        assert!(!status.is_true(ConditionKind::Ready));
    };
    let status = rig.until(10, |status| status.progress.users_lost == Some(1)).await;
    told(&status);
    // Nobody is asked to take away what alone can show them again.
    assert_eq!(reason(&status, ConditionKind::TokenRevoked), (Truth::False, Reason::Blocked));
    let remedy = |status: &Status| {
        let held = status.held.iter().find(|held| held.brake == "users-lost").unwrap();
        held.message.rsplit_once("; ").unwrap().1.to_owned()
    };
    let away = between(&rig, |request| request.uri().path().contains("/scim/").then(|| TransportError::Connect("away".into())));
    let there = std::mem::replace(&mut rig.transport, away);
    rig.restart();
    let status = rig.turn().await.status;
    assert_eq!((status.phase, status.progress.users_lost), (Phase::Held, Some(1)));
    assert!(remedy(&status).contains("(not for a record that was gone or is another one)"), "{}", remedy(&status));
    rig.transport = there;
    rig.restart();
    told(&rig.turn().await.status);
    // A wrong token in the file is no deletion: that it is wrong is told beside it, and what the right one is good for.
    let (file, good) = (rig.dir.path().join("scim-token"), rig.practice.scim_token());
    std::fs::write(&file, "wrong").unwrap();
    let is_wrong = |status: &Status| reason(status, ConditionKind::TokenRevoked) == (Truth::False, Reason::ProbeInconclusive);
    for _ in 0..2 {
        let status = rig.until(30, is_wrong).await;
        told(&status);
        let held = &status.held.iter().find(|held| held.brake == "users-lost").unwrap().message;
        assert!(
            held.contains("nothing shows that it was deleted: mend that first")
                && remedy(&status).starts_with("it goes on when a read shows them as before"),
            "{held}"
        );
        let heard = &status.condition(ConditionKind::TokenRevoked).unwrap().message;
        assert!(heard.contains("is another one than was calibrated"), "{heard}");
        rig.restart();
    }
    std::fs::write(&file, good).unwrap();
    let blocked = |status: &Status| reason(status, ConditionKind::TokenRevoked) == (Truth::False, Reason::Blocked);
    told(&rig.until(30, blocked).await);
    rig.practice.revoke_token().unwrap();
    let revoked = |status: &Status| status.is_true(ConditionKind::TokenRevoked);
    told(&rig.until(30, revoked).await);
    rig.restart();
    let status = rig.until(5, revoked).await;
    told(&status);
    assert_eq!(remedy(&status), "no read can show them any more, so it goes on when they stand in spec.released");
    // It goes on without them by the operator's word alone.
    rig.spec.released.insert(lost);
    let status = rig.until_phase(Phase::Retired).await;
    assert_eq!((status.progress.users_lost, status.progress.users_kept), (Some(0), Some(kept - 1)));
}

#[tokio::test(start_paused = true)]
async fn who_is_in_doubt_after_the_proof_stays_so_without_the_token() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::AwaitingRevocation).await;
    let doubted = rig.user(1);
    let record = rig.practice.scim_user(doubted).unwrap();
    rig.practice.scim_app().unwrap().change_user(&record.to_string(), "userName", "somebody.else@contoso.example".into());
    let uncertain = |status: &Status| reason(status, ConditionKind::UsersKept) == (Truth::False, Reason::UsersUncertain);
    let status = rig.until(30, uncertain).await;
    assert_eq!((status.phase, reason(&status, ConditionKind::TokenRevoked).1), (Phase::Held, Reason::Blocked));
    rig.practice.revoke_token().unwrap();
    let status = rig.until(30, |status| status.is_true(ConditionKind::TokenRevoked)).await;
    assert!(status.phase == Phase::Held && uncertain(&status) && !status.is_true(ConditionKind::Ready), "{:?}", status.held);
    rig.restart();
    assert!(uncertain(&rig.turn().await.status));
    rig.spec.released.insert(doubted);
    rig.until_phase(Phase::Retired).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_begins_in_an_outage_says_of_when_it_is_that_everybody_is_kept() {
    let mut rig = Rig::new(small()).await;
    rig.until_phase(Phase::AwaitingRevocation).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let status = rig.turn().await.status;
    let none = between(&rig, |request| Some(TransportError::Connect(format!("{} is away", request.uri().path()))));
    rig.transport = none;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    rig.restart();
    let later = rig.turn().await.status;
    let (read, figures) = (status.progress.target_seen_at, (status.progress.users_kept, Some(0)));
    assert_eq!(((later.progress.users_kept, later.progress.users_lost), later.progress.target_seen_at), (figures, read));
    assert!(read > rig.world().ledger.remembered().unwrap().cycle_proof.map(|proof| proof.at));
    assert_eq!(reason(&later, ConditionKind::UsersKept).0, Truth::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_round_over_many_lost_records_goes_on_where_the_last_one_ended() {
    let mut rig = Rig::new(Scenario { users: 140, groups: 2, ..Scenario::default() }).await;
    rig.spec.limits.max_users = 1000;
    rig.until(60, |status| status.is_true(ConditionKind::BaselineRecorded)).await;
    for n in 1..=130 {
        let record = rig.practice.scim_user(rig.user(n)).unwrap();
        rig.practice.scim_app().unwrap().delete_user(&record.to_string());
    }
    let status = rig.until(60, |status| status.progress.users_lost >= Some(129)).await;
    let kept = status.condition(ConditionKind::UsersKept).unwrap();
    assert_eq!((kept.status, kept.reason), (Truth::False, Reason::UsersLost));
    // However many they are, the status names some and counts the rest.
    let longest = status.held.iter().map(|held| held.message.len()).max().unwrap();
    assert!(status.held.len() < 30 && longest < 3_000, "{} entries, the longest {longest}", status.held.len());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_refused_waits_longer_each_time_and_is_held_with_what_was_said() {
    let mut rig = Rig::new(small()).await;
    let body =
        r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}"#;
    let denied = Effect::Answer { status: 403, headers: Vec::new(), body: body.into() };
    let deny = between(&rig, |request| {
        let (path, body) = (request.uri().path(), String::from_utf8_lossy(request.body()));
        let together = path.ends_with("/$batch") && body.contains("\"POST\"");
        if request.method() == Method::POST && (together || path.ends_with("/appRoleAssignedTo")) {
            *request.uri_mut() = format!("{}/denied", crate::support::ROOT).parse().unwrap();
        }
        None
    });
    rig.practice.faults().add(Fault::once("/denied", denied).times(usize::MAX));
    let free = std::mem::replace(&mut rig.transport, deny);
    let mut last = None;
    for _ in 0..60 {
        last = Some(rig.turn().await.status);
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    let status = last.unwrap();
    let held = status.held.iter().find(|held| held.brake == "write-refused");
    let held = held.unwrap_or_else(|| panic!("it is held: {status:#?}"));
    assert!(held.message.contains("Authorization_RequestDenied") && held.message.contains("admin consent"), "{}", held.message);
    let tried = rig.world().ledger.writes().unwrap().len();
    assert!(tried < 60, "{tried} lines in an hour for what is refused every time");
    rig.transport = free;
    rig.restart();
    let before = rig.active_users();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_date_of_a_single_answer_that_runs_away_holds_nothing_up_and_settles_nothing() {
    for path in ["/appRoleAssignedTo", "/synchronization/jobs", "/$batch"] {
        let mut rig = Rig::new(small()).await;
        let (inner, struck) = (rig.transport.clone(), Arc::new(AtomicUsize::new(0)));
        let count = struck.clone();
        rig.transport = Transport::new(tower::service_fn(move |request: Request<bytes::Bytes>| {
            let (mut inner, struck) = (inner.clone(), count.clone());
            async move {
                let hit = request.uri().path().ends_with(path) && struck.fetch_add(1, Ordering::SeqCst) % 7 == 3;
                let mut answer = inner.ready().await?.call(request).await?;
                if hit {
                    answer.headers_mut().insert("date", HeaderValue::from_static("Fri, 02 Jan 2037 10:00:00 GMT"));
                }
                Ok(answer)
            }
        }));
        let before = rig.active_users();
        let retired = rig.retire().await;
        assert!(retired.is_true(ConditionKind::Ready), "{path}");
        rig.assert_nobody_hurt(&before);
        let remembered = rig.world().ledger.remembered().unwrap();
        let kept = serde_json::to_string(&remembered).unwrap();
        assert!(!kept.contains("2037"), "{path}: {kept}");
        assert!(struck.load(Ordering::SeqCst) > 3, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_assignments_that_is_not_found_is_not_an_empty_one() {
    let mut rig = Rig::new(small()).await;
    rig.until(600, |status| status.progress.users_assigned == Some(8)).await;
    let posts = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.method == "POST").count();
    let written = posts(&rig);
    let body = r#"{"error":{"code":"Request_ResourceNotFound","message":"Resource does not exist."}}"#.to_owned();
    let gone = Effect::Answer { status: 404, headers: Vec::new(), body };
    rig.practice.faults().add(Fault::once("/appRoleAssignedTo", gone).on(Method::GET).times(3));
    for _ in 0..3 {
        let status = rig.turn().await.status;
        assert_eq!(reason(&status, ConditionKind::UsersAssigned), (Truth::Unknown, Reason::LookFailed));
        assert!(!status.is_true(ConditionKind::GraphReachable), "{status:#?}");
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(posts(&rig), written, "nobody is assigned anew");
    let before = rig.active_users();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

/// A webhook that answers as it is told to, beside the practice tenant, and the keys with which it was called.
fn hook(rig: &mut Rig, answers: Vec<Option<u16>>) -> Arc<Mutex<Vec<String>>> {
    let (calls, inner, practice) = (Arc::new(Mutex::new(Vec::new())), rig.transport.clone(), rig.practice.clone());
    let keys = calls.clone();
    rig.transport = Transport::new(tower::service_fn(move |request: Request<bytes::Bytes>| {
        let (mut inner, calls, practice, answers) = (inner.clone(), keys.clone(), practice.clone(), answers.clone());
        async move {
            if request.uri().path() != "/hook" {
                return inner.ready().await?.call(request).await;
            }
            let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
            let n = {
                let mut calls = calls.lock().unwrap();
                calls.push(key);
                calls.len() - 1
            };
            match answers.get(n).copied().flatten() {
                Some(status) => {
                    if status == 200 {
                        practice.revoke_token().unwrap();
                    }
                    Ok(http::Response::builder().status(status).body(bytes::Bytes::new()).unwrap())
                }
                None => Err(TransportError::Connect("connection refused".into())),
            }
        }
    }));
    let url = format!("{}/hook", crate::support::ROOT).parse().unwrap();
    rig.spec.target.revocation.by = RevocationBy::Webhook;
    let (attempts, within) = (5, Duration::from_secs(3600));
    rig.spec.target.revocation.webhook =
        Some(Webhook { url, method: "POST".into(), header_files: Default::default(), attempts, within });
    calls
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_called_again_with_the_same_key_until_it_accepts_the_call() {
    let mut rig = Rig::new(small()).await;
    let calls = hook(&mut rig, vec![None, Some(500), Some(409), Some(200)]);
    let before = rig.active_users();
    rig.until(900, |status| status.condition(ConditionKind::TokenRevoked).is_some_and(|c| c.reason == Reason::WebhookCalled))
        .await;
    let told = rig.turn().await.status;
    let told = &told.condition(ConditionKind::TokenRevoked).unwrap().message;
    assert!(told.contains("called 1 time") && told.contains("no connection"), "{told}");
    rig.restart();
    rig.until_phase(Phase::Retired).await;
    rig.assert_nobody_hurt(&before);
    let calls = calls.lock().unwrap();
    assert!(calls.len() == 4 && calls.iter().all(|key| *key == calls[0]), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_never_accepts_is_given_up_and_a_person_is_asked() {
    let mut rig = Rig::new(small()).await;
    let calls = hook(&mut rig, vec![Some(500); 50]);
    let asked = |status: &Status| reason(status, ConditionKind::TokenRevoked) == (Truth::False, Reason::AwaitingOperator);
    rig.until(900, |status| status.is_true(ConditionKind::CycleCompleted)).await;
    let begun = tokio::time::Instant::now();
    let status = rig.until(900, |status| asked(status) && status.pending.is_empty()).await;
    let told = &status.condition(ConditionKind::TokenRevoked).unwrap().message;
    assert!(
        told.contains("a person to delete the SCIM token") && told.contains("called 5 times") && told.contains("500"),
        "{told}"
    );
    assert!(begun.elapsed() <= Duration::from_secs(3600 + 300), "{:?}", begun.elapsed());
    assert_eq!(calls.lock().unwrap().len(), 5);
    rig.practice.revoke_token().unwrap();
    rig.until_phase(Phase::Retired).await;
    assert_eq!(calls.lock().unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_provisioning_log_is_read_on_from_where_the_last_read_ended() {
    let mut rig = Rig::new(small()).await;
    rig.until(600, |status| status.phase == Phase::AwaitingRevocation).await;
    let baseline = rig.world().ledger.baseline().unwrap().known().unwrap().taken;
    let froms: Vec<jiff::Timestamp> = rig
        .practice
        .requests()
        .iter()
        .filter(|asked| asked.path.ends_with("/auditLogs/provisioning"))
        .filter_map(|asked| asked.query.split("gt%20").nth(1)?.split('&').next()?.replace("%3A", ":").parse().ok())
        .collect();
    // Hours after the baseline no read begins there any more, and none skips what may come late.
    let last = *froms.last().unwrap();
    assert!(froms[1..].is_sorted() && last > baseline, "{froms:?}");
    let behind = Duration::try_from(rig.practice.now().duration_since(last)).unwrap();
    assert!((Duration::from_secs(2 * 3600)..Duration::from_secs(3 * 3600)).contains(&behind), "{behind:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_ledger_does_not_make_a_second_day_one() {
    let mut rig = Rig::new(small()).await;
    rig.until(600, |status| status.is_true(ConditionKind::UsersAssigned)).await;
    rig.restart();
    std::fs::remove_dir_all(rig.dir.path().join("data")).unwrap();
    let written = rig.practice.writes().len();
    let held = rig.until_phase(Phase::Held).await;
    assert!(held.held[0].message.contains("acknowledge: [EarlierAssignments]"), "{:#?}", held.held);
    assert_eq!(reason(&held, ConditionKind::BaselineRecorded), (Truth::False, Reason::NotRecordedYet));
    // The same by the file that lies beside the config.
    rig.spec.groups.acknowledge.push(Acknowledgement::EarlierAssignments);
    rig.world();
    let world = rig.world.as_ref().unwrap();
    let turned = turn(world, &rig.spec, Permit::WriteAgain, &mut rig.state, &rig.stop).await.unwrap();
    let recorded = turned.status.condition(ConditionKind::BaselineRecorded).unwrap();
    assert!(recorded.reason == Reason::NewBaselineNeeded && recorded.message.contains(".begun"), "{recorded:?}");
    assert_eq!(rig.practice.writes().len(), written);
}

fn with_group_trait(group: usize, what: GroupTrait) -> Scenario {
    Scenario { group_traits: [(group, [what].into())].into(), ..small() }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_hides_its_members_is_refused_by_name_and_never_taken_for_empty() {
    let mut rig = Rig::new(with_group_trait(2, GroupTrait::HiddenMembership)).await;
    let before = rig.active_users();
    let held = rig.until_phase(Phase::Held).await;
    let group = rig.practice.ids().groups[1].to_string();
    let told = held.held.iter().find(|held| held.message.contains("HiddenMembership")).expect("it is held");
    assert!(told.message.contains(&group) && told.message.contains("Member.Read.Hidden"), "{}", told.message);
    for _ in 0..30 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes(), vec![]);
    // With the permission it is a group like any other Microsoft 365 group.
    let held = Scenario::default().permissions;
    rig.practice.admin().grant(held.iter().map(String::as_str).chain(["Member.Read.Hidden"]));
    rig.practice.admin().end_sessions();
    rig.restart();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

/// For any reason that shows nowhere: the app's own group tells of who is in scope by it, whatever a person has decided.
#[tokio::test(start_paused = true)]
async fn a_group_that_shows_nobody_is_not_taken_for_empty_while_the_apps_own_has_members() {
    let mut rig = Rig::new(small()).await;
    let before = rig.active_users();
    let group = rig.practice.ids().groups[0];
    rig.spec.groups.list.iter_mut().find(|entry| entry.id == group).unwrap().members = Some(MembersDecision::Remove);
    let nobody = Effect::Answer { status: 200, headers: vec![], body: r#"{"value":[],"@odata.count":0}"#.into() };
    rig.practice.faults().add(Fault::once(&format!("/groups/{group}/members"), nobody).on(Method::GET).times(100_000));
    let held = rig.until_phase(Phase::Held).await;
    assert!(held.held.iter().any(|held| held.message.contains("and the app's own group has")), "{:#?}", held.held);
    for _ in 0..30 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(rig.practice.writes(), vec![]);
    rig.practice.faults().clear();
    rig.retire().await;
    rig.assert_nobody_hurt(&before);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_belongs_to_an_agent_is_protected_like_everybody_else() {
    let mut rig = Rig::new(Scenario { agents: [5].into(), ..small() }).await;
    let before = rig.active_users();
    let last = rig.retire().await;
    rig.assert_nobody_hurt(&before);
    assert_eq!((last.progress.users_protected, last.progress.users_kept), (Some(8), Some(8)));
}

#[tokio::test(start_paused = true)]
async fn a_stranger_who_is_ended_after_the_first_removal_holds_until_somebody_knows_of_them() {
    let mut rig = Rig::new(small()).await;
    rig.spec.rollout = Rollout::AllAtOnce;
    // Directly assigned, so in scope, and in none of the groups.
    let (stranger, role) = (rig.practice.ids().outsider, rig.practice.ids().role_user);
    rig.practice.admin().assign_user(stranger, role).unwrap();
    rig.until(600, |status| status.progress.memberships == Some(0) && status.progress.groups_assigned == Some(3)).await;
    rig.practice.admin().unassign_user(stranger).unwrap();
    rig.until(200, |status| status.held.iter().any(|held| held.message.contains("never protected"))).await;
    // Their record is seen first, and whose it is once the log tells.
    let named = |status: &Status| {
        status.held.iter().any(|held| held.brake == "users-lost" && held.message.contains(&stranger.to_string()))
    };
    rig.until(60, named).await;
    let writes = |rig: &Rig| rig.practice.writes().iter().filter(|write| write.method == "DELETE").count();
    let written = writes(&rig);
    for _ in 0..30 {
        rig.turn().await;
        tokio::time::sleep(rig.spec.timing.interval).await;
    }
    assert_eq!(writes(&rig), written, "nothing more is taken away");
    rig.spec.released.insert(stranger);
    rig.retire().await;
}
