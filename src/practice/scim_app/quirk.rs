//! Quirks of real SCIM services, as data.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::answer::Failure;
use super::store::field;

pub(super) const PAGE: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// Everything is an HTML page that calls itself SCIM, under this status.
    Html(u16),
    /// Everything is a firewall's 403 page.
    Firewall,
    /// Everything is a 302 to a login page.
    Redirect,
    /// Everything is a 503.
    Unavailable,
    /// Everything is a 429 with these seconds to wait.
    Throttled(u64),
    /// Every n-th request is answered so, with these seconds to wait.
    RateLimited { every: usize, status: u16, seconds: u64 },
    /// Bodies end half-way.
    Truncated,
    /// Filters are not looked at.
    IgnoresFilter,
    /// Filters are refused with this status.
    RefusesFilter(u16),
    /// A filter finds nobody, whoever is there.
    FilterFindsNobody,
    /// `startIndex` and `count` are not looked at: everything, always.
    IgnoresPaging,
    /// `startIndex` is not looked at: the first page, always.
    IgnoresStart,
    /// Neither is `count`: the first so many, always, and that is all that is counted.
    FirstOnly(usize),
    /// `startIndex` and `count` are refused with this status.
    RefusesPaging(u16),
    /// `count` is refused with this status.
    RefusesCount(u16),
    /// A page behind the end is refused with this status.
    RefusesBehindEnd(u16),
    /// Cursors (RFC 9865), and 501 to indexes; the service says so of itself.
    CursorOnly,
    /// No page is longer than this.
    PageCap(usize),
    /// `totalResults` counts the page.
    TotalIsPageLength,
    /// `totalResults` is a string.
    TotalAsString,
    /// `totalResults` is missing.
    NoTotal,
    /// `Resources` is missing.
    NoResources,
    /// `schemas` is missing from lists.
    NoSchemas,
    /// Lists call themselves something else.
    OtherSchema,
    /// This id is counted, but missing from lists.
    Drops(String),
    /// Behind the end the last page comes again.
    RepeatsLastPage,
    /// Every page begins with the last item of the one before.
    PagesOverlap,
    /// Cursors in place of indexes (RFC 9865).
    Cursors,
    /// All keys of lists in lower case.
    LowerCaseKeys,
    /// `active` is `"True"` or `"False"`.
    StringActive,
    /// `active` is missing.
    NoActive,
    /// `meta.created` is missing.
    NoCreated,
    /// `meta.created` is another with every answer.
    MovingCreated,
    /// A missing resource is a 404 without a SCIM error.
    PlainNotFound,
    /// A missing resource is told so with this status and body.
    NotFoundAs(u16, &'static str),
    /// Whoever asks for one resource is told that there is no such address.
    NoSingleReads,
    /// A refused token is told 404.
    DeadTokenNotFound,
    /// A refused token gets a page for people, with this status.
    DeadTokenHtml(u16),
    /// A token that never was one is told this status; one that was deleted keeps the standard's 401.
    UnknownToken(u16),
    /// What is no token by its form (a JWT, or the form of the one that is good) is told this status.
    MalformedToken(u16),
    /// Of a JWT's signature nobody looks: its claims alone open the door.
    IgnoresSignature,
    /// Any token opens the door.
    AcceptsAnyToken,
    /// A refusal repeats the token.
    EchoesToken,
    /// `/ServiceProviderConfig` wants a token too.
    ProtectsConfig,
    /// A change of `active` by path is refused with this status; without a path it is taken.
    RefusesActivePath(u16),
    /// `active` as a string is refused.
    RefusesStringActive,
    /// `members[value eq …]` is refused as a path.
    RefusesMemberFilter,
    /// Members to be removed are refused as a list of values.
    RefusesMemberList,
    /// Members who are added take the place of those who were there.
    AddReplacesMembers,
    /// Members who are removed as a list of values take all the others along.
    RemovalTakesAll,
}

/// What an app can make of a token that it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Nothing,
    /// It was good once.
    Deleted,
    /// It has the form of a token, and never was one.
    Unknown,
    Malformed,
}

impl Given {
    pub fn of(given: Option<&str>, deleted: &BTreeSet<String>, good: Option<&str>) -> Given {
        let Some(given) = given else { return Given::Nothing };
        let model = good.or(deleted.first().map(String::as_str)).unwrap_or_default();
        match given {
            _ if deleted.contains(given) => Given::Deleted,
            _ if is_formed_like(given, model) => Given::Unknown,
            _ => Given::Malformed,
        }
    }
}

/// For a JWT: it can be taken apart, each part whole. For others: the words in front are there, and the rest is hexadecimal or
/// base64 where it should be.
fn is_formed_like(given: &str, model: &str) -> bool {
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let json = |text: &str| part(text).is_some_and(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok());
    let is_jwt = |text: &str| {
        let parts: Vec<&str> = text.split('.').collect();
        parts.len() == 3 && json(parts[0]) && json(parts[1]) && part(parts[2]).is_some()
    };
    if is_jwt(model) {
        return is_jwt(given);
    }
    let halves =
        |text: &str| text.rsplit_once(['_', '~']).map_or((String::new(), text.to_owned()), |(a, b)| (a.into(), b.into()));
    let ((words, rest), (model_words, model_rest)) = (halves(given), halves(model));
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let decodes = !model.ends_with('=') || STANDARD.decode(given).is_ok();
    words == model_words && rest.len() == model_rest.len() && decodes && (is_hex(&rest) || !is_hex(&model_rest))
}

