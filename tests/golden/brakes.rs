//! Each brake just under its limit and just over it: what it lets through, and what its message says.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use unscim::judge::brakes::Approved;
use unscim::judge::decisions::digest;
use unscim::model::action::Action;
use unscim::model::baseline::AtTarget;
use unscim::model::memory::{BaselineSource, Size};
use unscim::model::moment::Moment;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::{LogRow, Principal, TokenState};
use unscim::model::spec::{Acknowledgement, GroupEntry, Hold, MembersDecision, Percent, Rollout};
use unscim::model::status::Brake;
use unscim::model::window::{Clock, Day, Window, Windows};

use crate::support::*;

/// Ready to take four members out of two groups.
fn ready() -> Case {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::AllAtOnce;
    case
}

fn destructive(case: &Case) -> usize {
    case.approve().actions().iter().filter(|action| action.is_destructive()).count()
}

/// The one brake that bites, and its message.
fn bitten(case: &Case, brake: Brake, words: &str) {
    let approved = case.approve();
    let message = approved.held().iter().find(|(held, _)| *held == brake).map(|(_, message)| message);
    assert!(message.is_some_and(|message| message.contains(words)), "{brake:?} {words:?}: {:#?}", approved.held());
    assert!(!approved.actions().iter().any(Action::is_destructive), "{brake:?} let something through");
}

#[test]
fn nothing_bites_on_a_known_world() {
    assert_eq!(ready().approve().held(), []);
    assert_eq!(destructive(&ready()), 4);
}

#[test]
fn blind_needs_the_target_the_job_and_the_ledger_fresh() {
    let mut case = ready();
    let limit = case.spec.target.read_interval * 2 + case.spec.timing.interval;
    let minutes = i64::try_from(limit.as_secs() / 60).unwrap();
    case.target().at = moment(NOW - minutes - 1);
    assert_eq!(destructive(&case), 4, "a look of this turn, however long it took");
    case.memory.remembered.turn += 1;
    case.target().at = moment(NOW - minutes);
    assert_eq!(destructive(&case), 4);
    case.target().at = moment(NOW - minutes - 1);
    bitten(&case, Brake::Blind, "too old");
    let mut case = ready();
    case.seen.target.look = Listed::Unknown(failed("transient"));
    bitten(&case, Brake::Blind, "the target: the service is down");
    let mut case = ready();
    case.memory.target = None;
    assert_eq!(destructive(&case), 0, "preflight refuses it before the brake does");
    let mut case = ready();
    case.memory.source = BaselineSource::Provisional;
    case.spec.groups.acknowledge.push(Acknowledgement::EarlierAssignments);
    bitten(&case, Brake::Blind, "no baseline is on disk");
    let mut case = ready();
    case.target().users.get_mut(&scim(1)).unwrap().active = None;
    bitten(&case, Brake::Blind, "no longer says whether record u-1 is active");
}

#[test]
fn blind_and_users_lost_hold_the_revocation_while_the_target_is_open_or_silent() {
    let asks = |case: &Case| case.approve().actions().contains(&Action::RequestRevocation);
    assert!(asks(&Case::cycled()));
    let mut case = Case::cycled();
    case.seen.target.look = Listed::Unknown(failed("transient"));
    bitten(&case, Brake::Blind, "the target: the service is down");
    case.seen.target.token = TokenState::Refused(401);
    assert!(asks(&case), "the token was deleted after step 4 was proven: nothing more can be read");
    let mut case = Case::cycled();
    case.target().users.get_mut(&scim(1)).unwrap().active = Some(false);
    case.seen.target.look = Listed::Unknown(failed("transient"));
    bitten(&case, Brake::UsersLost, "record u-1 is inactive");
}

