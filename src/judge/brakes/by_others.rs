//! Brakes over what others do meanwhile: they undo the run, shorten its lists, fight it, or are at the same work.

use super::hit::{BrakeHit, HoldsBack};
use crate::judge::facts::Facts;
use crate::judge::others::{self, Least};
use crate::judge::plan::Plan;
use crate::model::action::Action;
use crate::model::id::{GroupId, UserId};
use crate::model::key::{Key, KeyKind};
use crate::model::memory::LOOKS;
use crate::model::status::Brake;
use crate::model::words::{count, part, some_of};

/// Fewer of our assignments gone at once is how a company lives: the same floor as for a list that shrank.
const UNDONE: usize = 4;

/// Many of the assignments that we made are gone at once: whatever took them may take more.
pub(super) fn undone(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    let made = |key: &Key| facts.written(key).is_some_and(|entry| entry.confirmed > 0);
    let again = plan.actions.iter().filter(|action| matches!(action, Action::AssignUser { .. }) && made(&action.key())).count();
    if again < UNDONE {
        return None;
    }
    let of = facts.memory.journal.of(KeyKind::Assigns).filter(|(_, entry)| entry.confirmed > 0).count();
    (again > facts.spec.limits.max_shrink.of(of)).then(|| {
        let message = format!(
            "{} made here are gone at once: a recovery of the directory (Entra Backup and Recovery), the end of an access package, a script or another tool \
             undoes this run; find it and stop it; they are made anew before anything else, and it goes on by itself when reads show them",
            part(again, of, "direct assignment")
        );
        (Brake::Undone, HoldsBack::Destructive, message)
    })
}

pub(super) fn shrunk(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    let is_told = |list: &String| list == "assignments" && undone(facts, plan).is_some();
    let small: Vec<_> = facts
        .memory
        .remembered
        .sizes
        .iter()
        .filter(|(list, _)| !is_told(list))
        .filter_map(|(list, size)| {
            let (now, looks) = size.smaller?;
            let believed = if looks < LOOKS { "it is read again" } else { "it stays so" };
            let missing = missing_from(facts, list);
            let names = if missing.is_empty() {
                String::new()
            } else {
                format!("; of the protected users it lacks {}", some_of(missing))
            };
            let share = size.count.saturating_sub(now) * 100 / size.count.max(1);
            Some(format!(
                "{list} had {} entries, now it is {now}, {share}% less, without a write of ours to explain it ({believed}{names})",
                size.count
            ))
        })
        .collect();
    (!small.is_empty()).then(|| {
        let message = format!(
            "{}; limits.maxShrink allows {}%, and never less than 3 entries; find out who did it: undo it, or if it was \
                 on purpose raise that until it has been seen once",
            some_of(small),
            facts.spec.limits.max_shrink.0
        );
        (Brake::Shrunk, HoldsBack::Destructive, message)
    })
}

/// Protected users whom a list should show, and whom nothing that we did has taken off it.
fn missing_from(facts: &Facts, list: &str) -> Vec<String> {
    let group = list.strip_prefix("members/").and_then(|id| id.parse().ok()).map(GroupId);
    let missing: Vec<UserId> = match group {
        Some(group) => {
            let ours = |user| facts.may_be_ours(&Key::Member(group, user));
            facts.gone_from(group).map(|person| person.id).filter(|user| !ours(*user)).collect()
        }
        None => {
            let ours = |user| facts.memory.journal.of(KeyKind::AssignsOf(user)).any(|(_, entry)| entry.confirmed > 0);
            let without = facts.people().iter().filter(|person| !person.has_row());
            without.map(|person| person.id).filter(|user| ours(*user)).collect()
        }
    };
    missing.into_iter().map(|user| facts.user_name(user)).collect()
}

pub(super) fn another_at_work(facts: &Facts, _: &Plan) -> Option<BrakeHit> {
    others::sign(facts, Least::InNumber).map(|why| (Brake::AnotherAtWork, HoldsBack::Destructive, why))
}

pub(super) fn fights(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    let again: Vec<_> = plan
        .actions
        .iter()
        .filter(|action| !matches!(action, Action::RequestRevocation | Action::RecordBaseline))
        .filter(|action| facts.written(&action.key()).is_some_and(|entry| entry.confirmed > facts.spec.limits.fights))
        .collect();
    (!again.is_empty()).then(|| {
        let told = again.iter().map(|action| {
            let entry = facts.written(&action.key());
            let (times, last) = entry.map_or((0, None), |entry| (entry.confirmed, entry.last_confirmed()));
            let last = last.map_or_else(String::new, |at| format!(", last at {at:.0}"));
            format!("{action} (done {}{last}, and this read shows it undone)", count(times as usize, "time"))
        });
        let message = format!(
            "{} of this plan corrected more than {} (limits.fights) and undone by somebody else each time: {}; find out who undoes it; it goes on \
             by itself when it stays done, or when limits.fights is raised",
            part(again.len(), plan.actions.len(), "object"),
            count(facts.spec.limits.fights as usize, "time"),
            some_of(told)
        );
        (Brake::Fights, HoldsBack::Destructive, message)
    })
}
