//! The resource's status: what the worker says, what its pod shows, and what the operator judged. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::heard::Heard;
use super::pod::PodSeen;
use super::resource::{Condition, ConditionStatus, Refusal, RetirementStatus, WorkerSeen, kind};
use super::told::{Told, short};
use crate::model::condition::ConditionKind;
use crate::model::moment::since;

/// How exact the time is at which a worker was last heard; each time is a write. Older than half an hour, it says that nobody listens.
pub const HEARD: Duration = Duration::from_secs(25 * 60);

pub struct Seen<'a> {
    pub generation: Option<i64>,
    pub before: &'a RetirementStatus,
    pub refused: Option<&'a Refusal>,
    pub pod: Option<&'a PodSeen>,
    pub heard: &'a Heard,
    /// Its deletion waits for a word of a person.
    pub kept_back: bool,
    /// What the kubelet says of a pod that can't start.
    pub mount_trouble: Option<&'a str>,
    pub now: Timestamp,
}

pub fn status(seen: &Seen) -> RetirementStatus {
    let told = seen.heard.told.as_ref().map(|(told, _)| told.as_ref());
    let mut status = told.map_or_else(|| last_told(seen.before), Told::status);
    // A worker whose ledger is not what was seen of it says nothing of it, nor does one that can't read it.
    if status.ledger.is_none() {
        status.ledger.clone_from(&seen.before.ledger);
    }
    let own = [Some(accepted(seen)), Some(worker_ready(seen)), kept_back(seen)];
    let workers = std::mem::take(&mut status.conditions);
    status.conditions = own.into_iter().flatten().map(|made| made.since(seen)).collect();
    status.conditions.extend(workers);
    config_loaded(seen, &mut status.conditions);
    ready(seen, &mut status.conditions);
    for condition in &mut status.conditions {
        condition.observed_generation = seen.generation;
    }
    if status.phase.is_none() {
        status.phase = Some(if seen.refused.is_some() { "Refused" } else { "Starting" }.into());
    }
    status.observed_generation = seen.generation;
    status.worker = Some(worker(seen, told));
    status
}

/// What the worker said before: it stays, with the time at which it was heard.
fn last_told(before: &RetirementStatus) -> RetirementStatus {
    let own = [kind::ACCEPTED, kind::WORKER_READY, kind::DELETION_KEPT_BACK];
    let mut last = before.clone();
    last.conditions.retain(|condition| !own.contains(&condition.kind.as_str()));
    last.phase = last.phase.filter(|phase| !["Refused", "Starting"].contains(&phase.as_str()));
    last
}

struct Made {
    kind: &'static str,
    status: ConditionStatus,
    reason: String,
    message: String,
}

impl Made {
    /// With the time of its last change.
    fn since(self, seen: &Seen) -> Condition {
        let last = seen.before.condition(self.kind).filter(|last| last.status == self.status);
        Condition {
            kind: self.kind.to_owned(),
            status: self.status,
            reason: reason(&self.reason),
            message: short(&self.message),
            last_transition_time: last.map_or(seen.now, |last| last.last_transition_time),
            observed_generation: seen.generation,
        }
    }
}

/// As the API server wants it: `ErrImagePull` is one, and so is whatever a node may call it.
fn reason(text: &str) -> String {
    let plain: String = text.chars().filter(char::is_ascii_alphanumeric).take(100).collect();
    if plain.starts_with(|c: char| c.is_ascii_alphabetic()) { plain } else { "Unknown".into() }
}

fn made(kind: &'static str, is_so: bool, reason: &str, message: &str) -> Made {
    let status = if is_so { ConditionStatus::True } else { ConditionStatus::False };
    Made { kind, status, reason: reason.to_owned(), message: message.to_owned() }
}

fn accepted(seen: &Seen) -> Made {
    match seen.refused.filter(|refused| refused.reason != Refusal::CONFIG) {
        None => made(kind::ACCEPTED, true, "Accepted", "this resource has a worker of its own"),
        Some(refused) => made(kind::ACCEPTED, false, refused.reason, &refused.message),
    }
}

