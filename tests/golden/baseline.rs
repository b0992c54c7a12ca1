//! Who is written down as protected, and as which record at the target.

use unscim::judge::baseline::take_baseline;
use unscim::model::baseline::{AtTarget, Baseline};
use unscim::model::id::ScimId;
use unscim::model::observed::{Listed, Observed, UNSEARCHABLE, Why};
use unscim::model::snapshot::{DirectoryUser, Principal, ScimGroup, ScimUser};
use unscim::model::spec::{Acknowledgement, MatchBy};

use crate::support::*;

fn taken(case: &Case) -> Baseline {
    take_baseline(&case.facts()).unwrap()
}

fn knows(case: &mut Case, u: u128, matched: &str, enabled: bool) {
    let person = DirectoryUser {
        id: user(u),
        user_principal_name: Some(format!("user{u}@contoso.example").into()),
        match_value: Some(matched.into()),
        enabled: Some(enabled),
        guest: false,
    };
    case.seen.users.insert(user(u), Observed::Known(person));
}

fn record(case: &mut Case, id: &str, user_name: &str, external: Option<&str>) {
    let id = ScimId::from(id);
    let user = ScimUser {
        id: id.clone(),
        user_name: Some(user_name.into()),
        external_id: external.map(Into::into),
        active: Some(true),
        created: None,
    };
    case.target().users.insert(id, user);
}

fn matched(case: &Case, u: u128) -> Option<String> {
    taken(case).users[&user(u)].target.record().map(|record| record.id.to_string())
}

#[test]
fn it_has_everybody_with_their_groups_and_whether_they_were_disabled() {
    let mut case = Case::untouched();
    knows(&mut case, 1, "user1@contoso.example", true);
    knows(&mut case, 3, "user3@contoso.example", false);
    let baseline = taken(&case);
    let groups = |u| baseline.users[&user(u)].groups.iter().copied().collect::<Vec<_>>();
    assert_eq!((groups(1), groups(2), groups(3)), (vec![group(1)], vec![group(1), group(2)], vec![group(2)]));
    let disabled: Vec<_> = baseline.users.values().map(|user| user.disabled).collect();
    assert_eq!(disabled, [false, false, true]);
    assert_eq!(baseline.users[&user(1)].name.as_deref(), Some("user1@contoso.example"));
    // What was not handed over or does not count is not in it.
    case.assign_group(7, 1);
    case.profile(2).security_enabled = false;
    assert_eq!(taken(&case).groups.into_keys().collect::<Vec<_>>(), [group(1)]);
    case.unrow(Principal::Group(group(1)));
    assert!(taken(&case).groups.is_empty());
}

#[test]
fn what_was_not_read_is_no_baseline() {
    type Change = fn(&mut Case);
    let changes: [(Change, &str); 6] = [
        (|case| case.seen.app = Observed::Absent, "the app"),
        (|case| case.seen.jobs = Listed::Unknown(failed("not-found")), "the job"),
        (|case| case.seen.assignments = Listed::Unknown(failed("not-found")), "the assignments"),
        (|case| case.memory.target = None, "the target"),
        (
            |case| case.seen.groups.get_mut(&group(2)).unwrap().members = Listed::Unknown(failed("transient")),
            "the members of group",
        ),
        (|case| _ = case.seen.users.remove(&user(2)), "who of 3 members has a record"),
    ];
    for (change, what) in changes {
        let mut case = Case::untouched();
        change(&mut case);
        assert!(take_baseline(&case.facts()).is_err_and(|why| why.starts_with(what)), "{what}");
    }
}

