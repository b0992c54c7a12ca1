//! From a directory to a connection: one process at a time, never over a damaged, foreign or newer file, and with a
//! backup before the tables change.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags, Transaction};
use rusqlite_migration::{HookError, M, Migrations};

use super::chain;
use super::trouble::{DAMAGED, Trouble};
use crate::world::error::{Error, Result};

pub(super) static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    Migrations::new(vec![
        M::up(include_str!("schema.sql")),
        M::up_with_hook(include_str!("chain.sql"), |transaction: &Transaction<'_>| {
            chain::link_all(transaction).map_err(|trouble| HookError::Hook(format!("{trouble:?}")))
        }),
        M::up(include_str!("witnessed.sql")),
        M::up(include_str!("records.sql")),
        M::up(include_str!("bystanders.sql")),
    ])
});

/// In the file's header, by `schema.sql`.
const APPLICATION_ID: i64 = 1_970_172_771;
const BUSY: Duration = Duration::from_secs(5);

/// The ledger in `dir`, and the lock that keeps every other process out.
pub(super) fn exclusive(dir: &Path) -> Result<(Connection, File)> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|cause| io_trouble("creating the directory", dir, &cause))?;
    let lock = lock(dir)?;
    let path = dir.join("ledger.db");
    let explain =
        |trouble: Trouble| trouble.at(culprit(&path, Use::Write)).explain("opening the ledger", &dir.display().to_string());
    if !is_there(dir, &path)? {
        create(dir, &path).map_err(explain)?;
    } else if let Some(file) = culprit(&path, Use::Write) {
        // SQLite reads on with it, and fails with the first write.
        return Err(explain(Trouble::Refused(file)));
    }
    let mut connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| explain(error.into()))?;
    prepare(&mut connection, &path, &MIGRATIONS).map_err(explain)?;
    Ok((connection, lock))
}

/// A copy in memory of what is in `dir` now; nothing there is written.
pub(super) fn copy(dir: &Path) -> Result<Connection> {
    let path = dir.join("ledger.db");
    if !is_there(dir, &path)? {
        return empty();
    }
    let run = || {
        let source = open_for_reading(&path)?;
        check(&source)?;
        let mut connection = Connection::open_in_memory()?;
        Backup::new(&source, &mut connection)?.run_to_completion(1024, Duration::ZERO, None)?;
        known(&connection, &MIGRATIONS)?;
        MIGRATIONS.to_latest(&mut connection)?;
        Ok(connection)
    };
    run().map_err(|trouble: Trouble| {
        trouble.at(culprit(&path, Use::Read)).explain("reading the ledger", &dir.display().to_string())
    })
}

pub(super) fn empty() -> Result<Connection> {
    let run = || {
        let mut connection = Connection::open_in_memory()?;
        MIGRATIONS.to_latest(&mut connection)?;
        Ok(connection)
    };
    run().map_err(|trouble: Trouble| trouble.explain("making a ledger", "in memory"))
}

/// Checks the file, brings its tables up to date, and sets how it is written.
pub(super) fn prepare(connection: &mut Connection, path: &Path, migrations: &Migrations<'_>) -> Result<(), Trouble> {
    connection.busy_timeout(BUSY)?;
    check(connection)?;
    known(connection, migrations)?;
    if migrations.pending_migrations(connection)? > 0 {
        back_up(connection, path)?;
        migrations.to_latest(connection)?;
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let why = format!("no write-ahead log here (journal mode {mode}); use block storage, not a file share");
        return Err(Trouble::Refused(why));
    }
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    // In KiB: the ledger is read from its beginning and written at its end, so that a cache of it is memory for nothing.
    connection.execute_batch("PRAGMA cache_size = -256;")?;
    Ok(())
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("ledger.lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|cause| io_trouble("opening the lock", &path, &cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Ledger(format!(
            "another unscim is running on this ledger ({}); stop it first, or use a data directory of its own",
            dir.display()
        ))),
        Err(TryLockError::Error(cause)) => Err(io_trouble("taking the lock", &path, &cause)),
    }
}

/// Under its name it is complete or not there: so an empty file under that name is damage, not a beginning.
fn create(dir: &Path, path: &Path) -> Result<(), Trouble> {
    let unfinished = beside(path, ".new");
    fresh(&unfinished)?;
    let mut connection = Connection::open_with_flags(&unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("PRAGMA synchronous = FULL;")?;
    MIGRATIONS.to_latest(&mut connection)?;
    connection.close().map_err(|(_, error)| error)?;
    put(dir, &unfinished, path)
}

fn back_up(connection: &Connection, path: &Path) -> Result<(), Trouble> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let unfinished = beside(path, ".bak.new");
    fresh(&unfinished)?;
    connection.backup("main", &unfinished, None)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    put(dir, &unfinished, &beside(path, &format!(".bak-v{version}")))
}

