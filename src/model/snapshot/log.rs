//! The provisioning log, as far as a judgement asks for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::id::ScimId;

/// What was read of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Those that harm or failed, oldest first.
    pub rows: Vec<LogRow>,
    /// When an entry last went well; held of entries that failed alone.
    pub went_well: BTreeMap<Uuid, Timestamp>,
    /// Rows that could not be read, by their ids, with their times where these could be.
    pub unread: BTreeMap<String, Option<Timestamp>>,
}

impl Log {
    /// Takes note of whose row went well.
    pub fn note(&mut self, row: &LogRow) {
        if let Some(source) = row.source.filter(|_| row.went_well()) {
            let last = self.went_well.entry(source).or_insert(row.at);
            *last = (*last).max(row.at);
        }
    }

    /// Both, each row once and as it was read last.
    pub fn join(mut self, before: &Log) -> Log {
        let read: BTreeSet<&str> = self.rows.iter().map(|row| row.id.as_str()).collect();
        let kept: Vec<LogRow> = before.rows.iter().filter(|row| !read.contains(row.id.as_str())).cloned().collect();
        for (id, at) in &before.went_well {
            let last = self.went_well.entry(*id).or_insert(*at);
            *last = (*last).max(*at);
        }
        let still = before
            .unread
            .iter()
            .filter(|(id, _)| !read.contains(id.as_str()))
            .map(|(id, at)| (id.clone(), *at))
            .collect::<Vec<_>>();
        self.rows.extend(kept);
        self.unread.extend(still);
        self
    }

    /// As it is held: in order, and of what went well only what had failed.
    pub fn settled(mut self) -> Log {
        self.rows.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
        let failed: BTreeSet<Uuid> = self.rows.iter().filter(|row| row.is_failure()).filter_map(|row| row.source).collect();
        self.went_well.retain(|id, _| failed.contains(id));
        self
    }

    /// The entry that failed in this row has gone well since.
    pub fn is_cured(&self, row: &LogRow) -> bool {
        row.source.and_then(|id| self.went_well.get(&id)).is_some_and(|well| *well > row.at)
    }
}

/// One row of the provisioning log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub id: String,
    pub at: Timestamp,
    /// Lower case: `create`, `update`, `delete`, `disable`, `stageddelete`, `other` …
    pub action: String,
    /// Lower case: `success`, `failure`, `skipped`, `warning`.
    pub status: String,
    /// Entra object id.
    pub source: Option<Uuid>,
    /// Its record at the target, where the row says.
    pub target: Option<ScimId>,
    /// `modifiedProperties` has `active` going to false.
    pub deactivates: bool,
    /// `sourceIdentity.identityType` says that it is about a group.
    pub of_group: bool,
    pub reason: Option<String>,
    /// It was skipped because the target has it already (`RedundantExport`).
    pub redundant: bool,
}

impl LogRow {
    /// What makes or changes a record, and nothing worse. `other` is what Graph itself calls so.
    const HARMLESS: [&str; 4] = ["create", "update", "enable", "other"];

    /// A row that would mean the end of a user at the target; an action that nobody here has heard of counts as one.
    pub fn is_harmful(&self) -> bool {
        self.status != "skipped" && (!Self::HARMLESS.contains(&self.action.as_str()) || self.deactivates)
    }

    pub fn is_failure(&self) -> bool {
        self.status == "failure"
    }

    /// It did what it was to do, and that ended nobody.
    pub fn went_well(&self) -> bool {
        self.redundant || (self.status == "success" && (self.of_group || !self.is_harmful()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
    }

    fn row(id: &str, minute: i64, source: u128, status: &str) -> LogRow {
        LogRow {
            id: id.into(),
            at: at(minute),
            action: "update".into(),
            status: status.into(),
            source: Some(Uuid::from_u128(source)),
            target: None,
            deactivates: false,
            of_group: false,
            reason: None,
            redundant: false,
        }
    }

    #[test]
    fn a_later_read_adds_and_tells_what_went_well_since() {
        let mut first = Log { rows: vec![row("b", 2, 1, "failure"), row("a", 1, 2, "failure")], ..Log::default() };
        first.unread.insert("a2".into(), None);
        first.note(&row("w", 3, 9, "success"));
        let first = first.settled();
        assert_eq!((first.rows[0].id.as_str(), first.went_well.len()), ("a", 0), "nothing had failed for the ninth");
        let mut second = Log { rows: vec![row("a2", 4, 2, "failure")], ..Log::default() };
        for (minute, source) in [(5, 1), (4, 1), (3, 2)] {
            second.note(&row("w", minute, source, "success"));
        }
        second.note(&row("f", 9, 2, "failure"));
        let both = second.join(&first).settled();
        assert_eq!(both.rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["a", "b", "a2"]);
        assert!(both.unread.is_empty(), "it could be read this time");
        assert_eq!(both.went_well[&Uuid::from_u128(1)], at(5));
        assert_eq!(both.rows.iter().map(|row| both.is_cured(row)).collect::<Vec<_>>(), [true, true, false]);
    }
}