#[test]
fn blind_on_the_ledger_strikes_everything_and_on_the_target_lets_users_be_covered() {
    let mut case = Case::untouched();
    case.memory.baseline = Observed::Unknown(failed("ledger"));
    let approved = case.approve();
    assert!(approved.actions().is_empty() && approved.held()[0].0 == Brake::Blind, "{:#?}", approved.held());
    let mut case = ready();
    case.unrow(Principal::User(user(3)));
    case.memory.target = None;
    let kinds: Vec<_> = case.approve().actions().iter().map(Action::kind).collect();
    assert_eq!(kinds, ["AssignUser"]);
}

#[test]
fn users_lost_strikes_removals_and_names_them() {
    let mut case = ready();
    case.target().users.get_mut(&scim(1)).unwrap().active = Some(false);
    bitten(&case, Brake::UsersLost, "1 of 3 protected users (33.4%) lost, and none may be: user1@contoso.example");
    let mut case = ready();
    case.target().users.remove(&scim(3));
    case.target().users_by_id.insert(scim(3), Observed::Absent);
    bitten(&case, Brake::UsersLost, "gone from the target");
}

#[test]
fn a_log_entry_that_reports_a_loss_counts_until_a_later_cycle_and_read_show_the_user_kept() {
    let row = |minute| LogRow {
        id: "row-7".into(),
        at: at(minute),
        action: "disable".into(),
        status: "success".into(),
        source: Some(user(2).0),
        target: None,
        of_group: false,
        deactivates: true,
        reason: None,
        redundant: false,
    };
    let with = |row: LogRow| {
        let mut case = ready();
        let Listed::Known(log) = &mut case.seen.log else { panic!() };
        log.value.rows.push(row);
        case
    };
    bitten(&with(row(55)), Brake::UsersLost, "row-7");
    let mut gone = with(row(55));
    gone.target().users.get_mut(&scim(2)).unwrap().active = Some(false);
    gone.memory.remembered.lost_since.insert(user(2), at(57));
    bitten(
        &gone,
        Brake::UsersLost,
        "record u-2 is inactive at the target; the provisioning log has disable at 2026-11-24T12:55:00Z (log entry row-7), first seen at 2026-11-24T12:57:00Z",
    );
    assert_eq!(destructive(&with(row(-5))), 4, "before the baseline it is history");
    assert_eq!(destructive(&with(row(45))), 4, "healed: a cycle that began 10 minutes after it, and a look");
    for (minute, expected) in [(55, None), (45, Some(4))] {
        let mut unknown = with(row(minute));
        let Observed::Known(baseline) = &mut unknown.memory.baseline else { panic!() };
        baseline.users.get_mut(&user(2)).unwrap().target = AtTarget::NoRecord;
        match expected {
            None => bitten(&unknown, Brake::UsersLost, "row-7"),
            Some(count) => assert_eq!(destructive(&unknown), count, "without a record of before, the good cycle heals"),
        }
    }
    let skipped = LogRow { status: "skipped".into(), ..row(55) };
    assert_eq!(destructive(&with(skipped)), 4);
}

#[test]
fn what_was_planned_is_counted_by_its_kind_whatever_the_brakes_leave_of_it() {
    let planned = |case: &Case| -> Vec<(String, u64)> {
        case.approve().planned().iter().map(|pending| (pending.action.clone(), pending.count)).collect()
    };
    let (mut case, kind) = (ready(), |action: Action| action.kind().to_owned());
    let removals = kind(Action::RemoveMember { group: group(1), user: user(1) });
    assert_eq!(planned(&case), [(removals.clone(), 4)]);
    case.unrow(Principal::User(user(2)));
    let assigns = kind(Action::AssignUser { user: user(2), role: role(1) });
    let counts = planned(&case);
    assert_eq!(counts[0], (assigns, 2), "their two roles");
    case.spec.hold = Hold::Held;
    assert_eq!(planned(&case), counts);
    assert!(case.approve().actions().is_empty());
}

