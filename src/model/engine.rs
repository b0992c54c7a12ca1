//! What Entra's provisioning engine would do with a scope: pure, used by the practice tenant (and by foresight).
//!
//! It follows the published behaviour: direct assignments, direct members of assigned security groups and nobody else;
//! a user who leaves the scope is made inactive, a group that leaves it is deleted.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::{GroupId, ScimId, UserId};

/// Attribute of the target -> value, as the mappings produce it.
pub type Attributes = BTreeMap<String, String>;

/// What one cycle reads at its beginning.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub reach: Reach,
    pub users: BTreeMap<UserId, SourceUser>,
    pub groups: BTreeMap<GroupId, SourceGroup>,
    pub assigned_users: BTreeSet<UserId>,
    pub assigned_groups: BTreeSet<GroupId>,
    pub user_flow: Flow,
    pub group_flow: Flow,
    pub leaving: Leaving,
}

/// `SyncAll`: whom the job provisions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    #[default]
    AssignedOnly,
    Everyone,
}

/// `SkipOutOfScopeDeletions`: what becomes of a thing that leaves the scope. Its effect on groups is not documented; here
/// they stay too, the worse case for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leaving {
    #[default]
    Deprovision,
    LeaveAlone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceUser {
    /// `accountEnabled`.
    pub enabled: bool,
    /// Soft-deleted: still known, no longer in any scope.
    pub deleted: bool,
    /// Passes the scoping filter of the user mapping, where there is one.
    pub passes_filter: bool,
    pub attributes: Attributes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceGroup {
    pub security_enabled: bool,
    /// Direct members that are users; nested groups are never expanded.
    pub members: BTreeSet<UserId>,
    pub attributes: Attributes,
}

/// One object mapping: switched on, and which of its flows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub enabled: bool,
    pub add: bool,
    pub update: bool,
    pub delete: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Flow { enabled: true, add: true, update: true, delete: true }
    }
}

/// What the engine has provisioned so far and believes of the target; it never looks there again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    pub users: BTreeMap<UserId, LinkedUser>,
    pub groups: BTreeMap<GroupId, LinkedGroup>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedUser {
    pub id: ScimId,
    pub active: bool,
    pub attributes: Attributes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedGroup {
    pub id: ScimId,
    pub members: BTreeSet<UserId>,
    pub attributes: Attributes,
}

/// One wish of a cycle, in Entra's ids: what is created in the same cycle has no other yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScimCall {
    CreateUser {
        user: UserId,
        attributes: Attributes,
    },
    UpdateUser {
        user: UserId,
        attributes: Attributes,
    },
    /// Back in scope, or enabled again.
    EnableUser {
        user: UserId,
    },
    /// `active=false`.
    DisableUser {
        user: UserId,
        why: Exit,
    },
    CreateGroup {
        group: GroupId,
        attributes: Attributes,
    },
    UpdateGroup {
        group: GroupId,
        attributes: Attributes,
    },
    AddMembers {
        group: GroupId,
        users: BTreeSet<UserId>,
    },
    RemoveMembers {
        group: GroupId,
        users: BTreeSet<UserId>,
    },
    DeleteGroup {
        group: GroupId,
    },
}

impl ScimCall {
    /// Counts towards the accidental-deletion threshold.
    pub fn is_deletion(&self) -> bool {
        match self {
            ScimCall::DisableUser { .. } | ScimCall::DeleteGroup { .. } => true,
            ScimCall::CreateUser { .. }
            | ScimCall::UpdateUser { .. }
            | ScimCall::EnableUser { .. }
            | ScimCall::CreateGroup { .. }
            | ScimCall::UpdateGroup { .. }
            | ScimCall::AddMembers { .. }
            | ScimCall::RemoveMembers { .. } => false,
        }
    }
}

/// Why a user is made inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    OutOfScope,
    AccountDisabled,
    Deleted,
}

impl Scope {
    /// Users who are entitled: through a row of their own or as a direct member of an assigned security group, past the
    /// filter and not deleted. A disabled account stays entitled; it is just never active.
    pub fn entitled(&self) -> BTreeSet<UserId> {
        let through_groups = self.groups_in_scope().flat_map(|(_, group)| group.members.iter());
        let mut entitled: BTreeSet<UserId> = match self.reach {
            Reach::Everyone => self.users.keys().copied().collect(),
            Reach::AssignedOnly => self.assigned_users.iter().chain(through_groups).copied().collect(),
        };
        entitled.retain(|user| self.users.get(user).is_some_and(|user| user.passes_filter && !user.deleted));
        entitled
    }

