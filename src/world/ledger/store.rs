//! The rows behind the ledger: SQL in, model out. What can't be decoded is an error, never a default.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sql;
use crate::model::action::Action;
use crate::model::baseline::{Baseline, Binding, Growth, ManagedGroup, Protected};
use crate::model::id::{AppRoleId, GroupId, UserId};
use crate::model::memory::{Entry, Journal, Remembered};
use crate::world::Outcome;
use crate::world::error::{Error, Result};

fn encode(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Ledger(format!("encoding: {error}")))
}

fn decode<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::Ledger(format!("{what} can't be decoded: {error}")))
}

/// Ids and times are stored as the bare text that serde gives them.
fn parse<T: DeserializeOwned>(what: &str, text: String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|error| Error::Ledger(format!("{what} can't be decoded: {error}")))
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)
}

fn binding(connection: &Connection) -> Result<Option<Binding>> {
    let text: Option<String> =
        connection.query_row("SELECT binding FROM baseline", [], |row| row.get(0)).optional().map_err(sql)?;
    text.map(|text| decode("the binding", &text)).transpose()
}

fn bodies(connection: &Connection, statement: &str) -> Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached(statement).map_err(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sql)?;
    rows.collect::<rusqlite::Result<_>>().map_err(sql)
}

pub fn baseline(connection: &Connection) -> Result<Option<Baseline>> {
    let Some(binding) = binding(connection)? else { return Ok(None) };
    let taken: String = connection.query_row("SELECT taken FROM baseline", [], |row| row.get(0)).map_err(sql)?;
    let mut groups = BTreeMap::new();
    for (id, body) in bodies(connection, "SELECT id, body FROM baseline_groups")? {
        groups.insert(parse::<GroupId>("a group id", id)?, decode::<ManagedGroup>("a group of the baseline", &body)?);
    }
    let mut users = BTreeMap::new();
    for (id, body) in bodies(connection, "SELECT id, body FROM baseline_users")? {
        users.insert(parse::<UserId>("a user id", id)?, decode::<Protected>("a user of the baseline", &body)?);
    }
    Ok(Some(Baseline { binding, taken: parse("the baseline's time", taken)?, groups, users }))
}

fn put_group(connection: &Connection, id: GroupId, group: &ManagedGroup) -> Result<()> {
    let statement = "INSERT INTO baseline_groups (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body";
    connection.execute(statement, params![id.to_string(), encode(group)?]).map(drop).map_err(sql)
}

fn put_user(connection: &Connection, id: UserId, user: &Protected) -> Result<()> {
    let statement = "INSERT INTO baseline_users (id, body) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET body = excluded.body";
    connection.execute(statement, params![id.to_string(), encode(user)?]).map(drop).map_err(sql)
}

pub fn create_baseline(connection: &mut Connection, baseline: &Baseline) -> Result<()> {
    let transaction = begin(connection)?;
    if binding(&transaction)?.is_some() {
        return Err(Error::Ledger("there is a baseline already; it is never replaced".into()));
    }
    transaction
        .execute(
            "INSERT INTO baseline (one, binding, taken) VALUES (1, ?1, ?2)",
            params![encode(&baseline.binding)?, baseline.taken.to_string()],
        )
        .map_err(sql)?;
    for (id, group) in &baseline.groups {
        put_group(&transaction, *id, group)?;
    }
    for (id, user) in &baseline.users {
        put_user(&transaction, *id, user)?;
    }
    transaction.commit().map_err(sql)
}

pub fn grow_baseline(connection: &mut Connection, growth: &Growth) -> Result<()> {
    let transaction = begin(connection)?;
    let Some(mut known) = baseline(&transaction)? else { return Err(Error::Ledger("there is no baseline to grow".into())) };
    known.grow(growth);
    for id in growth.roles.keys() {
        if let Some(group) = known.groups.get(id) {
            put_group(&transaction, *id, group)?;
        }
    }
    for id in growth.users.keys() {
        if let Some(user) = known.users.get(id) {
            put_user(&transaction, *id, user)?;
        }
    }
    transaction.commit().map_err(sql)
}