#[test]
fn too_much_counts_the_journal_and_the_plan() {
    let mut case = ready();
    // What a rollback has put back counts as never done, whether it is planned again (user 1) or not.
    for u in [1, 3] {
        let undone = Action::RemoveMember { group: group(1), user: user(u) };
        case.journal().entries.insert(undone.key(), unscim::model::journal::Entry::default());
    }
    assert_eq!(destructive(&case), 4);
    case.spec.limits.max_member_removals = 3;
    bitten(&case, Brake::TooMuch, "4 member removals");
    // And what was done and is planned again counts once.
    case.spec.limits.max_member_removals = 4;
    let again = Action::RemoveMember { group: group(1), user: user(2) };
    case.confirmed(&again, 100);
    assert!(case.approve().actions().contains(&again));
    case.spec.limits.max_member_removals = 3;
    bitten(
        &case,
        Brake::TooMuch,
        "4 member removals, done and planned, are more than limits.maxMemberRemovals allows (3), 134% of it",
    );
    let mut case = ready();
    for (g, u) in [(1, 1), (1, 2)] {
        case.leave(g, u);
        case.confirmed(&Action::RemoveMember { group: group(g), user: user(u) }, 100);
    }
    assert_eq!(destructive(&case), 2);
    case.spec.limits.max_member_removals = 3;
    bitten(&case, Brake::TooMuch, "4 member removals");
    let mut case = ready();
    case.spec.limits.max_users = 2;
    bitten(&case, Brake::TooMuch, "3 users are more than limits.maxUsers allows (2)");
    let mut case = ready();
    case.spec.limits.max_groups = 1;
    bitten(&case, Brake::TooMuch, "2 groups are more than limits.maxGroups allows (1)");
}

#[test]
fn a_brake_that_lets_healing_through_goes_by_what_was_seen_or_else_by_whether_anything_was_taken_away() {
    let heals = |change: fn(&mut Case)| {
        let mut case = Case::untouched();
        case.spec.limits.max_users = 1;
        change(&mut case);
        case.approve()
            .actions()
            .iter()
            .filter(|action| matches!(action, Action::AssignUser { user: of, .. } if *of == user(1)))
            .count()
    };
    let unread = |case: &mut Case| case.seen.groups.get_mut(&group(1)).unwrap().members = Listed::Unknown(failed("transient"));
    assert_eq!(heals(|_| {}), 0, "a group is seen to carry them");
    assert_eq!(heals(|case| case.leave(1, 1)), 1, "none is");
    assert_eq!(heals(unread), 0, "nothing was taken away from any group");
    let taken = |case: &mut Case| {
        case.seen.groups.get_mut(&group(1)).unwrap().members = Listed::Unknown(failed("transient"));
        case.confirmed(&Action::RemoveMember { group: group(2), user: user(3) }, 10);
    };
    assert_eq!(heals(taken), 1, "it may have been taken from them");
}

#[test]
fn shrunk_bites_while_a_shorter_list_is_unexplained() {
    let mut case = ready();
    case.memory.remembered.sizes.insert("assignments".into(), Size { count: 40, missing: None, smaller: None });
    assert_eq!(destructive(&case), 4);
    case.memory.remembered.sizes.insert("assignments".into(), Size { count: 40, missing: None, smaller: Some((30, 1)) });
    bitten(
        &case,
        Brake::Shrunk,
        "assignments had 40 entries, now it is 30, 25% less, without a write of ours to explain it (it is read again)",
    );
    // Whom it lacks: rows that were confirmed and are not there, and no others.
    let mut lacking = ready();
    lacking.unrow(Principal::User(user(3)));
    lacking.memory.remembered.sizes.insert("assignments".into(), Size { count: 40, missing: None, smaller: Some((30, 2)) });
    bitten(&lacking, Brake::Shrunk, "(it is read again; of the protected users it lacks user3@contoso.example");
    let message = |case: &Case| case.approve().held()[0].1.clone();
    assert!(!message(&lacking).contains("user1@contoso.example"), "{}", message(&lacking));
    let mut begun = Case::untouched();
    begun.journal().entries.entry(Action::AssignUser { user: user(2), role: role(1) }.key()).or_default().begin(1, at(10));
    begun.memory.remembered.sizes = lacking.memory.remembered.sizes.clone();
    assert!(!message(&begun).contains("user2@contoso.example"), "nobody has confirmed it: {}", message(&begun));
    let list = format!("members/{}", group(1));
    case.memory.remembered.sizes = [(list, Size { count: 9, missing: None, smaller: Some((1, 3)) })].into();
    case.leave(1, 2);
    bitten(&case, Brake::Shrunk, "it stays so; of the protected users it lacks user2@contoso.example");
}

