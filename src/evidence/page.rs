//! The report as one page.

use askama::Template;
use jiff::Timestamp;

use super::report::{Report, UserRow};
use crate::model::action::Action;
use crate::model::history::{Event, UserAfter, Verdict};
use crate::model::id::{GroupId, UserId};
use crate::model::memory::{CycleProof, DepartureKind};
use crate::model::snapshot::ScimUser;
use crate::model::write_record::{LastOutcome, WriteRecord};

#[derive(Template)]
#[template(path = "report.html")]
struct Html<'a> {
    report: &'a Report,
    css: &'static str,
}

/// One page without anything from elsewhere.
pub fn html(report: &Report) -> askama::Result<String> {
    Html { report, css: include_str!("report.css") }.render()
}

impl Html<'_> {
    fn time(&self, at: &Timestamp) -> String {
        format!("{at:.0}")
    }

    fn group(&self, id: &GroupId) -> String {
        let name = self.report.groups.iter().find(|group| group.id == *id).map(|group| group.name.clone());
        name.unwrap_or_else(|| id.to_string())
    }

    fn row(&self, id: &UserId) -> Option<&UserRow> {
        self.report.users.binary_search_by_key(id, |user| user.id).ok().map(|n| &self.report.users[n])
    }

    fn user(&self, id: &UserId) -> String {
        self.row(id).map_or_else(|| id.to_string(), UserRow::shown)
    }

    fn record(&self, record: &Option<ScimUser>) -> String {
        match record {
            None => "none".into(),
            Some(record) => {
                let active = match record.active {
                    Some(true) => "active",
                    Some(false) => "inactive",
                    None => "active or not is not said",
                };
                let made = record.created.map_or_else(String::new, |at| format!(", made {at:.0}"));
                format!("{}, {active}{made}", record.id)
            }
        }
    }

    fn verdict(&self, after: &UserAfter) -> String {
        let word = match after.verdict {
            Verdict::Kept => "kept",
            Verdict::NotCounted => "not counted",
            Verdict::Explained => "explained",
            Verdict::Lost => "lost",
            Verdict::Unknown => "unknown",
        };
        after.why.as_ref().map_or_else(|| word.into(), |why| format!("{word}: {why}"))
    }

    fn outcome(&self, write: &WriteRecord) -> String {
        let Some(ending) = &write.ending else { return "nobody knows".into() };
        let word = match (ending.outcome, ending.already) {
            (LastOutcome::Done, Some(true)) => "it was so already",
            (LastOutcome::Done, _) => "done",
            (LastOutcome::Failed, _) => "not done",
            (LastOutcome::Open, _) => "nobody knows",
        };
        ending.text.as_ref().map_or_else(|| word.into(), |text| format!("{word}: {text}"))
    }

    fn request(&self, write: &WriteRecord) -> String {
        let ids = write.ending.as_ref().map(|ending| (ending.request_id.as_deref(), ending.client_request_id.as_deref()));
        match ids {
            Some((Some(request), _)) => request.into(),
            Some((None, Some(client))) if !client.is_empty() => format!("ours: {client}"),
            _ => String::new(),
        }
    }

    /// Why something is not proven any more, behind "Not proven".
    fn since_rollback(&self) -> String {
        self.report.rolled_back.as_ref().map_or_else(String::new, |back| format!(": {}", back.words()))
    }

    /// Behind "The provisioning log".
    fn log(&self, proof: &CycleProof) -> String {
        if proof.log.starts_with("read") { format!("was {}", proof.log) } else { proof.log.clone() }
    }

    /// Of the token's deletion, which nobody but the operator writes.
    fn asked(&self) -> usize {
        self.report.writes.iter().filter(|write| write.action == Action::RequestRevocation).count()
    }

    fn cycles(&self) -> Vec<&Event> {
        self.report.witnessed.iter().map(|one| &one.event).filter(|event| matches!(event, Event::Cycle { .. })).collect()
    }

    /// What people and the token did meanwhile, in words.
    fn story(&self) -> Vec<(String, String)> {
        let words = |event: &Event| match event {
            Event::Cycle { .. } | Event::UsersAfter { .. } => None,
            Event::CycleProven { proof, .. } => Some(format!("step 4 proven: {}", proof.kept())),
            Event::CycleProofVoid => Some("the proof of step 4 no longer holds".into()),
            Event::TokenRejected { .. } => Some("step 5 proven: the token is rejected".into()),
            Event::TokenAnswersAgain => Some("the token answers again".into()),
            Event::Departed { user, kind: DepartureKind::Disabled }
                if self.row(user).is_some_and(|row| row.disabled_when_first_seen) =>
            {
                Some(format!("{}: disabled in Entra before it began", self.user(user)))
            }
            Event::Departed { user, kind } => Some(format!("{}: {} by somebody else", self.user(user), departed(*kind))),
            Event::Returned { user } => Some(format!("{} is back", self.user(user))),
            Event::Lost { user, why } => Some(format!("{} counts as lost: {why}", self.user(user))),
            Event::NoLongerLost { user } => Some(format!("{} no longer counts as lost", self.user(user))),
            Event::Doubted { user, why } => Some(format!("nobody can say whether {} is kept: {why}", self.user(user))),
            Event::NoLongerDoubted { user } => Some(format!("{} has a record under a known name again", self.user(user))),
            Event::Released { user } => Some(format!("{} was released by the operator, and counts no more", self.user(user))),
            Event::NoLongerReleased { user } => Some(format!("{} is released no more, and counts again", self.user(user))),
            Event::Renamed { user, name } => Some(format!("{} is {name} in Entra and at the target now", self.user(user))),
            Event::AssignedAgain { group } => {
                Some(format!("{} was assigned to the app again by somebody else", self.group(group)))
            }
            Event::OffAgain { group } => Some(format!("{} is off the app once more", self.group(group))),
            Event::Offboarded { user } => Some(format!(
                "{} was taken out: a direct assignment is gone by somebody else, and is not given back",
                self.user(user)
            )),
            Event::NoLongerOffboarded { user } => Some(format!("{} no longer counts as taken out", self.user(user))),
            Event::StrangerEnded { who, why } => Some(format!("{who}, never protected, ended: {why}")),
            Event::StrangerOver { who, why } => Some(format!("{who}, never protected, counts no more: {why}")),
        };
        let seen = self.report.witnessed.iter().filter_map(|one| Some((one.at, words(&one.event)?)));
        let rollbacks = self.report.rollbacks.iter().map(|back| (back.at, back.words()));
        let mut all: Vec<_> = seen.chain(rollbacks).collect();
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(at, words)| (format!("{at:.0}"), words)).collect()
    }
}

fn departed(kind: DepartureKind) -> &'static str {
    match kind {
        DepartureKind::Deleted => "deleted in Entra",
        DepartureKind::Disabled => "disabled in Entra",
        DepartureKind::Left => "taken out of every managed group",
    }
}
