//! Asks Graph and reads its answers whole, one page after the other; never repeats a request, but for a 401 or a read's 429.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::batch::{self, Item, Order};
use super::pace::{Kind, Pace};
use super::token::TokenSource;
use super::wire::{Page, Refusal, Row, is_path_segment, shape};
use super::writes::Write;
use crate::world::Written;
use crate::world::error::{Error, Result};
use crate::world::http::{Answer, Http, request};

/// A collection with more pages than this is taken for endless.
const MOST_PAGES: usize = 2_000;
/// As an operation.
const BATCH: &str = "batch";
/// How often and how long in all a read waits for Graph's throttle.
const RETRIES: u32 = 3;
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer waits are asked for by nobody in earnest.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

pub struct GraphClient<T> {
    http: Http,
    token: T,
    /// With the version.
    root: Url,
    gate: Gate,
    pace: Arc<Pace>,
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
    fn units(&self) -> u32 {
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

    fn incomplete(&self, why: impl Into<String>) -> Error {
        Error::Incomplete { doing: self.doing.clone(), why: why.into() }
    }
}

/// A whole collection, ordered by key.
pub struct Listed<R> {
    /// The service's time of the first page.
    pub at: Option<Timestamp>,
    pub rows: Vec<R>,
}

/// How fresh a list must be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    Usual,
    /// Graph's index, which the advanced queries need.
    Eventual,
}

impl<T: TokenSource> GraphClient<T> {
    /// `root` is without the version.
    pub fn new(http: Http, token: T, mut root: Url, pace: Arc<Pace>) -> Self {
        if let Ok(mut path) = root.path_segments_mut() {
            path.pop_if_empty().push("v1.0");
        }
        GraphClient { http, token, root, gate: Gate::default(), pace }
    }

    /// With the version.
    pub fn root(&self) -> &Url {
        &self.root
    }

    pub fn token(&self) -> &T {
        &self.token
    }

    /// Reads one object.
    pub async fn get<W: DeserializeOwned>(&self, ask: &Ask, path: &[&str], query: &[(&str, &str)]) -> Result<W> {
        let request = request(http::Method::GET, &self.url(ask, path, query)?)?;
        let answer = self.exchange(ask, request, &mut Patience::of_a_read()).await?;
        self.read(ask, &answer)
    }

    /// Reads a collection to its end, or not at all.
    pub async fn list<R: Row>(
        &self,
        ask: &Ask,
        path: &[&str],
        query: &[(&str, &str)],
        consistency: Consistency,
    ) -> Result<Listed<R>> {
        let mut patience = Patience::of_a_read();
        let mut visited = BTreeSet::new();
        let mut rows: BTreeMap<String, R> = BTreeMap::new();
        let mut url = self.url(ask, path, query)?;
        let mut at = None;
        while visited.insert(url.to_string()) {
            if visited.len() > MOST_PAGES {
                return Err(ask.incomplete(format!("it has more than {MOST_PAGES} pages")));
            }
            let mut request = request(http::Method::GET, &url)?;
            request.headers_mut().insert("x-ms-throttle-priority", HeaderValue::from_static("Low"));
            if consistency == Consistency::Eventual {
                request.headers_mut().insert("consistencylevel", HeaderValue::from_static("eventual"));
            }
            let number = visited.len();
            let page: Result<(Page<R>, Option<Timestamp>)> = async {
                let answer = self.exchange(ask, request, &mut patience).await?;
                Ok((self.read(ask, &answer)?, answer.at))
            }
            .await;
            let (page, date) = page.map_err(|error| on_page(ask, number, error))?;
            if number == 1 {
                at = date;
            }
            for row in page.value {
                let key = row.key();
                match rows.get(&key) {
                    Some(known) if *known != row => {
                        return Err(ask.incomplete(format!("{key} came twice and differs; it changed while it was read")));
                    }
                    Some(_) => {}
                    None => {
                        rows.insert(key, row);
                    }
                }
            }
            match page.next {
                Some(next) => url = self.follow(&next).map_err(|why| ask.malformed(why))?,
                None => return Ok(Listed { at, rows: rows.into_values().collect() }),
            }
        }
        Err(ask.incomplete("its pages lead back to one that was already read"))
    }

