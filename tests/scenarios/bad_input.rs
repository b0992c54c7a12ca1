//! Wrong ids, wrong settings, wrong answers: each gives one clear message that names the thing and the remedy, and no write.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use unscim::model::condition::{ConditionKind, Reason, Truth};
use unscim::model::id::{GroupId, ServicePrincipalId, TenantId};
use unscim::model::spec::{AppRef, Credential, GroupEntry};
use unscim::model::status::{Phase, Status};
use unscim::practice::scenario::{ClientSecret, Job, JobState, Mapping, Scenario};
use unscim::practice::scim_app::Quirk;
use unscim::practice::{Effect, Fault};
use unscim::serve::metrics::Metrics;

use crate::support::Rig;
use crate::walk::small;

const NOBODY: Uuid = Uuid::from_u128(0x11111111_2222_3333_4444_555555555555);

/// Some turns from the very beginning; nothing may have been written.
async fn looked(rig: &mut Rig) -> Status {
    let mut status = rig.turn().await.status;
    for _ in 0..3 {
        tokio::time::sleep(rig.spec.timing.interval).await;
        let again = rig.turn().await.status;
        let messages = |status: &Status| status.held.iter().map(|held| held.message.clone()).collect::<Vec<_>>();
        assert_eq!(messages(&again).len(), messages(&status).len(), "{:#?}\n{:#?}", status.held, again.held);
        status = again;
    }
    assert_eq!(rig.practice.writes(), []);
    assert!(!status.is_true(ConditionKind::BaselineRecorded), "a baseline was taken");
    status
}

/// Held with one message, which has all these words.
async fn is_refused(rig: &mut Rig, words: &[&str]) {
    let status = looked(rig).await;
    let [held] = status.held.as_slice() else {
        panic!("one message for {words:?}: {:#?}\n{:#?}", status.held, status.conditions)
    };
    for word in words {
        assert!(held.message.contains(word), "{word:?} in: {}", held.message);
    }
    assert!(status.is_true(ConditionKind::Held) && status.condition(ConditionKind::Preflight).unwrap().status == Truth::False);
}

/// Neither yes nor no: nothing is held for a person, and the condition says what could not be looked at.
async fn is_unknown(rig: &mut Rig, kind: ConditionKind, words: &[&str]) {
    let status = looked(rig).await;
    let condition = status.condition(kind).unwrap();
    assert_ne!(condition.status, Truth::True, "{condition:#?}");
    for word in words {
        assert!(condition.message.contains(word), "{word:?} in: {}", condition.message);
    }
}

async fn rig(change: impl FnOnce(&mut Scenario)) -> Rig {
    let mut scenario = small();
    change(&mut scenario);
    Rig::new(scenario).await
}

fn job(change: impl FnOnce(&mut Job)) -> impl FnOnce(&mut Scenario) {
    |scenario| change(&mut scenario.job)
}

