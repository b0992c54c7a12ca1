//! Writes in one envelope: each has its own outcome, and what the answer leaves out is not known.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use unscim::model::action::Action;
use unscim::model::id::{AppRoleId, AssignmentId, GroupId};
use unscim::world::Directory;
use unscim::world::error::Error;
use uuid::Uuid;

use crate::service::*;

fn assignments(users: u128) -> Vec<Action> {
    (1..=users).map(|n| Action::AssignUser { user: user(n), role: AppRoleId(Uuid::nil()) }).collect()
}

fn removals(users: u128) -> Vec<Action> {
    (1..=users).map(|n| Action::RemoveMember { group: group(), user: user(n) }).collect()
}

fn answers(responses: Vec<Value>) -> Reply {
    raw(200, json!({ "responses": responses }).to_string())
}

fn made(id: &str, n: u128) -> Value {
    json!({"id": id, "status": 201, "headers": {"Content-Type": "application/json"}, "body": row(n)})
}

fn refused(id: &str, status: u16, code: &str) -> Value {
    json!({"id": id, "status": status, "headers": {"Retry-After": "7"}, "body": {"error": {"code": code, "message": "no"}}})
}

#[tokio::test]
async fn writes_go_out_in_one_request_and_each_has_its_own_outcome() {
    let duplicate =
        json!({"error": {"code": "Request_BadRequest", "message": "Permission being assigned already exists on the object"}});
    let (graph, log) = graph(move |_, _| {
        let already = json!({"id": "2", "status": 400, "headers": {"request-id": "own"}, "body": duplicate});
        answers(vec![refused("3", 404, "Request_ResourceNotFound"), already, made("1", 1)])
    });
    let outcomes = graph.write(app(), &assignments(3), &|| None).await;
    let first = outcomes[0].as_ref().unwrap();
    assert_eq!(
        (first.already, first.request_id.as_deref(), first.at.to_string().as_str()),
        (false, Some("rid"), "2026-11-02T10:00:00Z")
    );
    let second = outcomes[1].as_ref().unwrap();
    assert_eq!((second.already, second.request_id.as_deref()), (true, Some("own")));
    let third = outcomes[2].as_ref().unwrap_err();
    assert!(matches!(third, Error::NotFound { .. }) && third.to_string().contains(&user(3).to_string()), "{third}");
    assert_eq!(log.count(), 1);
    let sent = &log.all()[0];
    assert_eq!(
        (sent.method.as_str(), sent.path.as_str(), sent.header("content-type")),
        ("POST", "/v1.0/$batch", "application/json")
    );
    let body: Value = serde_json::from_str(&sent.body).unwrap();
    let expected = json!({"id": "1", "method": "POST", "url": format!("/servicePrincipals/{}/appRoleAssignedTo", app()),
        "headers": {"Content-Type": "application/json"},
        "body": {"principalId": user(1), "resourceId": app(), "appRoleId": Uuid::nil()}});
    assert_eq!((&body["requests"][0], body["requests"].as_array().unwrap().len()), (&expected, 3));
}

