//! Waves: which groups may lose something, what the next wave waits for, and Entra's threshold.

use unscim::judge::waves::{later, open, room, waves};
use unscim::model::action::Action;
use unscim::model::condition::Reason;
use unscim::model::id::AssignmentId;
use unscim::model::memory::Streak;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::Principal;
use unscim::model::spec::Rollout;
use unscim::model::status::Brake;

use crate::support::*;

/// Group 2 goes first, group 1 after it; the canary has passed long ago.
fn in_waves(mut case: Case) -> Case {
    case.spec.rollout = Rollout::Waves(vec![vec![group(2)], vec![group(1)]]);
    case
}

fn past_the_canary(mut case: Case) -> Case {
    case.confirmed(&Action::RemoveMember { group: group(2), user: user(2) }, 100);
    case.leave(2, 2);
    case.cycle(140);
    case
}

/// Group 2 has gone at minute 200.
fn first_wave_gone() -> Case {
    let mut case = in_waves(past_the_canary(Case::assigned()));
    case.confirmed(&Action::RemoveMember { group: group(2), user: user(3) }, 150);
    case.leave(2, 3);
    case.unrow(Principal::Group(group(2)));
    let row = AssignmentId::from("row");
    case.confirmed(&Action::UnassignGroup { group: group(2), assignment: row.into(), role: role(2) }, 200);
    case.memory.remembered.unassigned.insert(group(2), Streak { since: at(200), last: at(NOW), looks: 3 });
    case.memory.remembered.unassigned_at.insert(group(2), at(200));
    case.memory.remembered.members_closed.insert(group(2), at(201));
    case
}

fn gone_at_the_target(case: &mut Case, g: u128) {
    let Observed::Known(baseline) = &case.memory.baseline else { panic!() };
    let id = baseline.groups[&group(g)].scim.clone().unwrap();
    let look = case.target();
    look.groups.remove(&id);
    look.groups_by_id.insert(id, Observed::Absent);
}

#[test]
fn only_the_open_wave_loses_members_and_the_others_say_what_they_wait_for() {
    let case = in_waves(past_the_canary(Case::assigned()));
    let removals = acts(&case.judge(2), Reason::MembersRemain);
    assert_eq!(removals, [Action::RemoveMember { group: group(2), user: user(3) }]);
    assert!(later(&case.facts()).unwrap().1.contains("1 group of later waves, until wave 1 of 2 is verified"));
    // Neither step trusts the other: the brake knows the waves too.
    let early = Action::RemoveMember { group: group(1), user: user(1) };
    let approved = case.approve_with([early.clone()]);
    assert!(!approved.actions().contains(&early));
    assert!(approved.held().iter().any(|(brake, why)| *brake == Brake::NotApproved && why.contains("later wave")));
}

#[test]
fn the_next_wave_begins_when_the_one_before_is_verified_at_the_target() {
    let mut case = first_wave_gone();
    waits(&case.judge(2), Reason::AwaitingWave, "2 good cycles, of which 0 ended well");
    case.cycle(240);
    case.cycle(280);
    waits(&case.judge(2), Reason::AwaitingWave, "to leave the target");
    gone_at_the_target(&mut case, 2);
    assert_eq!(acts(&case.judge(2), Reason::MembersRemain).len(), 2, "both members of group 1");
    case.target().turn -= 1;
    waits(&case.judge(2), Reason::AwaitingWave, "a look at the target after its last cycle");
    case.target().turn += 1;
    case.target().users.get_mut(&scim(1)).unwrap().active = Some(false);
    waits(&case.judge(2), Reason::AwaitingWave, "every protected user to be read as kept");
}

#[test]
fn what_the_open_wave_waits_for_is_said_before_that_the_later_ones_wait_for_it() {
    let mut case = in_waves(past_the_canary(Case::assigned()));
    case.confirmed(&Action::RemoveMember { group: group(2), user: user(3) }, 500);
    case.leave(2, 3);
    case.memory.remembered.empty.insert(group(2), Streak { since: at(501), last: at(NOW), looks: 3 });
    waits(&case.judge(2), Reason::AwaitingEmptyCycle, "the last removal from \"Group 2\"");
}