#[test]
fn a_user_is_the_one_record_that_matches_and_no_other() {
    let mut case = Case::untouched();
    case.seen.users.remove(&user(1));
    assert!(
        take_baseline(&case.facts()).is_err_and(|why| why.contains("could not be read") && why.contains(&user(1).to_string()))
    );
    // Without the permission for it Graph shows an id and nothing else.
    let bare = DirectoryUser { user_principal_name: None, match_value: None, enabled: None, ..known_user(1) };
    case.seen.users.insert(user(1), Observed::Known(bare));
    assert!(
        take_baseline(&case.facts())
            .is_err_and(|why| why.contains("who of 3 members has a record at the target could not be read"))
    );
    knows(&mut case, 1, "USER1@contoso.example", true);
    assert_eq!(matched(&case, 1).as_deref(), Some("u-1"), "letters may be large or small");
    knows(&mut case, 1, "nobody@contoso.example", true);
    assert_eq!(taken(&case).users[&user(1)].target, AtTarget::NoRecord, "they were looked for");
    // Entra takes the marker out of a guest's name.
    record(&mut case, "u-7", "guest_fabrikam.example@contoso.example", None);
    knows(&mut case, 1, "guest_fabrikam.example#EXT#@contoso.example", true);
    assert_eq!(matched(&case, 1).as_deref(), Some("u-7"));
    record(&mut case, "u-8", "guest_fabrikam.example#EXT#@contoso.example", None);
    assert_eq!(matched(&case, 1), None, "two are none");
    case.spec.target.match_by = MatchBy::ExternalId;
    assert_eq!(matched(&case, 1), None);
    record(&mut case, "u-8", "other", Some("guest_fabrikam.example#ext#@contoso.example"));
    assert_eq!(matched(&case, 1).as_deref(), Some("u-8"));
}

#[test]
fn a_group_is_the_one_with_its_entra_id_or_else_the_one_with_its_name() {
    let scim_of = |case: &Case| taken(case).groups[&group(1)].scim.as_ref().map(ToString::to_string);
    let mut case = Case::untouched();
    assert_eq!(scim_of(&case).as_deref(), Some("g-1"));
    let mut put = |id: &str, name: &str, external: Option<String>| {
        let id = ScimId::from(id);
        let record = ScimGroup { id: id.clone(), display_name: Some(name.into()), external_id: external };
        case.target().groups.insert(id, record);
        scim_of(&case)
    };
    assert_eq!(put("g-1", "GROUP 1", None).as_deref(), Some("g-1"));
    assert_eq!(put("g-8", "Group 1", None), None, "two of its name");
    assert_eq!(put("g-9", "renamed", Some(group(1).to_string().to_uppercase())).as_deref(), Some("g-9"));
    assert_eq!(put("g-7", "renamed too", Some(group(1).to_string())), None, "two with its id, and two of its name");
}

#[test]
fn a_list_that_may_not_be_whole_makes_nobody_one_without_a_record() {
    let mut case = Case::untouched();
    knows(&mut case, 1, "somebody.else@contoso.example", true);
    assert_eq!(taken(&case).users[&user(1)].target, AtTarget::NoRecord, "the list is whole");
    case.target().may_lack_users = true;
    for u in [2, 3] {
        case.target().users_by_match.insert(user(u), Observed::Absent);
    }
    let untaken = |case: &Case| take_baseline(&case.facts()).unwrap_err();
    assert!(untaken(&case).contains("who is not in it is looked up one by one"), "{}", untaken(&case));
    case.target().users_by_match.insert(user(1), Observed::Unknown(Why::new(UNSEARCHABLE, "501 no filters here")));
    let told = untaken(&case);
    assert!(
        told.contains("(501 no filters here; where the app can look nobody up, groups.acknowledge: [UncountedUsers]")
            && told.contains(&user(1).to_string()),
        "{told}"
    );
    // The operator's word covers what the app can't answer, and nothing that only failed for now.
    case.spec.groups.acknowledge.push(Acknowledgement::UncountedUsers);
    assert_eq!(taken(&case).users[&user(1)].target, AtTarget::NoRecord, "acknowledged");
    for kind in ["timed-out", "refused"] {
        case.target().users_by_match.insert(user(1), Observed::Unknown(failed(kind)));
        assert!(untaken(&case).contains("(the service is down): "), "{}", untaken(&case));
    }
    case.target().users_by_match.remove(&user(1));
    assert!(untaken(&case).contains("looked up one by one"), "{}", untaken(&case));
    case.spec.groups.acknowledge.clear();
    case.target().users_by_match.insert(user(1), Observed::Absent);
    assert_eq!(taken(&case).users[&user(1)].target, AtTarget::NoRecord, "looked up");
    // What is found lies in the look like a record of the list.
    record(&mut case, "found", "somebody.else@contoso.example", None);
    assert_eq!(matched(&case, 1).as_deref(), Some("found"));
}
