//! Limits over a whole plan. [`approve`] is the only maker of [`Approved`]; it trusts no step and looks at every action again.

mod by_others;
mod hit;
mod refused;
mod single;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::judge::facts::{Cover, Facts, Person};
use crate::judge::plan::Plan;
use crate::judge::{baseline, decisions, foresight, kept, restored, waves};
use crate::model::action::Action;
use crate::model::baseline::Baseline;
use crate::model::compact::Few;
use crate::model::condition::Reason;
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::key::{Key, KeyKind};
use crate::model::memory::BaselineSource;
use crate::model::moment::Moment;
use crate::model::observed::{Listed, Observed};
use crate::model::spec::{Hold, Mode};
use crate::model::status::{Brake, Pending};
use crate::model::window::Hours;
use crate::model::words::{STRANGERS, count, part, some_of};
use by_others::{another_at_work, fights, shrunk, undone};
use hit::{BrakeHit, HoldsBack};
use single::{not_approved, uncovered};

/// A plan that passed every brake, in order, good until it expires.
#[derive(Debug)]
pub struct Approved {
    actions: Vec<Action>,
    planned: Vec<Pending>,
    held: Vec<(Brake, String)>,
    judged: Moment,
    lasts: Duration,
    /// When the hours end in which something may be taken away.
    closes: Option<Timestamp>,
    /// In the order of their ids.
    needs: Vec<(UserId, Few<AppRoleId>)>,
    members: BTreeMap<GroupId, BTreeSet<UserId>>,
    baseline: Option<Arc<Baseline>>,
    /// Without its actions.
    plan: Plan,
}

impl Approved {
    /// The roles that this user must hold directly at the moment in which something is taken away.
    pub fn needs(&self, user: UserId) -> Option<&[AppRoleId]> {
        let place = self.needs.binary_search_by_key(&user, |(user, _)| *user).ok()?;
        Some(&self.needs[place].1)
    }
    /// Whom the end of this group's assignment concerns.
    pub fn members(&self, group: GroupId) -> impl Iterator<Item = UserId> {
        self.members.get(&group).into_iter().flatten().copied()
    }
    /// What [`Action::RecordBaseline`] writes down.
    pub fn baseline(&self) -> Option<&Baseline> {
        self.baseline.as_deref()
    }
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }
    /// All of its actions, for whoever carries them out; they go out once.
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
    /// What the plan had before the brakes.
    pub fn planned(&self) -> &[Pending] {
        &self.planned
    }
    pub fn held(&self) -> &[(Brake, String)] {
        &self.held
    }
    /// The next turn looks afresh.
    pub fn has_expired(&self, now: Moment) -> bool {
        self.judged.age(now) >= self.lasts || self.closes.is_some_and(|closes| now.wall >= closes)
    }
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Brakes over the whole plan; those over single actions follow in [`approve`].
const BRAKES: [fn(&Facts, &Plan) -> Option<BrakeHit>; 13] = [
    frozen,
    rolled_back,
    ledger_behind,
    otherwise,
    blind,
    users_lost,
    foreseen,
    too_much,
    undone,
    shrunk,
    fights,
    another_at_work,
    window,
];

pub fn approve(facts: &Facts, mut plan: Plan) -> Approved {
    let hits: Vec<BrakeHit> = BRAKES.iter().filter_map(|brake| brake(facts, &plan)).collect();
    let planned = counted(&plan.actions);
    let mut actions = std::mem::take(&mut plan.actions);
    let mut held = Vec::new();
    for (brake, holds_back, message) in hits {
        match holds_back {
            HoldsBack::Destructive => actions.retain(|action| !action.is_destructive()),
            HoldsBack::AllButHealing => actions.retain(|action| single::heals(facts, action)),
            HoldsBack::Everything => actions.clear(),
        }
        held.push((brake, message));
    }
    if let Some(message) = uncovered(facts, &actions) {
        actions.retain(|action| !action.is_destructive());
        held.push((Brake::Uncovered, message));
    }
    let open = waves::open(facts);
    let mut strangers = Vec::new();
    let mut last = None;
    actions.retain(|action| {
        let why = not_approved(facts, &open, &mut last, action);
        let passes = why.is_none();
        strangers.extend(why);
        passes
    });
    if !strangers.is_empty() {
        let actions = part(strangers.len(), actions.len() + strangers.len(), "action");
        held.push((Brake::NotApproved, format!("{actions} of this plan may not be: {}", some_of(strangers))));
    }
    if let Some(message) = refused::held_back(facts, &mut actions) {
        held.push((Brake::WriteRefused, message));
    }
    if plan.baseline.reason == Reason::NotRecordedYet
        && planned.iter().any(|pending| pending.action == Action::RecordBaseline.kind())
        && !actions.contains(&Action::RecordBaseline)
    {
        plan.baseline.message = "it is taken once nothing holds it".into();
    }
    actions.shrink_to_fit();
    let closes = match facts.spec.windows.as_ref().map(|windows| windows.at(facts.now)) {
        Some(Hours::Open(until)) if actions.iter().any(Action::is_destructive) => Some(until),
        Some(_) | None => None,
    };
    let mut approved = Approved {
        actions,
        planned,
        held,
        judged: facts.moment,
        lasts: facts.spec.timing.settle,
        closes,
        needs: Vec::new(),
        members: BTreeMap::new(),
        baseline: None,
        plan,
    };
    bring_along(facts, &mut approved);
    approved
}

