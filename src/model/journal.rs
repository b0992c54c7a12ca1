//! What the journal adds up to: what was begun, what became of it, and what was refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::key::{Key, KeyKind};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    pub entries: BTreeMap<Key, Entry>,
    /// Writes that were refused when they were last tried: few, so apart from the many.
    pub refused: BTreeMap<Key, Refusal>,
    /// The latest service time of any confirmation.
    pub latest: Option<Timestamp>,
}

/// What the service has said against a write, in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub times: u32,
    /// Our time of the last one.
    pub at: Timestamp,
    /// In its words, without whom it is about.
    pub cause: Arc<str>,
}

impl Refusal {
    /// It would be said of every write of the kind.
    pub fn is_denial(&self) -> bool {
        self.cause.starts_with("denied")
    }
}

/// The writes of one key. There are several for every user, most of them begun once and confirmed once: those are kept small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    last_confirmed: Nanos,
    last_confirmed_here: Nanos,
    /// Times that it was begun.
    pub intents: u32,
    /// Times that the service confirmed it.
    pub confirmed: u32,
    more: Option<Box<More>>,
}

/// Of a write that was left open, or was confirmed more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct More {
    /// The last beginning has no outcome on disk, or one that left it open: its line.
    open: Option<i64>,
    last_intent: Nanos,
    first_confirmed: Nanos,
}

/// A time that may be none, since 1970. Before 1677 and after 2262 the nearest that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Nanos(i64);

impl Nanos {
    const NONE: Nanos = Nanos(i64::MIN);

    fn get(self) -> Option<Timestamp> {
        (self != Nanos::NONE).then(|| Timestamp::from_nanosecond(self.0.into()).ok()).flatten()
    }
}

impl Default for Nanos {
    fn default() -> Self {
        Nanos::NONE
    }
}

impl From<Timestamp> for Nanos {
    fn from(at: Timestamp) -> Self {
        let nanos = at.as_nanosecond().clamp((i64::MIN + 1).into(), i64::MAX.into());
        i64::try_from(nanos).map_or(Nanos::NONE, Nanos)
    }
}

impl Entry {
    /// The line of a beginning, at our time.
    pub fn begin(&mut self, line: i64, at: Timestamp) {
        self.intents += 1;
        let first_confirmed = self.first_confirmed();
        let more = self.more.get_or_insert_default();
        more.open = Some(line);
        more.last_intent = at.into();
        more.first_confirmed = first_confirmed.map_or(Nanos::NONE, Nanos::from);
    }

    /// A confirmation: the service's time, and ours.
    pub fn confirm(&mut self, served: Timestamp, at: Timestamp) {
        let first = self.first_confirmed().map_or(served, |first| first.min(served));
        self.confirmed += 1;
        self.last_confirmed = self.last_confirmed().map_or(served, |last| last.max(served)).into();
        self.last_confirmed_here = at.into();
        if self.more.is_some() || self.last_confirmed() != Some(first) {
            self.more.get_or_insert_default().first_confirmed = first.into();
        }
    }

    /// The last beginning has its outcome.
    pub fn close(&mut self) {
        let (first, last) = (self.first_confirmed(), self.last_confirmed());
        match &mut self.more {
            Some(more) if first != last => (more.open, more.last_intent) = (None, Nanos::NONE),
            more => *more = None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.open().is_some()
    }

    /// The journal's line of the last beginning, while it is open.
    pub fn open(&self) -> Option<i64> {
        self.more.as_ref()?.open
    }

    /// Our time of the last beginning, while it is open.
    pub fn begun(&self) -> Option<Timestamp> {
        self.more.as_ref()?.last_intent.get()
    }

    /// Service time of the first confirmation.
    pub fn first_confirmed(&self) -> Option<Timestamp> {
        self.more.as_ref().map_or(self.last_confirmed, |more| more.first_confirmed).get()
    }

    /// Service time of the last confirmation.
    pub fn last_confirmed(&self) -> Option<Timestamp> {
        self.last_confirmed.get()
    }

    /// Our time of the last confirmation.
    pub fn last_confirmed_here(&self) -> Option<Timestamp> {
        self.last_confirmed_here.get()
    }
}

impl Journal {
    /// Requests for the deletion of the token that were made, or of which nobody knows.
    pub fn revocations(&self) -> u32 {
        self.entry(&Key::Revocation).map_or(0, |entry| entry.confirmed + u32::from(entry.is_open()))
    }

    /// One more refusal, as the write's error words it: what was tried, a colon, what was said.
    pub fn refuse(&mut self, key: Key, at: Timestamp, text: &str) {
        let said = text.split_once(": ").map_or(text, |(_, said)| said);
        let said = said.rsplit_once(" (request-id ").map_or(said, |(said, _)| said);
        let times = self.refused.get(&key).map_or(0, |before| before.times) + 1;
        self.refused.insert(key, Refusal { times, at, cause: said.into() });
    }

    pub fn entry(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub fn of(&self, kin: KeyKind) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.range(kin.keys())
    }

    /// Writes that take something away, of whichever retirement.
    pub fn taking(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        [KeyKind::Members, KeyKind::Unassigns].into_iter().flat_map(move |kin| self.of(kin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_keeps_times_exactly_and_those_that_do_not_fit_nearly() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut entry = Entry::default();
        assert_eq!((entry.open(), entry.begun(), entry.first_confirmed()), (None, None, None));
        entry.begin(1, at("2026-01-02T03:04:05.123456789Z"));
        entry.confirm(at("2026-01-02T03:04:06Z"), at("1969-12-31T23:59:59.999999999Z"));
        assert_eq!((entry.open(), entry.begun()), (Some(1), Some(at("2026-01-02T03:04:05.123456789Z"))));
        assert_eq!(entry.last_confirmed_here(), Some(at("1969-12-31T23:59:59.999999999Z")));
        entry.close();
        assert_eq!((entry.is_open(), entry.begun(), entry.more.is_none()), (false, None, true));
        assert_eq!(entry.first_confirmed(), entry.last_confirmed());
        entry.confirm(Timestamp::MIN, Timestamp::MAX);
        entry.begin(2, at("2026-01-02T03:04:07Z"));
        entry.close();
        assert!(entry.first_confirmed().unwrap() < at("1700-01-01T00:00:00Z"));
        assert_eq!(entry.last_confirmed(), Some(at("2026-01-02T03:04:06Z")));
        assert!(entry.last_confirmed_here().unwrap() > at("2200-01-01T00:00:00Z"));
    }
}
