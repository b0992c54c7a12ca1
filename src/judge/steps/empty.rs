//! Step 2: the managed groups have no user members left, where emptying them harms nobody else.

use crate::judge::canary::{Canary, canary};
use crate::judge::facts::{Facts, Ground};
use crate::judge::group_plan::{GroupPlan, plan_for};
use crate::judge::step::{Reach, Step, Verdict};
use crate::judge::{good_cycle, waves};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::id::GroupId;
use crate::model::key::{Key, KeyKind};
use crate::model::memory::LOOKS;
use crate::model::words::count;

pub const STEP: Step = Step {
    number: 2,
    title: "Remove the users from the groups",
    condition: ConditionKind::GroupsEmptied,
    judge,
    reach: Reach::EachGroup,
};

/// How far step 2 is for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Emptied and carried out, or not to be emptied.
    Done,
    /// [`removals`] has them.
    Remove,
    Wait(Reason, String),
    Refused(String),
}

/// Step 2 for one group that is still assigned.
pub fn progress(facts: &Facts, group: GroupId) -> Progress {
    let name = facts.group_name(group);
    let plan = plan_for(facts, group);
    if facts.is_token_rejected() {
        // No engine runs any more: a group that is re-used is unassigned, never emptied.
        return Progress::Done;
    }
    let Some(members) = facts.members(group) else {
        return Progress::Wait(Reason::GroupReadFailed, format!("a complete list of the members of {name}"));
    };
    match plan {
        GroupPlan::Keep => return Progress::Done,
        GroupPlan::Unknown(why) => return Progress::Wait(Reason::GroupReadFailed, format!("group {name}: {why}")),
        GroupPlan::Undecided(why) => return Progress::Refused(why),
        GroupPlan::Empty | GroupPlan::Nothing => {}
    }
    if !members.value.users.is_empty() {
        if !facts.is_group_settled(group) {
            return Progress::Wait(Reason::Blocked, format!("step 1 for everybody in {name}"));
        }
        return if removals(facts, group).next().is_none() {
            Progress::Wait(
                Reason::AwaitingReplication,
                format!("removals that Graph confirmed to show up in the members of {name}"),
            )
        } else {
            Progress::Remove
        };
    }
    let believed =
        facts.memory.remembered.empty.get(&group).is_some_and(|streak| streak.is_believed(LOOKS, facts.spec.timing.settle));
    if !believed {
        return Progress::Wait(Reason::ReadingAgain, format!("{LOOKS} agreeing complete reads that show {name} empty"));
    }
    match facts.last_confirmed(KeyKind::MembersOf(group)) {
        Some(removed) if facts.good_cycles_after(removed).len() < facts.spec.provisioning.settle_cycles as usize => {
            let on = format!("a good cycle that began after the last removal from {name}");
            let (reason, on) = good_cycle::wait(facts, Some(removed), Reason::AwaitingEmptyCycle, &on);
            Progress::Wait(reason, on)
        }
        Some(_) | None => Progress::Done,
    }
}

/// Everybody whom this turn's look shows in the group, but for those whose removal was confirmed so lately that it may not show yet.
fn removals(facts: &Facts, group: GroupId) -> impl Iterator<Item = Action> {
    let users = facts.members(group).into_iter().flat_map(|look| look.value.users.iter().copied());
    let is_begun = facts.memory.journal.of(KeyKind::MembersOf(group)).next().is_some();
    let is_fresh = move |user| is_begun && facts.is_fresh(&Key::Member(group, user));
    users.filter(move |user| !is_fresh(*user)).map(move |user| Action::RemoveMember { group, user })
}

fn judge(facts: &Ground) -> Verdict {
    let (mut leaving, mut refused, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    let open = waves::open(facts);
    for group in facts.baseline.groups.keys().filter(|group| facts.rows.has(**group)) {
        match progress(facts, *group) {
            Progress::Done => {}
            Progress::Remove if !open.contains(group) => {
                waits.push(waves::later(facts).unwrap_or_else(|| (Reason::AwaitingWave, facts.group_name(*group))));
            }
            Progress::Remove => leaving.push(*group),
            Progress::Wait(reason, on) => waits.push((reason, on)),
            Progress::Refused(why) => refused.push(why),
        }
    }
    if !leaving.is_empty() {
        let removals_of = |group: &GroupId| removals(facts, *group);
        let mut actions: Vec<Action> = Vec::new();
        let all = leaving.iter().map(|group| removals_of(group).count()).sum::<usize>();
        match canary(facts) {
            Canary::Running(reason, on) if refused.is_empty() => return Verdict::Wait { reason, on },
            // A decision is asked for all the while, or it would be missed for as long as the canary takes.
            Canary::Running(reason, on) => {
                let why = format!("waits for {on}");
                return Verdict::Act { reason, why, actions: Vec::new(), refused };
            }
            Canary::First => {
                let smallest = leaving.iter().min_by_key(|group| removals_of(group).count());
                actions.extend(smallest.and_then(|group| removals_of(group).next()));
            }
            Canary::Passed => {
                actions.reserve_exact(all);
                actions.extend(leaving.iter().flat_map(removals_of));
            }
        }
        return Verdict::Act {
            reason: Reason::MembersRemain,
            why: match actions.len() {
                first if first < all => format!("{} to remove, {first} of them first", count(all, "membership")),
                _ => format!("{} to remove", count(all, "membership")),
            },
            actions,
            refused,
        };
    }
    if !refused.is_empty() {
        return Verdict::Refuse { reason: Reason::DecisionNeeded, why: refused };
    }
    // What the open wave waits for is why the later ones do.
    waits.sort_by_key(|(reason, _)| *reason == Reason::AwaitingWave);
    match waits.into_iter().next() {
        Some((reason, on)) => Verdict::Wait { reason, on },
        None => {
            let has_users = |group: &GroupId| facts.members(*group).is_some_and(|look| !look.value.users.is_empty());
            let is_back = |group: &GroupId| facts.rows.has(*group) && has_users(group);
            let why = if facts.is_token_rejected() && facts.baseline.groups.keys().any(is_back) {
                "the token is refused, and nobody is taken out of a group any more"
            } else {
                "no group that is to be emptied has a user left"
            };
            Verdict::Met { reason: Reason::AllEmptied, why: why.into() }
        }
    }
}
