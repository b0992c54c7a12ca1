//! What is there now: everything one turn has read, each part known, absent or unknown by itself.

mod log;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::id::{AppRoleId, AssignmentId, GroupId, JobId, ServicePrincipalId, UserId};
use crate::model::moment::Moment;
use crate::model::observed::{Listed, Observed};
pub use log::{Log, LogRow};
pub use target::{
    BodyShape, Calibration, Control, NoSuch, ObservedTarget, Probe, ProbeVerdict, ScimGroup, ScimUser, Signature, TargetLook,
    TokenState,
};

/// One complete look and the time at which the service gave it (its `Date` header).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look<T> {
    pub at: Timestamp,
    pub value: T,
}

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When the look began: nothing in it is younger.
    pub began: Moment,
    /// Why the operator wants no write now.
    pub frozen: Option<String>,
    pub permissions: Observed<Permissions>,
    /// `None`: not known.
    pub credential: Option<CredentialLife>,
    pub app: Observed<App>,
    /// All rows of `appRoleAssignedTo`, all pages.
    pub assignments: Listed<Look<Vec<Assignment>>>,
    /// Managed groups, and groups that would be (before the baseline).
    pub groups: BTreeMap<GroupId, ObservedGroup>,
    /// Conditional Access policies; `Unknown` with the kind `not-looked` where nobody allowed us to look.
    pub policies: Listed<Vec<Policy>>,
    /// Properties of users we had a reason to ask for. `Absent`: Graph says there is no such user.
    pub users: BTreeMap<UserId, Observed<DirectoryUser>>,
    pub jobs: Listed<Look<Vec<Job>>>,
    pub schema: Observed<SyncSchema>,
    pub settings: Listed<SyncSettings>,
    /// When the log was last read from the baseline on.
    pub log_whole: Moment,
    /// Where the rounds over single users ended.
    pub rounds: Rounds,
    /// Since the baseline; read in this turn or lately.
    pub log: Listed<Look<Log>>,
    pub target: ObservedTarget,
    /// The revocation probe, in turns in which it was due.
    pub probe: Option<Probe>,
    /// The probe's calibration, in turns in which it was made.
    pub calibration: Option<Observed<Calibration>>,
}

/// Where rounds over single users ended: the next one goes on behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rounds {
    /// Of records that are read at the target by id.
    pub target: Option<UserId>,
    /// Of users who are looked up at the target by what they are matched by.
    pub matched: Option<UserId>,
    /// Of users whom the directory is asked for.
    pub users: Option<UserId>,
}

/// From when until when our credential is good, as far as it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialLife {
    pub begins: Timestamp,
    pub ends: Timestamp,
}

/// What the access token claims to allow: a hint, never a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// `roles`: application permissions.
    pub roles: BTreeSet<String>,
    /// `wids`: templates of directory roles, which may serve in place of a permission.
    pub directory_roles: BTreeSet<String>,
}

impl Permissions {
    /// `wids` always holds this template in app-only tokens; it grants nothing.
    const NO_DIRECTORY_ROLE: &str = "0997a1d0-0d1d-4acb-b408-d5ca73121e90";

    /// The token itself says so.
    pub fn claims(&self, look: OptionalLook) -> bool {
        look.permissions().iter().any(|role| self.roles.contains(*role))
    }

    pub fn has_directory_role(&self) -> bool {
        self.directory_roles.iter().any(|role| role != Self::NO_DIRECTORY_ROLE)
    }

    /// Whether asking is worth a request.
    pub fn may(&self, look: OptionalLook) -> bool {
        self.has_directory_role() || self.claims(look)
    }
}

/// What is looked at only where it is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionalLook {
    /// Conditional Access policies.
    Policies,
    /// Who is a member of a group by Privileged Identity Management, and until when.
    Activations,
    /// Who may become one by it.
    Eligibilities,
}

impl OptionalLook {
    /// Any of them, the least first.
    pub fn permissions(self) -> &'static [&'static str] {
        match self {
            OptionalLook::Policies => &["Policy.Read.All", "Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess"],
            OptionalLook::Activations => {
                &["PrivilegedAssignmentSchedule.Read.AzureADGroup", "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"]
            }
            OptionalLook::Eligibilities => {
                &["PrivilegedEligibilitySchedule.Read.AzureADGroup", "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"]
            }
        }
    }
}

/// The enterprise application (service principal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub id: ServicePrincipalId,
    pub app_id: Option<Uuid>,
    pub display_name: String,
    pub roles: Vec<AppRole>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRole {
    pub id: AppRoleId,
    pub display_name: String,
    pub enabled: bool,
    /// `allowedMemberTypes` has `User`.
    pub for_users: bool,
}

/// One row of `appRoleAssignedTo`. Key: (principal, role).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub id: AssignmentId,
    pub principal: Principal,
    pub role: AppRoleId,
    pub created: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    User(UserId),
    Group(GroupId),
    /// A service principal.
    Other(Uuid),
    /// A kind that nobody here has heard of: it may be a person, or bring people.
    Unheard(Uuid),
}

#[derive(Clone, Debug, Default)]
pub struct ObservedGroup {
    pub profile: Observed<GroupProfile>,
    pub uses: Listed<GroupUses>,
    /// Whether the properties of its members could be read; they are in [`Snapshot::users`].
    pub properties: Listed<()>,
    pub members: Listed<Look<Members>>,
    /// Whose membership ends by itself, and when (Privileged Identity Management); `not-looked` where nobody allowed us to look.
    pub lent: Listed<BTreeMap<UserId, Option<Timestamp>>>,
    /// Who may make themselves members for a while by it; so too.
    pub eligible: Listed<BTreeSet<UserId>>,
}