fn worker_ready(seen: &Seen) -> Made {
    let no = |reason: &str, message: &str| made(kind::WORKER_READY, false, reason, message);
    let Some(pod) = seen.pod else {
        let why = if seen.refused.is_some() { "no worker is started for it" } else { "its StatefulSet has made no pod yet" };
        return no("NoPod", why);
    };
    if let Some(why) = seen.mount_trouble {
        return no("SecretMissing", why);
    }
    match (&pod.ready, &seen.heard.trouble) {
        (Err((reason, message)), _) => no(reason, message),
        (Ok(()), Some(why)) => no("StatusUnreadable", why),
        (Ok(()), None) => made(kind::WORKER_READY, true, "Ready", "the worker runs and is heard"),
    }
}

fn kept_back(seen: &Seen) -> Option<Made> {
    let text = "deleted in the middle: something was taken away and it is not over. The worker goes on looking and writes nothing; to let \
                go of it all the same, annotate it with unscim.dev/abandon=true. The ledger stays";
    seen.kept_back.then(|| made(kind::DELETION_KEPT_BACK, true, "InTheMiddle", text))
}

/// A config that the daemon would refuse never reaches it; the last good one stays in force.
fn config_loaded(seen: &Seen, conditions: &mut Vec<Condition>) {
    let Some(refused) = seen.refused.filter(|refused| refused.reason == Refusal::CONFIG) else { return };
    let condition = made(ConditionKind::ConfigLoaded.as_str(), false, refused.reason, &refused.message);
    put(conditions, condition.since(seen));
}

/// `kubectl wait` has something to wait for from the first moment on.
fn ready(seen: &Seen, conditions: &mut Vec<Condition>) {
    let name = ConditionKind::Ready.as_str();
    if conditions.iter().all(|condition| condition.kind != name) {
        let text = if seen.refused.is_some() {
            "it was not begun: see Accepted and ConfigLoaded"
        } else {
            "the worker has said nothing yet"
        };
        conditions.push(made(name, false, "NotStarted", text).since(seen));
    }
}

