//! The config as it is written: the one list of its fields, of which the JSON schema is made. Nothing here is checked
//! beyond the form of a single value (`form`); what is missing or contradicts is found in `check`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::values::{Approval, FilePath, Guid, Link, Name, Released, Share, Span, Text, TimeOfDay, WriteQuota};
use crate::model::spec::{
    Acknowledgement, Afterwards, Cloud, EmptyGroups, Hold, LogLevel, MatchBy, MembersDecision, Mode, Profile, RevocationBy,
    ScopeConfirmed, Select,
};
use crate::model::window::Day;

pub const API_VERSION: &str = "unscim.dev/v1alpha1";
pub const KIND: &str = "ScimRetirement";

/// A duration of one part that is shorter than a minute. A schema can't add parts up; the check behind it can.
const BELOW_A_MINUTE: &str = concat!(
    r"^\s*(0*[1-5]?[0-9](\.[0-9]+)?\s*(s|sec|secs|second|seconds)",
    r"|0*([1-5][0-9]{4}|[0-9]{1,4})(\.[0-9]+)?\s*(ms|msec|millis)",
    r"|0*([1-5][0-9]{7}|[0-9]{1,7})(\.[0-9]+)?\s*(us|usec|µs)",
    r"|0*([1-5][0-9]{10}|[0-9]{1,10})\s*(ns|nsec|nanos)",
    r"|0+(\.[0-9]+)?\s*(m|min|mins|minute|minutes)",
    r"|0+\s*[a-z]+)\s*$"
);

/// What holds where the file says nothing, as it would stand there.
pub mod default {
    pub const READ_INTERVAL: &str = "5m";
    pub const CONFIRMATIONS: u32 = 3;
    pub const CONFIRM_EVERY: &str = "60s";
    pub const WEBHOOK_METHOD: &str = "POST";
    pub const WEBHOOK_ATTEMPTS: u32 = 5;
    pub const WEBHOOK_WITHIN: &str = "1h";
    pub const SETTLE_CYCLES: u32 = 1;
    pub const VERIFY_CYCLES: u32 = 2;
    pub const CYCLE_MARGIN: &str = "10m";
    pub const CYCLE_TIMEOUT: &str = "6h";
    pub const MAX_GROUPS: u32 = 20;
    pub const MAX_USERS: u32 = 5000;
    pub const MAX_MEMBER_REMOVALS: u32 = 10_000;
    pub const MAX_SHRINK: &str = "10%";
    pub const FIGHTS: u32 = 2;
    pub const WRITE_SHARE: &str = "50%";
    pub const SHARED_BY: u32 = 1;
    pub const WRITE_QUOTA: &str = "3000/150s";
    pub const INTERVAL: &str = "60s";
    pub const SETTLE: &str = "5m";
    pub const REQUEST_TIMEOUT: &str = "30s";
}

/// One retirement: one app of one tenant leaves its SCIM groups.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "ScimRetirement", inline)]
pub struct Document {
    /// The version of this format.
    #[schemars(required, extend("const" = API_VERSION))]
    pub api_version: Option<String>,
    /// The kind of this document.
    #[schemars(required, extend("const" = KIND))]
    pub kind: Option<String>,
    #[schemars(required)]
    pub metadata: Option<Metadata>,
    #[schemars(required)]
    pub spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A name of your choice, shown in the status, on the page and in the log.
    #[schemars(required)]
    pub name: Option<Name>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// `Observe` reads and reports and never writes; `Enforce` takes the next safe step.
    #[schemars(required)]
    pub mode: Option<Mode>,
    /// `Held` stops every write within one request, while it runs; a file named `freeze` beside this one does the same.
    #[schemars(extend("default" = "None"))]
    pub hold: Option<Hold>,
    /// Digest of the decisions, as `unscim plan` prints it: Enforce then refuses anything decided otherwise.
    pub approval: Option<Approval>,
    /// The tenant, the app in it, and who we are to it.
    #[schemars(required)]
    pub entra: Option<Entra>,
    /// The groups that are handed over. Nothing else is ever touched.
    #[schemars(required)]
    pub groups: Option<Groups>,
    /// appRoleId of a group -> appRoleId to assign to its users instead, where Graph refuses the same one.
    pub roles: Option<BTreeMap<Guid, Guid>>,
    /// The app's SCIM service. It is only ever read.
    #[schemars(required)]
    pub target: Option<Target>,
    pub provisioning: Option<Provisioning>,
    /// Object ids of users who are taken out of protection: their state at the target is no longer judged and nothing is
    /// assigned to them any more; they are still never removed without an assignment of their own. `record:` and an id at the
    /// target stands for a record there of which no user is known.
    pub released: Option<Vec<Option<Released>>>,
    /// `Canary` removes one user first and waits for the outcome; `AllAtOnce` doesn't. `SmallestFirst` and `waves` begin like `Canary` and
    /// then take the groups in waves, each verified at the target before the next begins. Default: Canary.
    #[schemars(extend("default" = "Canary"))]
    pub rollout: Option<Rollout>,
    /// Hours in which something may be taken away; users are covered at any time. Default: always.
    pub windows: Option<Windows>,
    pub telemetry: Option<Telemetry>,
    pub limits: Option<Limits>,
    pub timing: Option<Timing>,
}