/// What a group is, as far as it decides whether its members may be edited (facts of Graph's `group`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupProfile {
    pub id: GroupId,
    pub display_name: String,
    pub security_enabled: bool,
    pub mail_enabled: bool,
    /// `groupTypes` has `DynamicMembership`.
    pub dynamic: bool,
    /// `groupTypes` has `Unified`: a Microsoft 365 group.
    pub unified: bool,
    /// `resourceProvisioningOptions` has `Team`.
    pub team: bool,
    /// `onPremisesSyncEnabled`.
    pub synced: bool,
    pub role_assignable: bool,
    /// In a restricted-management administrative unit.
    pub management_restricted: bool,
    /// Group-based licences hang on it.
    pub licensed: bool,
    /// `visibility` is `HiddenMembership`: Graph shows its members only to whoever has a permission of its own for that, and to
    /// everybody else an empty list.
    pub hidden: bool,
    /// It was synchronized from an on-premises directory and is not any more: Entra may write it back there.
    pub converted: bool,
    /// `membershipRule` takes members from other groups (`memberOf`).
    pub rule_by_groups: bool,
    /// `membershipRuleProcessingState` is `Paused`.
    pub rule_paused: bool,
}

impl GroupProfile {
    /// Whether Privileged Identity Management can govern it: neither what a rule or a directory on premises fills, nor what a
    /// restricted unit holds (Microsoft, "Restricted management administrative units").
    pub fn may_be_lent(&self) -> bool {
        !self.dynamic && !self.synced && !self.management_restricted
    }
}

/// Other uses of a group that Graph can show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupUses {
    /// Display names of other applications it is assigned to.
    pub other_apps: Vec<String>,
    /// Display names (or ids) of what it is itself a member of: groups, directory roles, administrative units.
    pub member_of: Vec<String>,
}

/// A Conditional Access policy, as far as it names groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub display_name: String,
    /// `conditions.users.includeGroups` and `excludeGroups`.
    pub groups: BTreeSet<GroupId>,
}

/// Direct members only; nested groups are never expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub users: BTreeSet<UserId>,
    /// Devices, service principals, contacts, nested groups: (`@odata.type` without `#microsoft.graph.`, id).
    pub others: Vec<(String, Uuid)>,
}

impl Members {
    /// What Entra is known not to provision as a user.
    const NO_USERS: [&str; 6] = ["group", "device", "servicePrincipal", "agentIdentity", "orgContact", "administrativeUnit"];

    /// Kinds of members of which nobody here knows whether they are provisioned: they may be people.
    pub fn unheard_of(&self) -> impl Iterator<Item = &str> {
        let kinds = self.others.iter().map(|(kind, _)| kind.as_str());
        kinds.filter(|kind| !Self::NO_USERS.iter().any(|known| known.eq_ignore_ascii_case(kind)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    pub id: UserId,
    pub user_principal_name: Option<Arc<str>>,
    /// The attribute that the job matches by; equals the UPN where that is it.
    pub match_value: Option<Arc<str>>,
    /// `accountEnabled`; `None` where we may not read it.
    pub enabled: Option<bool>,
    /// `userType` is `Guest`.
    pub guest: bool,
}

/// One synchronization job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub schedule: ScheduleState,
    /// `schedule.interval`, `None` for the sentinel of a job that never ran.
    pub interval: Option<Duration>,
    pub code: JobCode,
    /// `None` where no cycle has ended yet (null or the year-0001 sentinel).
    pub last: Option<Execution>,
    pub quarantine: Option<Quarantine>,
    pub steady_state_last: Option<Timestamp>,
    /// `QuarantineTooManyDeletesThreshold`.
    pub delete_threshold: Option<u64>,
}

impl Job {
    /// By either of the two places in which Graph says so.
    pub fn is_paused(&self) -> bool {
        self.schedule == ScheduleState::Paused || self.code == JobCode::Paused
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleState {
    Active,
    Disabled,
    Paused,
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobCode {
    NotConfigured,
    NotRun,
    Active,
    Paused,
    Quarantine,
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub activity: String,
    pub state: ExecutionState,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    /// `countEscrowed`: entries that failed and are kept to be tried again; `None` where the job does not say.
    pub escrowed: Option<u64>,
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionState {
    Succeeded,
    Failed,
    EntryLevelErrors,
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    pub reason: String,
    pub message: String,
}

/// The part of the job's schema that decides what happens at the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncSchema {
    pub user: Option<Mapping>,
    pub group: Option<Mapping>,
}

/// One object mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    pub enabled: bool,
    /// `flowTypes` has `Delete`.
    pub deletes: bool,
    /// A scoping filter is set.
    pub scoped: bool,
    /// Target attribute (`userName`, `externalId` …, lower case) -> the plain source attribute, where it is one.
    pub sources: BTreeMap<String, Option<String>>,
}

/// Readable keys of `synchronization/secrets`; `None` where the key is missing or unreadable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncSettings {
    pub sync_all: Option<bool>,
    pub skip_out_of_scope_deletions: Option<bool>,
    pub base_address: Option<String>,
    /// `DeleteThresholdValue` of the notification settings, where it is switched on.
    pub delete_threshold: Option<u64>,
    /// The keys that tell that the job signs in to the app as an OAuth client; none where it shows a token that was entered.
    pub oauth: Vec<&'static str>,
}
