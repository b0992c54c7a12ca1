//! The journal as evidence: whoever changes a line behind the program's back is seen, and nothing more is written by it.

use std::path::Path;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;
use unscim::model::action::Action;
use unscim::model::id::{AppRoleId, GroupId, UserId};
use unscim::world::ledger::{SqliteLedger, Verified};
use unscim::world::{Ledger, Outcome, Written};
use uuid::Uuid;

use crate::{conclude, intend};

fn at(seconds: i64) -> Timestamp {
    "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// Four writes, each with its outcome: lines 1 to 8.
fn written() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    let (user, group) = (UserId(Uuid::from_u128(20)), GroupId(Uuid::from_u128(10)));
    let written = Written { at: at(5), already: false, request_id: Some("r".into()), client_request_id: "c".into() };
    let lines = [
        (Action::AssignUser { user, role: AppRoleId(Uuid::nil()) }, Outcome::Done(written)),
        (Action::RemoveMember { group, user }, Outcome::Open("no answer".into())),
        (Action::RemoveMember { group, user }, Outcome::Observed(at(9))),
        (Action::RequestRevocation, Outcome::Failed("denied".into())),
    ];
    for (n, (action, outcome)) in lines.iter().enumerate() {
        let intent = intend(&ledger, n as u64, action, at(n as i64)).unwrap();
        conclude(&ledger, intent, outcome, at(n as i64 + 1)).unwrap();
    }
    dir
}

#[test]
fn the_last_writes_are_told_with_their_endings_and_without_those_before() {
    let dir = written();
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    let all = ledger.writes().unwrap();
    assert_eq!(ledger.recent(0).unwrap(), []);
    for most in 1..=4 {
        assert_eq!(ledger.recent(most).unwrap(), all[all.len() - most..], "{most}");
    }
    assert_eq!(ledger.recent(100).unwrap(), all);
    // An old one that ends late stays old.
    let [first, ..] = all.as_slice() else { panic!("no writes") };
    let open = intend(&ledger, 9, &first.action, at(50)).unwrap();
    let later = intend(&ledger, 9, &Action::RequestRevocation, at(51)).unwrap();
    conclude(&ledger, open, &Outcome::Failed("late".into()), at(60)).unwrap();
    assert_eq!(ledger.recent(1).unwrap().iter().map(|write| write.line).collect::<Vec<_>>(), [later]);
    assert_eq!(ledger.recent(2).unwrap()[0].ending.as_ref().unwrap().text.as_deref(), Some("late"));
}

