//! What Graph asks of our credential, for each call that the spec leads to: the least that serves. `docs/permissions.md` is held
//! to this list.

use std::collections::BTreeSet;

use crate::model::snapshot::Permissions;
use crate::model::spec::{Afterwards, EmptyGroups, MembersDecision, Mode, Spec};

/// Some calls, and the application permissions that each of them needs.
pub struct Need {
    /// As in the metrics.
    pub operations: &'static [&'static str],
    /// All of them.
    pub permissions: &'static [&'static str],
    /// What serves in place of all of them.
    pub instead: Option<&'static str>,
    pub when: When,
    pub what_for: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Without it something is not looked at, and that is said.
    Optional,
    Enforce,
    /// In Enforce, where members may be removed.
    Empties,
    /// In Enforce, with `afterwards: Pause`.
    Pauses,
}

pub const NEEDS: &[Need] = &[
    Need {
        operations: &["get_app"],
        permissions: &["Application.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read the enterprise application",
    },
    Need {
        operations: &["list_assignments"],
        permissions: &["Application.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read who is assigned to it",
    },
    Need {
        operations: &["get_group"],
        permissions: &["GroupMember.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read the groups",
    },
    Need {
        operations: &["list_group_assignments", "list_group_parents"],
        permissions: &["GroupMember.Read.All", "Application.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read what else hangs on the groups",
    },
    Need {
        operations: &["list_policies"],
        permissions: &["Policy.Read.All"],
        instead: None,
        when: When::Optional,
        what_for: "read which Conditional Access policies name a group",
    },
    Need {
        operations: &["list_activations"],
        permissions: &["PrivilegedAssignmentSchedule.Read.AzureADGroup"],
        instead: None,
        when: When::Optional,
        what_for: "read who is a member of a group for a while",
    },
    Need {
        operations: &["list_eligibilities"],
        permissions: &["PrivilegedEligibilitySchedule.Read.AzureADGroup"],
        instead: None,
        when: When::Optional,
        what_for: "read who may become one",
    },
    Need {
        operations: &["list_members", "list_member_properties"],
        permissions: &["GroupMember.Read.All", "User.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read the groups' members",
    },
    Need {
        operations: &["list_members"],
        permissions: &["Member.Read.Hidden"],
        instead: None,
        when: When::Optional,
        what_for: "read the members of groups that hide them",
    },
    Need {
        operations: &["get_user"],
        permissions: &["User.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read whether somebody still exists",
    },
    Need {
        operations: &["list_jobs", "get_schema", "list_settings"],
        permissions: &["Synchronization.Read.All"],
        instead: None,
        when: When::Always,
        what_for: "read the synchronization job",
    },
    Need {
        operations: &["list_log"],
        permissions: &["AuditLog.Read.All", "Directory.Read.All"],
        instead: Some("ProvisioningLog.Read.All"),
        when: When::Always,
        what_for: "read the provisioning log",
    },
    Need {
        operations: &["assign"],
        permissions: &["AppRoleAssignment.ReadWrite.All", "Application.Read.All"],
        instead: None,
        when: When::Enforce,
        what_for: "assign users and unassign groups",
    },
    Need {
        operations: &["unassign"],
        permissions: &["AppRoleAssignment.ReadWrite.All"],
        instead: None,
        when: When::Enforce,
        what_for: "assign users and unassign groups",
    },
    Need {
        operations: &["remove_member"],
        permissions: &["GroupMember.ReadWrite.All"],
        instead: None,
        when: When::Empties,
        what_for: "remove members",
    },
    Need {
        operations: &["pause"],
        permissions: &["Synchronization.ReadWrite.All"],
        instead: None,
        when: When::Pauses,
        what_for: "pause the job",
    },
];

/// Without it Graph refuses to edit the members of a role-assignable group.
pub const ROLE_MANAGEMENT: &str = "RoleManagement.ReadWrite.Directory";

/// What serves in place of a permission, and allows more (Microsoft Graph's permissions tables).
pub const WIDER: &[(&str, &[&str])] = &[
    ("Application.Read.All", &["Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]),
    (
        "GroupMember.Read.All",
        &["GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
    ),
    ("User.Read.All", &["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]),
    ("Directory.Read.All", &["Directory.ReadWrite.All"]),
    ("Policy.Read.All", &["Policy.Read.ConditionalAccess", "Policy.ReadWrite.ConditionalAccess"]),
    ("PrivilegedAssignmentSchedule.Read.AzureADGroup", &["PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup"]),
    ("PrivilegedEligibilitySchedule.Read.AzureADGroup", &["PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"]),
    ("Synchronization.Read.All", &["Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy"]),
    ("GroupMember.ReadWrite.All", &["Group.ReadWrite.All", "Directory.ReadWrite.All"]),
    ("Synchronization.ReadWrite.All", &["Application.ReadWrite.OwnedBy"]),
];

/// What a stolen credential could do with it.
const DANGEROUS: &[(&str, &str)] = &[
    ("AppRoleAssignment.ReadWrite.All", "give itself any permission"),
    ("Application.ReadWrite.All", "sign in as any other application"),
    ("Directory.ReadWrite.All", "change users, groups and applications"),
    ("Group.ReadWrite.All", "change and delete any group"),
    ("GroupMember.ReadWrite.All", "change the members of any group"),
    (ROLE_MANAGEMENT, "make anybody a Global Administrator"),
    ("User.DeleteRestore.All", "delete users"),
    ("User.EnableDisableAccount.All", "disable users"),
    ("User.ReadWrite.All", "change and delete users"),
];

fn applies(need: &Need, spec: &Spec) -> bool {
    let enforce = spec.mode == Mode::Enforce;
    match need.when {
        When::Always | When::Optional => true,
        When::Enforce => enforce,
        When::Empties => enforce && may_empty(spec),
        When::Pauses => enforce && spec.provisioning.afterwards == Afterwards::Pause,
    }
}

fn may_empty(spec: &Spec) -> bool {
    let by_word = spec.groups.list.iter().any(|entry| entry.members == Some(MembersDecision::Remove));
    spec.groups.empty_groups != EmptyGroups::Never || by_word
}

fn serves(held: &Permissions, permission: &str) -> bool {
    let wider = WIDER.iter().find(|(least, _)| *least == permission).map_or(&[][..], |(_, wider)| wider);
    held.roles.contains(permission) || wider.iter().any(|wider| held.roles.contains(*wider))
}

/// What the token lacks, each once with the first thing it is for. What is optional is not missing.
pub fn missing(spec: &Spec, held: &Permissions) -> Vec<(&'static str, &'static Need)> {
    let mut found: Vec<(&str, &Need)> = Vec::new();
    let needed = |need: &&Need| need.when != When::Optional && applies(need, spec);
    let served = |need: &&Need| need.instead.is_some_and(|instead| held.roles.contains(instead));
    for need in NEEDS.iter().filter(|need| needed(need) && !served(need)) {
        for permission in need.permissions {
            if !serves(held, permission) && !found.iter().any(|(known, _)| known == permission) {
                found.push((permission, need));
            }
        }
    }
    found
}

/// What the token holds beyond the least, in one sentence for each that is dangerous and one for the rest.
pub fn too_many(spec: &Spec, held: &Permissions, has_role_assignable: bool) -> Vec<String> {
    let mut least: BTreeSet<&str> = NEEDS
        .iter()
        .filter(|need| applies(need, spec))
        .flat_map(|need| need.permissions.iter().chain(&need.instead))
        .copied()
        .collect();
    if has_role_assignable {
        least.insert(ROLE_MANAGEMENT);
    }
    // The owner's permission is the lesser one.
    if least.contains("Synchronization.Read.All") {
        least.insert("Application.ReadWrite.OwnedBy");
    }
    let unneeded: Vec<&str> = held.roles.iter().map(String::as_str).filter(|role| !least.contains(role)).collect();
    let mut told = Vec::new();
    let mut rest = Vec::new();
    for role in unneeded {
        match DANGEROUS.iter().find(|(dangerous, _)| *dangerous == role) {
            Some((_, what)) => told.push(format!(
                "the token has {role}, which is not needed in {:?} and dangerous: whoever holds it can {what}; take it from the application",
                spec.mode
            )),
            None => rest.push(role),
        }
    }
    if !rest.is_empty() {
        told.push(format!(
            "the token has more than is needed in {:?}: {}; take it from the application",
            spec.mode,
            rest.join(", ")
        ));
    }
    told
}
