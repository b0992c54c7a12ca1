//! The ledger as its users see it: kept over restarts, alone, whole or refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use unscim::model::action::Action;
use unscim::model::baseline::{AtTarget, Baseline, Binding, Growth, ManagedGroup, Protected};
use unscim::model::id::{AppRoleId, GroupId, JobId, ScimId, ServicePrincipalId, TenantId, UserId};
use unscim::model::memory::{Doubt, DoubtKind, Remembered, Since, Streak};
use unscim::model::observed::Observed;
use unscim::model::snapshot::ScimUser;
use unscim::model::stranger::{Ended, Stranger};
use unscim::world::ledger::SqliteLedger;
use unscim::world::{Ledger, Outcome, Written};
use uuid::Uuid;

use crate::{conclude, intend};

fn group(n: u128) -> GroupId {
    GroupId(Uuid::from_u128(n))
}

fn user(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

fn role(n: u128) -> AppRoleId {
    AppRoleId(Uuid::from_u128(n))
}

fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-11-24T10:00:00.123456789Z".parse().unwrap();
    start.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn binding() -> Binding {
    Binding {
        tenant: TenantId(Uuid::from_u128(1)),
        app: ServicePrincipalId(Uuid::from_u128(2)),
        job: JobId("scim.1.2".into()),
        scim_url: "http://127.0.0.1:1/scim".into(),
    }
}

fn protected(groups: &[u128]) -> Protected {
    Protected { name: None, groups: groups.iter().map(|n| group(*n)).collect(), disabled: false, target: AtTarget::NoRecord }
}

fn baseline() -> Baseline {
    let managed = |roles: &[u128], scim: Option<&str>| ManagedGroup {
        display_name: "Design \"ö\"".into(),
        roles: roles.iter().map(|n| role(*n)).collect(),
        scim: scim.map(ScimId::from),
    };
    let record = ScimUser {
        id: ScimId::from("u-1"),
        user_name: Some("ada@example.com".into()),
        external_id: None,
        active: None,
        created: None,
    };
    let ada = Protected {
        name: Some("ada@example.com".into()),
        disabled: true,
        target: AtTarget::Record(record),
        ..protected(&[10, 11])
    };
    Baseline {
        binding: binding(),
        taken: at(0),
        groups: BTreeMap::from([(group(10), managed(&[0, 1], Some("g-1"))), (group(11), managed(&[0], None))]),
        users: BTreeMap::from([(user(20), ada), (user(21), protected(&[10]))]),
    }
}

fn remembered() -> Remembered {
    Remembered {
        turn: 42,
        covered_since: Arc::new(BTreeMap::from([(user(20), Since::from_iter([(role(0), at(5)), (role(1), at(6))]))])),
        empty: BTreeMap::from([(group(10), Streak { since: at(1), last: at(2), looks: 3 })]),
        revocations_void: 9,
        bystanders: Arc::new([ScimId::from("u-8"), ScimId::from("u-9")].into()),
        bystanders_at: Some(at(1)),
        doubts: BTreeMap::from([(user(20), Doubt { kind: DoubtKind::Gone, since: at(1), looks: 1, believed: true })]),
        renamed: BTreeMap::from([(user(20), "grace@example.com".into())]),
        ended: [Stranger::User(user(7)), Stranger::Record(ScimId::from("u-9"))]
            .map(|who| Ended { who, why: "is gone from the target".into() })
            .into(),
        ..Remembered::default()
    }
}

fn done(served: Timestamp) -> Outcome {
    Outcome::Done(Written { at: served, already: false, request_id: Some("r".into()), client_request_id: "c".into() })
}

fn refusal<T>(result: Result<T, unscim::world::error::Error>) -> String {
    result.err().expect("this is refused").to_string()
}

#[test]
fn everything_is_kept_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    assert_eq!(ledger.baseline().unwrap(), Observed::Absent);
    assert_eq!(ledger.remembered().unwrap(), Remembered::default());
    ledger.create_baseline(&baseline()).unwrap();
    ledger.remember(&remembered()).unwrap();
    let intent = intend(&ledger, 1, &Action::RecordBaseline, at(1)).unwrap();
    conclude(&ledger, intent, &done(at(2)), at(3)).unwrap();
    let journal = ledger.journal().unwrap();
    drop(ledger);

    let ledger = SqliteLedger::open(dir.path()).unwrap();
    assert_eq!(ledger.baseline().unwrap(), Observed::Known(baseline()));
    assert_eq!(ledger.remembered().unwrap(), remembered());
    assert_eq!(ledger.journal().unwrap(), journal);
}

