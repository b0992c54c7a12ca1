//! What is remembered: one document, and rows of their own for what grows with the number of users. Only
//! differences are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::trouble::Trouble;
use crate::model::compact::Pool;
use crate::model::id::{AppRoleId, ScimId, UserId};
use crate::model::memory::{Remembered, Since};

type Covered = BTreeMap<UserId, Since>;

pub(super) fn read(connection: &Connection) -> Result<Remembered, Trouble> {
    let doc: Option<String> = connection.query_row("SELECT doc FROM remembered", [], |row| row.get(0)).optional()?;
    let covered = read_covered(connection)?;
    match doc {
        Some(doc) => {
            let (covered_since, bystanders) = (Arc::new(covered), Arc::new(read_bystanders(connection)?));
            Ok(Remembered { covered_since, bystanders, ..serde_json::from_str(&doc)? })
        }
        None if covered.is_empty() => Ok(Remembered::default()),
        None => Err(Trouble::Content("there are covered users, but nothing else is remembered".into())),
    }
}

pub(super) fn write(transaction: &Transaction<'_>, before: &Remembered, now: &Remembered) -> Result<(), Trouble> {
    write_covered(transaction, &before.covered_since, &now.covered_since)?;
    write_bystanders(transaction, &before.bystanders, &now.bystanders)?;
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

fn read_bystanders(connection: &Connection) -> Result<BTreeSet<ScimId>, Trouble> {
    let mut statement = connection.prepare_cached("SELECT id FROM bystanders")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(ScimId::from(row.get::<_, String>(0)?));
    }
    Ok(found.into_iter().collect())
}

fn write_bystanders(
    transaction: &Transaction<'_>,
    before: &Arc<BTreeSet<ScimId>>,
    now: &Arc<BTreeSet<ScimId>>,
) -> Result<(), Trouble> {
    if Arc::ptr_eq(before, now) {
        return Ok(());
    }
    let mut set = transaction.prepare_cached("INSERT INTO bystanders (id) VALUES (?1) ON CONFLICT DO NOTHING")?;
    for id in now.difference(before) {
        set.execute([id.to_string()])?;
    }
    let mut unset = transaction.prepare_cached("DELETE FROM bystanders WHERE id = ?1")?;
    for id in before.difference(now) {
        unset.execute([id.to_string()])?;
    }
    Ok(())
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