pub fn remembered(connection: &Connection) -> Result<Remembered> {
    let text: Option<String> =
        connection.query_row("SELECT body FROM remembered", [], |row| row.get(0)).optional().map_err(sql)?;
    let Some(text) = text else { return Ok(Remembered::default()) };
    let mut remembered: Remembered = decode("what was remembered", &text)?;
    let mut statement = connection.prepare_cached("SELECT user, role, since FROM covered").map_err(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(sql)?;
    for row in rows {
        let (user, role, since): (String, String, String) = row.map_err(sql)?;
        let roles: &mut BTreeMap<AppRoleId, Timestamp> = remembered.covered_since.entry(parse("a user id", user)?).or_default();
        roles.insert(parse("a role id", role)?, parse("a time", since)?);
    }
    Ok(remembered)
}

/// Coverage is kept in rows of its own and written as a difference: it is the one part that grows with the company.
pub fn remember(connection: &mut Connection, before: Option<&Remembered>, now: &Remembered) -> Result<()> {
    let transaction = begin(connection)?;
    let body = Remembered { covered_since: BTreeMap::new(), ..now.clone() };
    let statement = "INSERT INTO remembered (one, body) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET body = excluded.body";
    transaction.execute(statement, params![encode(&body)?]).map_err(sql)?;
    let empty = BTreeMap::new();
    let before = before.map_or(&empty, |before| &before.covered_since);
    for user in before.keys().chain(now.covered_since.keys()) {
        let (old, new) = (before.get(user), now.covered_since.get(user));
        if old == new {
            continue;
        }
        transaction
            .prepare_cached("DELETE FROM covered WHERE user = ?1")
            .and_then(|mut s| s.execute(params![user.to_string()]))
            .map_err(sql)?;
        for (role, since) in new.into_iter().flatten() {
            transaction
                .prepare_cached("INSERT INTO covered (user, role, since) VALUES (?1, ?2, ?3)")
                .and_then(|mut s| s.execute(params![user.to_string(), role.to_string(), since.to_string()]))
                .map_err(sql)?;
        }
    }
    transaction.commit().map_err(sql)
}

pub fn intend(connection: &Connection, turn: u64, action: &Action, at: Timestamp) -> Result<i64> {
    connection
        .execute(
            "INSERT INTO journal (at, turn, phase, kind, key, action) VALUES (?1, ?2, 'intent', ?3, ?4, ?5)",
            params![at.to_string(), turn as i64, action.kind(), action.key(), encode(action)?],
        )
        .map_err(sql)?;
    Ok(connection.last_insert_rowid())
}

pub fn conclude(connection: &Connection, intent: i64, outcome: &Outcome, at: Timestamp) -> Result<()> {
    let (word, service_at, request, client_request, message) = match outcome {
        Outcome::Done(written) => (
            if written.already { "already" } else { "done" },
            Some(written.at.to_string()),
            written.request_id.as_deref(),
            Some(written.client_request_id.as_str()),
            None,
        ),
        Outcome::Failed(why) => ("failed", None, None, None, Some(why.as_str())),
        Outcome::Open(why) => ("open", None, None, None, Some(why.as_str())),
    };
    let rows = connection
        .execute(
            "INSERT INTO journal (at, turn, phase, intent, kind, key, action, outcome, service_at, request_id, client_request_id, message)
             SELECT ?1, turn, 'outcome', id, kind, key, action, ?3, ?4, ?5, ?6, ?7 FROM journal WHERE id = ?2 AND phase = 'intent'",
            params![at.to_string(), intent, word, service_at, request, client_request, message],
        )
        .map_err(sql)?;
    if rows == 1 { Ok(()) } else { Err(Error::Ledger(format!("there is no intent {intent} to conclude"))) }
}

pub fn journal(connection: &Connection) -> Result<Journal> {
    let mut statement =
        connection.prepare_cached("SELECT key, phase, outcome, at, service_at FROM journal ORDER BY id").map_err(sql)?;
    let mut journal = Journal::default();
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let key: String = row.get(0).map_err(sql)?;
        let phase: String = row.get(1).map_err(sql)?;
        let outcome: Option<String> = row.get(2).map_err(sql)?;
        let at: Timestamp = parse("a journal time", row.get(3).map_err(sql)?)?;
        let service_at: Option<String> = row.get(4).map_err(sql)?;
        let entry: &mut Entry = journal.entries.entry(key).or_default();
        match (phase.as_str(), outcome.as_deref()) {
            ("intent", _) => {
                entry.intents += 1;
                entry.last_intent = Some(at);
                entry.open = true;
            }
            (_, Some("done" | "already")) => {
                entry.confirmed += 1;
                entry.open = false;
                entry.last_confirmed_here = Some(at);
                let service_at = service_at.map(|text| parse("a service time", text)).transpose()?;
                entry.first_confirmed = entry.first_confirmed.or(service_at);
                entry.last_confirmed = service_at.or(entry.last_confirmed);
            }
            (_, Some("failed")) => entry.open = false,
            (_, _) => entry.open = true,
        }
    }
    Ok(journal)
}
