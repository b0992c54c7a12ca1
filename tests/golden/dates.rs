//! Times of the service that can't be right.

use unscim::judge::dates::{self, misdated};
use unscim::model::action::Action;
use unscim::model::key::{Key, KeyKind};
use unscim::model::observed::Listed;
use unscim::model::snapshot::{Look, Snapshot};

use crate::support::*;

/// What is believed of looks at these minutes, one after the other: the jobs, and the assignments.
fn believed(looks: &[(i64, i64)]) -> Vec<(bool, bool)> {
    let spec = Case::assigned().spec;
    let mut latest = None;
    let mut each = |(jobs, rows): &(i64, i64)| {
        let look = Snapshot {
            jobs: Listed::Known(Look { at: at(*jobs), value: Vec::new() }),
            assignments: Listed::Known(Look { at: at(*rows), value: Vec::new() }),
            ..Snapshot::default()
        };
        let (now, next) = dates::believed(&spec, latest, look);
        latest = next;
        (now.jobs.is_known(), now.assignments.is_known())
    };
    looks.iter().map(&mut each).collect()
}

const YES: (bool, bool) = (true, true);
const NO: (bool, bool) = (false, false);

#[test]
fn an_old_copy_is_not_believed() {
    assert_eq!(believed(&[(100, 100), (101, 86), (102, 102)]), [YES, YES, YES], "machines of one service differ");
    assert_eq!(believed(&[(100, 100), (101, 85), (102, 102)]), [YES, (true, false), YES]);
    assert_eq!(believed(&[(100, 100), (40, 40), (102, 102), (103, 103)]), [YES, NO, YES, YES]);
}

#[test]
fn a_time_that_ran_ahead_is_given_up_once_enough_looks_agree_that_it_did() {
    let looks = [(100, 100), (9_000, 9_000), (102, 102), (103, 103), (104, 104), (112, 112), (113, 113)];
    assert_eq!(believed(&looks), [YES, YES, NO, NO, NO, YES, YES], "over settle");
}

#[test]
fn a_confirmation_from_the_future_counts_as_made_shortly_after_the_look_that_shows_it_to_be_one() {
    let mut case = Case::assigned();
    let removed = |u| Action::RemoveMember { group: group(1), user: user(u) };
    case.confirmed(&removed(1), 400);
    case.confirmed(&removed(2), 90_000);
    let mut next = case.memory.remembered.clone();
    misdated(&case.facts(), &mut next);
    assert_eq!(next.misdated.keys().collect::<Vec<_>>(), [&Key::Member(group(1), user(2))]);
    assert_eq!(case.facts().last_confirmed(KeyKind::MembersOf(group(1))), Some(at(90_000)));
    case.memory.remembered = next.clone();
    let dated = case.facts().last_confirmed(KeyKind::MembersOf(group(1)));
    assert_eq!(dated, Some(at(NOW + 15)), "no earlier than it can have been");
    // It stays so, until the write is done once more.
    let Listed::Known(rows) = &mut case.seen.assignments else { panic!() };
    rows.at = at(NOW + 60);
    misdated(&case.facts(), &mut next);
    assert_eq!(next.misdated, case.memory.remembered.misdated);
}
