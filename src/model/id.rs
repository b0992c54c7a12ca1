//! Identifiers: no bare string travels, and no id of one kind can stand for another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! guid {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    )+};
}

/// Held as something else than the text that it is.
macro_rules! packed {
    ($($name:ident),+) => {$(
        impl From<String> for $name {
            fn from(text: String) -> Self { text.as_str().into() }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String { id.to_string() }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )+};
}

guid! {
    /// Directory (tenant) id.
    TenantId,
    /// Object id of an enterprise application, not its `appId`.
    ServicePrincipalId,
    /// Object id of a user.
    UserId,
    /// Object id of a group.
    GroupId,
    /// Id of an app role; all zeros is "Default Access".
    AppRoleId,
}

/// Id of a synchronization job, `<template>.<tenant>.<guid>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Graph's opaque id of one `appRoleAssignment` row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct AssignmentId(Letters);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Letters {
    /// 43 letters of base64, as Graph makes them: there is one for every row of a large app.
    Packed([u8; PACKED]),
    Text(Box<str>),
}

const PACKED: usize = 32;

impl From<&str> for AssignmentId {
    fn from(text: &str) -> Self {
        let mut bytes = [0; PACKED];
        // It takes no letters that would not come back.
        let packed = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).is_ok_and(|len| len == PACKED);
        AssignmentId(if packed { Letters::Packed(bytes) } else { Letters::Text(text.into()) })
    }
}

impl fmt::Display for AssignmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Letters::Packed(bytes) => base64::display::Base64Display::new(bytes, &URL_SAFE_NO_PAD).fmt(f),
            Letters::Text(text) => text.fmt(f),
        }
    }
}

/// Id that the SCIM service gave to a user or a group; compared exactly (RFC 7643 section 3.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ScimId(Form);

/// Most services give guids or short ids, and there are several for every user: they are compared without a way elsewhere.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// Written as guids are: in lower case, with hyphens.
    Guid(Uuid),
    /// So many bytes of these; the others are zero.
    Short(u8, [u8; SHORT]),
    Text(Box<str>),
}

/// What fits beside the tag, in no more than a boxed text takes.
const SHORT: usize = 22;

impl From<&str> for ScimId {
    fn from(text: &str) -> Self {
        let as_written = |guid: &Uuid| guid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
        let mut short = [0; SHORT];
        ScimId(match (text.parse().ok().filter(as_written), short.get_mut(..text.len())) {
            (Some(guid), _) => Form::Guid(guid),
            (None, Some(bytes)) => {
                bytes.copy_from_slice(text.as_bytes());
                Form::Short(text.len() as u8, short)
            }
            (None, None) => Form::Text(text.into()),
        })
    }
}

impl fmt::Display for ScimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Guid(guid) => guid.fmt(f),
            Form::Short(len, bytes) => String::from_utf8_lossy(&bytes[..usize::from(*len)]).fmt(f),
            Form::Text(text) => text.fmt(f),
        }
    }
}

packed! { AssignmentId, ScimId }

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_id_is_what_was_written_to_the_letter() {
        let row = "41W1zT6z1U-kJxf62svfp1HFE8pMZhxDun-ThPczmJE";
        let texts =
            [row.to_owned(), row[..42].to_owned(), format!("{row}="), format!("{}F", &row[..42]), "row-1".into(), String::new()];
        for text in &texts {
            let id = AssignmentId::from(text.as_str());
            assert_eq!((id.to_string(), serde_json::to_value(&id).unwrap()), (text.clone(), serde_json::json!(text)));
            assert_eq!(serde_json::from_value::<AssignmentId>(serde_json::json!(text)).unwrap(), id);
            assert_eq!(texts.iter().filter(|other| AssignmentId::from(other.as_str()) == id).count(), 1, "{text:?}");
        }
        assert!(matches!(AssignmentId::from(row).0, Letters::Packed(_)) && size_of::<AssignmentId>() <= 40);
    }

    #[test]
    fn a_scim_id_is_what_was_written_to_the_letter() {
        let guid = "0f8fad5b-d9cb-469f-a165-70867728950e";
        let texts = [
            guid.to_owned(),
            guid.to_uppercase(),
            guid.replace('-', ""),
            format!("{{{guid}}}"),
            format!("urn:uuid:{guid}"),
            format!("{guid} "),
            "u-1".into(),
            "u-1\0".into(),
            "é".repeat(SHORT / 2),
            "é".repeat(SHORT / 2) + "x",
            String::new(),
        ];
        for text in &texts {
            let id = ScimId::from(text.as_str());
            assert_eq!((id.to_string(), format!("{id:?}")), (text.clone(), text.clone()));
            assert_eq!(serde_json::to_value(&id).unwrap(), serde_json::json!(text));
            assert_eq!(serde_json::from_value::<ScimId>(serde_json::json!(text)).unwrap(), id);
            assert_eq!(texts.iter().filter(|other| ScimId::from(other.as_str()) == id).count(), 1, "{text:?}");
        }
        assert!(size_of::<ScimId>() <= 24, "{}", size_of::<ScimId>());
    }
}
