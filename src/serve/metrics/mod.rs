//! The metrics: gauges from the published status alone, counters from what happens. No user, mail or token in any label.

mod help;
mod labels;
mod make;
mod publish;
mod unread;

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Gauge, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};
use tokio::time::Instant;

use crate::model::action::Done;
use crate::model::status::TurnResult;
use crate::world::http::{Api, Observer};
pub use labels::operations;
use make::{counters, gauge, gauges, histogram, histograms, real, waits};
use unread::Unread;

/// All metrics of the process, and its sign of life.
pub struct Metrics {
    registry: Registry,
    unread: Unread,
    beat: Mutex<Instant>,
    phase: IntGaugeVec,
    condition: IntGaugeVec,
    reason: IntGaugeVec,
    users: IntGaugeVec,
    groups: IntGaugeVec,
    group_members: IntGauge,
    groups_assigned_again: IntGauge,
    target_users: IntGaugeVec,
    target_groups: IntGaugeVec,
    token_revoked: IntGauge,
    users_lost: IntGauge,
    held: IntGaugeVec,
    writes_remaining: IntGaugeVec,
    earliest_finish: Gauge,
    quarantined: IntGauge,
    last_cycle: Gauge,
    cycle_expected: Gauge,
    cycle_overdue: IntGauge,
    turns: IntCounterVec,
    turn_duration: Histogram,
    interval: Gauge,
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
    quota_now: OnceLock<QuotaNow>,
}

/// Asked at each scrape: between turns, and in a long one, the share goes on changing.
type QuotaNow = Box<dyn Fn() -> f64 + Send + Sync>;

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let registry = Registry::new();
        let r = &registry;
        let build = gauges(r, "build_info", &["version", "commit"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("UNSCIM_COMMIT").unwrap_or("unknown")]).set(1);
        registry.register(Box::new(ProcessCollector::for_self())).expect("each metric is registered once");
        let metrics = Metrics {
            unread: publish::unread(),
            beat: Mutex::new(Instant::now()),
            phase: gauges(r, "phase", &["phase"]),
            condition: gauges(r, "condition", &["type", "status"]),
            reason: gauges(r, "reason", &["reason"]),
            users: gauges(r, "users", &["state"]),
            groups: gauges(r, "groups", &["state"]),
            group_members: gauge(r, "group_members"),
            groups_assigned_again: gauge(r, "groups_assigned_again"),
            target_users: gauges(r, "target_users", &["active"]),
            target_groups: gauges(r, "target_groups", &["managed"]),
            token_revoked: gauge(r, "token_revoked"),
            users_lost: gauge(r, "users_lost"),
            held: gauges(r, "held", &["brake"]),
            writes_remaining: gauges(r, "writes_remaining", &["kind"]),
            earliest_finish: real(r, "earliest_finish_timestamp_seconds"),
            quarantined: gauge(r, "sync_job_quarantined"),
            last_cycle: real(r, "sync_last_cycle_timestamp_seconds"),
            cycle_expected: real(r, "sync_cycle_expected_by_timestamp_seconds"),
            cycle_overdue: gauge(r, "sync_cycle_overdue"),
            turns: counters(r, "reconcile_total", &["result"]),
            turn_duration: histogram(r, "reconcile_duration_seconds"),
            interval: real(r, "reconcile_interval_seconds"),
            last_attempt: real(r, "last_attempt_timestamp_seconds"),
            last_success: real(r, "last_success_timestamp_seconds"),
            actions: counters(r, "actions_total", &["action", "result"]),
            requests: counters(r, "http_requests_total", &["api", "operation", "code"]),
            request_duration: histograms(r, "http_request_duration_seconds", &["api", "operation"]),
            throttled: counters(r, "throttled_total", &["api"]),
            throttle_wait: waits(r, "throttle_wait_seconds_total", &["api"]),
            write_quota: real(r, "write_quota_ratio"),
            credential_expiry: real(r, "credential_expiry_timestamp_seconds"),
            reload_success: gauge(r, "config_last_reload_success"),
            quota_now: OnceLock::new(),
            registry,
        };
        metrics.start_at_zero();
        metrics
    }

    /// The text format, of what is known.
    pub fn text(&self) -> prometheus::Result<String> {
        Ok(self.unread.leave_out(&TextEncoder::new().encode_to_string(&counted(self.gathered()))?))
    }

    /// The same of everything that there can be, counted or not.
    pub fn described(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.gathered())
    }

    fn gathered(&self) -> Vec<MetricFamily> {
        if let Some(share) = self.quota_now.get() {
            // The sum of nothing is -0.0.
            self.write_quota.set(share() + 0.0);
        }
        self.registry.gather()
    }

    /// A turn begins.
    pub fn attempt(&self, at: Timestamp) {
        self.last_attempt.set(unix(at));
    }

    /// One turn has ended.
    pub fn turn(&self, result: TurnResult, took: Duration) {
        self.turns.with_label_values(&[result.label()]).inc();
        self.turn_duration.observe(took.as_secs_f64());
    }

    /// So many actions have ended so; `kind` is [`Action::kind`].
    pub fn actions(&self, kind: &'static str, result: Done, times: usize) {
        self.actions.with_label_values(&[kind, result.label()]).inc_by(times as u64);
    }

    /// Where to ask for the share of Graph's write quota in use, 0 to 1. The first one stays.
    pub fn ask_write_quota(&self, share: impl Fn() -> f64 + Send + Sync + 'static) {
        self.quota_now.get_or_init(|| Box::new(share));
    }

    /// The longest wait between two turns.
    pub fn set_interval(&self, interval: Duration) {
        self.interval.set(interval.as_secs_f64());
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
}

impl Observer for Metrics {
    fn answered(&self, api: Api, operation: &'static str, code: &str, took: Duration) {
        self.beat();
        self.requests.with_label_values(&[api.label(), operation, code]).inc();
        self.request_duration.with_label_values(&[api.label(), operation]).observe(took.as_secs_f64());
    }

    fn answered_in_batch(&self, api: Api, operation: &'static str, code: &str) {
        self.requests.with_label_values(&[api.label(), operation, code]).inc();
    }

    fn throttled(&self, api: Api, wait: Duration) {
        self.beat();
        self.throttled.with_label_values(&[api.label()]).inc();
        self.throttle_wait.with_label_values(&[api.label()]).inc_by(wait.as_secs_f64());
    }
}

/// Of the requests only what was counted: what could ever be asked, times all answers, is most of a scrape and says nothing.
fn counted(mut families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    for family in &mut families {
        match family.name() {
            "unscim_http_requests_total" => family.mut_metric().retain(|metric| metric.get_counter().get_value() > 0.0),
            "unscim_http_request_duration_seconds" => {
                family.mut_metric().retain(|metric| metric.get_histogram().get_sample_count() > 0);
            }
            _ => {}
        }
    }
    families.retain(|family| !family.get_metric().is_empty());
    families
}

fn unix(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
