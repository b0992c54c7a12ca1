//! What is remembered: one document, and a row per user and role for what grows with the number of users. Only
//! differences are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::trouble::Trouble;
use crate::model::compact::Pool;
use crate::model::id::{AppRoleId, UserId};
use crate::model::memory::{Remembered, Since};

type Covered = BTreeMap<UserId, Since>;

pub(super) fn read(connection: &Connection) -> Result<Remembered, Trouble> {
    let doc: Option<String> = connection.query_row("SELECT doc FROM remembered", [], |row| row.get(0)).optional()?;
    let covered = read_covered(connection)?;
    match doc {
        Some(doc) => Ok(Remembered { covered_since: Arc::new(covered), ..serde_json::from_str(&doc)? }),
        None if covered.is_empty() => Ok(Remembered::default()),
        None => Err(Trouble::Content("there are covered users, but nothing else is remembered".into())),
    }
}

pub(super) fn write(transaction: &Transaction<'_>, before: &Remembered, now: &Remembered) -> Result<(), Trouble> {
    write_covered(transaction, &before.covered_since, &now.covered_since)?;
    let doc = serde_json::to_string(now)?;
    transaction.execute(
        "INSERT INTO remembered (id, doc) VALUES (1, ?1) ON CONFLICT DO UPDATE SET doc = excluded.doc WHERE doc <> excluded.doc",
        [doc],
    )?;
    Ok(())
}

fn read_covered(connection: &Connection) -> Result<Covered, Trouble> {
    let (mut covered, mut pool) = (Covered::new(), Pool::default());
    let mut statement = connection.prepare_cached("SELECT user_id, role, since FROM covered")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let user = UserId(Uuid::parse_str(&row.get::<_, String>(0)?)?);
        let role = AppRoleId(Uuid::parse_str(&row.get::<_, String>(1)?)?);
        let roles = covered.entry(user).or_default();
        roles.insert(role, row.get::<_, String>(2)?.parse()?);
        *roles = std::mem::take(roles).shared(&mut pool);
    }
    Ok(covered)
}

fn write_covered(transaction: &Transaction<'_>, before: &Covered, now: &Covered) -> Result<(), Trouble> {
    let none = Since::default();
    let mut set = transaction.prepare_cached(
        "INSERT INTO covered (user_id, role, since) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET since = excluded.since",
    )?;
    for (user, roles) in now {
        let old = before.get(user).unwrap_or(&none);
        for (role, since) in roles.iter().filter(|(role, since)| old.get(role) != Some(*since)) {
            set.execute(params![user.to_string(), role.to_string(), since.to_string()])?;
        }
    }
    let mut unset = transaction.prepare_cached("DELETE FROM covered WHERE user_id = ?1 AND role = ?2")?;
    for (user, roles) in before {
        let new = now.get(user).unwrap_or(&none);
        for (role, _) in roles.iter().filter(|(role, _)| new.get(role).is_none()) {
            unset.execute(params![user.to_string(), role.to_string()])?;
        }
    }
    Ok(())
}