/// How many of each kind.
fn counted(actions: &[Action]) -> Vec<Pending> {
    let mut counts: Vec<Pending> = Vec::new();
    for action in actions {
        match counts.iter_mut().find(|count| count.action == action.kind()) {
            Some(count) => count.count += 1,
            None => counts.push(Pending { action: action.kind().into(), count: 1 }),
        }
    }
    counts
}

/// What `act` needs for its own last look, so that it has to judge nothing.
fn bring_along(facts: &Facts, approved: &mut Approved) {
    let mut users = Vec::new();
    for action in &approved.actions {
        match action {
            Action::RecordBaseline => approved.baseline = baseline::first(facts).ok().cloned(),
            Action::RemoveMember { user, .. } => users.push(*user),
            Action::UnassignGroup { group, .. } => {
                let staying = facts.users_of(*group).filter(|person| !facts.is_let_go(person, *group));
                let members: BTreeSet<_> = staying.map(|person| person.id).collect();
                users.extend(members.iter().copied());
                approved.members.insert(*group, members);
            }
            _ => {}
        }
    }
    users.sort_unstable();
    users.dedup();
    let needs = |person: &Person| (person.id, person.roles.clone());
    let people = users.into_iter().filter_map(|id| facts.person(id)).filter(|person| person.cover != Cover::Departed);
    approved.needs = people.map(needs).collect();
    approved.needs.shrink_to_fit();
}

fn frozen(facts: &Facts, _: &Plan) -> Option<BrakeHit> {
    let held = (facts.spec.hold == Hold::Held).then(|| "spec.hold is Held; set it to None to go on".to_owned());
    facts.seen.frozen.clone().or(held).map(|why| (Brake::Frozen, HoldsBack::Everything, why))
}

/// No hand is on the brake then, so no hand takes it off: another look has to come first.
fn rolled_back(facts: &Facts, _: &Plan) -> Option<BrakeHit> {
    let at = facts.memory.remembered.rolled_back?;
    let why = format!(
        "a rollback was begun at {at:.0}; to begin the retirement anew, let one turn run with spec.mode: Observe, read what it says, and set the mode again"
    );
    Some((Brake::RolledBack, HoldsBack::Everything, why))
}

const GO_ON: &str = "to go on with this one, run once with spec.mode: Observe, read what it says, and set the mode again";

/// Undoing what somebody did with a newer ledger would be acting on a past.
fn ledger_behind(facts: &Facts, _: &Plan) -> Option<BrakeHit> {
    if let Some(witness) = &facts.memory.behind {
        let why = format!(
            "{} of the journal and {} were seen of this retirement's ledger before, and this one does not go as far, or is another one: \
             restore the newer ledger where there is one; {GO_ON}",
            count(witness.lines as usize, "line"),
            count(witness.users as usize, "protected user"),
        );
        return Some((Brake::LedgerBehind, HoldsBack::AllButHealing, why));
    }
    let unwatched = facts.memory.remembered.unwatched?;
    let groups = Some(restored::put_back(facts, unwatched)).filter(|groups| !groups.is_empty())?;
    let why = format!(
        "the ledger ends at {:.0}; after that {} came back onto the app that it says to be unassigned: {}; it may be a backup from before a rollback: \
         restore the newer ledger where there is one; {GO_ON}",
        unwatched.from,
        count(groups.len(), "managed group"),
        some_of(groups.iter().map(|group| facts.group_name(*group)))
    );
    Some((Brake::LedgerBehind, HoldsBack::AllButHealing, why))
}

