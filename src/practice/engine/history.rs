//! What happened before time starts: the first cycles, and the quirks at the target that the engine knows nothing of.

use std::time::Duration;

use super::cycle::end;
use super::export::{Outcome, export};
use super::job::Job;
use super::scim::{self, Active, Form, Kind, Message};
use super::scope::begin;
use super::sync::{ACCESS_TOKEN, Sync};
use crate::model::engine::{Attributes, Linked};
use crate::model::id::{JobId, ScimId};
use crate::practice::clock::{earlier, later};
use crate::practice::scenario::{JobState, Scenario, SignIn};
use crate::practice::seed::{Ids, has_history};
use crate::practice::tenant::{Inner, PracticeError};

const HOUR: Duration = Duration::from_secs(3600);

/// The job and its settings, before anything has run.
pub(crate) fn sync(scenario: &Scenario, ids: &Ids, token: String, base_address: &str) -> Sync {
    let settings = &scenario.job;
    let threshold = settings.delete_threshold;
    let notify = serde_json::json!({
        "Enabled": true, "Recipients": "ops@contoso.example",
        "DeleteThresholdEnabled": threshold.is_some(), "DeleteThresholdValue": threshold.unwrap_or(500),
    });
    let skip = settings.skip_out_of_scope_deletions.then(|| "True".to_owned());
    let by_oauth = settings.sign_in == SignIn::OAuth;
    let client = |value: &str| by_oauth.then(|| value.to_owned());
    let secrets = [
        ("BaseAddress", Some(base_address.to_owned())),
        (if by_oauth { ACCESS_TOKEN } else { "SecretToken" }, Some(token)),
        ("Oauth2ClientId", client("unscim-practice")),
        ("Oauth2ClientSecret", client("practice")),
        ("Oauth2TokenExchangeUri", client("https://app.example/oauth/token")),
        ("SyncAll", settings.sync_all.clone()),
        ("SyncNotificationSettings", Some(notify.to_string())),
        ("SkipOutOfScopeDeletions", skip),
    ];
    let job = |n: usize| {
        let id = if n == 1 { ids.job.clone() } else { JobId(format!("{}{n:04}", ids.job)) };
        Job::new(id, scenario.cycle_interval, settings.sentinels, threshold)
    };
    Sync {
        jobs: (1..=settings.count).map(job).collect(),
        secrets: secrets.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect(),
        linked: Linked::default(),
        log: Vec::new(),
    }
}

/// Fills the target as a tenant of some age has it, and leaves the job in the scenario's state.
pub(crate) async fn play(inner: &mut Inner) -> Result<(), PracticeError> {
    if inner.scenario.target.unmanaged {
        inner.ids.manual_user = Some(create(inner, scim::create_user(&by_hand("userName", "manual@contoso.example"))).await?);
        inner.ids.manual_group = Some(create(inner, scim::create_group(&by_hand("displayName", "Made by hand"))).await?);
    }
    if has_history(&inner.scenario) {
        cycles(inner).await?;
        quirks(inner).await?;
    }
    let mut state = inner.state();
    let now = inner.clock.now();
    for job in &mut state.sync.jobs {
        match inner.scenario.job.state {
            JobState::Active | JobState::NeverRun => {}
            JobState::Paused => job.pause(),
            JobState::Quarantined => {
                let message = "The credentials were refused by the target with HTTP status 401.".to_owned();
                job.quarantine("EncounteredQuarantineException", message, earlier(now, HOUR));
            }
        }
    }
    drop(state);
    inner.records().scim.clear();
    Ok(())
}

/// The initial cycle, one that notices the disabled accounts, and the last one, which finds nothing.
async fn cycles(inner: &Inner) -> Result<(), PracticeError> {
    let now = inner.clock.now();
    let length = inner.scenario.cycle_length;
    let last = earlier(now, inner.scenario.cycle_interval / 2 + length);
    for job in &mut inner.state().sync.jobs {
        job.start();
    }
    for (n, at) in [earlier(last, 50 * HOUR), earlier(last, 49 * HOUR), last].into_iter().enumerate() {
        let mut begun = begin(inner, at).ok_or_else(|| PracticeError::Target("the job is not scheduled".into()))?;
        begun.threshold = None;
        if n == 0 {
            begun.scope.users.values_mut().for_each(|user| user.enabled = true);
            begun.fill = inner.app.clone();
        }
        let outcome = export(inner, &begun, later(at, length / 2)).await;
        match &outcome {
            Outcome::Finished { failed: 0, .. } => {}
            Outcome::Finished { failed, .. } => {
                return Err(PracticeError::Target(format!("filling the target: {failed} calls failed; is it empty?")));
            }
            Outcome::Quarantined { message, .. } => return Err(PracticeError::Target(format!("filling the target: {message}"))),
        }
        end(inner, &begun, outcome, later(at, length));
    }
    let mut state = inner.state();
    let done = state.sync.jobs.first().cloned();
    for job in state.sync.jobs.iter_mut().skip(1) {
        let id = job.id.clone();
        *job = Job { id, ..done.clone().expect("the first job is there") };
    }
    Ok(())
}

async fn quirks(inner: &Inner) -> Result<(), PracticeError> {
    let record = |number: &usize| {
        let user = inner.ids.users.get(number - 1)?;
        inner.state().sync.linked.users.get(user).map(|link| link.id.clone())
    };
    for id in inner.scenario.target.missing.iter().filter_map(record) {
        send(inner, scim::delete(Kind::User, &id)).await?;
    }
    let form = Form::of(&inner.state().sync.base_address(), inner.scenario.job.active_by);
    for id in inner.scenario.target.inactive.iter().filter_map(record) {
        send(inner, scim::activate(form, &id, Active::No)).await?;
    }
    Ok(())
}

fn by_hand(attribute: &str, name: &str) -> Attributes {
    Attributes::from([(attribute.to_owned(), name.to_owned())])
}

async fn create(inner: &Inner, message: Message) -> Result<ScimId, PracticeError> {
    let body = send(inner, message).await?;
    let id = body["id"].as_str().map(ScimId::from);
    id.ok_or_else(|| PracticeError::Target("filling the target: it answered a record without an id".into()))
}

async fn send(inner: &Inner, message: Message) -> Result<serde_json::Value, PracticeError> {
    let token = inner.state().sync.bearer();
    let what = format!("filling the target: {} {}", message.method, message.path);
    match inner.sender.send(&message, &token).await {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(answer.body),
        Ok(answer) => Err(PracticeError::Target(format!("{what} was answered with HTTP status {}; is it empty?", answer.status))),
        Err(cause) => Err(PracticeError::Target(format!("{what}: {cause}"))),
    }
}
