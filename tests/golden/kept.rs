//! Who is still the record of before: by more than the id, by what was seen of it meanwhile, by its name. And who else was there.

use jiff::SignedDuration;
use unscim::judge::kept::{self, Kept};
use unscim::judge::preflight;
use unscim::model::action::Action;
use unscim::model::baseline::AtTarget;
use unscim::model::condition::Reason;
use unscim::model::memory::*;
use unscim::model::observed::{Listed, Observed};
use unscim::model::snapshot::*;
use unscim::model::status::Brake;
use unscim::model::stranger::{Ended, Stranger};
use unscim::turn::remember::growth;

use crate::support::*;

fn verdict(case: &Case) -> Kept {
    let facts = case.facts();
    kept::of(&facts, facts.person(user(1)).unwrap())
}

fn before(case: &mut Case) -> &mut ScimUser {
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!("the baseline is not known") };
    baseline.users.get_mut(&user(1)).unwrap().target.record_mut().unwrap()
}

fn now(case: &mut Case) -> &mut ScimUser {
    case.target().users.get_mut(&scim(1)).unwrap()
}

fn gone(case: &mut Case, u: u128) {
    case.target().users.remove(&scim(u));
    case.target().users_by_id.insert(scim(u), Observed::Absent);
}

fn back(case: &mut Case, u: u128) {
    let Observed::Known(baseline) = &case.memory.baseline else { panic!("the baseline is not known") };
    let record = baseline.users[&user(u)].target.record().unwrap().clone();
    case.target().users_by_id.remove(&scim(u));
    case.target().users.insert(scim(u), record);
}

/// One more turn, with a new look at the target.
fn look(case: &mut Case, minute: i64) {
    let turn = case.memory.remembered.turn + 1;
    case.target().turn = turn;
    case.again(minute);
}

fn lost(case: &Case) -> String {
    match verdict(case) {
        Kept::Lost(why) => why,
        other => panic!("not lost: {other:?}"),
    }
}

#[test]
fn the_same_id_made_at_another_time_is_another_record() {
    let dated = |was: Option<i64>, is: Option<i64>| {
        let mut case = Case::assigned();
        before(&mut case).created = was.map(at);
        now(&mut case).created = is.map(at);
        case
    };
    for (was, is) in [(Some(-9), Some(-9)), (None, Some(-9)), (Some(-9), None), (None, None)] {
        assert_eq!(verdict(&dated(was, is)), Kept::Kept, "{was:?} {is:?}");
    }
    let mut case = dated(Some(-9), Some(30));
    assert_eq!(
        lost(&case),
        "record u-1 is another one: it was made at 2026-11-24T12:30:00Z, and the one before at 2026-11-24T11:51:00Z"
    );
    assert!(case.approve().held().iter().any(|(brake, why)| *brake == Brake::UsersLost && why.contains("is another one")));
    // Parts of a second are not told alike everywhere; a second is.
    now(&mut case).created = Some(at(-9) + SignedDuration::from_millis(999));
    assert_eq!(verdict(&case), Kept::Kept);
    now(&mut case).created = Some(at(-9) - SignedDuration::from_secs(1));
    assert!(lost(&case).contains("another one"));
    let streak = Streak { since: at(10), last: at(NOW), looks: 3 };
    case.memory.remembered.departed.insert(user(1), Departure { kind: DepartureKind::Deleted, streak });
    assert_eq!(verdict(&case), Kept::Explained(DepartureKind::Deleted));
}