#[test]
fn a_baseline_is_never_replaced() {
    let ledger = SqliteLedger::in_memory().unwrap();
    ledger.create_baseline(&baseline()).unwrap();
    let mut other = baseline();
    other.users.clear();
    assert!(refusal(ledger.create_baseline(&other)).contains("never replaced"));
    assert_eq!(ledger.baseline().unwrap(), Observed::Known(baseline()));
}

#[test]
fn growing_adds_and_takes_nothing_away() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let mut newcomer = protected(&[11]);
    newcomer.name = Some("grace@example.com".into());
    let growth = Growth {
        users: BTreeMap::from([(user(20), protected(&[11, 12])), (user(22), newcomer)]),
        roles: BTreeMap::from([(group(11), BTreeSet::from([role(0), role(7)])), (group(99), BTreeSet::from([role(0)]))]),
        records: BTreeMap::new(),
    };
    assert!(refusal(ledger.grow_baseline(&growth)).contains("no baseline to add to"));
    ledger.create_baseline(&baseline()).unwrap();
    ledger.grow_baseline(&growth).unwrap();
    ledger.grow_baseline(&growth).unwrap();
    ledger.grow_baseline(&Growth::default()).unwrap();
    let mut expected = baseline();
    expected.grow(&growth);
    assert_eq!(ledger.baseline().unwrap(), Observed::Known(expected.clone()));
    // When a record was made may become known later, and once.
    let record = |n| ScimUser { created: Some(at(n)), ..expected.users[&user(20)].target.record().unwrap().clone() };
    let dated = |n| Growth { records: BTreeMap::from([(user(20), AtTarget::Record(record(n)))]), ..Growth::default() };
    ledger.grow_baseline(&dated(1)).unwrap();
    let (first, second) = (dated(1), dated(2));
    expected.grow(&first);
    expected.grow(&second);
    assert_eq!(ledger.baseline().unwrap(), Observed::Known(expected));
}

#[test]
fn covered_users_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    ledger.remember(&remembered()).unwrap();
    let mut later = remembered();
    later.covered_since = Arc::new(
        [(20, 1, 66), (21, 0, 7)].map(|(u, r, t)| (user(u), Since::from_iter([(role(r), at(t))]))).into_iter().collect(),
    );
    later.bystanders = Arc::new([ScimId::from("u-7"), ScimId::from("u-9")].into());
    ledger.remember(&later).unwrap();
    assert_eq!(ledger.remembered().unwrap(), later);
    drop(ledger);
    assert_eq!(SqliteLedger::open(dir.path()).unwrap().remembered().unwrap(), later);
}

#[test]
fn a_second_process_is_told_who_is_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let first = SqliteLedger::open(dir.path()).unwrap();
    let error = refusal(SqliteLedger::open(dir.path()));
    assert!(
        error.contains("another unscim is running on this ledger") && error.contains(&dir.path().display().to_string()),
        "{error}"
    );
    drop(first);
    SqliteLedger::open(dir.path()).unwrap();
}

#[test]
fn the_files_are_for_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("data");
    let ledger = SqliteLedger::open(&inner).unwrap();
    ledger.remember(&remembered()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&inner), 0o700);
    for entry in fs::read_dir(&inner).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// A ledger with something in it, closed; the path of its file.
