//! What the token may do, held against what the spec needs: each that is missing is named, and each that is too much.

use unscim::judge::preflight;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::{Permissions, Principal};
use unscim::model::spec::{Afterwards, EmptyGroups, MembersDecision, Mode};

use crate::support::*;

const LOOK: &[&str] = &[
    "Application.Read.All",
    "AuditLog.Read.All",
    "Directory.Read.All",
    "GroupMember.Read.All",
    "Policy.Read.All",
    "PrivilegedAssignmentSchedule.Read.AzureADGroup",
    "PrivilegedEligibilitySchedule.Read.AzureADGroup",
    "Synchronization.Read.All",
    "User.Read.All",
];
const WRITE: &[&str] = &["AppRoleAssignment.ReadWrite.All", "GroupMember.ReadWrite.All"];

/// Refusals and notes about the token.
fn found(held: &[&str], change: impl FnOnce(&mut Case)) -> (Vec<String>, Vec<String>) {
    let mut case = Case::untouched();
    case.seen.permissions =
        Observed::Known(Permissions { roles: held.iter().map(|role| (*role).into()).collect(), ..Permissions::default() });
    change(&mut case);
    let found = preflight::check(&case.facts());
    let about = |all: Vec<String>| all.into_iter().filter(|text| text.contains("the token ha")).collect();
    (about(found.refusals), about(found.notes))
}

fn observe(case: &mut Case) {
    case.spec.mode = Mode::Observe;
}

fn nothing() -> (Vec<String>, Vec<String>) {
    (Vec::new(), Vec::new())
}

#[test]
fn the_least_is_enough_and_not_too_much() {
    assert_eq!(found(LOOK, observe), nothing());
    assert_eq!(found(&[LOOK, WRITE].concat(), |_| {}), nothing());
    let wide = ["Application.Read.All", "AuditLog.Read.All", "Directory.Read.All", "Synchronization.Read.All"];
    assert_eq!(found(&wide, observe), nothing(), "what is wider serves, and what is optional is not missing");
}

#[test]
fn each_that_is_missing_is_named_with_what_it_is_for() {
    let silent = [
        "Policy.Read.All",
        "PrivilegedAssignmentSchedule.Read.AzureADGroup",
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        "Directory.Read.All",
        "User.Read.All",
    ];
    for permission in LOOK.iter().filter(|permission| !silent.contains(permission)) {
        let held: Vec<&str> = LOOK.iter().copied().filter(|held| held != permission && *held != "Directory.Read.All").collect();
        let (refusals, notes) = found(&held, observe);
        let named =
            |permission: &str| notes.iter().any(|note| note.starts_with(&format!("the token has no {permission}, needed to ")));
        assert!(named(permission) && named("Directory.Read.All") && notes.len() == 2, "{notes:?}");
        assert_eq!(refusals, [""; 0], "the look itself tells what it could not read");
    }
    // Graph refuses nothing to whoever lacks this one: it leaves out what would be needed.
    let held: Vec<&str> = LOOK.iter().copied().filter(|held| !["User.Read.All", "Directory.Read.All"].contains(held)).collect();
    for change in [observe, |_: &mut Case| {}] {
        let (refusals, _) = found(&held, change);
        assert!(refusals.iter().any(|why| why.starts_with("the token has no User.Read.All")), "{refusals:?}");
    }
    for permission in WRITE {
        let held: Vec<&str> = [LOOK, WRITE].concat().into_iter().filter(|held| held != permission).collect();
        let (refusals, _) = found(&held, |_| {});
        assert!(matches!(&refusals[..], [one] if one.contains(permission) && one.contains("admin consent")), "{refusals:?}");
        assert_eq!(found(&held, observe).0, [""; 0]);
    }
    let pause = |case: &mut Case| case.spec.provisioning.afterwards = Afterwards::Pause;
    let (refusals, _) = found(&[LOOK, WRITE].concat(), pause);
    assert!(
        matches!(&refusals[..], [one] if one.contains("Synchronization.ReadWrite.All") && one.contains("set afterwards: Leave"))
    );
    assert_eq!(found(&[LOOK, WRITE, &["Application.ReadWrite.OwnedBy"]].concat(), pause), nothing());
}

