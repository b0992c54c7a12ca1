//! The one seam to the network: time-outs, size caps, no redirects, request ids, counting. No retry lives here.
//!
//! Production and tests differ in one constructor: [`network`] goes through reqwest, [`in_process`] into a router.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use jiff::Timestamp;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};
use tracing::Instrument as _;
use tracing::field::Empty;
use url::Url;

use super::error::{Error, Result, hint, locked};
use crate::model::condition::labelled;

/// No answer larger than this is read (bytes). Graph's pages of 999 objects stay well below it.
pub const BODY_CAP: usize = 16 << 20;

/// Target of the spans of requests: for traces, not for the log.
pub const SPANS: &str = "unscim::request";

pub type Transport = BoxCloneSyncService<Request<Bytes>, http::Response<Bytes>, TransportError>;

/// Why no answer came.
#[derive(Clone, Debug)]
pub enum TransportError {
    Connect(String),
    /// After the request, or some of it, was sent.
    Broken(String),
    TimedOut,
    TooLarge,
}

labelled! {
    /// Who is asked.
    Api { Graph = "graph", Token = "token", Scim = "scim", Webhook = "webhook" }
}

/// Told of every request; the metrics and the heartbeat hang on it.
pub trait Observer: Send + Sync {
    /// `code` is the HTTP status, or a fixed word where no answer came.
    fn answered(&self, api: Api, operation: &'static str, code: &str, took: Duration);
    /// One request of several that went out together, which are told of as one beside it.
    fn answered_in_batch(&self, api: Api, operation: &'static str, code: &str);
    fn throttled(&self, api: Api, wait: Duration);
}

/// Nobody listens.
pub struct Unobserved;

impl Observer for Unobserved {
    fn answered(&self, _: Api, _: &'static str, _: &str, _: Duration) {}
    fn answered_in_batch(&self, _: Api, _: &'static str, _: &str) {}
    fn throttled(&self, _: Api, _: Duration) {}
}

/// One API over one transport.
#[derive(Clone)]
pub struct Http {
    transport: Transport,
    api: Api,
    timeout: Duration,
    observer: Arc<dyn Observer>,
}

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The service's time, from `Date`.
    pub at: Option<Timestamp>,
    pub client_request_id: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// `Retry-After` in seconds; an HTTP date is read against the answer's own `Date`.
    #[expect(clippy::disallowed_methods, reason = "a time that has passed asks for no wait")]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let until = http_date(text)?;
        Duration::try_from(until.duration_since(self.at?)).ok()
    }
}

/// `Tue, 24 Nov 2026 10:00:00 GMT` (RFC 9110 section 5.6.7).
#[expect(clippy::disallowed_methods, reason = "a date that can't be read is not given")]
pub fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[expect(clippy::disallowed_methods, reason = "a header that is no text is not given")]
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Http {
    pub fn new(transport: Transport, api: Api, timeout: Duration, observer: Arc<dyn Observer>) -> Self {
        Http { transport, api, timeout, observer }
    }

    pub fn api(&self) -> Api {
        self.api
    }

    pub fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Sends one request and reads the whole answer, whatever its status. `doing` opens every error's sentence.
    pub async fn send(&self, operation: &'static str, doing: &str, mut request: Request<Bytes>) -> Result<Answer> {
        let client_request_id = uuid::Uuid::new_v4().to_string();
        if let Ok(value) = client_request_id.parse() {
            request.headers_mut().insert("client-request-id", value);
        }
        let method = request.method().clone();
        // A webhook's path may hold a secret, anybody's query too. Traces go further than logs, so they have no path at all.
        let path = (self.api != Api::Webhook).then(|| request.uri().path().to_owned());
        let span = tracing::info_span!(
            target: SPANS, "request", otel.name = operation, otel.kind = "client", api = self.api.label(),
            http.request.method = %method, server.address = request.uri().host(), client_request_id,
            http.response.status_code = Empty, request_id = Empty, otel.status_code = Empty, error.type = Empty
        );
        let begun = tokio::time::Instant::now();
        let mut transport = self.transport.clone();
        let result =
            tokio::time::timeout(self.timeout, async { transport.ready().await?.call(request).await }.instrument(span.clone()))
                .await;
        let took = begun.elapsed();
        let error = match result {
            Ok(Ok(response)) => {
                let (parts, body) = response.into_parts();
                self.observer.answered(self.api, operation, parts.status.as_str(), took);
                let at = text(&parts.headers, "date").and_then(http_date);
                span.record("http.response.status_code", parts.status.as_u16());
                span.record("request_id", text(&parts.headers, "request-id"));
                let answer = Answer { status: parts.status, headers: parts.headers, body, at, client_request_id };
                tracing::debug!(
                    api = self.api.label(), %method, path, status = answer.status.as_u16(), took_ms = took.as_millis() as u64,
                    request_id = answer.header("request-id"), client_request_id = answer.client_request_id, "request"
                );
                return Ok(answer);
            }
            Ok(Err(TransportError::Connect(cause))) => Error::Unreachable { doing: doing.to_owned(), cause },
            Ok(Err(TransportError::Broken(cause))) => Error::Broken { doing: doing.to_owned(), cause },
            Ok(Err(TransportError::TooLarge)) => Error::TooLarge { doing: doing.to_owned(), mebibytes: BODY_CAP >> 20 },
            Ok(Err(TransportError::TimedOut)) | Err(_) => Error::TimedOut { doing: doing.to_owned(), after: self.timeout },
        };
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error.label());
        self.observer.answered(self.api, operation, error.label(), took);
        tracing::debug!(api = self.api.label(), %method, path, client_request_id, error = %error, "request failed");
        Err(error)
    }
}

/// A request without a body.
pub fn request(method: Method, url: &Url) -> Result<Request<Bytes>> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method;
    *request.uri_mut() = url.as_str().parse().map_err(|_| Error::Malformed {
        doing: format!("asking {}", url.host_str().unwrap_or("nobody")),
        why: "the address can't be sent; is an id in it overlong?".into(),
    })?;
    Ok(request)
}