#[test]
fn a_service_that_dates_every_record_anew_is_believed_in_that_only_after_several_looks() {
    let mut case = Case::assigned();
    before(&mut case).created = Some(at(-9));
    now(&mut case).created = Some(at(30));
    for minute in 1..=4 {
        case.target().moved = Some(true);
        look(&mut case, NOW + minute);
        match minute {
            1 | 2 => assert!(matches!(verdict(&case), Kept::Unknown(why) if why.contains("it is read again")), "{minute}"),
            _ => assert_eq!(verdict(&case), Kept::Kept, "{minute}"),
        }
    }
    // Nothing to compare, or two answers from one cache, tell nothing new.
    for moved in [None, Some(false)] {
        case.target().moved = moved;
        look(&mut case, NOW + 10);
        assert_eq!(verdict(&case), Kept::Kept);
    }
    assert!(preflight::check(&case.facts()).notes.iter().any(|note| note.contains("meta.created")));
    // One look in which all were another, and then the same again: that is what was done to them.
    let mut case = Case::assigned();
    before(&mut case).created = Some(at(-9));
    now(&mut case).created = Some(at(30));
    case.target().moved = Some(true);
    look(&mut case, NOW + 1);
    case.target().moved = Some(false);
    look(&mut case, NOW + 2);
    assert!(lost(&case).contains("another one"));
    assert!(!preflight::check(&case.facts()).notes.iter().any(|note| note.contains("meta.created")));
}

#[test]
fn two_looks_are_held_against_each_other_by_when_their_records_were_made() {
    let record = |u: u128, made: Option<i64>| {
        let created = made.map(at);
        (scim(u), ScimUser { id: scim(u), user_name: None, external_id: None, active: Some(true), created })
    };
    let compared = |before: [Option<i64>; 2], now: [Option<i64>; 2]| {
        let look = |made: [Option<i64>; 2]| TargetLook {
            users: [record(1, made[0]), record(2, made[1])].into(),
            ..TargetLook::default()
        };
        let mut now = look(now);
        now.compare(&look(before));
        now.moved
    };
    assert_eq!(compared([Some(1), Some(2)], [Some(1), Some(3)]), Some(false), "one of them is another");
    assert_eq!(compared([Some(1), Some(2)], [Some(5), Some(6)]), Some(true));
    assert_eq!(compared([Some(1), None], [Some(5), Some(6)]), Some(true));
    assert_eq!(compared([None, Some(1)], [Some(5), None]), None);
}

#[test]
fn when_a_record_was_made_is_learned_where_it_was_not_asked_before() {
    let mut case = Case::assigned();
    now(&mut case).created = Some(at(-9));
    let grown = growth(&case.facts());
    assert_eq!(grown.records.keys().copied().collect::<Vec<_>>(), [user(1)]);
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!("the baseline is not known") };
    baseline.grow(&grown);
    assert_eq!(before(&mut case).created, Some(at(-9)));
    now(&mut case).created = Some(at(30));
    assert!(growth(&case.facts()).records.is_empty(), "and never again");
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!("the baseline is not known") };
    baseline.grow(&grown);
    assert!(lost(&case).contains("another one"));
    // Not of whoever was seen gone, nor from an older look.
    let mut case = Case::assigned();
    now(&mut case).created = Some(at(-9));
    case.memory.remembered.turn += 1;
    assert!(growth(&case.facts()).records.is_empty());
}

#[test]
fn whoever_was_seen_gone_once_stays_lost_when_somebody_stands_under_their_id_again() {
    let mut case = Case::assigned();
    gone(&mut case, 1);
    look(&mut case, NOW + 1);
    assert_eq!(lost(&case), "record u-1 is gone from the target");
    back(&mut case, 1);
    look(&mut case, NOW + 2);
    let words = "record u-1 was gone from the target at 2026-11-24T22:01:00Z, and what hung on it may not have come back";
    assert_eq!(lost(&case), words);
    assert_eq!(unscim::judge::kept::tally(&case.facts()).unwrap().lost.len(), 1);
    for minute in 3..30 {
        look(&mut case, NOW + minute);
    }
    assert_eq!(lost(&case), words, "however long it looks well");
    assert!(growth(&case.facts()).records.is_empty());
    case.spec.released.insert(user(1));
    assert_eq!(verdict(&case), Kept::NotCounted, "a word of the operator's");
}

