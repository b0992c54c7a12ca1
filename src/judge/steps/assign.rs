//! Step 1: every user who is in scope through a managed group also holds the group's roles directly.

use std::fmt::{self, Display};

use crate::judge::facts::{Cover, Facts, Ground, Person};
use crate::judge::good_cycle;
use crate::judge::pim::{self, Open};
use crate::judge::step::{Reach, Step, Verdict};
use crate::model::action::Action;
use crate::model::condition::{ConditionKind, Reason};
use crate::model::id::{AppRoleId, UserId};
use crate::model::key::KeyKind;
use crate::model::words::{count, some_of};

pub const STEP: Step = Step {
    number: 1,
    title: "Assign every user directly",
    condition: ConditionKind::UsersAssigned,
    judge,
    reach: Reach::EachGroup,
};

/// What is left to do or to wait for.
#[derive(Default)]
struct Left {
    actions: Vec<Action>,
    /// Direct assignments that Graph confirmed and does not show yet.
    replicating: usize,
    /// Users who are covered, and not settled yet.
    settling: usize,
    awaiting: usize,
    /// Whom others have taken out after the retirement.
    offboarded: Vec<UserId>,
    /// Released, and without a role that the groups gave them.
    let_go: usize,
    /// Deleted, or taken out of every group by somebody else.
    departed: usize,
    /// Released, and in scope through a group alone.
    stranded: Vec<String>,
    /// Members for a while, whom nobody has decided about.
    undecided: Vec<String>,
    /// Those of whom it is not known whether they are members for a while.
    unread: Vec<String>,
}

impl Left {
    fn of(facts: &Ground) -> Left {
        let mut left = Left::default();
        pim::newcomers(facts).into_iter().for_each(|open| left.leave_open(open));
        for person in facts.people() {
            match &person.cover {
                Cover::Settled if facts.is_offboarded(person) => left.offboarded.push(person.id),
                Cover::Settled if facts.is_without(person) => left.let_go += 1,
                Cover::Departed if facts.is_released(person.id) => left.let_go += 1,
                Cover::Departed => left.departed += 1,
                // Nobody is not read on this ground.
                Cover::NotRead | Cover::Settled => {}
                Cover::Settling => left.settling += 1,
                Cover::AwaitingCycle => left.awaiting += 1,
                Cover::Missing(roles) if facts.is_released(person.id) => {
                    left.let_go += 1;
                    left.stranded.extend(stranded(facts, person, roles));
                }
                Cover::Missing(roles) => {
                    for role in roles {
                        match pim::open(facts, person.id, *role) {
                            Some(open) => left.leave_open(open),
                            None => left.assign(facts, Action::AssignUser { user: person.id, role: *role }),
                        }
                    }
                }
            }
        }
        left.undecided.dedup();
        left
    }

    fn leave_open(&mut self, open: Open) {
        match open {
            Open::Undecided(why) => self.undecided.push(why),
            Open::NotRead(why) => self.unread.push(why),
        }
    }

    fn assign(&mut self, facts: &Facts, action: Action) {
        if facts.is_row_fresh(&action.key()) {
            self.replicating += 1;
        } else {
            self.actions.push(action);
        }
    }
}

fn stranded(facts: &Ground, person: &Person, roles: &[AppRoleId]) -> Option<String> {
    let group = person.user.groups.iter().find(|group| facts.rows.has(**group) && !facts.is_let_go(person, **group))?;
    Some(format!(
        "{} is released, lacks a direct assignment ({}) and is a member of {}: assign them, or take them out of that group by hand",
        facts.user_name(person.id),
        some_of(roles.iter().map(|role| facts.role_name(*role))),
        facts.group_name(*group)
    ))
}

fn judge(facts: &Ground) -> Verdict {
    let Left { actions, replicating, settling, awaiting, offboarded, let_go, departed, stranded, undecided, unread } =
        Left::of(facts);
    if !actions.is_empty() {
        let refused = stranded.into_iter().chain(undecided).collect();
        let why = format!("{} still missing for {}", count(actions.len(), "direct assignment"), some_of(names(facts, &actions)));
        return Verdict::Act { reason: Reason::AssignmentsMissing, why, actions, refused };
    }
    if !stranded.is_empty() {
        return Verdict::Refuse { reason: Reason::ReleasedUncovered, why: stranded.into_iter().chain(undecided).collect() };
    }
    if !undecided.is_empty() {
        return Verdict::Refuse { reason: Reason::DecisionNeeded, why: undecided };
    }
    if !unread.is_empty() {
        return Verdict::Wait { reason: Reason::GroupReadFailed, on: format!("a read that shows it: {}", some_of(unread)) };
    }
    if replicating > 0 {
        return Verdict::Wait {
            reason: Reason::AwaitingReplication,
            on: format!(
                "{} that Graph confirmed to show up in its lists; what is not there within timing.settle, or by the next cycle (a minute at least), is made again",
                count(replicating, "direct assignment")
            ),
        };
    }
    if settling > 0 {
        let settle = humantime::format_duration(facts.spec.timing.settle);
        return Verdict::Wait {
            reason: Reason::Settling,
            on: format!("two complete reads at least {settle} apart that show {} covered", count(settling, "user")),
        };
    }
    if awaiting > 0 {
        let on = format!(
            "{} that began {} or more after the last direct assignment was made, for {}",
            count(facts.spec.provisioning.settle_cycles as usize, "good cycle"),
            humantime::format_duration(facts.spec.provisioning.cycle_margin),
            count(awaiting, "user"),
        );
        let made = facts.last_confirmed(KeyKind::Assigns);
        let (reason, on) = good_cycle::wait(facts, made, Reason::AwaitingSettleCycle, &on);
        return Verdict::Wait { reason, on };
    }
    let all = facts.people().len();
    let who = match all - offboarded.len() - let_go - departed {
        holding if holding == all => format!("all {}", count(all, "protected user")),
        holding => format!("{holding} of {}", count(all, "protected user")),
    };
    let mut why = format!("{who} hold their roles themselves");
    if let_go > 0 {
        why.push_str(&format!("; {let_go} released, without them"));
    }
    if departed > 0 {
        why.push_str(&format!("; {departed} gone from Entra, or from every managed group by somebody else's hand"));
    }
    if !offboarded.is_empty() {
        let names = some_of(offboarded.iter().map(|id| facts.user_name(*id)));
        why.push_str(&format!("; taken away by others after the retirement, and not given back: of {names}"));
    }
    Verdict::Met { reason: Reason::AllAssigned, why }
}

/// Written out for those only who are shown.
fn names(facts: &Facts, actions: &[Action]) -> impl Iterator<Item: Display> {
    let mut users: Vec<_> = actions
        .iter()
        .filter_map(|action| if let Action::AssignUser { user, .. } = action { Some(*user) } else { None })
        .collect();
    users.dedup();
    users.into_iter().map(move |user| fmt::from_fn(move |f| f.write_str(&facts.user_name(user))))
}
