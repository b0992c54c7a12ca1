//! The ledger on a real disk: what it keeps, what it refuses, and that it never loses a line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use unscim::model::action::Action;
use unscim::model::baseline::{Baseline, Binding, Growth, ManagedGroup, Protected};
use unscim::model::id::{AppRoleId, GroupId, JobId, ServicePrincipalId, TenantId, UserId};
use unscim::model::memory::Remembered;
use unscim::model::seen::Seen;
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Ledger, Outcome, Written};
use uuid::Uuid;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn binding() -> Binding {
    Binding {
        tenant: TenantId(id(1)),
        app: ServicePrincipalId(id(2)),
        job: JobId("scim.1".into()),
        scim_url: "https://app.example/scim".into(),
    }
}

fn user(group: u128) -> Protected {
    Protected {
        name: Some("ada@contoso.example".into()),
        groups: BTreeSet::from([GroupId(id(group))]),
        disabled: false,
        target: None,
    }
}

fn baseline() -> Baseline {
    let group = ManagedGroup { display_name: "IT".into(), roles: BTreeSet::from([AppRoleId(id(7))]), scim: None };
    Baseline {
        binding: binding(),
        taken: at(1000),
        groups: BTreeMap::from([(GroupId(id(10)), group)]),
        users: BTreeMap::from([(UserId(id(20)), user(10))]),
    }
}

fn assign(n: u128) -> Action {
    Action::AssignUser { user: UserId(id(n)), role: AppRoleId(id(7)) }
}

fn done() -> Outcome {
    Outcome::Done(Written { at: at(50), already: false, request_id: Some("r".into()), client_request_id: "c".into() })
}

fn rows(dir: &Path, sql: &str) -> rusqlite::Result<usize> {
    rusqlite::Connection::open(dir.join("ledger.db")).unwrap().execute(sql, [])
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let remembered = Remembered {
        turn: 3,
        covered_since: BTreeMap::from([(UserId(id(20)), BTreeMap::from([(AppRoleId(id(7)), at(7))]))]),
        ..Remembered::default()
    };
    {
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        assert_eq!(ledger.baseline().unwrap(), Seen::Absent);
        ledger.create_baseline(&baseline()).unwrap();
        ledger.remember(&remembered).unwrap();
        let intent = ledger.intend(3, &assign(20), at(40)).unwrap();
        ledger.conclude(intent, &done(), at(41)).unwrap();
    }
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    assert_eq!(ledger.baseline().unwrap(), Seen::Known(baseline()));
    assert_eq!(ledger.remembered().unwrap(), remembered);
    let journal = ledger.journal().unwrap();
    let entry = journal.entry(&assign(20).key()).unwrap();
    assert_eq!((entry.intents, entry.confirmed, entry.open), (1, 1, false));
    assert_eq!((entry.last_confirmed, entry.last_confirmed_here), (Some(at(50)), Some(at(41))));
}

#[test]
fn coverage_is_stored_as_a_difference_and_forgotten_when_it_ends() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let covered = |n: u128| (UserId(id(n)), BTreeMap::from([(AppRoleId(id(7)), at(7))]));
    for users in [vec![covered(1), covered(2)], vec![covered(2)], vec![covered(2), covered(3)]] {
        let remembered = Remembered { covered_since: users.into_iter().collect(), ..Remembered::default() };
        ledger.remember(&remembered).unwrap();
        assert_eq!(ledger.remembered().unwrap(), remembered);
    }
}