#[test]
fn what_a_list_and_a_read_by_id_do_not_agree_on_condemns_nobody() {
    let mut case = Case::assigned();
    case.target().users_by_id.insert(scim(1), Observed::Absent);
    look(&mut case, NOW + 1);
    assert!(lost(&case).contains("is gone"), "as ever, while it lasts");
    case.target().users_by_id.clear();
    look(&mut case, NOW + 2);
    assert_eq!(verdict(&case), Kept::Kept);
    // Nor does a list that lacks them while nobody could read them.
    case.target().users.remove(&scim(1));
    case.target().users_by_id.insert(scim(1), Observed::Unknown(failed("transient")));
    look(&mut case, NOW + 3);
    assert!(matches!(verdict(&case), Kept::Unknown(_)) && case.memory.remembered.doubts.is_empty());
    // Nor does the same look twice.
    gone(&mut case, 1);
    case.memory.remembered.turn += 1;
    case.again(NOW + 4);
    assert!(case.memory.remembered.doubts.is_empty());
}

#[test]
fn a_look_without_anybody_of_ours_must_come_again_before_it_condemns() {
    let all_gone = |looks: i64| {
        let mut case = Case::assigned();
        (1..=3).for_each(|u| gone(&mut case, u));
        (1..=looks).for_each(|minute| look(&mut case, NOW + minute));
        (1..=3).for_each(|u| back(&mut case, u));
        look(&mut case, NOW + 10);
        unscim::judge::kept::tally(&case.facts()).unwrap().lost.len()
    };
    assert_eq!((all_gone(1), all_gone(2), all_gone(3)), (0, 0, 3));
}

#[test]
fn a_record_that_was_gone_while_the_directory_explained_it_is_not_kept_afterwards() {
    let mut case = Case::assigned();
    let Some(Observed::Known(known)) = case.seen.users.get_mut(&user(1)) else { panic!() };
    known.enabled = Some(false);
    gone(&mut case, 1);
    look(&mut case, NOW + 1);
    assert_eq!(verdict(&case), Kept::Explained(DepartureKind::Disabled));
    back(&mut case, 1);
    case.seen.users.insert(user(1), Observed::Known(known_user(1)));
    look(&mut case, NOW + 2);
    assert!(lost(&case).contains("was gone from the target at"));
}

#[test]
fn inactive_is_less_than_not_said() {
    for (was, is, expected) in [
        (None, None, "kept"),
        (None, Some(true), "kept"),
        (None, Some(false), "lost"),
        (Some(true), Some(false), "lost"),
        (Some(true), None, "unknown"),
        (Some(false), None, "kept"),
        (Some(false), Some(false), "kept"),
        (Some(false), Some(true), "kept"),
    ] {
        let mut case = Case::assigned();
        before(&mut case).active = was;
        now(&mut case).active = is;
        let verdict = verdict(&case);
        let found = match &verdict {
            Kept::Kept => "kept",
            Kept::Lost(_) => "lost",
            Kept::Unknown(_) => "unknown",
            Kept::NotCounted | Kept::Explained(_) | Kept::Uncertain(_) => "other",
        };
        assert_eq!(found, expected, "{was:?} {is:?}: {verdict:?}");
        let hints = matches!(&verdict, Kept::Lost(why) if why.contains("was not so when it was first seen"));
        assert_eq!(hints, was.is_none() && is == Some(false));
    }
}

#[test]
fn an_app_that_says_of_nobody_who_is_active_is_noted() {
    let noted = |case: &Case| preflight::check(&case.facts()).notes.iter().any(|note| note.contains("does not say of anybody"));
    let mut case = Case::untouched();
    assert!(!noted(&case));
    case.target().users.values_mut().for_each(|record| record.active = None);
    assert!(noted(&case));
    now(&mut case).active = Some(false);
    assert!(!noted(&case));
    case.target().users.clear();
    assert!(!noted(&case), "of nobody nothing can be said");
}

