//! What makes a cycle good: it ended well, in the steady state, and whatever failed in it is known to be none of ours.

use std::fmt::{self, Display};

use jiff::Timestamp;

use crate::judge::facts::Facts;
use crate::model::condition::Reason;
use crate::model::id::{GroupId, UserId};
use crate::model::memory::GoodCycle;
use crate::model::moment::{is_ahead, since};
use crate::model::snapshot::{ExecutionState, Job, JobCode, Log, LogRow, Quarantine, ScheduleState};

/// Why a cycle is no good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotGood {
    /// It failed for somebody or something of ours: the next one does so too, until a person has fixed the cause.
    ForOurs(String),
    Other(String),
}

impl<T: Into<String>> From<T> for NotGood {
    fn from(why: T) -> Self {
        NotGood::Other(why.into())
    }
}

impl Display for NotGood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (NotGood::ForOurs(why) | NotGood::Other(why)) = self;
        f.write_str(why)
    }
}

/// The job's last execution as a good cycle, or why it is none.
pub fn good(facts: &Facts, job: &Job) -> Result<GoodCycle, NotGood> {
    let Some(last) = &job.last else { return Err("no cycle has ended yet".into()) };
    if job.quarantine.is_some() || job.code == JobCode::Quarantine {
        return Err("the job is in quarantine".into());
    }
    if job.code != JobCode::Active || job.schedule != ScheduleState::Active {
        return Err("the job is not active".into());
    }
    let Some(ended) = last.ended.filter(|ended| *ended >= last.began) else { return Err("the cycle has not ended".into()) };
    if facts.seen.jobs.known().is_some_and(|look| is_ahead(ended, look.at)) {
        return Err("it ends in the service's own future".into());
    }
    if job.steady_state_last.is_none_or(|steady| steady < last.began) {
        return Err("the job has not reached its steady state since that cycle began".into());
    }
    match &last.state {
        ExecutionState::Succeeded if last.escrowed.is_none_or(|escrowed| escrowed == 0) => {}
        // It may succeed and leave entries to be tried again.
        ExecutionState::Succeeded => {
            let log = log_of(facts, "left entries to be tried again (countEscrowed)", ended)?;
            failures_of_others(facts, log, last.began, ended)?;
        }
        ExecutionState::EntryLevelErrors => errors_touch_nobody(facts, last.began, ended)?,
        ExecutionState::Failed => return Err("the cycle failed".into()),
        ExecutionState::Other(state) => return Err(format!("the cycle ended in a state that is not known here: {state}").into()),
    }
    Ok(GoodCycle {
        activity: last.activity.clone(),
        began: last.began,
        ended,
        turn: facts.memory.remembered.turn,
        clean: last.state == ExecutionState::Succeeded && last.escrowed == Some(0),
    })
}

/// A wait for a good cycle after this event, with why the last one is none. It is a person's where the cycles go on to fail for somebody
/// of ours, and where none has ended well for too long.
pub fn wait(facts: &Facts, event: Option<Timestamp>, otherwise: Reason, on: &str) -> (Reason, String) {
    let why = facts.job().and_then(|job| good(facts, job).err());
    let latest = facts.memory.remembered.cycles.last().map(|cycle| cycle.ended).max(event);
    let is_overdue = |at| facts.seen.jobs.known().is_some_and(|look| since(at, look.at) > facts.cycle_limit());
    let reason = match why {
        Some(NotGood::ForOurs(_)) => Reason::EntriesFailed,
        Some(NotGood::Other(_)) | None if latest.is_some_and(is_overdue) => Reason::CycleOverdue,
        Some(NotGood::Other(_)) | None => otherwise,
    };
    let doubt = why.map_or_else(String::new, |why| format!(" (the last one does not count: {why})"));
    (reason, format!("{on}{doubt}"))
}

