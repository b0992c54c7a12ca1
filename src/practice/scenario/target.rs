//! The app's side of a practice tenant, as data.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::human_or_none;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Target {
    /// A SCIM service elsewhere to provision into, instead of the one inside.
    pub external: Option<ExternalTarget>,
    /// Query of the Tenant URL of the app inside; `aadOptscim062020` asks for the RFC's form of changes.
    pub query: Option<String>,
    /// Users who have lost their record there without Entra's knowledge.
    pub missing: BTreeSet<usize>,
    /// Users whose record has been inactive from the start.
    pub inactive: BTreeSet<usize>,
    /// Puts a group and a user there that no directory manages.
    pub unmanaged: bool,
    /// What its token looks like.
    pub token: TargetToken,
    /// Virtual time after which a `jwt` ends by itself, as it says; absent, it never does. Nothing else follows from it here.
    #[serde(with = "human_or_none", skip_serializing_if = "Option::is_none")]
    pub token_ends: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TargetToken {
    /// A word in front and hexadecimal digits.
    #[default]
    Opaque,
    /// A JSON web token.
    Jwt,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExternalTarget {
    /// Its base URL.
    pub url: String,
    /// File with its bearer token, read once.
    pub token_file: std::path::PathBuf,
}

impl Default for Target {
    fn default() -> Self {
        Target {
            external: None,
            query: None,
            missing: BTreeSet::new(),
            inactive: BTreeSet::new(),
            unmanaged: true,
            token: TargetToken::default(),
            token_ends: None,
        }
    }
}

impl Target {
    /// The Tenant URL of the app inside, under this address.
    pub(crate) fn address(&self, root: &str) -> String {
        let query = self.query.as_ref().map_or_else(String::new, |query| format!("?{query}"));
        format!("{}/scim/v2{query}", root.trim_end_matches('/'))
    }
}