    fn groups_in_scope(&self) -> impl Iterator<Item = (&GroupId, &SourceGroup)> {
        self.groups.iter().filter(|(id, group)| match self.reach {
            Reach::Everyone => true,
            Reach::AssignedOnly => group.security_enabled && self.assigned_groups.contains(id),
        })
    }
}

/// Everything one cycle wants done, in the order in which it does it: users first, group deletions last.
pub fn plan_cycle(scope: &Scope, linked: &Linked) -> Vec<ScimCall> {
    let entitled = scope.entitled();
    let mut calls = Vec::new();
    let provisioned = if scope.user_flow.enabled {
        users(scope, linked, &entitled, &mut calls)
    } else {
        linked.users.keys().copied().collect()
    };
    if scope.group_flow.enabled {
        groups(scope, linked, &entitled, &provisioned, &mut calls);
    }
    calls
}

/// Plans the users; returns those who have a record once the plan is carried out.
fn users(scope: &Scope, linked: &Linked, entitled: &BTreeSet<UserId>, calls: &mut Vec<ScimCall>) -> BTreeSet<UserId> {
    let flow = scope.user_flow;
    let mut provisioned: BTreeSet<UserId> = linked.users.keys().copied().collect();
    let mut updates = Vec::new();
    for (id, user) in entitled.iter().filter_map(|id| scope.users.get(id).map(|user| (*id, user))) {
        match linked.users.get(&id) {
            None if user.enabled && flow.add => {
                provisioned.insert(id);
                calls.push(ScimCall::CreateUser { user: id, attributes: user.attributes.clone() });
            }
            Some(link) if flow.update => {
                if user.attributes != link.attributes {
                    updates.push(ScimCall::UpdateUser { user: id, attributes: user.attributes.clone() });
                }
                match (user.enabled, link.active) {
                    (true, false) => updates.push(ScimCall::EnableUser { user: id }),
                    (false, true) => updates.push(ScimCall::DisableUser { user: id, why: Exit::AccountDisabled }),
                    (true, true) | (false, false) => {}
                }
            }
            None | Some(_) => {}
        }
    }
    calls.extend(updates);
    if flow.update && scope.leaving == Leaving::Deprovision {
        let gone = linked.users.iter().filter(|(id, link)| link.active && !entitled.contains(id));
        calls.extend(gone.map(|(id, _)| {
            let deleted = scope.users.get(id).is_none_or(|user| user.deleted);
            ScimCall::DisableUser { user: *id, why: if deleted { Exit::Deleted } else { Exit::OutOfScope } }
        }));
    }
    provisioned
}

