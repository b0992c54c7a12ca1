//! What a person must do: each thing once, with where to click and what to copy.

use serde_json::Value;

use super::advice::{Advice, Said};
use super::headline::Trouble;
use super::{advice, headline};
use crate::model::condition::Reason;
use crate::model::status::{GroupState, GroupStatus, Held, Phase, Status};
use crate::model::words::clean;

/// What is amiss with people, in conditions.
const LOST: [Reason; 2] = [Reason::UsersLost, Reason::UsersUncertain];

pub(super) fn todo<'a>(spec: &Value, status: &'a Status, troubles: &[Trouble]) -> Vec<Advice<'a>> {
    let mut found: Vec<Advice> = Vec::new();
    for condition in &status.conditions {
        let Some(text) = advice::now(status.phase, condition.reason) else { continue };
        let said = Said { message: condition.message.clone(), brake: None };
        match found.iter_mut().find(|advice| advice.text == text) {
            Some(advice) if tells(advice, &said.message) => {}
            Some(advice) => advice.says.push(said),
            None => found.push(Advice {
                text,
                clicks: advice::clicks(condition.reason, spec, status),
                copy: to_copy(condition.reason, status),
                // That a person is waited for is what the advice says; of a webhook there is more to tell.
                says: match condition.reason {
                    Reason::AwaitingOperator if spec["target"]["revocation"]["by"] != "Webhook" => Vec::new(),
                    _ => vec![said],
                },
                entry: condition.reason.as_str(),
            }),
        }
    }
    let is_of_lost = |advice: &Advice| LOST.map(Reason::as_str).contains(&advice.entry);
    for held in &status.held {
        let told = found.iter_mut().find(|advice| tells(advice, &held.message));
        let told = match (told.is_some(), advice::for_brake(&held.brake)) {
            (true, _) => told,
            (false, None) => continue,
            (false, _) if held.brake == advice::USERS_LOST && found.iter().any(is_of_lost) => continue,
            (false, Some(text)) => {
                if !found.iter().any(|advice| advice.text == text) {
                    found.push(Advice { text, clicks: Vec::new(), copy: None, says: Vec::new(), entry: &held.brake });
                }
                found.iter_mut().find(|advice| advice.text == text)
            }
        };
        if let Some(advice) = told {
            take(advice, held);
        }
    }
    // What stops it says so for itself.
    found.retain_mut(|advice| {
        advice.says.retain(|said| !headline::tells(troubles, &said.message));
        advice.entry != Reason::PreflightFailed.as_str() || !advice.says.is_empty()
    });
    // Nothing waits less than this.
    found.sort_by_key(|advice| ![Reason::UsersLost.as_str(), advice::USERS_LOST].contains(&advice.entry));
    match status.phase {
        Phase::Observing => found.push(advice::observing()),
        Phase::Retired => found.push(advice::after(status)),
        _ => {}
    }
    found
}

fn tells(advice: &Advice, message: &str) -> bool {
    !message.is_empty() && advice.says.iter().any(|said| said.message.contains(message))
}

/// A condition joins what holds it into one sentence; here each stands for itself, once.
fn take<'a>(advice: &mut Advice<'a>, held: &'a Held) {
    for said in advice.says.iter_mut().filter(|said| said.brake.is_none()) {
        let rest = said.message.replacen(&held.message, "", 1);
        said.message = rest.trim_matches([';', ' ']).replace("; ; ", "; ");
    }
    advice.says.retain(|said| said.brake.is_some() || !said.message.is_empty());
    if !tells(advice, &held.message) {
        let age = held.seen_at.map_or_else(String::new, |at| format!(" (as last seen at {at:.0})"));
        advice.says.push(Said { message: format!("{}{age}", held.message), brake: Some(&held.brake) });
    }
}

fn to_copy(reason: Reason, status: &Status) -> Option<String> {
    match reason {
        Reason::DecisionNeeded => {
            let undecided = status.groups.iter().filter(|group| group.state == GroupState::Refused);
            let entry = |group: &GroupStatus| {
                // What the message offers.
                let may_go = group.why.as_ref().is_some_and(|why| why.contains("members: Remove"));
                let choice = if may_go { "Remove   # or Keep" } else { "Keep" };
                format!("\n      - id: {}   # {}\n        members: {choice}", group.id, clean(&group.name))
            };
            let entries: String = undecided.map(entry).collect();
            (!entries.is_empty()).then(|| format!("spec:\n  groups:\n    list:{entries}"))
        }
        Reason::NewBaselineNeeded => Some("--new-baseline".into()),
        _ => None,
    }
}
