//! The settings of provisioning as Graph sends them: pairs of texts, some of them masked.

use serde::Deserialize;
use serde_json::Value;

use super::sync::number;
use super::{Row, nullable, one_line, truth};
use crate::model::snapshot::SyncSettings;

/// One key of `synchronization/secrets`. Without `Debug`: a value could be a credential.
#[derive(Deserialize, PartialEq)]
pub struct WireSetting {
    #[serde(default, deserialize_with = "nullable")]
    key: String,
    #[serde(default)]
    value: Value,
}

impl Row for WireSetting {
    type Key<'a> = String;

    fn key(&self) -> String {
        self.key.to_ascii_lowercase()
    }
}

pub fn settings(rows: Vec<WireSetting>) -> SyncSettings {
    let value = |key: &str| rows.iter().find(|row| row.key() == key).and_then(|row| row.value.as_str());
    SyncSettings {
        sync_all: value("syncall").and_then(truth),
        skip_out_of_scope_deletions: value("skipoutofscopedeletions").and_then(truth),
        // Credentials come masked; an address should not, but a masked one says nothing either.
        base_address: value("baseaddress").filter(|text| !text.is_empty() && *text != "*").map(one_line),
        delete_threshold: value("syncnotificationsettings").and_then(threshold),
        oauth: oauth(|key| value(&key.to_ascii_lowercase()).map(str::trim).filter(|text| !text.is_empty())),
    }
}

/// Keys that only an OAuth client has need of; their values may be masked.
const OAUTH: [&str; 6] = [
    "Oauth2ClientId",
    "Oauth2ClientSecret",
    "Oauth2TokenExchangeUri",
    "Oauth2AuthorizationUri",
    "Oauth2RefreshToken",
    "Oauth2AccessToken",
];

/// Which words the kind of sign-in is told in is nowhere written, so one of them may add a doubt and takes none away: a client that
/// is stored may be the one in use, beside a token too.
fn oauth<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Vec<&'static str> {
    const TYPE: &str = "AuthenticationType";
    let is_told = value(TYPE).is_some_and(|word| {
        let word = word.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "");
        ["oauth", "grant", "clientcredential"].iter().any(|of| word.contains(of)) && !word.contains("bearer")
    });
    let mut keys: Vec<&'static str> = OAUTH.into_iter().filter(|key| value(key).is_some()).collect();
    keys.extend(is_told.then_some(TYPE));
    // Some connectors keep a client of their own under these; beside a token they are something else.
    if value("SecretToken").is_none() {
        keys.extend(["ClientIdentifier", "ClientSecret"].into_iter().filter(|key| value(key).is_some()));
    }
    keys
}

/// The notification settings are JSON within a string.
fn threshold(text: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "only advice rests on them")]
    let settings: Value = serde_json::from_str(text).ok()?;
    let on = match &settings["DeleteThresholdEnabled"] {
        Value::Bool(on) => *on,
        Value::String(text) => truth(text)?,
        _ => false,
    };
    number(&settings["DeleteThresholdValue"]).filter(|_| on)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_read_in_any_case_and_masked_values_are_unknown() {
        let rows = |json| serde_json::from_value::<Vec<WireSetting>>(json).unwrap();
        let read = settings(rows(json!([{"key": "SyncAll", "value": "FALSE"}, {"key": "SecretToken", "value": "*"},
            {"key": "BaseAddress", "value": "*"}, {"key": "SkipOutOfScopeDeletions", "value": "maybe"}])));
        assert_eq!(read, SyncSettings { sync_all: Some(false), ..SyncSettings::default() });
        for (text, expected) in [
            (r#"{"DeleteThresholdEnabled": true, "DeleteThresholdValue": 5}"#, Some(5)),
            (r#"{"DeleteThresholdEnabled": "True", "DeleteThresholdValue": "5"}"#, Some(5)),
            (r#"{"DeleteThresholdEnabled": false, "DeleteThresholdValue": 5}"#, None),
            ("nonsense", None),
        ] {
            let read = settings(rows(json!([{"key": "SyncNotificationSettings", "value": text}])));
            assert_eq!(read.delete_threshold, expected, "{text}");
        }
        assert_eq!(settings(Vec::new()), SyncSettings::default());
    }

    #[test]
    fn a_job_that_signs_in_by_oauth_is_told_from_one_with_a_token() {
        let of = |pairs: &[(&str, &str)]| {
            let rows: Vec<_> = pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            settings(serde_json::from_value(Value::from(rows)).unwrap()).oauth
        };
        let none = Vec::<&str>::new();
        assert_eq!(of(&[("SecretToken", "*"), ("Oauth2ClientId", ""), ("Oauth2ClientSecret", " ")]), none);
        assert_eq!(of(&[("SecretToken", "*"), ("ClientSecret", "*")]), none);
        assert_eq!(of(&[("ClientSecret", "*"), ("ClientIdentifier", "*")]), ["ClientIdentifier", "ClientSecret"]);
        let client = [("oauth2clientid", "*"), ("OAUTH2TOKENEXCHANGEURI", "https://app.example/token")];
        assert_eq!(of(&client), ["Oauth2ClientId", "Oauth2TokenExchangeUri"]);
        // What was left behind can't be told from what is used.
        assert_eq!(of(&[&client[..], &[("SecretToken", "*")]].concat()), ["Oauth2ClientId", "Oauth2TokenExchangeUri"]);
        let with = |kind: &'static str| of(&[("SecretToken", "*"), ("AuthenticationType", kind)]);
        for kind in ["*", "BearerToken", "OAuthBearerToken", "SecretToken", "Bearer authentication", "Basic"] {
            assert_eq!(with(kind), none, "{kind}");
        }
        for kind in ["OAuth2ClientCredentialsGrant", "oauth2 code grant", "ClientCredentials", "Authorization_Code_Grant"] {
            assert_eq!(with(kind), ["AuthenticationType"], "{kind}");
        }
    }
}
