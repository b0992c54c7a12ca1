//! The practice tenant, asked over HTTP as a stranger would: does it behave as the real one is known to?

mod caller;
mod forms;
mod weather;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use unscim::cli::practice::Served;
use unscim::model::id::UserId;
use unscim::model::spec::Mode;
use unscim::practice::scenario::{GroupTrait, JobState, Quota, Scenario};
use unscim::practice::{Cycle, Effect, Fault, Practice};

use caller::Caller;

const MINUTE: Duration = Duration::from_secs(60);

fn small() -> Scenario {
    Scenario { users: 12, groups: 3, ..Scenario::default() }
}

fn time(value: &Value) -> jiff::Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn time_starts_with_a_filled_target_and_a_steady_job() {
    let caller = Caller::new(Scenario::default()).await;
    let ids = caller.practice.ids().clone();
    let app = caller.practice.scim_app().unwrap();
    // 40 in groups, one assigned directly only, one made by hand.
    assert_eq!((app.users().len(), app.groups().len()), (42, 6));
    assert!(ids.nested_only.iter().chain([&ids.outsider]).all(|user| caller.practice.scim_user(*user).is_none()));
    assert_eq!(caller.target_user(ids.users[2])["active"], json!(false), "a disabled account is inactive");
    assert_eq!(caller.target_user(ids.users[0])["active"], json!(true));
    let job = caller.job().await;
    assert_eq!(job["status"]["code"], "Active");
    assert_eq!(job["schedule"], json!({"state": "Active", "interval": "PT40M", "expiration": null}));
    assert_eq!(job["status"]["lastExecution"]["state"], "Succeeded");
    let day_ago = caller.practice.now() - jiff::SignedDuration::from_hours(24);
    let log = caller.log().await;
    assert!(log.iter().all(|row| time(&row["activityDateTime"]) < day_ago));
    assert_eq!(log.iter().filter(|row| row["provisioningAction"] == "create").count(), 41 + 5);
    assert!(caller.practice.out_of_scope_moments().is_empty() && caller.practice.writes().is_empty());
    assert!(!ids.two_roles.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_tenant() {
    let (one, two) = (Practice::new(small()).await.unwrap(), Practice::new(small()).await.unwrap());
    assert_eq!(one.ids().users, two.ids().users);
    let other = Practice::new(Scenario { seed: 2, ..small() }).await.unwrap();
    assert_ne!(one.ids().users, other.ids().users);
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_whose_links_lead_back_to_the_host_that_was_asked() {
    let caller = Caller::new(Scenario { page_size: 2, ..small() }).await;
    let (mut path, mut ids, mut pages) = (format!("{}/appRoleAssignedTo?$top=999", caller.app()), BTreeSet::new(), 0);
    loop {
        let page = caller.get(&path).await;
        ids.extend(page.items().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        pages += 1;
        match page.body["@odata.nextLink"].as_str() {
            Some(next) => {
                assert!(next.starts_with("http://practice.test/v1.0/"), "{next}");
                path = next.to_owned();
            }
            None => break,
        }
    }
    // Three groups, user 1 and the one who is assigned directly only.
    assert_eq!((ids.len(), pages), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn a_second_post_of_the_same_row_says_that_it_is_there() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let made = caller.assign(ids.users[1], ids.role_admin).await;
    assert_eq!((made.status, made.body["principalType"].as_str()), (201, Some("User")));
    let again = caller.assign(ids.users[1], ids.role_admin).await;
    assert_eq!((again.status, again.code()), (400, "Request_BadRequest"));
    assert!(again.message().contains("already exists"));
    assert!(again.body["error"]["innerError"]["request-id"].is_string());
    let retired = caller.assign(ids.users[1], ids.role_retired).await;
    assert!(retired.message().contains("was not found on application"));
    assert_eq!(caller.practice.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn deleting_what_is_not_there_is_not_found() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let row = caller.delete(&format!("{}/appRoleAssignedTo/nothing", caller.app())).await;
    assert_eq!((row.status, row.code()), (404, "Request_ResourceNotFound"));
    let member = caller.delete(&format!("/groups/{}/members/{}/$ref", ids.groups[0], ids.outsider)).await;
    assert_eq!((member.status, member.code()), (404, "Request_ResourceNotFound"));
}

#[tokio::test(start_paused = true)]
async fn writes_show_late_in_both_directions_while_the_truth_knows_them_at_once() {
    let caller = Caller::new(Scenario { lag: 10 * MINUTE, ..small() }).await;
    let ids = caller.practice.ids().clone();
    let before = caller.rows().await.len();
    for user in &ids.users[4..8] {
        assert_eq!(caller.assign(*user, ids.role_user).await.status, 201);
        assert_eq!(caller.assign(*user, ids.role_user).await.status, 400);
    }
    assert!(caller.rows().await.len() < before + 4);
    caller.practice.pass(10 * MINUTE).await;
    let rows = caller.rows().await;
    assert_eq!(rows.len(), before + 4);
    let row = rows.iter().find(|row| row["principalId"] == json!(ids.users[4])).unwrap();
    let path = format!("{}/appRoleAssignedTo/{}", caller.app(), row["id"].as_str().unwrap());
    assert_eq!(caller.delete(&path).await.status, 204);
    assert_eq!(caller.rows().await.len(), before + 4);
    assert_eq!(caller.delete(&path).await.status, 404);
    caller.practice.pass(10 * MINUTE).await;
    assert_eq!(caller.rows().await.len(), before + 3);
}

#[tokio::test(start_paused = true)]
async fn a_spent_write_quota_is_a_429_that_says_how_long() {
    let mut scenario = small();
    scenario.quotas.writes = Some(Quota { amount: 5, per: Duration::from_secs(50) });
    let caller = Caller::new(scenario).await;
    let ids = caller.practice.ids().clone();
    let mut answers = Vec::new();
    for user in &ids.users[2..8] {
        answers.push(caller.assign(*user, ids.role_admin).await);
    }
    assert_eq!(answers[2].header("x-ms-throttle-limit-percentage"), None);
    assert_eq!(answers[3].header("x-ms-throttle-limit-percentage"), Some("0.80"));
    assert_eq!((answers[5].status, answers[5].header("retry-after")), (429, Some("10")));
    assert_eq!(answers[5].header("x-ms-throttle-information"), Some("WriteLimitExceeded"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(caller.assign(ids.users[7], ids.role_admin).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_batch_answers_item_by_item_and_skips_what_depends_on_a_failure() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let headers = json!({"Content-Type": "application/json"});
    let row = |user: UserId| json!({"principalId": user, "resourceId": ids.service_principal, "appRoleId": ids.role_admin});
    let url = format!("{}/appRoleAssignedTo", caller.app());
    let batch = json!({"requests": [
        {"id": "1", "method": "POST", "url": url, "headers": headers, "body": row(ids.users[3])},
        {"id": "2", "method": "DELETE", "url": format!("{url}/nothing"), "dependsOn": ["1"]},
        {"id": "3", "method": "POST", "url": url, "headers": headers, "body": row(ids.users[4]), "dependsOn": ["2"]},
    ]});
    let answer = caller.post("/$batch", batch.clone()).await;
    assert_eq!(answer.status, 200);
    let responses = answer.body["responses"].as_array().unwrap().iter();
    let statuses: BTreeSet<_> = responses.map(|one| (one["id"].as_str().unwrap(), one["status"].as_u64().unwrap())).collect();
    assert_eq!(statuses, BTreeSet::from([("1", 201), ("2", 404), ("3", 424)]));
    assert_eq!(caller.practice.writes().len(), 2);
    let mut twice = batch;
    twice["requests"][1]["id"] = json!("1");
    assert_eq!(caller.post("/$batch", twice).await.status, 400);
    let many: Vec<_> = (0..21).map(|n| json!({"id": n.to_string(), "method": "GET", "url": "/groups"})).collect();
    assert_eq!(caller.post("/$batch", json!({"requests": many})).await.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_goes_takes_nobody_along_who_is_assigned_directly() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let members = caller.members(1).await;
    for user in &members {
        assert!(matches!(caller.assign(*user, ids.role_user).await.status, 201 | 400));
    }
    assert_eq!(caller.practice.run_cycle_now().await, Cycle::Ran);
    let group = caller.practice.scim_group(ids.groups[0]).unwrap();
    let active_before = caller.practice.scim_app().unwrap().users();
    caller.unassign_group(ids.groups[0]).await;
    caller.practice.run_cycle_now().await;
    assert_eq!(caller.practice.out_of_scope_moments(), []);
    let calls = caller.practice.scim_calls();
    let deletions: Vec<_> = calls.iter().filter(|call| call.method == "DELETE").map(|call| call.path.clone()).collect();
    assert_eq!(deletions, [format!("/Groups/{group}")]);
    assert!(!calls.iter().any(|call| call.method == "PATCH"), "{calls:?}");
    assert_eq!(caller.practice.scim_app().unwrap().users(), active_before);
    caller.practice.pass(3 * MINUTE).await;
    let log = caller.log().await;
    let row = log.iter().find(|row| row["provisioningAction"] == "delete").unwrap();
    assert_eq!(row["sourceIdentity"]["id"], json!(ids.groups[0]));
    assert_eq!(row["targetIdentity"]["id"], json!(group));
    assert!(log.iter().any(|row| row["provisioningSteps"][2]["details"]["SkipReason"] == "RedundantExport"));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_goes_too_early_disables_its_members_and_is_on_record() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let members: BTreeSet<_> = caller.members(2).await.into_iter().collect();
    caller.unassign_group(ids.groups[1]).await;
    let moments = caller.practice.out_of_scope_moments();
    assert!(moments.iter().all(|moment| moment.by.starts_with("DELETE /servicePrincipals/")));
    let lost: BTreeSet<_> = moments.iter().map(|moment| moment.user).collect();
    assert!(!lost.is_empty() && lost.is_subset(&members));
    caller.practice.run_cycle_now().await;
    assert!(lost.iter().all(|user| caller.target_user(*user)["active"] == json!(false)));
    let kept = members.difference(&lost).next().expect("user 4 is in group 1 and 2");
    assert_eq!(caller.target_user(*kept)["active"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn users_of_a_nested_group_are_never_provisioned() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let listed = caller.get(&format!("/groups/{}/transitiveMembers?$select=id", ids.groups[0])).await;
    assert!(listed.items().iter().any(|member| member["id"] == json!(ids.nested_only[0])));
    let direct = caller.get(&format!("/groups/{}/members?$select=id", ids.groups[0])).await;
    let nested = direct.items().iter().find(|member| member["id"] == json!(ids.nested_group)).unwrap();
    assert_eq!(nested, &json!({"id": ids.nested_group, "@odata.type": "#microsoft.graph.group"}));
    caller.practice.run_cycle_now().await;
    assert_eq!(caller.practice.scim_user(ids.nested_only[0]), None);
}

#[tokio::test(start_paused = true)]
async fn a_new_member_is_created_in_the_next_scheduled_cycle_and_seen_in_the_log_later() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let cancel = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (practice, cancel) = (caller.practice.clone(), cancel.clone());
        async move { practice.run(cancel).await }
    });
    caller.practice.admin().join(ids.outsider, ids.groups[0]).unwrap();
    let before = caller.job().await["status"]["lastExecution"]["activityIdentifier"].clone();
    caller.practice.pass(18 * MINUTE).await;
    let status = caller.job().await["status"].clone();
    assert_eq!(status["lastExecution"]["activityIdentifier"], before, "a running cycle shows the one before");
    assert_eq!(status["progress"].as_array().unwrap().len(), 1);
    caller.practice.pass(2 * MINUTE + Duration::from_secs(10)).await;
    let execution = caller.job().await["status"]["lastExecution"].clone();
    assert_ne!(execution["activityIdentifier"], before);
    assert_eq!(execution["countExported"], json!(2), "the user and the membership");
    let about = |log: Vec<Value>| log.iter().filter(|row| row["sourceIdentity"]["id"] == json!(ids.outsider)).count();
    assert!(caller.practice.scim_user(ids.outsider).is_some());
    assert_eq!(about(caller.log().await), 0);
    caller.practice.pass(3 * MINUTE).await;
    assert_eq!(about(caller.log().await), 1);
    caller.practice.pass(40 * MINUTE).await;
    assert_ne!(caller.job().await["status"]["lastExecution"], execution);
    cancel.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_puts_the_job_into_quarantine_until_it_is_started_again() {
    let caller = Caller::new(small()).await;
    caller.practice.revoke_token().unwrap();
    caller.practice.run_cycle_now().await;
    let status = caller.job().await["status"].clone();
    assert_eq!(status["code"], "Quarantine");
    assert_eq!(status["quarantine"]["reason"], "EncounteredQuarantineException");
    assert_eq!(status["lastExecution"]["state"], "Failed");
    let wait = time(&status["quarantine"]["nextAttempt"]).duration_since(time(&status["quarantine"]["currentBegan"]));
    assert_eq!(wait, jiff::SignedDuration::from_hours(6));
    assert_eq!(caller.post(&format!("{}/pause", caller.job_path()), Value::Null).await.status, 204);
    assert_eq!(caller.job().await["status"]["code"], "Paused");
    assert_eq!(caller.practice.run_cycle_now().await, Cycle::NotScheduled);
    caller.practice.admin().start_job();
    assert_eq!(caller.job().await["status"]["quarantine"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn too_many_deletions_are_staged_and_none_is_done() {
    let mut scenario = small();
    scenario.job.delete_threshold = Some(2);
    let caller = Caller::new(scenario).await;
    caller.practice.admin().unassign_group(caller.practice.ids().groups[1]).unwrap();
    caller.practice.run_cycle_now().await;
    assert_eq!(caller.job().await["status"]["quarantine"]["reason"], "TooManyDeletes");
    assert!(caller.practice.scim_calls().iter().all(|call| call.method == "GET"));
    caller.practice.pass(3 * MINUTE).await;
    assert!(caller.log().await.iter().any(|row| row["provisioningAction"] == "stagedDelete"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_never_ran_shows_its_sentinels() {
    let mut scenario = small();
    scenario.job.state = JobState::NeverRun;
    let caller = Caller::new(scenario).await;
    let job = caller.job().await;
    assert_eq!((job["schedule"]["state"].as_str(), job["status"]["code"].as_str()), (Some("Disabled"), Some("NotRun")));
    assert_eq!(job["schedule"]["interval"], "P10675199DT2H48M5.4775807S");
    assert_eq!(job["status"]["lastExecution"]["timeBegan"], "0001-01-01T00:00:00Z");
    assert_eq!(job["status"]["lastExecution"]["error"]["code"], "None");
    assert!(caller.log().await.is_empty());
    caller.practice.admin().start_job();
    assert_eq!(caller.practice.run_cycle_now().await, Cycle::Ran);
    assert_eq!(caller.job().await["status"]["code"], "Active");
    assert_eq!(caller.practice.scim_app().unwrap().users().len(), 11 + 2, "a disabled account is not created");
}

#[tokio::test(start_paused = true)]
async fn special_groups_refuse_to_be_edited_and_show_why() {
    use GroupTrait::{Dynamic, Licensed, MailEnabled, RoleAssignable, Synced};
    let traits = [(1, Dynamic), (2, Synced), (3, MailEnabled), (4, RoleAssignable), (5, Licensed)];
    let group_traits = traits.map(|(n, what)| (n, BTreeSet::from([what]))).into();
    let caller = Caller::new(Scenario { group_traits, ..Scenario::default() }).await;
    let ids = caller.practice.ids().clone();
    let mut statuses = Vec::new();
    for (n, group) in ids.groups.iter().enumerate() {
        statuses.push(caller.delete(&format!("/groups/{group}/members/{}/$ref", ids.users[n])).await.status);
    }
    assert_eq!(statuses, [403, 400, 400, 403, 204]);
    let plain = caller.get(&format!("/groups/{}", ids.groups[4])).await;
    assert!(plain.body.get("assignedLicenses").is_none());
    let asked = caller.get(&format!("/groups/{}?$select=id,assignedLicenses", ids.groups[4])).await;
    assert_eq!(asked.body["assignedLicenses"].as_array().unwrap().len(), 1);
    let moments = caller.practice.out_of_scope_moments();
    assert_eq!(moments.iter().map(|moment| moment.user).collect::<Vec<_>>(), [ids.users[4]]);
}

#[tokio::test(start_paused = true)]
async fn casts_need_the_consistency_header() {
    let caller = Caller::new(small()).await;
    let group = caller.practice.ids().groups[2];
    let path = format!("/v1.0/groups/{group}/members/microsoft.graph.user?$count=true&$select=id,accountEnabled");
    assert_eq!(caller.send(Method::GET, &path, &[], String::new()).await.status, 400);
    let answer = caller.send(Method::GET, &path, &[("ConsistencyLevel", "eventual")], String::new()).await;
    assert_eq!(answer.body["@odata.count"], json!(answer.items().len()));
    assert!(answer.items().iter().any(|user| user["accountEnabled"] == json!(false)));
}

#[tokio::test(start_paused = true)]
async fn callers_are_asked_for_a_token_and_for_the_right_permission() {
    let mut caller = Caller::new(small()).await;
    caller.practice.admin().grant(["Application.Read.All"]);
    caller.practice.admin().end_sessions();
    let old = caller.get(&caller.app()).await;
    assert_eq!((old.status, old.code()), (401, "InvalidAuthenticationToken"));
    caller.sign_in().await;
    assert_eq!(caller.get(&caller.app()).await.status, 200);
    let ids = caller.practice.ids().clone();
    let denied = caller.assign(ids.users[0], ids.role_admin).await;
    assert_eq!((denied.status, denied.code()), (403, "Authorization_RequestDenied"));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(caller.get(&caller.app()).await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn an_expired_client_secret_is_told_by_its_code() {
    let caller = Caller::new(small()).await;
    caller.practice.admin().expire_secret();
    let ids = caller.practice.ids();
    let form = format!("grant_type=client_credentials&client_id={}&client_secret=x&scope=x%2F.default", ids.client);
    let answer = caller.send(Method::POST, &format!("/{}/oauth2/v2.0/token", ids.tenant), &[], form).await;
    assert_eq!((answer.status, answer.body["error_codes"][0].as_u64()), (401, Some(7_000_222)));
}

#[tokio::test(start_paused = true)]
async fn the_date_of_every_answer_is_virtual() {
    let caller = Caller::new(Scenario { speed: 60.0, ..small() }).await;
    tokio::time::sleep(MINUTE).await;
    let answer = caller.send(Method::GET, "/v1.0/nowhere", &[("client-request-id", "mine")], String::new()).await;
    assert_eq!(answer.header("date"), Some("Mon, 02 Nov 2026 09:00:00 GMT"));
    assert_eq!(answer.header("client-request-id"), Some("mine"));
    let scim = caller.send(Method::GET, "/scim/v2/ServiceProviderConfig", &[], String::new()).await;
    assert_eq!((scim.status, scim.header("date")), (200, Some("Mon, 02 Nov 2026 09:00:00 GMT")));
}

#[tokio::test(start_paused = true)]
async fn faults_strike_the_request_they_are_meant_for() {
    let caller = Caller::new(small()).await;
    let faults = caller.practice.faults();
    let busy = Effect::Answer { status: 503, headers: vec![("retry-after".into(), "3".into())], body: "{}".into() };
    faults.add(Fault::once("/appRoleAssignedTo", busy).on(Method::GET).nth(2));
    let path = format!("{}/appRoleAssignedTo", caller.app());
    let statuses = [caller.get(&path).await.status, caller.get(&path).await.status, caller.get(&path).await.status];
    assert_eq!(statuses, [200, 503, 200]);
    faults.add(Fault::once("/synchronization", Effect::Html(200)));
    let html = caller.get(&format!("{}/synchronization/jobs", caller.app())).await;
    assert_eq!((html.header("content-type"), &html.body), (Some("text/html; charset=utf-8"), &Value::Null));
    faults.add(Fault::once("/appRoleAssignedTo", Effect::Truncate(20)));
    let cut = caller.get(&path).await;
    assert_eq!((cut.status, &cut.body), (200, &Value::Null));
    faults.add(Fault::once("/appRoleAssignedTo", Effect::LoseAnswer).on(Method::POST));
    let ids = caller.practice.ids().clone();
    let lost = tokio::time::timeout(MINUTE, caller.assign(ids.users[4], ids.role_admin)).await;
    assert!(lost.is_err());
    assert_eq!(caller.assign(ids.users[4], ids.role_admin).await.status, 400, "it was done all the same");
}

#[tokio::test(start_paused = true)]
async fn forbidden_calls_are_on_record() {
    let caller = Caller::new(small()).await;
    let ids = caller.practice.ids().clone();
    let trap = caller.delete(&format!("/groups/{}/members/{}", ids.groups[0], ids.users[0])).await;
    assert_eq!(trap.status, 403);
    assert_eq!(caller.post(&format!("{}/restart", caller.job_path()), json!({})).await.status, 204);
    assert_eq!(caller.practice.forbidden_calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_settings_hide_the_token_and_show_the_scope() {
    let caller = Caller::new(small()).await;
    let secrets = caller.get(&format!("{}/synchronization/secrets", caller.app())).await;
    let value = |key: &str| secrets.items().iter().find(|pair| pair["key"] == key).map(|pair| pair["value"].clone());
    assert_eq!((value("SecretToken"), value("SyncAll")), (Some(json!("*")), Some(json!("false"))));
    let schema = caller.get(&format!("{}/schema", caller.job_path())).await;
    let mapping = &schema.body["synchronizationRules"][0]["objectMappings"][0];
    assert_eq!((&mapping["sourceObjectName"], &mapping["flowTypes"]), (&json!("Group"), &json!("Add,Update,Delete")));
}

#[tokio::test(start_paused = true)]
async fn an_odd_target_is_made_as_the_scenario_says() {
    let mut scenario = small();
    scenario.target.missing = BTreeSet::from([5]);
    scenario.target.inactive = BTreeSet::from([6]);
    scenario.job.scoping_filter = Some("Sales".into());
    let caller = Caller::new(scenario.clone()).await;
    let provisioned = caller.practice.ids().users.iter().filter(|user| caller.practice.scim_user(**user).is_some()).count();
    assert_eq!(provisioned, 4, "one in three works in Sales");
    scenario.job.scoping_filter = None;
    let caller = Caller::new(scenario).await;
    let ids = caller.practice.ids().clone();
    assert_eq!(caller.target_user(ids.users[4]), Value::Null);
    assert_eq!(caller.target_user(ids.users[5])["active"], json!(false));
}

#[tokio::test]
async fn its_secrets_are_for_nobody_else() {
    let served = Served::start(small(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("scim-token"), "one of before, for everybody").unwrap();
    served.write_config(dir.path(), 1.0, Mode::Observe).unwrap();
    for (name, text) in [("client-secret", served.practice.client_secret()), ("scim-token", served.practice.scim_token())] {
        let path = dir.path().join(name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    served.close().await.unwrap();
}
