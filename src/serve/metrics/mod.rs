//! The metrics: gauges from the published status alone, counters from what happens. No user, mail or token in any label.

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
        let build = gauges(
            r,
            "build_info",
            "Always 1; the labels say which build runs. Gone: nobody watches the retirement, start it again.",
            &["version", "commit"],
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), option_env!("UNSCIM_COMMIT").unwrap_or("unknown")]).set(1);
        registry.register(Box::new(ProcessCollector::for_self())).expect("each metric is registered once");
        let metrics = Metrics {
            unread: publish::unread(),
            beat: Mutex::new(Instant::now()),
            phase: gauges(
                r,
                "phase",
                "1 for the phase the retirement is in, 0 for the others. In Held a person must decide: unscim_held says what.",
                &["phase"],
            ),
            condition: gauges(
                r,
                "condition",
                "1 for the status that a condition has, 0 for the others. True is the good value for all but Held; \
                 unscim_reason and /status say why it is not.",
                &["type", "status"],
            ),
            reason: gauges(
                r,
                "reason",
                "1 while some condition has this reason, 0 otherwise. What to do for each is in docs/reasons.md.",
                &["reason"],
            ),
            users: gauges(
                r,
                "users",
                "Protected users by their path into provisioning scope, and those lost at the target. group_only goes to 0 in \
                 step 1; any lost user needs a person at once. Never sum over state: \
                 lost ones have a path, too.",
                &["state"],
            ),
            groups: gauges(
                r,
                "groups",
                "Managed groups: assigned to the app, of these the ones seen empty and the ones refused until somebody decides, and \
                 unassigned. At the end all are unassigned; refused above 0: decide, /status names them. Never sum \
                 over state: emptied and refused are parts of assigned.",
                &["state"],
            ),
            group_members: gauge(
                r,
                "group_members",
                "User memberships left in managed groups that are to be emptied; goes to 0 in step 2. If it stands still, see \
                 unscim_held.",
            ),
            target_users: gauges(
                r,
                "target_users",
                "Users at the target in the last look, by whether they are active there. Fewer active ones than before: see \
                 unscim_users_lost.",
                &["active"],
            ),
            target_groups: gauges(
                r,
                "target_groups",
                "Groups at the target in the last look, by whether they are ours to retire. Managed ones go to 0 in step 4; those \
                 that remain are to be deleted in the app.",
                &["managed"],
            ),
            token_revoked: gauge(
                r,
                "token_revoked",
                "1 once the app is proven to refuse the SCIM token like one that never existed. Back from 1 to 0: it answers \
                 again, find out who made it valid.",
            ),
            users_lost: gauge(
                r,
                "users_lost",
                "Protected users who are gone, inactive or made anew at the target. Above 0: stop and look at once.",
            ),
            held: gauges(
                r,
                "held",
                "1 while this brake, preflight or a refusal holds the retirement; /status says why and what to do. window ends \
                 by itself, frozen is somebody's wish.",
                &["brake"],
            ),
            writes_remaining: gauges(
                r,
                "writes_remaining",
                "Writes that are left until the end, as far as is known now: direct assignments, removals from groups, rows of \
                 groups. All go to 0; if one stands still, see unscim_held and unscim_reason.",
                &["kind"],
            ),
            earliest_finish: real(
                r,
                "earliest_finish_timestamp_seconds",
                "When the retirement can be over at the earliest, in Unix seconds by Entra's clock: the writes at our share of the \
                 quota, every cycle on time. No promise. 0 where no end is in sight: held, waiting for a person, not known, over.",
            ),
            quarantined: gauge(
                r,
                "sync_job_quarantined",
                "1 while Entra has the synchronization job in quarantine: no cycle carries anything out. See its provisioning \
                 page; expected once the token is deleted.",
            ),
            last_cycle: real(
                r,
                "sync_last_cycle_timestamp_seconds",
                "When the last provisioning cycle ended, in Unix seconds by Entra's clock; 0 if none was seen. If it stands \
                 still, see the app's provisioning page.",
            ),
            cycle_expected: real(
                r,
                "sync_cycle_expected_by_timestamp_seconds",
                "When the next provisioning cycle should have ended, in Unix seconds by Entra's clock; 0 while none is due. \
                 Until then nobody has to do anything.",
            ),
            cycle_overdue: gauge(
                r,
                "sync_cycle_overdue",
                "1 while cycles are due and none has ended for longer than provisioning.cycleTimeout, and than twice the job's interval. See the app's \
                 provisioning page in Entra.",
            ),
            turns: counters(
                r,
                "reconcile_total",
                "Turns of the loop, by how they ended. Many failed ones: see unscim_http_requests_total for what does not answer.",
                &["result"],
            ),
            turn_duration: histogram(
                r,
                "reconcile_duration_seconds",
                "Duration of one turn in seconds, with its waits for Graph. Long ones come from throttling or many writes.",
            ),
            interval: real(
                r,
                "reconcile_interval_seconds",
                "timing.interval of the config in seconds: no more than about this lies between two turns. Alerts on a stuck loop \
                 measure by it.",
            ),
            last_attempt: real(
                r,
                "last_attempt_timestamp_seconds",
                "When the last turn began, in Unix seconds; 0 before the first. If it stays behind, the loop is stuck: see the \
                 log, restart it.",
            ),
            last_success: real(
                r,
                "last_success_timestamp_seconds",
                "When the last turn looked that could read Graph, in Unix seconds; 0 before the first. If only this one stays \
                 behind, see the condition GraphReachable.",
            ),
            actions: counters(
                r,
                "actions_total",
                "Actions carried out, by how they ended. open: no answer came, the next look tells. If failed ones go on, see \
                 the log for Graph's reason.",
                &["action", "result"],
            ),
            requests: counters(
                r,
                "http_requests_total",
                "Requests sent, by HTTP status, or by a word where no answer came; a series appears with its first answer. \
                 A probe is meant to be refused (401).",
                &["api", "operation", "code"],
            ),
            request_duration: histograms(
                r,
                "http_request_duration_seconds",
                "Duration of one request in seconds, with the whole answer. Near timing.requestTimeout: see the network and the \
                 service's health.",
                &["api", "operation"],
            ),
            throttled: counters(
                r,
                "throttled_total",
                "Answers that asked us to slow down. If they go on, lower limits.writeShare or see who else uses the quota.",
                &["api"],
            ),
            throttle_wait: waits(
                r,
                "throttle_wait_seconds_total",
                "Seconds waited because we were asked to slow down. Nothing is lost, it only takes longer.",
                &["api"],
            ),
            write_quota: real(
                r,
                "write_quota_ratio",
                "Share of Graph's write quota that our writes of the last 150 s took, 0 to 1. It stays below limits.writeShare, \
                 the knob for it.",
            ),
            credential_expiry: real(
                r,
                "credential_expiry_timestamp_seconds",
                "When our Entra credential expires, in Unix seconds: the certificate's end, or the federated token's, which is \
                 renewed by itself; 0 if not known, as of a client secret. Where the condition CredentialValid is False, renew it.",
            ),
            reload_success: gauge(
                r,
                "config_last_reload_success",
                "1 if the config that was read last is in force; 0 if it is wrong and the one before stays: see the log, mend it.",
            ),
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
