//! What was refused is not tried again at once: each write waits by itself, longer every time, and where the service denies a kind
//! of write as such, one of that kind goes first.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::model::action::Action;
use crate::model::journal::Refusal;
use crate::model::key::{Key, KeyKind};
use crate::model::moment::{lasts, later};
use crate::model::words::{count, some_of};

const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Of a direct assignment: a path is not put off for long.
const LONGEST_FOR_COVER: Duration = Duration::from_secs(300);

/// How long a write waits after so many refusals in a row.
fn wait(action: &Action, refusal: &Refusal) -> Duration {
    let longest = if matches!(action, Action::AssignUser { .. }) { LONGEST_FOR_COVER } else { LONGEST_WAIT };
    FIRST_WAIT.saturating_mul(1 << refusal.times.saturating_sub(1).min(10)).min(longest)
}

/// Takes out of the plan what must wait, and says so once it is more than a passing refusal.
pub(super) fn held_back(facts: &Facts, actions: &mut Vec<Action>) -> Option<String> {
    let refused = &facts.memory.journal.refused;
    if refused.is_empty() || actions.is_empty() {
        return None;
    }
    let denied = denied_kinds(facts);
    let mut told: Vec<(Key, &Refusal, Timestamp)> = Vec::new();
    let mut tried = BTreeMap::new();
    actions.retain(|action| {
        // The webhook has its own count.
        if matches!(action, Action::RequestRevocation | Action::RecordBaseline) {
            return true;
        }
        let key = action.key();
        if let Some(refusal) = refused.get(&key) {
            let wait = wait(action, refusal);
            if lasts(refusal.at, facts.now, wait) {
                told.push((key, refusal, later(refusal.at, wait)));
                return false;
            }
        }
        let Some((of, denial)) = denied.get(action.kind()) else { return true };
        let wait = wait(action, denial);
        let first = !std::mem::replace(tried.entry(action.kind()).or_insert(false), true);
        if first && !lasts(denial.at, facts.now, wait) {
            return true;
        }
        told.push((of.clone(), denial, later(denial.at, wait)));
        false
    });
    told.retain(|(_, refusal, _)| refusal.times > 1 || refusal.is_denial());
    let next = told.iter().map(|(_, _, next)| *next).min()?;
    let mut causes: BTreeMap<&str, (usize, &Key, u32)> = BTreeMap::new();
    for (key, refusal, _) in &told {
        let cause = causes.entry(&refusal.cause).or_insert((0, key, 0));
        (cause.0, cause.2) = (cause.0 + 1, cause.2.max(refusal.times));
    }
    let causes = causes.into_iter().map(|(cause, (writes, key, times))| {
        format!("{} ({key}, {} in a row): {cause}", count(writes, "write"), count(times as usize, "time"))
    });
    Some(format!(
        "refused, and not tried again before {next:.0}: {}; give it what it asks for, or set right what it names; it goes on by itself when a write is \
         taken",
        some_of(causes)
    ))
}

/// Kinds of writes of which the last that was heard is that they are denied as such.
fn denied_kinds<'a>(facts: &Facts<'a>) -> BTreeMap<&'static str, (Key, &'a Refusal)> {
    let mut denied: BTreeMap<&'static str, (Key, &'a Refusal)> = BTreeMap::new();
    for (key, refusal) in facts.memory.journal.refused.iter().filter(|(_, refusal)| refusal.is_denial()) {
        let Some((kind, _)) = kind_of(key) else { continue };
        match denied.get(kind) {
            Some((_, known)) if known.at >= refusal.at => {}
            Some(_) | None => _ = denied.insert(kind, (key.clone(), refusal)),
        }
    }
    denied.retain(|_, (key, refusal)| {
        let kin = kind_of(key).map(|(_, kin)| kin);
        let done = kin.and_then(|kin| facts.memory.journal.of(kin).filter_map(|(_, entry)| entry.last_confirmed_here()).max());
        done.is_none_or(|done| done <= refusal.at)
    });
    denied
}

fn kind_of(key: &Key) -> Option<(&'static str, KeyKind)> {
    match key {
        Key::Assign(..) => Some(("AssignUser", KeyKind::Assigns)),
        Key::Member(..) => Some(("RemoveMember", KeyKind::Members)),
        Key::Unassign(..) => Some(("UnassignGroup", KeyKind::Unassigns)),
        _ => None,
    }
}