/// What a JWT claims, without its signature.
pub(super) fn claims(token: &str) -> Option<&str> {
    token.rsplit_once('.').map(|(claims, _)| claims)
}

impl Quirk {
    /// What is answered in place of the standard's 404.
    pub(super) fn not_found(&self) -> Option<Response> {
        match self {
            Quirk::PlainNotFound => Some((StatusCode::NOT_FOUND, "404 page not found").into_response()),
            Quirk::NotFoundAs(status, body) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::NOT_FOUND);
                Some((status, *body).into_response())
            }
            _ => None,
        }
    }

    /// What is answered to a refused token in place of the standard's 401.
    pub(super) fn refusal(&self, given: Given) -> Option<Response> {
        let of = |status: &u16| StatusCode::from_u16(*status).unwrap_or(StatusCode::UNAUTHORIZED);
        match (self, given) {
            (Quirk::DeadTokenHtml(status), _) => {
                Some((of(status), "<!DOCTYPE html><html><body>Sign in</body></html>").into_response())
            }
            (Quirk::MalformedToken(status), Given::Malformed)
            | (Quirk::UnknownToken(status), Given::Malformed | Given::Unknown) => {
                let body = serde_json::json!({"statusCode": status, "error": of(status).canonical_reason()});
                Some((of(status), body.to_string()).into_response())
            }
            _ => None,
        }
    }

    /// The answer that takes the place of every other one.
    pub(super) fn answer(&self, asked: usize) -> Option<Response> {
        const PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>";
        match self {
            Quirk::Html(status) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::OK);
                Some((status, [(header::CONTENT_TYPE, "application/scim+json")], PAGE).into_response())
            }
            Quirk::Firewall => Some((StatusCode::FORBIDDEN, [(header::CONTENT_TYPE, "text/html")], PAGE).into_response()),
            Quirk::Redirect => {
                Some((StatusCode::FOUND, [(header::LOCATION, "https://login.example/?next=scim")]).into_response())
            }
            Quirk::Unavailable => Some((StatusCode::SERVICE_UNAVAILABLE, "upstream connect error").into_response()),
            Quirk::RateLimited { every, status, seconds } if asked.is_multiple_of(*every) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
                Some((status, [(header::RETRY_AFTER, seconds.to_string())]).into_response())
            }
            Quirk::Throttled(seconds) => {
                Some((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())]).into_response())
            }
            _ => None,
        }
    }
}

/// One page of a list.
pub(super) struct Page<'a> {
    pub resources: Vec<&'a Value>,
    pub total: usize,
    pub start: Option<usize>,
    pub items_per_page: usize,
    pub next_cursor: Option<String>,
}

/// Cuts the page that was asked for, or the one that a quirk makes of it.
pub(super) fn page<'a>(all: &[&'a Value], query: &BTreeMap<String, String>, quirks: &BTreeSet<Quirk>) -> Page<'a> {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    let cap = quirks.iter().find_map(|quirk| if let Quirk::PageCap(cap) = quirk { Some(*cap) } else { None }).unwrap_or(PAGE);
    let count = number("count").map_or(cap, |count| usize::try_from(count).unwrap_or(0).min(cap));
    let mut start = number("startIndex").map_or(1, |start| usize::try_from(start).unwrap_or(1).max(1));
    let mut next_cursor = None;
    if quirks.contains(&Quirk::IgnoresStart) {
        start = 1;
    }
    if quirks.contains(&Quirk::Cursors) || quirks.contains(&Quirk::CursorOnly) {
        start = query.get("cursor").and_then(|text| text.strip_prefix("after-")?.parse::<usize>().ok()).map_or(1, |n| n + 1);
        let end = start - 1 + count;
        next_cursor = (end < all.len()).then(|| format!("after-{end}"));
    }
    if quirks.contains(&Quirk::PagesOverlap) {
        start = start.saturating_sub(1).max(1);
    }
    if quirks.contains(&Quirk::RepeatsLastPage) && start > all.len() && count > 0 {
        start = all.len().saturating_sub(1) / count * count + 1;
    }
    let first = quirks.iter().find_map(|quirk| if let Quirk::FirstOnly(first) = quirk { Some(*first) } else { None });
    if let Some(first) = first {
        let resources: Vec<&Value> = all.iter().take(first).copied().collect();
        let length = resources.len();
        return Page { resources, total: length, start: Some(1), items_per_page: length, next_cursor };
    }
    let whole = quirks.contains(&Quirk::IgnoresPaging);
    let mut resources: Vec<&Value> = if whole { all.to_vec() } else { all.iter().skip(start - 1).take(count).copied().collect() };
    let length = resources.len();
    resources.retain(|one| !quirks.iter().any(|quirk| matches!(quirk, Quirk::Drops(id) if one["id"] == id.as_str())));
    Page {
        resources,
        total: if quirks.contains(&Quirk::TotalIsPageLength) { length } else { all.len() },
        start: (!quirks.contains(&Quirk::Cursors) && !quirks.contains(&Quirk::CursorOnly)).then_some(if whole {
            1
        } else {
            start
        }),
        items_per_page: if whole { 20 } else { length },
        next_cursor,
    }
}

