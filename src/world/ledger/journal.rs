//! The journal: a line before each write and a line after it, and what the lines add up to.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Rows, Transaction, params};

use super::chain;
use super::trouble::Trouble;
use crate::model::action::Action;
use crate::model::compact::packed;
use crate::model::journal::Journal;
use crate::model::key::Key;
use crate::model::write_record::{Ending, LastOutcome, WriteRecord, conclude_by_later};
use crate::world::{Outcome, Written};

pub(super) fn intend(transaction: &Transaction<'_>, turn: u64, action: &Action, at: Timestamp) -> Result<i64, Trouble> {
    transaction
        .prepare_cached("INSERT INTO journal (at, turn, kind, key, phase, action) VALUES (?1, ?2, ?3, ?4, 'intent', ?5)")?
        .execute(params![
            at.to_string(),
            i64::try_from(turn)?,
            action.kind(),
            action.key().to_string(),
            serde_json::to_string(action)?
        ])?;
    let line = transaction.last_insert_rowid();
    chain::link(transaction, line)?;
    Ok(line)
}

/// An outcome that was left open may be settled later; a settled one stays.
pub(super) fn conclude(transaction: &Transaction<'_>, intent: i64, outcome: &Outcome, at: Timestamp) -> Result<(), Trouble> {
    let found: Option<Option<String>> = transaction
        .prepare_cached(
            "SELECT (SELECT o.outcome FROM journal o WHERE o.intent = i.id ORDER BY o.id DESC LIMIT 1)
             FROM journal i WHERE i.id = ?1 AND i.phase = 'intent'",
        )?
        .query_row([intent], |row| row.get(0))
        .optional()?;
    match found.as_ref().map(Option::as_deref) {
        None => return Err(Trouble::Refused(format!("line {intent} is no intent"))),
        Some(Some("done" | "failed")) => return Err(Trouble::Refused(format!("intent {intent} has its outcome already"))),
        Some(_) => {}
    }
    let (word, at_service, written, already, text) = match outcome {
        Outcome::Done(written) => ("done", Some(written.at), Some(written), Some(written.already), None),
        Outcome::Observed(at) => ("done", Some(*at), None, None, Some("no answer; later reads show it done")),
        Outcome::Failed(text) => ("failed", None, None, None, Some(text.as_str())),
        // A failure that has a word on what was before is one of which the service has spoken.
        Outcome::Refused(text) => ("failed", None, None, Some(false), Some(text.as_str())),
        Outcome::Open(text) => ("open", None, None, None, Some(text.as_str())),
    };
    transaction
        .prepare_cached(
            "INSERT INTO journal (at, turn, kind, key, phase, intent, outcome, service_at, already, request_id, client_request_id, text)
             SELECT ?2, turn, kind, key, 'outcome', id, ?3, ?4, ?5, ?6, ?7, ?8 FROM journal WHERE id = ?1",
        )?
        .execute(params![
            intent,
            at.to_string(),
            word,
            at_service.map(|at| at.to_string()),
            already,
            written.and_then(|written| written.request_id.as_ref()),
            written.map(|Written { client_request_id, .. }| client_request_id),
            text,
        ])?;
    chain::link(transaction, transaction.last_insert_rowid())
}

/// Every write that was begun, oldest first. Read line by line as the chain is walked: no index is trusted for it.
pub(super) fn writes(connection: &Connection) -> Result<Vec<WriteRecord>, Trouble> {
    told(connection.prepare("SELECT * FROM journal NOT INDEXED ORDER BY id")?.query([])?)
}

/// The last ones, at most so many.
pub(super) fn recent(connection: &Connection, most: usize) -> Result<Vec<WriteRecord>, Trouble> {
    let mut statement = connection.prepare_cached(
        "WITH last AS (SELECT id FROM journal WHERE intent IS NULL ORDER BY id DESC LIMIT ?1)
         SELECT * FROM journal WHERE id IN last OR intent IN last ORDER BY id",
    )?;
    told(statement.query([i64::try_from(most)?])?)
}

