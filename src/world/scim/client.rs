//! One GET at a time: addresses, headers, and what a refusal means. It sends nothing but GET, and follows no redirect.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::wire::{self, Page};
use crate::model::id::ScimId;
use crate::model::observed::Observed;
use crate::model::snapshot::{BodyShape, Signature};
use crate::world::error::{Error, Result, hint, locked};
use crate::world::http::{Answer, Http, request};
use crate::world::secret::SecretFile;

/// The two kinds of resources that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Users,
    Groups,
}

impl Kind {
    pub fn segment(self) -> &'static str {
        match self {
            Kind::Users => "Users",
            Kind::Groups => "Groups",
        }
    }

    /// What trims an answer: nobody judges by member lists.
    pub fn trimming(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Users => &[],
            Kind::Groups => &[("excludedAttributes", "members")],
        }
    }

    /// The operation in the metrics: a list.
    pub fn listing(self) -> &'static str {
        match self {
            Kind::Users => "list_users",
            Kind::Groups => "list_groups",
        }
    }

    /// The operation in the metrics: one record.
    fn reading(self) -> &'static str {
        match self {
            Kind::Users => "get_user",
            Kind::Groups => "get_group",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Kind::Users => "user",
            Kind::Groups => "group",
        }
    }
}

/// What one look waits in all where the service asks for it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where it asks for no wait.
const SHORT_WAIT: Duration = Duration::from_secs(2);

pub struct Client {
    http: Http,
    base: Url,
    token: SecretFile,
    /// What is left of [`PATIENCE`].
    patience: Mutex<Duration>,
    /// In this look a list with entries did not call itself a ListResponse: this service names none.
    names_no_list: AtomicBool,
}

impl Client {
    pub fn new(http: Http, base: Url, token: SecretFile) -> Self {
        Client { http, base, token, patience: Mutex::new(PATIENCE), names_no_list: AtomicBool::new(false) }
    }

    /// A new look may wait anew, and nothing is known of how the service names its lists.
    pub fn begin_look(&self) {
        *locked(&self.patience) = PATIENCE;
        self.names_no_list.store(false, Ordering::Relaxed);
    }

    pub fn has_left_unnamed(&self) {
        self.names_no_list.store(true, Ordering::Relaxed);
    }

    pub fn names_no_list(&self) -> bool {
        self.names_no_list.load(Ordering::Relaxed)
    }

    /// The token as the file holds it now.
    pub fn token(&self) -> Result<SecretString> {
        self.token.read()
    }

    /// The base URL for messages: without its query string, which could hold more than an address.
    pub fn shown(&self) -> String {
        let (scheme, host) = (self.base.scheme(), self.base.host_str().unwrap_or_default());
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{host}{port}{}", self.base.path().trim_end_matches('/'))
    }

