//! Lists are whole or errors; answers that are not Graph's are said to be so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use unscim::model::id::{GroupId, JobId, ServicePrincipalId};
use unscim::model::snapshot::Principal;
use unscim::model::spec::AppRef;
use unscim::world::Directory;
use unscim::world::error::{Class, Error};
use unscim::world::graph::GraphDirectory;
use unscim::world::http::Api;
use uuid::Uuid;

use crate::service::*;

const NEXT: &str = "https://graph.example/v1.0/next?$skiptoken=";

async fn rows_or_error(answer: impl Fn(&Sent, usize) -> Reply + Send + Sync + 'static) -> Result<usize, Error> {
    graph(answer).0.assignments(app()).await.map(|look| look.value.len())
}

#[tokio::test]
async fn three_pages_make_one_list_dated_by_the_first() {
    let (graph, log) = graph(|_, n| match n {
        0 => page(vec![row(1), row(2)], &format!("{NEXT}a%2Bb")),
        1 => page(vec![], &format!("{NEXT}c")).with("x", "an empty page is legal"),
        _ => list(vec![row(2), row(3)]).undated(),
    });
    let look = graph.assignments(app()).await.unwrap();
    assert_eq!(look.at.to_string(), "2026-11-02T10:00:00Z");
    let users: Vec<_> = look.value.iter().map(|row| row.principal).collect();
    assert_eq!(users, [user(1), user(2), user(3)].map(Principal::User));
    let sent = log.all();
    assert_eq!(sent[0].path, format!("/v1.0/servicePrincipals/{}/appRoleAssignedTo", app()));
    assert_eq!((sent[0].query.as_str(), sent[1].query.as_str()), ("$top=999", "$skiptoken=a%2Bb"));
    assert!(sent.iter().all(|sent| sent.header("x-ms-throttle-priority") == "Low"));
    assert!(sent.iter().all(|sent| sent.header("authorization") == format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn a_page_that_fails_fails_the_list() {
    let second = |reply: fn() -> Reply| move |_: &Sent, n: usize| if n == 0 { page(vec![row(1)], NEXT) } else { reply() };
    let error = rows_or_error(second(|| refusal(503, "ServiceUnavailable", "later"))).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error}");
    // Gone is the page, not the collection: that must never read as "there is none".
    let error = rows_or_error(second(not_found)).await.unwrap_err();
    assert!(matches!(error, Error::Incomplete { .. }), "{error}");
    for reply in [|| raw(200, "{}"), || raw(200, r#"{"value":[{"id":"#), || ok(json!({"value": null})), || raw(204, "")] {
        let error = rows_or_error(second(reply)).await.unwrap_err();
        assert!(error.to_string().contains("page 2"), "{error}");
        assert_eq!(error.class(), Class::Invalid);
    }
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_not_followed() {
    for next in [
        "https://evil.example/v1.0/next",
        "http://graph.example/v1.0/next",
        "https://graph.example:8443/v1.0/next",
        "https://graph.example@evil.example/v1.0/next",
        "https://user@graph.example/v1.0/next",
        "https://graph.example/beta/next",
        "https://graph.example/v1.0/../beta/next",
        "https://graph.example/v1.0/%2e%2e/beta/next",
        "/v1.0/next",
        "",
    ] {
        let (graph, log) = graph(move |_, _| page(vec![row(1)], next));
        let error = graph.assignments(app()).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{next}: {error}");
        assert_eq!(log.count(), 1, "{next}");
    }
}

#[tokio::test]
async fn pages_in_a_circle_end_in_an_error() {
    let circle = |_: &Sent, n: usize| page(vec![row(n as u128)], &format!("{NEXT}{}", n % 3));
    assert!(matches!(rows_or_error(circle).await.unwrap_err(), Error::Incomplete { .. }));
    let endless = |_: &Sent, n: usize| page(vec![], &format!("{NEXT}{n}"));
    assert!(matches!(rows_or_error(endless).await.unwrap_err(), Error::Incomplete { .. }));
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_never_skipped() {
    let broken = |change: fn(&mut Value)| {
        let mut bad = row(2);
        change(&mut bad);
        rows_or_error(move |_, _| list(vec![row(1), bad.clone()]))
    };
    let changes: [fn(&mut Value); 6] = [
        |row| row["principalId"] = json!("not-a-guid"),
        |row| row["principalType"] = Value::Null,
        |row| row["id"] = json!(""),
        |row| row["createdDateTime"] = json!("yesterday"),
        |row| row["resourceId"] = json!(Uuid::from_u128(77)),
        |row| drop(row.as_object_mut().unwrap().remove("appRoleId")),
    ];
    for change in changes {
        let error = broken(change).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
    }
    let twice = rows_or_error(|_, n| {
        let mut other = row(1);
        other["appRoleId"] = json!(Uuid::from_u128(5));
        if n == 0 { page(vec![row(1)], NEXT) } else { list(vec![other]) }
    });
    assert!(matches!(twice.await.unwrap_err(), Error::Incomplete { .. }));
}

#[tokio::test]
async fn answers_that_are_not_graphs_are_named() {
    let error = rows_or_error(|_, _| raw(200, "<html>sign in</html>")).await.unwrap_err().to_string();
    assert!(error.contains("HTML"), "{error}");
    let error = rows_or_error(|_, _| raw(200, r#"{"value":[{"id":"a"#)).await.unwrap_err().to_string();
    assert!(error.contains("ends too early"), "{error}");
    assert!(matches!(rows_or_error(|_, _| raw(200, "[[],null]")).await.unwrap_err(), Error::Malformed { .. }));
    let error = rows_or_error(|_, _| raw(302, "")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 302, .. }), "{error}");
    // A gateway's 404 does not say that the app is gone.
    let error = rows_or_error(|_, _| raw(404, "<html>")).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 404, .. }), "{error}");
    assert!(matches!(rows_or_error(|_, _| not_found()).await.unwrap_err(), Error::NotFound { .. }));
    let error = rows_or_error(|_, _| list(vec![row(1)]).undated()).await.unwrap_err();
    assert!(error.to_string().contains("Date"), "{error}");
}

#[tokio::test]
async fn ten_megabytes_are_read_and_twenty_are_refused() {
    let big = |megabytes: usize| {
        rows_or_error(move |_, _| {
            let mut big = row(1);
            big["principalDisplayName"] = json!("x".repeat(megabytes << 20));
            list(vec![big])
        })
    };
    assert_eq!(big(10).await.unwrap(), 1);
    let error = big(20).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { mebibytes: 16, .. }), "{error:?}");
}

