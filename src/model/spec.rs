//! What the operator wants. Built by `config` only, after every check has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::model::id::{AppRoleId, GroupId, JobId, ScimId, ServicePrincipalId, TenantId, UserId};
use crate::model::snapshot::{Job, SyncSchema};
use crate::model::window::Windows;

/// One retirement: one app of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// `metadata.name`.
    #[serde(skip)]
    pub name: String,
    pub mode: Mode,
    pub hold: Hold,
    /// Digest of the decisions that somebody has approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    pub entra: Entra,
    pub groups: Groups,
    /// Role of a group -> role to assign instead, where Graph refuses the same one.
    pub roles: BTreeMap<AppRoleId, AppRoleId>,
    pub target: Target,
    pub provisioning: Provisioning,
    /// Users taken out of protection by an explicit decision.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub released: BTreeSet<UserId>,
    /// Of the same list, records at the target of which no user is known.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub released_records: BTreeSet<ScimId>,
    pub rollout: Rollout,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    pub limits: Limits,
    pub timing: Timing,
    pub telemetry: Telemetry,
}

/// What the log and the traces tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Telemetry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Of docs/reasons.md, without an anchor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook_url: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<Traces>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traces {
    /// Root of a collector that takes OTLP over HTTP.
    pub otlp_endpoint: Url,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Read and report; nothing is ever written.
    Observe,
    /// Take the next safe step.
    Enforce,
}

