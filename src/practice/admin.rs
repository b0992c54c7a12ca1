//! What people do in the tenant while others work: each act changes the truth at once.

use super::directory::Holder;
use super::scenario::ClientSecret;
use super::tenant::Inner;
use super::world::{Account, Unchanged};
use crate::model::id::{AppRoleId, AssignmentId, GroupId, UserId};

/// An admin at the portal.
pub struct Admin<'a>(&'a Inner);

impl<'a> Admin<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Admin(inner)
    }

    pub fn join(&self, user: UserId, group: GroupId) -> Result<(), Unchanged> {
        self.0.state().world.join(group, user.0, &format!("admin: add user {user} to group {group}"))
    }

    pub fn leave(&self, user: UserId, group: GroupId) -> Result<(), Unchanged> {
        self.0.state().world.leave(group, user.0, &format!("admin: remove user {user} from group {group}"))
    }

    pub fn assign_user(&self, user: UserId, role: AppRoleId) -> Result<AssignmentId, Unchanged> {
        let app = self.0.ids.service_principal;
        self.0.state().world.assign(app, Holder::User(user), role, &format!("admin: assign user {user}"))
    }

    pub fn assign_group(&self, group: GroupId, role: AppRoleId) -> Result<AssignmentId, Unchanged> {
        let app = self.0.ids.service_principal;
        self.0.state().world.assign(app, Holder::Group(group), role, &format!("admin: assign group {group}"))
    }

    /// Deletes every row of the user.
    pub fn unassign_user(&self, user: UserId) -> Result<(), Unchanged> {
        self.unassign(Holder::User(user), &format!("admin: unassign user {user}"))
    }

    /// Deletes every row of the group.
    pub fn unassign_group(&self, group: GroupId) -> Result<(), Unchanged> {
        self.unassign(Holder::Group(group), &format!("admin: unassign group {group}"))
    }

    fn unassign(&self, holder: Holder, by: &str) -> Result<(), Unchanged> {
        let app = self.0.ids.service_principal;
        let world = &mut self.0.state().world;
        let rows: Vec<_> =
            world.rows().filter(|row| row.app == app && row.principal == holder).map(|row| row.id.clone()).collect();
        if rows.is_empty() {
            return Err(Unchanged::NotThere);
        }
        rows.iter().try_for_each(|row| world.unassign(app, row, by))
    }

    pub fn disable(&self, user: UserId) -> Result<(), Unchanged> {
        self.0.state().world.set_account(user, Account::Disabled, &format!("admin: disable user {user}"))
    }

    pub fn enable(&self, user: UserId) -> Result<(), Unchanged> {
        self.0.state().world.set_account(user, Account::Enabled, &format!("admin: enable user {user}"))
    }

    pub fn delete_user(&self, user: UserId) -> Result<(), Unchanged> {
        self.0.state().world.delete_user(user, &format!("admin: delete user {user}"))
    }

    /// Another user principal name; the next cycle takes it to the target.
    pub fn rename(&self, user: UserId, upn: &str) -> Result<(), Unchanged> {
        self.0.state().world.rename(user, upn, &format!("admin: rename user {user}"))
    }

    pub fn pause_job(&self) {
        self.0.state().sync.jobs.iter_mut().take(1).for_each(super::engine::job::Job::pause);
        self.0.wake.notify_one();
    }

    pub fn start_job(&self) {
        self.0.state().sync.jobs.iter_mut().take(1).for_each(super::engine::job::Job::start);
        self.0.wake.notify_one();
    }

    /// "Allow deletes": a job in quarantine for too many of them tries again at once, and carries them out.
    pub fn allow_deletes(&self) {
        let mut state = self.0.state();
        let now = state.world.now();
        for job in state.sync.jobs.iter_mut().take(1) {
            if let Some(quarantine) = &mut job.quarantine {
                (job.deletes_allowed, quarantine.next_attempt) = (true, now);
            }
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Enters a token for the target into the job's settings.
    pub fn enter_token(&self, token: &str) {
        self.0.state().sync.secrets.insert("SecretToken".into(), token.to_owned());
    }

    /// Grants these application permissions and no others; tokens given out before keep theirs.
    pub fn grant<'p>(&self, permissions: impl IntoIterator<Item = &'p str>) {
        self.0.tokens().permissions = permissions.into_iter().map(str::to_owned).collect();
    }

    /// The client secret has expired; tokens given out before stay good.
    pub fn expire_secret(&self) {
        self.0.tokens().secret_state = ClientSecret::Expired;
    }

    /// Makes every access token given out so far worthless.
    pub fn end_sessions(&self) {
        self.0.tokens().forget();
    }
}
