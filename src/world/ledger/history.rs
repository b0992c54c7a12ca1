//! What was seen and must not be forgotten: rows are added, never changed or removed.

use rusqlite::{Connection, Transaction, params};

use super::trouble::Trouble;
use crate::model::history::HistoryEntry;

pub(super) fn add(transaction: &Transaction<'_>, witnessed: impl Iterator<Item = HistoryEntry>) -> Result<(), Trouble> {
    let mut insert = transaction.prepare_cached("INSERT INTO witnessed (event, doc) VALUES (?1, ?2)")?;
    for one in witnessed {
        insert.execute(params![one.event.label(), serde_json::to_string(&one)?])?;
    }
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Vec<HistoryEntry>, Trouble> {
    let mut statement = connection.prepare("SELECT doc FROM witnessed ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
    }
    Ok(found)
}