#[tokio::test(start_paused = true)]
async fn a_wrong_tenant() {
    let mut rig = rig(|_| {}).await;
    rig.spec.entra.tenant_id = TenantId(NOBODY);
    is_refused(&mut rig, &["AADSTS90002", "check tenantId"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_client() {
    let mut rig = rig(|_| {}).await;
    let client_secret_file = rig.dir.path().join("client-secret");
    rig.spec.entra.credential = Credential::ClientSecret { client_id: NOBODY, client_secret_file };
    is_refused(&mut rig, &["AADSTS700016", "clientId"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_not_there() {
    let mut rig = rig(|_| {}).await;
    rig.spec.entra.app = AppRef::ServicePrincipalId(ServicePrincipalId(NOBODY));
    is_refused(&mut rig, &["enterprise application", &NOBODY.to_string(), "entra.app"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_id_in_place_of_an_object_id_and_the_other_way_round() {
    let mut one = rig(|_| {}).await;
    let ids = one.practice.ids().clone();
    one.spec.entra.app = AppRef::ServicePrincipalId(ServicePrincipalId(ids.app_id));
    is_refused(&mut one, &["application (client) id", &ids.service_principal.to_string(), "servicePrincipalId"]).await;
    let mut other = rig(|_| {}).await;
    other.spec.entra.app = AppRef::AppId(ids.service_principal.0);
    is_refused(&mut other, &["object id", "servicePrincipalId"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_apps_of_one_name_and_none() {
    let mut two = rig(|scenario| scenario.twin_app = true).await;
    two.spec.entra.app = AppRef::DisplayName(two.practice.ids().app_name.clone());
    is_refused(&mut two, &["2 apps have this name", "servicePrincipalId"]).await;
    let mut none = rig(|_| {}).await;
    none.spec.entra.app = AppRef::DisplayName("Nobody's".into());
    is_refused(&mut none, &["Nobody's", "servicePrincipalId"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_not_there_and_one_that_is_not_assigned() {
    let mut wrong = rig(|_| {}).await;
    wrong.spec.groups.list.push(GroupEntry { id: GroupId(NOBODY), members: None });
    is_refused(&mut wrong, &[&NOBODY.to_string(), "does not exist", "groups.list"]).await;
    let mut stranger = rig(|_| {}).await;
    let group = stranger.practice.ids().stranger_group;
    stranger.spec.groups.list.push(GroupEntry { id: group, members: None });
    is_refused(&mut stranger, &[&group.to_string(), "not assigned to this app", "it will not be touched"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_jobs_and_a_job_that_is_not_there() {
    let mut two = rig(job(|job| job.count = 2)).await;
    is_refused(&mut two, &["2 synchronization jobs", "entra.jobId"]).await;
    let mut wrong = rig(|_| {}).await;
    wrong.spec.entra.job_id = Some(unscim::model::id::JobId("scim.nobody".into()));
    is_refused(&mut wrong, &["scim.nobody", "entra.jobId"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_paused_never_ran_or_is_in_quarantine() {
    let mut paused = rig(job(|job| job.state = JobState::Paused)).await;
    is_refused(&mut paused, &["JobPaused", "start it in the portal"]).await;
    let mut never = rig(job(|job| job.state = JobState::NeverRun)).await;
    is_refused(&mut never, &["never finished a cycle", "start provisioning"]).await;
    let mut quarantined = rig(job(|job| job.state = JobState::Quarantined)).await;
    is_refused(&mut quarantined, &["in quarantine", "provisioning"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_everybody_or_not_known() {
    let mut all = rig(job(|job| job.sync_all = Some("true".into()))).await;
    is_refused(&mut all, &["SyncAll", "assigned users and groups"]).await;
    let mut unknown = rig(job(|job| job.sync_all = None)).await;
    is_refused(&mut unknown, &["SyncAll", "scopeConfirmed: AssignedOnly"]).await;
    let mut odd = rig(job(|job| job.sync_all = Some("perhaps".into()))).await;
    is_refused(&mut odd, &["SyncAll", "scopeConfirmed: AssignedOnly"]).await;
}

#[tokio::test(start_paused = true)]
async fn groups_that_would_never_leave_the_target() {
    let mut skips = rig(job(|job| job.skip_out_of_scope_deletions = true)).await;
    is_refused(&mut skips, &["SkipOutOfScopeDeletions", "turn it off"]).await;
    let mut off = rig(job(|job| job.group_mapping = Mapping { enabled: false, ..Mapping::default() })).await;
    is_refused(&mut off, &["group mapping is off", "switch it on"]).await;
    let mut kept = rig(job(|job| job.group_mapping.flow_types = "Add,Update".into())).await;
    is_refused(&mut kept, &["Delete action", "tick Delete"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_with_what_it_is_for() {
    let without = |permission: &'static str| {
        rig(move |scenario| {
            scenario.permissions.push("GroupMember.Read.All".into());
            scenario.permissions.push("Synchronization.Read.All".into());
            scenario.permissions.retain(|held| held != permission && held != "Directory.Read.All");
        })
    };
    for permission in ["AppRoleAssignment.ReadWrite.All", "GroupMember.ReadWrite.All"] {
        is_refused(&mut without(permission).await, &[permission, "admin consent"]).await;
    }
    is_refused(&mut without("Application.Read.All").await, &["give the credential Application.Read.All"]).await;
    let mut blind = rig(|scenario| scenario.permissions.retain(|held| !held.starts_with("Synchronization"))).await;
    let status = looked(&mut blind).await;
    assert!(status.held.iter().all(|held| held.message.contains("Synchronization.Read.All")), "{:#?}", status.held);
}

#[tokio::test(start_paused = true)]
async fn a_client_secret_that_has_expired_or_cant_be_read() {
    let mut expired = rig(|scenario| scenario.client_secret = ClientSecret::Expired).await;
    is_refused(&mut expired, &["AADSTS7000222", "expired"]).await;
    let mut missing = rig(|_| {}).await;
    let (client_id, client_secret_file) = (missing.practice.ids().client, missing.dir.path().join("nowhere"));
    missing.spec.entra.credential = Credential::ClientSecret { client_id, client_secret_file };
    is_refused(&mut missing, &["nowhere", "must exist and be readable"]).await;
    let mut empty = rig(|_| {}).await;
    std::fs::write(empty.dir.path().join("client-secret"), "\n").unwrap();
    is_refused(&mut empty, &["client-secret", "empty"]).await;
    let mut odd = rig(|_| {}).await;
    std::fs::write(odd.dir.path().join("client-secret"), "two\nlines").unwrap();
    is_refused(&mut odd, &["client-secret", "write the secret alone, on one line"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_federated_token_for_somebody_else_and_one_that_fits() {
    let mut rig = rig(|_| {}).await;
    let (client_id, file) = (rig.practice.ids().client, rig.dir.path().join("federated"));
    let token = |audience: &str| {
        let claims =
            format!(r#"{{"iss":"https://issuer.example","sub":"s","aud":["{audience}"],"iat":1700000000,"exp":4102444800}}"#);
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    };
    std::fs::write(&file, token("https://kubernetes.default.svc")).unwrap();
    rig.spec.entra.credential = Credential::Federated { client_id, federated_token_file: file.clone() };
    let status = looked(&mut rig).await;
    let condition = status.condition(ConditionKind::CredentialValid).unwrap();
    assert_eq!(condition.reason, Reason::CredentialRefused);
    assert!(condition.message.contains("no federated credential of application"), "{}", condition.message);
    // The file's new content is tried at once, without a restart.
    std::fs::write(&file, token("api://AzureADTokenExchange")).unwrap();
    let status = rig.turn().await.status;
    assert!(status.is_true(ConditionKind::CredentialValid) && status.is_true(ConditionKind::GraphReachable));
    let metrics = Metrics::new();
    metrics.publish(&status);
    let shown = metrics.text().unwrap();
    assert!(shown.lines().any(|line| line == "unscim_credential_expiry_timestamp_seconds 4102444800"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_token_file_that_cant_be_read_and_a_token_deleted_too_early() {
    let mut missing = rig(|_| {}).await;
    std::fs::remove_file(missing.dir.path().join("scim-token")).unwrap();
    is_refused(&mut missing, &["scim-token", "must exist and be readable"]).await;
    let mut early = rig(|_| {}).await;
    early.practice.scim_app().unwrap().revoke();
    is_refused(&mut early, &["RevokedTooEarly", "put a valid one into both Entra and the token file"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_scim_service_that_answers_with_a_page_too_much_or_half() {
    for effect in
        [Effect::Html(200), Effect::Truncate(40), Effect::Answer { status: 200, headers: Vec::new(), body: "[".repeat(10 << 20) }]
    {
        let mut rig = rig(|_| {}).await;
        rig.practice.faults().add(Fault::once("/scim/v2/Users", effect).times(100_000));
        is_refused(&mut rig, &["the target can't be read", "/scim/v2"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_scim_user_without_a_name_and_two_that_match_one_person() {
    let record = |name: serde_json::Value| {
        let mut user = serde_json::json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "active": true});
        user["userName"] = name;
        user
    };
    let mut nameless = rig(|_| {}).await;
    let id = nameless.practice.scim_app().unwrap().seed_user(record(serde_json::Value::Null));
    is_refused(&mut nameless, &["1 user at the target without a userName", &id, "fix the record"]).await;
    let mut twins = rig(|_| {}).await;
    let app = twins.practice.scim_app().unwrap();
    let theirs = twins.practice.scim_user(twins.user(4)).unwrap().to_string();
    let users = app.users();
    let name = users.iter().find(|user| user["id"] == theirs.as_str()).unwrap()["userName"].as_str().unwrap().to_uppercase();
    let id = app.seed_user(record(name.as_str().into()));
    is_refused(&mut twins, &["2 records at the target match", &id, "leave one of them"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_scim_service_that_checks_no_token_can_prove_nothing() {
    let mut rig = rig(|_| {}).await;
    rig.practice.scim_app().unwrap().set_quirk(Quirk::AcceptsAnyToken);
    is_refused(&mut rig, &["the revocation probe can't be calibrated", "a made-up token is accepted too"]).await;
}

/// A rate limit, however low, is a matter of time: it asks nobody for a decision.
#[tokio::test(start_paused = true)]
async fn a_scim_service_over_its_rate_is_looked_at_again() {
    for (every, seconds) in [(3, 1), (1, 5), (5, 3600)] {
        let mut rig = rig(|_| {}).await;
        rig.practice.scim_app().unwrap().set_quirk(Quirk::RateLimited { every, status: 429, seconds });
        for _ in 0..3 {
            let status = rig.turn().await.status;
            assert!(status.held.is_empty(), "{every}, {seconds}: {:#?}", status.held);
            tokio::time::sleep(rig.spec.timing.interval).await;
        }
        rig.practice.scim_app().unwrap().clear_quirks();
        rig.until_phase(Phase::EmptyingGroups).await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_graph_that_are_html_too_much_or_half() {
    for effect in
        [Effect::Html(200), Effect::Truncate(40), Effect::Answer { status: 200, headers: Vec::new(), body: "[".repeat(10 << 20) }]
    {
        let mut rig = rig(|_| {}).await;
        rig.practice.faults().add(Fault::once("/appRoleAssignedTo", effect).times(100_000));
        is_unknown(&mut rig, ConditionKind::GraphReachable, &["listing the assignments of app"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn values_of_tomorrow_are_not_taken_for_good() {
    let mut rig = rig(|_| {}).await;
    let body = serde_json::json!({"value": [{
        "id": rig.practice.ids().job,
        "templateId": "scim",
        "schedule": {"state": "Active", "interval": "PT40M"},
        "status": {
            "code": "Levitating",
            "steadyStateFirstAchievedTime": "2026-01-01T00:00:00Z",
            "lastExecution": {
                "activityIdentifier": "a", "state": "Succeeded",
                "timeBegan": "2026-11-01T00:00:00Z", "timeEnded": "2026-11-01T00:10:00Z",
            },
        },
    }]});
    let headers = vec![("content-type".into(), "application/json".into())];
    let odd = Effect::Answer { status: 200, headers, body: body.to_string() };
    // The schema lies below the job, and is answered as ever.
    rig.practice.faults().add(Fault::once("/schema", Effect::Delay(std::time::Duration::ZERO)).times(100_000));
    rig.practice.faults().add(Fault::once("/synchronization/jobs", odd).times(100_000));
    is_refused(&mut rig, &["the status \"Levitating\"", "use a newer unscim"]).await;
}
