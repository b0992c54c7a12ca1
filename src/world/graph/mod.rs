//! Microsoft Graph behind [`Directory`]: every list is whole or an error, every write goes out once, and what is not
//! in `writes::Write` is never done.

mod assertion;
mod batch;
mod client;
mod fetch;
mod identity;
pub mod pace;
mod pim;
mod reads;
mod send;
mod service_clock;
mod sync;
pub mod token;
mod wire;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use self::batch::Order;
use self::client::{Ask, GraphClient};
use self::pace::Pace;
use self::token::TokenSource;
use self::writes::Write;
use super::error::Result;
use super::http::Http;
use super::{Directory, LastWord, Written};
use crate::model::action::Action;
use crate::model::id::{GroupId, JobId, ServicePrincipalId, UserId};
use crate::model::snapshot::{
    App, Assignment, CredentialLife, DirectoryUser, GroupProfile, GroupUses, Job, Log, Look, Members, Permissions, Policy,
    SyncSchema, SyncSettings,
};
use crate::model::spec::AppRef;

/// One tenant's Graph.
pub struct GraphDirectory<T> {
    client: GraphClient<T>,
}

impl<T: TokenSource> GraphDirectory<T> {
    /// `graph_root` is without the version; `pace` holds our writes to our part of the tenant's write quota.
    pub fn new(http: Http, token: T, graph_root: Url, pace: Arc<Pace>) -> Self {
        GraphDirectory { client: GraphClient::new(http, token, graph_root, pace) }
    }

    /// For the metrics: [`Pace::write_quota_ratio`].
    pub fn pace(&self) -> Arc<Pace> {
        Arc::clone(&self.client.pace)
    }
}

impl<T: TokenSource> Directory for GraphDirectory<T> {
    async fn permissions(&self) -> Result<Permissions> {
        token::permissions(&self.client.token.token().await?)
    }

    fn credential_life(&self) -> Option<CredentialLife> {
        self.client.token.credential_life()
    }

    async fn app(&self, app: &AppRef) -> Result<App> {
        reads::app(&self.client, app).await
    }

    async fn assignments(&self, app: ServicePrincipalId) -> Result<Look<Vec<Assignment>>> {
        reads::assignments(&self.client, app).await
    }

    async fn policies(&self) -> Result<Vec<Policy>> {
        reads::policies(&self.client).await
    }

    async fn profiles_of(&self, groups: &[GroupId]) -> Vec<Result<GroupProfile>> {
        reads::groups(&self.client, groups).await
    }

    async fn uses_of(&self, groups: &[GroupId], app: ServicePrincipalId) -> Vec<Result<GroupUses>> {
        reads::uses(&self.client, groups, app).await
    }

    async fn members_of(&self, groups: &[GroupId]) -> Vec<Result<Look<Members>>> {
        reads::members(&self.client, groups).await
    }

    async fn properties_of(&self, groups: &[GroupId], attribute: &str) -> Vec<Result<Vec<DirectoryUser>>> {
        reads::properties(&self.client, groups, attribute).await
    }

    async fn users_by_id(&self, users: &[UserId], attribute: &str) -> Vec<Result<DirectoryUser>> {
        reads::users(&self.client, users, attribute).await
    }

    async fn lent_in(&self, groups: &[GroupId]) -> Vec<Result<BTreeMap<UserId, Option<Timestamp>>>> {
        pim::lent(&self.client, groups).await
    }

    async fn eligible_for(&self, groups: &[GroupId]) -> Vec<Result<BTreeSet<UserId>>> {
        pim::eligible(&self.client, groups).await
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

    async fn log(&self, job: &JobId, since: Timestamp) -> Result<Look<Log>> {
        sync::log(&self.client, job, since).await
    }

    async fn room(&self, wanted: usize) -> usize {
        self.client.pace.writes(wanted, batch::MOST).await
    }

    async fn write(&self, app: ServicePrincipalId, actions: &[Action], last_word: LastWord<'_>) -> Vec<Result<Written>> {
        let writes: Vec<(Ask, Write<'_>)> = actions.iter().map(|action| asked(app, action, &self.client.root)).collect();
        match writes.as_slice() {
            [(ask, write)] => vec![self.client.write(ask, write, last_word).await],
            _ => {
                let of_a_group = writes.iter().any(|(_, write)| write.changes_members());
                let order = if of_a_group { Order::OneByOne } else { Order::Any };
                self.client.write_together(&writes, order, last_word).await
            }
        }
    }
}

fn asked<'a>(app: ServicePrincipalId, action: &'a Action, root: &'a Url) -> (Ask, Write<'a>) {
    const ROWS: &str = "AppRoleAssignment.ReadWrite.All";
    const NEW_ROWS: &str = "AppRoleAssignment.ReadWrite.All and Application.Read.All";
    const MEMBERS: &str = "GroupMember.ReadWrite.All (role-assignable groups: RoleManagement.ReadWrite.Directory too)";
    let ask = |operation, needs, doing| Ask { operation, needs, doing };
    match action {
        Action::AssignUser { user, role } => {
            let doing = format!("assigning user {user} to app {app} with role {role}");
            (ask("assign", NEW_ROWS, doing), Write::Assign { app, principal: user.0, role: *role })
        }
        Action::RestoreAssignment { group, role } => {
            let doing = format!("assigning group {group} to app {app} with role {role}");
            (ask("assign_group", NEW_ROWS, doing), Write::Assign { app, principal: group.0, role: *role })
        }
        Action::RemoveMember { group, user } => {
            let doing = format!("removing user {user} from group {group}");
            (ask("remove_member", MEMBERS, doing), Write::RemoveMember { group: *group, user: *user })
        }
        Action::RestoreMember { group, user } => {
            let doing = format!("putting user {user} into group {group}");
            (ask("add_member", MEMBERS, doing), Write::AddMember { group: *group, user: *user, root })
        }
        Action::UnassignGroup { assignment, .. } | Action::RemoveDirect { assignment, .. } => {
            let doing = format!("deleting assignment {assignment} of app {app}");
            (ask("unassign", ROWS, doing), Write::Unassign { app, assignment })
        }
        Action::PauseJob { job } => {
            let doing = format!("pausing job {job} of app {app}");
            (ask("pause", "Synchronization.ReadWrite.All", doing), Write::Pause { app, job })
        }
        Action::RecordBaseline | Action::RequestRevocation => unreachable!("{action}: nothing that Graph is asked for"),
    }
}
