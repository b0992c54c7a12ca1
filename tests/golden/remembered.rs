//! What a look adds to memory, and what it can't take out of it by itself.

use std::time::Duration;

use crate::support::*;
use unscim::judge::step::Verdict;
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::key::Key;
use unscim::model::memory::{Size, Streak};
use unscim::model::moment::{Moment, is_ahead, lasts};
use unscim::model::observed::{Listed, Observed, Why};
use unscim::model::snapshot::*;
use unscim::model::spec::Acknowledgement;
use unscim::model::status::Brake;
use unscim::turn::remember::{growth, take_in};

impl Case {
    /// One more turn with this look, at that minute.
    pub fn again(&mut self, minute: i64) {
        for look in self.seen.groups.values_mut() {
            if let Listed::Known(members) = &mut look.members {
                members.at = at(minute);
            }
        }
        if let Listed::Known(look) = &mut self.seen.assignments {
            look.at = at(minute);
        }
        self.memory.remembered.turn += 1;
        self.memory = take_in(&self.spec, &self.seen, std::mem::take(&mut self.memory), moment(minute));
    }

    fn is_held_for_a_decision(&self) -> bool {
        match self.judge(2) {
            Verdict::Refuse { reason, why } => {
                reason == Reason::DecisionNeeded && why.iter().any(|why| why.contains("Ask for a second"))
            }
            Verdict::Act { refused, .. } => refused.iter().any(|why| why.contains("Ask for a second")),
            _ => false,
        }
    }
}

#[test]
fn a_use_once_known_stays_known_until_complete_looks_say_otherwise_often_enough() {
    let mut case = Case::assigned();
    case.seen.policies = Listed::Known(vec![policy(1)]);
    case.again(NOW);
    assert!(case.is_held_for_a_decision());
    // Neither a refusal nor the absence of the permission is a "no", and one look that leaves it out is none yet.
    for policies in
        [Listed::Unknown(failed("denied")), Listed::Unknown(Why::not_looked("Conditional Access")), Listed::Known(vec![])]
    {
        case.seen.policies = policies;
        case.again(NOW + 1);
        let acts = matches!(case.judge(2), Verdict::Act { ref actions, .. } if actions.iter().any(|action| action.key() == Key::Member(group(1), user(1))));
        assert!(!acts, "{:?}", case.seen.policies);
    }
    case.again(NOW + 2);
    assert!(case.is_held_for_a_decision(), "two looks");
    case.again(NOW + 3);
    assert!(case.is_held_for_a_decision(), "three within less than the settle time");
    case.again(NOW + 7);
    assert!(!case.is_held_for_a_decision() && case.memory.remembered.uses.is_empty(), "{:?}", case.memory.remembered.uses);
    // The same of other apps and of what it is a member of, each by the look that would show it.
    let mut case = Case::assigned();
    case.uses(1).other_apps = vec!["Payroll".into()];
    case.uses(1).member_of = vec!["All staff".into()];
    case.again(NOW);
    case.uses(1).other_apps.clear();
    case.uses(1).member_of.clear();
    case.seen.groups.get_mut(&group(1)).unwrap().uses = Listed::Unknown(failed("transient"));
    for minute in 1..20 {
        case.again(NOW + minute);
    }
    let known = &case.memory.remembered.uses[&group(1)];
    assert!(
        known.apps["Payroll"].is_none() && known.parents["All staff"].is_none(),
        "what is not looked at is not absent: {known:?}"
    );
}

#[test]
fn a_membership_that_ends_is_remembered_until_looks_leave_it_out_often_enough() {
    let mut case = Case::untouched();
    let lent = |case: &mut Case, lent| case.seen.groups.get_mut(&group(1)).unwrap().lent = lent;
    let asks = |case: &Case| match case.judge(1) {
        Verdict::Act { refused, .. } => refused.len(),
        other => panic!("{other:?}"),
    };
    lent(&mut case, Listed::Known([(user(1), Some(at(NOW)))].into()));
    case.seen.groups.get_mut(&group(1)).unwrap().eligible = Listed::Known([user(9)].into());
    case.again(NOW);
    assert_eq!(asks(&case), 1);
    // The activation has ended, and the list of members is older; or nobody may look any more.
    for list in [Listed::Known([].into()), Listed::Unknown(failed("denied")), Listed::Unknown(Why::not_looked("who"))] {
        let failed = list.unknown().is_some_and(|why| !why.is_not_looked());
        lent(&mut case, list);
        case.again(NOW + 1);
        assert_eq!(asks(&case), 1, "known to end, whatever else is not known (failed: {failed})");
    }
    lent(&mut case, Listed::Known([].into()));
    for (minute, expected) in [(2, 1), (3, 1), (7, 0)] {
        case.again(NOW + minute);
        assert_eq!(asks(&case), expected, "minute {minute}");
    }
    let known = &case.memory.remembered.uses[&group(1)];
    assert!(known.lent.is_empty() && known.eligible[&user(9).to_string()].is_none(), "{known:?}");
    let profile = case.profile(1).clone();
    let uses = unscim::judge::group_plan::other_uses(&case.facts(), &profile, &GroupUses::default());
    assert!(uses[0].contains("1 user may"), "{uses:?}");
}