/// Five users more, all of whose rows were made here, and so many of whom have lost theirs: nine rows in all.
fn undone_for(gone: u128) -> Case {
    let mut case = ready();
    case.spec.limits.max_users = 20;
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    let like = baseline.users[&user(1)].clone();
    baseline.users.extend((4..=8).map(|u| (user(u), like.clone())));
    for u in 4..=8 {
        case.members(1).insert(user(u));
        case.seen.users.insert(user(u), Observed::Known(known_user(u)));
        if u >= 4 + gone {
            case.assign(u, 1, 10);
        }
        case.confirmed(&Action::AssignUser { user: user(u), role: role(1) }, 10);
    }
    case
}

#[test]
fn undone_bites_where_many_assignments_of_ours_are_gone_at_once() {
    let bite = |case: &Case| {
        let approved = case.approve();
        let is_undone = |(brake, _): &&(Brake, String)| *brake == Brake::Undone;
        let assigns = approved.actions().iter().filter(|action| matches!(action, Action::AssignUser { .. })).count();
        (assigns, approved.actions().len() - assigns, approved.held().iter().find(is_undone).map(|(_, why)| why.clone()))
    };
    let (assigns, others, why) = bite(&undone_for(4));
    assert_eq!((assigns, others), (4, 0));
    assert!(why.unwrap().contains("4 of 9 direct assignments (44.5%) made here are gone at once"));
    assert_eq!(bite(&undone_for(3)).2, None);
    let mut meant = undone_for(4);
    meant.spec.limits.max_shrink = Percent(45);
    assert_eq!(bite(&meant).2, None);
    // One cause is told once.
    let mut shorter = undone_for(4);
    shorter.memory.remembered.sizes.insert("assignments".into(), Size { count: 40, missing: None, smaller: Some((30, 1)) });
    assert!(shorter.approve().held().iter().all(|(brake, _)| *brake != Brake::Shrunk));
    shorter.spec.limits.max_shrink = Percent(45);
    assert!(shorter.approve().held().iter().any(|(brake, _)| *brake == Brake::Shrunk));
}

#[test]
fn uncovered_looks_at_every_user_afresh() {
    let mut case = ready();
    case.covered_since().remove(&user(1));
    assert_eq!(case.approve().actions().len(), 2, "group 2 may go on without group 1");
    // A member whom nobody knew yet, and a step that did not see them.
    let mut case = Case::emptied();
    case.members(1).insert(user(8));
    let row = case.rows().iter().find(|row| row.principal == Principal::Group(group(1))).unwrap().id.clone();
    let approved = case.approve_with([Action::UnassignGroup { group: group(1), assignment: row.into(), role: role(1) }]);
    assert!(approved.actions().is_empty());
    assert!(approved.held().iter().any(|(brake, why)| *brake == Brake::Uncovered && why.contains(&user(8).to_string())));
    // Somebody who holds not all of their roles directly.
    let mut case = ready();
    case.rows().retain(|row| row.principal != Principal::User(user(2)) || row.role != role(2));
    let approved = case.approve_with([Action::RemoveMember { group: group(1), user: user(2) }]);
    assert!(approved.held().iter().any(|(brake, why)| *brake == Brake::Uncovered && why.contains("user2@contoso.example")));
    assert!(approved.actions().iter().all(|action| !action.is_destructive()));
}

