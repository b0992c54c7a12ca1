//! What `act` does of what was approved: in order, journaled before and after, and not on where the next write would rest on
//! nothing.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use unscim::model::action::{Action, Done};
use unscim::model::id::{AssignmentId, ServicePrincipalId};
use unscim::model::memory::Streak;
use unscim::model::observed::Observed;
use unscim::model::snapshot::Principal;
use unscim::model::spec::{Mode, RevocationBy, Rollout};
use unscim::model::write_record::{Ending, LastOutcome, WriteRecord};
use unscim::turn::act::back::{PutBack, put_back};
use unscim::turn::act::{Acted, act};
use unscim::undo::{Direct, Undo, undo};
use unscim::world::error::Error;
use uuid::Uuid;

use crate::fake::{Fake, Read, written};
use crate::support::*;

/// Nothing here waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

pub fn carry_out(case: &Case, fake: &Fake) -> Acted {
    in_mode(case, fake, Mode::Enforce, &CancellationToken::new())
}

fn in_mode(case: &Case, fake: &Fake, mode: Mode, stop: &CancellationToken) -> Acted {
    now(act(fake, &case.spec, mode, &case.seen, &case.memory, case.approve(), stop))
}

fn all_at_once(mut case: Case) -> Case {
    case.spec.rollout = Rollout::AllAtOnce;
    case
}

fn done(acted: &Acted) -> Vec<Done> {
    acted.done().iter().flat_map(|(_, done, times)| std::iter::repeat_n(*done, *times)).collect()
}

fn refused(status: u16) -> Error {
    let (doing, code, message) = ("writing".to_owned(), "Code".to_owned(), "no".to_owned());
    match status {
        403 => Error::Denied { doing, status, code, message, request_id: None },
        404 => Error::NotFound { doing, request_id: None },
        _ => Error::Refused { doing, status, code, message, request_id: None },
    }
}

fn unanswered() -> Error {
    Error::TimedOut { doing: "writing".into(), after: std::time::Duration::from_secs(30) }
}

fn assigns(u: u128, r: u128) -> String {
    Action::AssignUser { user: user(u), role: role(r) }.key().to_string()
}

/// One write at a time fits into the quota.
fn one_by_one(case: &Case) -> Fake {
    let fake = world_of(case);
    fake.room.set(1);
    fake
}

/// Graph lets nothing through.
fn no_quota(case: &Case) -> Fake {
    let fake = world_of(case);
    fake.room.set(0);
    fake
}

#[test]
fn every_write_stands_in_the_journal_before_and_after() {
    let case = Case::untouched();
    let fake = one_by_one(&case);
    fake.answer(Ok(written(false)));
    fake.answer(Ok(written(true)));
    let acted = carry_out(&case, &fake);
    let assigned = |done, times| ("AssignUser", done, times);
    assert_eq!(acted.done(), [assigned(Done::Ok, 1), assigned(Done::Already, 1), assigned(Done::Ok, 2)]);
    assert_eq!(acted.stopped(), None);
    let lines = |n: i64, key: String, outcome: &str| {
        [format!("intend {key} in turn 50"), format!("write {key}"), format!("conclude {n} {outcome}")]
    };
    let expected = [lines(7, assigns(1, 1), "done"), lines(8, assigns(2, 1), "already"), lines(9, assigns(2, 2), "done")];
    assert_eq!(fake.did()[..9], expected.concat());
}

#[test]
fn what_goes_out_at_once_stands_in_the_journal_before_any_of_it_and_each_has_its_own_end() {
    let case = Case::untouched();
    let fake = world_of(&case);
    fake.answer(Ok(written(false)));
    fake.answer(Ok(written(true)));
    fake.answer(Err(refused(400)));
    let acted = carry_out(&case, &fake);
    assert_eq!(done(&acted), [Done::Ok, Done::Already, Done::Failed, Done::Ok]);
    let keys = [assigns(1, 1), assigns(2, 1), assigns(2, 2), assigns(3, 2)];
    let lines = |form: &dyn Fn(&String) -> String| keys.iter().map(form).collect::<Vec<_>>();
    assert_eq!(fake.did()[..4], lines(&|key| format!("intend {key} in turn 50")));
    assert_eq!(fake.did()[4..8], lines(&|key| format!("write {key}")));
    assert_eq!(fake.did()[8..], ["conclude 7 done", "conclude 8 already", "conclude 9 refused", "conclude 10 done"]);
}