fn put(conditions: &mut Vec<Condition>, new: Condition) {
    match conditions.iter_mut().find(|condition| condition.kind == new.kind) {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

fn worker(seen: &Seen, told: Option<&Told>) -> WorkerSeen {
    let last = seen.before.worker.as_ref().and_then(|worker| worker.heard_at.clone());
    let heard = seen.heard.told.as_ref().filter(|_| told.is_some()).map(|(_, at)| *at);
    let last_at = last.as_ref().and_then(|last| last.parse::<Timestamp>().ok());
    let is_recent = matches!((heard, last_at), (Some(heard), Some(last)) if since(last, heard) < HEARD);
    let heard_at = if is_recent || heard.is_none() { last } else { heard.map(|at| format!("{at:.0}")) };
    WorkerSeen {
        pod: seen.pod.map(|pod| pod.name.clone()),
        image: seen.pod.and_then(|pod| pod.image.clone()),
        ready: worker_ready(seen).status == ConditionStatus::True,
        heard_at,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::news;
    use super::*;
    use crate::model::status::Phase;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn pod(ready: Result<(), (&str, &str)>) -> PodSeen {
        PodSeen {
            name: "unscim-uniqkey-0".into(),
            address: "10.0.0.1".parse().ok(),
            image: Some("unscim:1".into()),
            ready: ready.map_err(|(reason, message)| (reason.into(), message.into())),
            is_creating: false,
            is_ending: false,
        }
    }

    fn heard(phase: Phase, minute: i64) -> Heard {
        let ready = Condition {
            kind: "Ready".into(),
            status: ConditionStatus::False,
            reason: "InProgress".into(),
            message: "…".into(),
            last_transition_time: at(0),
            observed_generation: None,
        };
        let status = RetirementStatus {
            phase: Some(phase.as_str().into()),
            users: Some("40/40".into()),
            conditions: vec![ready],
            ..RetirementStatus::default()
        };
        let told = Told {
            name: "uniqkey".into(),
            tenant: None,
            status: serde_json::to_string(&status).unwrap().into(),
            phase,
            has_baseline: true,
            is_in_the_middle: false,
            users_lost: None,
            mark: 0,
        };
        Heard { told: Some((Arc::new(told), at(minute))), trouble: None }
    }

    fn made(
        before: &RetirementStatus,
        refused: Option<&Refusal>,
        pod: Option<&PodSeen>,
        heard: &Heard,
        minute: i64,
    ) -> RetirementStatus {
        let (kept_back, mount_trouble, now) = (false, None, at(minute));
        status(&Seen { generation: Some(3), before, refused, pod, heard, kept_back, mount_trouble, now })
    }

    fn said<'a>(status: &'a RetirementStatus, name: &str) -> (ConditionStatus, &'a str) {
        let condition = status.condition(name).unwrap_or_else(|| panic!("{name}"));
        (condition.status, &condition.reason)
    }

    #[test]
    fn a_worker_that_is_silent_leaves_its_last_word_and_the_time_of_it() {
        let (none, ready) = (RetirementStatus::default(), pod(Ok(())));
        let first = made(&none, None, Some(&ready), &heard(Phase::AssigningUsers, 1), 1);
        assert_eq!(said(&first, "WorkerReady"), (ConditionStatus::True, "Ready"));
        assert!(first.conditions.iter().all(|condition| condition.observed_generation == Some(3)));
        let crashed = pod(Err(("CrashLoopBackOff", "it ended")));
        let silent = made(&first, None, Some(&crashed), &Heard::default(), 30);
        assert_eq!(said(&silent, "WorkerReady"), (ConditionStatus::False, "CrashLoopBackOff"));
        assert_eq!((silent.phase.as_deref(), silent.users.as_deref()), (Some("AssigningUsers"), Some("40/40")));
        assert_eq!(silent.worker.unwrap().heard_at, first.worker.unwrap().heard_at);
    }

    #[test]
    fn what_has_not_changed_is_not_written() {
        let ready = pod(Ok(()));
        let first = made(&RetirementStatus::default(), None, Some(&ready), &heard(Phase::AwaitingCycle, 1), 1);
        assert_eq!(made(&first, None, Some(&ready), &heard(Phase::AwaitingCycle, 9), 9), first, "a turn is no news");
        assert!(news::between(&first, &first).is_empty());
        let later = made(&first, None, Some(&ready), &heard(Phase::AwaitingCycle, 27), 27);
        assert!(later != first && news::between(&first, &later).is_empty(), "that it is heard is written now and then");
    }

    #[test]
    fn a_config_that_is_wrong_is_told_beside_what_goes_on() {
        let (wrong, ready) = (Refusal::new(Refusal::CONFIG, "spec.groups: none"), pod(Ok(())));
        let going = made(&RetirementStatus::default(), Some(&wrong), Some(&ready), &heard(Phase::Observing, 1), 1);
        assert_eq!(said(&going, "ConfigLoaded"), (ConditionStatus::False, "ConfigInvalid"));
        assert_eq!((said(&going, "Accepted").0, going.phase.as_deref()), (ConditionStatus::True, Some("Observing")));
        let never = made(&RetirementStatus::default(), Some(&wrong), None, &Heard::default(), 1);
        assert_eq!((said(&never, "Ready"), never.phase.as_deref()), ((ConditionStatus::False, "NotStarted"), Some("Refused")));
        let right = made(&never, None, None, &Heard::default(), 2);
        assert_eq!(right.phase.as_deref(), Some("Starting"));
    }

    #[test]
    fn each_change_is_told_once() {
        let ready = pod(Ok(()));
        let reasons = |before: &RetirementStatus, now: &RetirementStatus| -> Vec<&'static str> {
            news::between(before, now).into_iter().map(|news| news.reason).collect()
        };
        let none = RetirementStatus::default();
        let first = made(&none, None, Some(&ready), &heard(Phase::AwaitingCycle, 1), 1);
        assert_eq!(reasons(&none, &first), ["PhaseChanged"]);
        let asked = made(&first, None, Some(&ready), &heard(Phase::AwaitingRevocation, 2), 2);
        assert_eq!(reasons(&first, &asked), ["PhaseChanged", "DeleteTheToken"]);
        let crashed = made(&asked, None, Some(&pod(Err(("CrashLoopBackOff", "…")))), &Heard::default(), 3);
        assert_eq!(reasons(&asked, &crashed), ["WorkerNotReady"]);
        let mut lost = crashed.clone();
        (lost.users_lost, lost.held) =
            (Some("2".into()), vec![super::super::resource::Held { by: "users-lost".into(), message: "…".into() }]);
        assert_eq!(reasons(&crashed, &lost), ["Held", "UsersLost"]);
        assert_eq!(reasons(&lost, &crashed), ["HoldEnded"]);
    }
}