#[test]
fn uncovered_counts_a_row_that_was_seen_once_for_nothing() {
    let mut case = ready();
    let removal = Action::RemoveMember { group: group(1), user: user(1) };
    for (since, held) in [(NOW - 1, false), (NOW, true)] {
        case.in_sight(1, 1, since);
        let approved = case.approve_with([removal.clone()]);
        assert_eq!(approved.held().iter().any(|(brake, _)| *brake == Brake::Uncovered), held, "in sight since {since}");
    }
}

#[test]
fn uncovered_asks_for_what_the_group_gives_now_beside_what_it_gave() {
    let mut case = ready();
    case.assign_group(1, 3);
    let removal = Action::RemoveMember { group: group(1), user: user(1) };
    let held = |case: &Case| {
        let approved = case.approve_with([removal.clone()]);
        approved.held().iter().any(|(brake, why)| *brake == Brake::Uncovered && why.contains("user1@contoso.example"))
    };
    assert!(held(&case), "the baseline knows nothing of that role");
    case.assign(1, 3, 10);
    assert!(held(&case), "not in sight before");
    case.in_sight(1, 3, 10);
    assert!(!held(&case));
}

#[test]
fn uncovered_asks_nothing_for_a_released_user_who_has_left_the_group() {
    let mut case = Case::emptied();
    case.spec.released.insert(user(1));
    case.unrow(Principal::User(user(1)));
    let unassigned = |case: &Case| {
        let actions = case.approve().actions().to_vec();
        actions.iter().filter(|action| matches!(action, Action::UnassignGroup { .. })).count()
    };
    assert_eq!(unassigned(&case), 2, "{:#?}", case.approve().held());
    // Who was in it and was not released counts as before.
    let row = case.rows().iter().find(|row| row.principal == Principal::Group(group(1))).unwrap().id.clone();
    case.rows().retain(|row| (row.principal, row.role) != (Principal::User(user(2)), role(1)));
    let forced = case.approve_with([Action::UnassignGroup { group: group(1), assignment: row.into(), role: role(1) }]);
    let named = forced.held().iter().any(|(brake, why)| *brake == Brake::Uncovered && why.contains("user2@contoso.example"));
    assert!(named, "{:#?}", forced.held());
}

#[test]
fn not_approved_strikes_what_was_taken_off_the_list() {
    let mut case = ready();
    case.spec.groups.list.remove(0);
    let approved = case.approve();
    assert!(approved.held().iter().any(|(brake, why)| *brake == Brake::NotApproved && why.contains("no longer in groups.list")));
    let touched: Vec<_> =
        approved.actions().iter().filter(|action| action.key().to_string().contains(&group(1).to_string())).collect();
    assert!(touched.is_empty() && approved.actions().len() == 2, "{touched:?}");
}

#[test]
fn not_approved_strikes_strangers_and_members_that_nobody_decided_about() {
    let stranger = Action::RemoveMember { group: group(9), user: user(1) };
    let kept = Action::RemoveMember { group: group(1), user: user(1) };
    let newcomer = Action::AssignUser { user: user(8), role: role(1) };
    let mut case = ready();
    case.spec.groups.list[0].members = Some(MembersDecision::Keep);
    let approved = case.approve_with([stranger.clone(), kept.clone(), newcomer.clone()]);
    let why = approved.held().iter().find(|(brake, _)| *brake == Brake::NotApproved).map(|(_, why)| why.clone()).unwrap();
    assert!(why.starts_with("3 of 6 actions (50.0%) of this plan may not be: "), "{why}");
    for words in ["not in the managed set", "are to be kept", "was never in scope through a managed group"] {
        assert!(why.contains(words), "{words}: {why}");
    }
    for action in [stranger, kept, newcomer] {
        assert!(!approved.actions().contains(&action), "{action}");
    }
}