#[test]
fn an_answer_that_is_lost_ends_the_plan_once_the_others_have_theirs() {
    let case = Case::untouched();
    let fake = world_of(&case);
    fake.room.set(3);
    fake.answer(Err(unanswered()));
    let acted = carry_out(&case, &fake);
    assert_eq!((done(&acted), acted.stopped().is_some()), (vec![Done::Open, Done::Ok, Done::Ok], true));
    assert_eq!(fake.did().len(), 9, "the fourth is not begun");
}

#[test]
fn who_waited_for_another_is_looked_at_again_and_ends_nothing() {
    let case = all_at_once(Case::assigned());
    let fake = world_of(&case);
    fake.room.set(2);
    fake.answer(Ok(written(true)));
    fake.answer(Err(refused(424)));
    let acted = carry_out(&case, &fake);
    assert_eq!(done(&acted), [Done::Already, Done::Failed, Done::Ok, Done::Ok]);
    assert!(acted.stopped().is_some());
    let (_, undo) = taken_away();
    let fake = world_of(&case);
    fake.answer(Ok(written(false)));
    fake.answer(Ok(written(true)));
    fake.answer(Err(refused(424)));
    let put = back(&case, &fake, &undo);
    assert_eq!((put.done.len(), put.failed.len(), put.stopped), (3, 1, None));
}

#[test]
fn of_what_goes_out_at_once_whoever_stands_before_one_who_is_not_covered_goes() {
    let case = all_at_once(Case::assigned());
    let first = case.approve().actions()[0].key();
    let fake = world_of(&case);
    fake.now.set(case.seen.began.wall + SignedDuration::from_secs(31));
    let loses = |row: &unscim::model::snapshot::Assignment| (row.principal, row.role) == (Principal::User(user(2)), role(2));
    fake.edit_rows(|rows| rows.retain(|row| !loses(row)));
    let acted = carry_out(&case, &fake);
    assert_eq!(done(&acted), [Done::Ok]);
    assert_eq!(fake.did()[2], format!("write {first}"));
    assert_eq!(fake.did().len(), 4, "read, intend, write, conclude: {:?}", fake.did());
}

#[test]
fn each_removal_is_judged_by_itself_in_whatever_order_the_groups_stand() {
    let case = all_at_once(Case::assigned());
    let facts = case.facts();
    let mut plan = unscim::judge::plan::plan(&facts, unscim::judge::plan::NewBaseline::Forbidden);
    let removal = |g, u| Action::RemoveMember { group: group(g), user: user(u) };
    plan.actions
        .sort_by_key(|action| [removal(1, 1), removal(2, 2), removal(1, 2), removal(2, 3)].iter().position(|a| a == action));
    let approved = unscim::judge::brakes::approve(&facts, plan);
    let fake = world_of(&case);
    fake.now.set(case.seen.began.wall + SignedDuration::from_secs(31));
    fake.edit_rows(|rows| rows.retain(|row| (row.principal, row.role) != (Principal::User(user(2)), role(2))));
    let stop = CancellationToken::new();
    let acted = now(act(&fake, &case.spec, Mode::Enforce, &case.seen, &case.memory, approved, &stop));
    let wrote: Vec<_> = fake.did().into_iter().filter(|line| line.starts_with("write")).collect();
    assert_eq!(wrote, [format!("write {}", removal(1, 1).key())], "user 2 does not hold both roles: {:?}", acted.stopped());
}

#[test]
fn nothing_is_written_in_observe_or_without_the_app() {
    let mut case = Case::untouched();
    let fake = world_of(&case);
    let acted = in_mode(&case, &fake, Mode::Observe, &CancellationToken::new());
    assert!(!acted.approved().actions().is_empty() && acted.done().is_empty());
    case.seen.app = Observed::Unknown(failed("transient"));
    assert!(carry_out(&case, &fake).done().is_empty());
    assert_eq!(fake.did(), Vec::<String>::new());
}