#[test]
fn a_removal_that_was_tried_again_explains_itself_and_so_do_replicas_that_take_turns() {
    let mut case = Case::assigned();
    let all: Vec<u128> = (1..=12).collect();
    let mut people = case.memory.baseline.known().unwrap().clone();
    for u in &all {
        let mut one = people.users[&user(1)].clone();
        one.groups = [group(1)].into_iter().collect();
        people.users.insert(user(*u), one);
    }
    case.memory.baseline = Observed::Known(people);
    let show = |case: &mut Case, there: bool| {
        let users = if there { all.iter().map(|u| user(*u)).collect() } else { Default::default() };
        *case.members(1) = users;
    };
    let shrunk = |case: &Case| case.approve().held().iter().any(|(brake, _)| *brake == Brake::Shrunk);
    show(&mut case, true);
    case.again(NOW);
    // The first try was refused for some and never answered for others; the second is confirmed. Then the list is empty, and full
    // again, and empty.
    for (n, u) in all.iter().enumerate() {
        let key = Action::RemoveMember { group: group(1), user: user(*u) }.key();
        let entry = case.journal().entries.entry(key.clone()).or_default();
        entry.begin(n as i64, at(NOW));
        if n % 2 == 0 {
            entry.close();
            case.journal().refuse(key.clone(), at(NOW), "removing: 429 TooManyRequests: wait");
            case.journal().entries.get_mut(&key).unwrap().begin(100 + n as i64, at(NOW + 1));
        }
        let entry = case.journal().entries.get_mut(&key).unwrap();
        entry.confirm(at(NOW + 1), at(NOW + 1));
        entry.close();
        case.journal().refused.remove(&key);
    }
    for (minute, there) in [(2, false), (3, true), (4, false), (5, true), (6, false)] {
        show(&mut case, there);
        case.again(NOW + minute);
        assert!(!shrunk(&case), "minute {minute}: {:?}", case.memory.remembered.sizes);
    }
}

#[test]
fn what_was_refused_every_time_explains_nothing_and_a_look_that_explains_lifts_the_hold() {
    let mut case = Case::assigned();
    let mut people = case.memory.baseline.known().unwrap().clone();
    for u in 1..=8 {
        let mut one = people.users[&user(1)].clone();
        one.groups = [group(1)].into_iter().collect();
        people.users.insert(user(u), one);
    }
    case.memory.baseline = Observed::Known(people);
    *case.members(1) = (1..=8).map(user).collect();
    case.again(NOW);
    for u in 1..=8 {
        let key = Key::Member(group(1), user(u));
        let entry = case.journal().entries.entry(key.clone()).or_default();
        entry.begin(u as i64, at(NOW));
        entry.close();
        case.journal().refuse(key, at(NOW), "removing: denied (403 x): no");
    }
    case.members(1).clear();
    case.again(NOW + 1);
    let shrunk = |case: &Case| case.approve().held().iter().any(|(brake, _)| *brake == Brake::Shrunk);
    assert!(shrunk(&case), "somebody else has done it");
    for u in 1..=6 {
        let entry = case.journal().entries.get_mut(&Key::Member(group(1), user(u))).unwrap();
        entry.confirm(at(NOW + 1), at(NOW + 1));
    }
    case.again(NOW + 2);
    assert!(!shrunk(&case), "it was ours after all: {:?}", case.memory.remembered.sizes);
    let size = Size { count: 15, missing: None, smaller: Some((0, 3)) };
    case.memory.remembered.sizes.insert(format!("members/{}", group(1)), size);
    case.again(NOW + 3);
    assert!(!shrunk(&case), "a hold of an earlier version lifts, too");
}

