//! SIGHUP: somebody has changed the config, or has closed the terminal.

use std::io::IsTerminal as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Tells of each SIGHUP from now on. A terminal that is gone is nobody's wish to go on without one: then it is a stop.
pub fn heard(stop: CancellationToken) -> Result<Arc<Notify>> {
    let mut signals = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let had_terminal = std::io::stderr().is_terminal();
    let told = Arc::new(Notify::new());
    let telling = told.clone();
    tokio::spawn(async move {
        while stop.run_until_cancelled(signals.recv()).await.flatten().is_some() {
            if had_terminal && !std::io::stderr().is_terminal() {
                stop.cancel();
            }
            telling.notify_one();
        }
    });
    Ok(told)
}
