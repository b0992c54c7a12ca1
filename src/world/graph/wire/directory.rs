//! Service principals, their assignments, groups and users as Graph sends them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Row, Stamp, nullable, opaque};
use crate::model::id::{AppRoleId, AssignmentId, GroupId, ServicePrincipalId, UserId};
use crate::model::snapshot::{App, AppRole, Assignment, DirectoryUser, GroupProfile, Policy, Principal};
use crate::world::error::hint;

macro_rules! known_by_id {
    ($($row:ty),+) => {$(
        impl Row for $row {
            type Key<'a> = Uuid;

            fn key(&self) -> Uuid {
                self.id
            }
        }
    )+};
}

known_by_id!(WireApp, Member, WireParent, WirePolicy);

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WireApp {
    pub id: Uuid,
    pub app_id: Option<Uuid>,
    display_name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    app_roles: Vec<WireRole>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireRole {
    id: Uuid,
    display_name: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    is_enabled: bool,
    #[serde(default, deserialize_with = "nullable")]
    allowed_member_types: Vec<String>,
}

impl WireApp {
    pub fn into_model(self) -> App {
        let roles = self.app_roles.into_iter().map(|role| AppRole {
            id: AppRoleId(role.id),
            display_name: role.display_name.unwrap_or_else(|| role.id.to_string()),
            enabled: role.is_enabled,
            for_users: role.allowed_member_types.iter().any(|kind| kind.eq_ignore_ascii_case("User")),
        });
        App {
            id: ServicePrincipalId(self.id),
            app_id: self.app_id,
            roles: roles.collect(),
            display_name: self.display_name.unwrap_or_else(|| self.id.to_string()),
        }
    }
}

/// A row without a principal's kind is refused: it could be a group that still counts.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WireAssignment {
    #[serde(deserialize_with = "opaque")]
    id: String,
    pub principal_id: Uuid,
    principal_type: String,
    pub app_role_id: Uuid,
    pub resource_id: Option<Uuid>,
    pub resource_display_name: Option<String>,
    #[serde(default)]
    created_date_time: Stamp,
}

impl Row for WireAssignment {
    type Key<'a> = &'a str;

    fn key(&self) -> &str {
        &self.id
    }
}

impl Row for Assignment {
    type Key<'a> = &'a AssignmentId;

    fn key(&self) -> &AssignmentId {
        &self.id
    }
}

impl WireAssignment {
    pub fn into_model(self) -> Assignment {
        let principal = match self.principal_type.to_ascii_lowercase().as_str() {
            "user" | "agentuser" => Principal::User(UserId(self.principal_id)),
            "group" => Principal::Group(GroupId(self.principal_id)),
            "serviceprincipal" => Principal::Other(self.principal_id),
            _ => Principal::Unheard(self.principal_id),
        };
        Assignment {
            id: AssignmentId::from(self.id),
            principal,
            role: AppRoleId(self.app_role_id),
            created: self.created_date_time.0,
        }
    }
}

/// What decides whether a group may be emptied must be there: a gap is not "no".
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireGroup {
    pub id: Uuid,
    display_name: Option<String>,
    security_enabled: bool,
    mail_enabled: bool,
    group_types: Vec<String>,
    resource_provisioning_options: Vec<String>,
    assigned_licenses: Vec<Value>,
    on_premises_sync_enabled: Option<bool>,
    is_assignable_to_role: Option<bool>,
    is_management_restricted: Option<bool>,
    visibility: Option<String>,
    membership_rule: Option<String>,
    membership_rule_processing_state: Option<String>,
    on_premises_security_identifier: Option<String>,
    on_premises_last_sync_date_time: Option<String>,
}

impl WireGroup {
    /// Several of these come only when they are asked for.
    pub const SELECT: &str = "id,displayName,groupTypes,membershipRule,membershipRuleProcessingState,onPremisesSyncEnabled,\
        isAssignableToRole,securityEnabled,mailEnabled,mailNickname,assignedLicenses,licenseProcessingState,\
        isManagementRestricted,resourceProvisioningOptions,deletedDateTime,expirationDateTime,visibility,\
        onPremisesSecurityIdentifier,onPremisesLastSyncDateTime";