#[test]
fn the_operators_hand_and_the_end_of_the_process_stop_it_before_the_next_write() {
    let case = Case::untouched();
    let fake = one_by_one(&case);
    fake.frozen_after.set(3);
    let acted = carry_out(&case, &fake);
    assert_eq!((done(&acted).len(), acted.stopped()), (1, Some("frozen by hand")));

    let (fake, stop) = (world_of(&case), CancellationToken::new());
    stop.cancel();
    let acted = in_mode(&case, &fake, Mode::Enforce, &stop);
    assert_eq!((done(&acted).len(), acted.stopped()), (0, Some("asked to stop")));
    assert_eq!(fake.did(), Vec::<String>::new());
}

#[test]
fn an_approval_that_has_expired_is_none() {
    let case = Case::untouched();
    let fake = one_by_one(&case);
    fake.now.set(at(NOW + 5) - SignedDuration::from_millis(1));
    fake.each.set(SignedDuration::from_millis(1));
    let acted = carry_out(&case, &fake);
    assert_eq!((done(&acted).len(), acted.stopped()), (1, Some("the approval has expired")));
}

#[test]
fn one_users_refusal_says_nothing_of_the_next_one_and_anything_else_ends_the_plan() {
    let case = Case::untouched();
    let outcome = |error: Error| {
        let fake = one_by_one(&case);
        fake.answer(Err(error));
        let acted = carry_out(&case, &fake);
        (done(&acted), acted.stopped().is_some(), fake.did()[2].clone())
    };
    let goes_on = (vec![Done::Failed, Done::Ok, Done::Ok, Done::Ok], true, "conclude 7 refused".to_owned());
    assert_eq!(outcome(refused(400)), goes_on);
    assert_eq!(outcome(refused(404)), goes_on);
    assert_eq!(outcome(refused(403)), (vec![Done::Failed], true, "conclude 7 refused".to_owned()));
    assert_eq!(outcome(unanswered()), (vec![Done::Open], true, "conclude 7 open".to_owned()));
    let withheld = Error::Withheld { doing: "writing".into(), why: "asked to stop".into() };
    let unreachable = Error::Unreachable { doing: "writing".into(), cause: "refused".into() };
    let throttled = Error::Throttled { doing: "writing".into(), retry_after: None };
    for error in [withheld, unreachable, throttled] {
        assert_eq!(outcome(error).2, "conclude 7 failed", "nobody has spoken against it");
    }
    let strange = Error::Malformed { doing: "writing".into(), why: "201 with HTML".into() };
    assert_eq!(outcome(strange), (vec![Done::Open], true, "conclude 7 open".to_owned()));

    let case = all_at_once(Case::assigned());
    let fake = one_by_one(&case);
    fake.answer(Err(refused(400)));
    let acted = carry_out(&case, &fake);
    assert_eq!((done(&acted), acted.stopped().is_some()), (vec![Done::Failed], true), "removals rest on each other");
}

#[test]
fn nothing_is_written_past_a_book_that_fails() {
    let case = Case::untouched();
    for (broken, did) in [("intend", 1), ("conclude", 3)] {
        let fake = one_by_one(&case);
        fake.broken.set(Some(broken));
        let acted = carry_out(&case, &fake);
        assert_eq!((done(&acted).len(), fake.did().len()), (0, did), "{broken}");
        assert!(acted.stopped().unwrap().contains("no space left"));
    }
}

#[test]
fn the_baseline_is_our_own_book_alone() {
    let mut case = Case::untouched();
    case.memory.baseline = Observed::Absent;
    let facts = case.facts();
    let plan = unscim::judge::plan::plan(&facts, unscim::judge::plan::NewBaseline::Allowed);
    let approved = unscim::judge::brakes::approve(&facts, plan);
    let fake = no_quota(&case);
    let stop = CancellationToken::new();
    let acted = now(act(&fake, &case.spec, Mode::Enforce, &case.seen, &case.memory, approved, &stop));
    assert_eq!((done(&acted), fake.did()), (vec![Done::Ok], vec!["baseline of 3 users".to_owned()]));
}

/// Seconds after the turn's look at which the first removal is due.
fn removing(case: &Case, after: i64, change: impl FnOnce(&Fake)) -> (Vec<String>, usize, Option<String>) {
    let fake = world_of(case);
    fake.now.set(case.seen.began.wall + SignedDuration::from_secs(after));
    change(&fake);
    let acted = carry_out(case, &fake);
    let reads = fake.did().into_iter().filter(|line| line.starts_with("read")).collect();
    (reads, done(&acted).len(), acted.stopped().map(str::to_owned))
}