#[test]
fn a_baseline_is_created_once_and_only_grows() {
    let ledger = SqliteLedger::in_memory().unwrap();
    ledger.create_baseline(&baseline()).unwrap();
    let error = ledger.create_baseline(&baseline()).unwrap_err().to_string();
    assert!(error.contains("never replaced"), "{error}");
    let growth = Growth {
        users: BTreeMap::from([(UserId(id(21)), user(10)), (UserId(id(20)), user(11))]),
        roles: BTreeMap::from([(GroupId(id(10)), BTreeSet::from([AppRoleId(id(8))]))]),
    };
    ledger.grow_baseline(&growth).unwrap();
    let Seen::Known(grown) = ledger.baseline().unwrap() else { panic!("no baseline") };
    assert_eq!(grown.users.len(), 2);
    assert_eq!(grown.users[&UserId(id(20))].groups.len(), 2);
    assert_eq!(grown.groups[&GroupId(id(10))].roles.len(), 2);
}

#[test]
fn an_intent_without_an_outcome_is_open() {
    let dir = tempfile::tempdir().unwrap();
    {
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.intend(1, &assign(20), at(1)).unwrap();
        let second = ledger.intend(1, &assign(21), at(2)).unwrap();
        ledger.conclude(second, &Outcome::Open("no answer".into()), at(3)).unwrap();
        let third = ledger.intend(1, &assign(22), at(4)).unwrap();
        ledger.conclude(third, &Outcome::Failed("refused".into()), at(5)).unwrap();
        assert!(ledger.conclude(99, &done(), at(6)).is_err());
    }
    let journal = SqliteLedger::open(dir.path()).unwrap().journal().unwrap();
    let open = |n| journal.entry(&assign(n).key()).unwrap().open;
    assert!(open(20) && open(21) && !open(22));
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = SqliteLedger::open(dir.path()).unwrap();
    let error = SqliteLedger::open(dir.path()).err().expect("a second owner").to_string();
    assert!(error.contains("another unscim is running"), "{error}");
    drop(first);
    SqliteLedger::open(dir.path()).unwrap();
}

#[test]
fn a_damaged_ledger_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    SqliteLedger::open(dir.path()).unwrap().create_baseline(&baseline()).unwrap();
    let path = dir.path().join("ledger.db");
    std::fs::write(&path, b"this is no database, and long enough to be looked at as one").unwrap();
    for _ in 0..2 {
        assert!(SqliteLedger::open(dir.path()).is_err());
    }
    assert!(std::fs::read(&path).unwrap().starts_with(b"this is no database"));
}

#[test]
fn content_that_cannot_be_decoded_is_an_error_and_never_an_empty_baseline() {
    let dir = tempfile::tempdir().unwrap();
    SqliteLedger::open(dir.path()).unwrap().create_baseline(&baseline()).unwrap();
    rows(dir.path(), "UPDATE baseline_users SET body = '{}'").unwrap();
    assert!(SqliteLedger::open(dir.path()).unwrap().baseline().is_err());
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteLedger::open(dir.path()).unwrap());
    rows(dir.path(), "PRAGMA user_version = 99").unwrap();
    let error = SqliteLedger::open(dir.path()).err().expect("a newer schema").to_string();
    assert!(error.contains("newer unscim"), "{error}");
}

#[test]
fn the_journal_and_the_baseline_can_be_neither_changed_nor_cut() {
    let dir = tempfile::tempdir().unwrap();
    {
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        ledger.create_baseline(&baseline()).unwrap();
        ledger.intend(1, &assign(20), at(1)).unwrap();
    }
    for sql in ["DELETE FROM journal", "UPDATE journal SET turn = 9", "DELETE FROM baseline", "DELETE FROM baseline_users"] {
        assert!(rows(dir.path(), sql).is_err(), "{sql}");
    }
}

#[test]
fn looking_at_a_copy_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    ledger.create_baseline(&baseline()).unwrap();
    let copy = SqliteLedger::copy_of(dir.path()).unwrap();
    copy.intend(1, &assign(20), at(1)).unwrap();
    assert_eq!(copy.baseline().unwrap(), Seen::Known(baseline()));
    assert!(ledger.journal().unwrap().entries.is_empty());
    assert_eq!(SqliteLedger::copy_of(&dir.path().join("nowhere")).unwrap().baseline().unwrap(), Seen::Absent);
}