#[test]
fn once_it_is_over_the_credential_may_be_narrowed_or_taken_away_until_a_group_comes_back() {
    let retired = |case: &mut Case| {
        let permissions = case.seen.permissions.clone();
        *case = Case::retired();
        case.seen.permissions = permissions;
    };
    assert_eq!(found(LOOK, retired), nothing());
    let (refusals, _) = found(LOOK, |case| {
        retired(case);
        case.row(Principal::Group(group(1)), role(1), 300);
    });
    assert!(refusals.iter().any(|why| why.contains("AppRoleAssignment.ReadWrite.All")), "{refusals:?}");
    // An outage asks for no permission, and allows nothing.
    let mut unread = Case::retired();
    let only = LOOK.iter().map(|role| (*role).into()).collect();
    unread.seen.permissions = Observed::Known(Permissions { roles: only, ..Permissions::default() });
    unread.seen.assignments = Listed::Unknown(failed("transient"));
    let seen = preflight::check(&unread.facts());
    assert!(seen.refusals.is_empty() && seen.unknowns.len() == 1, "{seen:?}");
    assert!(unread.approve().actions().is_empty());
    let (refusals, _) = found(LOOK, |case| {
        retired(case);
        case.memory.remembered.revocation_proof = None;
    });
    assert!(refusals.iter().any(|why| why.contains("AppRoleAssignment.ReadWrite.All")), "{refusals:?}");
    for (mut case, asks) in [(Case::cycled(), true), (Case::retired(), false)] {
        case.seen.app = Observed::Unknown(failed("credential"));
        let found = preflight::check(&case.facts());
        assert_eq!((found.refusals.len(), found.unknowns.len()), if asks { (1, 0) } else { (0, 1) }, "{found:?}");
    }
}

#[test]
fn the_newer_permission_for_the_log_serves_in_place_of_the_older_pair_and_beside_it() {
    let rest = || LOOK.iter().copied().filter(|held| !["AuditLog.Read.All", "Directory.Read.All"].contains(held));
    let newer: Vec<&str> = rest().chain(["ProvisioningLog.Read.All"]).collect();
    assert_eq!(found(&newer, observe), nothing());
    assert_eq!(found(&[LOOK, &["ProvisioningLog.Read.All"]].concat(), observe), nothing(), "neither is too much");
    let (_, notes) = found(&rest().collect::<Vec<_>>(), observe);
    assert!(
        notes.len() == 2
            && notes.iter().all(|note| note.contains("(or ProvisioningLog.Read.All in place of it) with admin consent")),
        "{notes:?}"
    );
    // It stands for nothing else.
    let (_, notes) = found(&["ProvisioningLog.Read.All"], observe);
    assert!(notes.iter().any(|note| note.contains("Application.Read.All")), "{notes:?}");
}

#[test]
fn who_empties_nothing_needs_no_permission_for_it() {
    let never = |case: &mut Case| case.spec.groups.empty_groups = EmptyGroups::Never;
    assert_eq!(found(&[LOOK, &WRITE[..1]].concat(), never), nothing());
    let (refusals, _) = found(&[LOOK, &WRITE[..1]].concat(), |case| {
        never(case);
        case.spec.groups.list[0].members = Some(MembersDecision::Remove);
    });
    assert!(refusals[0].contains("GroupMember.ReadWrite.All"), "{refusals:?}");
}

#[test]
fn each_that_is_more_than_needed_is_named_and_the_dangerous_ones_by_themselves() {
    let (refusals, notes) = found(&[LOOK, WRITE, &["User.ReadWrite.All", "Mail.Read", "Sites.Read.All"]].concat(), |_| {});
    assert_eq!(refusals, [""; 0]);
    let [user, rest] = &notes[..] else { panic!("{notes:?}") };
    assert!(
        user.contains("User.ReadWrite.All") && user.contains("dangerous: whoever holds it can change and delete users"),
        "{user}"
    );
    assert!(rest.contains("more than is needed in Enforce: Mail.Read, Sites.Read.All; take it"), "{rest}");
    let (_, notes) = found(&[LOOK, WRITE].concat(), observe);
    assert!(notes.len() == 2 && notes.iter().all(|note| note.contains("not needed in Observe and dangerous")), "{notes:?}");
    let role = "RoleManagement.ReadWrite.Directory";
    let held = [LOOK, WRITE, &[role]].concat();
    assert!(found(&held, |_| {}).1[0].contains("make anybody a Global Administrator"));
    assert_eq!(found(&held, |case| case.profile(1).role_assignable = true), nothing());
}

#[test]
fn a_directory_role_may_stand_for_what_is_missing_and_hides_nothing_that_is_too_much() {
    let (refusals, notes) = found(&["User.ReadWrite.All"], |case| {
        let Observed::Known(held) = &mut case.seen.permissions else { panic!("they are known") };
        held.directory_roles.insert("62e90394-69f5-4237-9190-012177145e10".into());
    });
    assert_eq!(refusals, [""; 0]);
    assert!(notes.len() == 1 && notes[0].contains("User.ReadWrite.All"), "{notes:?}");
}