#[test]
fn who_loses_something_is_looked_at_again_when_the_sight_is_old() {
    let case = all_at_once(Case::assigned());
    assert_eq!(removing(&case, 30, |_| {}), (vec![], 4, None), "thirty seconds are fresh");
    assert_eq!(removing(&case, 31, |_| {}), (vec!["read rows".into()], 4, None), "one look does for all of them");
    let slow = removing(&case, 31, |fake| {
        fake.room.set(1);
        fake.each.set(SignedDuration::from_secs(31));
    });
    assert_eq!((slow.0.len(), slow.1), (4, 4));
    let (reads, done, stopped) = removing(&case, 31, |fake| fake.fails.set(Some(Read::Rows)));
    assert_eq!((reads.len(), done), (1, 0));
    assert!(stopped.unwrap().contains("coverage could not be read again"));
}

#[test]
fn nobody_loses_anything_who_does_not_hold_all_roles_directly_at_that_moment() {
    let case = all_at_once(Case::assigned());
    let without = |u: u128, r: u128| {
        move |fake: &Fake| {
            fake.edit_rows(|rows| rows.retain(|row| (row.principal, row.role) != (Principal::User(user(u)), role(r))));
        }
    };
    let (_, done, stopped) = removing(&case, 31, without(1, 1));
    assert_eq!(done, 0, "user 1 is the first");
    assert!(stopped.unwrap().contains("no longer holds their roles directly"));
    let (_, done, _) = removing(&case, 31, without(2, 2));
    assert_eq!(done, 1, "one of their two roles is not enough, whichever group it is");
    // What the turn itself saw counts as well, without another look.
    let mut case = all_at_once(Case::assigned());
    let approved = case.approve();
    case.rows().retain(|row| row.principal != Principal::User(user(1)));
    let (fake, stop) = (world_of(&case), CancellationToken::new());
    let acted = now(act(&fake, &case.spec, Mode::Enforce, &case.seen, &case.memory, approved, &stop));
    assert_eq!((acted.done().len(), fake.did().len()), (0, 0));
}

#[test]
fn before_a_group_goes_its_members_are_looked_at_again() {
    let case = all_at_once(Case::emptied());
    assert_eq!(removing(&case, 30, |_| {}), (vec![], 2, None));
    let reads = vec!["read rows".to_owned(), format!("read members/{}", group(1)), format!("read members/{}", group(2))];
    assert_eq!(removing(&case, 31, |_| {}), (reads, 2, None));
    let joined = |u: u128| move |fake: &Fake| fake.edit_members(group(1), |members| _ = members.insert(user(u)));
    let (_, done, stopped) = removing(&case, 31, joined(9));
    assert_eq!(done, 0);
    assert!(stopped.unwrap().contains("has joined group"));
    assert_eq!(removing(&case, 31, joined(1)).1, 2, "they need no group");
    let (_, done, stopped) = removing(&case, 31, |fake| fake.fails.set(Some(Read::Members(group(1)))));
    assert_eq!(done, 0);
    assert!(stopped.unwrap().contains("could not be read again"));
    // The assignment of whoever was in the group counts, too, though they have left it.
    let gone = |fake: &Fake| fake.edit_rows(|rows| rows.retain(|row| row.principal != Principal::User(user(3))));
    let (_, done, stopped) = removing(&case, 31, gone);
    assert_eq!(done, 1, "user 3 was in group 2");
    assert!(stopped.unwrap().contains("no longer holds"));
}

#[test]
fn all_that_goes_out_at_once_is_judged_against_one_look_however_long_that_takes() {
    // An admin takes user 1's row before the second volley, and the first look is old by then.
    let case = all_at_once(Case::emptied());
    let loses = |seconds: i64| {
        removing(&case, 31, |fake| {
            fake.room.set(1);
            fake.each.set(SignedDuration::from_secs(31));
            fake.loses.set(Some((at(NOW) + SignedDuration::from_secs(seconds), Principal::User(user(3)))));
        })
    };
    let (reads, done, stopped) = loses(60);
    assert_eq!((reads.len(), done), (4, 1), "rows and members, twice: {stopped:?}");
    assert!(stopped.unwrap().contains("no longer holds"));
    let (_, done, _) = loses(3_600);
    assert_eq!(done, 2);
    let slow = removing(&case, 31, |fake| fake.read.set(SignedDuration::from_secs(20)));
    assert_eq!((slow.0.len(), slow.1, slow.2), (3, 2, None), "a slow look is good for as long again");
}