fn told(mut rows: Rows<'_>) -> Result<Vec<WriteRecord>, Trouble> {
    let mut writes: Vec<WriteRecord> = Vec::new();
    let time = |text: Option<String>| text.map(|text| text.parse::<Timestamp>()).transpose();
    while let Some(row) = rows.next()? {
        let (line, at): (i64, Timestamp) = (row.get("id")?, row.get::<_, String>("at")?.parse()?);
        let Some(intent) = row.get::<_, Option<i64>>("intent")? else {
            let turn = u64::try_from(row.get::<_, i64>("turn")?)?;
            let action = serde_json::from_str(&row.get::<_, String>("action")?)?;
            writes.push(WriteRecord { line, at, turn, action, ending: None });
            continue;
        };
        let outcome = match row.get::<_, String>("outcome")?.as_str() {
            "done" => LastOutcome::Done,
            "failed" => LastOutcome::Failed,
            "open" => LastOutcome::Open,
            other => return Err(Trouble::Content(format!("journal line {line} has the outcome {other:?}"))),
        };
        let place = writes.binary_search_by_key(&intent, |write| write.line);
        let place = place.map_err(|_| Trouble::Content(format!("journal line {line} ends what was never begun")))?;
        writes[place].ending = Some(Ending {
            outcome,
            at,
            service_at: time(row.get("service_at")?)?,
            already: row.get("already")?,
            request_id: row.get("request_id")?,
            client_request_id: row.get("client_request_id")?,
            text: row.get("text")?,
        });
    }
    conclude_by_later(&mut writes);
    Ok(writes)
}

/// The sum of the lines read so far. Lines never change, so only later ones are read.
#[derive(Default)]
pub(super) struct Fold {
    pub(super) journal: Arc<Journal>,
    /// Up to the last line read.
    walk: chain::Walk,
}

impl Fold {
    pub(super) fn catch_up(&mut self, connection: &Connection) -> Result<(), Trouble> {
        let mut statement = connection.prepare_cached(&chain::select("WHERE j.id > ?1 ORDER BY j.id"))?;
        let mut rows = statement.query([self.walk.last])?;
        let journal = Arc::make_mut(&mut self.journal);
        let known = journal.entries.len();
        while let Some(row) = rows.next()? {
            let line = chain::Line::read(row)?;
            if let Some(broken) = self.walk.step(&line) {
                return Err(broken.into());
            }
            let id = line.id;
            let at: Timestamp = row.get::<_, String>("at")?.parse()?;
            let key = row.get::<_, String>("key")?.parse::<Key>();
            let key = key.map_err(|why| Trouble::Content(format!("journal line {id}: {why}")))?;
            let (intent, outcome): (Option<i64>, Option<String>) = (row.get("intent")?, row.get("outcome")?);
            let was_refused = outcome.as_deref() == Some("failed") && row.get::<_, Option<bool>>("already")?.is_some();
            // Nobody retries what was never answered, but for the webhook.
            if was_refused || (outcome.as_deref() == Some("open") && key == Key::Revocation) {
                let text: Option<String> = row.get("text")?;
                journal.refuse(key.clone(), at, &text.unwrap_or_default());
            }
            if intent.is_some() && outcome.as_deref() == Some("done") {
                key.undone().map(|undone| journal.entries.remove(&undone));
                journal.refused.remove(&key);
            }
            let entry = journal.entries.entry(key).or_default();
            match (intent, outcome.as_deref()) {
                (None, None) => entry.begin(id, at),
                (Some(intent), Some(outcome)) => {
                    let is_last = entry.open() == Some(intent);
                    match outcome {
                        "done" => {
                            let served = row.get::<_, Option<String>>("service_at")?;
                            let served = served.ok_or_else(|| Trouble::Content(format!("journal line {id} has no time")))?;
                            let served = served.parse()?;
                            entry.confirm(served, at);
                            journal.latest = journal.latest.max(Some(served));
                        }
                        "failed" => {}
                        "open" => continue,
                        other => return Err(Trouble::Content(format!("journal line {id} has the outcome {other:?}"))),
                    }
                    if is_last {
                        entry.close();
                    }
                }
                _ => return Err(Trouble::Content(format!("journal line {id} is neither intent nor outcome"))),
            }
        }
        // Once it has grown by much; it is soon needed to be small, when the look is taken.
        if journal.entries.len() > known + known / 8 {
            journal.entries = packed(std::mem::take(&mut journal.entries));
        }
        self.walk.end(connection)?.map_or(Ok(()), |broken| Err(broken.into()))
    }
}
