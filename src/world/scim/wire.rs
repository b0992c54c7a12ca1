//! Reading what SCIM services write: lenient about a resource, strict about what may count as evidence. No input or output.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::model::id::ScimId;
use crate::model::snapshot::{BodyShape, ScimGroup, ScimUser, Signature};
use crate::world::error::hint;
use crate::world::http::Answer;

const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// One page of a list, its resources still as they came.
#[derive(Debug)]
pub struct Page {
    /// `totalResults`, where the service gives it.
    pub total: Option<u64>,
    pub resources: Vec<Value>,
    /// `nextCursor` (RFC 9865).
    pub next: Option<String>,
    /// `startIndex`: to which question this is the answer.
    pub start: Option<u64>,
    /// `itemsPerPage`.
    pub per_page: Option<u64>,
    /// It calls itself a ListResponse.
    pub named: bool,
}

/// A SCIM error body (RFC 7644 section 3.12).
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The status it repeats, where it does.
    pub status: Option<u64>,
    pub scim_type: Option<String>,
    pub detail: Option<String>,
}

pub const UNNAMED: &str = "answers an empty list that does not call itself a SCIM ListResponse, which proves nothing";

/// Reads a page that stands by itself. An empty one counts only where it calls itself a ListResponse.
pub fn page(body: &[u8]) -> Result<Page, String> {
    let page = part(body)?;
    if page.resources.is_empty() && !page.named { Err(UNNAMED.into()) } else { Ok(page) }
}

/// Reads a page of a list; whether an empty one counts is for the caller to judge.
pub fn part(body: &[u8]) -> Result<Page, String> {
    let value = object(body)?;
    if has_schema(&value, ERROR) {
        return Err("answers success with a SCIM error in it".into());
    }
    let total = match field(&value, "totalResults") {
        None | Some(Value::Null) => None,
        Some(total) => Some(number(total).ok_or("answers a totalResults that is not a count")?),
    };
    let listed = match field(&value, "Resources") {
        None | Some(Value::Null) => None,
        Some(Value::Array(resources)) => Some(resources.len()),
        Some(_) => return Err("answers Resources that are not a list".into()),
    };
    if total.is_none() && listed.is_none() {
        return Err(
            "answers JSON that is not a SCIM list: it has neither totalResults nor Resources; is this the SCIM base URL?".into(),
        );
    }
    let next = field(&value, "nextCursor").and_then(Value::as_str).filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    let (start, per_page) = (field(&value, "startIndex").and_then(number), field(&value, "itemsPerPage").and_then(number));
    Ok(Page { total, next, start, per_page, named: has_schema(&value, LIST), resources: take_list(value) })
}

/// Reads one resource's body.
pub fn resource(body: &[u8]) -> Result<Value, String> {
    let value = object(body)?;
    match () {
        () if has_schema(&value, ERROR) => Err("answers success with a SCIM error in it".into()),
        () if has_schema(&value, LIST) => Err("answers a list where one resource was asked for".into()),
        () => Ok(value),
    }
}

pub fn user(value: &Value) -> Result<ScimUser, String> {
    Ok(ScimUser {
        id: id(value)?,
        user_name: text(value, "userName").map(Arc::from),
        external_id: text(value, "externalId").map(Arc::from),
        active: match field(value, "active") {
            Some(Value::Bool(active)) => Some(*active),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        },
        created: created(value),
    })
}

/// `meta.created`. A time without a zone is taken as it stands: it is only ever held against another of its kind.
fn created(value: &Value) -> Option<Timestamp> {
    let text = text(field(value, "meta")?, "created")?;
    hint(text.trim()).or_else(|| hint(&format!("{}Z", text.trim())))
}

pub fn group(value: &Value) -> Result<ScimGroup, String> {
    Ok(ScimGroup { id: id(value)?, display_name: text(value, "displayName"), external_id: text(value, "externalId") })
}

/// How many members a group's record has; `None` where it does not say.
pub fn members(value: &Value) -> Option<u64> {
    field(value, "members").and_then(Value::as_array).map(|members| members.len() as u64)
}

/// The SCIM error in a body, where it is one.
pub fn fault(body: &[u8]) -> Option<Fault> {
    #[expect(clippy::disallowed_methods, reason = "what is no JSON is no SCIM error either")]
    let value = object(body).ok().filter(|value| has_schema(value, ERROR))?;
    let status = field(&value, "status").and_then(number);
    Some(Fault { status, scim_type: text(&value, "scimType"), detail: text(&value, "detail") })
}

/// A ServiceProviderConfig that offers cursors (RFC 9865) and no indexes.
pub fn is_cursor_only(body: &[u8]) -> bool {
    let Ok(config) = object(body) else { return false };
    let says = |name| field(&config, "pagination").and_then(|pagination| field(pagination, name)).and_then(Value::as_bool);
    says("cursor") == Some(true) && says("index") == Some(false)
}

/// What kind of body it is; headers prove nothing.
pub fn shape(body: &[u8]) -> BodyShape {
    let body = trim(body);
    if body.is_empty() {
        return BodyShape::Empty;
    }
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return match value {
            Value::Object(_) if has_schema(&value, ERROR) => BodyShape::ScimError,
            Value::Object(_) | Value::Array(_) => BodyShape::Json,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BodyShape::Text,
        };
    }
    let head = String::from_utf8_lossy(&body[..body.len().min(2048)]).to_ascii_lowercase();
    let html = ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| head.contains(tag));
    if html { BodyShape::Html } else { BodyShape::Text }
}