#[test]
fn nothing_leaves_that_waited_for_longer_than_what_it_rests_on_is_good_for() {
    let case = all_at_once(Case::assigned());
    let held = |gate: i64, change: &dyn Fn(&Fake)| {
        let fake = world_of(&case);
        fake.room.set(2);
        fake.gate.set(SignedDuration::from_secs(gate));
        change(&fake);
        let acted = carry_out(&case, &fake);
        let wrote = fake.did().iter().filter(|line| line.starts_with("write")).count();
        (done(&acted), wrote, acted.stopped().map(str::to_owned).unwrap_or_default())
    };
    assert_eq!(held(20, &|_| {}).1, 2, "the next two would leave on a look of fifty seconds");
    let (done, wrote, why) = held(21, &|_| {});
    assert_eq!((done, wrote), (vec![Done::Failed; 2], 0), "the look was ten seconds old, and is 31 now");
    assert!(why.contains("waited too long"), "{why}");
    let (_, wrote, why) = held(1, &|fake| fake.frozen_after.set(2));
    assert!(wrote == 0 && why.contains("frozen by hand"), "{why}");
    let case = Case::untouched();
    let fake = world_of(&case);
    fake.gate.set(SignedDuration::from_mins(5));
    let acted = carry_out(&case, &fake);
    assert!(acted.stopped().unwrap().contains("the approval has expired"), "{:?}", acted.stopped());
    assert!(!fake.did().iter().any(|line| line.starts_with("write")));
}

#[test]
fn a_clock_that_is_put_back_makes_no_look_young_again() {
    let case = all_at_once(Case::assigned());
    let back = |fake: &Fake| {
        fake.now.set(at(NOW - 60));
        fake.set_back.set(SignedDuration::from_secs(-3631));
    };
    assert_eq!(removing(&case, 31, back), (vec!["read rows".into()], 4, None));
}

#[test]
fn the_revocation_is_asked_of_a_person_by_the_journal_and_of_a_webhook_by_its_key() {
    let mut case = Case::cycled();
    let fake = no_quota(&case);
    assert_eq!(done(&carry_out(&case, &fake)), [Done::Ok]);
    assert_eq!(fake.did(), ["intend revocation in turn 50", "conclude 7 done"]);
    case.spec.target.revocation.by = RevocationBy::Webhook;
    let fake = world_of(&case);
    assert_eq!(done(&carry_out(&case, &fake)), [Done::Ok]);
    assert_eq!(fake.did()[1], format!("write webhook unscim-golden-{}-0", at(0).as_second()));
}

/// Group 1 was unassigned and user 1 taken out of it; rows of users 1 and 2 are ours.
fn writes() -> Vec<WriteRecord> {
    let actions = [
        Action::AssignUser { user: user(1), role: role(1) },
        Action::AssignUser { user: user(2), role: role(1) },
        Action::RemoveMember { group: group(1), user: user(1) },
        Action::RemoveMember { group: group(1), user: user(2) },
        Action::UnassignGroup { group: group(1), assignment: AssignmentId::from("row").into(), role: role(1) },
    ];
    let ending = || Ending {
        outcome: LastOutcome::Done,
        at: at(100),
        service_at: Some(at(100)),
        already: Some(false),
        request_id: None,
        client_request_id: None,
        text: None,
    };
    let write = |(n, action)| WriteRecord { line: n, at: at(100), turn: 3, action, ending: Some(ending()) };
    (1..).zip(actions).map(write).collect()
}

fn back(case: &Case, fake: &Fake, undo: &Undo) -> PutBack {
    let app = ServicePrincipalId(Uuid::from_u128(2));
    now(put_back(fake, &case.spec, 51, app, undo, &CancellationToken::new()))
}

/// Group 1 has no row and no members any more.
fn taken_away() -> (Case, Undo) {
    let mut case = Case::emptied();
    case.unrow(Principal::Group(group(1)));
    for u in 1..=2 {
        case.seen.users.insert(user(u), Observed::Known(known_user(u)));
    }
    let undo = undo(&case.facts(), &writes(), Direct::Stay);
    (case, undo)
}