/// What the log and the traces tell.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Telemetry {
    /// How much the log tells; read again while it runs. UNSCIM_LOG wins over it.
    pub log_level: Option<LogLevel>,
    /// Where your people read docs/reasons.md: the page links each reason to it, by its anchor.
    pub runbook_url: Option<Link>,
    pub traces: Option<Traces>,
}

/// Traces: a span for each turn, with one for each request in it. A change takes effect with the next start.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traces {
    /// Root of a collector that takes OTLP over HTTP, as an agent on the same host: http://127.0.0.1:4318/.
    #[schemars(required)]
    pub otlp_endpoint: Option<Link>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entra {
    #[schemars(extend("default" = "Public"))]
    pub cloud: Option<Cloud>,
    /// The directory (tenant) id. Where left out, AZURE_TENANT_ID holds for a federated token, and nothing else does.
    pub tenant_id: Option<Guid>,
    #[schemars(required)]
    pub app: Option<App>,
    /// Id of the synchronization job; needed only where the app has more than one.
    pub job_id: Option<Text>,
    pub credential: Option<Credential>,
    pub endpoints: Option<Endpoints>,
    /// File with certificate authorities (PEM), trusted for Entra and Graph beside the platform's own. Read anew when it changes.
    pub ca_file: Option<FilePath>,
}

/// In what order groups lose something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Rollout {
    Canary,
    AllAtOnce,
    /// One group, then two, four …, those with the fewest users first.
    SmallestFirst,
    /// Lists of object ids of groups, a list for each wave.
    #[serde(rename = "waves")]
    Waves(Vec<Option<Vec<Option<Guid>>>>),
}

/// The enterprise application: exactly one of the three.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct App {
    /// Object id of the enterprise application (not the application id).
    pub service_principal_id: Option<Guid>,
    /// Application (client) id.
    pub app_id: Option<Guid>,
    /// Display name; must match exactly one enterprise application.
    pub display_name: Option<Text>,
}

/// Who unscim is to Entra: an app registration with exactly one of a client secret, a certificate and a federated token, or a
/// managed identity. Where none is named, the variables of Azure Workload Identity give a federated token. Paths start at the
/// folder of this file; the files are read anew for every token.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// Application (client) id. Where left out, AZURE_CLIENT_ID holds for a federated token; of a managed identity it is
    /// needed only where it is a user-assigned one.
    pub client_id: Option<Guid>,
    /// File with the client secret.
    pub client_secret_file: Option<FilePath>,
    /// File with the certificate (PEM) that is registered with the application.
    pub certificate_file: Option<FilePath>,
    /// File with the certificate's RSA key (PEM, not encrypted). It may be the same file.
    pub private_key_file: Option<FilePath>,
    /// File with the token of a federated identity, as Kubernetes projects it. Where left out: AZURE_FEDERATED_TOKEN_FILE.
    pub federated_token_file: Option<FilePath>,
    /// `{}`: the identity that Azure gives to this machine, pod or app.
    pub managed_identity: Option<ManagedIdentity>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagedIdentity {}

/// Overrides of the cloud's own addresses, for tests and private set-ups.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoints {
    /// Root of the token endpoint.
    pub authority: Option<Link>,
    /// Root of Microsoft Graph, without the version.
    pub graph: Option<Link>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Groups {
    /// `Listed`: those of `list`. `AllAssigned`: every group assigned to the app when the baseline is taken.
    #[schemars(extend("default" = "Listed"))]
    pub select: Option<Select>,
    /// The groups; under `AllAssigned` only decisions on single ones.
    pub list: Option<Vec<Option<Group>>>,
    /// Which groups lose their members. Default: WhenExclusive, those with no other known use.
    #[schemars(extend("default" = "WhenExclusive"))]
    pub empty_groups: Option<EmptyGroups>,
    /// What the operator knows and accepts.
    pub acknowledge: Option<Vec<Option<Acknowledgement>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Object id of the group.
    #[schemars(required)]
    pub id: Option<Guid>,
    /// An explicit decision for this group; overrides `emptyGroups`.
    pub members: Option<MembersDecision>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// What is known of the app.
    #[schemars(required)]
    pub profile: Option<Profile>,
    /// The "Tenant URL" as shown by the app, taken literally.
    #[schemars(required)]
    pub scim_url: Option<Link>,
    /// File with the SCIM token that Entra uses. Use the existing one; regenerating it cuts Entra off.
    #[schemars(required)]
    pub token_file: Option<FilePath>,
    /// SCIM attribute by which the users of Entra are found at the target.
    #[schemars(extend("default" = "UserName"))]
    pub match_by: Option<MatchBy>,
    /// Entra attribute that holds the matching value; overrides what the job's schema says.
    pub match_from: Option<Text>,
    /// How often the target is read in full.
    #[schemars(extend("default" = default::READ_INTERVAL))]
    pub read_interval: Option<Span>,
    pub revocation: Option<Revocation>,
}

