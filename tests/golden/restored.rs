//! A ledger that may be a backup which was put back.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;
use unscim::judge::restored::{opened, put_back, watched};
use unscim::model::action::Action;
use unscim::model::extent::Extent;
use unscim::model::id::{AssignmentId, GroupId};
use unscim::model::memory::{Latest, Remembered, Unwatched};
use unscim::model::observed::Listed;
use unscim::model::snapshot::Principal;
use unscim::model::status::Brake;
use unscim::turn::{LoopState, Permit, decide};

use crate::act::now;
use crate::book::Book;
use crate::fake::Fake;
use crate::support::*;

/// All groups were unassigned at minute 200, the ledger was last read with at 300, a process began at 500, and the first group was
/// assigned again at this minute.
fn again(made: i64) -> Case {
    let mut case = Case::unassigned();
    let assignment = AssignmentId::from("row-0").into();
    case.confirmed(&Action::UnassignGroup { group: group(1), assignment, role: role(1) }, 200);
    case.row(Principal::Group(group(1)), role(1), made);
    case.memory.remembered.unwatched = Some(Unwatched { from: at(300), to: Some(at(500)), holds: false });
    case
}

fn back(case: &Case) -> BTreeSet<GroupId> {
    put_back(&case.facts(), case.memory.remembered.unwatched.unwrap())
}

#[test]
fn what_was_assigned_again_while_nobody_watched_speaks_for_a_backup() {
    for minute in [306, 500] {
        assert_eq!(back(&again(minute)), BTreeSet::from([group(1)]), "{minute}");
    }
    // Within the time of a restart, or before our eyes, it is an admin's act, and corrected.
    for minute in [250, 305, 501] {
        assert_eq!(back(&again(minute)), BTreeSet::new(), "{minute}");
    }
    let mut never_ours = again(306);
    never_ours.journal().entries.clear();
    assert_eq!(back(&never_ours), BTreeSet::new(), "another hand unassigned it");
    let mut rolled_back = again(306);
    rolled_back.memory.remembered.rolled_back = Some(at(305));
    assert_eq!(back(&rolled_back), BTreeSet::new(), "the ledger knows of it");
}

#[test]
fn it_holds_all_but_what_heals() {
    let mut case = again(306);
    let approved = case.approve();
    let held: Vec<_> = approved.held().iter().filter(|(brake, _)| *brake == Brake::LedgerBehind).collect();
    let [(_, why)] = held.as_slice() else { panic!("{:#?}", approved.held()) };
    assert!(why.contains("1 managed group came back onto the app that it says to be unassigned"), "{why}");
    assert!(approved.actions().is_empty(), "{:?}", approved.actions());
    case.unrow(Principal::User(user(1)));
    case.leave(1, 1);
    let kinds: Vec<_> = case.approve().actions().iter().map(|action| action.kind()).collect();
    assert_eq!(kinds, ["AssignUser"], "nobody is left without a path");
}

#[test]
fn a_look_that_failed_or_is_an_old_copy_settles_nothing() {
    let remembered = |unwatched: Option<Unwatched>| Remembered {
        latest: Some(Latest { at: at(400), behind: None }),
        unwatched,
        ..Remembered::default()
    };
    let new = Unwatched { from: at(400), to: None, holds: false };
    assert_eq!(opened(&remembered(None)), Some(new));
    assert_eq!(opened(&Remembered::default()), None, "this ledger has never been read with");
    let mut case = again(306);
    case.unrow(Principal::Group(group(1)));
    case.memory.remembered.unwatched = Some(Unwatched { from: at(300), ..new });
    let rows = case.seen.assignments.clone();
    case.seen.assignments = Listed::Unknown(failed("transient"));
    assert_eq!(watched(&case.facts()), case.memory.remembered.unwatched);
    let asked_from = |case: &Case| opened(&remembered(case.memory.remembered.unwatched)).unwrap().from;
    assert_eq!(asked_from(&case), at(300), "nobody has seen yet what was done");
    case.seen.assignments = rows;
    case.memory.remembered.unwatched = watched(&case.facts());
    assert_eq!(case.memory.remembered.unwatched.unwrap().to, Some(at(NOW)));
    assert_eq!(asked_from(&case), at(400));
    // The copy was old: the next look shows what was put back.
    case.row(Principal::Group(group(1)), role(1), 306);
    case.memory.remembered.unwatched = watched(&case.facts());
    assert!(case.approve().held().iter().any(|(brake, _)| *brake == Brake::LedgerBehind));
    assert_eq!(asked_from(&case), at(300), "what holds is asked about for as long as it does");
}

#[test]
fn it_holds_too_where_the_ledger_does_not_go_as_far_as_was_seen() {
    let mut case = Case::unassigned();
    case.memory.behind = Some(Extent { baseline_taken: at(0), users: 7, lines: 120, head: Some("ab".into()) });
    let held: Vec<_> = case.approve().held().iter().filter(|(brake, _)| *brake == Brake::LedgerBehind).cloned().collect();
    let [(_, why)] = held.as_slice() else { panic!("{held:?}") };
    assert!(why.starts_with("120 lines of the journal and 7 protected users were seen"), "{why}");
    case.unrow(Principal::User(user(1)));
    case.leave(1, 1);
    let kinds: Vec<_> = case.approve().actions().iter().map(|action| action.kind()).collect();
    assert_eq!(kinds, ["AssignUser"], "nobody is left without a path");
}

#[test]
fn a_ledger_goes_as_far_where_baseline_and_line_are_in_it() {
    let case = Case::unassigned();
    let baseline = case.memory.baseline.known().unwrap();
    let seen = Extent::of(baseline, Some((3, "c".into())));
    assert!(seen.is_reached(baseline, Some("c")), "it may have more lines since");
    assert!(!seen.is_reached(baseline, Some("b")) && !seen.is_reached(baseline, None));
    assert!(Extent::of(baseline, None).is_reached(baseline, None), "no line was asked for");
    let (mut fewer, mut another) = (baseline.clone(), baseline.clone());
    let first = *fewer.users.keys().next().unwrap();
    fewer.users.remove(&first);
    another.taken = at(1);
    assert!(!seen.is_reached(&fewer, Some("c")) && !seen.is_reached(&another, Some("c")));
}

#[test]
fn a_line_that_could_not_be_read_is_no_word_that_it_is_there() {
    let case = Case::unassigned();
    let seen = Extent::of(case.memory.baseline.known().unwrap(), Some((3, "c".into())));
    let (baseline, remembered) = (case.memory.baseline.clone(), case.memory.remembered.clone());
    let book = Book { baseline, remembered, journal: case.memory.journal.clone(), lines: 6 };
    let fake = Fake::new(case.seen.clone(), at(NOW), book, |_| true);
    let mut state = LoopState { witness: Some(seen.clone()), ..LoopState::default() };
    for broken in [Some("line"), None] {
        fake.broken.set(broken);
        let decided = now(decide(&fake, &case.spec, Permit::Write, &mut state, &CancellationToken::new())).unwrap();
        assert!(decided.approved.actions().is_empty(), "{broken:?}: {:?}", decided.approved.actions());
        assert_eq!(state.witness, Some(seen.clone()), "{broken:?}");
    }
}
