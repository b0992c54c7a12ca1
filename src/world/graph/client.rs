//! Asks Graph: tokens, throttles, envelopes, refusals. Never repeats a request, but for a 401 or a read's 429; what is asked is
//! in `fetch` and `send`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use url::Url;

use super::batch::{self, Item, Order};
use super::pace::{Kind, Pace};
use super::service_clock::ServiceClock;
use super::token::TokenSource;
use super::wire::{Refusal, is_path_segment, shape};
use crate::world::LastWord;
use crate::world::error::{Error, NOT_ITS_OWN, Result, hint, locked};
use crate::world::http::{Answer, Http, request};

/// As an operation.
const BATCH: &str = "batch";
/// How often and how long in all a read waits for Graph's throttle.
const RETRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer waits are asked for by nobody in earnest.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

pub struct GraphClient<T> {
    http: Http,
    pub(super) token: T,
    /// With the version.
    pub(super) root: Url,
    gate: Gate,
    clock: ServiceClock,
    pub(super) pace: Arc<Pace>,
}

/// What is asked, in words.
pub struct Ask {
    /// For the metrics.
    pub operation: &'static str,
    /// Permissions that would do, for a 403.
    pub needs: &'static str,
    /// Opens every error's sentence.
    pub doing: String,
}

impl Ask {
    /// Resource units, by Microsoft's table; `$select` takes one off.
    pub(super) fn units(&self) -> u32 {
        match self.operation {
            "list_members" | "list_member_properties" => 2,
            _ => 1,
        }
    }

    pub fn malformed(&self, why: impl Into<String>) -> Error {
        Error::Malformed { doing: self.doing.clone(), why: why.into() }
    }

    pub fn ambiguous(&self, why: impl Into<String>) -> Error {
        Error::Ambiguous { doing: self.doing.clone(), why: why.into() }
    }

    pub(super) fn incomplete(&self, why: impl Into<String>) -> Error {
        Error::Incomplete { doing: self.doing.clone(), why: why.into() }
    }
}

impl<T: TokenSource> GraphClient<T> {
    /// `root` is without the version.
    pub fn new(http: Http, token: T, mut root: Url, pace: Arc<Pace>) -> Self {
        if let Ok(mut path) = root.path_segments_mut() {
            path.pop_if_empty().push("v1.0");
        }
        GraphClient { http, token, root, gate: Gate::default(), clock: ServiceClock::default(), pace }
    }

    /// Sends requests in one envelope; an answer for each, in their order.
    pub(super) async fn envelope(
        &self,
        asks: &[&Ask],
        items: &[Item],
        order: Order,
        patience: &mut Patience<'_>,
    ) -> Vec<Result<Answer>> {
        let Some(&first) = asks.first() else { return Vec::new() };
        let doing = |ask: &Ask| format!("{}, in a batch of {}", ask.doing, items.len());
        let whole = Ask { operation: BATCH, needs: first.needs, doing: doing(first) };
        match self.together(&whole, items, order, patience).await {
            Ok(answers) => {
                let named = |(&ask, answer): (&&Ask, Option<Answer>)| {
                    let answer = answer.ok_or_else(|| ask.malformed("the answer to its batch does not name it"))?;
                    self.http.observer().answered_in_batch(self.http.api(), ask.operation, answer.status.as_str());
                    self.heed(patience.kind, &answer);
                    Ok(answer)
                };
                asks.iter().zip(answers).map(named).collect()
            }
            Err(error) => asks.iter().map(|&ask| Err(error.about(&doing(ask)))).collect(),
        }
    }

