//! What is worth an Event: what has changed between two statuses. None repeats while nothing changes. Pure.

use super::resource::{Condition, ConditionStatus, Refusal, RetirementStatus, kind};
use crate::model::condition::ConditionKind;
use crate::model::status::Phase;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub is_warning: bool,
    pub reason: &'static str,
    /// Beside the reason, what makes an event another one: a phase, a brake.
    pub action: String,
    pub note: String,
}

pub fn between(before: &RetirementStatus, now: &RetirementStatus) -> Vec<News> {
    let mut news = Vec::new();
    phase(before, now, &mut news);
    holds(before, now, &mut news);
    conditions(before, now, &mut news);
    let lost = |status: &RetirementStatus| status.users_lost.as_ref().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    if lost(now) > lost(before) {
        let note = format!(
            "{} protected users are lost at the app, {} before: see the condition UsersKept and the worker's page",
            lost(now),
            lost(before)
        );
        news.push(warning("UsersLost", lost(now).to_string(), note));
    }
    news
}

fn normal(reason: &'static str, action: impl Into<String>, note: impl Into<String>) -> News {
    News { is_warning: false, reason, action: action.into(), note: note.into() }
}

fn warning(reason: &'static str, action: impl Into<String>, note: impl Into<String>) -> News {
    News { is_warning: true, ..normal(reason, action, note) }
}

fn phase(before: &RetirementStatus, now: &RetirementStatus, news: &mut Vec<News>) {
    let Some(phase) = now.phase.as_deref().filter(|phase| before.phase.as_deref() != Some(phase)) else { return };
    let from = before.phase.as_deref().map(|from| format!("{from} -> ")).unwrap_or_default();
    news.push(normal("PhaseChanged", phase, format!("{from}{phase}")));
    let said = |kind: ConditionKind| now.condition(kind.as_str()).map(|condition| condition.message.clone()).unwrap_or_default();
    if phase == Phase::AwaitingRevocation.as_str() {
        news.push(warning("DeleteTheToken", phase, said(ConditionKind::TokenRevoked)));
    }
    if phase == Phase::Retired.as_str() {
        news.push(normal("Retired", phase, said(ConditionKind::Ready)));
    }
}

fn holds(before: &RetirementStatus, now: &RetirementStatus, news: &mut Vec<News>) {
    let has = |status: &RetirementStatus, by: &str| status.held.iter().any(|held| held.by == by);
    for held in now.held.iter().filter(|held| !has(before, &held.by)) {
        news.push(warning("Held", held.by.as_str(), format!("{}: {}", held.by, held.message)));
    }
    for held in before.held.iter().filter(|held| !has(now, &held.by)) {
        news.push(normal("HoldEnded", held.by.as_str(), format!("{} holds no more", held.by)));
    }
}

/// Those of the operator's own that say trouble, when it begins, changes and ends.
fn conditions(before: &RetirementStatus, now: &RetirementStatus, news: &mut Vec<News>) {
    let told = |condition: Option<&Condition>| condition.map(|condition| (condition.status, condition.reason.clone()));
    let names = [
        (kind::ACCEPTED, "Refused", "Accepted"),
        (kind::WORKER_READY, "WorkerNotReady", "WorkerReady"),
        (ConditionKind::ConfigLoaded.as_str(), Refusal::CONFIG, "ConfigInForce"),
    ];
    for (name, bad, good) in names {
        let (old, new) = (before.condition(name), now.condition(name));
        let Some(condition) = new.filter(|_| told(old) != told(new)) else { continue };
        match condition.status {
            // A pod that is being made is no trouble.
            ConditionStatus::False
                if ["NoPod", "PodPending", "PodNotReady", "ContainerCreating"].contains(&condition.reason.as_str()) => {}
            ConditionStatus::False => news.push(warning(bad, condition.reason.as_str(), condition.message.as_str())),
            ConditionStatus::True if old.is_some() => {
                news.push(normal(good, condition.reason.as_str(), condition.message.as_str()))
            }
            ConditionStatus::True | ConditionStatus::Unknown => {}
        }
    }
    let kept = |status: &RetirementStatus| status.condition(kind::DELETION_KEPT_BACK).is_some();
    if kept(now) && !kept(before) {
        let note = now.condition(kind::DELETION_KEPT_BACK).map(|condition| condition.message.clone()).unwrap_or_default();
        news.push(warning(kind::DELETION_KEPT_BACK, "Delete", note));
    }
}