/// Decided otherwise than was approved.
fn otherwise(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    let approved = facts.spec.approval.as_ref().filter(|_| !plan.actions.is_empty())?;
    let now = baseline::here(facts).ok().map(|baseline| decisions::digest(facts.spec, baseline));
    (now.as_ref() != Some(approved)).then(|| {
        let message = format!(
            "the decisions of this plan have the digest {}, and spec.approval is {approved}; read `unscim plan`, then approve what it says or undo what was changed",
            now.as_deref().unwrap_or("(not known)")
        );
        (Brake::NotApproved, HoldsBack::AllButHealing, message)
    })
}

fn window(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    let windows = facts.spec.windows.as_ref()?;
    let waiting = plan.actions.iter().filter(|action| action.is_destructive()).count();
    let Hours::Closed(next) = windows.at(facts.now) else { return None };
    let opens = next.map_or_else(
        || "no window opens within a week".to_owned(),
        |next| format!("the next one opens on {}", next.strftime("%a %F at %H:%M %Z")),
    );
    (waiting > 0).then(|| {
        let message = format!(
            "outside the hours of spec.windows ({}): {} for it; {opens}, and it goes on by itself then",
            windows.time_zone,
            if waiting == 1 { "1 action waits".into() } else { format!("{waiting} actions wait") }
        );
        (Brake::Window, HoldsBack::Destructive, message)
    })
}

fn blind(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    if let Observed::Unknown(why) = &facts.memory.baseline {
        return Some((
            Brake::Blind,
            HoldsBack::Everything,
            format!("the ledger can't be used: {why}; nothing is written until it can"),
        ));
    }
    if !plan.actions.iter().any(Action::is_destructive) {
        return None;
    }
    let mut missing = Vec::new();
    let serves = facts.memory.source == BaselineSource::Ledger || facts.spec.mode == Mode::Observe;
    if facts.baseline().is_none() || !serves {
        missing.push("no baseline is on disk".to_owned());
    }
    for (what, why) in [("the assignments", facts.seen.assignments.unknown()), ("the job", facts.seen.jobs.unknown())] {
        if let Some(why) = why {
            missing.push(format!("{what}: {why}"));
        }
    }
    if !facts.is_target_closed() {
        match (&facts.seen.target.look, &facts.memory.target) {
            (Listed::Unknown(why), _) if !why.is_not_looked() => missing.push(format!("the target: {why}")),
            (_, None) => missing.push("the target was not read yet".to_owned()),
            (_, Some(look))
                if look.turn != facts.memory.remembered.turn
                    && kept::age(facts)
                        .is_none_or(|age| age > facts.spec.target.read_interval * 2 + facts.spec.timing.interval) =>
            {
                missing.push("the last read of the target is too old".to_owned());
            }
            (_, Some(_)) => {}
        }
        if let Some((id, why)) = kept::tally(facts).and_then(|tally| tally.unknown.first_key_value()) {
            missing.push(format!("{}: {why}", facts.user_name(*id)));
        }
    }
    (!missing.is_empty()).then(|| {
        let message = format!("not known: {}; it goes on by itself after a read that shows it", missing.join("; "));
        (Brake::Blind, HoldsBack::Destructive, message)
    })
}

