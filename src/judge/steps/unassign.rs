//! Step 3: no managed group has a row on the app any more.

use super::empty::{self, Progress};
use crate::judge::canary::Canary;
use crate::judge::facts::Ground;
use crate::judge::step::{Reach, Step, Verdict};
use crate::judge::{canary, waves};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::memory::LOOKS;
use crate::model::words::count;

pub const STEP: Step = Step {
    number: 3,
    title: "Remove the groups from the provisioning",
    condition: ConditionKind::GroupsUnassigned,
    judge,
    reach: Reach::EachGroup,
};

fn judge(facts: &Ground) -> Verdict {
    let (mut per_group, mut blocked, mut replicating) = (Vec::new(), Vec::new(), 0usize);
    let mut looking = Vec::new();
    let open = waves::open(facts);
    let mut later = 0usize;
    for group in facts.baseline.groups.keys().copied() {
        let rows = facts.rows.of(group);
        if rows.is_empty() {
            let remembered = &facts.memory.remembered;
            if !remembered.unassigned_at.contains_key(&group) || !remembered.members_closed.contains_key(&group) {
                looking.push(facts.group_name(group));
            }
            continue;
        }
        if !facts.is_group_settled(group) || empty::progress(facts, group) != Progress::Done {
            blocked.push(facts.group_name(group));
            continue;
        }
        if !open.contains(&group) {
            later += 1;
            continue;
        }
        let actions: Vec<_> = rows
            .iter()
            .map(|row| Action::UnassignGroup { group, assignment: row.id.clone().into(), role: row.role })
            .filter(|action| {
                let fresh = facts.is_fresh(&action.key());
                replicating += usize::from(fresh);
                !fresh
            })
            .collect();
        if !actions.is_empty() {
            per_group.push((facts.users_of(group).len(), actions));
        }
    }
    if !per_group.is_empty() {
        // The smallest that concerns somebody; those that concern nobody prove nothing and come last.
        per_group.sort_by_key(|(users, _)| if *users == 0 { usize::MAX } else { *users });
        match canary::canary(facts) {
            Canary::Running(reason, on) => return Verdict::Wait { reason, on },
            Canary::First if canary::has_members_to_remove(facts) => {
                let on = "the removal of one user from one group, before anything else is taken away".into();
                return Verdict::Wait { reason: Reason::CanaryRunning, on };
            }
            Canary::First => per_group.truncate(1),
            Canary::Passed => {}
        }
        if let Some(room) = waves::room(facts) {
            per_group.truncate(room);
        }
        if per_group.is_empty() {
            let on =
                "a cycle that deletes the groups unassigned so far: more in one cycle would reach Entra's threshold against \
                      accidental deletions"
                    .into();
            return Verdict::Wait { reason: Reason::AwaitingWave, on };
        }
        let actions: Vec<_> = per_group.into_iter().flat_map(|(_, actions)| actions).collect();
        let why = format!("{} of managed groups on the app may go now", count(actions.len(), "row"));
        return Verdict::Act { reason: Reason::RowsRemain, why, actions, refused: Vec::new() };
    }
    if !blocked.is_empty() {
        return Verdict::Wait {
            reason: Reason::Blocked,
            on: format!("steps 1 and 2 for {}", crate::model::words::some_of(blocked)),
        };
    }
    if later > 0 {
        let (reason, on) = waves::later(facts).unwrap_or_else(|| (Reason::AwaitingWave, count(later, "group")));
        return Verdict::Wait { reason, on };
    }
    if replicating > 0 {
        let on = format!("{} that Graph confirmed as deleted to leave its lists", count(replicating, "row"));
        return Verdict::Wait { reason: Reason::AwaitingReplication, on };
    }
    if !looking.is_empty() {
        let on = format!(
            "{LOOKS} agreeing complete looks without a row, and one more at the members, of {}",
            crate::model::words::some_of(looking)
        );
        return Verdict::Wait { reason: Reason::ReadingAgain, on };
    }
    Verdict::Met {
        reason: Reason::AllUnassigned,
        why: format!("none of {} has a row on the app", count(facts.baseline.groups.len(), "managed group")),
    }
}
