//! The ledger in memory, as far as a turn needs it.

use std::sync::Arc;

use jiff::Timestamp;
use unscim::model::action::Action;
use unscim::model::baseline::Baseline;
use unscim::model::journal::Journal;
use unscim::model::key::Key;
use unscim::model::memory::Remembered;
use unscim::model::observed::Observed;
use unscim::world::Outcome;

#[derive(Clone, Debug, Default)]
pub struct Book {
    pub baseline: Observed<Baseline>,
    pub remembered: Remembered,
    pub journal: Arc<Journal>,
    pub lines: i64,
}

impl Book {
    /// The number of its line.
    pub fn intend(&mut self, action: &Action, at: Timestamp) -> i64 {
        self.lines += 1;
        Arc::make_mut(&mut self.journal).entries.entry(action.key()).or_default().begin(self.lines, at);
        self.lines
    }

    /// `None`: nobody knows.
    pub fn conclude(&mut self, key: &Key, done: Option<bool>, served: Timestamp, at: Timestamp) {
        let entry = Arc::make_mut(&mut self.journal).entries.get_mut(key).expect("it was begun");
        match done {
            Some(true) => {
                entry.confirm(served, at);
                entry.close();
            }
            Some(false) => entry.close(),
            None => {}
        }
    }

    /// The end of what was begun in this line.
    pub fn end(&mut self, line: i64, outcome: &Outcome, at: Timestamp) {
        let found = self.journal.entries.iter().find(|(_, entry)| entry.open() == Some(line));
        let key = found.map(|(key, _)| key.clone()).expect("an intent of ours");
        match outcome {
            Outcome::Done(written) => self.conclude(&key, Some(true), written.at, at),
            Outcome::Observed(served) => self.conclude(&key, Some(true), *served, at),
            Outcome::Failed(_) | Outcome::Refused(_) => self.conclude(&key, Some(false), at, at),
            Outcome::Open(_) => self.conclude(&key, None, at, at),
        }
    }
}
