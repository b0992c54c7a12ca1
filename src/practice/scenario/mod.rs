//! What a practice tenant is made of, as data: sizes, times, and the quirks of real tenants. It decides nothing.

mod job;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use job::{ActiveBy, ExternalId, Job, JobState, Mapping, Sentinels, SignIn};
pub use target::{ExternalTarget, Target, TargetToken};

/// All of a tenant is held in memory, some 9 KiB a user; more would end in the middle.
const MOST_USERS: usize = 1_000_000;
const MOST_GROUPS: usize = 5_000;
const MOST_COPIES: usize = 100;

/// One practice tenant. Users and groups are named by their number, from 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Scenario {
    /// All ids and all chance follow from it.
    pub seed: u64,
    /// Virtual time at which it starts.
    pub start: Timestamp,
    /// Virtual seconds per real second.
    pub speed: f64,
    /// Users who are in groups; a few extras stand outside.
    pub users: usize,
    /// Groups that are assigned to the app; a nested and an unassigned one come on top.
    pub groups: usize,
    /// Virtual time from the beginning of one cycle to that of the next.
    #[serde(with = "human")]
    pub cycle_interval: Duration,
    /// Virtual time that a cycle takes.
    #[serde(with = "human")]
    pub cycle_length: Duration,
    /// Longest virtual time until a write shows in reads; each write draws its own.
    #[serde(with = "human")]
    pub lag: Duration,
    /// Virtual time until a row of the provisioning log can be read.
    #[serde(with = "human")]
    pub log_latency: Duration,
    pub replicas: Replicas,
    /// No page of a list is longer, whatever `$top` asks for.
    pub page_size: usize,
    /// Real seconds for which an access token lives.
    pub token_lifetime: u64,
    pub quotas: Quotas,
    /// Application permissions in the token (`roles`).
    pub permissions: Vec<String>,
    /// Templates of directory roles in the token (`wids`).
    pub directory_roles: Vec<String>,
    pub client_secret: ClientSecret,
    pub job: Job,
    pub target: Target,
    /// What is special about a group.
    pub group_traits: BTreeMap<usize, BTreeSet<GroupTrait>>,
    /// Groups under Privileged Identity Management.
    pub privileged: BTreeMap<usize, Privileged>,
    /// Users whose account is disabled.
    pub disabled_users: BTreeSet<usize>,
    /// Guests, with `#EXT#` in their user principal name.
    pub guests: BTreeSet<usize>,
    /// Users of the kind `agentUser`: they belong to an AI agent, and are provisioned like everybody else.
    pub agents: BTreeSet<usize>,
    /// Users who have a row of their own beside their group, with the group's role.
    pub direct_users: BTreeSet<usize>,
    /// Who is in a second group too.
    pub second_group: SecondGroup,
    /// A second application of the same name.
    pub twin_app: bool,
    /// Whether the all-zero role may be assigned although the app declares roles.
    pub zero_role: ZeroRole,
}

/// Copies of the directory that answer reads in turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Replicas {
    pub count: u32,
    /// Virtual time by which each is behind the one before it, beyond `lag`.
    #[serde(with = "human")]
    pub behind: Duration,
}

/// Quotas of the service, in virtual time; absent ones are not enforced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Quotas {
    /// The service has 3000 per 150s.
    pub writes: Option<Quota>,
    /// The service has 3500 to 8000 per 10s, by size of the tenant.
    pub resource_units: Option<Quota>,
    /// Identity reports, the provisioning log among them: the service has 5 per 10s.
    pub reports: Option<Quota>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    pub amount: u32,
    #[serde(with = "human")]
    pub per: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientSecret {
    #[default]
    Valid,
    Expired,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ZeroRole {
    #[default]
    Refused,
    Accepted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SecondGroup {
    /// Every n-th user; nobody where it is 0.
    pub every: usize,
    /// It comes this many groups after the first one. Groups at an even distance have the same role.
    pub distance: usize,
}

/// Who is in a group by Privileged Identity Management, or may come into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Privileged {
    /// Members whose activation ends eight hours after time began; who it is that takes them out then, the scenario says.
    pub active: BTreeSet<usize>,
    pub eligible: BTreeSet<usize>,
}

/// What can be special about a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupTrait {
    /// Membership by rule.
    Dynamic,
    /// Its rule, where it is dynamic, takes members from other groups.
    RuleByGroups,
    /// Its rule, where it is dynamic, is not processed any more.
    RulePaused,
    /// Mastered on premises.
    Synced,
    /// Mastered on premises once, and in Entra now.
    Converted,
    /// A mail-enabled security group.
    MailEnabled,
    /// A Microsoft 365 group with a team.
    Team,
    RoleAssignable,
    /// In a restricted-management administrative unit.
    ManagementRestricted,
    /// Not security-enabled: its assignment counts for nothing.
    NotSecurityEnabled,
    /// Licences hang on it.
    Licensed,
    /// Assigned to another application too.
    OtherApp,
    /// Named by a Conditional Access policy.
    ConditionalAccess,
    /// A Microsoft 365 group that shows its members only to who may read hidden ones.
    HiddenMembership,
    /// A member of another group.
    Nested,
    /// Member of an administrative unit.
    AdministrativeUnit,
    /// Has a device among its members.
    HasDevice,
    /// Assigned with both roles.
    BothRoles,
    /// Assigned with the all-zero role.
    ZeroRole,
    /// Assigned with a role that has been disabled since.
    DisabledRole,
    /// In the tenant, but not assigned to the app.
    Unassigned,
}

