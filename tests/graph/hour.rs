//! What time the service has, and the last word before a write leaves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use unscim::model::action::Action;
use unscim::model::id::AppRoleId;
use unscim::model::observed::Listed;
use unscim::world::error::{Class, Error};
use unscim::world::{Directory, listed};
use uuid::Uuid;

use crate::service::*;

const AWAY: &str = "Fri, 02 Jan 2037 10:00:00 GMT";

fn assign(n: u128) -> Action {
    Action::AssignUser { user: user(n), role: AppRoleId(Uuid::nil()) }
}

/// The n-th answer (from 0) is dated by this, whatever it is an answer to.
fn dated(date: impl Fn(usize) -> &'static str + Send + Sync + 'static) -> (unscim::world::graph::GraphDirectory<Tokens>, Log) {
    graph(move |sent, n| {
        let reply = if sent.method == "POST" { raw(201, row(1).to_string()) } else { list(vec![row(1)]) };
        reply.dated(date(n))
    })
}

#[tokio::test(start_paused = true)]
async fn a_time_that_runs_away_in_one_answer_is_asked_for_again_and_not_believed() {
    for odd in [AWAY, "Mon, 02 Nov 2026 08:00:00 GMT"] {
        let (graph, log) = dated(move |n| if n == 1 { odd } else { DATE });
        graph.assignments(app()).await.unwrap();
        assert_eq!(graph.assignments(app()).await.unwrap().at.to_string(), "2026-11-02T10:00:00Z", "{odd}");
        assert_eq!(log.count(), 3, "the odd one was asked once more");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_is_heard_twice_is_the_services_time_and_two_that_differ_are_none() {
    let (graph, log) = dated(|n| if n == 0 { DATE } else { AWAY });
    graph.assignments(app()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(graph.assignments(app()).await.unwrap().at.to_string(), "2037-01-02T10:00:00Z");
    }
    assert_eq!(log.count(), 4);
    let (graph, _) = dated(|n| [DATE, AWAY, "Fri, 02 Jan 2032 10:00:00 GMT"][n]);
    graph.assignments(app()).await.unwrap();
    let error = graph.assignments(app()).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }) && error.to_string().contains("its Date runs away"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_asked_seldom_is_believed() {
    let clock = Instant::now();
    let (graph, log) = graph(move |_, _| {
        let at = "2026-11-02T10:00:00Z".parse::<jiff::Timestamp>().unwrap() + clock.elapsed();
        list(vec![row(1)]).dated(&jiff::fmt::rfc2822::to_string(&at.to_zoned(jiff::tz::TimeZone::UTC)).unwrap())
    });
    for hours in [0, 1, 24, 1] {
        tokio::time::sleep(Duration::from_secs(hours * 3600)).await;
        graph.assignments(app()).await.unwrap();
    }
    assert_eq!(log.count(), 4, "nothing was asked twice");
}

#[tokio::test(start_paused = true)]
async fn a_write_is_not_sent_twice_for_its_time_and_one_without_a_time_is_left_to_the_next_look() {
    // What was read last is asked for once more: it says the old time, so nobody knows when the write was done.
    let (graph, log) = dated(|n| if n == 1 { AWAY } else { DATE });
    graph.assignments(app()).await.unwrap();
    let error = one(&graph, assign(1)).await.unwrap_err();
    assert!(error.leaves_outcome_open() && error.to_string().contains("no Date that can be believed"), "{error}");
    let sent: Vec<_> = log.all().into_iter().map(|sent| sent.method).collect();
    assert_eq!(sent, ["GET", "POST", "GET"]);
    // It says the same: the service's clock has moved.
    let (graph, _) = dated(|n| if n == 0 { DATE } else { AWAY });
    graph.assignments(app()).await.unwrap();
    assert_eq!(one(&graph, assign(1)).await.unwrap().at.to_string(), "2037-01-02T10:00:00Z");
}

#[tokio::test(start_paused = true)]
async fn the_last_word_is_asked_when_all_waits_are_over() {
    let throttled = || refusal(429, "TooManyRequests", "wait").with("retry-after", "20");
    let (graph, log) = graph(move |_, n| if n == 0 { throttled() } else { raw(201, row(1).to_string()) });
    let begun = Instant::now();
    assert!(graph.write(app(), &[assign(1)], &|| None).await[0].is_err());
    // The gate is shut for twenty seconds now; in the meantime somebody freezes.
    let frozen = AtomicBool::new(false);
    let word = || frozen.load(Ordering::SeqCst).then(|| format!("frozen after {:?}", begun.elapsed()));
    let writes = [assign(1), assign(2)];
    let write = graph.write(app(), &writes, &word);
    let freeze = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        frozen.store(true, Ordering::SeqCst);
    };
    let (outcomes, ()) = tokio::join!(write, freeze);
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(error.is_withheld() && error.class() == Class::Transient && !error.leaves_outcome_open(), "{error}");
        assert!(error.to_string().contains("frozen after 20s"), "{error}");
    }
    assert_eq!(log.count(), 1, "nothing has left");
}

#[tokio::test]
async fn a_list_that_is_not_found_is_not_known_and_never_absent() {
    let (graph, _) = graph(|_, _| not_found());
    let read = listed(graph.assignments(app()).await);
    assert!(matches!(&read, Listed::Unknown(why) if why.kind == "not-found"), "{read:?}");
    assert!(!read.is_known() && read.known().is_none());
    let (graph, _) = graph_of_items();
    for members in graph.members_of(&[group(), group()]).await {
        assert!(!listed(members).is_known());
    }
}

/// Answers each item of a batch with a 404 of its own.
fn graph_of_items() -> (unscim::world::graph::GraphDirectory<Tokens>, Log) {
    let gone = json!({"error": {"code": "Request_ResourceNotFound", "message": "gone"}});
    graph(move |_, _| {
        let item = |id: &str| json!({"id": id, "status": 404, "body": gone});
        ok(json!({ "responses": [item("1"), item("2")] }))
    })
}