#[test]
fn fights_gives_in_after_the_limit() {
    let mut case = Case::assigned();
    case.unrow(Principal::User(user(1)));
    let again = Action::AssignUser { user: user(1), role: role(1) };
    case.confirmed(&again, 100);
    assert!(case.approve().held().is_empty() && case.approve().actions().contains(&again), "the first time, and once again");
    case.confirmed(&again, 110);
    bitten(&case, Brake::Fights, "1 of 2 objects (50.0%) of this plan corrected more than 2 times (limits.fights)");
    bitten(&case, Brake::Fights, "(done 3 times, last at 2026-11-24T13:50:00Z, and this read shows it undone)");
}

fn expires_at(approved: &Approved, minute: i64) -> bool {
    let before = moment(minute);
    let before = Moment { wall: before.wall - SignedDuration::from_millis(1), steady: before.steady - Duration::from_millis(1) };
    !approved.has_expired(before) && approved.has_expired(moment(minute))
}

#[test]
fn an_approval_expires_after_the_settle_time() {
    assert!(expires_at(&ready().approve(), NOW + 5));
    // Whoever puts the clock back makes no approval last longer.
    let put_back = Moment { wall: at(NOW - 60), ..moment(NOW + 5) };
    assert!(ready().approve().has_expired(put_back));
}

#[test]
fn frozen_strikes_everything_even_covering_users() {
    let mut case = Case::untouched();
    assert!(!case.approve().actions().is_empty());
    case.seen.frozen = Some("the file freeze is there; remove it to go on".into());
    let approved = case.approve();
    assert!(approved.actions().is_empty() && approved.held()[0].0 == Brake::Frozen, "{:#?}", approved.held());
    let mut case = ready();
    case.spec.hold = Hold::Held;
    bitten(&case, Brake::Frozen, "set it to None to go on");
}

#[test]
fn window_takes_nothing_away_outside_its_hours_and_ends_an_approval_with_them() {
    // The look is at 22:00 of a Tuesday.
    let open = |from: u16, to: u16| {
        let mut case = ready();
        case.unrow(Principal::User(user(3)));
        let open = vec![Window { days: vec![Day::Tue], from: Clock(from), to: Clock(to) }];
        case.spec.windows = Some(Windows { time_zone: "UTC".into(), zone: jiff::tz::TimeZone::UTC, open });
        case
    };
    let case = open(22 * 60 + 1, 23 * 60);
    bitten(&case, Brake::Window, "2 actions wait for it; the next one opens on Tue 2026-11-24 at 22:01 UTC");
    assert_eq!(case.approve().actions().len(), 1, "users are covered at any hour");
    bitten(&open(20 * 60, 22 * 60), Brake::Window, "Tue 2026-12-01 at 20:00");
    let approved = open(22 * 60, 22 * 60 + 2).approve();
    assert!(approved.held().is_empty() && expires_at(&approved, NOW + 2), "{:#?}", approved.held());
    assert!(expires_at(&open(22 * 60, 23 * 60).approve(), NOW + 5));
    // Where nothing is to be taken away, the hours say nothing.
    for (from, to) in [(22 * 60, 22 * 60 + 2), (20 * 60, 21 * 60)] {
        let mut case = Case::untouched();
        case.spec.windows = open(from, to).spec.windows;
        let approved = case.approve();
        assert!(approved.held().is_empty() && expires_at(&approved, NOW + 5), "{:#?}", approved.held());
    }
}

#[test]
fn released_users_are_judged_no_more_and_still_never_removed_uncovered() {
    let mut case = ready();
    case.target().users.get_mut(&scim(1)).unwrap().active = Some(false);
    bitten(&case, Brake::UsersLost, "user1@contoso.example");
    case.spec.released.insert(user(1));
    assert_eq!(destructive(&case), 4);
    // Who has no direct assignment gets none, and their group waits for a person.
    case.unrow(Principal::User(user(1)));
    let approved = case.approve();
    assert!(approved.actions().iter().all(|action| matches!(action, Action::RemoveMember { group: g, .. } if *g == group(2))));
    assert!(approved.plan().refused.iter().any(|why| why.contains("assign them, or take them out of that group by hand")));
    let forced = case.approve_with([Action::RemoveMember { group: group(1), user: user(1) }]);
    assert!(forced.held().iter().any(|(brake, _)| *brake == Brake::Uncovered), "{:#?}", forced.held());
    let forced = case.approve_with([Action::AssignUser { user: user(1), role: role(1) }]);
    assert!(forced.held().iter().any(|(brake, why)| *brake == Brake::NotApproved && why.contains("spec.released")));
    // Taken out by hand: nothing of theirs hangs on the group any more.
    case.leave(1, 1);
    assert_eq!(destructive(&case), 3);
    assert!(case.approve().plan().refused.is_empty());
}