    pub fn into_model(self) -> GroupProfile {
        let has = |list: &[String], word: &str| list.iter().any(|item| item.eq_ignore_ascii_case(word));
        let is = |text: Option<String>, word: &str| text.is_some_and(|text| text.eq_ignore_ascii_case(word));
        let synced = self.on_premises_sync_enabled == Some(true);
        let from_elsewhere = self.on_premises_security_identifier.is_some() || self.on_premises_last_sync_date_time.is_some();
        GroupProfile {
            id: GroupId(self.id),
            display_name: self.display_name.unwrap_or_else(|| self.id.to_string()),
            security_enabled: self.security_enabled,
            mail_enabled: self.mail_enabled,
            dynamic: has(&self.group_types, "DynamicMembership"),
            unified: has(&self.group_types, "Unified"),
            team: has(&self.resource_provisioning_options, "Team"),
            synced,
            role_assignable: self.is_assignable_to_role == Some(true),
            management_restricted: self.is_management_restricted == Some(true),
            licensed: !self.assigned_licenses.is_empty(),
            hidden: is(self.visibility, "HiddenMembership"),
            converted: from_elsewhere && !synced,
            rule_by_groups: self.membership_rule.is_some_and(|rule| rule.to_ascii_lowercase().contains("memberof")),
            rule_paused: is(self.membership_rule_processing_state, "Paused"),
        }
    }
}

/// A direct member. Without its type it could be a user, so it must have one.
#[derive(Deserialize)]
pub struct WireMember {
    pub id: Uuid,
    #[serde(rename = "@odata.type")]
    kind: String,
}

/// A user, or what else is a member: `group`, `device` …
#[derive(PartialEq)]
pub struct Member {
    pub id: Uuid,
    pub other: Option<Box<str>>,
}

impl WireMember {
    pub fn into_member(self) -> Member {
        let kind = self.kind.trim_start_matches('#');
        let kind = kind.strip_prefix("microsoft.graph.").unwrap_or(kind);
        let is_user = ["user", "agentUser"].iter().any(|known| kind.eq_ignore_ascii_case(known));
        Member { id: self.id, other: (!is_user).then(|| kind.into()) }
    }
}

/// Something a group is a member of.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WireParent {
    id: Uuid,
    display_name: Option<String>,
}

impl WireParent {
    pub fn name(self) -> String {
        self.display_name.unwrap_or_else(|| self.id.to_string())
    }
}

/// A policy without its conditions could name any group, so it must have them.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct WirePolicy {
    id: Uuid,
    display_name: Option<String>,
    conditions: WireConditions,
}