#[test]
fn nothing_that_is_kept_lies_in_the_services_future() {
    let far = at(10 * 365 * 24 * 60);
    let mut case = Case::assigned();
    for u in 1..=3 {
        case.covered_since().entry(user(u)).or_default().insert(role(if u == 3 { 2 } else { 1 }), far);
    }
    let streak = Streak { since: far, last: far, looks: 9 };
    case.memory.remembered.empty.insert(group(1), streak);
    case.memory.remembered.unassigned_at.insert(group(1), far);
    case.unrow(Principal::Group(group(1)));
    case.members(1).clear();
    case.cycle(10 * 365 * 24 * 60);
    case.again(NOW);
    let kept = &case.memory.remembered;
    assert!(kept.covered_since.values().flat_map(|since| since.times()).all(|since| since <= at(NOW)), "{kept:?}");
    assert_eq!(kept.empty[&group(1)], Streak { since: at(NOW), last: at(NOW), looks: 1 });
    assert!(kept.unassigned_at[&group(1)] <= at(NOW) && kept.cycles.iter().all(|cycle| cycle.ended <= at(NOW)));
    assert!(is_ahead(far, at(NOW)) && !is_ahead(at(NOW + 14), at(NOW)) && is_ahead(at(NOW + 15), at(NOW)));
    // Nor does a wait last longer than it is, whoever has set our own clock back.
    let hour = Duration::from_secs(3600);
    assert!(lasts(at(0), at(59), hour) && !lasts(at(0), at(60), hour));
    assert!(lasts(at(59), at(0), hour) && !lasts(at(60), at(0), hour));
    assert_eq!(Moment { wall: at(0), steady: hour }.age(Moment { wall: at(-600), steady: hour * 2 }), hour);
}

#[test]
fn a_record_that_was_not_read_is_looked_for_until_it_is_and_blinds_until_then() {
    use unscim::model::baseline::AtTarget;
    let mut case = Case::assigned();
    case.spec.rollout = unscim::model::spec::Rollout::AllAtOnce;
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    baseline.users.get_mut(&user(2)).unwrap().target = AtTarget::NotRead;
    let approved = case.approve();
    assert!(approved.held().iter().any(|(brake, why)| *brake == Brake::Blind && why.contains("which record is theirs")));
    assert!(approved.actions().iter().all(|action| !action.is_destructive()));
    let grown = growth(&case.facts()).records;
    assert_eq!(grown.keys().copied().collect::<Vec<_>>(), [user(2)]);
    assert!(matches!(&grown[&user(2)], AtTarget::Record(record) if record.id == scim(2)));
    // Without their properties, or without the target, nothing is found, and nothing is "none".
    case.seen.users.remove(&user(2));
    assert!(growth(&case.facts()).records.is_empty());
    case.seen.users.insert(user(2), Observed::Known(known_user(2)));
    case.memory.target = None;
    assert!(growth(&case.facts()).records.is_empty());
}

/// The look of which the baseline was made may have been a short one.
#[test]
fn whoever_was_assigned_directly_before_a_baseline_of_direct_assignees_is_in_it_by_a_later_look() {
    let mut case = Case::assigned();
    let taken = case.facts().baseline().unwrap().taken;
    let minute = |at: jiff::Timestamp| at.duration_since(crate::support::at(0)).as_mins();
    case.assign(8, 1, minute(taken));
    case.assign(9, 1, minute(taken) + 1);
    let grown = |case: &Case| -> Vec<_> { growth(&case.facts()).users.into_keys().collect() };
    assert_eq!(grown(&case), [], "purely direct users are nobody's, where groups were handed over");
    case.spec.groups.acknowledge.push(Acknowledgement::AlreadyDirect);
    assert_eq!(grown(&case), [user(8)], "and whoever was assigned since is not handed over");
    let growth = growth(&case.facts());
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    baseline.grow(&growth);
    assert_eq!(
        (grown(&case), case.facts().person(user(8)).unwrap().roles.is_empty()),
        (vec![], true),
        "watched, and owed nothing"
    );
}

