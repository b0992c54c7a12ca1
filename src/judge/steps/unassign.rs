//! Step 3: no managed group has a row on the app any more.

use super::empty::{self, Progress};
use crate::judge::canary::Canary;
use crate::judge::facts::{Facts, Ground};
use crate::judge::step::{Reach, Step, Verdict};
use crate::judge::{canary, waves};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::id::GroupId;
use crate::model::key::Key;
use crate::model::memory::LOOKS;
use crate::model::snapshot::Assignment;
use crate::model::words::{count, some_of};

pub const STEP: Step = Step {
    number: 3,
    title: "Remove the groups from the provisioning",
    condition: ConditionKind::GroupsUnassigned,
    judge,
    reach: Reach::EachGroup,
};

/// How far the groups are that are not done yet, by name.
#[derive(Default)]
struct Left {
    /// What may go of each group, with the number of its users.
    free: Vec<(usize, Vec<Action>)>,
    /// They wait for steps 1 and 2.
    blocked: Vec<String>,
    /// They belong to a later wave.
    later: usize,
    /// Assignments that Graph confirmed as deleted and shows still.
    replicating: usize,
    /// Without a row, and that not believed yet.
    looking: Vec<String>,
}

impl Left {
    fn of(facts: &Ground) -> Left {
        let mut left = Left::default();
        let (open, remembered) = (waves::open(facts), &facts.memory.remembered);
        for group in facts.baseline.groups.keys().copied() {
            let rows = facts.rows.of(group);
            if rows.is_empty() {
                if !remembered.unassigned_at.contains_key(&group) || !remembered.members_closed.contains_key(&group) {
                    left.looking.push(facts.group_name(group));
                }
            } else if !facts.is_group_settled(group) || empty::progress(facts, group) != Progress::Done {
                left.blocked.push(facts.group_name(group));
            } else if !open.contains(&group) {
                left.later += 1;
            } else {
                let (lagging, there): (Vec<&Assignment>, Vec<_>) = rows.iter().partition(|row| lags(facts, group, row));
                left.replicating += lagging.len();
                let action =
                    |row: &Assignment| Action::UnassignGroup { group, assignment: row.id.clone().into(), role: row.role };
                let actions: Vec<Action> = there.into_iter().map(action).collect();
                if !actions.is_empty() {
                    left.free.push((facts.users_of(group).len(), actions));
                }
            }
        }
        left
    }
}

/// Graph has confirmed that it is deleted, and shows it still. What was made after that is another one.
fn lags(facts: &Ground, group: GroupId, row: &Assignment) -> bool {
    let key = Key::Unassign(group, row.role);
    let gone = facts.written(&key).and_then(|entry| facts.memory.dated(&key, entry.last_confirmed()));
    facts.is_fresh(&key) && row.created.zip(gone).is_none_or(|(made, gone)| made <= gone)
}

/// What of the groups that are free goes now: one before any other, and no more than Entra deletes in one cycle.
fn unassign(facts: &Facts, mut free: Vec<(usize, Vec<Action>)>) -> Verdict {
    // The smallest that concerns somebody; those that concern nobody prove nothing and come last.
    free.sort_by_key(|(users, _)| if *users == 0 { usize::MAX } else { *users });
    match canary::canary(facts) {
        Canary::Running(reason, on) => return Verdict::Wait { reason, on },
        Canary::First if canary::has_members_to_remove(facts) => {
            let on = "the removal of one user from one group, before anything else is taken away".into();
            return Verdict::Wait { reason: Reason::Blocked, on };
        }
        Canary::First => free.truncate(1),
        Canary::Passed => {}
    }
    if let Some(room) = waves::room(facts) {
        free.truncate(room);
    }
    if free.is_empty() {
        let on = "a cycle that deletes the groups unassigned so far: more in one cycle would reach Entra's threshold against \
                  accidental deletions"
            .into();
        return Verdict::Wait { reason: Reason::AwaitingWave, on };
    }
    let actions: Vec<_> = free.into_iter().flat_map(|(_, actions)| actions).collect();
    let why = format!("{} of managed groups to the app may go now", count(actions.len(), "assignment"));
    Verdict::Act { reason: Reason::RowsRemain, why, actions, refused: Vec::new() }
}

fn judge(facts: &Ground) -> Verdict {
    let Left { free, blocked, later, replicating, looking } = Left::of(facts);
    if !free.is_empty() {
        return unassign(facts, free);
    }
    if !blocked.is_empty() {
        return Verdict::Wait { reason: Reason::Blocked, on: format!("steps 1 and 2 for {}", some_of(blocked)) };
    }
    if later > 0 {
        let (reason, on) = waves::later(facts).unwrap_or_else(|| (Reason::AwaitingWave, count(later, "group")));
        return Verdict::Wait { reason, on };
    }
    if replicating > 0 {
        let on = format!("{} that Graph confirmed as deleted to leave its lists", count(replicating, "assignment"));
        return Verdict::Wait { reason: Reason::AwaitingReplication, on };
    }
    if !looking.is_empty() {
        let on = format!(
            "{LOOKS} agreeing complete reads without an assignment, and one more of the members, of {}",
            some_of(looking)
        );
        return Verdict::Wait { reason: Reason::ReadingAgain, on };
    }
    Verdict::Met {
        reason: Reason::AllUnassigned,
        why: format!("none of {} is assigned to the app", count(facts.baseline.groups.len(), "managed group")),
    }
}
