//! The HTTP side of the practice tenant: routes by prefix, faults, the virtual `Date`. It judges nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::SignedDuration;

use super::clock::{earlier, http_date, later};
use super::faults::{Effect, Place};
use super::graph::{Incoming, serve};
use super::odata;
use super::scim_app::ScimApp;
use super::tenant::Inner;

const MAX_BODY: usize = 4 << 20;

pub(crate) fn router(inner: Arc<Inner>, app: Option<ScimApp>) -> Router {
    let outside = Router::new().fallback(answer).with_state(inner.clone());
    let all = match app {
        Some(app) => outside.nest("/scim/v2", app.router()),
        None => outside,
    };
    all.layer(from_fn_with_state(inner, weather))
}

/// Faults strike here; whatever answers, the time on it is virtual.
async fn weather(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str()).to_owned();
    let mut off = SignedDuration::ZERO;
    let mut response = match inner.faults.strike(Place::Alone, request.method(), &target) {
        None => next.run(request).await,
        Some(Effect::Delay(span)) => {
            tokio::time::sleep(span).await;
            next.run(request).await
        }
        Some(Effect::Answer { status, headers, body }) => odd(status, &headers, body),
        Some(Effect::Belie { status, headers, body }) => {
            next.run(request).await;
            odd(status, &headers, body)
        }
        Some(Effect::Date(span)) => {
            off = span;
            next.run(request).await
        }
        Some(Effect::Html(status)) => {
            let page = "<!doctype html><html><head><title>Notice</title></head><body><h1>Please sign in</h1></body></html>";
            odd(status, &[("content-type".into(), "text/html; charset=utf-8".into())], page.into())
        }
        Some(Effect::LoseAnswer) => {
            next.run(request).await;
            std::future::pending().await
        }
        Some(Effect::Hang) => std::future::pending().await,
        Some(Effect::Truncate(length)) => truncated(next.run(request).await, length).await,
    };
    let now = inner.clock.now();
    let shown = if off.is_negative() { earlier(now, off.unsigned_abs()) } else { later(now, off.unsigned_abs()) };
    if let Ok(date) = HeaderValue::try_from(http_date(shown)) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn odd(status: u16, headers: &[(String, String)], body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn truncated(response: Response, length: usize) -> Response {
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(parts, Body::from(bytes.slice(..length.min(bytes.len()))))
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let root = root(&request);
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BODY).await else {
        return json(413, &[], odata_error("RequestTooLarge", "The request is too large."));
    };
    let path = parts.uri.path();
    if let Some(rest) = path.strip_prefix("/v1.0") {
        let incoming = Incoming {
            method: parts.method,
            path: rest.trim_end_matches('/').to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body: None,
            root,
        };
        return match graph(&inner, incoming, &bytes) {
            Some(response) => response,
            None => std::future::pending().await,
        };
    }
    match path.strip_prefix('/').and_then(|path| path.strip_suffix("/oauth2/v2.0/token")) {
        Some(tenant) if parts.method == http::Method::POST => {
            let form: BTreeMap<String, String> = url::form_urlencoded::parse(&bytes).into_owned().collect();
            let (now, speed) = (inner.clock.now(), inner.scenario.speed);
            let (status, body) = inner.tokens().answer(tenant, &form, &inner.ids, now, speed);
            json(status, &[("cache-control", "no-store".into())], body)
        }
        Some(_) | None => json(404, &[], odata_error("NotFound", "There is nothing under this path.")),
    }
}

/// `None` where no answer ever comes.
fn graph(inner: &Inner, mut incoming: Incoming, bytes: &Bytes) -> Option<Response> {
    if !bytes.is_empty() {
        match serde_json::from_slice(bytes) {
            Ok(body) => incoming.body = Some(body),
            Err(_) => {
                let text = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.";
                return Some(json(400, &[], odata_error("BadRequest", text)));
            }
        }
    }
    let served = serve(inner, &incoming);
    let mut response = match served.body {
        odata::Body::Empty => Response::new(Body::empty()),
        odata::Body::Json(value) => Response::new(Body::from(value.to_string())),
        odata::Body::Text(text) => Response::new(Body::from(text)),
        odata::Body::Lost => return None,
    };
    *response.status_mut() = StatusCode::from_u16(served.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in served.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    Some(response)
}

/// `scheme://host/v1.0` as the caller named it; links lead back there.
fn root(request: &Request) -> String {
    let uri = request.uri();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or("localhost");
    format!("{}://{host}/v1.0", uri.scheme_str().unwrap_or("http"))
}

fn json(status: u16, headers: &[(&'static str, String)], body: serde_json::Value) -> Response {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    odd(status, &headers, body.to_string())
}

fn odata_error(code: &str, message: &str) -> serde_json::Value {
    serde_json::json!({"error": {"code": code, "message": message}})
}
