//! Microsoft Graph behind [`Directory`]: every list is whole or an error, every write goes out once, and what is not
//! in `writes::Write` is never done.

mod assertion;
mod client;
mod identity;
pub mod pace;
mod reads;
mod sync;
pub mod token;
mod wire;
mod writes;

use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use self::client::{Ask, GraphClient};
use self::pace::Pace;
use self::token::TokenSource;
use self::writes::Write;
use super::error::Result;
use super::http::Http;
use super::{Directory, Written};
use crate::model::id::{AppRoleId, AssignmentId, GroupId, JobId, ServicePrincipalId, UserId};
use crate::model::snapshot::{
    App, Assignment, CredentialLife, DirectoryUser, GroupProfile, GroupUses, Job, LogRow, Look, Members, Permissions, Policy,
    SyncSchema, SyncSettings,
};
use crate::model::spec::AppRef;

/// One tenant's Graph.
pub struct GraphDirectory<T> {
    client: GraphClient<T>,
    pace: Arc<Pace>,
}

impl<T: TokenSource> GraphDirectory<T> {
    /// `graph_root` is without the version; `pace` holds our writes to our part of the tenant's write quota.
    pub fn new(http: Http, token: T, graph_root: Url, pace: Arc<Pace>) -> Self {
        GraphDirectory { client: GraphClient::new(http, token, graph_root, Arc::clone(&pace)), pace }
    }

    /// For the metrics: [`Pace::write_quota_ratio`].
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.pace)
    }
}

impl<T: TokenSource> Directory for GraphDirectory<T> {
    async fn permissions(&self) -> Result<Permissions> {
        token::permissions(&self.client.token().token().await?)
    }

    fn credential_life(&self) -> Option<CredentialLife> {
        self.client.token().credential_life()
    }

    async fn app(&self, app: &AppRef) -> Result<App> {
        reads::app(&self.client, app).await
    }

    async fn assignments(&self, app: ServicePrincipalId) -> Result<Look<Vec<Assignment>>> {
        reads::assignments(&self.client, app).await
    }

    async fn group(&self, group: GroupId) -> Result<GroupProfile> {
        reads::group(&self.client, group).await
    }

    async fn group_uses(&self, group: GroupId, app: ServicePrincipalId) -> Result<GroupUses> {
        reads::group_uses(&self.client, group, app).await
    }

    async fn policies(&self) -> Result<Vec<Policy>> {
        reads::policies(&self.client).await
    }

    async fn members(&self, group: GroupId) -> Result<Look<Members>> {
        reads::members(&self.client, group).await
    }

    async fn member_properties(&self, group: GroupId, attribute: &str) -> Result<Vec<DirectoryUser>> {
        reads::member_properties(&self.client, group, attribute).await
    }

    async fn user(&self, user: UserId, attribute: &str) -> Result<DirectoryUser> {
        reads::user(&self.client, user, attribute).await
    }

    async fn jobs(&self, app: ServicePrincipalId) -> Result<Look<Vec<Job>>> {
        sync::jobs(&self.client, app).await
    }

    async fn schema(&self, app: ServicePrincipalId, job: &JobId) -> Result<SyncSchema> {
        sync::schema(&self.client, app, job).await
    }

    async fn settings(&self, app: ServicePrincipalId) -> Result<SyncSettings> {
        sync::settings(&self.client, app).await
    }

    async fn log(&self, job: &JobId, since: Timestamp) -> Result<Look<Vec<LogRow>>> {
        sync::log(&self.client, job, since).await
    }

    async fn assign(&self, app: ServicePrincipalId, user: UserId, role: AppRoleId) -> Result<Written> {
        let ask = Ask {
            operation: "assign",
            needs: "AppRoleAssignment.ReadWrite.All and Application.Read.All",
            doing: format!("assigning user {user} to app {app} with role {role}"),
        };
        self.client.write(&ask, &Write::Assign { app, principal: user.0, role }).await
    }

    async fn remove_member(&self, group: GroupId, user: UserId) -> Result<Written> {
        let ask = Ask {
            operation: "remove_member",
            needs: "GroupMember.ReadWrite.All (role-assignable groups: RoleManagement.ReadWrite.Directory too)",
            doing: format!("removing user {user} from group {group}"),
        };
        self.client.write(&ask, &Write::RemoveMember { group, user }).await
    }

    async fn unassign(&self, app: ServicePrincipalId, assignment: &AssignmentId) -> Result<Written> {
        let ask = Ask {
            operation: "unassign",
            needs: "AppRoleAssignment.ReadWrite.All",
            doing: format!("deleting assignment {assignment} of app {app}"),
        };
        self.client.write(&ask, &Write::Unassign { app, assignment }).await
    }

    async fn pause(&self, app: ServicePrincipalId, job: &JobId) -> Result<Written> {
        let ask =
            Ask { operation: "pause", needs: "Synchronization.ReadWrite.All", doing: format!("pausing job {job} of app {app}") };
        self.client.write(&ask, &Write::Pause { app, job }).await
    }

    async fn assign_group(&self, app: ServicePrincipalId, group: GroupId, role: AppRoleId) -> Result<Written> {
        let ask = Ask {
            operation: "assign_group",
            needs: "AppRoleAssignment.ReadWrite.All and Application.Read.All",
            doing: format!("assigning group {group} to app {app} with role {role}"),
        };
        self.client.write(&ask, &Write::Assign { app, principal: group.0, role }).await
    }

    async fn add_member(&self, group: GroupId, user: UserId) -> Result<Written> {
        let ask = Ask {
            operation: "add_member",
            needs: "GroupMember.ReadWrite.All (role-assignable groups: RoleManagement.ReadWrite.Directory too)",
            doing: format!("putting user {user} into group {group}"),
        };
        self.client.write(&ask, &Write::AddMember { group, user, root: self.client.root() }).await
    }
}