#[test]
fn who_has_no_record_is_not_counted_and_the_proof_waits_for_a_word_about_them() {
    use unscim::model::baseline::AtTarget;
    let mut case = Case::cycled();
    case.memory.remembered.cycle_proof = None;
    let proven = |case: &Case| unscim::judge::steps::cycle::prove(&case.facts());
    assert!(proven(&case).is_ok_and(|proof| (proof.users_kept, proof.users_counted, proof.users_not_known) == (3, 3, 0)));
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    baseline.users.get_mut(&user(2)).unwrap().target = AtTarget::NoRecord;
    refuses(&proven(&case).unwrap_err(), Reason::UsersUncounted, "1 of 3 protected users (33.4%) without a record at the app");
    case.spec.groups.acknowledge.push(Acknowledgement::UncountedUsers);
    let proof = proven(&case).unwrap();
    assert_eq!((proof.users_kept, proof.users_counted, proof.users_not_known), (2, 2, 1));
    case.memory.remembered.cycle_proof = Some(proof);
    let why = case.judge(4);
    assert!(matches!(&why, Verdict::Met { why, .. } if why.contains("2 of 3 users kept, 1 not known at the app")), "{why:?}");
    // Who is released, gone or disabled is nobody whose record is missed.
    case.memory.remembered.cycle_proof = None;
    case.spec.groups.acknowledge.pop();
    let mut released = Case { spec: case.spec.clone(), seen: case.seen.clone(), memory: case.memory.clone() };
    released.spec.released.insert(user(2));
    assert!(proven(&released).is_ok());
    let Some(Observed::Known(known)) = case.seen.users.get_mut(&user(2)) else { panic!() };
    known.enabled = Some(false);
    assert!(proven(&case).is_ok());
}

#[test]
fn many_lost_users_are_counted_and_the_first_of_them_named() {
    let mut case = Case::cycled();
    case.memory.remembered.cycle_proof = None;
    let mut people = case.memory.baseline.known().unwrap().clone();
    for u in 10..60 {
        people.users.insert(user(u), people.users[&user(1)].clone());
    }
    case.memory.baseline = Observed::Known(people);
    case.target().users.remove(&scim(1));
    case.target().users_by_id.insert(scim(1), Observed::Absent);
    let Err(Verdict::Refuse { reason, why }) = unscim::judge::steps::cycle::prove(&case.facts()) else { panic!() };
    assert_eq!((reason, why.len()), (Reason::UsersLost, 21));
    assert!(why[20].contains("31 more of 51 protected users lost"), "{}", why[20]);
}

#[test]
fn of_the_apps_assignments_those_of_users_are_counted() {
    let mut case = Case::assigned();
    case.again(NOW + 1);
    assert_eq!(case.memory.remembered.sizes["assignments"].count, 4, "four of users, two of groups");
}

#[test]
fn who_was_lost_stays_so_where_the_next_read_does_not_tell_of_them() {
    let mut case = Case::cycled();
    case.again(NOW + 10);
    let whole = case.memory.remembered.last_read.unwrap();
    case.target().users.remove(&scim(1));
    case.target().users_by_id.insert(scim(1), Observed::Absent);
    case.again(NOW + 20);
    assert_eq!(case.memory.remembered.lost_since.keys().collect::<Vec<_>>(), [&user(1)]);
    // As where the token goes in the middle of a read.
    case.target().users.remove(&scim(2));
    for n in [1, 2] {
        case.target().users_by_id.insert(scim(n), Observed::Unknown(failed("transient")));
    }
    case.again(NOW + 30);
    let remembered = &case.memory.remembered;
    assert_eq!(remembered.lost_since.keys().collect::<Vec<_>>(), [&user(1)]);
    assert_eq!(remembered.last_read.map(|read| (read.counted, read.unread)), Some((whole.counted, 0)));
    assert_eq!(remembered.last_figures().map(|read| (read.kept, read.counted)), Some((whole.counted - 1, whole.counted)));
    // Nor is anybody asked meanwhile to take away what alone can show them.
    let tally = unscim::judge::kept::tally(&case.facts()).map(|tally| (tally.lost[&user(1)].to_string(), tally.unknown.len()));
    let (why, unknown) = tally.unwrap();
    assert_eq!(
        (why.matches("is gone from the target").count(), why.matches("not told by this read").count(), unknown),
        (1, 1, 1),
        "{why}"
    );
    case.again(NOW + 31);
    assert_eq!(case.memory.remembered.lost_by[&user(1)], "record u-1 is gone from the target", "what was seen, however often");
    assert!(matches!(case.judge(5), Verdict::Wait { reason: Reason::Blocked, .. }), "{:?}", case.judge(5));
    // A new process that can't read the app says of whom, what and when, out of as many as counted.
    (case.memory.target, case.seen.target.look) = (None, Listed::Unknown(failed("transient")));
    case.spec.released.insert(user(3));
    case.again(NOW + 40);
    let told = unscim::judge::kept::last_seen(&case.facts()).unwrap().told(&case.facts());
    assert!(
        told.starts_with("1 of 2 protected users (50.0%) lost when the app was last read: user1@contoso.example ("),
        "{told}"
    );
    assert!(told.contains("): record u-1 is gone from the target"), "{told}");
    assert!(told.contains(", first seen at "), "{told}");
}