pub fn signature(answer: &Answer) -> Signature {
    Signature { status: answer.status.as_u16(), body: shape(&answer.body) }
}

fn object(body: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(trim(body)) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("answers JSON that is not an object; is this the SCIM base URL?".into()),
        Err(_) if shape(body) == BodyShape::Html => {
            Err("answers HTML: is this the SCIM base URL, with no proxy or sign-in page in between?".into())
        }
        Err(_) if trim(body).is_empty() => Err("answers success without a body".into()),
        Err(error) if error.is_eof() => Err(format!("answers JSON that breaks off after {} bytes", body.len())),
        Err(error) => Err(format!("answers something that is not JSON (line {}, column {})", error.line(), error.column())),
    }
}

/// Without surrounding blanks and a byte order mark.
fn trim(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii()
}

/// A field by its name in any case (RFC 7643 section 2.1), as written first.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let fields = value.as_object()?;
    fields.get(name).or_else(|| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn take_list(value: Value) -> Vec<Value> {
    let Value::Object(fields) = value else { return Vec::new() };
    let exact = fields.contains_key("Resources");
    let list = fields.into_iter().find(|(key, _)| if exact { key == "Resources" } else { key.eq_ignore_ascii_case("Resources") });
    match list {
        Some((_, Value::Array(resources))) => resources,
        Some(_) | None => Vec::new(),
    }
}

fn has_schema(value: &Value, urn: &str) -> bool {
    match field(value, "schemas") {
        Some(Value::Array(schemas)) => schemas.iter().filter_map(Value::as_str).any(|schema| schema.eq_ignore_ascii_case(urn)),
        Some(Value::String(schema)) => schema.eq_ignore_ascii_case(urn),
        _ => false,
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => hint(text.trim()),
        _ => None,
    }
}

/// Text, or a number where text belongs.
fn text(value: &Value, name: &str) -> Option<String> {
    match field(value, name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub fn id(value: &Value) -> Result<ScimId, String> {
    match text(value, "id") {
        Some(id) if !id.is_empty() => Ok(ScimId::from(id)),
        Some(_) | None if value.is_object() => Err("has no id".into()),
        Some(_) | None => Err("is not an object".into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(body: &str) -> String {
        page(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn an_empty_list_must_call_itself_a_list() {
        assert!(refusal(r#"{"totalResults":0}"#).contains("proves nothing"));
        assert!(refusal(r#"{"Resources":[]}"#).contains("proves nothing"));
        let empty = page(br#"{"SCHEMAS":["URN:ietf:params:scim:api:messages:2.0:LISTRESPONSE"],"totalResults":0}"#).unwrap();
        assert_eq!((empty.total, empty.resources.len()), (Some(0), 0));
    }

    #[test]
    fn other_bodies_are_refused_in_clear_words() {
        for (body, words) in [
            ("<!DOCTYPE html><p>hi", "answers HTML: is this the SCIM base URL"),
            ("", "without a body"),
            ("[]", "not an object"),
            ("{}", "not a SCIM list"),
            (r#"{"totalResults":2,"Resources":[{"id":"1"#, "breaks off"),
            ("404 page not found", "not JSON"),
            (r#"{"totalResults":-1}"#, "not a count"),
            (r#"{"totalResults":1,"Resources":{}}"#, "not a list"),
            (r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"totalResults":0}"#, "SCIM error"),
        ] {
            assert!(refusal(body).contains(words), "{body}: {}", refusal(body));
        }
    }

    #[test]
    fn a_user_is_read_leniently_but_never_made_active() {
        let read = |value: Value| user(&value).map(|user| user.active);
        assert_eq!(read(json!({"id": "1", "active": "TRUE"})), Ok(Some(true)));
        for unsaid in [
            json!({"id": "1"}),
            json!({"id": "1", "active": null}),
            json!({"id": "1", "active": "yes"}),
            json!({"id": "1", "active": 1}),
        ] {
            assert_eq!(read(unsaid), Ok(None));
        }
        assert_eq!(read(json!({"userName": "a"})), Err("has no id".into()));
        assert_eq!(read(json!("a")), Err("is not an object".into()));
    }

    #[test]
    fn a_time_that_says_nothing_is_none() {
        let read =
            |created: Value| user(&json!({"id": "1", "Meta": {"Created": created}})).unwrap().created.map(|at| at.to_string());
        let at = Some("2026-11-02T08:00:00Z".to_owned());
        for told in ["2026-11-02T08:00:00Z", "2026-11-02T09:00:00+01:00", "2026-11-02T08:00:00", " 2026-11-02 08:00:00 "] {
            assert_eq!(read(told.into()), at, "{told}");
        }
        for unsaid in [Value::Null, "".into(), "long ago".into(), json!({}), 7.into()] {
            assert_eq!(read(unsaid), None);
        }
        assert_eq!(user(&json!({"id": "1", "meta": "x"})).unwrap().created, None);
    }

    #[test]
    fn shapes_follow_the_body() {
        for (body, expected) in [
            (" \n", BodyShape::Empty),
            (r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:error"],"status":"401"}"#, BodyShape::ScimError),
            ("\u{feff}{\"a\":1}", BodyShape::Json),
            ("\"x\"", BodyShape::Text),
            ("nope", BodyShape::Text),
            ("<?xml version=\"1.0\"?>\n<html xmlns=\"x\">", BodyShape::Html),
        ] {
            assert_eq!(shape(body.as_bytes()), expected, "{body}");
        }
    }
}