#[test]
fn a_rollback_goes_on_past_one_refusal_and_ends_at_anything_else() {
    let (case, undo) = taken_away();
    let keys: Vec<_> = undo.actions().iter().map(Action::key).collect();
    let restore = |u| Action::RestoreMember { group: group(1), user: user(u) }.key();
    assert_eq!(keys, [Action::RestoreAssignment { group: group(1), role: role(1) }.key(), restore(1), restore(2)]);

    let fake = one_by_one(&case);
    fake.answer(Err(refused(400)));
    let put = back(&case, &fake, &undo);
    let outcomes = |put: &PutBack| put.done.iter().map(|(_, done)| *done).collect::<Vec<_>>();
    assert_eq!((outcomes(&put), put.failed.len(), &put.stopped), (vec![Done::Failed, Done::Ok, Done::Ok], 1, &None));
    assert_eq!(fake.did()[0], format!("intend {} in turn 51", keys[0]));
    for (error, outcome) in [(refused(403), Done::Failed), (unanswered(), Done::Open), (refused(500), Done::Open)] {
        let fake = one_by_one(&case);
        fake.answer(Err(error));
        let put = back(&case, &fake, &undo);
        assert_eq!((outcomes(&put), put.failed.len(), put.stopped.is_some()), (vec![outcome], 0, true));
    }
    let fake = one_by_one(&case);
    fake.broken.set(Some("intend"));
    let put = back(&case, &fake, &undo);
    assert_eq!((put.done.len(), put.stopped.is_some(), fake.did().len()), (0, true, 1));
    let put = back(&case, &no_quota(&case), &undo);
    assert_eq!((put.done.len(), put.stopped.as_deref()), (0, Some("no write may go out now")));
    let fake = one_by_one(&case);
    fake.frozen_after.set(3);
    let put = back(&case, &fake, &undo);
    assert_eq!((put.done.len(), put.stopped.as_deref()), (1, Some("frozen by hand")));
}

#[test]
fn a_row_of_ours_goes_back_only_while_a_group_carries_its_user() {
    let mut case = Case::assigned();
    let carried = Streak { since: at(10), last: at(NOW), looks: 3 };
    case.memory.remembered.carried = [1, 2].map(|u| (user(u), carried)).into();
    let undo = undo(&case.facts(), &writes()[..2], Direct::Go);
    let removed: Vec<_> = undo.actions().iter().map(Action::key).collect();
    let key = |u: u128| Action::RemoveDirect { user: user(u), assignment: AssignmentId::from("").into(), role: role(1) }.key();
    assert_eq!(removed, [key(1), key(2)], "{undo:?}");
    let outcome = |change: &dyn Fn(&Fake)| {
        let fake = world_of(&case);
        change(&fake);
        let put = back(&case, &fake, &undo);
        let reads = fake.did().iter().filter(|line| line.starts_with("read rows")).count();
        (put.done.len(), put.failed.len(), put.stopped.is_some(), reads)
    };
    assert_eq!(outcome(&|_| {}), (2, 0, false, 1));
    let slow = |seconds: i64| {
        move |fake: &Fake| {
            fake.room.set(1);
            fake.each.set(SignedDuration::from_secs(seconds));
        }
    };
    assert_eq!(outcome(&slow(30)), (2, 0, false, 1));
    assert_eq!(outcome(&slow(31)), (2, 0, false, 2));
    assert_eq!(outcome(&|fake| fake.fails.set(Some(Read::Rows))), (0, 0, true, 1));
    assert_eq!(outcome(&|fake| fake.fails.set(Some(Read::Members(group(1))))), (0, 0, true, 1));
    let leave = |u: u128| move |fake: &Fake| fake.edit_members(group(1), |members| _ = members.remove(&user(u)));
    assert_eq!(outcome(&leave(1)), (1, 1, false, 1));
    let unrow = |fake: &Fake| {
        fake.edit_rows(|rows| rows.retain(|row| row.principal != Principal::Group(group(1))));
    };
    assert_eq!(outcome(&unrow), (0, 2, false, 1));
    // One group of two is enough for user 2 for role 1, not for role 2.
    let unrow = |fake: &Fake| {
        fake.edit_rows(|rows| rows.retain(|row| row.principal != Principal::Group(group(2))));
    };
    assert_eq!(outcome(&unrow), (1, 1, false, 1));
}