/// Certificate authorities for some hosts, beside the platform's.
#[derive(Clone, Debug)]
pub struct Trust {
    pub bundle: PathBuf,
    pub hosts: Vec<String>,
}

/// The real network: TLS 1.2 or later through rustls, the system's roots and where it is asked for some more,
/// `HTTPS_PROXY` honoured except for this machine's own addresses, never a redirect.
pub fn network(connect_timeout: Duration, trust: Option<Trust>) -> Result<Transport> {
    let usual = Clients::new(connect_timeout, Vec::new())?;
    let trusting = trust.map(|trust| Trusting::new(connect_timeout, trust)).transpose()?.map(Arc::new);
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let host = request.uri().host();
        let client = match trusting.as_ref().filter(|trusting| host.is_some_and(|host| trusting.is_for(host))) {
            Some(trusting) => trusting.client(host),
            None => usual.of(host).clone(),
        };
        async move {
            let request = reqwest::Request::try_from(request).map_err(|error| TransportError::Connect(chain(&error)))?;
            let mut response = client.execute(request).await.map_err(|error| from_reqwest(&error))?;
            let mut out = http::Response::new(Bytes::new());
            *out.status_mut() = response.status();
            *out.headers_mut() = response.headers().clone();
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|error| from_reqwest(&error))? {
                if body.len() + chunk.len() > BODY_CAP {
                    return Err(TransportError::TooLarge);
                }
                body.extend_from_slice(&chunk);
            }
            *out.body_mut() = body.into();
            Ok(out)
        }
    })))
}

/// One for the world, and one that no proxy sees.
#[derive(Clone)]
struct Clients {
    outward: reqwest::Client,
    direct: reqwest::Client,
}

impl Clients {
    fn new(connect_timeout: Duration, more: Vec<reqwest::Certificate>) -> Result<Clients> {
        let build = |proxy: bool| {
            let builder = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(connect_timeout)
                .pool_idle_timeout(Duration::from_secs(60))
                .min_tls_version(reqwest::tls::Version::TLS_1_2)
                .user_agent(concat!("unscim/", env!("CARGO_PKG_VERSION")));
            let builder = if more.is_empty() { builder } else { builder.tls_certs_merge(more.clone()) };
            if proxy { builder } else { builder.no_proxy() }
                .build()
                .map_err(|error| Error::Unreachable { doing: "starting the HTTP client".into(), cause: chain(&error) })
        };
        Ok(Clients { outward: build(true)?, direct: build(false)? })
    }

