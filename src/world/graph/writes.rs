//! The writes there are; a request that is not among them can't be sent.

use http::Method;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::client::path;
use super::wire::directory::WireAssignment;
use super::wire::{Refusal, shape};
use crate::model::id::{AppRoleId, AssignmentId, GroupId, JobId, ServicePrincipalId, UserId};

pub enum Write<'a> {
    /// A row for a user or, in a rollback, for a group.
    Assign {
        app: ServicePrincipalId,
        principal: Uuid,
        role: AppRoleId,
    },
    Unassign {
        app: ServicePrincipalId,
        assignment: &'a AssignmentId,
    },
    RemoveMember {
        group: GroupId,
        user: UserId,
    },
    Pause {
        app: ServicePrincipalId,
        job: &'a JobId,
    },
    /// Of a rollback. The body names the user by their address below `root`.
    AddMember {
        group: GroupId,
        user: UserId,
        root: &'a Url,
    },
}

impl Write<'_> {
    /// Method, path below the version, and body.
    pub fn request(&self) -> (Method, Vec<String>, Option<Value>) {
        match self {
            Write::Assign { app, principal, role } => {
                let body = json!({ "principalId": principal, "resourceId": app, "appRoleId": role });
                (Method::POST, path(&["servicePrincipals", &app.to_string(), "appRoleAssignedTo"]), Some(body))
            }
            Write::Unassign { app, assignment } => (
                Method::DELETE,
                path(&["servicePrincipals", &app.to_string(), "appRoleAssignedTo", &assignment.to_string()]),
                None,
            ),
            Write::RemoveMember { group, user } => {
                // Without `$ref` at its end this path would name the user, and not the membership.
                (Method::DELETE, path(&["groups", &group.to_string(), "members", &user.to_string(), "$ref"]), None)
            }
            Write::Pause { app, job } => {
                let path = path(&["servicePrincipals", &app.to_string(), "synchronization", "jobs", &job.0, "pause"]);
                (Method::POST, path, None)
            }
            Write::AddMember { group, user, root } => {
                let body = json!({ "@odata.id": format!("{root}/directoryObjects/{user}") });
                (Method::POST, path(&["groups", &group.to_string(), "members", "$ref"]), Some(body))
            }
        }
    }

    /// Graph changes the members of a group one by one.
    pub fn changes_members(&self) -> bool {
        matches!(self, Write::RemoveMember { .. } | Write::AddMember { .. })
    }

    /// Is this what a success looks like? A proxy's page is not.
    pub fn check(&self, body: &[u8]) -> Result<(), String> {
        match self {
            Write::Assign { principal, role, .. } => {
                let row: WireAssignment =
                    serde_json::from_slice(body).map_err(|_| format!("{} in place of the assignment", shape(body)))?;
                if row.principal_id == *principal && row.app_role_id == role.0 {
                    Ok(())
                } else {
                    Err("the answer is about another assignment".into())
                }
            }
            Write::Unassign { .. } | Write::RemoveMember { .. } | Write::Pause { .. } | Write::AddMember { .. } => {
                if body.trim_ascii().is_empty() { Ok(()) } else { Err(format!("{} where nothing was to come", shape(body))) }
            }
        }
    }

    /// A refusal that says it was so before; the next look is to confirm it.
    pub fn was_so(&self, status: u16, refusal: &Refusal) -> bool {
        match self {
            Write::Assign { .. } => {
                matches!(status, 400 | 409)
                    && (refusal.code.eq_ignore_ascii_case("Request_MultipleObjectsWithSameKeyValue")
                        || refusal.says("permission being assigned already exists")
                        || refusal.says("entitlementgrant entry already exists"))
            }
            Write::Unassign { .. } => status == 404 && refusal.is_not_found(),
            Write::RemoveMember { .. } => {
                (status == 404 && refusal.is_not_found())
                    || (status == 400 && refusal.says("one or more removed object references do not exist"))
            }
            Write::AddMember { .. } => status == 400 && refusal.says("added object references already exist"),
            Write::Pause { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deletion_names_a_membership_or_a_row() {
        let (app, group, user) = (ServicePrincipalId(Uuid::nil()), GroupId(Uuid::nil()), UserId(Uuid::max()));
        let (assignment, job) = (AssignmentId::from("row"), JobId("job".into()));
        let all = [
            Write::Assign { app, principal: user.0, role: AppRoleId(Uuid::nil()) },
            Write::AddMember { group, user, root: &"https://graph.example.com/v1.0".parse().unwrap() },
            Write::Unassign { app, assignment: &assignment },
            Write::RemoveMember { group, user },
            Write::Pause { app, job: &job },
        ];
        for write in all {
            let (method, path, _) = write.request();
            match (method, path[0].as_str()) {
                (Method::DELETE, "groups") => assert_eq!(path[4..], ["$ref"]),
                (Method::DELETE, "servicePrincipals") => assert_eq!(path[2..], ["appRoleAssignedTo", "row"]),
                (Method::POST, "groups") => assert_eq!(path[2..], ["members", "$ref"]),
                (Method::POST, "servicePrincipals") => assert!(["appRoleAssignedTo", "pause"].contains(&&*path[path.len() - 1])),
                other => panic!("{other:?}"),
            }
        }
    }
}
