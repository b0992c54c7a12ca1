//! Parse, wire, run; the only place that turns errors into exit codes.

use std::process::ExitCode;

use clap::Parser;
use tokio_util::sync::CancellationToken;
use unscim::cli::{Cli, Verb};
use unscim::demo::{self, Kept, Options};

/// Config or usage.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            return if error.print().is_ok() { ExitCode::from(code) } else { ExitCode::from(USAGE) };
        }
    };
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("unscim: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("a TLS provider was installed twice");
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(on_signal(stop.clone()));
        match cli.verb {
            Verb::Demo { users, groups, seed, fast } => {
                let speed = if fast { 2400.0 } else { 240.0 };
                let options = Options { users: usize::try_from(users)?, groups: usize::try_from(groups)?, seed, speed };
                Ok(match demo::run(options, &stop).await? {
                    Kept::Everybody | Kept::Interrupted => ExitCode::SUCCESS,
                    Kept::NotEverybody => ExitCode::from(1),
                })
            }
        }
    })
}

/// SIGTERM and SIGINT: the write in hand is finished, nothing new is begun.
async fn on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.cancel();
}