#[test]
fn a_single_wave_has_no_later_ones_and_a_proof_opens_all() {
    let mut case = past_the_canary(Case::assigned());
    assert_eq!(later(&case.facts()), None);
    case = in_waves(case);
    assert!(later(&case.facts()).is_some());
    // Step 4 was proven once: whatever has come back since is taken away without waiting for the others.
    let mut proven = in_waves(Case::cycled());
    proven.memory.remembered.cycles.clear();
    assert!(open(&proven.facts()).contains(&group(1)));
    proven.memory.remembered.cycle_proof = None;
    assert!(!open(&proven.facts()).contains(&group(1)));
}

#[test]
fn a_group_of_a_later_wave_that_is_ready_waits_in_step_3() {
    let mut case = in_waves(Case::emptied());
    case.unrow(Principal::Group(group(2)));
    waits(&case.judge(3), Reason::AwaitingWave, "1 group of later waves, until wave 1 of 2 is verified");
}

#[test]
fn a_group_that_comes_back_closes_the_waves_after_it() {
    let mut case = first_wave_gone();
    case.cycle(240);
    case.cycle(280);
    gone_at_the_target(&mut case, 2);
    assert!(open(&case.facts()).contains(&group(1)));
    case.assign_group(2, 2);
    assert!(!open(&case.facts()).contains(&group(1)));
}

#[test]
fn smallest_first_doubles_and_is_not_reordered_by_joiners() {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::SmallestFirst;
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    for n in 3..=8 {
        let copy = baseline.groups[&group(2)].clone();
        baseline.groups.insert(group(n), copy);
    }
    let sizes: Vec<usize> = waves(&case.facts()).iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 2, 4, 1]);
    assert_eq!(waves(&case.facts())[0], [group(3)], "nobody was ever in it");
    assert!(waves(&case.facts()).last().unwrap().contains(&group(2)), "two users, and the higher id");
    let removal = Action::RemoveMember { group: group(2), user: user(2) };
    case.journal().entries.insert(removal.key(), unscim::model::journal::Entry::default());
    assert_eq!(waves(&case.facts())[0], [group(3)], "what a rollback has put back has not begun");
    case.confirmed(&removal, 100);
    assert_eq!(waves(&case.facts())[0], [group(2)], "it has begun");
}

#[test]
fn groups_in_no_wave_make_the_last_one() {
    let mut case = Case::assigned();
    case.spec.rollout = Rollout::Waves(vec![vec![group(2), group(9)]]);
    assert_eq!(waves(&case.facts()), [vec![group(2)], vec![group(1)]]);
}

#[test]
fn fewer_groups_than_entras_threshold_are_unassigned_before_a_cycle_has_deleted_them() {
    let mut case = Case::emptied();
    assert_eq!(room(&case.facts()), None);
    assert_eq!(acts(&case.judge(3), Reason::RowsRemain).len(), 2);
    case.job().delete_threshold = Some(3);
    assert_eq!(acts(&case.judge(3), Reason::RowsRemain).len(), 2);
    assert_eq!((case.approve().actions().len(), case.approve().held().len()), (2, 0), "as many as there is room for");
    for threshold in [2, 1] {
        case.job().delete_threshold = Some(threshold);
        assert_eq!(acts(&case.judge(3), Reason::RowsRemain).len(), 1, "under {threshold}");
    }
    // The brake counts for itself.
    let rows: Vec<_> = case.rows().iter().filter(|row| matches!(row.principal, Principal::Group(_))).cloned().collect();
    let both = [0, 1].map(|n| {
        let Principal::Group(group) = rows[n].principal else { panic!() };
        Action::UnassignGroup { group, assignment: rows[n].id.clone().into(), role: rows[n].role }
    });
    let approved = case.approve_with(both);
    assert!(approved.held().iter().any(|(brake, why)| *brake == Brake::TooMuch && why.contains("accidental deletions")));
    // One is on its way.
    case.unrow(Principal::Group(group(1)));
    let row = AssignmentId::from("row");
    case.confirmed(&Action::UnassignGroup { group: group(1), assignment: row.into(), role: role(1) }, 300);
    waits(&case.judge(3), Reason::AwaitingWave, "Entra's threshold against accidental deletions");
    case.cycle(311);
    assert_eq!(acts(&case.judge(3), Reason::RowsRemain).len(), 1);
    let Listed::Known(settings) = &mut case.seen.settings else { panic!() };
    settings.delete_threshold = Some(9);
    case.job().delete_threshold = None;
    assert_eq!(room(&case.facts()), Some(8));
}
