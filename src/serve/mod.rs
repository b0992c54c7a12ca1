//! Observed from outside: one listener, read only. It shows the last published status and never looks at the world itself.

mod connections;
mod events;
mod hosts;
mod listen;
pub mod metrics;
mod page;
mod tls;

use std::io::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, Request, State as Shared};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::model::status::Status;
pub use hosts::Hosts;
pub use listen::{bind, bind_by, listen, listen_with};
use metrics::Metrics;
pub use tls::Tls;

/// Longest time for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// No request needs a body; one larger than this (bytes) is not even looked at.
const BODY_CAP: u64 = 4096;

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// What the listener shows; a clone is the same one.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    resource: RwLock<Resource>,
    metrics: Arc<Metrics>,
    /// The newest status; whoever is slow misses those between.
    published: watch::Sender<Option<Published>>,
    /// Answers without an end of their own end now.
    ended: CancellationToken,
    /// For those answers.
    seats: Arc<Semaphore>,
}

/// What is retired, and how.
#[derive(Clone)]
struct Resource {
    name: String,
    spec: serde_json::Value,
    stale_after: Duration,
}

struct Published {
    status: Arc<Status>,
    document: Arc<str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: &'a serde_json::Value,
    status: &'a Status,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
}

impl State {
    /// `spec` is shown as it is, so it must hold no secret. Without a heartbeat for `stale_after`, `/livez` fails.
    pub fn new(name: &str, spec: serde_json::Value, metrics: Arc<Metrics>, stale_after: Duration) -> Self {
        metrics.beat();
        State(Arc::new(Inner {
            resource: RwLock::new(Resource { name: name.to_owned(), spec, stale_after }),
            metrics,
            published: watch::Sender::new(None),
            ended: CancellationToken::new(),
            seats: Arc::new(Semaphore::new(events::SEATS)),
        }))
    }

    /// The same for a spec that has changed, from the next status on.
    pub fn resource(&self, name: &str, spec: serde_json::Value, stale_after: Duration) {
        let resource = Resource { name: name.to_owned(), spec, stale_after };
        *self.0.resource.write().unwrap_or_else(PoisonError::into_inner) = resource;
    }

    fn read(&self) -> Resource {
        self.0.resource.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows this status everywhere: `/status`, the page, the metrics.
    pub fn publish(&self, status: &Status) {
        let Resource { name, spec, .. } = self.read();
        let document = Document {
            api_version: "unscim.dev/v1alpha1",
            kind: "ScimRetirement",
            metadata: Metadata { name: &name },
            spec: &spec,
            status,
        };
        let document = serde_json::to_string(&document).expect("a status has string keys only").into();
        self.0.metrics.publish(status);
        self.heartbeat();
        self.0.published.send_replace(Some(Published { status: Arc::new(status.clone()), document }));
    }

    /// The loop is alive.
    pub fn heartbeat(&self) {
        self.0.metrics.beat();
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// The `/status` document, once there is one.
    pub fn document(&self) -> Option<Arc<str>> {
        self.published(|published| published.document.clone())
    }

    fn published<T>(&self, read: impl FnOnce(&Published) -> T) -> Option<T> {
        self.0.published.borrow().as_ref().map(read)
    }
}

/// Every path of the listener. The probes tell nothing, and whoever asks them may not know our name.
pub fn router(state: State, hosts: Hosts) -> Router {
    let telling = Router::new()
        .route("/", get(show_page))
        .route("/page.css", get(async || asset("text/css; charset=utf-8", page::CSS)))
        .route("/page.js", get(async || asset("text/javascript; charset=utf-8", page::JS)))
        .route("/status", get(show_status))
        .route("/events", get(events::show))
        .route("/metrics", get(show_metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "not found\n"))
        .layer(from_fn_with_state(hosts, hosts::known));
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(livez))
        .route("/readyz", get(readyz))
        .merge(telling)
        .layer(from_fn(guard))
        .with_state(state)
}

/// What every answer has in common: a limit on the question, a limit on the time, the headers.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_too_large(request.headers()) {
        (StatusCode::PAYLOAD_TOO_LARGE, "no request here needs a body\n").into_response()
    } else {
        tokio::time::timeout(ANSWER_WITHIN, next.run(request))
            .await
            .unwrap_or_else(|_| (StatusCode::SERVICE_UNAVAILABLE, "took too long\n").into_response())
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}

fn is_too_large(headers: &HeaderMap) -> bool {
    let length = headers.get(CONTENT_LENGTH).map(|value| value.to_str().ok().and_then(|text| text.parse::<u64>().ok()));
    length.is_some_and(|length| length.is_none_or(|length| length > BODY_CAP))
}

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], text)
}

async fn show_page(Shared(state): Shared<State>, RawQuery(query): RawQuery) -> Response {
    let status = state.published(|published| published.status.clone());
    let Resource { name, spec, .. } = state.read();
    let query = page::Query::of(query.as_deref().unwrap_or_default());
    match page::render(&name, &spec, query, status.as_deref()) {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the status page can't be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "the page can't be rendered; see /status\n").into_response()
        }
    }
}

async fn show_status(Shared(state): Shared<State>) -> Response {
    let json = [(CONTENT_TYPE, "application/json")];
    match state.document() {
        Some(document) => (json, document.to_string()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, json, r#"{"error":"no turn has ended yet"}"#).into_response(),
    }
}

async fn show_metrics(Shared(state): Shared<State>, asked: HeaderMap) -> Response {
    let text = match state.metrics().text() {
        Ok(text) if accepts_gzip(&asked) => packed(&text).map_err(prometheus::Error::Io).map(|bytes| (Some("gzip"), bytes)),
        other => other.map(|text| (None, text.into_bytes())),
    };
    match text {
        Ok((encoding, bytes)) => {
            let mut answer = ([(CONTENT_TYPE, prometheus::TEXT_FORMAT), (VARY, ACCEPT_ENCODING.as_str())], bytes).into_response();
            if let Some(encoding) = encoding {
                answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            }
            answer
        }
        Err(error) => {
            tracing::error!(%error, "the metrics can't be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written\n").into_response()
        }
    }
}

/// Named, and not refused by `q=0`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let mut words = part.split(';').map(str::trim);
        let is_gzip = words.next().is_some_and(|word| word.eq_ignore_ascii_case("gzip"));
        let refused = words.filter_map(|word| word.strip_prefix("q=")).any(|q| q.parse().is_ok_and(|q: f64| q <= 0.0));
        is_gzip && !refused
    })
}

fn packed(text: &str) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes())?;
    packer.finish()
}

async fn livez(Shared(state): Shared<State>) -> Response {
    let quiet = state.metrics().quiet_for();
    if quiet <= state.read().stale_after {
        return "ok\n".into_response();
    }
    let text = format!("no sign of life for {}\n", humantime::format_duration(Duration::from_secs(quiet.as_secs())));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn readyz(Shared(state): Shared<State>, RawQuery(query): RawQuery) -> Response {
    let turn = state.published(|published| published.status.turn);
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part == "verbose" || part.starts_with("verbose=")));
    let code = if turn.is_some() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = match (verbose, turn) {
        (false, Some(_)) => "ok\n".to_owned(),
        (false, None) => "no turn has ended yet\n".to_owned(),
        (true, Some(turn)) => format!("[+] config: loaded\n[+] status: of turn {turn}\nready\n"),
        (true, None) => "[+] config: loaded\n[-] status: no turn has ended yet\nnot ready\n".to_owned(),
    };
    (code, text).into_response()
}
