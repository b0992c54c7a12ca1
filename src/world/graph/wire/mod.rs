//! The shapes that Graph sends: lenient where Graph is, strict where a gap could hide a user; never sends or decides.

pub mod directory;
pub mod log;
pub mod pim;
pub mod settings;
pub mod sync;

use std::fmt::Display;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One page of a collection. A page without `value` is no page.
#[derive(Deserialize)]
pub struct Page<R> {
    pub value: Vec<R>,
    #[serde(rename = "@odata.nextLink")]
    pub next: Option<String>,
}

/// What is kept of one item of a collection, known by its key over all pages.
pub trait Row: PartialEq {
    type Key<'a>: Ord + Display
    where
        Self: 'a;
    fn key(&self) -> Self::Key<'_>;
}

/// A time; Graph writes "never" as null or as the first day of year 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(pub Option<Timestamp>);

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(Stamp(None)) };
        // Some of Graph's times lack the zone; they are UTC like the others.
        let without_zone =
            || text.parse::<DateTime>().and_then(|time| time.to_zoned(TimeZone::UTC)).map(|zoned| zoned.timestamp());
        let time: Timestamp = text.parse().or_else(|_| without_zone()).map_err(|_| D::Error::custom("not a time"))?;
        Ok(Stamp((time > Timestamp::UNIX_EPOCH).then_some(time)))
    }
}

/// `null` for what else would be a list or an object.
pub fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// An opaque id that can stand in a path.
pub fn opaque<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_path_segment(&id) { Ok(id) } else { Err(D::Error::custom("not an id")) }
}

/// Not empty, and no way to elsewhere, not even for a server that decodes twice.
pub fn is_path_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '/' | '\\' | '%' | '?' | '#'))
}

/// `true` or `false` in any case, with or without quotes around; anything else is not known.
pub fn truth(text: &str) -> Option<bool> {
    let text = text.trim().trim_matches('"');
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// What Graph says when it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub request_id: Option<String>,
}

impl Refusal {
    /// `None` where the body is not Graph's.
    pub fn parse(body: &[u8]) -> Option<Refusal> {
        #[expect(clippy::disallowed_methods, reason = "who asks tells the shape of what is not Graph's")]
        let body: Value = serde_json::from_slice(body).ok()?;
        let error = body.get("error")?;
        if let Value::String(code) = error {
            let message = body.get("error_description").and_then(Value::as_str).unwrap_or_default();
            return Some(Refusal { code: one_line(code), message: one_line(message), request_id: None });
        }
        let message = match error.as_object()?.get("message") {
            Some(Value::String(text)) => one_line(text),
            Some(Value::Object(nested)) if nested.get("value").is_some_and(Value::is_string) => {
                one_line(nested["value"].as_str().unwrap_or_default())
            }
            Some(Value::Null) | None => "no message".into(),
            Some(other) => one_line(&other.to_string()),
        };
        let code = error.get("code").and_then(Value::as_str).filter(|code| !code.is_empty()).unwrap_or("no code");
        Some(Refusal { code: one_line(code), message, request_id: inner_request_id(error) })
    }

    /// The service knows that there is no such thing, in its own words: a gateway's 404 is not that.
    pub fn is_not_found(&self) -> bool {
        self.code.to_ascii_lowercase().ends_with("notfound")
    }

    pub fn says(&self, words: &str) -> bool {
        self.message.to_ascii_lowercase().contains(words)
    }
}

fn inner_request_id(error: &Value) -> Option<String> {
    let inner = error.get("innerError").or_else(|| error.get("innererror"))?;
    match inner.get("request-id").and_then(Value::as_str) {
        Some(id) => Some(one_line(id)),
        None => inner_request_id(inner),
    }
}

/// Fit for a log line: no line breaks, not endless.
pub fn one_line(text: &str) -> String {
    const MOST: usize = 400;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = clean.take(MOST).collect();
    if text.chars().count() > MOST {
        line.push('…');
    }
    line.trim().to_owned()
}

/// What came where JSON was expected, without repeating it.
pub fn shape(body: &[u8]) -> &'static str {
    match body.trim_ascii_start().first() {
        None => "an empty answer",
        Some(b'<') => "HTML or XML (is a proxy or a sign-in page in between?)",
        Some(b'{' | b'[') => "JSON of another shape",
        Some(_) => "plain text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn year_one_null_and_a_missing_zone_are_times_too() {
        let read = |json: &str| serde_json::from_str::<Stamp>(json).unwrap().0;
        assert_eq!(read(r#""0001-01-01T00:00:00Z""#), None);
        assert_eq!(read("null"), None);
        assert_eq!(read(r#""2026-11-02T10:00:07""#), read(r#""2026-11-02T10:00:07Z""#));
        assert_eq!(read(r#""2026-11-02T10:00:07.1234567Z""#).unwrap().subsec_nanosecond(), 123_456_700);
        assert!(serde_json::from_str::<Stamp>(r#""soon""#).is_err());
    }

    #[test]
    fn an_error_is_read_in_all_its_spellings() {
        let read = |json: &str| Refusal::parse(json.as_bytes());
        let usual = read(r#"{"error":{"code":"A","message":"m\nn","innerError":{"request-id":"r"}}}"#).unwrap();
        assert_eq!((usual.code.as_str(), usual.message.as_str(), usual.request_id.as_deref()), ("A", "m n", Some("r")));
        let nested =
            read(r#"{"error":{"code":"A","message":{"lang":"en","value":"m"},"innererror":{"innererror":{"request-id":"r"}}}}"#);
        assert_eq!(nested.unwrap().request_id.as_deref(), Some("r"));
        assert_eq!(read(r#"{"error":{}}"#).unwrap().code, "no code");
        assert_eq!(read(r#"{"error":"invalid_client"}"#).unwrap().code, "invalid_client");
        assert_eq!(read("<html>"), None);
        assert_eq!(read(r#"{"value":[]}"#), None);
    }
}