/// Somebody with a SQL shell who knows how to switch the triggers off.
fn tamper(dir: &Path, sql: &str) {
    let shell = Connection::open(dir.join("ledger.db")).unwrap();
    shell.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
    let triggers: Vec<String> = {
        let mut found = shell.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        found.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for trigger in triggers {
        shell.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    shell.execute_batch(sql).unwrap();
}

fn verify(dir: &Path, head: Option<&str>) -> Verified {
    SqliteLedger::open_evidence(dir).unwrap().verify(head).unwrap()
}

/// The lines at which the chain breaks.
fn breaks(dir: &Path) -> Vec<(i64, &'static str)> {
    verify(dir, None).breaks.into_iter().map(|broken| (broken.line, broken.what)).collect()
}

fn unscim(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unscim")).args(args).env_clear().output().unwrap()
}

#[test]
fn an_untouched_journal_holds_and_an_earlier_head_is_found_again() {
    let dir = written();
    let early = verify(dir.path(), None);
    assert_eq!((early.lines, early.breaks.len()), (8, 0));
    let ledger = SqliteLedger::open(dir.path()).unwrap();
    intend(&ledger, 9, &Action::RequestRevocation, at(100)).unwrap();
    drop(ledger);
    let late = verify(dir.path(), Some(&early.head));
    assert_eq!((late.lines, late.asked, late.breaks.len()), (9, Some(8), 0));
    assert_ne!(late.head, early.head);
    assert_eq!(verify(dir.path(), Some("0000")).asked, None);
}

#[test]
fn every_column_of_a_line_is_hashed() {
    let sets = [
        "at = '2026-11-24T10:00:00.5Z'",
        "turn = 77",
        "kind = 'PauseJob'",
        "key = key || 'x'",
        "action = '{}'",
        "intent = 1",
        "outcome = 'failed', service_at = NULL",
        "service_at = '2026-01-01T00:00:00Z'",
        "already = 1",
        "request_id = NULL",
        "request_id = 'other'",
        "client_request_id = ''",
        "text = 'hello'",
    ];
    for set in sets {
        let changed = if set.starts_with("action") { 3 } else { 2 };
        let line = if set.starts_with("intent") { 4 } else { changed };
        let dir = written();
        tamper(dir.path(), &format!("UPDATE journal SET {set} WHERE id = {line}"));
        assert_eq!(breaks(dir.path()), [(line, "edited, or not in its place")], "{set}");
        let refused = SqliteLedger::open(dir.path()).unwrap().journal().unwrap_err().to_string();
        assert!(refused.contains(&format!("journal line {line} is edited")) && refused.contains("unscim verify"), "{refused}");
    }
}

#[test]
fn missing_swapped_and_inserted_lines_are_found() {
    type Case = (&'static str, &'static [(i64, &'static str)]);
    let cases: [Case; 6] = [
        ("DELETE FROM journal WHERE id = 4", &[(4, "missing")]),
        ("DELETE FROM journal WHERE id = 8", &[(8, "missing")]),
        ("DELETE FROM journal WHERE id >= 7; DELETE FROM chain WHERE id >= 7", &[(7, "missing")]),
        (
            "UPDATE journal SET id = 99 WHERE id = 3; UPDATE journal SET id = 3 WHERE id = 5; UPDATE journal SET id = 5 WHERE id = 99",
            &[(3, "edited, or not in its place"), (5, "edited, or not in its place")],
        ),
        (
            "INSERT INTO journal (at, turn, kind, key, phase, action) VALUES ('2026-11-24T12:00:00Z', 9, 'PauseJob', 'pause/j', 'intent', '{}')",
            &[(9, "without a hash: written by something else")],
        ),
        ("DELETE FROM chain WHERE id = 2", &[(2, "without a hash: written by something else")]),
    ];
    for (sql, expected) in cases {
        let dir = written();
        tamper(dir.path(), sql);
        assert_eq!(breaks(dir.path()), expected, "{sql}");
        assert!(SqliteLedger::open(dir.path()).unwrap().journal().is_err(), "{sql}");
    }
}

#[test]
fn whoever_cuts_off_the_end_with_its_traces_is_found_by_a_head_that_was_noted() {
    let dir = written();
    let head = verify(dir.path(), None).head;
    let cut = "DELETE FROM journal WHERE id >= 7; DELETE FROM chain WHERE id >= 7;
               UPDATE sqlite_sequence SET seq = 6 WHERE name = 'journal'";
    tamper(dir.path(), cut);
    assert_eq!(breaks(dir.path()), []);
    assert_eq!(verify(dir.path(), Some(&head)).asked, None);
    let ended = unscim(&["verify", "--data-dir", dir.path().to_str().unwrap(), "--head", &head]);
    assert_eq!(ended.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&ended.stdout).contains(&format!("no line has the head {head}")));
}

#[test]
fn the_verb_says_it_in_words_in_json_and_in_its_exit_code() {
    let dir = written();
    let data = dir.path().to_str().unwrap();
    let ended = unscim(&["verify", "--data-dir", data]);
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(0), "{text}");
    assert!(text.starts_with("the journal holds: 8 lines") && text.contains("head: "), "{text}");

    tamper(dir.path(), "UPDATE journal SET request_id = 'forged' WHERE id = 2");
    let ended = unscim(&["verify", "--data-dir", data]);
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(3), "{text}");
    assert!(text.contains("does NOT hold") && text.contains("line 2 is edited"), "{text}");
    let ended = unscim(&["verify", "--data-dir", data, "--output", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((document["holds"].as_bool(), document["breaks"][0]["line"].as_i64()), (Some(false), Some(2)));

    let empty = tempfile::tempdir().unwrap();
    let ended = unscim(&["verify", "--data-dir", empty.path().to_str().unwrap()]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("there is no ledger in"));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