    async fn together(
        &self,
        ask: &Ask,
        items: &[Item],
        order: Order,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<Option<Answer>>> {
        let mut request = request(http::Method::POST, &self.below(ask, "/$batch")?)?;
        *request.body_mut() = Bytes::from(batch::envelope(items, order));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.exchange(ask, request, patience).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(ask, &answer));
        }
        batch::answers(&answer, items.len()).map_err(|why| ask.malformed(format!("{why}: {}", shape(&answer.body))))
    }

    /// A path below the version.
    pub(super) fn below(&self, ask: &Ask, path: &str) -> Result<Url> {
        Url::parse(&format!("{}{path}", self.root.as_str().trim_end_matches('/')))
            .map_err(|_| ask.malformed("no URL comes of it"))
    }

    fn heed(&self, kind: Kind, answer: &Answer) {
        if let Some(fraction) = answer.header("x-ms-throttle-limit-percentage").and_then(|text| hint(text.trim())) {
            self.pace.heed(kind, fraction);
        }
    }

    /// What a 429 means for everything that follows: how long nothing of ours goes out.
    pub(super) fn throttled(&self, kind: Kind, answer: &Answer, used: u32) -> Duration {
        let wait = answer.retry_after().unwrap_or(Duration::from_secs(1 << used)).min(LONGEST_WAIT);
        self.gate.close(wait);
        self.pace.throttled(kind);
        self.http.observer().throttled(self.http.api(), wait);
        wait
    }

    pub(super) async fn exchange(&self, ask: &Ask, mut request: Request<Bytes>, patience: &mut Patience<'_>) -> Result<Answer> {
        if request.uri().host().is_none() {
            return Err(ask.malformed("the URL can't be sent"));
        }
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert("return-client-request-id", HeaderValue::from_static("true"));
        let (mut renewed, mut odd) = (false, None);
        loop {
            let token = self.token.token().await?;
            self.gate.pass(ask, patience).await?;
            if let Some(why) = patience.last_word.and_then(|asked| asked()) {
                return Err(Error::Withheld { doing: ask.doing.clone(), why });
            }
            let bearer = bearer(ask, &token)?;
            let mut sent = request.clone();
            sent.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
            let mut answer = self.http.send(ask.operation, &ask.doing, sent).await?;
            self.heed(patience.kind, &answer);
            match answer.status.as_u16() {
                // Nothing was done for a request that was not let in, so it may go once more, a write too.
                401 if !renewed => {
                    renewed = true;
                    self.token.forget();
                }
                429 => {
                    let wait = self.throttled(patience.kind, &answer, patience.used);
                    if !patience.once_more(wait) {
                        return Err(Error::Throttled { doing: ask.doing.clone(), retry_after: Some(wait) });
                    }
                }
                status => {
                    if let (503, Some(wait)) = (status, answer.retry_after()) {
                        self.gate.close(wait.min(LONGEST_WAIT));
                    }
                    if (!answer.status.is_success() || ask.operation == BATCH) && repeats(&answer.body, token.expose_secret()) {
                        answer.body = Bytes::new();
                    }
                    match (answer.at.filter(|at| self.clock.is_odd(*at)), patience.kind, odd) {
                        // A read is asked once more what time it is.
                        (Some(at), Kind::Read, None) => {
                            odd = Some(at);
                            continue;
                        }
                        (Some(at), Kind::Read, Some(before)) if !ServiceClock::agree(before, at) => {
                            return Err(ask.malformed(format!("its Date runs away: {before}, and then {at}")));
                        }
                        // A write is not sent twice: what was read last is read once more, for the time alone. Where that tells
                        // another one, a look has to tell when it was done.
                        (Some(at), Kind::Write, _) => {
                            let again = self.what_time(bearer).await;
                            answer.at = again.filter(|again| ServiceClock::agree(at, *again)).map(|_| at);
                        }
                        _ => {}
                    }
                    if let Some(at) = answer.at {
                        self.clock.believe(at);
                        if request.method() == http::Method::GET {
                            self.clock.was_read(ask.operation, request.uri().clone());
                        }
                    }
                    return Ok(answer);
                }
            }
        }
    }

    async fn what_time(&self, bearer: HeaderValue) -> Option<Timestamp> {
        let (operation, uri) = self.clock.last_read()?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        match self.http.send(operation, "asking what time it is", request).await {
            Ok(answer) => answer.at,
            Err(_) => None,
        }
    }

    pub(super) fn url(&self, ask: &Ask, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        if let Some(bad) = path.iter().find(|segment| !is_path_segment(segment)) {
            return Err(ask.malformed(format!("{bad:?} can't be an id")));
        }
        let mut url = self.root.clone();
        url.path_segments_mut().map_err(|()| ask.malformed("the root of Graph can't carry a path"))?.extend(path);
        if !query.is_empty() {
            let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        Ok(url)
    }

    /// The token goes with the request, so a link elsewhere is not followed.
    pub(super) fn follow(&self, next: &str) -> Result<Url, String> {
        let url = Url::parse(next).map_err(|_| "the link to the next page is not a URL")?;
        let origin = |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
        if origin(&url) != origin(&self.root) || !url.username().is_empty() || url.password().is_some() {
            let host = url.host_str().unwrap_or("nowhere");
            return Err(format!("the link to the next page leads away from Graph, to {host}; it was not followed"));
        }
        if !url.path().starts_with(&format!("{}/", self.root.path())) {
            return Err("the link to the next page leads out of v1.0; it was not followed".into());
        }
        Ok(url)
    }
}