#[tokio::test]
async fn one_groups_members_go_one_after_the_other() {
    let (graph, log) = graph(|_, _| {
        let gone = |id: &str| json!({"id": id, "status": 204, "headers": {}});
        answers(vec![gone("1"), refused("2", 423, "Locked"), refused("3", 424, "FailedDependency")])
    });
    let outcomes = graph.write(app(), &removals(3), &|| None).await;
    assert!(!outcomes[0].as_ref().unwrap().already);
    for outcome in &outcomes[1..] {
        assert!(!outcome.as_ref().unwrap_err().leaves_outcome_open(), "{outcome:?}");
    }
    assert!(outcomes[2].as_ref().unwrap_err().is_failed_dependency());
    let body: Value = serde_json::from_str(&log.all()[0].body).unwrap();
    let url = |n: u128| format!("/groups/{}/members/{}/$ref", group(), user(n));
    let expected = json!([
        {"id": "1", "method": "DELETE", "url": url(1)},
        {"id": "2", "method": "DELETE", "url": url(2), "dependsOn": ["1"]},
        {"id": "3", "method": "DELETE", "url": url(3), "dependsOn": ["2"]},
    ]);
    assert_eq!(body["requests"], expected);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_throttled_shuts_the_gate_for_everything() {
    let (graph, log) = graph(|_, n| match n {
        0 => answers(vec![made("1", 1), refused("2", 429, "TooManyRequests")]),
        _ => raw(201, row(2).to_string()),
    });
    let begun = Instant::now();
    let outcomes = graph.write(app(), &assignments(2), &|| None).await;
    assert!(outcomes[0].is_ok());
    let error = outcomes[1].as_ref().unwrap_err();
    assert!(matches!(error, Error::Throttled { retry_after: Some(wait), .. } if *wait == Duration::from_secs(7)), "{error}");
    assert!(!error.leaves_outcome_open() && !error.is_refusal(), "it was answered, and not against this very write");
    one(&graph, assignments(2).remove(1)).await.unwrap();
    assert_eq!((log.count(), begun.elapsed().as_secs()), (2, 7));
}

#[tokio::test]
async fn what_the_answer_does_not_name_is_not_known() {
    let all_open =
        |outcomes: &[Result<_, Error>]| outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(Error::leaves_outcome_open));
    let (directory, _) = graph(|_, _| answers(vec![made("2", 2)]));
    let outcomes = directory.write(app(), &assignments(2), &|| None).await;
    assert!(outcomes[0].as_ref().unwrap_err().leaves_outcome_open() && outcomes[1].is_ok());
    let strange: [fn() -> Reply; 6] = [
        || answers(vec![made("1", 1), made("1", 1)]),
        || answers(vec![made("1", 1), made("2", 2), made("3", 3)]),
        || answers(vec![made("1", 2), made("2", 1)]),
        || answers(vec![made("1", 1), made("2", 2)]).undated(),
        || raw(200, "<html>welcome to the airport</html>"),
        || raw(504, "<html>"),
    ];
    for reply in strange {
        let (directory, _) = graph(move |_, _| reply());
        let outcomes = directory.write(app(), &assignments(2), &|| None).await;
        assert!(outcomes.len() == 2 && all_open(&outcomes), "{outcomes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_befalls_the_envelope_befalls_each_in_its_own_words() {
    let (directory, log) = graph(|_, _| lost());
    let outcomes = directory.write(app(), &assignments(2), &|| None).await;
    for (n, outcome) in (1..).zip(&outcomes) {
        let error = outcome.as_ref().unwrap_err();
        assert!(error.leaves_outcome_open() && error.to_string().contains(&user(n).to_string()), "{error}");
    }
    assert_eq!(log.count(), 1, "a write is sent once");
    let (directory, _) = graph(|_, _| refusal(400, "BadRequest", "Invalid batch payload format."));
    for outcome in directory.write(app(), &assignments(2), &|| None).await {
        assert!(!outcome.unwrap_err().leaves_outcome_open());
    }
    let (directory, log) = graph(|_, n| match n {
        0 => refusal(401, "InvalidAuthenticationToken", "expired"),
        _ => answers(vec![made("1", 1), made("2", 2)]),
    });
    assert!(directory.write(app(), &assignments(2), &|| None).await.iter().all(Result::is_ok));
    assert_eq!(log.count(), 2, "nothing was done for a request that was not let in");
}

#[tokio::test]
async fn what_cant_be_asked_does_not_go_out_and_the_others_do() {
    let (graph, log) = graph(|_, _| answers(vec![json!({"id": "1", "status": 204})]));
    let row = |id: &str| Action::UnassignGroup {
        group: group(),
        assignment: AssignmentId::from(id).into(),
        role: AppRoleId(Uuid::nil()),
    };
    let outcomes = graph.write(app(), &[row("a/../b"), row("good")], &|| None).await;
    assert!(outcomes[0].is_err() && outcomes[1].is_ok(), "{outcomes:?}");
    let body: Value = serde_json::from_str(&log.all()[0].body).unwrap();
    assert_eq!(body["requests"][0]["url"], format!("/servicePrincipals/{}/appRoleAssignedTo/good", app()));
    assert_eq!(body["requests"].as_array().unwrap().len(), 1);
}

fn groups(count: u128) -> Vec<GroupId> {
    (1..=count).map(|n| GroupId(Uuid::from_u128(0x900 + n))).collect()
}

fn page(id: &str, users: &[u128], next: Option<&str>) -> Value {
    let members: Vec<Value> = users.iter().map(|n| json!({"@odata.type": "#microsoft.graph.user", "id": user(*n)})).collect();
    let mut body = json!({ "value": members });
    if let Some(next) = next {
        body["@odata.nextLink"] = next.into();
    }
    json!({"id": id, "status": 200, "headers": {}, "body": body})
}

#[tokio::test]
async fn reads_share_a_request_and_each_list_goes_to_its_own_end() {
    let next = format!("{}/v1.0/groups/x/members?$skiptoken=2", ROOT.trim_end_matches('/'));
    let (graph, log) = graph(move |_, n| match n {
        0 => answers(vec![page("3", &[5], None), page("1", &[1, 2], Some(&next)), refused("2", 404, "Request_ResourceNotFound")]),
        _ => raw(200, json!({"value": [{"@odata.type": "#microsoft.graph.user", "id": user(3)}]}).to_string()),
    });
    let looks = graph.members_of(&groups(3)).await;
    assert_eq!(looks[0].as_ref().unwrap().value.users, [1, 2, 3].map(user).into());
    assert!(matches!(looks[1], Err(Error::NotFound { .. })), "{:?}", looks[1]);
    assert_eq!(looks[2].as_ref().unwrap().value.users, [user(5)].into());
    assert_eq!(log.count(), 2);
    let body: Value = serde_json::from_str(&log.all()[0].body).unwrap();
    let expected = json!({"id": "1", "method": "GET", "headers": {"x-ms-throttle-priority": "Low"},
        "url": format!("/groups/{}/members?$top=999&$select=id", groups(1)[0])});
    assert_eq!(body["requests"][0], expected);
    assert_eq!((log.all()[1].method.as_str(), log.all()[1].query.as_str()), ("GET", "$skiptoken=2"));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_answered_whole_is_none_and_the_others_are() {
    let next = format!("{}/v1.0/groups/x/members?$skiptoken=2", ROOT.trim_end_matches('/'));
    let elsewhere = "https://elsewhere.example/v1.0/groups/x/members?$skiptoken=2";
    let (directory, _) = graph(move |_, n| match n {
        0 => answers(vec![page("1", &[1], Some(&next)), page("3", &[3], None), page("4", &[4], Some(elsewhere))]),
        _ => refusal(500, "InternalServerError", "?"),
    });
    let looks = directory.members_of(&groups(4)).await;
    assert!(looks[0].as_ref().unwrap_err().to_string().contains("page 2"), "{:?}", looks[0]);
    assert!(looks[1].as_ref().unwrap_err().to_string().contains("does not name it"), "{:?}", looks[1]);
    assert!(looks[2].is_ok());
    assert!(looks[3].as_ref().unwrap_err().to_string().contains("leads away"), "{:?}", looks[3]);
    for reply in [|| lost(), || raw(200, "<html>"), || answers(vec![page("9", &[1], None)])] {
        let (directory, _) = graph(move |_, _| reply());
        assert!(directory.members_of(&groups(2)).await.iter().all(Result::is_err));
    }
}

#[tokio::test(start_paused = true)]
async fn of_reads_that_share_a_request_only_the_throttled_ones_are_asked_for_again() {
    let (graph, log) = graph(|sent, n| match n {
        0 => answers(vec![page("1", &[1], None), refused("2", 429, "TooManyRequests"), refused("3", 429, "TooManyRequests")]),
        _ => {
            let body: Value = serde_json::from_str(&sent.body).unwrap();
            assert_eq!(body["requests"].as_array().unwrap().len(), 2);
            answers(vec![page("1", &[2], None), page("2", &[3], None)])
        }
    });
    let begun = Instant::now();
    let looks = graph.members_of(&groups(3)).await;
    for (n, look) in (1..).zip(&looks) {
        assert_eq!(look.as_ref().unwrap().value.users, [user(n)].into());
    }
    assert_eq!((log.count(), begun.elapsed().as_secs()), (2, 7));
}

#[tokio::test]
async fn twenty_reads_are_one_request_and_twenty_one_are_two() {
    for (count, requests) in [(20, 1), (21, 2)] {
        let (graph, log) = graph(|sent, _| match sent.method.as_str() {
            "GET" => raw(200, json!({ "value": [] }).to_string()),
            _ => {
                let body: Value = serde_json::from_str(&sent.body).unwrap();
                let asked = body["requests"].as_array().unwrap().iter();
                answers(asked.map(|request| page(request["id"].as_str().unwrap(), &[], None)).collect())
            }
        });
        let looks = graph.members_of(&groups(count)).await;
        assert!(looks.len() == count as usize && looks.iter().all(Result::is_ok), "{looks:?}");
        assert_eq!(log.count(), requests);
    }
}
