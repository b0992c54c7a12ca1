//! Metrics made and registered in one go; all bear the namespace `unscim`.

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, Result,
};

use super::help::help;

/// Names and labels are literals, each used once: what could fail here fails in every start.
pub(super) fn add<M: Collector + Clone + 'static>(registry: &Registry, metric: Result<M>) -> M {
    let metric = metric.expect("the name and the labels are valid");
    registry.register(Box::new(metric.clone())).expect("each metric is registered once");
    metric
}

pub(super) fn gauge(registry: &Registry, name: &'static str) -> IntGauge {
    add(registry, IntGauge::with_opts(opts(name)))
}

pub(super) fn real(registry: &Registry, name: &'static str) -> Gauge {
    add(registry, Gauge::with_opts(opts(name)))
}

pub(super) fn gauges(registry: &Registry, name: &'static str, labels: &[&str]) -> IntGaugeVec {
    add(registry, IntGaugeVec::new(opts(name), labels))
}

pub(super) fn counters(registry: &Registry, name: &'static str, labels: &[&str]) -> IntCounterVec {
    add(registry, IntCounterVec::new(opts(name), labels))
}

/// Counts seconds, not events.
pub(super) fn waits(registry: &Registry, name: &'static str, labels: &[&str]) -> CounterVec {
    add(registry, CounterVec::new(opts(name), labels))
}

pub(super) fn histogram(registry: &Registry, name: &'static str) -> Histogram {
    add(registry, Histogram::with_opts(buckets(name)))
}

pub(super) fn histograms(registry: &Registry, name: &'static str, labels: &[&str]) -> HistogramVec {
    add(registry, HistogramVec::new(buckets(name), labels))
}

fn opts(name: &'static str) -> Opts {
    Opts::new(name, help(name)).namespace("unscim")
}

/// From 10 ms to 2 minutes.
fn buckets(name: &'static str) -> HistogramOpts {
    HistogramOpts::from(opts(name)).buckets(vec![0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
}
