//! All that belongs to the job rather than to the directory.

use std::collections::BTreeMap;

use super::job::Job;
use super::log;
use crate::model::engine::Linked;

pub(crate) struct Sync {
    pub jobs: Vec<Job>,
    pub secrets: BTreeMap<String, String>,
    pub linked: Linked,
    pub log: Vec<log::Entry>,
}

/// The key of what an OAuth client has fetched.
pub(crate) const ACCESS_TOKEN: &str = "Oauth2AccessToken";

impl Sync {
    /// The "Tenant URL".
    pub fn base_address(&self) -> String {
        self.secrets.get("BaseAddress").cloned().unwrap_or_default()
    }

    /// What the engine shows the app, however it came by it.
    pub fn bearer(&self) -> String {
        self.secrets.get("SecretToken").or(self.secrets.get(ACCESS_TOKEN)).cloned().unwrap_or_default()
    }
}