fn renamed(name: Option<&str>) -> Case {
    let mut case = Case::assigned();
    now(&mut case).user_name = name.map(Into::into);
    case
}

#[test]
fn another_name_is_a_rename_where_the_directory_has_it_too() {
    assert_eq!(verdict(&renamed(Some("USER1@Contoso.example"))), Kept::Kept, "names are compared without case");
    for name in [Some("deleted-8812@invalid.example"), Some(""), None] {
        let case = renamed(name);
        assert!(matches!(verdict(&case), Kept::Unknown(why) if why.contains("has another userName")), "{name:?}");
        assert!(case.approve().held().iter().any(|(brake, _)| *brake == Brake::Blind));
    }
    let mut case = renamed(Some("ada_fabrikam.com@contoso.example"));
    let known = |case: &mut Case, upn: Option<&str>, value: Option<&str>| {
        let (upn, value) = (upn.map(Into::into), value.map(Into::into));
        let user_in_entra = DirectoryUser { user_principal_name: upn, match_value: value, ..known_user(1) };
        case.seen.users.insert(user(1), Observed::Known(user_in_entra));
        verdict(case)
    };
    assert_eq!(known(&mut case, Some("Ada_fabrikam.com#EXT#@contoso.example"), None), Kept::Kept, "a guest");
    assert_eq!(known(&mut case, None, Some("ADA_fabrikam.com@contoso.example")), Kept::Kept, "by what the job matches by");
    assert!(matches!(known(&mut case, Some("grace@contoso.example"), None), Kept::Unknown(_)));
    assert!(matches!(known(&mut case, None, None), Kept::Unknown(_)), "Graph showed no name");
    // What it has once said needs no asking again.
    known(&mut case, Some("ada_fabrikam.com@contoso.example"), None);
    look(&mut case, NOW + 1);
    case.seen.users.remove(&user(1));
    look(&mut case, NOW + 2);
    assert_eq!(verdict(&case), Kept::Kept);
    now(&mut case).user_name = Some("deleted-8812@invalid.example".into());
    assert!(matches!(verdict(&case), Kept::Unknown(_)), "of that name only");
}

#[test]
fn another_name_that_nobody_explains_is_for_a_person_after_repeated_looks() {
    let mut case = renamed(Some("deleted-8812@invalid.example"));
    for minute in 1..=2 {
        look(&mut case, NOW + minute);
        assert!(matches!(verdict(&case), Kept::Unknown(_)), "{minute}");
    }
    case.memory.remembered.turn += 1;
    case.again(NOW + 3);
    assert!(matches!(verdict(&case), Kept::Unknown(_)), "a look that is not new");
    look(&mut case, NOW + 4);
    assert!(matches!(verdict(&case), Kept::Uncertain(_)));
    let tally = unscim::judge::kept::tally(&case.facts()).unwrap().clone();
    assert_eq!((tally.counted, tally.kept, tally.uncertain.len(), tally.lost.len(), tally.unknown.len()), (3, 2, 1, 0, 0));
    let approved = case.approve();
    let held = approved.held().iter().find(|(brake, _)| *brake == Brake::UsersLost).map(|(_, why)| why.as_str());
    assert!(
        held.is_some_and(|why| why.contains("of 1 of 3 protected users (33.4%) nobody can say that they are kept: user1@")),
        "{held:?}"
    );
    assert!(!approved.actions().iter().any(Action::is_destructive));
    let streak = Streak { since: at(10), last: at(NOW), looks: 3 };
    case.memory.remembered.departed.insert(user(1), Departure { kind: DepartureKind::Deleted, streak });
    assert_eq!(verdict(&case), Kept::Explained(DepartureKind::Deleted));
    // Its own name again, and another once more: that begins anew.
    case.memory.remembered.departed.clear();
    back(&mut case, 1);
    look(&mut case, NOW + 5);
    assert_eq!(verdict(&case), Kept::Kept);
    now(&mut case).user_name = Some("deleted-8812@invalid.example".into());
    look(&mut case, NOW + 6);
    assert!(matches!(verdict(&case), Kept::Unknown(_)));
}

