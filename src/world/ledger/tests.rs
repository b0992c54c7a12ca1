//! What only an inside view can show: a full disk, and an upgrade of the tables.

use std::sync::Arc;

use rusqlite_migration::{M, Migrations};
use uuid::Uuid;

use super::*;
use crate::model::id::{AppRoleId, UserId};
use crate::model::memory::Since;

fn intend(ledger: &SqliteLedger, turn: u64, action: &Action, at: Timestamp) -> Result<i64> {
    ledger.intend(turn, std::slice::from_ref(action), at).map(|lines| lines[0])
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn many_covered(n: u128, at: Timestamp) -> Remembered {
    let roles = Since::from_iter([(AppRoleId(Uuid::nil()), at)]);
    Remembered { covered_since: Arc::new((0..n).map(|n| (user(n), roles.clone())).collect()), ..Remembered::default() }
}

#[test]
fn the_migrations_are_valid() {
    open::MIGRATIONS.validate().unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_what_was_there_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    let at: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    let small = many_covered(3, at);
    ledger.remember(&small).unwrap();
    ledger.inner().connection.execute_batch("PRAGMA max_page_count = 30").unwrap();

    let error = ledger.remember(&many_covered(5000, at)).unwrap_err().to_string();
    assert!(error.contains("the disk is full"), "{error}");
    assert_eq!(ledger.remembered().unwrap(), small);
    let mut refused = None;
    for n in 0..2000 {
        let action = Action::AssignUser { user: user(n), role: AppRoleId(Uuid::nil()) };
        if let Err(error) = intend(&ledger, 1, &action, at) {
            refused = Some(error.to_string());
            break;
        }
    }
    assert!(refused.unwrap().contains("the disk is full"));
    let begun = ledger.journal().unwrap();

    drop(ledger);
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    assert_eq!(ledger.remembered().unwrap(), small);
    assert_eq!(ledger.journal().unwrap(), begun);
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let at: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    let mut remembered = many_covered(100, at);
    ledger.remember(&remembered).unwrap();
    let before = ledger.inner().connection.total_changes();
    ledger.remember(&remembered).unwrap();
    assert_eq!(ledger.inner().connection.total_changes(), before);
    remembered.turn = 7;
    Arc::make_mut(&mut remembered.covered_since).remove(&user(5));
    ledger.remember(&remembered).unwrap();
    assert_eq!(ledger.inner().connection.total_changes(), before + 2);
}

#[test]
fn an_upgrade_leaves_a_backup_of_the_old_tables() {
    let dir = tempfile::tempdir().unwrap();
    let at: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    let remembered = many_covered(3, at);
    SqliteLedger::open(dir.path()).unwrap().remember(&remembered).unwrap();

    let later = Migrations::new(vec![
        M::up(include_str!("schema.sql")),
        M::up(include_str!("chain.sql")),
        M::up(include_str!("witnessed.sql")),
        M::up(include_str!("records.sql")),
        M::up(include_str!("bystanders.sql")),
        M::up("CREATE TABLE later (id INTEGER) STRICT;"),
    ]);
    let path = dir.path().join("ledger.db");
    let mut connection = Connection::open(&path).unwrap();
    open::prepare(&mut connection, &path, &later).unwrap();
    drop(connection);

    let error = SqliteLedger::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("written by a newer unscim"), "{error}");
    let error = SqliteLedger::open_read_only(dir.path()).err().unwrap().to_string();
    assert!(error.contains("written by a newer unscim"), "{error}");
    std::fs::rename(dir.path().join("ledger.db.bak-v5"), &path).unwrap();
    assert_eq!(SqliteLedger::open(dir.path()).unwrap().remembered().unwrap(), remembered);
}

#[test]
fn a_ledger_from_before_there_were_doubts_and_bystanders_has_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let mut connection = Connection::open(&path).unwrap();
    let before = ["schema.sql", "chain.sql", "witnessed.sql", "records.sql"].len();
    open::MIGRATIONS.to_version(&mut connection, before).unwrap();
    connection.execute("INSERT INTO remembered (id, doc) VALUES (1, '{\"turn\":7}')", []).unwrap();
    drop(connection);
    let remembered = Remembered { turn: 7, ..Remembered::default() };
    assert_eq!(SqliteLedger::open_read_only(dir.path()).unwrap().remembered().unwrap(), remembered);
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    assert_eq!(ledger.remembered().unwrap(), remembered);
    let record = "{\"id\":\"u-1\",\"user_name\":null,\"external_id\":null,\"active\":true}";
    assert_eq!(serde_json::from_str::<crate::model::snapshot::ScimUser>(record).unwrap().created, None);
}

#[test]
fn an_upgrade_chains_the_lines_that_were_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let mut connection = Connection::open(&path).unwrap();
    Migrations::new(vec![M::up(include_str!("schema.sql"))]).to_latest(&mut connection).unwrap();
    for _ in 0..3 {
        let line = "INSERT INTO journal (at, turn, kind, key, phase, action)
                    VALUES ('2026-11-24T10:00:00Z', 1, 'PauseJob', 'pause/j', 'intent', '{}')";
        connection.execute(line, []).unwrap();
    }
    drop(connection);
    assert_eq!(SqliteLedger::open_read_only(dir.path()).unwrap().verify(None).unwrap().lines, 3);
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    let found = ledger.verify(None).unwrap();
    assert_eq!((found.lines, found.breaks), (3, Vec::new()));
    intend(&ledger, 2, &Action::RequestRevocation, "2026-11-24T11:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(ledger.verify(Some(&found.head)).unwrap().asked, Some(3));
    assert_eq!(ledger.line(3).unwrap(), Some(found.head));
    assert_eq!(ledger.last_line().unwrap(), Some((4, ledger.verify(None).unwrap().head)));
    assert_eq!((ledger.line(5).unwrap(), ledger.line(u64::MAX).unwrap()), (None, None));
    assert!(dir.path().join("ledger.db.bak-v1").exists());
}
