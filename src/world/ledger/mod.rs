//! Our own book: one SQLite file. It creates a baseline once and only adds to it, and never changes a journal line.
//!
//! Synchronous on purpose: a line is on disk when the call returns (WAL, `synchronous=FULL`).

mod store;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::error::{Error, Result};
use super::{Ledger, Outcome};
use crate::model::action::Action;
use crate::model::baseline::{Baseline, Growth};
use crate::model::memory::{Journal, Remembered};
use crate::model::seen::Seen;

const FILE: &str = "ledger.db";
const LOCK: &str = "ledger.lock";
const MIGRATION_STEPS: &[M] = &[M::up(include_str!("001.sql"))];
const MIGRATIONS: Migrations = Migrations::from_slice(MIGRATION_STEPS);

/// The ledger of one retirement. The lock is held for as long as it lives.
pub struct SqliteLedger {
    connection: Mutex<Connection>,
    stored: Mutex<Option<Remembered>>,
    _lock: Option<File>,
}

impl SqliteLedger {
    /// Opens or creates the ledger in this directory, for this process alone.
    pub fn open(dir: &Path) -> Result<Self> {
        let trouble = |what: &str, cause: &dyn std::fmt::Display| Error::Ledger(format!("{what} in {}: {cause}", dir.display()));
        std::fs::create_dir_all(dir).map_err(|error| trouble("creating the data directory", &error))?;
        restrict(dir, 0o700).map_err(|error| trouble("restricting the data directory", &error))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join(LOCK))
            .map_err(|error| trouble("opening the lock file", &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Ledger(format!(
                    "another unscim is running on the ledger in {}; stop it first, or give this one its own --data-dir",
                    dir.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(trouble("locking the ledger", &error)),
        }
        let path = dir.join(FILE);
        let mut connection = Connection::open(&path).map_err(|error| trouble("opening the ledger", &error))?;
        restrict(&path, 0o600).map_err(|error| trouble("restricting the ledger", &error))?;
        prepare(&mut connection, &path)?;
        Ok(SqliteLedger { connection: Mutex::new(connection), stored: Mutex::new(None), _lock: Some(lock) })
    }

    /// A copy of the ledger in memory, for looking without a trace; empty where there is none.
    pub fn copy_of(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let mut memory = Connection::open_in_memory().map_err(sql)?;
        if path.exists() {
            let disk = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
                .map_err(sql)?;
            let backup = rusqlite::backup::Backup::new(&disk, &mut memory).map_err(sql)?;
            backup.run_to_completion(1000, Duration::ZERO, None).map_err(sql)?;
        }
        check(&memory)?;
        MIGRATIONS.to_latest(&mut memory).map_err(|error| Error::Ledger(error.to_string()))?;
        Ok(SqliteLedger { connection: Mutex::new(memory), stored: Mutex::new(None), _lock: None })
    }

    /// Nothing outlives the process: for `Observe` and tests.
    pub fn in_memory() -> Result<Self> {
        let mut connection = Connection::open_in_memory().map_err(sql)?;
        MIGRATIONS.to_latest(&mut connection).map_err(|error| Error::Ledger(error.to_string()))?;
        Ok(SqliteLedger { connection: Mutex::new(connection), stored: Mutex::new(None), _lock: None })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere leaves SQLite's own state whole: an unfinished transaction is rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_stored(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sql(error: rusqlite::Error) -> Error {
    Error::Ledger(error.to_string())
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

fn check(connection: &Connection) -> Result<()> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| {
        Error::Ledger(format!("the file is damaged: {error}; restore it from a backup, it is never replaced"))
    })?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(Error::Ledger(format!("the file is damaged: {verdict}; restore it from a backup, it is never replaced")))
    }
}

fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    connection.busy_timeout(Duration::from_secs(5)).map_err(sql)?;
    check(connection)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sql)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sql)?;
    let version = version as usize;
    if version > MIGRATION_STEPS.len() {
        return Err(Error::Ledger(format!(
            "{} was written by a newer unscim (schema {version}, this one knows {}); start that version again",
            path.display(),
            MIGRATION_STEPS.len()
        )));
    }
    if version > 0 && version < MIGRATION_STEPS.len() {
        let beside = path.with_extension(format!("db.bak-v{version}"));
        connection
            .backup(MAIN_DB, &beside, None)
            .map_err(|error| Error::Ledger(format!("backing up before the upgrade: {error}")))?;
    }
    MIGRATIONS.to_latest(connection).map_err(|error| Error::Ledger(error.to_string()))
}

impl Ledger for SqliteLedger {
    fn baseline(&self) -> Result<Seen<Baseline>> {
        Ok(store::baseline(&self.lock())?.map_or(Seen::Absent, Seen::Known))
    }

    fn remembered(&self) -> Result<Remembered> {
        let remembered = store::remembered(&self.lock())?;
        *self.last_stored() = Some(remembered.clone());
        Ok(remembered)
    }

    fn journal(&self) -> Result<Journal> {
        store::journal(&self.lock())
    }

    fn remember(&self, remembered: &Remembered) -> Result<()> {
        let mut stored = self.last_stored();
        if stored.as_ref() != Some(remembered) {
            store::remember(&mut self.lock(), stored.as_ref(), remembered)?;
            *stored = Some(remembered.clone());
        }
        Ok(())
    }

    fn create_baseline(&self, baseline: &Baseline) -> Result<()> {
        store::create_baseline(&mut self.lock(), baseline)
    }

    fn grow_baseline(&self, growth: &Growth) -> Result<()> {
        store::grow_baseline(&mut self.lock(), growth)
    }

    fn intend(&self, turn: u64, action: &Action, at: Timestamp) -> Result<i64> {
        store::intend(&self.lock(), turn, action, at)
    }

    fn conclude(&self, intent: i64, outcome: &Outcome, at: Timestamp) -> Result<()> {
        store::conclude(&self.lock(), intent, outcome, at)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_migrations_are_valid() {
        super::MIGRATIONS.validate().unwrap();
    }
}