fn written(dir: &Path) -> std::path::PathBuf {
    let ledger = SqliteLedger::open(dir).unwrap();
    ledger.create_baseline(&baseline()).unwrap();
    ledger.remember(&remembered()).unwrap();
    dir.join("ledger.db")
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let whole = tempfile::tempdir().unwrap();
    let bytes = fs::read(written(whole.path())).unwrap();
    let garbled = |from: usize, to: usize| {
        let mut bytes = bytes.clone();
        bytes[from..to].fill(0x5a);
        bytes
    };
    let cases =
        [garbled(0, 100), garbled(4096, bytes.len()), bytes[..bytes.len() / 2].to_vec(), Vec::new(), b"not a ledger".to_vec()];
    for (number, damaged) in cases.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        fs::write(&path, &damaged).unwrap();
        for error in [refusal(SqliteLedger::open(dir.path())), refusal(SqliteLedger::open_read_only(dir.path()))] {
            assert!(error.contains("it was left as it is"), "case {number}: {error}");
        }
        assert_eq!(fs::read(&path).unwrap(), damaged, "case {number}");
    }
}

#[test]
fn content_that_cant_be_understood_is_an_error_and_no_default() {
    let wrecks = [
        "UPDATE remembered SET doc = '{\"turn\": \"many\"}'",
        "DELETE FROM remembered",
        "UPDATE covered SET since = 'yesterday'",
        "INSERT INTO baseline_users (id, disabled) VALUES ('nobody', 0)",
        "DROP TABLE baseline_members",
    ];
    for wreck in wrecks {
        let dir = tempfile::tempdir().unwrap();
        let path = written(dir.path());
        rusqlite::Connection::open(&path).unwrap().execute_batch(wreck).unwrap();
        let ledger = SqliteLedger::open(dir.path()).unwrap();
        let readable = ledger.baseline().is_ok() && ledger.remembered().is_ok();
        assert!(!readable, "{wreck}");
    }
}

#[test]
fn a_log_without_its_ledger_is_no_new_beginning() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ledger.db-wal"), b"something").unwrap();
    assert!(refusal(SqliteLedger::open(dir.path())).contains("ledger.db is gone"));
    assert!(refusal(SqliteLedger::open_read_only(dir.path())).contains("ledger.db is gone"));
}

#[test]
fn another_programs_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
    assert!(refusal(SqliteLedger::open(dir.path())).contains("not a ledger of unscim"));
}

#[test]
fn what_was_written_about_users_groups_and_deeds_cant_be_changed_or_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    ledger.create_baseline(&baseline()).unwrap();
    intend(&ledger, 1, &Action::RecordBaseline, at(0)).unwrap();
    drop(ledger);
    let shell = rusqlite::Connection::open(dir.path().join("ledger.db")).unwrap();
    for table in ["meta", "baseline_groups", "baseline_roles", "baseline_users", "baseline_members", "journal"] {
        let column: String =
            shell.query_row("SELECT name FROM pragma_table_info(?1) LIMIT 1", [table], |row| row.get(0)).unwrap();
        assert!(shell.execute(&format!("DELETE FROM {table}"), []).is_err(), "{table}");
        assert!(shell.execute(&format!("UPDATE {table} SET {column} = {column}"), []).is_err(), "{table}");
    }
}

#[test]
fn the_journal_adds_up_by_key() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let remove = Action::RemoveMember { group: group(10), user: user(20) };
    let assign = Action::AssignUser { user: user(20), role: role(0) };

    let first = intend(&ledger, 1, &remove, at(0)).unwrap();
    assert!(ledger.journal().unwrap().entry(&remove.key()).unwrap().is_open(), "begun, and no outcome on disk");
    conclude(&ledger, first, &Outcome::Open("no answer".into()), at(1)).unwrap();
    assert!(ledger.journal().unwrap().entry(&remove.key()).unwrap().is_open(), "nobody knows");
    conclude(&ledger, first, &done(at(100)), at(2)).unwrap();
    assert!(!ledger.journal().unwrap().entry(&remove.key()).unwrap().is_open());
    let second = intend(&ledger, 2, &remove, at(3)).unwrap();
    conclude(&ledger, second, &done(at(200)), at(4)).unwrap();
    let failed = intend(&ledger, 2, &assign, at(5)).unwrap();
    conclude(&ledger, failed, &Outcome::Failed("denied".into()), at(6)).unwrap();

    let journal = ledger.journal().unwrap();
    let entry = journal.entry(&remove.key()).unwrap();
    assert_eq!((entry.intents, entry.confirmed, entry.is_open()), (2, 2, false));
    assert_eq!((entry.begun(), entry.last_confirmed_here()), (None, Some(at(4))));
    assert_eq!((entry.first_confirmed(), entry.last_confirmed()), (Some(at(100)), Some(at(200))));
    let entry = journal.entry(&assign.key()).unwrap();
    assert_eq!((entry.intents, entry.confirmed, entry.is_open()), (1, 0, false));
}