/// The operator's hand on the brake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Hold {
    #[default]
    None,
    /// Nothing is written until it is taken back.
    Held,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entra {
    pub cloud: Cloud,
    pub tenant_id: TenantId,
    pub app: AppRef,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    pub credential: Credential,
    /// Root of the token endpoint, `https://login.microsoftonline.com` for the public cloud.
    pub authority: Url,
    /// Root of Graph without the version, `https://graph.microsoft.com` for the public cloud.
    pub graph: Url,
    /// Certificate authorities trusted for these two, beside the platform's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Entra {
    /// The job that is meant: the named one, or the only one.
    pub fn job<'a>(&self, jobs: &'a [Job]) -> Option<&'a Job> {
        match &self.job_id {
            Some(id) => jobs.iter().find(|job| job.id == *id),
            None if jobs.len() == 1 => jobs.first(),
            None => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Cloud {
    Public,
    UsGov,
    UsGovDod,
    China,
    Bleu,
    Delos,
    Singapore,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AppRef {
    ServicePrincipalId(ServicePrincipalId),
    AppId(Uuid),
    DisplayName(String),
}

/// Who we are to Entra, and how we prove it. Secrets are paths, read again for every token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
pub enum Credential {
    ClientSecret {
        client_id: Uuid,
        client_secret_file: PathBuf,
    },
    Certificate {
        client_id: Uuid,
        certificate_file: PathBuf,
        private_key_file: PathBuf,
    },
    /// Workload identity federation: somebody else's token vouches for us.
    Federated {
        client_id: Uuid,
        federated_token_file: PathBuf,
    },
    ManagedIdentity {
        /// Names a user-assigned identity.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<Uuid>,
        managed_identity: ManagedIdentity,
    },
}

/// Nothing is to be said of it: the machine knows who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ManagedIdentity {}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Groups {
    pub select: Select,
    pub list: Vec<GroupEntry>,
    pub empty_groups: EmptyGroups,
    pub acknowledge: Vec<Acknowledgement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Select {
    Listed,
    /// Every group assigned when the baseline is taken.
    AllAssigned,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupEntry {
    pub id: GroupId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<MembersDecision>,
}

/// The operator's explicit word on one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MembersDecision {
    Remove,
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EmptyGroups {
    Never,
    WhenExclusive,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Acknowledgement {
    /// A group may serve uses that no API shows (Azure RBAC, Intune, SharePoint, access packages).
    UndiscoverableUses,
    /// What was saved into a group at the target may go with it.
    TargetGroupContent,
    /// Entra provisions to another address than `target.scimUrl`, and both lead to the same app.
    OtherTenantUrl,
    /// Protected users of whom the target has no record, or none that can be looked for: nobody can say that they were kept.
    UncountedUsers,
    /// The target can't say that a group is gone: that its list lacks the group is enough.
    GroupsByListOnly,
    /// Somebody else assigns users or empties groups of the same app, and it is known who.
    AnotherAtWork,
    /// Members hold assignments of their own already, and they do not come from a run whose ledger was lost.
    EarlierAssignments,
    /// Groups were emptied or unassigned before there was a baseline: whoever is assigned directly then is watched, and nobody can
    /// prove who was in scope before.
    AlreadyDirect,
    /// Members for a while (Privileged Identity Management) may get assignments that last.
    TemporaryMembers,
    /// Entra signs in to the app by OAuth: nobody can prove step 5, and a person sees to it.
    OAuthSignIn,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub profile: Profile,
    #[serde(serialize_with = "without_query")]
    pub scim_url: Url,
    pub token_file: PathBuf,
    pub match_by: MatchBy,
    /// Entra attribute that holds the matching value; overrides what the job's schema says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_from: Option<String>,
    #[serde(serialize_with = "as_duration")]
    pub read_interval: Duration,
    pub revocation: Revocation,
}

impl Target {
    /// The Entra attribute whose value becomes the one that records are matched by.
    pub fn match_attribute(&self, schema: Option<&SyncSchema>) -> Option<String> {
        let scim = match self.match_by {
            MatchBy::UserName => "username",
            MatchBy::ExternalId => "externalid",
        };
        self.match_from.clone().or_else(|| schema?.user.as_ref()?.sources.get(scim).cloned().flatten())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    Uniqkey,
    Generic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MatchBy {
    UserName,
    ExternalId,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    pub by: RevocationBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    pub confirmations: u32,
    #[serde(serialize_with = "as_duration")]
    pub confirm_every: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RevocationBy {
    Operator,
    Webhook,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// It may be a secret in itself, so no more of it than who is called is ever shown.
    #[serde(serialize_with = "as_origin")]
    pub url: Url,
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Header name -> file with its value.
    pub header_files: BTreeMap<String, PathBuf>,
    /// Calls in all, where it cannot be reached, refuses or does not answer; then a person is asked.
    pub attempts: u32,
    /// The last of them comes this long after the first.
    #[serde(serialize_with = "as_duration")]
    pub within: Duration,
}

impl Webhook {
    /// How long it is waited after so many calls in a row that failed: longer each time, and as long as is allowed in all.
    pub fn wait_after(&self, failures: u32) -> Duration {
        let weight = |call: u32| 3f64.powi(i32::try_from(call.min(40)).unwrap_or(40));
        let all: f64 = (1..self.attempts).map(weight).sum();
        if all > 0.0 { self.within.mul_f64((weight(failures.max(1)) / all).min(1.0)) } else { Duration::ZERO }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Provisioning {
    pub settle_cycles: u32,
    pub verify_cycles: u32,
    /// The operator's word that the job's scope is "assigned only", where Graph can't say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_confirmed: Option<ScopeConfirmed>,
    #[serde(serialize_with = "as_duration")]
    pub cycle_margin: Duration,
    #[serde(serialize_with = "as_duration")]
    pub cycle_timeout: Duration,
    #[serde(serialize_with = "as_duration")]
    pub log_read_interval: Duration,
    pub afterwards: Afterwards,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScopeConfirmed {
    AssignedOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Afterwards {
    Leave,
    Pause,
}

/// In what order groups lose something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Rollout {
    /// One user first, then everything.
    Canary,
    /// Without a canary.
    AllAtOnce,
    /// One user first; then one group, two, four …, each wave verified at the target before the next.
    SmallestFirst,
    /// One user first; then these groups, wave by wave.
    #[serde(rename = "waves")]
    Waves(Vec<Vec<GroupId>>),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    pub max_groups: u32,
    pub max_users: u32,
    pub max_member_removals: u32,
    pub max_shrink: Percent,
    pub fights: u32,
    pub write_share: Percent,
    /// Among so many it is divided.
    pub shared_by: u32,
    pub write_quota: Quota,
}

impl Limits {
    /// Our own part of Graph's write quota.
    pub fn share(&self) -> f64 {
        f64::from(self.write_share.0.max(1)) / 100.0 / f64::from(self.shared_by.max(1))
    }

    /// The same, in writes per second.
    pub fn writes_per_second(&self) -> f64 {
        self.write_quota.per_second() * self.share()
    }
}

/// What a service grants in a span of time. Graph keeps it as a token bucket: so many at once, and filled at that rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub amount: u32,
    pub per: Duration,
}

impl Quota {
    fn per_second(self) -> f64 {
        f64::from(self.amount) / self.per.as_secs_f64()
    }
}

impl Serialize for Quota {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}/{}", self.amount, humantime::format_duration(self.per)))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timing {
    #[serde(serialize_with = "as_duration")]
    pub interval: Duration,
    #[serde(serialize_with = "as_duration")]
    pub settle: Duration,
    #[serde(serialize_with = "as_duration")]
    pub request_timeout: Duration,
}

/// A share in whole percent, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(pub u8);

impl Percent {
    /// This share of `n`, rounded down.
    pub fn of(self, n: usize) -> usize {
        n * usize::from(self.0) / 100
    }
}

impl Serialize for Percent {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{}%", self.0))
    }
}

fn as_origin<S: serde::Serializer>(url: &Url, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&url.origin().ascii_serialization())
}

/// A query may hold more than an address.
fn without_query<S: serde::Serializer>(url: &Url, s: S) -> Result<S::Ok, S::Error> {
    let mut url = url.clone();
    url.set_query(None);
    s.collect_str(&url)
}

fn as_duration<S: serde::Serializer>(value: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&humantime::format_duration(*value))
}
