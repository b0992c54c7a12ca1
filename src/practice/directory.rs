//! The directory as it truly is, to be looked at: users, groups, apps, assignments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::lagged::{Lagged, Presence};
use super::scenario::GroupTrait;
use crate::model::id::{AppRoleId, AssignmentId, GroupId, ServicePrincipalId, UserId};

#[derive(Default)]
pub(crate) struct Directory {
    pub users: BTreeMap<UserId, User>,
    pub groups: BTreeMap<GroupId, Group>,
    pub devices: BTreeSet<Uuid>,
    pub apps: Vec<App>,
    pub assignments: BTreeMap<AssignmentId, Row>,
    /// Ids of all rows that a principal ever had.
    pub held: BTreeMap<Uuid, Vec<AssignmentId>>,
}

pub(crate) struct User {
    pub upn: String,
    pub display_name: String,
    pub nickname: String,
    pub department: String,
    pub guest: bool,
    pub agent: bool,
    pub created: Timestamp,
    pub enabled: Lagged<bool>,
    pub presence: Lagged<Presence>,
}

pub(crate) struct Group {
    pub display_name: String,
    pub created: Timestamp,
    pub traits: BTreeSet<GroupTrait>,
    pub members: BTreeMap<Uuid, Lagged<Presence>>,
    /// What is no group and yet has it as a member: (type, id, display name).
    pub parents: Vec<(&'static str, Uuid, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct App {
    pub id: ServicePrincipalId,
    pub app_id: Uuid,
    pub display_name: String,
    pub roles: Vec<Role>,
}

#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub id: AppRoleId,
    pub name: String,
    pub enabled: bool,
}

pub(crate) struct Row {
    pub id: AssignmentId,
    pub app: ServicePrincipalId,
    pub principal: Holder,
    pub role: AppRoleId,
    pub created: Timestamp,
    pub presence: Lagged<Presence>,
}

/// Who holds an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    User(UserId),
    Group(GroupId),
}

impl Holder {
    pub fn id(self) -> Uuid {
        match self {
            Holder::User(UserId(id)) | Holder::Group(GroupId(id)) => id,
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Holder::User(_) => "User",
            Holder::Group(_) => "Group",
        }
    }
}

impl Group {
    pub fn is(&self, what: GroupTrait) -> bool {
        self.traits.contains(&what)
    }

    pub fn has(&self, user: UserId) -> bool {
        self.members.get(&user.0).is_some_and(Lagged::is_there)
    }

    pub fn security_enabled(&self) -> bool {
        !self.is(GroupTrait::NotSecurityEnabled)
    }
}

impl Directory {
    pub fn app(&self, id: ServicePrincipalId) -> Option<&App> {
        self.apps.iter().find(|app| app.id == id)
    }

    /// The principal behind an id, if it is there in truth.
    pub fn holder(&self, id: Uuid) -> Option<Holder> {
        let user = self.users.get(&UserId(id)).filter(|user| user.presence.is_there());
        let group = self.groups.get(&GroupId(id));
        user.map(|_| Holder::User(UserId(id))).or(group.map(|_| Holder::Group(GroupId(id))))
    }

    pub fn display_name(&self, holder: Holder) -> Option<&str> {
        match holder {
            Holder::User(id) => self.users.get(&id).map(|user| user.display_name.as_str()),
            Holder::Group(id) => self.groups.get(&id).map(|group| group.display_name.as_str()),
        }
    }

    /// Rows that truly exist.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.assignments.values().filter(|row| row.presence.is_there())
    }

    /// Rows of one principal, over all apps, gone ones too.
    pub fn rows_of(&self, principal: Uuid) -> impl Iterator<Item = &Row> {
        self.held.get(&principal).into_iter().flatten().filter_map(|id| self.assignments.get(id))
    }
}