    /// The base URL with more path and more parameters; each segment is encoded whole.
    pub fn address(&self, doing: &str, segments: &[&str], parameters: &[(&str, &str)]) -> Result<Url> {
        let malformed = |why: &str| Error::Malformed { doing: doing.to_owned(), why: why.to_owned() };
        // A URL parser would walk up the path for these.
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(malformed("the id can't be part of an address"));
        }
        let mut url = self.base.clone();
        url.set_fragment(None);
        url.path_segments_mut().map_err(|()| malformed("the SCIM URL takes no path"))?.pop_if_empty().extend(segments);
        if !parameters.is_empty() {
            let ours = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().replace('+', "%20");
            let query = match url.query() {
                Some(theirs) if !theirs.is_empty() => format!("{theirs}&{ours}"),
                Some(_) | None => ours,
            };
            url.set_query(Some(&query));
        }
        Ok(url)
    }

    /// Sends one GET; `token` is left out of every text.
    pub async fn get(&self, operation: &'static str, doing: &str, url: &Url, token: Option<&SecretString>) -> Result<Answer> {
        let mut request: Request<Bytes> = request(Method::GET, url)?;
        let headers = request.headers_mut();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/scim+json, application/json"));
        if let Some(token) = token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).map_err(|_| Error::File {
                what: "the SCIM token".into(),
                cause: "it holds characters that can't be sent; write the token as the app showed it".into(),
            })?;
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        self.http.send(operation, doing, request).await
    }

    /// The same, and again after the wait that a service over its rate asks for, as long as the look has patience left.
    pub async fn get_patiently(
        &self,
        operation: &'static str,
        doing: &str,
        url: &Url,
        token: Option<&SecretString>,
    ) -> Result<Answer> {
        loop {
            let answer = self.get(operation, doing, url, token).await?;
            let Some(wait) = asks_to_wait(&answer) else { return Ok(answer) };
            let wait = wait.unwrap_or(SHORT_WAIT).max(Duration::from_secs(1));
            {
                let mut patience = locked(&self.patience);
                let Some(left) = patience.checked_sub(wait) else { return Ok(answer) };
                *patience = left;
            }
            self.http.observer().throttled(self.http.api(), wait);
            tokio::time::sleep(wait).await;
        }
    }

    /// Reads one resource by its id. `Absent` only where the service itself says so, in the standard's words or in its own.
    pub async fn read_one<T>(
        &self,
        kind: Kind,
        id: &ScimId,
        no_such: &[Signature],
        read: impl Fn(&Value) -> Result<(ScimId, T), String>,
    ) -> Result<Observed<T>> {
        let doing = format!("reading {} {id} at {}/{}", kind.singular(), self.shown(), kind.segment());
        let token = self.token()?;
        let answer = self.ask(kind, id, &doing, &token).await?;
        if says_missing(&answer) || (no_such.contains(&wire::signature(&answer)) && !contradicts(&answer)) {
            // Some services say 404 to a dead token too: absence counts only while the same token still opens the list. One that is
            // empty and has no name shows nothing; the one of users does.
            let list = if self.names_no_list() { Kind::Users } else { kind };
            self.opens(list, &token).await?;
            return Ok(Observed::Absent);
        }
        if answer.status != http::StatusCode::OK {
            return Err(self.refusal(&doing, &answer, &token));
        }
        let malformed = |why: String| Error::Malformed { doing: doing.clone(), why };
        let value = wire::resource(&answer.body).map_err(malformed)?;
        match read(&value) {
            Ok((found, one)) if found == *id => Ok(Observed::Known(one)),
            Ok(_) => Err(malformed("answers with another id".into())),
            Err(why) => Err(malformed(format!("the answer {why}"))),
        }
    }

    /// How many members the group's record has, whole as the service gives it; `None` where it does not say.
    pub async fn group_members(&self, id: &ScimId) -> Result<Option<u64>> {
        let doing = format!("reading the members of group {id} at {}/{}", self.shown(), Kind::Groups.segment());
        let token = self.token()?;
        let url = self.address(&doing, &[Kind::Groups.segment(), &id.to_string()], &[])?;
        let answer = self.get_patiently(Kind::Groups.reading(), &doing, &url, Some(&token)).await?;
        if answer.status != http::StatusCode::OK {
            return Err(self.refusal(&doing, &answer, &token));
        }
        let value = wire::resource(&answer.body).map_err(|why| Error::Malformed { doing, why })?;
        Ok(wire::members(&value))
    }

    /// What is answered when one record is asked for.
    pub async fn ask(&self, kind: Kind, id: &ScimId, doing: &str, token: &SecretString) -> Result<Answer> {
        let url = self.address(doing, &[kind.segment(), &id.to_string()], kind.trimming())?;
        self.get_patiently(kind.reading(), doing, &url, Some(token)).await
    }

    /// Fails unless the token opens a list at this moment.
    pub async fn opens(&self, kind: Kind, token: &SecretString) -> Result<Page> {
        let doing = format!("reading the beginning of {}/{}", self.shown(), kind.segment());
        let mut answer = self.get_patiently(kind.listing(), &doing, &self.first(kind, &doing)?, Some(token)).await?;
        if refuses_paging(answer.status.as_u16()) {
            answer = self.get_patiently(kind.listing(), &doing, &self.bare(kind, &doing)?, Some(token)).await?;
        }
        if answer.status != http::StatusCode::OK {
            return Err(self.refusal(&doing, &answer, token));
        }
        wire::page(&answer.body).map_err(|why| Error::Malformed { doing, why })
    }

    /// The address of a list's first entry.
    pub fn first(&self, kind: Kind, doing: &str) -> Result<Url> {
        self.address(doing, &[kind.segment()], &[("startIndex", "1"), ("count", "1")])
    }

    /// The same for a service that does not page.
    pub fn bare(&self, kind: Kind, doing: &str) -> Result<Url> {
        self.address(doing, &[kind.segment()], &[])
    }

    /// What the service says of itself: that its lists are read with cursors, and in no other way.
    pub async fn pages_by_cursor_only(&self, doing: &str, token: &SecretString) -> Result<bool> {
        let url = self.address(doing, &["ServiceProviderConfig"], &[])?;
        let answer = self.get_patiently("probe", doing, &url, Some(token)).await?;
        Ok(answer.status == http::StatusCode::OK && wire::is_cursor_only(&answer.body))
    }

    /// The look's patience is spent, and the service still asks to wait.
    pub fn throttled(&self, doing: &str, retry_after: Option<Duration>) -> Error {
        self.http.observer().throttled(self.http.api(), retry_after.unwrap_or_default());
        Error::Throttled { doing: doing.to_owned(), retry_after }
    }

    /// What an answer other than 200 means.
    pub fn refusal(&self, doing: &str, answer: &Answer, token: &SecretString) -> Error {
        if let Some(retry_after) = asks_to_wait(answer) {
            return self.throttled(doing, retry_after);
        }
        let doing = doing.to_owned();
        let status = answer.status.as_u16();
        let fault = wire::fault(&answer.body);
        let (scim_type, detail) = fault.map(|fault| (fault.scim_type, fault.detail)).unwrap_or_default();
        let code = scim_type.map(|code| clean(&code, token)).filter(|code| !code.is_empty());
        let code = code.unwrap_or_else(|| answer.status.canonical_reason().unwrap_or("unknown").to_lowercase());
        let body = match (detail.map(|text| clean(&text, token)), wire::shape(&answer.body)) {
            (Some(detail), _) if !detail.is_empty() => detail,
            (_, BodyShape::ScimError) => "a SCIM error without a detail".into(),
            (_, BodyShape::Empty) => "an empty body".into(),
            (_, BodyShape::Json) => "JSON that is not a SCIM error".into(),
            (_, BodyShape::Text) => "text that is not a SCIM error".into(),
            (_, BodyShape::Html) => "an HTML page".into(),
        };
        let message = match remedy(answer) {
            Some(remedy) => format!("{body}; {remedy}"),
            None => body,
        };
        let request_id = ["request-id", "x-request-id"].iter().find_map(|name| answer.header(name)).map(|id| clean(id, token));
        match status {
            401 | 403 => Error::Denied { doing, status, code, message, request_id },
            _ => Error::Refused { doing, status, code, message, request_id },
        }
    }
}