#[test]
fn step_4_is_not_proven_by_a_record_under_another_name() {
    let mut case = Case::cycled();
    case.memory.remembered.cycle_proof = None;
    now(&mut case).user_name = Some("deleted-8812@invalid.example".into());
    for minute in 1..=4 {
        look(&mut case, NOW + minute);
        assert!(case.memory.remembered.clean_rounds.is_empty() && case.memory.remembered.cycle_proof.is_none());
    }
    let why = unscim::judge::steps::cycle::prove(&case.facts()).unwrap_err();
    refuses(&why, Reason::UsersUncertain, "record u-1 has another userName at the target, and nothing in Entra explains it");
}

/// Somebody's record of whom nobody here knows, u-9; and members were taken out of a group since it was seen.
fn beside() -> Case {
    let mut case = Case::assigned();
    let record = ScimUser {
        id: scim(9),
        user_name: Some("nine@contoso.example".into()),
        external_id: None,
        active: Some(true),
        created: None,
    };
    case.target().users.insert(scim(9), record);
    look(&mut case, NOW);
    assert_eq!(case.memory.remembered.bystanders.iter().cloned().collect::<Vec<_>>(), [scim(9)]);
    case.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, NOW);
    case.leave(1, 1);
    case
}

fn nine(case: &mut Case) -> &mut ScimUser {
    case.target().users.get_mut(&scim(9)).unwrap()
}

fn strangers(case: &Case) -> Vec<String> {
    unscim::judge::kept::tally(&case.facts()).unwrap().strangers.iter().map(|(who, why)| format!("{who}: {why}")).collect()
}

#[test]
fn a_bystanders_record_that_ends_after_the_first_removal_holds() {
    let mut case = beside();
    assert_eq!(strangers(&case), Vec::<String>::new());
    nine(&mut case).active = None;
    assert_eq!(strangers(&case), Vec::<String>::new());
    nine(&mut case).active = Some(false);
    assert_eq!(strangers(&case), ["record:u-9: is inactive at the target"]);
    let held = case.approve().held().iter().find(|(brake, _)| *brake == Brake::UsersLost).unwrap().1.clone();
    assert!(
        held.contains(
            "1 user ended of those who were never protected, since something was first taken away here: record:u-9: is inactive"
        ),
        "{held}"
    );
    look(&mut case, NOW + 1);
    assert_eq!(case.memory.remembered.bystanders.len(), 1, "what was there before stays written down");
    // Whom a read does not tell of stands as the one before has shown them.
    let record = case.target().users.remove(&scim(9)).unwrap();
    assert_eq!(strangers(&case), ["record:u-9: is inactive at the target"]);
    look(&mut case, NOW + 2);
    assert_eq!(strangers(&case).len(), 1);
    case.target().users.insert(scim(9), ScimUser { active: Some(true), ..record });
    look(&mut case, NOW + 3);
    // Gone is who is neither in the list nor by their id.
    case.target().users.remove(&scim(9));
    assert_eq!(strangers(&case), Vec::<String>::new());
    case.target().users_by_id.insert(scim(9), Observed::Unknown(failed("transient")));
    assert_eq!(strangers(&case), Vec::<String>::new());
    case.target().users_by_id.insert(scim(9), Observed::Absent);
    assert_eq!(strangers(&case), ["record:u-9: is gone from the target"]);
    look(&mut case, NOW + 4);
    let gone = Ended { who: Stranger::Record(scim(9)), why: "is gone from the target".into() };
    assert_eq!(case.memory.remembered.ended, [gone], "for the report");
    case.spec.released_records.insert(scim(9));
    assert_eq!(strangers(&case), Vec::<String>::new());
}

