//! The ledger in one SQLite file: who was protected, what is remembered, what was done. It adds; it never replaces a
//! baseline, never changes a journal line, and never takes a file that it can't read for an empty one.

mod baseline;
mod chain;
mod history;
mod journal;
mod open;
mod remembered;
mod trouble;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::model::action::Action;
use crate::model::baseline::{Baseline, Growth};
use crate::model::history::HistoryEntry;
use crate::model::journal::Journal;
use crate::model::memory::Remembered;
use crate::model::observed::Observed;
use crate::model::write_record::WriteRecord;
use crate::world::error::{Error, Result, locked};
use crate::world::{Ledger, Outcome};
pub use chain::{Break, Verified};
use trouble::Trouble;

/// [`Ledger`] over SQLite. Calls are synchronous and each write is on disk when its call returns.
pub struct SqliteLedger {
    inner: Mutex<Inner>,
    /// Held for the life of the process: one writer per ledger.
    _lock: Option<File>,
}

struct Inner {
    connection: Connection,
    /// Where it is, for messages.
    place: String,
    /// What the tables say, once read: only the difference is written.
    stored: Option<Remembered>,
    fold: journal::Fold,
}

impl SqliteLedger {
    /// Opens `ledger.db` in `dir` for this process alone, creating both where they are not there.
    pub fn open(dir: &Path) -> Result<Self> {
        let (connection, lock) = open::exclusive(dir)?;
        Ok(Self::over(connection, dir.display().to_string(), Some(lock)))
    }

    /// A private copy of the ledger in `dir`, as it is now: nothing in `dir` is written, whatever is called. Empty where
    /// there is no ledger.
    pub fn open_read_only(dir: &Path) -> Result<Self> {
        Ok(Self::over(open::copy(dir)?, format!("copy of {}", dir.display()), None))
    }

    /// The same of a ledger that must be there.
    pub fn open_evidence(dir: &Path) -> Result<Self> {
        let is_there = |name: &str| open::exists(&dir.join(name));
        if !is_there("ledger.db")? && !is_there("ledger.db-wal")? {
            return Err(Error::Ledger(format!("there is no ledger in {}; name the daemon's --data-dir", dir.display())));
        }
        Self::open_read_only(dir)
    }

    /// An empty ledger that is gone with the process.
    pub fn in_memory() -> Result<Self> {
        Ok(Self::over(open::empty()?, "in memory".into(), None))
    }

    /// Checks the journal line by line, and looks for the line that has this hash.
    pub fn verify(&self, asked: Option<&str>) -> Result<Verified> {
        self.inner().read("verifying the journal", |connection| chain::verify(connection, asked))
    }

    fn over(connection: Connection, place: String, lock: Option<File>) -> Self {
        let inner = Inner { connection, place, stored: None, fold: journal::Fold::default() };
        SqliteLedger { inner: Mutex::new(inner), _lock: lock }
    }

    /// A panic elsewhere leaves no half transaction behind: SQLite has rolled it back.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        locked(&self.inner)
    }
}

impl Inner {
    fn read<T>(&self, doing: &str, read: impl FnOnce(&Connection) -> Result<T, Trouble>) -> Result<T> {
        read(&self.connection).map_err(|trouble| trouble.explain(doing, &self.place))
    }

    /// All of it on disk, or nothing.
    fn write<T>(&mut self, doing: &str, write: impl FnOnce(&Transaction<'_>) -> Result<T, Trouble>) -> Result<T> {
        let run = || {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run().map_err(|trouble: Trouble| trouble.explain(doing, &self.place))
    }

    fn recall(&mut self) -> Result<&Remembered> {
        let stored = match self.stored.take() {
            Some(stored) => stored,
            None => self.read("reading what is remembered", remembered::read)?,
        };
        Ok(self.stored.insert(stored))
    }
}

impl Ledger for SqliteLedger {
    fn baseline(&self) -> Result<Observed<Baseline>> {
        let found = self.inner().read("reading the baseline", baseline::read)?;
        Ok(found.map_or(Observed::Absent, Observed::Known))
    }

    fn remembered(&self) -> Result<Remembered> {
        self.inner().recall().cloned()
    }

    fn journal(&self) -> Result<Arc<Journal>> {
        let mut inner = self.inner();
        let mut fold = std::mem::take(&mut inner.fold);
        inner.read("reading the journal", |connection| fold.catch_up(connection))?;
        inner.fold = fold;
        Ok(inner.fold.journal.clone())
    }

    fn writes(&self) -> Result<Vec<WriteRecord>> {
        self.journal()?;
        self.inner().read("reading the journal", journal::writes)
    }

    fn recent(&self, most: usize) -> Result<Vec<WriteRecord>> {
        self.inner().read("reading the journal", |connection| journal::recent(connection, most))
    }

    fn last_line(&self) -> Result<Option<(u64, String)>> {
        self.inner().read("reading the journal", chain::last)
    }

    fn line(&self, number: u64) -> Result<Option<String>> {
        self.inner().read("reading the journal", |connection| chain::line(connection, number))
    }

    fn remember_with(&self, remembered: &Remembered, witnessed: impl Iterator<Item = HistoryEntry>) -> Result<()> {
        let mut inner = self.inner();
        let mut witnessed = witnessed.peekable();
        if inner.recall()? == remembered && witnessed.peek().is_none() {
            return Ok(());
        }
        // Taken out before the write: should it fail, the next call reads anew what is really on disk.
        let before = inner.stored.take().expect("recall leaves what it read");
        inner.write("writing what is remembered", |transaction| {
            history::add(transaction, witnessed)?;
            remembered::write(transaction, &before, remembered)
        })?;
        inner.stored = Some(remembered.clone());
        Ok(())
    }

    fn history(&self) -> Result<Vec<HistoryEntry>> {
        self.inner().read("reading what was witnessed", history::all)
    }

    fn create_baseline(&self, baseline: &Baseline) -> Result<()> {
        self.inner().write("creating the baseline", |transaction| baseline::create(transaction, baseline))
    }

    fn grow_baseline(&self, growth: &Growth) -> Result<()> {
        if growth.is_empty() {
            return Ok(());
        }
        self.inner().write("adding to the baseline", |transaction| baseline::grow(transaction, growth))
    }

    fn intend(&self, turn: u64, actions: &[Action], at: Timestamp) -> Result<Vec<i64>> {
        self.inner().write("writing to the journal", |transaction| {
            actions.iter().map(|action| journal::intend(transaction, turn, action, at)).collect()
        })
    }

    fn conclude(&self, outcomes: &[(i64, Outcome)], at: Timestamp) -> Result<()> {
        self.inner().write("writing to the journal", |transaction| {
            outcomes.iter().try_for_each(|(intent, outcome)| journal::conclude(transaction, *intent, outcome, at))
        })
    }
}

#[cfg(test)]
mod tests;
