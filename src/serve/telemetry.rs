//! Log lines, to stderr only: text for a person at a terminal, JSON for everything else.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

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

/// Starts logging and makes every panic a log line. `UNSCIM_LOG` decides what is shown, else `RUST_LOG`, else `level`.
pub fn init(format: Option<LogFormat>, level: &str) -> Result<(), TryInitError> {
    let asked = ["UNSCIM_LOG", "RUST_LOG"].into_iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    let (filter, wrong) = match &asked {
        // The library that sets up the ledger's tables says so at every start.
        None => (EnvFilter::new(format!("{level},rusqlite_migration=warn")), None),
        Some((name, text)) => match EnvFilter::try_new(text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(level), Some((name, error))),
        },
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format.unwrap_or_else(LogFormat::fitting) {
        LogFormat::Text => registry.with(lines.with_ansi(std::io::stderr().is_terminal()).with_target(false)).try_init()?,
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init()?,
    }
    if let Some((name, error)) = wrong {
        tracing::warn!(%error, "{name} is no log filter; showing {level}");
    }
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(message, place, %backtrace, "panic");
    }));
    Ok(())
}