/// Statuses with which services refuse `startIndex` or `count` themselves.
pub fn refuses_paging(status: u16) -> bool {
    matches!(status, 400 | 422 | 500 | 501)
}

/// It is too much for the service now, and it says so; how long it wants us to wait, where it says that too.
pub fn asks_to_wait(answer: &Answer) -> Option<Option<Duration>> {
    match (answer.status.as_u16(), answer.retry_after()) {
        (429, wait) => Some(wait),
        (503, Some(wait)) => Some(Some(wait)),
        _ => None,
    }
}

/// The service's own word that a resource does not exist; a proxy's or a router's 404 is not that.
fn says_missing(answer: &Answer) -> bool {
    matches!(answer.status.as_u16(), 404 | 410) && wire::fault(&answer.body).is_some() && !contradicts(answer)
}

/// A SCIM error under another status than its own.
fn contradicts(answer: &Answer) -> bool {
    let said = wire::fault(&answer.body).and_then(|fault| fault.status);
    said.is_some_and(|said| said != u64::from(answer.status.as_u16()))
}

fn remedy(answer: &Answer) -> Option<String> {
    match answer.status.as_u16() {
        300..=399 => {
            let to = answer.header("location").and_then(hint::<Url>).and_then(|to| to.host_str().map(str::to_owned));
            let to = to.map(|host| format!(" to {host}")).unwrap_or_default();
            Some(format!("it redirects{to}, which is never followed: set the final SCIM base URL"))
        }
        401 => Some("is it the token that Entra uses?".into()),
        403 => Some("may this token read, and this address reach the service?".into()),
        404 | 410 => Some("is this the SCIM base URL?".into()),
        407 | 511 => Some("a proxy or a network in between wants a sign-in".into()),
        _ => None,
    }
}

/// The service's words, short, on one line, and without the token should it repeat it.
fn clean(text: &str, token: &SecretString) -> String {
    let text = text.replace(token.expose_secret(), "[token]");
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::world::http::{Api, Unobserved, in_process};

    fn address(base: &str, segments: &[&str], parameters: &[(&str, &str)]) -> Result<String> {
        let http = Http::new(in_process(axum::Router::new()), Api::Scim, Duration::from_secs(1), Arc::new(Unobserved));
        let client = Client::new(http, Url::parse(base).unwrap(), SecretFile::new("token".into()));
        client.address("reading", segments, parameters).map(String::from)
    }

    #[test]
    fn the_base_url_is_kept_with_its_path_and_query() {
        let count = [("count", "1")];
        for (base, expected) in [
            ("https://app.example", "https://app.example/Users?count=1"),
            ("https://app.example/scim/v2", "https://app.example/scim/v2/Users?count=1"),
            ("https://app.example/scim/v2/", "https://app.example/scim/v2/Users?count=1"),
            ("https://app.example/scim?aadOptscim062020", "https://app.example/scim/Users?aadOptscim062020&count=1"),
            ("https://app.example/scim/?a=%2F&b#top", "https://app.example/scim/Users?a=%2F&b&count=1"),
            ("https://app.example/scim?", "https://app.example/scim/Users?count=1"),
        ] {
            assert_eq!(address(base, &["Users"], &count).unwrap(), expected);
        }
        assert_eq!(address("https://a.example/s?x", &["Users"], &[]).unwrap(), "https://a.example/s/Users?x");
    }

    #[test]
    fn an_id_stays_one_segment() {
        for (id, expected) in [("a/b?c#d", "a%2Fb%3Fc%23d"), ("..%2f", "..%252f"), ("é x", "%C3%A9%20x"), ("a+b=", "a+b=")] {
            assert_eq!(
                address("https://a.example/s", &["Users", id], &[]).unwrap(),
                format!("https://a.example/s/Users/{expected}")
            );
        }
        for id in ["", ".", ".."] {
            assert!(address("https://a.example/s", &["Users", id], &[]).is_err(), "{id:?}");
        }
        // Dots written in percent are dots to a URL parser, so they must not stay as they came.
        assert!(address("https://a.example/s", &["Users", "%2e%2e"], &[]).unwrap().ends_with("/Users/%252e%252e"));
    }
}
