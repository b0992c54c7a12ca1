//! The fleet in figures, for Prometheus. No name of a retirement is in any label: `kubectl` says which.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use super::resource::{ConditionStatus, Id, RetirementStatus, kind};
use crate::model::condition::ConditionKind;
use crate::model::status::Phase;

/// A phase of the operator's own: no worker has said one yet.
const OWN: [&str; 2] = ["Starting", "Refused"];

/// A clone is the same one.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    retirements: IntGaugeVec,
    held: IntGauge,
    not_accepted: IntGauge,
    workers_not_ready: IntGauge,
    users_lost: IntGauge,
    oldest_turn: Gauge,
    reconciles: IntCounterVec,
    duration: Histogram,
    in_flight: IntGauge,
    queued: IntGauge,
    leader: IntGauge,
    all: Mutex<HashMap<Id, Seen>>,
}

#[derive(Default)]
struct Seen {
    phase: String,
    is_held: bool,
    is_refused: bool,
    is_worker_away: bool,
    lost: i64,
    last_turn: Option<Timestamp>,
}

impl Metrics {
    pub fn new() -> Result<Metrics> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| -> Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let retirements =
            IntGaugeVec::new(Opts::new("unscim_fleet_retirements", "Retirements by the phase in which they are."), &["phase"])?;
        for phase in Phase::ALL.iter().map(|phase| phase.as_str()).chain(OWN) {
            retirements.with_label_values(&[phase]).set(0);
        }
        let oldest_turn = Gauge::new(
            "unscim_fleet_oldest_turn_timestamp_seconds",
            "When the worker was last heard that has been silent for longest; 0 where none was heard.",
        )?;
        let reconciles = IntCounterVec::new(
            Opts::new("unscim_operator_reconciles_total", "Resources that were brought to where they should be."),
            &["result"],
        )?;
        for result in ["success", "error"] {
            reconciles.with_label_values(&[result]);
        }
        let buckets = vec![0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let duration = Histogram::with_opts(
            HistogramOpts::new("unscim_operator_reconcile_duration_seconds", "How long one of them took.").buckets(buckets),
        )?;
        registry.register(Box::new(retirements.clone()))?;
        registry.register(Box::new(oldest_turn.clone()))?;
        registry.register(Box::new(reconciles.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        Ok(Metrics(Arc::new(Inner {
            held: gauge("unscim_fleet_held", "Retirements that something holds.")?,
            not_accepted: gauge(
                "unscim_fleet_refused",
                "Resources that are not accepted, or whose last change is not in force.",
            )?,
            workers_not_ready: gauge("unscim_fleet_workers_not_ready", "Workers that are not ready or not heard.")?,
            users_lost: gauge("unscim_fleet_users_lost", "Protected users who were lost, of all retirements.")?,
            in_flight: gauge("unscim_operator_reconciles_in_flight", "Reconciles under way.")?,
            queued: gauge("unscim_operator_news_queued", "Workers' news that wait to be taken up.")?,
            leader: gauge("unscim_operator_leader", "1 of the operator that works, 0 of one that waits.")?,
            registry,
            retirements,
            oldest_turn,
            reconciles,
            duration,
            all: Mutex::default(),
        })))
    }

    fn all<T>(&self, f: impl FnOnce(&mut HashMap<Id, Seen>) -> T) -> T {
        f(&mut self.0.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn saw(&self, id: &Id, status: &RetirementStatus) {
        let is_false = |name: &str| status.condition(name).is_some_and(|condition| condition.status == ConditionStatus::False);
        self.all(|all| {
            let seen = all.entry(id.clone()).or_default();
            seen.phase = status.phase.clone().unwrap_or_default();
            seen.is_held = status.is_true(ConditionKind::Held);
            seen.is_refused = is_false(kind::ACCEPTED) || is_false(ConditionKind::ConfigLoaded.as_str());
            seen.is_worker_away = !is_false(kind::ACCEPTED) && is_false(kind::WORKER_READY);
            seen.lost = status.users_lost.as_ref().and_then(|n| n.parse().ok()).unwrap_or(0);
        });
    }

    /// A worker's turn was heard.
    pub fn heard(&self, id: &Id, at: Timestamp) {
        self.all(|all| all.entry(id.clone()).or_default().last_turn = Some(at));
    }

    pub fn forget(&self, id: &Id) {
        self.all(|all| all.remove(id));
    }

    pub fn leads(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    pub fn queued(&self, by: i64) {
        self.0.queued.add(by);
    }

    /// Counts a reconcile until what it returns is dropped.
    pub fn reconciling(&self) -> Reconciling {
        self.0.in_flight.inc();
        Reconciling { metrics: self.clone(), begun: Instant::now() }
    }

    pub fn reconciled(&self, result: &'static str) {
        self.0.reconciles.with_label_values(&[result]).inc();
    }

    pub fn text(&self) -> Result<String> {
        self.all(|all| {
            let mut phases: BTreeMap<&str, i64> = BTreeMap::new();
            for seen in all.values() {
                *phases.entry(&seen.phase).or_default() += 1;
            }
            for phase in Phase::ALL.iter().map(|phase| phase.as_str()).chain(OWN) {
                self.0.retirements.with_label_values(&[phase]).set(phases.get(phase).copied().unwrap_or(0));
            }
            let count = |is: fn(&Seen) -> bool| all.values().filter(|seen| is(seen)).count() as i64;
            self.0.held.set(count(|seen| seen.is_held));
            self.0.not_accepted.set(count(|seen| seen.is_refused));
            self.0.workers_not_ready.set(count(|seen| seen.is_worker_away));
            self.0.users_lost.set(all.values().map(|seen| seen.lost).sum());
            let oldest = all.values().filter_map(|seen| seen.last_turn).min();
            self.0.oldest_turn.set(oldest.map_or(0.0, |at| at.as_second() as f64));
        });
        Ok(TextEncoder::new().encode_to_string(&self.0.registry.gather())?)
    }
}

pub struct Reconciling {
    metrics: Metrics,
    begun: Instant,
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        self.metrics.0.in_flight.dec();
        self.metrics.0.duration.observe(self.begun.elapsed().as_secs_f64());
    }
}
