//! The provisioning job of a practice tenant, as data.

use serde::{Deserialize, Serialize};

/// The synchronization job and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Job {
    /// How many the app has; only the first does anything.
    pub count: usize,
    pub state: JobState,
    /// The key `SyncAll` as it is stored; absent, the key is missing.
    pub sync_all: Option<String>,
    /// The key `SkipOutOfScopeDeletions` is `True`.
    pub skip_out_of_scope_deletions: bool,
    pub user_mapping: Mapping,
    pub group_mapping: Mapping,
    /// Users whose `department` is another are filtered out of the user mapping.
    pub scoping_filter: Option<String>,
    /// More deletions than this in one cycle put the job into quarantine.
    pub delete_threshold: Option<u64>,
    /// Source attribute of `externalId` for users.
    pub external_id: ExternalId,
    /// How `active` is set at the target, unless the Tenant URL asks for the RFC's form.
    pub active_by: ActiveBy,
    /// How the never-happened executions of a job that never ran are shown.
    pub sentinels: Sentinels,
    pub sign_in: SignIn,
}

/// How the job signs in to the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignIn {
    /// With a token that somebody has entered.
    #[default]
    Token,
    /// As an OAuth client, with access tokens that it fetches.
    OAuth,
}

/// How the job stands when time starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobState {
    /// The initial cycle is long over and the job is in its steady state.
    #[default]
    Active,
    /// As active, then paused.
    Paused,
    /// Nothing is at the target yet.
    NeverRun,
    /// As active, then in quarantine for credentials that are refused.
    Quarantined,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExternalId {
    #[default]
    MailNickname,
    ObjectId,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActiveBy {
    /// `"path": "active"`, as documented.
    #[default]
    Path,
    /// No path; `active` is a field of the value.
    Value,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Sentinels {
    /// An object of zeros, in the year 1.
    #[default]
    YearOne,
    Null,
}

/// One object mapping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mapping {
    pub enabled: bool,
    /// `Add`, `Update`, `Delete`, by comma.
    pub flow_types: String,
}

impl Default for Job {
    fn default() -> Self {
        Job {
            count: 1,
            state: JobState::default(),
            sync_all: Some("false".into()),
            skip_out_of_scope_deletions: false,
            user_mapping: Mapping::default(),
            group_mapping: Mapping::default(),
            scoping_filter: None,
            delete_threshold: None,
            external_id: ExternalId::default(),
            active_by: ActiveBy::default(),
            sentinels: Sentinels::default(),
            sign_in: SignIn::default(),
        }
    }
}

impl Default for Mapping {
    fn default() -> Self {
        Mapping { enabled: true, flow_types: "Add,Update,Delete".into() }
    }
}