    fn of(&self, host: Option<&str>) -> &reqwest::Client {
        if is_loopback(host) || is_link_local(host) { &self.direct } else { &self.outward }
    }
}

/// Clients that trust a bundle; made anew when the file changes.
struct Trusting {
    connect_timeout: Duration,
    trust: Trust,
    now: Mutex<(FileState, Clients)>,
}

/// Enough to tell a changed file from the one before.
type FileState = Option<(SystemTime, u64)>;

impl Trusting {
    fn new(connect_timeout: Duration, trust: Trust) -> Result<Trusting> {
        let now = (state_of(&trust.bundle), Clients::new(connect_timeout, certificates(&trust.bundle, "caFile")?)?);
        Ok(Trusting { connect_timeout, trust, now: Mutex::new(now) })
    }

    fn is_for(&self, host: &str) -> bool {
        self.trust.hosts.iter().any(|trusted| trusted.eq_ignore_ascii_case(host))
    }

    fn client(&self, host: Option<&str>) -> reqwest::Client {
        let mut now = locked(&self.now);
        let state = state_of(&self.trust.bundle);
        if state != now.0 {
            now.0 = state;
            match certificates(&self.trust.bundle, "caFile").and_then(|more| Clients::new(self.connect_timeout, more)) {
                Ok(clients) => now.1 = clients,
                Err(error) => tracing::warn!(%error, "the certificate authorities read before stay trusted"),
            }
        }
        now.1.of(host).clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "it only tells a change; reading the file tells what is wrong with it")]
fn state_of(path: &Path) -> FileState {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len()))
}

/// `named` by this field or flag.
pub fn certificates(bundle: &Path, named: &str) -> Result<Vec<reqwest::Certificate>> {
    let fail = |cause: String| Error::File { what: bundle.display().to_string(), cause };
    let bytes = super::file::read(bundle)
        .map_err(|error| fail(format!("{error}; {named} must exist and be readable by the user this runs as")))?;
    let none = |why: &str| {
        fail(format!("no certificate (PEM) in it{why}; write the certificate authorities into it, or leave {named} out"))
    };
    let found =
        reqwest::Certificate::from_pem_bundle(&bytes).map_err(|error| none(&format!(" can be read: {}", chain(&error))))?;
    if found.is_empty() { Err(none("")) } else { Ok(found) }
}

/// No sockets: requests go straight into a router. Works under tokio's paused clock.
pub fn in_process(router: axum::Router) -> Transport {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let router = router.clone();
        async move {
            let Ok(response) = router.oneshot(request.map(axum::body::Body::from)).await;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, BODY_CAP).await.map_err(|_| TransportError::TooLarge)?;
            Ok(http::Response::from_parts(parts, body))
        }
    }))
}

/// `localhost`, 127.0.0.0/8 and ::1.
pub fn is_loopback(host: Option<&str>) -> bool {
    host.is_some_and(|host| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// Where a machine asks who it is: no proxy may answer in its place.
pub fn is_link_local(host: Option<&str>) -> bool {
    host.and_then(hint::<std::net::Ipv4Addr>).is_some_and(|ip| ip.is_link_local())
}

fn from_reqwest(error: &reqwest::Error) -> TransportError {
    if error.is_connect() {
        TransportError::Connect(chain(error))
    } else if error.is_timeout() {
        TransportError::TimedOut
    } else {
        TransportError::Broken(chain(error))
    }
}

/// The whole chain of causes; the outer one alone says little. URLs are left out: they could carry more than a host.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut parts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let text = text.split(" for url (").next().unwrap_or(&text).to_owned();
        if !parts.iter().any(|part: &String| part.contains(&text)) {
            parts.push(text);
        }
        next = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cant_be_sent_is_an_error_and_never_another_address() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(request(Method::GET, &url("https://a.example/s?x=1")).unwrap().uri(), "https://a.example/s?x=1");
        let overlong = url(&format!("https://a.example/{}", "x".repeat(70_000)));
        assert!(request(Method::GET, &overlong).unwrap_err().to_string().contains("can't be sent"));
    }
}
