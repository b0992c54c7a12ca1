//! The metrics: gauges from the published status alone, counters from what happens. No user, mail or token in any label.

mod labels;
mod make;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::process_collector::ProcessCollector;
use prometheus::{CounterVec, Gauge, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};
use tokio::time::Instant;

use crate::model::action::{Action, Done};
use crate::model::condition::{ConditionKind, Truth};
use crate::model::status::{Gauges, Phase, Status, TurnResult};
use crate::world::http::{Api, Observer};
pub use labels::operations;
use labels::{CODES, brakes, known_brake};
use make::{counters, gauge, gauges, histogram, histograms, real, waits};

/// All metrics of the process, and its sign of life.
pub struct Metrics {
    registry: Registry,
    beat: Mutex<Instant>,
    phase: IntGaugeVec,
    condition: IntGaugeVec,
    users: IntGaugeVec,
    groups: IntGaugeVec,
    group_members: IntGauge,
    target_users: IntGaugeVec,
    target_groups: IntGaugeVec,
    token_revoked: IntGauge,
    users_lost: IntGauge,
    held: IntGaugeVec,
    quarantined: IntGauge,
    last_cycle: Gauge,
    turns: IntCounterVec,
    turn_duration: Histogram,
    last_attempt: Gauge,
    last_success: Gauge,
    actions: IntCounterVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    throttled: IntCounterVec,
    throttle_wait: CounterVec,
    write_quota: Gauge,
    credential_expiry: Gauge,
    reload_success: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let build = gauges(r, "build_info", "Always 1; the labels say which build runs.", &["version", "commit"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("UNSCIM_COMMIT").unwrap_or("unknown")]).set(1);
        registry.register(Box::new(ProcessCollector::for_self())).expect("each metric is registered once");
        let metrics = Metrics {
            beat: Mutex::new(Instant::now()),
            phase: gauges(
                r,
                "phase",
                "1 for the phase the retirement is in, 0 for the others. Held: a person must decide.",
                &["phase"],
            ),
            condition: gauges(
                r,
                "condition",
                "1 for the status that a condition has, 0 for the others. True is the good value for all but Held.",
                &["type", "status"],
            ),
            users: gauges(
                r,
                "users",
                "Users by their path into provisioning scope, or lost at the target. group_only goes to 0 in step 1; any lost \
                 user needs a person at once.",
                &["state"],
            ),
            groups: gauges(
                r,
                "groups",
                "Managed groups: assigned to the app, emptied, unassigned, or refused because a decision is missing.",
                &["state"],
            ),
            group_members: gauge(r, "group_members", "User memberships left in managed groups; goes to 0 in step 2."),
            target_users: gauges(r, "target_users", "Users at the target, by whether they are active there.", &["active"]),
            target_groups: gauges(r, "target_groups", "Groups at the target, by whether they are ours to retire.", &["managed"]),
            token_revoked: gauge(r, "token_revoked", "1 once the app refuses the SCIM token like one that never existed."),
            users_lost: gauge(
                r,
                "users_lost",
                "Protected users who are gone, inactive or made anew at the target. Above 0: stop and look at once.",
            ),
            held: gauges(
                r,
                "held",
                "1 while this brake, preflight or a refusal holds the retirement; the status says why and what to do.",
                &["brake"],
            ),
            quarantined: gauge(r, "sync_job_quarantined", "1 while Entra has the synchronization job in quarantine."),
            last_cycle: real(r, "sync_last_cycle_timestamp_seconds", "When the last provisioning cycle ended, in Unix seconds."),
            turns: counters(r, "reconcile_total", "Turns of the loop, by how they ended.", &["result"]),
            turn_duration: histogram(r, "reconcile_duration_seconds", "Duration of one turn in seconds."),
            last_attempt: real(r, "last_attempt_timestamp_seconds", "When the last turn began, in Unix seconds."),
            last_success: real(
                r,
                "last_success_timestamp_seconds",
                "When the last turn that saw everything ended, in Unix seconds. If it stays behind, see the conditions.",
            ),
            actions: counters(r, "actions_total", "Actions carried out, by how they ended.", &["action", "result"]),
            requests: counters(
                r,
                "http_requests_total",
                "Requests sent, by HTTP status, or by a word where no answer came.",
                &["api", "operation", "code"],
            ),
            request_duration: histograms(
                r,
                "http_request_duration_seconds",
                "Duration of one request in seconds, with the whole answer.",
                &["api", "operation"],
            ),
            throttled: counters(r, "throttled_total", "Answers that asked us to slow down.", &["api"]),
            throttle_wait: waits(
                r,
                "throttle_wait_seconds_total",
                "Seconds waited because we were asked to slow down.",
                &["api"],
            ),
            write_quota: real(r, "write_quota_ratio", "Share of Graph's write quota that we use, 0 to 1."),
            credential_expiry: real(
                r,
                "credential_expiry_timestamp_seconds",
                "When our Entra credential expires, in Unix seconds; 0 if not known. Renew it before.",
            ),
            reload_success: gauge(
                r,
                "config_last_reload_success",
                "1 if the config that was read last is in force; 0 if it is wrong and the one before stays.",
            ),
            registry,
        };
        metrics.start_at_zero();
        metrics
    }

    /// The text format.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Sets every gauge that a status speaks of; what it does not know stays as it was.
    pub fn publish(&self, status: &Status) {
        for phase in Phase::ALL {
            self.phase.with_label_values(&[phase.as_str()]).set(i64::from(*phase == status.phase));
        }
        for kind in ConditionKind::ALL {
            let now = status.condition(*kind).map(|condition| condition.status);
            for truth in Truth::ALL {
                self.condition.with_label_values(&[kind.as_str(), truth.as_str()]).set(i64::from(now == Some(*truth)));
            }
        }
        for brake in brakes() {
            let bites = status.held.iter().any(|held| known_brake(&held.brake) == brake);
            self.held.with_label_values(&[brake]).set(i64::from(bites));
        }
        self.token_revoked.set(i64::from(status.is_true(ConditionKind::TokenRevoked)));
        self.users_lost.set(whole(status.progress.users_lost));
        self.users.with_label_values(&["lost"]).set(whole(status.progress.users_lost));
        self.quarantined.set(i64::from(status.cycle.quarantined));
        set_time(&self.last_cycle, status.cycle.last_ended);
        set_time(&self.last_attempt, status.last_attempt);
        set_time(&self.last_success, status.last_success);
        self.publish_gauges(&status.gauges);
    }

    /// One turn has ended.
    pub fn turn(&self, result: TurnResult, took: Duration) {
        self.turns.with_label_values(&[result.label()]).inc();
        self.turn_duration.observe(took.as_secs_f64());
    }

    /// One action has ended; `kind` is [`Action::kind`].
    pub fn action(&self, kind: &'static str, result: Done) {
        self.actions.with_label_values(&[kind, result.label()]).inc();
    }

    /// Share of Graph's write quota in use, 0 to 1.
    pub fn set_write_quota(&self, share: f64) {
        self.write_quota.set(share);
    }

    /// When our credential expires; `None` is not known.
    pub fn set_credential_expiry(&self, at: Option<Timestamp>) {
        self.credential_expiry.set(at.map_or(0.0, unix));
    }

    /// The config as last read is in force.
    pub fn reloaded(&self) {
        self.reload_success.set(1);
    }

    /// The config as last read is wrong.
    pub fn reload_failed(&self) {
        self.reload_success.set(0);
    }

    /// A sign of life.
    pub fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Time since the last sign of life.
    pub fn quiet_for(&self) -> Duration {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn publish_gauges(&self, gauges: &Gauges) {
        let Gauges {
            users_group_only,
            users_direct_and_group,
            users_direct_only,
            groups_assigned,
            groups_emptied,
            groups_unassigned,
            groups_refused,
            group_members,
            target_users_active,
            target_users_inactive,
            target_groups_managed,
            target_groups_unmanaged,
        } = gauges;
        let labelled = [
            (&self.users, "group_only", users_group_only),
            (&self.users, "direct_and_group", users_direct_and_group),
            (&self.users, "direct_only", users_direct_only),
            (&self.groups, "assigned", groups_assigned),
            (&self.groups, "emptied", groups_emptied),
            (&self.groups, "unassigned", groups_unassigned),
            (&self.groups, "refused", groups_refused),
            (&self.target_users, "true", target_users_active),
            (&self.target_users, "false", target_users_inactive),
            (&self.target_groups, "true", target_groups_managed),
            (&self.target_groups, "false", target_groups_unmanaged),
        ];
        for (gauge, label, value) in labelled {
            if let Some(value) = value {
                gauge.with_label_values(&[label]).set(whole(*value));
            }
        }
        if let Some(value) = group_members {
            self.group_members.set(whole(*value));
        }
    }

    /// Every label set that is known beforehand: a series that appears late hides its first increase.
    fn start_at_zero(&self) {
        for phase in Phase::ALL {
            self.phase.with_label_values(&[phase.as_str()]);
        }
        for kind in ConditionKind::ALL {
            for truth in Truth::ALL {
                self.condition.with_label_values(&[kind.as_str(), truth.as_str()]);
            }
        }
        for state in ["group_only", "direct_and_group", "direct_only", "lost"] {
            self.users.with_label_values(&[state]);
        }
        for state in ["assigned", "emptied", "unassigned", "refused"] {
            self.groups.with_label_values(&[state]);
        }
        for truth in ["true", "false"] {
            self.target_users.with_label_values(&[truth]);
            self.target_groups.with_label_values(&[truth]);
        }
        for brake in brakes() {
            self.held.with_label_values(&[brake]);
        }
        for result in TurnResult::ALL {
            self.turns.with_label_values(&[result.label()]);
        }
        for kind in Action::KINDS {
            for result in Done::ALL {
                self.actions.with_label_values(&[kind, result.label()]);
            }
        }
        for api in Api::ALL {
            self.throttled.with_label_values(&[api.label()]);
            self.throttle_wait.with_label_values(&[api.label()]);
            for operation in operations(api) {
                self.request_duration.with_label_values(&[api.label(), operation]);
                for code in CODES {
                    self.requests.with_label_values(&[api.label(), operation, code]);
                }
            }
        }
    }
}

impl Observer for Metrics {
    fn answered(&self, api: Api, operation: &'static str, code: &str, took: Duration) {
        self.beat();
        self.requests.with_label_values(&[api.label(), operation, code]).inc();
        self.request_duration.with_label_values(&[api.label(), operation]).observe(took.as_secs_f64());
    }

    fn throttled(&self, api: Api, wait: Duration) {
        self.beat();
        self.throttled.with_label_values(&[api.label()]).inc();
        self.throttle_wait.with_label_values(&[api.label()]).inc_by(wait.as_secs_f64());
    }
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unix(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

fn set_time(gauge: &Gauge, at: Option<Timestamp>) {
    if let Some(at) = at {
        gauge.set(unix(at));
    }
}
