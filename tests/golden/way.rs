//! The whole way: what is left of each step at every stage, and what the engine would send.

use unscim::guide::way::{Way, way};
use unscim::model::seen::Seen;
use unscim::model::snapshot::{DirectoryUser, Principal};
use unscim::model::spec::MembersDecision;

use crate::support::*;

fn of(case: &Case) -> Way {
    let approved = case.approve();
    way(&case.facts(), approved.actions()).expect("there is a baseline")
}

fn figures(case: &Case) -> Vec<(u64, u64)> {
    of(case).steps.iter().map(|leg| (leg.writes, leg.cycles)).collect()
}

#[test]
fn every_stage_says_what_is_left_in_writes_and_cycles() {
    assert_eq!(figures(&Case::untouched()), [(4, 1), (4, 2), (2, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::assigned()), [(0, 0), (4, 2), (2, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::emptied()), [(0, 0), (0, 0), (2, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::unassigned()), [(0, 0), (0, 0), (0, 0), (0, 2), (0, 0)]);
    assert_eq!(figures(&Case::cycled()), [(0, 0); 5]);
    let done = of(&Case::retired());
    assert!(done.writes == 0 && done.earliest == at(NOW) && done.steps.iter().all(|leg| leg.left.is_empty()), "{done:#?}");
}

#[test]
fn the_soonest_end_counts_the_quota_the_cycles_and_the_waits() {
    let whole = of(&Case::untouched());
    // Cycles begin at 620, 660 …: one of them for the assignments, the canary, the removals each, two at the end.
    assert_eq!(whole.earliest.duration_since(at(0)).as_mins(), 787);
    let takes: std::time::Duration = whole.steps.iter().map(|leg| leg.takes).sum();
    assert_eq!(whole.earliest, unscim::model::memory::later(at(NOW), takes));
    let mut slow = Case::untouched();
    slow.spec.limits.write_share = unscim::model::spec::Percent(1);
    let writing = |way: &Way| way.steps.iter().map(|leg| leg.writing.as_secs_f64()).sum::<f64>();
    // 10 writes at 10 or at 0.2 per second.
    assert!((writing(&whole) - 1.0).abs() < 0.01 && (writing(&of(&slow)) - 50.0).abs() < 0.01);
    let mut slow = Case::emptied();
    slow.spec.limits.write_share = unscim::model::spec::Percent(1);
    slow.spec.provisioning.verify_cycles = 0;
    let more = of(&slow).steps[2].takes - of(&Case::emptied()).steps[2].takes;
    assert!((9.0..10.0).contains(&more.as_secs_f64()), "{more:?}");
}

#[test]
fn what_entra_would_send_deletes_groups_and_touches_no_user() {
    let calls = of(&Case::untouched()).calls;
    let words: Vec<(&str, usize)> = calls.iter().map(|stage| (stage.after, stage.calls.len())).collect();
    assert_eq!(words, [("what is so now", 0), ("step 1", 0), ("step 2", 2), ("step 3", 2)]);
    assert!(calls[3].calls.iter().all(|call| call.starts_with("delete group")), "{calls:#?}");
    let mut kept = Case::untouched();
    kept.spec.groups.list[0].members = Some(MembersDecision::Keep);
    assert_eq!(of(&kept).calls[2].calls.len(), 1, "the members of group 1 go with it");
}

#[test]
fn users_and_groups_are_told_apart() {
    let mut case = Case::assigned();
    let guest = DirectoryUser { id: user(3), user_principal_name: None, match_value: None, enabled: Some(false), guest: true };
    case.seen.users.insert(user(3), Seen::Known(guest));
    case.seen.users.insert(user(1), Seen::Absent);
    case.unrow(Principal::User(user(3)));
    case.spec.released.insert(user(3));
    let users = of(&case).users;
    assert_eq!((users.protected, users.disabled, users.guests, users.deleted, users.released), (3, 1, 1, 1, 1));
    assert_eq!((users.in_several_groups, users.with_several_roles, users.already_direct), (1, 1, 2));
    case.profile(1).licensed = true;
    case.profile(2).dynamic = true;
    let groups = of(&case).groups;
    assert_eq!(groups[0].user_ids, Some(vec![user(1), user(2)]));
    assert_eq!((groups[0].members, groups[1].members), ("Undecided", "Undecided"));
    assert!(groups[0].uses.iter().any(|what| what.contains("licences")) && groups[1].why.as_ref().unwrap().contains("Keep"));
    let about = groups[0].about();
    for what in ["licences are assigned through it", "emptying it takes that from 2 users", "set members: Remove"] {
        assert_eq!(about.matches(what).count(), 1, "{about}");
    }
    assert!(!groups[0].uses.is_empty(), "the JSON has both");
    case.spec.groups.list[0].members = Some(MembersDecision::Remove);
    let groups = of(&case).groups;
    assert_eq!((groups[0].members, groups[0].about().matches("licences").count()), ("Remove", 1));
}