/// The status with which this question is refused, where it is.
pub(super) fn refused(all: usize, query: &BTreeMap<String, String>, quirks: &BTreeSet<Quirk>) -> Option<u16> {
    let (start, count) = (query.get("startIndex"), query.contains_key("count"));
    let behind = start.and_then(|start| start.parse::<usize>().ok()).is_some_and(|start| start > all.max(1));
    quirks.iter().find_map(|quirk| match quirk {
        Quirk::RefusesFilter(status) if query.contains_key("filter") => Some(*status),
        Quirk::RefusesPaging(status) if start.is_some() || count => Some(*status),
        Quirk::RefusesCount(status) if count => Some(*status),
        Quirk::RefusesBehindEnd(status) if behind => Some(*status),
        Quirk::CursorOnly if start.is_some() => Some(501),
        _ => None,
    })
}

/// One operation of a PatchOp as such a service understands it, or why it refuses it.
pub(super) fn understood(operation: &Value, quirks: &BTreeSet<Quirk>) -> Result<Value, Failure> {
    let text = |name: &str| field(operation, name).and_then(Value::as_str).unwrap_or_default();
    let (path, value) = (text("path").to_lowercase(), field(operation, "value"));
    let is = |op: &str| text("op").eq_ignore_ascii_case(op);
    let active =
        if path == "active" { value } else { value.and_then(|value| field(value, "active")).filter(|_| path.is_empty()) };
    let listed = path == "members" && value.is_some_and(Value::is_array);
    let mut operation = operation.clone();
    for quirk in quirks {
        match quirk {
            Quirk::RefusesActivePath(status) if path == "active" => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Err(Failure::new(status, None, "active can't be changed by its path"));
            }
            Quirk::RefusesStringActive if active.is_some_and(Value::is_string) => {
                return Err(Failure::invalid("invalidValue", "active is true or false"));
            }
            Quirk::RefusesMemberFilter if path.starts_with("members[") => {
                return Err(Failure::invalid("invalidPath", "Invalid SCIM path"));
            }
            Quirk::RefusesMemberList if is("remove") && listed => {
                return Err(Failure::invalid("invalidValue", "a removal has no value"));
            }
            Quirk::AddReplacesMembers if is("add") && listed => {
                operation = json!({"op": "replace", "path": path, "value": value})
            }
            Quirk::RemovalTakesAll if is("remove") && listed => operation = json!({"op": "remove", "path": path}),
            _ => {}
        }
    }
    Ok(operation)
}

/// Changes the look of one resource; `asked` is how many requests there were.
pub(super) fn render(fields: &mut Map<String, Value>, quirks: &BTreeSet<Quirk>, asked: usize) {
    if quirks.contains(&Quirk::StringActive)
        && let Some(Value::Bool(active)) = fields.get("active")
    {
        let text = if *active { "True" } else { "False" };
        fields.insert("active".into(), text.into());
    }
    if quirks.contains(&Quirk::NoActive) {
        fields.remove("active");
    }
    let Some(Value::Object(meta)) = fields.get_mut("meta") else { return };
    if quirks.contains(&Quirk::NoCreated) {
        meta.remove("created");
    }
    if quirks.contains(&Quirk::MovingCreated) {
        meta.insert(
            "created".into(),
            format!("2026-10-01T{:02}:{:02}:{:02}Z", asked / 3600 % 24, asked / 60 % 60, asked % 60).into(),
        );
    }
}

/// Changes the look of a finished list.
pub(super) fn disguise(body: &mut Value, quirks: &BTreeSet<Quirk>) {
    let Value::Object(fields) = body else { return };
    if quirks.contains(&Quirk::TotalAsString)
        && let Some(total) = fields.get("totalResults").cloned()
    {
        fields.insert("totalResults".into(), total.to_string().into());
    }
    if quirks.contains(&Quirk::NoTotal) {
        fields.remove("totalResults");
    }
    if quirks.contains(&Quirk::OtherSchema) {
        fields.insert("schemas".into(), "urn:scim:schemas:core:1.0".into());
    }
    if quirks.contains(&Quirk::NoSchemas) {
        fields.remove("schemas");
    }
    if quirks.contains(&Quirk::LowerCaseKeys) {
        if let Some(Value::Array(resources)) = fields.get_mut("Resources") {
            resources.iter_mut().filter_map(Value::as_object_mut).for_each(lower_keys);
        }
        lower_keys(fields);
    }
}

fn lower_keys(fields: &mut Map<String, Value>) {
    *fields = std::mem::take(fields).into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
}
