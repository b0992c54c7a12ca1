//! The config as it is written: the one list of its fields, of which the JSON schema is made. Nothing here is checked
//! beyond the form of a single value; what is missing or contradicts is found in `check`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};
use uuid::Uuid;

use crate::model::spec::{
    Acknowledgement, Afterwards, Cloud, EmptyGroups, Hold, MatchBy, MembersDecision, Mode, Percent, Profile, RevocationBy,
    ScopeConfirmed, Select,
};
use crate::model::window::{Clock, Day};

pub const API_VERSION: &str = "unscim.dev/v1alpha1";
pub const KIND: &str = "ScimRetirement";

/// What holds where the file says nothing, as it would stand there.
pub mod default {
    pub const READ_INTERVAL: &str = "5m";
    pub const CONFIRMATIONS: u32 = 3;
    pub const CONFIRM_EVERY: &str = "60s";
    pub const WEBHOOK_METHOD: &str = "POST";
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
    /// `Observe` looks and reports and never writes; `Enforce` takes the next safe step.
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
    /// assigned to them any more; they are still never removed without an assignment of their own.
    pub released: Option<Vec<Option<Guid>>>,
    /// `Canary` removes one user first and looks; `AllAtOnce` doesn't. `SmallestFirst` and `waves` begin like `Canary` and
    /// then take the groups in waves, each verified at the target before the next begins. Default: Canary.
    #[schemars(extend("default" = "Canary"))]
    pub rollout: Option<Rollout>,
    /// Hours in which something may be taken away; users are covered at any time. Default: always.
    pub windows: Option<Windows>,
    pub limits: Option<Limits>,
    pub timing: Option<Timing>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entra {
    #[schemars(extend("default" = "Public"))]
    pub cloud: Option<Cloud>,
    /// The directory (tenant) id.
    #[schemars(required)]
    pub tenant_id: Option<Guid>,
    #[schemars(required)]
    pub app: Option<App>,
    /// Id of the synchronization job; needed only where the app has more than one.
    pub job_id: Option<Text>,
    #[schemars(required)]
    pub credential: Option<Credential>,
    pub endpoints: Option<Endpoints>,
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

/// Who unscim is to Entra: an app registration and its secret.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    #[schemars(required)]
    pub client_id: Option<Guid>,
    /// File with the client secret. A relative path starts at the folder of this file. Read anew when it changes.
    #[schemars(required)]
    pub client_secret_file: Option<FilePath>,
}

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
    /// `Operator`: a person deletes it. `Webhook`: the URL below is called once.
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
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timing {
    /// Time between turns when nothing is pending.
    #[schemars(extend("default" = default::INTERVAL))]
    pub interval: Option<Span>,
    /// How long a fact must be seen before it is believed.
    #[schemars(extend("default" = default::SETTLE))]
    pub settle: Option<Span>,
    /// Longest time for one request.
    #[schemars(extend("default" = default::REQUEST_TIMEOUT))]
    pub request_timeout: Option<Span>,
}

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

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^[0-9].*[a-z]$"))]
pub struct Span(#[schemars(with = "String")] pub Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
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

/// A share in whole percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = "^(100|[0-9]{1,2})%$"))]
pub struct Share(#[schemars(with = "String")] pub Percent);

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
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
        if text.trim().is_empty() { Err("empty; write the path of a file".into()) } else { Ok(FilePath(text.into())) }
    }
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
