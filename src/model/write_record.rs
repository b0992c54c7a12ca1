//! The journal as a story: what was begun, and how it ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::action::Action;
use crate::model::key::Key;

/// One write that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteRecord {
    /// The line of its beginning.
    pub line: i64,
    /// Our time.
    pub at: Timestamp,
    pub turn: u64,
    #[serde(flatten)]
    pub action: Action,
    /// `None`: the process ended before anything was known.
    pub ending: Option<Ending>,
}

/// The last that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    pub outcome: LastOutcome,
    /// Our time.
    pub at: Timestamp,
    /// Of what is done: the service's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_at: Option<Timestamp>,
    /// It was so before. Not known where nobody answered and later looks have shown it done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub already: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LastOutcome {
    Done,
    Failed,
    Open,
}

impl WriteRecord {
    /// The service has confirmed it, or later looks have shown it.
    pub fn is_done(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.outcome == LastOutcome::Done)
    }

    /// It is so, and it was not so before: we did it.
    pub fn is_ours(&self) -> bool {
        self.is_done() && self.ending.as_ref().is_some_and(|ending| ending.already != Some(true))
    }
}

/// Says of writes that nobody answered what the same one has found when it was made again: had it been so, it would have been told that it was.
pub fn conclude_by_later(writes: &mut [WriteRecord]) {
    let mut open: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for later in 0..writes.len() {
        let key = writes[later].action.key();
        let Some(opposite) = key.opposite() else { continue };
        let write = &writes[later];
        if write.ending.as_ref().is_none_or(|ending| ending.outcome == LastOutcome::Open) {
            open.entry(key).or_default().push(later);
        } else if let Some(ending) = write.ending.as_ref().filter(|_| write.is_done()) {
            // It may have been done, and taken back since.
            open.remove(&opposite);
            let (at, text) = (ending.at, format!("no answer; it was not so when it was written again (line {})", write.line));
            // Later looks have shown this one done: which of them did it nobody knows.
            let before = if ending.already == Some(false) { open.remove(&key).unwrap_or_default() } else { Vec::new() };
            for earlier in before {
                writes[earlier].ending = Some(Ending {
                    outcome: LastOutcome::Failed,
                    at,
                    service_at: None,
                    already: None,
                    request_id: None,
                    client_request_id: None,
                    text: Some(text.clone()),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{AppRoleId, GroupId, UserId};

    #[test]
    fn an_unanswered_write_is_settled_by_the_same_one_that_found_it_not_so() {
        let (user, group) = (UserId(uuid::Uuid::from_u128(1)), GroupId(uuid::Uuid::from_u128(2)));
        let role = AppRoleId(uuid::Uuid::nil());
        let (remove, restore) = (Action::RemoveMember { group, user }, Action::RestoreMember { group, user });
        let assign = Action::AssignUser { user, role };
        let ask = Action::RequestRevocation;
        let (open, done, so, seen) = (
            Some((LastOutcome::Open, None)),
            Some((LastOutcome::Done, Some(false))),
            Some((LastOutcome::Done, Some(true))),
            Some((LastOutcome::Done, None)),
        );
        type Told = Option<(LastOutcome, Option<bool>)>;
        let outcomes = |story: &[(&Action, Told)]| {
            let record = |(line, (action, ending)): (i64, &(&Action, Told))| WriteRecord {
                line,
                at: Timestamp::UNIX_EPOCH,
                turn: 1,
                action: (*action).clone(),
                ending: ending.map(|(outcome, already)| Ending {
                    outcome,
                    at: Timestamp::UNIX_EPOCH,
                    service_at: None,
                    already,
                    request_id: None,
                    client_request_id: None,
                    text: None,
                }),
            };
            let mut writes: Vec<_> = (1..).zip(story).map(record).collect();
            conclude_by_later(&mut writes);
            writes.into_iter().map(|write| write.ending.map(|ending| (ending.outcome, ending.text))).collect::<Vec<_>>()
        };
        let settled = |line: i64| {
            Some((LastOutcome::Failed, Some(format!("no answer; it was not so when it was written again (line {line})"))))
        };
        let plain = |ending: Told| ending.map(|(outcome, _)| (outcome, None));
        let three = outcomes(&[(&remove, open), (&assign, open), (&remove, None), (&remove, done)]);
        assert_eq!(three, [settled(4), plain(open), settled(4), plain(done)]);
        for later in [so, seen, open, None] {
            assert_eq!(outcomes(&[(&remove, open), (&remove, later)]), [plain(open), plain(later)], "nobody knows whose it is");
        }
        let taken_back = outcomes(&[(&remove, open), (&restore, done), (&remove, done)]);
        assert_eq!(taken_back, [plain(open), plain(done), plain(done)]);
        let asked = outcomes(&[(&ask, open), (&ask, done)]);
        assert_eq!(asked, [plain(open), plain(done)], "a webhook that was called twice may have been heard twice");
    }
}