#[test]
fn a_crash_between_intent_and_outcome_is_seen_after_the_restart() {
    let dir = tempfile::tempdir().unwrap();
    let action = Action::RequestRevocation;
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    let first = intend(&ledger, 1, &action, at(0)).unwrap();
    conclude(&ledger, first, &done(at(1)), at(1)).unwrap();
    let second = intend(&ledger, 2, &action, at(2)).unwrap();
    drop(ledger);
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    let journal = ledger.journal().unwrap();
    let entry = journal.entry(&action.key()).unwrap();
    assert_eq!((entry.intents, entry.confirmed, entry.open()), (2, 1, Some(second)));
    assert_eq!((entry.begun(), entry.first_confirmed()), (Some(at(2)), Some(at(1))));
    conclude(&ledger, second, &Outcome::Failed("it had not happened".into()), at(3)).unwrap();
    assert!(!ledger.journal().unwrap().entry(&action.key()).unwrap().is_open());
}

#[test]
fn an_outcome_belongs_to_one_intent_and_is_final() {
    let ledger = SqliteLedger::in_memory().unwrap();
    assert!(refusal(conclude(&ledger, 1, &done(at(0)), at(0))).contains("no intent"));
    let intent = intend(&ledger, 1, &Action::RequestRevocation, at(0)).unwrap();
    conclude(&ledger, intent, &done(at(0)), at(0)).unwrap();
    assert!(refusal(conclude(&ledger, intent, &done(at(0)), at(0))).contains("outcome already"));
    assert!(refusal(conclude(&ledger, intent + 1, &done(at(0)), at(0))).contains("no intent"), "an outcome is no intent");
}

fn listing(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = |path: &Path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap());
    fs::read_dir(dir).unwrap().map(|entry| file(&entry.unwrap().path())).collect()
}

#[test]
fn a_copy_is_current_and_writes_nothing_where_it_came_from() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(SqliteLedger::open_read_only(dir.path()).unwrap().baseline().unwrap(), Observed::Absent);
    assert!(listing(dir.path()).is_empty());

    let odd = dir.path().join("a dir, with 100% ? # in its name");
    written(&odd);
    let before = listing(&odd);
    let copy = SqliteLedger::open_read_only(&odd).unwrap();
    assert_eq!(copy.baseline().unwrap(), Observed::Known(baseline()));
    copy.remember(&Remembered::default()).unwrap();
    drop(copy);
    assert_eq!(listing(&odd), before);

    let running = SqliteLedger::open(&odd).unwrap();
    running.remember(&Remembered { turn: 43, ..remembered() }).unwrap();
    assert_eq!(SqliteLedger::open_read_only(&odd).unwrap().remembered().unwrap().turn, 43);
    running.remember(&Remembered { turn: 44, ..remembered() }).unwrap();
}

#[test]
fn a_file_of_the_ledger_that_cant_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(SqliteLedger::open(dir.path()).unwrap());
    let shm = dir.path().join("ledger.db-shm");
    let _ = std::fs::remove_file(&shm);
    std::fs::create_dir(&shm).unwrap();
    let error = SqliteLedger::open(dir.path()).err().unwrap().to_string();
    assert!(error.contains("ledger.db-shm is a directory") && error.contains("move it away"), "{error}");
}