fn bearer(ask: &Ask, token: &SecretString) -> Result<HeaderValue> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(|_| ask.malformed("the access token can't stand in a header"))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// What a refused or strange answer means.
pub(super) fn refused(ask: &Ask, answer: &Answer) -> Error {
    let status = answer.status.as_u16();
    let refusal = Refusal::parse(&answer.body);
    let header = answer.header("request-id").map(str::to_owned);
    let request_id = header.or_else(|| refusal.as_ref().and_then(|refusal| refusal.request_id.clone()));
    let doing = ask.doing.clone();
    if let Some(message) = challenged(answer, refusal.as_ref()) {
        let code = refusal.map_or_else(|| INSUFFICIENT_CLAIMS.to_owned(), |refusal| refusal.code);
        return Error::Denied { doing, status, code, message, request_id };
    }
    let Some(refusal) = refusal else {
        let what = shape(&answer.body);
        if answer.status.is_success() {
            return ask.malformed(format!("{status} with {what}"));
        }
        let (code, message) = (NOT_ITS_OWN.to_owned(), what.to_owned());
        return match status {
            401 | 403 => Error::Denied { doing, status, code, message, request_id },
            _ => Error::Refused { doing, status, code, message, request_id },
        };
    };
    let Refusal { code, mut message, .. } = refusal.clone();
    match status {
        401 => {
            message.push_str("; the token was refused twice, check tenantId and clientId");
            Error::Denied { doing, status, code, message, request_id }
        }
        403 => {
            message.push_str(&format!("; give the credential {} (application permission, with admin consent)", ask.needs));
            Error::Denied { doing, status, code, message, request_id }
        }
        404 if refusal.is_not_found() => Error::NotFound { doing, request_id },
        _ => Error::Refused { doing, status, code, message, request_id },
    }
}

const INSUFFICIENT_CLAIMS: &str = "insufficient_claims";

/// Where the service wants a token that says more than ours (continuous access evaluation): it is who we are and where we come
/// from that stand in the way, and no permission or id would help.
fn challenged(answer: &Answer, refusal: Option<&Refusal>) -> Option<String> {
    let challenge = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        text.contains(INSUFFICIENT_CLAIMS) || [" claims=", ",claims="].iter().any(|claims| text.contains(claims))
    };
    let asks = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().any(challenge);
    let says = refusal.is_some_and(|refusal| refusal.code.eq_ignore_ascii_case(INSUFFICIENT_CLAIMS));
    let what = match answer.status.as_u16() {
        401 if asks || says => "the token was revoked by continuous access evaluation, and a fresh one was refused too",
        403 if asks || says => "the token was refused by Conditional Access",
        _ => return None,
    };
    Some(format!(
        "{what}: most often a Conditional Access policy for workload identities does not allow our address, else the application is disabled, deleted or at risk; the \
         service principal sign-ins in Entra's sign-in logs say which. Allow the address, or exclude the service principal from the policy"
    ))
}

fn repeats(body: &[u8], secret: &str) -> bool {
    !secret.is_empty() && body.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// The path of a read or a write, below the version.
pub(super) fn path(segments: &[&str]) -> Vec<String> {
    segments.iter().map(|segment| (*segment).to_owned()).collect()
}

/// Percent-encoded for a query, with `$`, `,` and the like left readable.
fn encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'$' | b',' | b'(' | b')' | b'/' | b':' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// How long one call puts up with being throttled.
pub(super) struct Patience<'a> {
    kind: Kind,
    tries: u32,
    pub(super) used: u32,
    left: Duration,
    last_word: Option<LastWord<'a>>,
}

impl<'a> Patience<'a> {
    pub(super) fn of_a_read() -> Self {
        Patience { kind: Kind::Read, tries: RETRIES, used: 0, left: PATIENCE, last_word: None }
    }

    /// It may wait for an earlier throttle to end, but is never sent again.
    pub(super) fn of_a_write(last_word: LastWord<'a>) -> Self {
        Patience { kind: Kind::Write, tries: 0, used: 0, left: PATIENCE, last_word: Some(last_word) }
    }

    pub(super) fn once_more(&mut self, wait: Duration) -> bool {
        let may = self.used < self.tries && wait <= self.left;
        self.used += 1;
        may
    }
}

/// Shut after a 429 until the time Graph named, for every request of ours.
#[derive(Default)]
struct Gate {
    opens: Mutex<Option<Instant>>,
}

impl Gate {
    fn close(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut opens = locked(&self.opens);
        *opens = Some(opens.map_or(until, |known| known.max(until)));
    }

    async fn pass(&self, ask: &Ask, patience: &mut Patience<'_>) -> Result<()> {
        loop {
            let opens = *locked(&self.opens);
            let wait = opens.map_or(Duration::ZERO, |opens| opens.saturating_duration_since(Instant::now()));
            if wait.is_zero() {
                return Ok(());
            }
            if wait > patience.left {
                return Err(Error::Throttled { doing: ask.doing.clone(), retry_after: Some(wait) });
            }
            patience.left -= wait;
            tokio::time::sleep(wait).await;
        }
    }
}