#[test]
fn a_bystander_who_had_ended_stays_so_where_the_target_can_not_be_read() {
    let mut case = beside();
    nine(&mut case).active = Some(false);
    look(&mut case, NOW + 1);
    let row = |target: u128| LogRow {
        id: "row-9".into(),
        at: at(NOW + 1),
        action: "disable".into(),
        status: "success".into(),
        source: Some(user(9).0),
        target: Some(scim(target)),
        of_group: false,
        deactivates: true,
        reason: None,
        redundant: false,
    };
    // A new process, and an app that does not answer.
    (case.memory.target, case.seen.target.look) = (None, Listed::Unknown(failed("transient")));
    let told = |case: &Case| {
        let approved = case.approve();
        let held = approved.held().iter().find(|(brake, _)| *brake == Brake::UsersLost);
        held.map(|(_, why)| why.split(';').next().unwrap().to_owned())
    };
    let named = |who: &str| Some(format!("1 user of those who were never protected had ended when the app was last read: {who}"));
    for minute in 2..4 {
        assert_eq!(told(&case), named("record:u-9: is inactive at the target"));
        case.again(NOW + minute);
    }
    // The log comes to say whose it is: neither twice nor nobody.
    let Listed::Known(log) = &mut case.seen.log else { panic!() };
    log.value.rows.push(row(9));
    assert_eq!(told(&case), named("record:u-9: is inactive at the target"));
    case.seen.users.insert(user(9), Observed::Known(DirectoryUser { enabled: Some(false), ..known_user(9) }));
    assert_eq!(told(&case), None);
    case.again(NOW + 4);
    case.seen.users.clear();
    assert_eq!(told(&case), None, "what the directory has explained stays explained");
}

#[test]
fn a_bystander_who_ends_is_named_beside_who_is_lost() {
    let mut case = beside();
    nine(&mut case).active = Some(false);
    gone(&mut case, 2);
    look(&mut case, NOW + 1);
    let held: Vec<_> = case.approve().held().iter().filter(|(brake, _)| *brake == Brake::UsersLost).cloned().collect();
    let [(_, why)] = held.as_slice() else { panic!("{held:?}") };
    assert!(why.contains("record u-2 is gone from the target") && why.contains("record:u-9: is inactive at the target"), "{why}");
}

#[test]
fn before_the_first_removal_the_app_is_everybodys_own() {
    let mut case = Case::assigned();
    let mut record = before(&mut case).clone();
    record.id = scim(9);
    record.active = Some(false);
    case.target().users.insert(scim(9), record);
    look(&mut case, NOW);
    assert!(
        case.memory.remembered.bystanders.is_empty() && case.memory.remembered.bystanders_at == Some(at(NOW)),
        "inactive already"
    );
    nine(&mut case).active = Some(true);
    look(&mut case, NOW + 1);
    nine(&mut case).active = Some(false);
    assert_eq!(case.memory.remembered.bystanders.len(), 1);
    assert_eq!(strangers(&case), Vec::<String>::new());
    look(&mut case, NOW + 2);
    assert!(case.memory.remembered.bystanders.is_empty());
    // A ledger of an earlier version, which has removals and no bystanders, takes those of its next look.
    case.confirmed(&Action::RemoveMember { group: group(1), user: user(1) }, NOW);
    nine(&mut case).active = Some(true);
    look(&mut case, NOW + 3);
    assert!(case.memory.remembered.bystanders.is_empty());
    case.memory.remembered.bystanders_at = None;
    look(&mut case, NOW + 4);
    assert_eq!(case.memory.remembered.bystanders.len(), 1);
}

