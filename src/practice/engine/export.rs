//! Carries out what a cycle wants, call by call, and writes a row for each. A refused token ends the cycle.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::log::{self, Action, Entry};
use super::scim::{self, Active, Answer, Kind, Message};
use super::scope::Begun;
use crate::model::engine::{Attributes, Exit, LinkedGroup, LinkedUser, ScimCall, plan_cycle};
use crate::model::id::{GroupId, ScimId, UserId};
use crate::practice::clock::later;
use crate::practice::record::ScimRequest;
use crate::practice::tenant::Inner;

/// A body is no larger than servers take.
const MEMBERS_IN_A_CALL: usize = 1_000;

/// How the exports of a cycle went.
pub(crate) enum Outcome {
    Finished { exports: usize, failed: usize },
    Quarantined { reason: &'static str, message: String },
}

enum Trouble {
    /// The token is refused: nothing more is tried.
    Credentials(u16),
    /// This entry failed; the next cycle tries again.
    Entry(String),
}

/// What a call is about, for its row in the log.
struct Subject {
    kind: Kind,
    source: Uuid,
    name: String,
    action: Action,
    modified: Vec<(String, Option<String>, Option<String>)>,
}

struct Run<'a> {
    inner: &'a Inner,
    begun: &'a Begun,
    at: Timestamp,
}

pub(crate) async fn export(inner: &Inner, begun: &Begun, at: Timestamp) -> Outcome {
    let run = Run { inner, begun, at };
    if let Err(message) = run.probe().await {
        return Outcome::Quarantined { reason: "EncounteredQuarantineException", message };
    }
    let calls = plan_cycle(&begun.scope, &begun.linked);
    let deletions: Vec<_> = calls.iter().filter(|call| call.is_deletion()).collect();
    if begun.threshold.is_some_and(|threshold| deletions.len() as u64 > threshold) {
        for call in &deletions {
            let subject = Subject { action: Action::StagedDelete, ..run.subject(call) };
            run.row(subject, log::Outcome::Success);
        }
        let message = format!("{} deletions are staged, more than the threshold allows", deletions.len());
        return Outcome::Quarantined { reason: "TooManyDeletes", message };
    }
    let (mut failed, mut done) = (0, BTreeSet::new());
    for call in &calls {
        let subject = run.subject(call);
        done.insert(subject.source);
        match run.perform(call).await {
            Ok(()) => run.row(subject, log::Outcome::Success),
            Err(Trouble::Entry(text)) => {
                failed += 1;
                run.row(subject, log::Outcome::Failure(text));
            }
            Err(Trouble::Credentials(status)) => {
                let message = refused(status);
                return Outcome::Quarantined { reason: "EncounteredQuarantineException", message };
            }
        }
    }
    run.skipped(&done);
    Outcome::Finished { exports: calls.len(), failed }
}

fn refused(status: u16) -> String {
    format!("The credentials were refused by the target with HTTP status {status}.")
}