fn groups(
    scope: &Scope,
    linked: &Linked,
    entitled: &BTreeSet<UserId>,
    provisioned: &BTreeSet<UserId>,
    calls: &mut Vec<ScimCall>,
) {
    let flow = scope.group_flow;
    let in_scope: BTreeMap<_, _> = scope.groups_in_scope().collect();
    let nobody = BTreeSet::new();
    for (&id, group) in &in_scope {
        let wanted: BTreeSet<UserId> =
            group.members.iter().filter(|user| entitled.contains(user) && provisioned.contains(user)).copied().collect();
        let there = match linked.groups.get(id) {
            None if flow.add => {
                calls.push(ScimCall::CreateGroup { group: *id, attributes: group.attributes.clone() });
                &nobody
            }
            None => continue,
            Some(link) => {
                if flow.update && link.attributes != group.attributes {
                    calls.push(ScimCall::UpdateGroup { group: *id, attributes: group.attributes.clone() });
                }
                &link.members
            }
        };
        let (come, go): (BTreeSet<_>, BTreeSet<_>) = (&wanted - there, there - &wanted);
        if flow.update && !come.is_empty() {
            calls.push(ScimCall::AddMembers { group: *id, users: come });
        }
        if flow.update && !go.is_empty() {
            calls.push(ScimCall::RemoveMembers { group: *id, users: go });
        }
    }
    if flow.delete && scope.leaving == Leaving::Deprovision {
        let gone = linked.groups.keys().filter(|id| !in_scope.contains_key(id));
        calls.extend(gone.map(|id| ScimCall::DeleteGroup { group: *id }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn user(n: u128) -> UserId {
        UserId(Uuid::from_u128(n))
    }

    fn group(n: u128) -> GroupId {
        GroupId(Uuid::from_u128(0x1000 + n))
    }

    /// Users 1 to 4 exist; group 1 (assigned) has 1 and 2; user 3 is assigned directly; user 4 is nobody's.
    fn scope() -> Scope {
        let person = SourceUser { enabled: true, deleted: false, passes_filter: true, attributes: Attributes::new() };
        let it = SourceGroup {
            security_enabled: true,
            members: BTreeSet::from([user(1), user(2)]),
            attributes: Attributes::from([("displayName".into(), "IT".into())]),
        };
        Scope {
            users: (1..=4).map(|n| (user(n), person.clone())).collect(),
            groups: BTreeMap::from([(group(1), it)]),
            assigned_users: BTreeSet::from([user(3)]),
            assigned_groups: BTreeSet::from([group(1)]),
            ..Scope::default()
        }
    }

    /// The target as [`scope`] leaves it.
    fn linked() -> Linked {
        let record = |n: u128| LinkedUser { id: ScimId::from(format!("u{n}")), active: true, attributes: Attributes::new() };
        let it = LinkedGroup {
            id: ScimId::from("g1"),
            members: BTreeSet::from([user(1), user(2)]),
            attributes: scope().groups[&group(1)].attributes.clone(),
        };
        Linked { users: (1..=3).map(|n| (user(n), record(n))).collect(), groups: BTreeMap::from([(group(1), it)]) }
    }

    #[test]
    fn a_first_cycle_creates_the_scope_and_nothing_else() {
        let calls = plan_cycle(&scope(), &Linked::default());
        let created: Vec<_> = calls.iter().filter(|call| matches!(call, ScimCall::CreateUser { .. })).collect();
        assert_eq!(created.len(), 3);
        assert!(calls.contains(&ScimCall::AddMembers { group: group(1), users: BTreeSet::from([user(1), user(2)]) }));
        assert!(!format!("{calls:?}").contains(&user(4).to_string()));
    }

    #[test]
    fn a_cycle_over_an_unchanged_scope_does_nothing() {
        assert_eq!(plan_cycle(&scope(), &linked()), vec![]);
    }

    #[test]
    fn an_unassigned_group_takes_only_those_along_who_have_nothing_else() {
        let mut scope = scope();
        scope.assigned_groups.clear();
        scope.assigned_users.insert(user(1));
        assert_eq!(
            plan_cycle(&scope, &linked()),
            vec![ScimCall::DisableUser { user: user(2), why: Exit::OutOfScope }, ScimCall::DeleteGroup { group: group(1) }]
        );
    }

    #[test]
    fn a_group_that_is_not_security_enabled_counts_for_nothing() {
        let mut scope = scope();
        scope.groups.get_mut(&group(1)).unwrap().security_enabled = false;
        assert_eq!(scope.entitled(), BTreeSet::from([user(3)]));
    }

    #[test]
    fn a_disabled_account_is_made_inactive_but_stays_entitled() {
        let mut scope = scope();
        scope.users.get_mut(&user(3)).unwrap().enabled = false;
        assert!(scope.entitled().contains(&user(3)));
        assert_eq!(plan_cycle(&scope, &linked()), vec![ScimCall::DisableUser { user: user(3), why: Exit::AccountDisabled }]);
    }

    #[test]
    fn without_the_delete_flow_the_group_stays() {
        let mut scope = scope();
        scope.assigned_users.extend([user(1), user(2)]);
        scope.assigned_groups.clear();
        scope.group_flow.delete = false;
        assert_eq!(plan_cycle(&scope, &linked()), vec![]);
    }

    #[test]
    fn skipping_out_of_scope_deletions_leaves_everything_alone() {
        let mut scope = scope();
        scope.assigned_groups.clear();
        scope.assigned_users.clear();
        scope.leaving = Leaving::LeaveAlone;
        assert_eq!(plan_cycle(&scope, &linked()), vec![]);
    }

    #[test]
    fn sync_all_ignores_assignments() {
        let mut scope = scope();
        scope.assigned_groups.clear();
        scope.reach = Reach::Everyone;
        assert_eq!(plan_cycle(&scope, &linked()), vec![ScimCall::CreateUser { user: user(4), attributes: Attributes::new() }]);
    }

    #[test]
    fn a_soft_deleted_user_is_made_inactive_and_leaves_the_group() {
        let mut scope = scope();
        scope.users.get_mut(&user(2)).unwrap().deleted = true;
        assert_eq!(
            plan_cycle(&scope, &linked()),
            vec![
                ScimCall::DisableUser { user: user(2), why: Exit::Deleted },
                ScimCall::RemoveMembers { group: group(1), users: BTreeSet::from([user(2)]) }
            ]
        );
    }

    #[test]
    fn a_user_who_comes_back_is_made_active_again() {
        let mut linked = linked();
        linked.users.get_mut(&user(3)).unwrap().active = false;
        assert_eq!(plan_cycle(&scope(), &linked), vec![ScimCall::EnableUser { user: user(3) }]);
    }
}