/// How the token goes, and how its end is proven.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revocation {
    /// `Operator`: a person deletes it. `Webhook`: the URL below is called, and again where it does not accept the call.
    #[schemars(extend("default" = "Operator"))]
    pub by: Option<RevocationBy>,
    pub webhook: Option<Webhook>,
    /// Rejections in a row that prove it; at least 2.
    #[schemars(range(min = 2), extend("default" = default::CONFIRMATIONS))]
    pub confirmations: Option<u32>,
    /// Time between them.
    #[schemars(extend("default" = default::CONFIRM_EVERY))]
    pub confirm_every: Option<Span>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Webhook {
    #[schemars(required)]
    pub url: Option<Link>,
    #[schemars(extend("default" = default::WEBHOOK_METHOD))]
    pub method: Option<Method>,
    /// Header name -> file with its value.
    pub header_files: Option<BTreeMap<String, FilePath>>,
    /// Calls in all, with the same idempotency key, until it accepts one; then a person is asked.
    #[schemars(range(min = 1), extend("default" = default::WEBHOOK_ATTEMPTS))]
    pub attempts: Option<u32>,
    /// The last of them comes this long after the first.
    #[schemars(extend("default" = default::WEBHOOK_WITHIN))]
    pub within: Option<Span>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provisioning {
    /// Good cycles after the users were assigned, and again after the groups were emptied.
    #[schemars(range(min = 1), extend("default" = default::SETTLE_CYCLES))]
    pub settle_cycles: Option<u32>,
    /// Good cycles after the groups were unassigned.
    #[schemars(range(min = 1), extend("default" = default::VERIFY_CYCLES))]
    pub verify_cycles: Option<u32>,
    /// Your word that the job's scope is "assigned users and groups only", where Graph can't say. Shown in the evidence.
    pub scope_confirmed: Option<ScopeConfirmed>,
    /// A cycle counts if it began this long after the last confirmed write.
    #[schemars(extend("default" = default::CYCLE_MARGIN))]
    pub cycle_margin: Option<Span>,
    /// After this long without a cycle it is called overdue; waiting goes on.
    #[schemars(extend("default" = default::CYCLE_TIMEOUT))]
    pub cycle_timeout: Option<Span>,
    /// The provisioning log is read in full this often, and after every cycle.
    #[schemars(extend("default" = default::READ_INTERVAL))]
    pub log_read_interval: Option<Span>,
    /// The synchronization job, before the token goes.
    #[schemars(extend("default" = "Leave"))]
    pub afterwards: Option<Afterwards>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Windows {
    /// IANA name of the time zone, as `Europe/Copenhagen`.
    #[schemars(required)]
    pub time_zone: Option<Text>,
    #[schemars(required)]
    pub open: Option<Vec<Option<Window>>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Days on which it begins. Default: every day.
    pub days: Option<Vec<Option<Day>>>,
    #[schemars(required)]
    pub from: Option<TimeOfDay>,
    /// Where it is not after `from`, on the next day.
    #[schemars(required)]
    pub to: Option<TimeOfDay>,
}

/// More than this is not done without a higher limit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    #[schemars(range(min = 1), extend("default" = default::MAX_GROUPS))]
    pub max_groups: Option<u32>,
    #[schemars(range(min = 1), extend("default" = default::MAX_USERS))]
    pub max_users: Option<u32>,
    #[schemars(range(min = 1), extend("default" = default::MAX_MEMBER_REMOVALS))]
    pub max_member_removals: Option<u32>,
    /// A list that is shorter by more than this (and by more than 3) is not believed at once.
    #[schemars(extend("default" = default::MAX_SHRINK))]
    pub max_shrink: Option<Share>,
    /// How often one thing is corrected against somebody else's hand.
    #[schemars(range(min = 1), extend("default" = default::FIGHTS))]
    pub fights: Option<u32>,
    /// Share of Graph's write quota for this app and tenant.
    #[schemars(extend("default" = default::WRITE_SHARE))]
    pub write_share: Option<Share>,
    /// How many daemons write as this client in this tenant: each takes its part of `writeShare`. The operator counts them.
    #[schemars(range(min = 1), extend("default" = default::SHARED_BY))]
    pub shared_by: Option<u32>,
    /// Writes that Graph grants one app in one tenant; Microsoft's published limit.
    #[schemars(extend("default" = default::WRITE_QUOTA))]
    pub write_quota: Option<WriteQuota>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timing {
    /// Time between turns when nothing is pending.
    #[schemars(extend("default" = default::INTERVAL))]
    pub interval: Option<Span>,
    /// How long a fact must be seen before it is believed.
    #[schemars(extend("default" = default::SETTLE, "not" = { "pattern": BELOW_A_MINUTE }))]
    pub settle: Option<Span>,
    /// Longest time for one request.
    #[schemars(extend("default" = default::REQUEST_TIMEOUT))]
    pub request_timeout: Option<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}
