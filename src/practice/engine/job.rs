//! The synchronization job: its schedule, what it shows of its cycles, its quarantine. It provisions nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::model::id::JobId;
use crate::practice::clock::{later, stamp};
use crate::practice::odata::iso_duration;
use crate::practice::scenario::Sentinels;

const YEAR_ONE: &str = "0001-01-01T00:00:00Z";
/// What the service shows as the interval of a job that never ran.
const NO_INTERVAL: &str = "P10675199DT2H48M5.4775807S";
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub id: JobId,
    pub schedule: Schedule,
    pub interval: Duration,
    pub sentinels: Sentinels,
    pub threshold: Option<u64>,
    /// An admin has allowed whatever deletions the next cycle has.
    pub deletes_allowed: bool,
    /// A cycle is under way since then; it shows nowhere but in `progress`.
    pub running: Option<Timestamp>,
    /// Beginning of the last cycle, for the schedule.
    pub began: Option<Timestamp>,
    pub last: Option<Execution>,
    pub last_success: Option<Execution>,
    pub last_export: Option<Execution>,
    pub quarantine: Option<Quarantine>,
    pub steady_first: Option<Timestamp>,
    pub steady_last: Option<Timestamp>,
    /// Cumulative: never goes down.
    pub counts: BTreeMap<&'static str, u64>,
    pub failures: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    Active,
    Paused,
    /// Never started, or given up after four weeks of quarantine.
    Disabled,
}

#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub activity: String,
    pub result: ExecutionResult,
    pub began: Timestamp,
    pub ended: Timestamp,
    pub entitled: usize,
    pub provisionable: usize,
    pub exports: usize,
    pub exported: usize,
    pub failed: usize,
    pub deltas: usize,
    pub error: Option<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecutionResult {
    Succeeded,
    Failed,
    EntryLevelErrors,
}

#[derive(Clone, Debug)]
pub(crate) struct Quarantine {
    pub reason: &'static str,
    pub message: String,
    pub series_began: Timestamp,
    pub current_began: Timestamp,
    pub next_attempt: Timestamp,
    pub count: u64,
}

impl Job {
    pub fn new(id: JobId, interval: Duration, sentinels: Sentinels, threshold: Option<u64>) -> Self {
        Job {
            id,
            schedule: Schedule::Disabled,
            interval,
            sentinels,
            threshold,
            deletes_allowed: false,
            running: None,
            began: None,
            last: None,
            last_success: None,
            last_export: None,
            quarantine: None,
            steady_first: None,
            steady_last: None,
            counts: BTreeMap::new(),
            failures: 0,
        }
    }

    /// When the next cycle begins, if one does.
    pub fn due(&self) -> Option<Timestamp> {
        match (self.schedule, &self.quarantine, self.began) {
            (Schedule::Paused | Schedule::Disabled, _, _) => None,
            (Schedule::Active, Some(quarantine), _) => Some(quarantine.next_attempt),
            (Schedule::Active, None, Some(began)) => Some(later(began, self.interval)),
            (Schedule::Active, None, None) => Some(Timestamp::MIN),
        }
    }

    /// Resumes where it stood; a quarantine is over.
    pub fn start(&mut self) {
        self.schedule = Schedule::Active;
        self.quarantine = None;
    }

    /// A running cycle still ends.
    pub fn pause(&mut self) {
        self.schedule = Schedule::Paused;
    }

    /// Takes the end of a cycle into the books.
    pub fn ended(&mut self, execution: Execution) {
        let ended = execution.ended;
        self.running = None;
        match execution.result {
            ExecutionResult::Failed => self.failures += 1,
            ExecutionResult::Succeeded | ExecutionResult::EntryLevelErrors => {
                self.failures = 0;
                self.quarantine = None;
                self.steady_first.get_or_insert(ended);
                self.steady_last = Some(ended);
            }
        }
        if execution.result == ExecutionResult::Succeeded {
            self.last_success = Some(execution.clone());
            if execution.exported > 0 {
                self.last_export = Some(execution.clone());
            }
        }
        self.last = Some(execution);
    }

    /// Tries again after 6, 12, then every 24 hours; gives up after 28 days.
    pub fn quarantine(&mut self, reason: &'static str, message: String, at: Timestamp) {
        let (series_began, count) = self.quarantine.as_ref().map_or((at, 1), |before| (before.series_began, before.count + 1));
        let wait = match count {
            1 => 6 * HOUR,
            2 => 12 * HOUR,
            _ => 24 * HOUR,
        };
        if at >= later(series_began, 28 * 24 * HOUR) {
            self.schedule = Schedule::Disabled;
        }
        let next_attempt = later(at, wait);
        self.quarantine = Some(Quarantine { reason, message, series_began, current_began: at, next_attempt, count });
    }