impl Run<'_> {
    /// The look-up of a random user with which the service tests its credentials. What else the target may say to it, it will
    /// say of each entry, and there it is told.
    async fn probe(&self) -> Result<(), String> {
        match self.send(scim::find_user(&self.begun.activity)).await {
            Ok(Answer { status: status @ (401 | 403), .. }) => Err(refused(status)),
            Ok(Answer { status: 404, .. }) => {
                Err("The target answered HTTP status 404 where a list was expected: it is no SCIM service at this address."
                    .into())
            }
            Ok(_) => Ok(()),
            Err(cause) => Err(format!("The target could not be reached: {cause}")),
        }
    }

    async fn send(&self, message: Message) -> Result<Answer, String> {
        let answer = self.inner.sender.send(&message, &self.begun.token).await;
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        let Message { method, path, body } = message;
        self.inner.records().scim(ScimRequest { at: self.at, method: method.to_string(), path, body, status });
        answer
    }

    /// Sends one message that must succeed; a thing to be deleted may be gone already.
    async fn must(&self, message: Message) -> Result<Value, Trouble> {
        let deleting = message.method == http::Method::DELETE;
        let what = format!("{} {}", message.method, message.path);
        match self.send(message).await {
            Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
            Ok(Answer { status: 404, body }) if deleting => Ok(body),
            Ok(Answer { status: status @ (401 | 403), .. }) => Err(Trouble::Credentials(status)),
            Ok(answer) => Err(Trouble::Entry(format!("{what} was answered with HTTP status {}", answer.status))),
            Err(cause) => Err(Trouble::Entry(format!("{what} was not answered: {cause}"))),
        }
    }

    async fn perform(&self, call: &ScimCall) -> Result<(), Trouble> {
        let form = self.begun.form;
        match call {
            ScimCall::CreateUser { user, attributes } => {
                let id = self.create_user(attributes).await?;
                let link = LinkedUser { id, active: true, attributes: attributes.clone() };
                self.inner.state().sync.linked.users.insert(*user, link);
            }
            ScimCall::UpdateUser { user, attributes } => {
                let link = self.user(*user)?;
                self.must(scim::update(form, Kind::User, &link.id, &changed(attributes, &link.attributes))).await?;
                self.relink_user(*user, |link| link.attributes = attributes.clone());
            }
            ScimCall::EnableUser { user } => {
                self.must(scim::activate(form, &self.user(*user)?.id, Active::Yes)).await?;
                self.relink_user(*user, |link| link.active = true);
            }
            ScimCall::DisableUser { user, .. } => {
                self.must(scim::activate(form, &self.user(*user)?.id, Active::No)).await?;
                self.relink_user(*user, |link| link.active = false);
            }
            ScimCall::CreateGroup { group, attributes } => {
                let found = self.find(scim::find_group(named(attributes, "displayName")), "displayName", attributes).await?;
                let id = match found {
                    Some(id) => id,
                    None => identified(&self.must(scim::create_group(attributes)).await?)?,
                };
                let link = LinkedGroup { id, members: BTreeSet::new(), attributes: attributes.clone() };
                self.inner.state().sync.linked.groups.insert(*group, link);
            }
            ScimCall::UpdateGroup { group, attributes } => {
                let link = self.group(*group)?;
                self.must(scim::update(form, Kind::Group, &link.id, &changed(attributes, &link.attributes))).await?;
                self.relink_group(*group, |link| link.attributes = attributes.clone());
            }
            ScimCall::AddMembers { group, users } => {
                let (link, members) = (self.group(*group)?, self.linked(users));
                if members.is_empty() {
                    return Err(Trouble::Entry("no member has a record at the target".into()));
                }
                for members in members.chunks(MEMBERS_IN_A_CALL) {
                    self.must(scim::add_members(form, &link.id, &members.iter().map(|(_, id)| id).collect())).await?;
                    self.relink_group(*group, |link| link.members.extend(members.iter().map(|(user, _)| *user)));
                }
            }
            ScimCall::RemoveMembers { group, users } => {
                let (link, members) = (self.group(*group)?, self.linked(users));
                for members in members.chunks(MEMBERS_IN_A_CALL) {
                    self.must(scim::remove_members(form, &link.id, &members.iter().map(|(_, id)| id).collect())).await?;
                }
                self.relink_group(*group, |link| link.members.retain(|user| !users.contains(user)));
            }
            ScimCall::DeleteGroup { group } => {
                self.must(scim::delete(Kind::Group, &self.group(*group)?.id)).await?;
                self.inner.state().sync.linked.groups.remove(group);
            }
        }
        Ok(())
    }

    async fn create_user(&self, attributes: &Attributes) -> Result<ScimId, Trouble> {
        let message = scim::create_user(attributes);
        if let (Some(app), Some(body)) = (&self.begun.fill, &message.body) {
            return Ok(ScimId::from(app.seed_user(body.clone())));
        }
        match self.find(scim::find_user(named(attributes, "userName")), "userName", attributes).await? {
            Some(id) => Ok(id),
            None => identified(&self.must(message).await?),
        }
    }

    /// The record that matches by name, whatever the target's filter let through.
    async fn find(&self, message: Message, by: &str, attributes: &Attributes) -> Result<Option<ScimId>, Trouble> {
        let body = self.must(message).await?;
        let same = |record: &&Value| record[by].as_str().is_some_and(|name| name.eq_ignore_ascii_case(named(attributes, by)));
        body["Resources"].as_array().into_iter().flatten().find(same).map(identified).transpose()
    }

    fn user(&self, user: UserId) -> Result<LinkedUser, Trouble> {
        let link = self.inner.state().sync.linked.users.get(&user).cloned();
        link.ok_or_else(|| Trouble::Entry("the user has no record at the target".into()))
    }

    fn group(&self, group: GroupId) -> Result<LinkedGroup, Trouble> {
        let link = self.inner.state().sync.linked.groups.get(&group).cloned();
        link.ok_or_else(|| Trouble::Entry("the group has no record at the target".into()))
    }

    /// Those of the users who have a record by now.
    fn linked(&self, users: &BTreeSet<UserId>) -> Vec<(UserId, ScimId)> {
        let state = self.inner.state();
        users.iter().filter_map(|user| Some((*user, state.sync.linked.users.get(user)?.id.clone()))).collect()
    }

    fn relink_user(&self, user: UserId, change: impl FnOnce(&mut LinkedUser)) {
        self.inner.state().sync.linked.users.get_mut(&user).map(change).unwrap_or_default();
    }

    fn relink_group(&self, group: GroupId, change: impl FnOnce(&mut LinkedGroup)) {
        self.inner.state().sync.linked.groups.get_mut(&group).map(change).unwrap_or_default();
    }

    fn subject(&self, call: &ScimCall) -> Subject {
        let write = |old: Option<&Attributes>, new: &Attributes| {
            let old = |name: &String| old.and_then(|old| old.get(name)).cloned();
            let differ = new.iter().filter(|(name, value)| old(name).as_ref() != Some(*value));
            differ.map(|(name, value)| (name.clone(), old(name), Some(value.clone()))).collect()
        };
        let active = |old: &str, new: &str| vec![("active".to_owned(), Some(old.to_owned()), Some(new.to_owned()))];
        let count = |n: usize| n.to_string();
        let links = &self.begun.linked;
        match call {
            ScimCall::CreateUser { user, attributes } => self.about_user(*user, Action::Create, write(None, attributes)),
            ScimCall::UpdateUser { user, attributes } => {
                let before = links.users.get(user).map(|link| &link.attributes);
                self.about_user(*user, Action::Update, write(before, attributes))
            }
            ScimCall::EnableUser { user } => self.about_user(*user, Action::Update, active("False", "True")),
            // The service logs the same thing in two ways.
            ScimCall::DisableUser { user, why: Exit::AccountDisabled } => {
                self.about_user(*user, Action::Update, active("True", "False"))
            }
            ScimCall::DisableUser { user, why: Exit::OutOfScope | Exit::Deleted } => {
                self.about_user(*user, Action::Disable, active("True", "False"))
            }
            ScimCall::CreateGroup { group, attributes } => self.about_group(*group, Action::Create, write(None, attributes)),
            ScimCall::UpdateGroup { group, attributes } => {
                let before = links.groups.get(group).map(|link| &link.attributes);
                self.about_group(*group, Action::Update, write(before, attributes))
            }
            ScimCall::AddMembers { group, users } => {
                self.about_group(*group, Action::Update, vec![("members".into(), None, Some(count(users.len())))])
            }
            ScimCall::RemoveMembers { group, users } => {
                self.about_group(*group, Action::Update, vec![("members".into(), Some(count(users.len())), None)])
            }
            ScimCall::DeleteGroup { group } => self.about_group(*group, Action::Delete, Vec::new()),
        }
    }

    fn about_user(&self, user: UserId, action: Action, modified: Vec<(String, Option<String>, Option<String>)>) -> Subject {
        let name = self.begun.scope.users.get(&user).map(|user| named(&user.attributes, "displayName").to_owned());
        Subject { kind: Kind::User, source: user.0, name: name.unwrap_or_default(), action, modified }
    }

    fn about_group(&self, group: GroupId, action: Action, modified: Vec<(String, Option<String>, Option<String>)>) -> Subject {
        let name = self.begun.scope.groups.get(&group).map(|group| named(&group.attributes, "displayName").to_owned());
        Subject { kind: Kind::Group, source: group.0, name: name.unwrap_or_default(), action, modified }
    }

    fn row(&self, subject: Subject, outcome: log::Outcome) {
        let mut state = self.inner.state();
        let state = &mut *state;
        let (user, group) = (UserId(subject.source), GroupId(subject.source));
        // A deleted group is known from before, a created user only from now.
        let (before, after) = (&self.begun.linked, &state.sync.linked);
        let target = match subject.kind {
            Kind::User => after.users.get(&user).or(before.users.get(&user)).map(|link| link.id.clone()),
            Kind::Group => after.groups.get(&group).or(before.groups.get(&group)).map(|link| link.id.clone()),
        };
        let Some(job) = state.sync.jobs.first().map(|job| job.id.clone()) else { return };
        let Subject { kind, source, name: source_name, action, modified } = subject;
        let entry = Entry {
            id: state.world.fresh("log"),
            at: self.at,
            visible: later(self.at, self.inner.scenario.log_latency),
            job,
            cycle: self.begun.activity.clone(),
            action,
            outcome,
            kind: kind.word(),
            source,
            source_name,
            target,
            modified,
        };
        state.sync.log.push(entry);
    }

    /// Users whom the delta feed named and for whom there was nothing to do.
    fn skipped(&self, done: &BTreeSet<Uuid>) {
        let entitled = self.begun.scope.entitled();
        for user in self.begun.touched.difference(done).map(|id| UserId(*id)) {
            let Some(source) = self.begun.scope.users.get(&user) else { continue };
            let in_scope = entitled.contains(&user) && source.enabled;
            let reason = if in_scope { "RedundantExport" } else { "NotEffectivelyEntitled" };
            self.row(self.about_user(user, Action::Update, Vec::new()), log::Outcome::Skipped(reason));
        }
    }
}

fn named<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    attributes.get(name).map_or("", String::as_str)
}

fn changed(new: &Attributes, old: &Attributes) -> Attributes {
    new.iter().filter(|(name, value)| old.get(*name) != Some(value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn identified(record: &Value) -> Result<ScimId, Trouble> {
    let id = record["id"].as_str().map(ScimId::from);
    id.ok_or_else(|| Trouble::Entry("the target answered a record without an id".into()))
}