#[derive(Deserialize, PartialEq)]
struct WireConditions {
    users: Option<WireConditionUsers>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
struct WireConditionUsers {
    #[serde(default, deserialize_with = "nullable")]
    include_groups: Vec<Uuid>,
    #[serde(default, deserialize_with = "nullable")]
    exclude_groups: Vec<Uuid>,
}

impl WirePolicy {
    pub fn into_model(self) -> Policy {
        let users = self.conditions.users;
        let groups = users.into_iter().flat_map(|users| users.include_groups.into_iter().chain(users.exclude_groups));
        Policy { display_name: self.display_name.unwrap_or_else(|| self.id.to_string()), groups: groups.map(GroupId).collect() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireUser {
    pub id: Uuid,
    user_principal_name: Option<Arc<str>>,
    account_enabled: Option<bool>,
    user_type: Option<String>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

impl Row for DirectoryUser {
    type Key<'a> = UserId;

    fn key(&self) -> UserId {
        self.id
    }
}

impl WireUser {
    pub fn into_model(self, attribute: &Attribute) -> DirectoryUser {
        let match_value = match attribute {
            Attribute::Id => Some(self.id.to_string().into()),
            Attribute::UserPrincipalName => self.user_principal_name.clone(),
            Attribute::Plain(name) => text(find(&self.rest, name)),
            Attribute::Extension(name) => {
                let nested = find(&self.rest, Attribute::EXTENSIONS).and_then(Value::as_object);
                text(nested.and_then(|all| all.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)))
            }
        };
        DirectoryUser {
            id: UserId(self.id),
            user_principal_name: self.user_principal_name,
            match_value,
            enabled: self.account_enabled,
            guest: self.user_type.is_some_and(|kind| kind.eq_ignore_ascii_case("Guest")),
        }
    }
}

/// A user's attribute by the name the synchronization schema uses, which is not always Graph's.
pub enum Attribute {
    Id,
    UserPrincipalName,
    Plain(String),
    /// `extensionAttribute1` … `15`: one level down in Graph.
    Extension(String),
}

impl Attribute {
    const EXTENSIONS: &str = "onPremisesExtensionAttributes";

    /// `None` where the name could not stand in a `$select`.
    pub fn parse(name: &str) -> Option<Attribute> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let number = lower.strip_prefix("extensionattribute").and_then(hint::<u8>);
        Some(match (lower.as_str(), number) {
            (_, Some(1..=15)) => Attribute::Extension(name.to_owned()),
            ("id" | "objectid", _) => Attribute::Id,
            ("userprincipalname" | "originaluserprincipalname", _) => Attribute::UserPrincipalName,
            ("immutableid", _) => Attribute::Plain("onPremisesImmutableId".into()),
            _ => Attribute::Plain(name.to_owned()),
        })
    }

    pub fn select(&self) -> String {
        const ALWAYS: &str = "id,userPrincipalName,accountEnabled,userType";
        match self {
            Attribute::Id | Attribute::UserPrincipalName => ALWAYS.into(),
            Attribute::Plain(name) if ALWAYS.split(',').any(|known| known.eq_ignore_ascii_case(name)) => ALWAYS.into(),
            Attribute::Plain(name) => format!("{ALWAYS},{name}"),
            Attribute::Extension(_) => format!("{ALWAYS},{}", Attribute::EXTENSIONS),
        }
    }
}

fn find<'a>(map: &'a BTreeMap<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn text(value: Option<&Value>) -> Option<Arc<str>> {
    value.and_then(Value::as_str).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"id":"a-_1","principalId":"00000000-0000-0000-0000-000000000001","principalType":"User",
        "appRoleId":"00000000-0000-0000-0000-000000000000"}"#;

    #[test]
    fn a_row_lacking_what_protects_is_no_row() {
        assert!(serde_json::from_str::<WireAssignment>(ROW).is_ok());
        for (part, instead) in [
            (r#""id":"a-_1","#, ""),
            (r#""id":"a-_1""#, r#""id":"..""#),
            (r#""principalType":"User","#, ""),
            ("000000000001", "1"),
            (r#""appRoleId""#, r#""appRole""#),
        ] {
            let row = ROW.replace(part, instead);
            assert!(serde_json::from_str::<WireAssignment>(&row).is_err(), "{row}");
        }
    }

    #[test]
    fn a_kind_that_nobody_has_heard_of_is_neither_a_person_nor_nobody() {
        let principal = |kind: &str| {
            let row = ROW.replace("\"User\"", &format!("{kind:?}"));
            serde_json::from_str::<WireAssignment>(&row).unwrap().into_model().principal
        };
        assert!(matches!((principal("user"), principal("AgentUser")), (Principal::User(_), Principal::User(_))));
        assert!(matches!((principal("ServicePrincipal"), principal("Robot")), (Principal::Other(_), Principal::Unheard(_))));
        let member = |kind: &str| {
            let text = format!(r##"{{"id":"00000000-0000-0000-0000-000000000001","@odata.type":"#microsoft.graph.{kind}"}}"##);
            serde_json::from_str::<WireMember>(&text).unwrap().into_member()
        };
        assert!(member("user").other.is_none() && member("agentUser").other.is_none());
        let others = ["group", "device", "servicePrincipal", "agentIdentity", "orgContact", "robot"];
        let others = others.map(|kind| (member(kind).other.unwrap().into(), Uuid::nil())).to_vec();
        let members = crate::model::snapshot::Members { others, ..Default::default() };
        assert_eq!(members.unheard_of().collect::<Vec<_>>(), ["robot"]);
    }

    #[test]
    fn an_attribute_is_found_by_the_schemas_name_for_it() {
        let user = r#"{"id":"00000000-0000-0000-0000-000000000001","userPrincipalName":"a@x","mail":"m@x",
            "onPremisesExtensionAttributes":{"extensionAttribute3":"e"},"userType":"Guest"}"#;
        let value = |name: &str| {
            let user: WireUser = serde_json::from_str(user).unwrap();
            user.into_model(&Attribute::parse(name).unwrap()).match_value
        };
        assert_eq!(value("Mail").as_deref(), Some("m@x"));
        assert_eq!(value("extensionAttribute3").as_deref(), Some("e"));
        assert_eq!(value("userPrincipalName").as_deref(), Some("a@x"));
        assert_eq!(value("objectId").as_deref(), Some("00000000-0000-0000-0000-000000000001"));
        assert_eq!(value("employeeId"), None);
        assert!(Attribute::parse("mail,displayName").is_none());
        assert!(Attribute::parse("a/b").is_none());
    }
}