    fn code(&self) -> &'static str {
        match (self.schedule, &self.quarantine, &self.last) {
            (Schedule::Paused, _, _) if self.running.is_none() => "Paused",
            (_, Some(_), _) => "Quarantine",
            (_, None, None) => "NotRun",
            (_, None, Some(_)) => "Active",
        }
    }

    pub fn to_json(&self) -> Value {
        let state = match self.schedule {
            Schedule::Active => "Active",
            Schedule::Paused => "Paused",
            Schedule::Disabled => "Disabled",
        };
        let never_ran = self.last.is_none() && self.schedule == Schedule::Disabled;
        let interval = if never_ran { NO_INTERVAL.to_owned() } else { iso_duration(self.interval) };
        let settings = self.threshold.map(|n| json!({"name": "QuarantineTooManyDeletesThreshold", "value": n.to_string()}));
        let progress = self.running.map(
            |at| json!({"units": "Objects", "completedUnits": 0, "totalUnits": 0, "progressObservationDateTime": stamp(at)}),
        );
        let time = |at: Option<Timestamp>| at.map_or_else(|| YEAR_ONE.to_owned(), stamp);
        let counts: Vec<_> = self.counts.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        json!({
            "id": self.id, "templateId": "scim",
            "schedule": {"expiration": null, "interval": interval, "state": state},
            "status": {
                "code": self.code(),
                "countSuccessiveCompleteFailures": self.failures,
                "escrowsPruned": false,
                "lastExecution": self.execution(&self.last),
                "lastSuccessfulExecution": self.execution(&self.last_success),
                "lastSuccessfulExecutionWithExports": self.execution(&self.last_export),
                "progress": Vec::from_iter(progress),
                "quarantine": self.quarantine.as_ref().map(Quarantine::to_json),
                "steadyStateFirstAchievedTime": time(self.steady_first),
                "steadyStateLastAchievedTime": time(self.steady_last),
                "synchronizedEntryCountByType": counts,
                "troubleshootingUrl": null,
            },
            "synchronizationJobSettings": Vec::from_iter(settings),
        })
    }

    fn execution(&self, execution: &Option<Execution>) -> Value {
        match (execution, self.sentinels) {
            (Some(execution), _) => execution.to_json(),
            (None, Sentinels::Null) => Value::Null,
            (None, Sentinels::YearOne) => json!({
                "activityIdentifier": null, "countEntitled": 0, "countEntitledForProvisioning": 0, "countEscrowed": 0,
                "countEscrowedRaw": 0, "countExported": 0, "countExports": 0, "countImported": 0, "countImportedDeltas": 0,
                "countImportedReferenceDeltas": 0, "error": error("None", "", false), "state": "Failed",
                "timeBegan": YEAR_ONE, "timeEnded": YEAR_ONE,
            }),
        }
    }
}

impl Execution {
    fn to_json(&self) -> Value {
        let state = match self.result {
            ExecutionResult::Succeeded => "Succeeded",
            ExecutionResult::Failed => "Failed",
            ExecutionResult::EntryLevelErrors => "EntryLevelErrors",
        };
        json!({
            "activityIdentifier": self.activity, "state": state,
            "timeBegan": stamp(self.began), "timeEnded": stamp(self.ended),
            "countEntitled": self.entitled, "countEntitledForProvisioning": self.provisionable,
            "countEscrowed": self.failed, "countEscrowedRaw": self.failed,
            "countExports": self.exports, "countExported": self.exported, "countImported": 0,
            "countImportedDeltas": self.deltas, "countImportedReferenceDeltas": 0,
            "error": self.error.as_ref().map(|(code, message)| error(code, message, true)),
        })
    }
}

impl Quarantine {
    fn to_json(&self) -> Value {
        json!({
            "reason": self.reason, "currentBegan": stamp(self.current_began), "nextAttempt": stamp(self.next_attempt),
            "seriesBegan": stamp(self.series_began), "seriesCount": self.count,
            "error": error(self.reason, &self.message, true),
        })
    }
}

fn error(code: &str, message: &str, tenant_actionable: impl Into<Value>) -> Value {
    json!({"code": code, "message": message, "tenantActionable": tenant_actionable.into()})
}
