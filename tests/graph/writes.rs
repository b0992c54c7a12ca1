//! Writes go out once, and what came of them is never guessed.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use unscim::model::action::Action;
use unscim::model::id::{AppRoleId, AssignmentId, JobId};
use unscim::world::error::Error;
use unscim::world::{Directory, Written};
use uuid::Uuid;

use crate::service::*;

fn role() -> AppRoleId {
    AppRoleId(Uuid::nil())
}

fn assignment() -> Action {
    Action::AssignUser { user: user(1), role: role() }
}

fn removal() -> Action {
    Action::RemoveMember { group: group(), user: user(1) }
}

fn row_of(assignment: &AssignmentId) -> Action {
    Action::UnassignGroup { group: group(), assignment: assignment.clone().into(), role: role() }
}

async fn assign(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Result<Written, Error> {
    let (graph, log) = graph(move |_, _| reply());
    let result = one(&graph, assignment()).await;
    assert_eq!(log.count(), 1);
    result
}

#[tokio::test]
async fn an_assignment_is_posted_with_its_three_ids() {
    let (graph, log) = graph(|_, _| raw(201, row(1).to_string()));
    let written = one(&graph, assignment()).await.unwrap();
    assert!(!written.already && written.request_id.as_deref() == Some("rid") && !written.client_request_id.is_empty());
    assert_eq!(written.at.to_string(), "2026-11-02T10:00:00Z");
    let sent = &log.all()[0];
    assert_eq!((sent.method.as_str(), sent.header("content-type")), ("POST", "application/json"));
    let body: serde_json::Value = serde_json::from_str(&sent.body).unwrap();
    assert_eq!(body, json!({"principalId": user(1), "resourceId": app(), "appRoleId": Uuid::nil()}));
}

#[tokio::test]
async fn a_duplicate_assignment_was_so_already() {
    for (status, code, message) in [
        (400, "Request_BadRequest", "Permission being assigned already exists on the object"),
        (400, "Request_MultipleObjectsWithSameKeyValue", "EntitlementGrant entry already exists."),
        (409, "Conflict", "EntitlementGrant entry already exists."),
    ] {
        assert!(assign(move || refusal(status, code, message)).await.unwrap().already, "{code}");
    }
}

#[tokio::test]
async fn other_refusals_of_an_assignment_are_refusals() {
    for (status, code, message) in [
        (400, "Request_BadRequest", "Permission being assigned was not found on application"),
        (400, "Request_BadRequest", "Not a valid reference update"),
        (404, "Request_ResourceNotFound", "Resource does not exist"),
        (409, "Directory_ConcurrencyViolation", "wait"),
        (403, "Authorization_RequestDenied", "Insufficient privileges"),
    ] {
        let error = assign(move || refusal(status, code, message)).await.unwrap_err();
        assert!(!error.leaves_outcome_open(), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_proves_nothing_leaves_the_outcome_open() {
    let replies: [fn() -> Reply; 6] = [
        || raw(201, row(1).to_string()).undated(),
        || raw(201, row(2).to_string()),
        || raw(200, "<html>welcome to the airport</html>"),
        || raw(201, ""),
        || refusal(500, "InternalServerError", "?"),
        || raw(504, "<html>"),
    ];
    for reply in replies {
        let error = assign(reply).await.unwrap_err();
        assert!(error.leaves_outcome_open(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_not_asked_for_again() {
    let error = assign(lost).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }) && error.leaves_outcome_open(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_write_is_returned_and_the_next_one_waits() {
    let (graph, log) = graph(|_, n| {
        if n == 0 { refusal(429, "TooManyRequests", "slow").with("retry-after", "20") } else { raw(201, row(1).to_string()) }
    });
    assert_eq!(graph.room(1).await, 1);
    let begun = Instant::now();
    let error = one(&graph, assignment()).await.unwrap_err();
    assert!(matches!(error, Error::Throttled { retry_after: Some(wait), .. } if wait == Duration::from_secs(20)), "{error}");
    assert_eq!((log.count(), begun.elapsed()), (1, Duration::ZERO));
    one(&graph, assignment()).await.unwrap();
    assert_eq!((log.count(), begun.elapsed().as_secs()), (2, 20));
    assert!(graph.pace().write_quota_ratio() > 0.0);
}

#[tokio::test]
async fn removing_a_member_names_the_membership_and_nothing_else() {
    let (directory, log) = graph(|_, _| raw(204, ""));
    assert!(!one(&directory, removal()).await.unwrap().already);
    let sent = &log.all()[0];
    assert_eq!((sent.method.as_str(), sent.query.as_str()), ("DELETE", ""));
    assert_eq!(sent.path, format!("/v1.0/groups/{}/members/{}/$ref", group(), user(1)));
    for (status, code, message) in [
        (404, "Request_ResourceNotFound", "does not exist"),
        (
            400,
            "Request_BadRequest",
            "One or more removed object references do not exist for the following modified properties: 'members'.",
        ),
    ] {
        let (directory, _) = graph(move |_, _| refusal(status, code, message));
        assert!(one(&directory, removal()).await.unwrap().already, "{code}");
    }
    for reply in [|| raw(404, "<html>"), || refusal(400, "Request_BadRequest", "Unable to update on-premises mastered objects")] {
        let (directory, _) = graph(move |_, _| reply());
        assert!(one(&directory, removal()).await.is_err());
    }
}

#[tokio::test]
async fn unassigning_twice_is_unassigning_once() {
    let (graph, log) = graph(|_, n| if n == 0 { raw(204, "") } else { not_found() });
    let assignment = AssignmentId::from("a_b-C1");
    assert!(!one(&graph, row_of(&assignment)).await.unwrap().already);
    assert!(one(&graph, row_of(&assignment)).await.unwrap().already);
    let expected = format!("/v1.0/servicePrincipals/{}/appRoleAssignedTo/a_b-C1", app());
    assert!(log.all().iter().all(|sent| sent.method == "DELETE" && sent.path == expected));
    for bad in ["", ".", "..", "a b", "a/../b", "a%2Fb"] {
        assert!(one(&graph, row_of(&AssignmentId::from(bad))).await.is_err(), "{bad:?}");
    }
    assert_eq!(log.count(), 2);
}

#[tokio::test]
async fn pausing_is_one_post_to_pause() {
    let (graph, log) = graph(|_, _| raw(204, ""));
    one(&graph, Action::PauseJob { job: JobId("scim.t.g".into()) }).await.unwrap();
    let sent = &log.all()[0];
    assert_eq!(sent.method, "POST");
    assert_eq!(sent.path, format!("/v1.0/servicePrincipals/{}/synchronization/jobs/scim.t.g/pause", app()));
}
