//! Traces, to a collector on loopback, and the level of the log, changed while it runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;
use unscim::model::spec::Mode;

use crate::support::{Daemon, Rig};

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

impl Collector {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = self.clone();
        let take = async move |headers: HeaderMap, body: Bytes| {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            for resource in request.resource_spans {
                let name = format!("{:?}", resource.resource.unwrap_or_default().attributes);
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                collector.0.lock().unwrap().extend(spans.map(|span| (name.clone(), span)));
            }
        };
        tokio::spawn(axum::serve(listener, Router::new().route("/v1/traces", post(take))).into_future());
        format!("http://{address}/")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_turn_is_a_trace_with_its_requests_and_log_lines_name_it() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let rig = Rig::new(Mode::Enforce).await;
    rig.edit("spec:\n", &format!("spec:\n  telemetry: {{ traces: {{ otlpEndpoint: \"{endpoint}\" }} }}\n"));
    let mut daemon = rig.start();
    daemon.until_phase("AwaitingCycle").await;
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));

    let spans = collector.0.lock().unwrap().clone();
    assert!(spans.iter().all(|(resource, _)| resource.contains("unscim")));
    let turns: Vec<_> = spans.iter().filter(|(_, span)| span.name == "turn").collect();
    let requests: Vec<_> = spans.iter().filter(|(_, span)| span.name != "turn").collect();
    assert!(turns.len() > 5 && requests.len() > 10 * turns.len(), "{} turns, {} requests", turns.len(), requests.len());
    let parents: BTreeSet<_> = turns.iter().map(|(_, span)| (hex(&span.trace_id), hex(&span.span_id))).collect();
    let attribute = |span: &Span, key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key == key);
        found.map(|attribute| format!("{:?}", attribute.value))
    };
    for (_, span) in &requests {
        assert!(parents.contains(&(hex(&span.trace_id), hex(&span.parent_span_id))), "{span:?}");
        assert!(attribute(span, "api").is_some() && attribute(span, "client_request_id").is_some(), "{span:?}");
    }
    let names: BTreeSet<_> = requests.iter().map(|(_, span)| span.name.as_str()).collect();
    assert!(names.is_superset(&["list_assignments", "batch", "list_users", "token"].into()), "{names:?}");
    let of_graph = requests.iter().filter(|(_, span)| attribute(span, "api").is_some_and(|api| api.contains("graph")));
    // The last one may have been given up when the process ended.
    let answered: Vec<_> = of_graph.filter(|(_, span)| attribute(span, "http.response.status_code").is_some()).collect();
    assert!(answered.len() > 5 * turns.len() && answered.iter().all(|(_, span)| attribute(span, "request_id").is_some()));

    let text = format!("{spans:?}");
    let token = std::fs::read_to_string(rig.dir.path().join("scim-token")).unwrap();
    for secret in [rig.served.practice.client_secret().as_str(), token.trim(), "Bearer", "@contoso"] {
        assert!(!text.contains(secret), "{secret}");
    }
    let log: Vec<Value> = daemon.log().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_turns: Vec<_> = log.iter().filter(|line| line["message"] == "turn").collect();
    let traced: BTreeSet<_> = parents.iter().map(|(trace, _)| trace.as_str()).collect();
    assert!(of_turns.iter().all(|line| traced.contains(line["span"]["trace_id"].as_str().unwrap_or_default())), "{of_turns:?}");
    assert!(log.iter().filter(|line| line["message"] == "done").all(|line| line["span"]["trace_id"].is_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_level_follows_the_config_and_a_collector_that_is_away_costs_nothing() {
    let rig = Rig::new(Mode::Observe).await;
    rig.edit("spec:\n", "spec:\n  telemetry: { logLevel: Info, traces: { otlpEndpoint: \"http://127.0.0.1:1/\" } }\n");
    let mut daemon = rig.start();
    let count = |daemon: &Daemon, word: &str| daemon.log().iter().filter(|line| line.contains(word)).count();
    let turns_more = async |daemon: &Daemon, more: u64| {
        let turn = daemon.until_status("a turn", |_| true).await["status"]["turn"].as_u64().unwrap();
        daemon.until_status("more turns", |status| status["turn"].as_u64() > Some(turn + more)).await;
    };
    turns_more(&daemon, 1).await;
    assert!(count(&daemon, "\"message\":\"turn\"") > 0 && count(&daemon, "\"level\":\"DEBUG\"") == 0);
    rig.edit("logLevel: Info", "logLevel: Warn");
    turns_more(&daemon, 1).await;
    let before = count(&daemon, "\"level\":\"INFO\"");
    turns_more(&daemon, 1).await;
    assert_eq!(count(&daemon, "\"level\":\"INFO\""), before);
    rig.edit("logLevel: Warn", "logLevel: Debug");
    turns_more(&daemon, 2).await;
    assert!(count(&daemon, "\"level\":\"DEBUG\"") > 0 && count(&daemon, "\"level\":\"INFO\"") > before);
    daemon.signal("-TERM");
    assert_eq!(daemon.exit_code().await, Some(0));
}