fn users_lost(facts: &Facts, _: &Plan) -> Option<BrakeHit> {
    if let Some(last) = kept::last_seen(facts) {
        let by_a_read = "it goes on when a read shows them as before (not for a record that was gone or is another one), or without them when they stand in spec.released";
        let is_dead = facts.is_token_rejected() || !facts.memory.remembered.rejections.is_empty();
        let ends: Cow<str> = if !facts.is_target_closed() {
            by_a_read.into()
        } else if is_dead {
            "no read can show them any more, so it goes on when they stand in spec.released".into()
        } else {
            let refused = "the app refuses the token in target.tokenFile, and nothing shows that it was deleted: mend that first (TokenRevoked says what was heard)";
            format!("{refused}; {by_a_read}").into()
        };
        let what = "none may be: look for them in the app and in the provisioning log, and restore them";
        let others = if last.strangers.is_empty() {
            ""
        } else {
            "; find out by what path who was never protected was in scope, for there may be more; where Entra has them disabled or deleted, too, they need no word"
        };
        let message = format!("{}; {what}; {ends}{others}", last.told(facts));
        return Some((Brake::UsersLost, HoldsBack::Destructive, message));
    }
    if facts.is_token_rejected() {
        return None;
    }
    let tally = kept::tally(facts)?;
    let names = tally.lost.iter().map(|(id, why)| {
        let since = facts.memory.remembered.lost_since.get(id).map_or_else(String::new, |at| format!(", first seen at {at:.0}"));
        format!("{}: {why}{since}", facts.user_name(*id))
    });
    let lost = (!tally.lost.is_empty()).then(|| {
        format!(
            "{} lost, and none may be: {}; the provisioning log says what happened; assign directly who has no assignment, restore them in the app; it goes \
             on when the target shows them as before (not for a record that was gone or is another one), or without them when they stand in spec.released",
            part(tally.lost.len(), tally.counted, "protected user"),
            some_of(names)
        )
    });
    let uncertain = (!tally.uncertain.is_empty()).then(|| kept::uncertain(facts, tally));
    let names = tally.strangers.iter().map(|(who, why)| format!("{who}: {why}"));
    let strangers = (!tally.strangers.is_empty()).then(|| {
        format!(
            "{} ended {STRANGERS}, since something was first taken away here: {}; find out by what path they were in scope, for there \
             may be more; it goes on when they are disabled or deleted in Entra, too, or stand in spec.released as they are written here",
            count(tally.strangers.len(), "user"),
            some_of(names)
        )
    });
    let told: Vec<String> = [lost, uncertain, strangers].into_iter().flatten().collect();
    (!told.is_empty()).then(|| (Brake::UsersLost, HoldsBack::Destructive, told.join(". And ")))
}

fn foreseen(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    if !plan.actions.iter().any(Action::is_destructive) {
        return None;
    }
    let harm = foresight::harm(facts);
    (!harm.is_empty()).then(|| {
        let names = some_of(harm.iter().map(|(user, what)| format!("{} would be {what}", facts.user_name(*user))));
        let message = format!(
            "Entra would change {} at the target in a cycle after it, and none may be: {names}; nothing is taken away until a read shows that it would not",
            part(harm.len(), facts.baseline().map_or(0, |baseline| baseline.users.len()), "protected user")
        );
        (Brake::Foreseen, HoldsBack::Destructive, message)
    })
}

fn too_much(facts: &Facts, plan: &Plan) -> Option<BrakeHit> {
    let baseline = baseline::here(facts).ok()?;
    let limits = &facts.spec.limits;
    let tried = |key: &Key| facts.written(key).is_some_and(|entry| entry.intents > 0);
    let removals = plan.actions.iter().filter(|action| matches!(action, Action::RemoveMember { .. }));
    let removals = facts.memory.journal.of(KeyKind::Members).filter(|(_, entry)| entry.intents > 0).count()
        + removals.filter(|action| !tried(&action.key())).count();
    let leaving: BTreeSet<_> = plan.actions.iter().filter_map(Action::unassigns).collect();
    if let Some(room) = waves::room(facts).filter(|room| leaving.len() > *room) {
        let message = format!(
            "{} to unassign are more than Entra's threshold against accidental deletions leaves room for in one cycle ({room}); it goes on after a cycle",
            count(leaving.len(), "group")
        );
        return Some((Brake::TooMuch, HoldsBack::Destructive, message));
    }
    let over: Vec<_> = [
        ("groups", baseline.groups.len(), limits.max_groups, "maxGroups"),
        ("users", baseline.users.len(), limits.max_users, "maxUsers"),
        ("member removals, done and planned,", removals, limits.max_member_removals, "maxMemberRemovals"),
    ]
    .into_iter()
    .filter(|(_, n, limit, _)| *n > *limit as usize)
    .map(|(what, n, limit, field)| {
        let share = (n * 100).div_ceil((limit as usize).max(1));
        format!("{n} {what} are more than limits.{field} allows ({limit}), {share}% of it")
    })
    .collect();
    (!over.is_empty())
        .then(|| (Brake::TooMuch, HoldsBack::AllButHealing, format!("{}; raise the limit if that is meant", over.join("; "))))
}
