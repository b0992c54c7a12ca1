//! The journal as a hash chain: an edited, missing or re-ordered line shows.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::trouble::Trouble;
use crate::model::words::hex;

/// What stands before the first line.
const SEED: &str = "unscim journal 1";
/// Every column of a line, in the order in which they are hashed.
const COLUMNS: [&str; 14] = [
    "id",
    "at",
    "turn",
    "kind",
    "key",
    "phase",
    "action",
    "intent",
    "outcome",
    "service_at",
    "already",
    "request_id",
    "client_request_id",
    "text",
];

/// Where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// Number of the line.
    pub line: i64,
    pub what: &'static str,
}

impl From<Break> for Trouble {
    fn from(broken: Break) -> Self {
        Trouble::Content(format!("journal line {} is {} (unscim verify lists every such line)", broken.line, broken.what))
    }
}

/// What [`super::SqliteLedger::verify`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub lines: u64,
    /// The hash of the last line: it stands for all of them.
    pub head: String,
    pub breaks: Vec<Break>,
    /// Number of the line that has the hash that was asked for.
    pub asked: Option<i64>,
}

/// One walk along the chain, from its beginning or from where it stopped.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) last: i64,
    pub(super) hash: String,
}

impl Default for Walk {
    fn default() -> Self {
        Walk { last: 0, hash: SEED.into() }
    }
}

impl Walk {
    /// Takes the next line, with the hash that is written beside it.
    pub(super) fn step(&mut self, line: &Line) -> Option<Break> {
        let expected = hash(&self.hash, &line.document);
        let (gap, follows) = (line.id != self.last + 1, line.hash.as_deref() == Some(expected.as_str()));
        let broken = if gap {
            Some(Break { line: self.last + 1, what: "missing" })
        } else if line.hash.is_none() {
            Some(Break { line: line.id, what: "without a hash: written by something else" })
        } else if !follows {
            Some(Break { line: line.id, what: "edited, or not in its place" })
        } else {
            None
        };
        // From here on by what is written, so that one break does not make every later line one.
        (self.last, self.hash) = (line.id, line.hash.clone().unwrap_or(expected));
        broken
    }

    /// Lines that were there once and are not at the end.
    pub(super) fn end(&self, connection: &Connection) -> Result<Option<Break>, Trouble> {
        let sql = "SELECT max(coalesce((SELECT max(id) FROM chain), 0), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0))";
        let written: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        Ok((written > self.last).then_some(Break { line: self.last + 1, what: "missing" }))
    }
}

/// A line with its hash, as it stands in the file.
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) hash: Option<String>,
    /// Its columns as a JSON array: what is hashed.
    document: String,
}

/// The columns of [`Line::read`], then the hash.
pub(super) fn select(rest: &str) -> String {
    let columns = COLUMNS.map(|column| format!("j.{column}")).join(", ");
    format!("SELECT {columns}, c.hash FROM journal j LEFT JOIN chain c ON c.id = j.id {rest}")
}

impl Line {
    pub(super) fn read(row: &Row<'_>) -> Result<Line, Trouble> {
        let columns = (0..COLUMNS.len())
            .map(|n| {
                Ok(match row.get_ref(n)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => number.into(),
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                    ValueRef::Real(_) | ValueRef::Blob(_) => {
                        return Err(Trouble::Content(format!("the journal's column {} has a strange value", COLUMNS[n])));
                    }
                })
            })
            .collect::<Result<Vec<Value>, Trouble>>()?;
        Ok(Line { id: row.get(0)?, hash: row.get(COLUMNS.len())?, document: Value::Array(columns).to_string() })
    }
}

fn hash(before: &str, document: &str) -> String {
    hex(Sha256::new().chain_update(before).chain_update("\n").chain_update(document).finalize())
}

pub(super) fn last(connection: &Connection) -> Result<Option<(u64, String)>, Trouble> {
    let mut statement = connection.prepare_cached("SELECT id, hash FROM chain ORDER BY id DESC LIMIT 1")?;
    Ok(statement.query_row([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))).optional()?)
}

/// A number that no line can have is none that it has.
pub(super) fn line(connection: &Connection, number: u64) -> Result<Option<String>, Trouble> {
    let Ok(number) = i64::try_from(number) else { return Ok(None) };
    Ok(connection.prepare_cached("SELECT hash FROM chain WHERE id = ?1")?.query_row([number], |row| row.get(0)).optional()?)
}

/// Hashes the line that was just written.
pub(super) fn link(transaction: &Transaction<'_>, id: i64) -> Result<(), Trouble> {
    let before: Option<String> =
        transaction.prepare_cached("SELECT hash FROM chain WHERE id = ?1")?.query_row([id - 1], |row| row.get(0)).optional()?;
    let before = match before {
        Some(before) => before,
        None if id == 1 => SEED.into(),
        None => return Err(Trouble::Content(format!("journal line {} has no hash", id - 1))),
    };
    let mut statement = transaction.prepare_cached(&select("WHERE j.id = ?1"))?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?.ok_or_else(|| Trouble::Content(format!("journal line {id} is gone")))?;
    let hash = hash(&before, &Line::read(row)?.document);
    transaction.prepare_cached("INSERT INTO chain (id, hash) VALUES (?1, ?2)")?.execute(params![id, hash])?;
    Ok(())
}

/// Hashes the lines of a journal that was none yet.
pub(super) fn link_all(transaction: &Transaction<'_>) -> Result<(), Trouble> {
    let ids: Vec<i64> =
        transaction.prepare("SELECT id FROM journal ORDER BY id")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    ids.into_iter().try_for_each(|id| link(transaction, id))
}

pub(super) fn verify(connection: &Connection, asked: Option<&str>) -> Result<Verified, Trouble> {
    let (mut walk, mut breaks, mut lines, mut found) = (Walk::default(), Vec::new(), 0, None);
    let mut statement = connection.prepare(&select("ORDER BY j.id"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line = Line::read(row)?;
        breaks.extend(walk.step(&line));
        lines += 1;
        if line.hash.is_some() && line.hash.as_deref() == asked {
            found = Some(line.id);
        }
    }
    breaks.extend(walk.end(connection)?);
    Ok(Verified { lines, head: walk.hash, breaks, asked: found })
}