#[tokio::test]
async fn a_401_gets_one_new_token_and_a_second_one_is_final() {
    let unauthorized = || refusal(401, "InvalidAuthenticationToken", "expired");
    assert_eq!(rows_or_error(move |_, n| if n == 0 { unauthorized() } else { list(vec![]) }).await.unwrap(), 0);
    let (http, log) = service(Api::Graph, move |_, _| unauthorized());
    let tokens = Tokens::default();
    let graph = GraphDirectory::new(http, tokens.clone(), ROOT.parse().unwrap(), Arc::new(pace()));
    let error = graph.assignments(app()).await.unwrap_err();
    assert!(matches!(error, Error::Denied { status: 401, .. }), "{error}");
    assert_eq!((log.count(), tokens.forgotten.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_claims_challenge_is_told_by_its_own_name() {
    const CHALLENGE: &str = r#"Bearer realm="", authorization_uri="https://login.example/common/oauth2/authorize", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
    let bodies: [fn(u16) -> Reply; 3] = [
        |status| refusal(status, "InvalidAuthenticationToken", "Continuous access evaluation resulted in challenge."),
        |status| raw(status, ""),
        |status| raw(status, "<html>"),
    ];
    for (body, status) in bodies.into_iter().flat_map(|body| [(body, 401), (body, 403)]) {
        let challenged = move || body(status).with("www-authenticate", CHALLENGE);
        let (graph, log) = graph(move |_, _| challenged());
        let error = graph.assignments(app()).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Denied { .. }), "{text}");
        assert_eq!(text.contains("continuous access evaluation"), status == 401, "{text}");
        assert!(text.contains("Conditional Access") && text.contains("service principal sign-ins"), "{text}");
        assert!(!text.contains("check tenantId") && !text.contains("give the credential"), "{text}");
        assert!(!text.contains("eyJhY2Nl"), "{text}");
        assert_eq!(log.count(), if status == 401 { 2 } else { 1 });
        // A fresh token that is let in is the end of it.
        if status == 401 {
            assert_eq!(rows_or_error(move |_, n| if n == 0 { challenged() } else { list(vec![]) }).await.unwrap(), 0);
        }
    }
    // In an envelope each request has its own.
    let (graph, _) = crate::service::graph(|_, _| {
        let one = |id: &str| {
            json!({"id": id, "status": 401, "headers": {"WWW-Authenticate": CHALLENGE},
                "body": {"error": {"code": "InvalidAuthenticationToken", "message": "challenge"}}})
        };
        ok(json!({"responses": [one("2"), one("1")]}))
    });
    for read in graph.profiles_of(&[group(), GroupId(Uuid::from_u128(0xc))]).await {
        assert!(read.unwrap_err().to_string().contains("continuous access evaluation"));
    }
    // Without one it is what it was.
    let error = rows_or_error(|_, _| refusal(401, "InvalidAuthenticationToken", "expired")).await.unwrap_err();
    assert!(error.to_string().contains("check tenantId and clientId"), "{error}");
}

#[tokio::test]
async fn a_403_names_the_permission_and_the_request() {
    let (graph, _) = graph(|_, _| refusal(403, "Authorization_RequestDenied", "Insufficient privileges."));
    let error = graph.settings(app()).await.unwrap_err().to_string();
    assert!(error.contains("Synchronization.Read.All") && error.contains("(request-id rid)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_read_waits_as_long_as_it_was_told() {
    let begun = Instant::now();
    let throttled = |wait: &str| refusal(429, "TooManyRequests", "slow down").with("retry-after", wait);
    let count = rows_or_error(move |_, n| if n < 2 { throttled("7") } else { list(vec![row(1)]) }).await.unwrap();
    assert_eq!((count, begun.elapsed().as_secs()), (1, 14));
    let (graph, log) = graph(move |_, n| if n == 0 { throttled("61") } else { list(vec![]) });
    let error = graph.assignments(app()).await.unwrap_err();
    assert!(matches!(error, Error::Throttled { retry_after: Some(wait), .. } if wait.as_secs() == 61), "{error}");
    // The next call finds the gate shut and does not even ask.
    assert!(matches!(graph.members_of(&[group()]).await.remove(0).unwrap_err(), Error::Throttled { .. }));
    assert_eq!(log.count(), 1);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(graph.assignments(app()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_read_gives_up_after_three_more_tries() {
    let (graph, log) = graph(|_, _| raw(429, ""));
    let begun = Instant::now();
    assert!(matches!(graph.assignments(app()).await.unwrap_err(), Error::Throttled { .. }));
    assert_eq!((log.count(), begun.elapsed().as_secs()), (4, 1 + 2 + 4));
}

#[tokio::test]
async fn members_need_a_type_and_only_users_are_users() {
    let member = |n: u128, kind: &str| json!({"@odata.type": kind, "id": user(n)});
    let (directory, _) = graph(move |_, _| {
        let kinds = ["#microsoft.graph.user", "#microsoft.graph.group", "#microsoft.graph.spaceship"];
        list(kinds.iter().zip(1..).map(|(kind, n)| member(n, kind)).collect())
    });
    let members = directory.members_of(&[group()]).await.remove(0).unwrap().value;
    assert_eq!(members.users.into_iter().collect::<Vec<_>>(), [user(1)]);
    assert_eq!(members.others, [("group".to_owned(), user(2).0), ("spaceship".to_owned(), user(3).0)]);
    let (directory, _) = graph(|_, _| list(vec![json!({"id": user(1)})]));
    assert!(directory.members_of(&[group()]).await.remove(0).unwrap_err().to_string().contains("@odata.type"));
}

#[tokio::test]
async fn member_properties_come_from_the_index_with_the_matching_attribute() {
    let (graph, log) = graph(|_, _| {
        list(vec![json!({"id": user(1), "userPrincipalName": "a@x", "accountEnabled": null, "userType": "Guest", "mail": "m@x"})])
    });
    let users = graph.properties_of(&[group()], "mail").await.remove(0).unwrap();
    assert_eq!((users[0].match_value.as_deref(), users[0].enabled, users[0].guest), (Some("m@x"), None, true));
    let sent = &log.all()[0];
    assert!(sent.path.ends_with("/members/microsoft.graph.user"));
    assert_eq!(sent.query, "$top=999&$count=true&$select=id,userPrincipalName,accountEnabled,userType,mail");
    assert_eq!(sent.header("consistencylevel"), "eventual");
    assert!(graph.properties_of(&[group()], "mail,x&$expand=manager").await.remove(0).is_err());
    assert_eq!(log.count(), 1);
}

#[tokio::test]
async fn an_app_id_in_place_of_an_object_id_is_recognised() {
    let app_json = json!({"id": app(), "appId": Uuid::from_u128(0xf), "displayName": "Uniqkey", "appRoles": []});
    let (directory, _) = graph(move |sent, _| {
        let by_key = sent.path == format!("/v1.0/servicePrincipals(appId='{}')", Uuid::from_u128(0xf));
        if by_key { ok(app_json.clone()) } else { not_found() }
    });
    let wrong = AppRef::ServicePrincipalId(ServicePrincipalId(Uuid::from_u128(0xf)));
    let error = directory.app(&wrong).await.unwrap_err().to_string();
    assert!(error.contains("application (client) id") && error.contains(&app().to_string()), "{error}");
    assert_eq!(directory.app(&AppRef::AppId(Uuid::from_u128(0xf))).await.unwrap().id, app());
    let nobody = AppRef::ServicePrincipalId(ServicePrincipalId(Uuid::from_u128(0x99)));
    assert!(matches!(directory.app(&nobody).await.unwrap_err(), Error::NotFound { .. }));
}

#[tokio::test]
async fn a_name_must_mean_exactly_one_app() {
    let named = |n: u128| json!({"id": Uuid::from_u128(n), "appId": null, "displayName": "Bob's"});
    let (directory, log) = graph(move |_, n| list((0..n as u128).map(named).collect()));
    let name = AppRef::DisplayName("Bob's".into());
    let none = directory.app(&name).await.unwrap_err();
    let one = directory.app(&name).await.unwrap();
    let two = directory.app(&name).await.unwrap_err();
    assert!(matches!(none, Error::Ambiguous { .. }) && matches!(two, Error::Ambiguous { .. }), "{none} {two}");
    assert_eq!(one.display_name, "Bob's");
    assert!(two.to_string().contains(&Uuid::from_u128(1).to_string()), "{two}");
    assert!(log.all()[0].query.starts_with("$filter=displayName%20eq%20%27Bob%27%27s%27&"), "{}", log.all()[0].query);
}

#[tokio::test]
async fn a_group_whose_nature_is_not_told_is_not_read() {
    let whole = json!({"id": group(), "displayName": "IT", "groupTypes": ["Unified"], "securityEnabled": true, "mailEnabled": true,
        "resourceProvisioningOptions": ["Team"], "assignedLicenses": [{"skuId": "x"}], "onPremisesSyncEnabled": null});
    let read = |body: Value| async move { graph(move |_, _| ok(body.clone())).0.profiles_of(&[group()]).await.remove(0) };
    let profile = read(whole.clone()).await.unwrap();
    assert!(profile.unified && profile.team && profile.licensed && !profile.synced && !profile.dynamic);
    for key in ["groupTypes", "securityEnabled", "mailEnabled", "assignedLicenses", "resourceProvisioningOptions"] {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(key);
        assert!(read(part).await.unwrap_err().to_string().contains(key), "{key}");
    }
    let mut other = whole;
    other["id"] = json!(user(1));
    assert!(read(other).await.is_err());
}

#[tokio::test]
async fn other_uses_of_a_group_are_listed_by_name() {
    let (graph, _) = graph(|sent, _| {
        if sent.path.ends_with("/memberOf") {
            return list(vec![json!({"@odata.type": "#microsoft.graph.group", "id": user(9), "displayName": null})]);
        }
        let mut other = row(2);
        other["resourceId"] = json!(Uuid::from_u128(77));
        other["resourceDisplayName"] = json!("Payroll");
        list(vec![row(1), other])
    });
    let uses = graph.uses_of(&[group()], app()).await.remove(0).unwrap();
    assert_eq!((uses.other_apps, uses.member_of), (vec!["Payroll".to_owned()], vec![user(9).to_string()]));
}

#[tokio::test]
async fn the_groups_that_conditional_access_names_are_read_and_a_policy_without_conditions_is_none() {
    let policy = |conditions: Value| json!({"id": user(8), "displayName": "Ask for a second factor", "conditions": conditions});
    let read = |body: Value| async move { graph(move |_, _| list(vec![body.clone()])).0.policies().await };
    let users = json!({"includeGroups": [group()], "excludeGroups": [user(9)], "includeUsers": ["All"]});
    let policies = read(policy(json!({"users": users}))).await.unwrap();
    assert_eq!(policies[0].groups, BTreeSet::from([group(), GroupId(user(9).0)]));
    assert_eq!(read(policy(json!({"users": null}))).await.unwrap()[0].groups, BTreeSet::new());
    for odd in [Value::Null, json!({"users": {"includeGroups": ["All"]}}), json!({"users": {"includeGroups": "x"}})] {
        assert!(read(policy(odd.clone())).await.is_err(), "{odd}");
    }
}

#[tokio::test]
async fn who_is_a_member_for_a_while_is_read_by_group_and_neither_owners_nor_lasting_members_are_among_them() {
    let row = |n: u128, access: &str, kind: &str, end: Value| {
        json!({"id": format!("{}_{access}_{n}_{kind}", group()), "principalId": user(n), "groupId": group(), "accessId": access,
            "assignmentType": kind, "endDateTime": end})
    };
    let (end, later) = ("2026-11-02T18:00:00Z", "2026-11-02T20:00:00Z");
    let rows = vec![
        row(1, "member", "activated", json!(end)),
        row(1, "member", "Assigned", json!(later)),
        row(2, "member", "Assigned", Value::Null),
        row(2, "member", "activated", json!(end)),
        row(3, "owner", "activated", json!(end)),
        row(4, "member", "activated", Value::Null),
        row(5, "unknownFutureValue", "assigned", json!(end)),
        row(6, "member", "unknownFutureValue", Value::Null),
    ];
    let (graph, log) = graph(move |_, _| list(rows.clone()));
    let lent = graph.lent_in(&[group()]).await.remove(0).unwrap();
    let expected = [(1, Some(later)), (4, None), (5, Some(end)), (6, None)];
    assert_eq!(lent, expected.map(|(n, end)| (user(n), end.map(|end| end.parse().unwrap()))).into());
    let eligible = graph.eligible_for(&[group()]).await.remove(0).unwrap();
    assert_eq!(eligible, [1, 2, 4, 5, 6].map(user).into());
    let sent = log.all();
    assert_eq!(sent[0].path, "/v1.0/identityGovernance/privilegedAccess/group/assignmentScheduleInstances");
    assert_eq!(sent[1].path, "/v1.0/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances");
    assert!(sent.iter().all(|sent| sent.query == format!("$filter=groupId%20eq%20%27{}%27", group())), "{:?}", sent[0].query);
}

#[tokio::test]
async fn a_list_of_another_group_and_one_with_a_gap_are_no_lists_of_members_for_a_while() {
    let whole = json!({"id": "g_member_1", "principalId": user(1), "groupId": group(), "accessId": "member", "endDateTime": null,
        "assignmentType": "activated"});
    let read = |body: Value| async move { graph(move |_, _| list(vec![body.clone()])).0.lent_in(&[group()]).await.remove(0) };
    assert_eq!(read(whole.clone()).await.unwrap().len(), 1);
    for (key, value) in [
        ("groupId", json!(user(9))),
        ("principalId", Value::Null),
        ("accessId", Value::Null),
        ("endDateTime", json!("soon")),
        ("id", json!("")),
    ] {
        let mut odd = whole.clone();
        odd[key] = value;
        assert!(matches!(read(odd).await.unwrap_err(), Error::Malformed { .. }), "{key}");
    }
    // Nothing is not "nobody".
    assert!(graph(|_, _| not_found()).0.lent_in(&[group()]).await.remove(0).is_err());
}

#[tokio::test]
async fn where_a_group_was_mastered_once_and_how_its_rule_stands_is_read() {
    let whole = json!({"id": group(), "displayName": "IT", "groupTypes": ["DynamicMembership"], "securityEnabled": true, "mailEnabled": false,
        "resourceProvisioningOptions": [], "assignedLicenses": [], "onPremisesSyncEnabled": null});
    let read = |key: &'static str, value: Value| {
        let mut body = whole.clone();
        body[key] = value;
        async move { graph(move |_, _| ok(body.clone())).0.profiles_of(&[group()]).await.remove(0).unwrap() }
    };
    let told = |profile: unscim::model::snapshot::GroupProfile| (profile.converted, profile.rule_by_groups, profile.rule_paused);
    assert_eq!(told(read("onPremisesSecurityIdentifier", Value::Null).await), (false, false, false));
    assert_eq!(told(read("onPremisesSecurityIdentifier", json!("S-1-5-21")).await), (true, false, false));
    assert_eq!(told(read("onPremisesLastSyncDateTime", json!("2025-11-02T10:00:00Z")).await), (true, false, false));
    assert_eq!(told(read("membershipRule", json!("user.memberOf -any (group.objectId -in ['x'])")).await), (false, true, false));
    assert_eq!(told(read("membershipRule", json!("user.department -eq \"Sales\"")).await), (false, false, false));
    assert_eq!(told(read("membershipRuleProcessingState", json!("Paused")).await), (false, false, true));
    let mut synced = whole.clone();
    (synced["onPremisesSyncEnabled"], synced["onPremisesSecurityIdentifier"]) = (json!(true), json!("S-1-5-21"));
    let profile = graph(move |_, _| ok(synced.clone())).0.profiles_of(&[group()]).await.remove(0).unwrap();
    assert!(profile.synced && !profile.converted);
}

#[tokio::test]
async fn the_log_is_filtered_by_job_and_time_and_ordered_and_what_harms_or_failed_is_kept() {
    let entry = |id: &str, minute: u8, action: &str, status: &str| {
        json!({"id": id, "activityDateTime": format!("2026-11-02T10:0{minute}:00Z"), "provisioningAction": action,
            "provisioningStatusInfo": {"status": status}, "sourceIdentity": {"id": user(minute.into()).0}})
    };
    let (directory, log) = graph(move |_, _| {
        list(vec![
            entry("a", 2, "disable", "success"),
            entry("plain", 3, "update", "success"),
            entry("b", 1, "create", "failure"),
            entry("skipped", 4, "delete", "skipped"),
        ])
    });
    let since = "2026-11-02T10:00:00Z".parse().unwrap();
    let read = directory.log(&JobId("scim.t.g".into()), since).await.unwrap().value;
    assert_eq!(read.went_well.keys().copied().collect::<Vec<_>>(), [user(3).0]);
    assert_eq!(read.settled().rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(
        log.all()[0].query,
        "$filter=jobId%20eq%20%27scim.t.g%27%20and%20activityDateTime%20gt%202026-11-02T10:00:00Z&$top=500"
    );
    // A row that can't be understood may be one that matters: it is told, and the others are not lost for it.
    let odd = json!({"id": "timeless", "provisioningAction": "update"});
    let (directory, _) = graph(move |_, _| list(vec![odd.clone(), entry("c", 5, "delete", "success")]));
    let read = directory.log(&JobId("j".into()), since).await.unwrap().value;
    assert_eq!((read.rows.len(), read.unread), (1, BTreeMap::from([("timeless".to_owned(), None)])));
    // No log is not an empty one, nor an absent one.
    let (directory, _) = graph(|_, _| not_found());
    assert!(matches!(directory.log(&JobId("j".into()), since).await.unwrap_err(), Error::Refused { .. }));
}

#[tokio::test]
async fn an_error_that_repeats_the_token_is_not_shown() {
    let error = rows_or_error(|sent, _| refusal(400, "Bad", sent.header("authorization"))).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
    let error = rows_or_error(|sent, _| ok(json!({"value": sent.header("authorization")}))).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(TOKEN), "{error}");
}
