//! Metrics made and registered in one go; all bear the namespace `unscim`.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

/// Names and labels are literals, each used once: what could fail here fails in every start.
pub(super) fn add<M: Collector + Clone + 'static>(registry: &Registry, metric: Result<M>) -> M {
    let metric = metric.expect("the name and the labels are valid");
    registry.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    add(registry, IntGauge::with_opts(opts(name, help)))
}

pub(super) fn real(registry: &Registry, name: &str, help: &str) -> Gauge {
    add(registry, Gauge::with_opts(opts(name, help)))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    add(registry, IntGaugeVec::new(opts(name, help), labels))
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    add(registry, IntCounterVec::new(opts(name, help), labels))
}

/// Counts seconds, not events.
pub(super) fn waits(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> CounterVec {
    add(registry, CounterVec::new(opts(name, help), labels))
}

pub(super) fn histogram(registry: &Registry, name: &str, help: &str) -> Histogram {
    add(registry, Histogram::with_opts(buckets(name, help)))
}

pub(super) fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    add(registry, HistogramVec::new(buckets(name, help), labels))
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("unscim")
}

/// From 10 ms to 2 minutes.
fn buckets(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::from(opts(name, help)).buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
}