#[test]
fn a_change_of_somebody_and_the_end_of_a_group_in_the_log_end_nobody() {
    let cases =
        [("update", false, user(9).0), ("delete", true, user(9).0), ("delete", false, group(1).0), ("delete", false, user(9).0)];
    for (action, of_group, source) in cases {
        let mut case = beside();
        let row = LogRow {
            id: "row-9".into(),
            at: at(NOW + 1),
            action: action.into(),
            status: "success".into(),
            source: Some(source),
            target: None,
            of_group,
            deactivates: false,
            reason: None,
            redundant: false,
        };
        let Listed::Known(log) = &mut case.seen.log else { panic!() };
        log.value.rows.push(row);
        assert_eq!(
            strangers(&case).len(),
            usize::from(action == "delete" && !of_group && source == user(9).0),
            "{action} {of_group} {source}"
        );
    }
}

#[test]
fn a_bystander_who_is_explained_known_or_protected_by_now_holds_nothing() {
    let ended = || {
        let mut case = beside();
        nine(&mut case).active = Some(false);
        case
    };
    let row = |case: &mut Case, target: Option<u128>| {
        let row = LogRow {
            id: "row-9".into(),
            at: at(NOW + 1),
            action: "disable".into(),
            status: "success".into(),
            source: Some(user(9).0),
            target: target.map(scim),
            of_group: false,
            deactivates: true,
            reason: None,
            redundant: false,
        };
        let Listed::Known(log) = &mut case.seen.log else { panic!() };
        log.value.rows.push(row);
    };
    // The log says whose it is: they are named once.
    let mut case = ended();
    row(&mut case, Some(9));
    let told = format!("{}: disable at 2026-11-24T22:01:00Z (log entry row-9); record u-9 is inactive at the target", user(9));
    assert_eq!(strangers(&case), [told]);
    case.seen.users.insert(user(9), Observed::Absent);
    assert_eq!(strangers(&case), Vec::<String>::new(), "deleted");
    case.seen.users.clear();
    case.spec.released.insert(user(9));
    assert_eq!(strangers(&case), Vec::<String>::new(), "known to the operator");
    // Another's entry explains nothing of them.
    let mut case = ended();
    row(&mut case, Some(8));
    case.seen.users.insert(user(9), Observed::Absent);
    assert_eq!(strangers(&case), ["record:u-9: is inactive at the target"]);
    // By their name, or by their id in the record, where the directory was asked for them.
    for (name, external, cleared) in [
        ("NINE@contoso.example", None, true),
        ("nine#EXT#@contoso.example", None, true),
        ("other@contoso.example", Some(user(9).to_string().to_uppercase()), true),
        ("other@contoso.example", Some(user(8).to_string()), false),
        ("other@contoso.example", None, false),
    ] {
        let mut case = ended();
        nine(&mut case).external_id = external.as_deref().map(Into::into);
        let found =
            DirectoryUser { user_principal_name: Some(name.into()), match_value: None, enabled: Some(true), ..known_user(9) };
        case.seen.users.insert(user(9), Observed::Known(found.clone()));
        assert_eq!(strangers(&case).len(), 1, "{name}: an enabled account explains nothing");
        case.seen.users.insert(user(9), Observed::Known(DirectoryUser { enabled: Some(false), ..found.clone() }));
        assert_eq!(strangers(&case).is_empty(), cleared, "{name}");
        case.seen.users.insert(user(9), Observed::Known(found));
        case.spec.released.insert(user(9));
        assert_eq!(strangers(&case).is_empty(), cleared, "{name}, released");
    }
    // Whoever came to be protected since is judged as such.
    let mut case = ended();
    let record = nine(&mut case).clone();
    let Observed::Known(baseline) = &mut case.memory.baseline else { panic!() };
    let mut joiner = baseline.users[&user(1)].clone();
    joiner.target = AtTarget::Record(record);
    baseline.users.insert(user(9), joiner);
    assert_eq!(strangers(&case), Vec::<String>::new());
}