#[test]
fn foreseen_refuses_what_the_engine_would_answer_with_a_change_to_a_protected_user() {
    assert!(destructive(&ready()) > 0);
    // Who lacks a row is given one by step 1, and that is foreseen too.
    let mut case = ready();
    case.unrow(Principal::User(user(3)));
    let forced = case.approve_with([Action::RemoveMember { group: group(2), user: user(3) }]);
    assert!(!forced.held().iter().any(|(brake, _)| *brake == Brake::Foreseen), "{:#?}", forced.held());
    // Somebody who is called departed, though they still are where they were: no step would cover them.
    let mut case = ready();
    case.unrow(Principal::User(user(1)));
    let streak = unscim::model::memory::Streak { since: at(10), last: at(NOW), looks: 9 };
    let left = unscim::model::memory::Departure { kind: unscim::model::memory::DepartureKind::Left, streak };
    case.memory.remembered.departed.insert(user(1), left);
    bitten(
        &case,
        Brake::Foreseen,
        "user1@contoso.example (00000000-0000-0000-0000-000000000101) would be made inactive after step 2",
    );
}

#[test]
fn not_approved_refuses_everything_that_was_decided_otherwise_than_the_approval_says() {
    let mut case = ready();
    let Observed::Known(baseline) = &case.memory.baseline else { panic!() };
    case.spec.approval = Some(digest(&case.spec, baseline));
    assert_eq!(destructive(&case), 4);
    // Each group's decision is in it, whichever place it has.
    let mut three = ready();
    let Observed::Known(baseline) = &mut three.memory.baseline else { panic!() };
    let copy = baseline.groups[&group(2)].clone();
    baseline.groups.insert(group(3), copy);
    let baseline = baseline.clone();
    three.spec.groups.list.push(GroupEntry { id: group(3), members: None });
    let digests: BTreeSet<_> = (0..3)
        .map(|n| {
            let mut spec = three.spec.clone();
            spec.groups.list[n].members = Some(MembersDecision::Keep);
            digest(&spec, &baseline)
        })
        .chain([digest(&three.spec, &baseline)])
        .collect();
    assert_eq!(digests.len(), 4);
    // So do others who write under the same quota.
    let mut shared = ready();
    shared.spec.approval.clone_from(&case.spec.approval);
    shared.spec.limits.shared_by = 4;
    assert_eq!(destructive(&shared), 4);
    // People come and go.
    let mut people = ready();
    people.spec.approval.clone_from(&case.spec.approval);
    people.leave(1, 2);
    people.spec.released.insert(user(1));
    assert_eq!(destructive(&people), 3);
    type Change = fn(&mut Case);
    let changes: [Change; 4] = [
        |case| case.spec.groups.list[0].members = Some(MembersDecision::Keep),
        |case| case.spec.limits.max_users += 1,
        |case| _ = case.spec.roles.insert(role(2), role(1)),
        |case| case.spec.rollout = Rollout::Canary,
    ];
    for change in changes {
        let mut other = ready();
        other.spec.approval.clone_from(&case.spec.approval);
        change(&mut other);
        let approved = other.approve();
        assert!(approved.actions().is_empty() && approved.held()[0].0 == Brake::NotApproved, "{:#?}", approved.held());
        assert!(approved.held()[0].1.contains("then approve what it says"));
    }
}