impl Default for Scenario {
    fn default() -> Self {
        let permissions = [
            "Application.Read.All",
            "AppRoleAssignment.ReadWrite.All",
            "GroupMember.ReadWrite.All",
            "User.Read.All",
            "Synchronization.ReadWrite.All",
            "AuditLog.Read.All",
            "Directory.Read.All",
        ];
        Scenario {
            seed: 1,
            start: "2026-11-02T08:00:00Z".parse().expect("a valid stamp"),
            speed: 1.0,
            users: 40,
            groups: 5,
            cycle_interval: Duration::from_secs(40 * 60),
            cycle_length: Duration::from_secs(3 * 60),
            lag: Duration::ZERO,
            log_latency: Duration::from_secs(3 * 60),
            replicas: Replicas::default(),
            page_size: 999,
            token_lifetime: 3599,
            quotas: Quotas::default(),
            permissions: permissions.map(String::from).into(),
            directory_roles: Vec::new(),
            client_secret: ClientSecret::default(),
            job: Job::default(),
            target: Target::default(),
            group_traits: BTreeMap::new(),
            privileged: BTreeMap::new(),
            disabled_users: BTreeSet::from([3]),
            guests: BTreeSet::from([2]),
            agents: BTreeSet::new(),
            direct_users: BTreeSet::from([1]),
            second_group: SecondGroup::default(),
            twin_app: false,
            zero_role: ZeroRole::default(),
        }
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Replicas { count: 1, behind: Duration::from_secs(60) }
    }
}

impl Default for SecondGroup {
    fn default() -> Self {
        SecondGroup { every: 4, distance: 1 }
    }
}

impl Scenario {
    /// What cannot be played, in one sentence.
    pub(crate) fn objection(&self) -> Option<String> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Some("speed must be a number above 0".into());
        }
        if self.cycle_interval.is_zero() || self.page_size == 0 || self.job.count == 0 || self.replicas.count == 0 {
            return Some("cycleInterval, pageSize, job.count and replicas.count must be above 0".into());
        }
        for (field, most, is) in [
            ("users", MOST_USERS, self.users),
            ("groups", MOST_GROUPS, self.groups),
            ("job.count", MOST_COPIES, self.job.count),
            ("replicas.count", MOST_COPIES, self.replicas.count as usize),
        ] {
            if is > most {
                return Some(format!("{field} is {is}; no tenant of practice has more than {most}"));
            }
        }
        let quotas = [self.quotas.writes, self.quotas.resource_units, self.quotas.reports];
        if quotas.into_iter().flatten().any(|quota| quota.amount == 0 || quota.per.is_zero()) {
            return Some("a quota must be above 0; leave it out to have none".into());
        }
        if self.target.external.is_some() && self.target.query.is_some() {
            return Some("target.query is for the app inside; put a query into target.external.url".into());
        }
        let target = self.target.missing.iter().chain(&self.target.inactive);
        let privileged = self.privileged.values().flat_map(|group| group.active.iter().chain(&group.eligible));
        let target = target.chain(privileged);
        let users = self.disabled_users.iter().chain(&self.guests).chain(&self.agents).chain(&self.direct_users).chain(target);
        // The defaults name users 1 to 3; a smaller tenant just has no such user.
        if let Some(user) = users.copied().find(|user| *user == 0 || *user > self.users.max(3)) {
            return Some(format!("there is no user {user}: users are numbered from 1 to {}", self.users));
        }
        let group = self.group_traits.keys().chain(self.privileged.keys()).find(|group| **group == 0 || **group > self.groups)?;
        Some(format!("there is no group {group}: groups are numbered from 1 to {}", self.groups))
    }
}

mod human {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*span))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(|error| D::Error::custom(format!("duration \"{text}\": {error}, as in \"40m\"")))
    }
}

mod human_or_none {
    use std::time::Duration;

    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => super::human::serialize(span, to),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        super::human::deserialize(from).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_reads_what_it_writes() {
        let text = serde_json::to_string(&Scenario::default()).unwrap();
        assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), Scenario::default());
    }

    #[test]
    fn an_unknown_key_and_an_unknown_group_are_refused() {
        assert!(serde_json::from_str::<Scenario>(r#"{"cycleIntervall":"40m"}"#).is_err());
        let scenario: Scenario = serde_json::from_str(r#"{"groups":2,"groupTraits":{"3":["dynamic"]}}"#).unwrap();
        assert!(scenario.objection().unwrap().contains("group 3"));
        for large in [r#"{"users":1000001}"#, r#"{"groups":18446744073709551615}"#, r#"{"replicas":{"count":4000000000}}"#] {
            let scenario: Scenario = serde_json::from_str(large).unwrap();
            assert!(scenario.objection().unwrap().contains("no tenant of practice has more than"), "{large}");
        }
        let twice = r#"{"target":{"query":"a","external":{"url":"http://127.0.0.1:1/v2","tokenFile":"t"}}}"#;
        let scenario: Scenario = serde_json::from_str(twice).unwrap();
        assert!(scenario.objection().unwrap().contains("put a query into target.external.url"));
    }
}