/// A cycle with entry-level errors counts only if the log shows them, and they name nobody of ours. No row is no proof.
fn errors_touch_nobody(facts: &Facts, began: Timestamp, ended: Timestamp) -> Result<(), NotGood> {
    let log = log_of(facts, "had errors", ended)?;
    let within = |at: Timestamp| at >= began && at <= ended;
    if !log.rows.iter().any(|row| row.is_failure() && within(row.at)) {
        return Err("the cycle had errors and the provisioning log does not show them yet".into());
    }
    failures_of_others(facts, log, began, ended)
}

/// Whatever failed in the cycle is known to be somebody else's.
fn failures_of_others(facts: &Facts, log: &Log, began: Timestamp, ended: Timestamp) -> Result<(), NotGood> {
    let within = |at: Timestamp| at >= began && at <= ended;
    if let Some(row) = log.rows.iter().find(|row| row.is_failure() && within(row.at) && row.source.is_none()) {
        return Err(format!("the cycle had an error that names nobody (log entry {})", row.id).into());
    }
    if let Some((id, _)) = log.unread.iter().find(|(_, at)| at.is_none_or(within)) {
        return Err(format!("the cycle had errors and entry {id} of the provisioning log could not be read").into());
    }
    failed_for_ours(facts, log, began, ended).map_err(NotGood::ForOurs)
}

fn log_of<'a>(facts: &Facts<'a>, what: &str, ended: Timestamp) -> Result<&'a Log, String> {
    let Some(log) = facts.seen.log.known() else {
        return Err(format!("the cycle {what} and the provisioning log can't be read"));
    };
    if log.at < ended {
        return Err(format!("the cycle {what} and the provisioning log was read before it ended"));
    }
    Ok(&log.value)
}

/// Something failed for a protected user until this time and has not gone well since, or for a managed group from `began` on: what
/// becomes of a group shows at the target itself.
pub fn failed_for_ours(facts: &Facts, log: &Log, began: Timestamp, until: Timestamp) -> Result<(), String> {
    let Some(baseline) = facts.baseline() else { return Err("there is no baseline".into()) };
    let after_it = |row: &LogRow| facts.memory.remembered.cycles.iter().any(|cycle| cycle.clean && cycle.began > row.at);
    let lasting = log.rows.iter().filter(|row| row.is_failure() && row.at >= baseline.taken && row.at <= until);
    for row in lasting.filter(|row| !log.is_cured(row) && !after_it(row)) {
        let Some(source) = row.source else { continue };
        let (user, group) = (UserId(source), GroupId(source));
        let why = row.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
        if baseline.users.contains_key(&user) && !facts.is_released(user) && !facts.has_departed(user) {
            return Err(format!(
                "it failed for {}, who is protected (log entry {}{why}); fix their record, or put them into spec.released",
                facts.user_name(user),
                row.id
            ));
        }
        if baseline.groups.contains_key(&group) && row.at >= began {
            return Err(format!(
                "it failed for the managed group {} (log entry {}{why}); see there what the app refused, and have its record fixed or \
                 made again in the app",
                facts.group_name(group),
                row.id
            ));
        }
    }
    Ok(())
}

/// Why the job is in quarantine, each word once.
pub fn told(quarantine: &Quarantine) -> String {
    let Quarantine { reason, message } = quarantine;
    let message = message.strip_prefix(reason.as_str()).and_then(|rest| rest.strip_prefix(':')).unwrap_or(message);
    format!("{reason}: {}", message.trim().trim_end_matches('.'))
}

/// How the job leaves its quarantine.
pub fn remedy(quarantine: &Quarantine) -> &'static str {
    // Nothing is executed until an admin decides (Microsoft, "Enable accidental deletions prevention").
    if quarantine.reason == "TooManyDeletes" {
        "see in the provisioning log what is staged for deletion (stagedDelete); if it is only what is meant to go, allow it on the app's provisioning page (\"Allow deletes\"), else assign it again there"
    } else {
        "fix the cause on the app's provisioning page until the job leaves it"
    }
}
