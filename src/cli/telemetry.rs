//! Log lines, to stderr only: text for a person at a terminal, JSON for everything else; and traces, where the config names a
//! collector.

use std::io::IsTerminal;

use anyhow::Context as _;
use clap::ValueEnum;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::model::spec::{LogLevel, Traces};
use crate::world::http::SPANS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    /// Text where stderr is a terminal.
    pub fn fitting() -> Self {
        if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json }
    }
}

/// What can be changed of it while it runs, and what must be ended.
pub struct Telemetry {
    filter: reload::Handle<EnvFilter, Registry>,
    /// The environment has the say.
    asked: Option<&'static str>,
    default: &'static str,
    traces: Option<SdkTracerProvider>,
}

/// Starts logging and makes every panic a log line. `UNSCIM_LOG` decides what is shown, else `RUST_LOG`, else `level`.
pub fn init(format: Option<LogFormat>, level: &'static str, traces: Option<&Traces>) -> anyhow::Result<Telemetry> {
    let asked = ["UNSCIM_LOG", "RUST_LOG"].into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    let (first, wrong) = match &asked {
        None => (of_level(level), None),
        Some((name, text)) => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(error) => (of_level(level), Some((name, error))),
        },
    };
    let (filter, handle) = reload::Layer::new(first);
    let lines = fmt::layer().with_writer(|| crate::cli::terminal::bars::Lines);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format.unwrap_or_else(LogFormat::fitting) {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    let provider = traces.map(exporting).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let ours = filter_fn(|of| of.is_span() && of.target().starts_with("unscim"));
        tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracer(provider.tracer("unscim"))
            .with_filter(ours)
    });
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init()?;
    if let Some((name, error)) = &wrong {
        tracing::warn!(%error, "{name} is no log filter; showing {level}");
    }
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(message, place, %backtrace, "panic");
    }));
    let asked = asked.as_ref().filter(|_| wrong.is_none()).map(|(name, _)| *name);
    Ok(Telemetry { filter: handle, asked, default: level, traces: provider })
}

fn of_level(level: &str) -> EnvFilter {
    // The library that sets up the ledger's tables says so at every start; the one of TLS warns of what anybody sends to the listener;
    // spans of requests are for traces.
    EnvFilter::new(format!("{level},rusqlite_migration=warn,rustls=error,{SPANS}=off"))
}

/// Spans go out in batches from a thread of its own; a collector that is away costs nothing but them.
fn exporting(traces: &Traces) -> anyhow::Result<SdkTracerProvider> {
    let endpoint = traces.otlp_endpoint.join("v1/traces").context("spec.telemetry.traces.otlpEndpoint")?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint.as_str())
        .build()
        .context("starting the export of traces")?;
    let resource = Resource::builder()
        .with_service_name("unscim")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Telemetry {
    /// What the config says of the log from now on; the environment wins over it.
    pub fn level(&self, level: Option<LogLevel>) {
        if self.asked.is_none() && self.filter.reload(of_level(level.map_or(self.default, LogLevel::as_str))).is_err() {
            tracing::error!("the log level could not be changed");
        }
    }

    /// Sends what is left.
    pub fn end(&self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            tracing::debug!(%error, "the last traces could not be sent");
        }
    }
}

/// The trace that the span belongs to, as log lines and collectors write it; `None` where nothing is traced.
pub fn trace_id(span: &tracing::Span) -> Option<String> {
    let context = span.context();
    let id = context.span().span_context().trace_id();
    (id != opentelemetry::TraceId::INVALID).then(|| id.to_string())
}