fn check(connection: &Connection) -> Result<(), Trouble> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Trouble::Content(verdict)) }
}

/// A file of ours, no newer than we are.
fn known(connection: &Connection, migrations: &Migrations<'_>) -> Result<(), Trouble> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if id != APPLICATION_ID || version < 1 {
        return Err(Trouble::Refused(format!("ledger.db is empty or not a ledger of unscim; {DAMAGED}")));
    }
    let ahead = -migrations.pending_migrations(connection)?;
    if ahead > 0 {
        let why = format!("written by a newer unscim (tables of version {version}); run that one, or a later one");
        return Err(Trouble::Refused(why));
    }
    Ok(())
}

/// Without a log the file is whole and at rest, and SQLite would otherwise make a log to read it.
fn open_for_reading(path: &Path) -> Result<Connection, Trouble> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if exists(&beside(path, "-wal")).map_err(|error| Trouble::Refused(error.to_string()))? {
        Connection::open_with_flags(path, read_only)?
    } else {
        let whole = std::path::absolute(path).map_err(|error| Trouble::Refused(error.to_string()))?;
        let mut url = url::Url::from_file_path(&whole).map_err(|()| Trouble::Refused("the path is no file".into()))?;
        url.set_query(Some("immutable=1"));
        Connection::open_with_flags(url.as_str(), read_only | OpenFlags::SQLITE_OPEN_URI)?
    };
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

/// A log without its ledger is no empty directory: somebody took the ledger away.
fn is_there(dir: &Path, path: &Path) -> Result<bool> {
    let there = exists(path)?;
    if !there && exists(&beside(path, "-wal"))? {
        let why = Trouble::Refused(format!("ledger.db is gone, but its write-ahead log is there; {DAMAGED}"));
        return Err(why.explain("opening the ledger", &dir.display().to_string()));
    }
    Ok(there)
}

pub(super) fn exists(path: &Path) -> Result<bool> {
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(Error::Ledger(format!("{} is a directory, and the ledger is a file; move it away", path.display())))
        }
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(io_trouble("looking for", path, &cause)),
    }
}

/// What is wanted of the ledger's files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

/// Which of the ledger's files can't be used, where SQLite says only that one can't. Asked for while SQLite has none of
/// them open in this process: closing one would drop its locks.
fn culprit(path: &Path, wanted: Use) -> Option<String> {
    ["", "-wal", "-shm"].into_iter().find_map(|suffix| {
        let file = beside(path, suffix);
        let remedy = match (suffix, wanted) {
            ("-shm", _) => "a leftover; with no unscim running, remove it, and it is made anew",
            (_, Use::Write) => "give it to the user that unscim runs as, and make it writable for them",
            (_, Use::Read) => "make it readable for the user that runs this",
        };
        match file.metadata() {
            Ok(found) if found.is_dir() => Some(format!("{} is a directory, and should be a file; move it away", file.display())),
            Ok(_) => {
                let cause = OpenOptions::new().read(true).write(wanted == Use::Write).open(&file).err()?;
                let done = if wanted == Use::Write { "written" } else { "read" };
                Some(format!("{} can't be {done} ({cause}): {remedy}", file.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(format!("{} can't be read: {error}", file.display())),
        }
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// An empty file for nobody else's eyes; what a crash may have left there was never complete.
fn fresh(path: &Path) -> Result<(), Trouble> {
    let run = || {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)
    };
    run().map(|_| ()).map_err(|cause| Trouble::Refused(format!("making {}: {cause}", path.display())))
}

/// Gives a complete file its name, on disk.
fn put(dir: &Path, from: &Path, to: &Path) -> Result<(), Trouble> {
    let run = || {
        File::open(from)?.sync_all()?;
        std::fs::rename(from, to)?;
        File::open(dir)?.sync_all()
    };
    run().map_err(|cause: io::Error| Trouble::Refused(format!("making {}: {cause}", to.display())))
}

fn io_trouble(doing: &str, path: &Path, cause: &io::Error) -> Error {
    Error::Ledger(format!("{doing} {}: {cause}; the data directory must be writable for this user", path.display()))
}
