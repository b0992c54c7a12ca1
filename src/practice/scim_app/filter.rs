//! The part of SCIM's filter language that provisioning uses: `attribute eq value`, joined by `and`.

use serde_json::{Map, Value};

use super::answer::Failure;
use super::store::{field, text_eq};

/// One `attribute eq value`.
#[derive(Debug)]
pub(super) struct Condition {
    attribute: String,
    value: Value,
}

/// Reads a filter; what is not of the known form is refused, never guessed.
pub(super) fn parse(text: &str) -> Result<Vec<Condition>, Failure> {
    let refuse = || Failure::invalid("invalidFilter", format!("the filter `{text}` is not supported"));
    let (mut rest, mut conditions) = (text.trim(), Vec::new());
    loop {
        let (attribute, tail) = rest.split_once(char::is_whitespace).ok_or_else(refuse)?;
        let (operator, tail) = tail.trim_start().split_once(char::is_whitespace).ok_or_else(refuse)?;
        let known = attribute.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '_' | '-'));
        if !operator.eq_ignore_ascii_case("eq") || !known {
            return Err(refuse());
        }
        let mut values = serde_json::Deserializer::from_str(tail).into_iter::<Value>();
        let value = values.next().and_then(Result::ok).ok_or_else(refuse)?;
        conditions.push(Condition { attribute: attribute.to_owned(), value });
        rest = tail[values.byte_offset()..].trim();
        if rest.is_empty() {
            return Ok(conditions);
        }
        let (joint, tail) = rest.split_once(char::is_whitespace).ok_or_else(refuse)?;
        if !joint.eq_ignore_ascii_case("and") {
            return Err(refuse());
        }
        rest = tail.trim_start();
    }
}

/// Whether all of them hold for a resource, or for one element of a multi-valued attribute.
pub(super) fn holds(conditions: &[Condition], resource: &Value) -> bool {
    conditions.iter().all(|Condition { attribute, value }| {
        let held = attribute.split('.').try_fold(resource, |value, name| field(value, name));
        match (held, value) {
            (Some(Value::String(held)), Value::String(value)) => text_eq(attribute, held, value),
            (Some(Value::Bool(held)), Value::String(value)) => held.to_string().eq_ignore_ascii_case(value),
            (held, value) => held == Some(value),
        }
    })
}

/// The smallest element for which all of them hold.
pub(super) fn example(conditions: &[Condition]) -> Value {
    conditions.iter().map(|Condition { attribute, value }| (attribute.clone(), value.clone())).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(filter: &str, resource: &Value) -> Option<bool> {
        parse(filter).ok().map(|conditions| holds(&conditions, resource))
    }

    #[test]
    fn names_match_without_case_and_foreign_ids_with_it() {
        let user = json!({"userName": "Ann@Contoso.example", "externalId": "aB", "active": true});
        assert_eq!(matches(r#"USERNAME Eq "ann@contoso.example""#, &user), Some(true));
        assert_eq!(matches(r#"externalId eq "ab""#, &user), Some(false));
        assert_eq!(matches(r#"externalId eq "aB" and active eq true"#, &user), Some(true));
    }

    #[test]
    fn a_quoted_and_is_part_of_the_value() {
        let group = json!({"displayName": "R and \"D\""});
        assert_eq!(matches(r#"displayName eq "R and \"D\"""#, &group), Some(true));
    }

    #[test]
    fn other_filters_are_refused() {
        for filter in
            ["", "userName", "userName co \"a\"", "userName eq", "userName eq \"a\" or x eq 1", "emails[type eq \"w\"] eq 1"]
        {
            assert_eq!(matches(filter, &json!({})), None, "{filter}");
        }
    }
}