    /// Sends one write, once.
    pub async fn write(&self, ask: &Ask, write: &Write<'_>) -> Result<Written> {
        let item = self.item(ask, write)?;
        let mut request = request(item.method, &self.below(ask, &item.url)?)?;
        if let Some(body) = item.body {
            *request.body_mut() = Bytes::from(body);
            request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let answer = self.exchange(ask, request, &mut Patience::of_a_write()).await?;
        concluded(ask, write, &answer)
    }

    /// Sends writes in one request, once, and gives each its own outcome, in their order.
    pub async fn write_together(&self, writes: &[(Ask, Write<'_>)], order: Order) -> Vec<Result<Written>> {
        let items: Vec<Result<Item>> = writes.iter().map(|(ask, write)| self.item(ask, write)).collect();
        let mut outcomes: Vec<Option<Result<Written>>> = Vec::new();
        let (mut sent, mut envelope) = (Vec::new(), Vec::new());
        for (write, item) in writes.iter().zip(items) {
            match item {
                Ok(item) => {
                    sent.push(write);
                    envelope.push(item);
                    outcomes.push(None);
                }
                Err(error) => outcomes.push(Some(Err(error))),
            }
        }
        let mut answers = self.together(&envelope, order, &sent).await.into_iter();
        let outcome =
            |known: Option<Result<Written>>| known.or_else(|| answers.next()).expect("an outcome for each that was sent");
        outcomes.into_iter().map(outcome).collect()
    }

    async fn together(&self, items: &[Item], order: Order, writes: &[&(Ask, Write<'_>)]) -> Vec<Result<Written>> {
        let Some((first, _)) = writes.first() else { return Vec::new() };
        let doing = |ask: &Ask| format!("{}, in a batch of {}", ask.doing, items.len());
        let whole = Ask { operation: BATCH, needs: first.needs, doing: doing(first) };
        match self.envelope(&whole, items, order, &mut Patience::of_a_write()).await {
            Ok(answers) => {
                let outcome = |((ask, write), answer): (&&(Ask, Write<'_>), Option<Answer>)| match answer {
                    Some(answer) => self.item_concluded(ask, write, &answer),
                    None => Err(ask.malformed("the answer to its batch does not name it")),
                };
                writes.iter().zip(answers).map(outcome).collect()
            }
            Err(error) => writes.iter().map(|(ask, _)| Err(error.about(&doing(ask)))).collect(),
        }
    }

    /// Sends an envelope and takes its answer apart.
    async fn envelope(&self, ask: &Ask, items: &[Item], order: Order, patience: &mut Patience) -> Result<Vec<Option<Answer>>> {
        let mut request = request(http::Method::POST, &self.below(ask, "/$batch")?)?;
        *request.body_mut() = Bytes::from(batch::envelope(items, order));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.exchange(ask, request, patience).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(ask, &answer));
        }
        batch::answers(&answer, items.len()).map_err(|why| ask.malformed(format!("{why}: {}", shape(&answer.body))))
    }

    /// An item of a batch is throttled by itself, and its wait holds for everything of ours.
    fn item_concluded(&self, ask: &Ask, write: &Write<'_>, answer: &Answer) -> Result<Written> {
        self.http.observer().answered_in_batch(self.http.api(), ask.operation, answer.status.as_str());
        self.heed(Kind::Write, answer);
        match answer.status.as_u16() {
            429 => Err(Error::Throttled { doing: ask.doing.clone(), retry_after: Some(self.throttled(Kind::Write, answer, 0)) }),
            401 => {
                self.token.forget();
                concluded(ask, write, answer)
            }
            _ => concluded(ask, write, answer),
        }
    }

    fn item(&self, ask: &Ask, write: &Write<'_>) -> Result<Item> {
        let (method, path, body) = write.request();
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let url = self.url(ask, &segments, &[])?;
        let url = url.path().strip_prefix(self.root.path()).unwrap_or_default().to_owned();
        Ok(Item { method, url, headers: Vec::new(), body })
    }

    /// A path below the version.
    fn below(&self, ask: &Ask, path: &str) -> Result<Url> {
        Url::parse(&format!("{}{path}", self.root.as_str().trim_end_matches('/')))
            .map_err(|_| ask.malformed("no URL comes of it"))
    }

    fn heed(&self, kind: Kind, answer: &Answer) {
        if let Some(fraction) = answer.header("x-ms-throttle-limit-percentage").and_then(|text| text.trim().parse().ok()) {
            self.pace.heed(kind, fraction);
        }
    }

    /// What a 429 means for everything that follows: how long nothing of ours goes out.
    fn throttled(&self, kind: Kind, answer: &Answer, used: u32) -> Duration {
        let wait = answer.retry_after().unwrap_or(Duration::from_secs(1 << used)).min(LONGEST_WAIT);
        self.gate.close(wait);
        self.pace.throttled(kind);
        self.http.observer().throttled(self.http.api(), wait);
        wait
    }

    fn read<W: DeserializeOwned>(&self, ask: &Ask, answer: &Answer) -> Result<W> {
        if answer.status != StatusCode::OK {
            return Err(refused(ask, answer));
        }
        if answer.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ask.malformed(format!("{} in place of a JSON object", shape(&answer.body))));
        }
        let mut json = serde_json::Deserializer::from_slice(&answer.body);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.into_inner());
            let text = inner.to_string();
            ask.malformed(match shape(&answer.body) {
                _ if inner.is_eof() => "the JSON ends too early".to_owned(),
                // Other texts than this one could repeat a value.
                _ if text.starts_with("missing field") => format!("at {path}: {text}"),
                shape => format!("{shape}, at {path} (line {}, column {})", inner.line(), inner.column()),
            })
        })?;
        json.end().map_err(|_| ask.malformed("there is more behind the JSON"))?;
        Ok(read)
    }

    async fn exchange(&self, ask: &Ask, mut request: Request<Bytes>, patience: &mut Patience) -> Result<Answer> {
        if request.uri().host().is_none() {
            return Err(ask.malformed("the URL can't be sent"));
        }
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert("return-client-request-id", HeaderValue::from_static("true"));
        let mut renewed = false;
        loop {
            let token = self.token.token().await?;
            if patience.kind == Kind::Read {
                self.pace.units(ask.units()).await;
            }
            self.gate.pass(ask, patience).await?;
            let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                .map_err(|_| ask.malformed("the access token can't stand in a header"))?;
            bearer.set_sensitive(true);
            let mut sent = request.clone();
            sent.headers_mut().insert(header::AUTHORIZATION, bearer);
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
                    return Ok(answer);
                }
            }
        }
    }

    fn url(&self, ask: &Ask, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
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
    fn follow(&self, next: &str) -> Result<Url, String> {
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

/// What the answer to a write says of it.
fn concluded(ask: &Ask, write: &Write<'_>, answer: &Answer) -> Result<Written> {
    let already = if answer.status.is_success() {
        write.check(&answer.body).map_err(|why| ask.malformed(format!("{}: {why}", answer.status.as_u16())))?;
        false
    } else if Refusal::parse(&answer.body).is_some_and(|refusal| write.was_so(answer.status.as_u16(), &refusal)) {
        true
    } else {
        return Err(refused(ask, answer));
    };
    Ok(Written {
        at: answer.at.ok_or_else(|| ask.malformed("the answer has no Date header"))?,
        already,
        request_id: answer.header("request-id").map(str::to_owned),
        client_request_id: answer.client_request_id.clone(),
    })
}

/// What a refused or strange answer means.
fn refused(ask: &Ask, answer: &Answer) -> Error {
    let status = answer.status.as_u16();
    let refusal = Refusal::parse(&answer.body);
    let header = answer.header("request-id").map(str::to_owned);
    let request_id = header.or_else(|| refusal.as_ref().and_then(|refusal| refusal.request_id.clone()));
    let doing = ask.doing.clone();
    let Some(refusal) = refusal else {
        let what = shape(&answer.body);
        if answer.status.is_success() {
            return ask.malformed(format!("{status} with {what}"));
        }
        let (code, message) = ("without a Graph error".to_owned(), what.to_owned());
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

/// A refusal on a later page says nothing about the collection itself, only that it could not be read to its end.
fn on_page(ask: &Ask, number: usize, error: Error) -> Error {
    match error {
        Error::NotFound { .. } | Error::Refused { .. } if number > 1 => ask.incomplete(format!("page {number}: {error}")),
        Error::Malformed { doing, why } if number > 1 => Error::Malformed { doing, why: format!("page {number}: {why}") },
        other => other,
    }
}

fn repeats(body: &[u8], secret: &str) -> bool {
    !secret.is_empty() && body.windows(secret.len()).any(|window| window == secret.as_bytes())
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
struct Patience {
    kind: Kind,
    tries: u32,
    used: u32,
    left: Duration,
}

impl Patience {
    fn of_a_read() -> Self {
        Patience { kind: Kind::Read, tries: RETRIES, used: 0, left: PATIENCE }
    }

    /// It may wait for an earlier throttle to end, but is never sent again.
    fn of_a_write() -> Self {
        Patience { kind: Kind::Write, tries: 0, used: 0, left: PATIENCE }
    }

    fn once_more(&mut self, wait: Duration) -> bool {
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
        let mut opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        *opens = Some(opens.map_or(until, |known| known.max(until)));
    }

    async fn pass(&self, ask: &Ask, patience: &mut Patience) -> Result<()> {
        loop {
            let opens = *self.opens.lock().unwrap_or_else(PoisonError::into_inner);
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
