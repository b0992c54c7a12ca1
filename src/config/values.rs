//! The forms that a single value of the config can have, each with the one sentence on what is wrong with another.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use url::{Host, Url};
use uuid::Uuid;

use crate::model::spec::{Percent, Quota};
use crate::model::stranger::RECORD;
use crate::model::window::Clock;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
pub struct Guid(#[schemars(with = "String")] pub Uuid);

impl TryFrom<String> for Guid {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shape = "an id looks like 11111111-2222-3333-4444-555555555555";
        // Other spellings of a GUID (braces, no hyphens) are not what the portal shows.
        let id = Uuid::try_parse(&text).ok().filter(|_| text.len() == 36);
        id.map(Guid).ok_or_else(|| format!("{text:?} is no id; {shape}"))
    }
}

/// A user by the object id, or a record at the app by its id there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String", extend("pattern" = "^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|record:.+)$"))]
pub enum Released {
    User(Uuid),
    Record(String),
}

impl TryFrom<String> for Released {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix(RECORD).filter(|id| !id.is_empty()) {
            Some(id) => Ok(Released::Record(id.to_owned())),
            None => Guid::try_from(text).map(|Guid(id)| Released::User(id)),
        }
    }
}

/// Text, or a number that lacks its unit: the form that wants one says so.
#[derive(JsonSchema)]
#[schemars(inline)]
pub struct Plain(pub String);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl Visitor<'_> for AsText {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, text: &str) -> Result<Plain, E> {
                Ok(Plain(text.to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Plain, E> {
                Ok(Plain(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Plain, E> {
                Ok(Plain(number.to_string()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Plain, E> {
                Ok(Plain(number.to_string()))
            }
        }
        deserializer.deserialize_any(AsText)
    }
}

const SPAN: &str = concat!(
    r"^(([0-9]+(\.[0-9]+)?)\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m",
    r"|hours|hour|hrs|hr|h|days|day|d|weeks|week|wks|wk|w|months|month|M|years|year|yrs|yr|y)\s*)+$"
);

/// A duration, as humantime has its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Plain")]
#[schemars(inline, extend("pattern" = SPAN))]
pub struct Span(#[schemars(with = "String")] pub Duration);

impl TryFrom<Plain> for Span {
    type Error = String;

    fn try_from(Plain(text): Plain) -> Result<Self, String> {
        humantime::parse_duration(&text)
            .map(Span)
            .map_err(|error| format!("{text:?} is no duration ({error}); write it as \"30s\", \"45m\" or \"1h 30m\""))
    }
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"))]
pub struct TimeOfDay(#[schemars(with = "String")] pub Clock);

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
        let parts = text.split_once(':').and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?)));
        parts
            .filter(|(hours, minutes)| *minutes < 60 && hours * 60 + minutes <= Clock::MIDNIGHT.0)
            .map(|(hours, minutes)| TimeOfDay(Clock(hours * 60 + minutes)))
            .ok_or_else(|| format!("{text:?} is no time of day; write it in quotes, as \"06:30\" or \"22:00\""))
    }
}

/// So many in a span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Plain")]
#[schemars(inline, extend("pattern" = "^[1-9][0-9]*/[0-9].*[a-z]$"))]
pub struct WriteQuota(#[schemars(with = "String")] pub Quota);

impl TryFrom<Plain> for WriteQuota {
    type Error = String;

    fn try_from(Plain(text): Plain) -> Result<Self, String> {
        let quota = text.split_once('/').and_then(|(amount, per)| {
            let quota = Quota { amount: amount.parse().ok()?, per: humantime::parse_duration(per).ok()? };
            (quota.amount > 0 && !quota.per.is_zero()).then_some(WriteQuota(quota))
        });
        quota.ok_or_else(|| format!("{text:?} is no quota; write it as \"3000/150s\""))
    }
}

/// A share in whole percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "Plain")]
#[schemars(inline, extend("pattern" = "^(100|[0-9]{1,2})%$"))]
pub struct Share(#[schemars(with = "String")] pub Percent);

impl TryFrom<Plain> for Share {
    type Error = String;

    fn try_from(Plain(text): Plain) -> Result<Self, String> {
        let share = text.strip_suffix('%').and_then(|number| number.parse().ok()).filter(|share| *share <= 100);
        share
            .map(|share| Share(Percent(share)))
            .ok_or_else(|| format!("{text:?} is no share; write it in whole percent, as \"10%\""))
    }
}

/// An address: https anywhere, http on loopback only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("format" = "uri"))]
pub struct Link(#[schemars(with = "String")] pub Url);

impl TryFrom<String> for Link {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = Url::parse(&text).map_err(|error| format!("not an address ({error}); write it in full, as https://…"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("an address with a user or a password in it; secrets never stand in this file".into());
        }
        if url.fragment().is_some() {
            return Err("an address with a fragment (#…); leave the fragment out".into());
        }
        let loopback = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match url.scheme() {
            "https" => Ok(Link(url)),
            "http" if loopback => Ok(Link(url)),
            "http" => Err("http:// is accepted for loopback addresses only; use https://".into()),
            other => Err(format!("{other}:// can't be used; use https://")),
        }
    }
}

/// A digest as `unscim plan` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub struct Approval(#[schemars(with = "String")] pub String);

impl TryFrom<String> for Approval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or_default();
        if digits.len() == 64 && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            Ok(Approval(text))
        } else {
            Err(format!("{text:?} is no digest; copy the one that `unscim plan` prints, sha256: and 64 digits"))
        }
    }
}

/// A text that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("minLength" = 1))]
pub struct Text(#[schemars(with = "String")] pub String);

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() { Err("empty; write a value or leave the field out".into()) } else { Ok(Text(text)) }
    }
}

/// A path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("minLength" = 1))]
pub struct FilePath(#[schemars(with = "String")] pub PathBuf);

impl TryFrom<String> for FilePath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.trim().is_empty() {
            Err("empty; write the path of a file".into())
        } else if may_be_secret(&text) {
            Err("looks like a secret and not like the path of a file; put it into a file of its own and name that (./NAME where it is a name after all)".into())
        } else {
            Ok(FilePath(text.into()))
        }
    }
}

/// As long and as mixed as what nobody calls a file, or with the digits of an id or a key in it; and without a folder.
pub(super) fn may_be_secret(text: &str) -> bool {
    let has = |kind: fn(&char) -> bool| text.chars().any(|c| kind(&c));
    let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let is_key = |part: &str| part.len() >= 20 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let is_keyed = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(is_key);
    !text.contains('/') && text.len() >= 20 && has(char::is_ascii_digit) && (is_mixed || is_keyed)
}

/// A name: lower-case letters, digits, `-` and `.`, at most 63.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"))]
pub struct Name(#[schemars(with = "String")] pub String);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (1..=63).contains(&text.len())
            && text.chars().all(|c| plain(c) || c == '-' || c == '.')
            && text.starts_with(plain)
            && text.ends_with(plain);
        if fits {
            Ok(Name(text))
        } else {
            Err(format!(
                "{text:?} is no name; use 1 to 63 lower-case letters, digits, \"-\" and \".\", with a letter or digit at both ends"
            ))
        }
    }
}
