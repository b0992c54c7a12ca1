//! Parse, wire, run; the only place that turns errors into exit codes.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use unscim::cli::args::{Cli, Exit, Misuse, Refused, SchemaOf, Verb};
use unscim::cli::{check, demo, freeze, operator, plan, practice, report, rollback, run, status, telemetry, verify};
use unscim::config;
use unscim::config::watch::Watched;
use unscim::operator::crd;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return code(if error.print().is_ok() { exit } else { Exit::Usage });
        }
    };
    match start(&cli.verb) {
        Ok(exit) => code(exit),
        Err(error) => match error.downcast_ref::<config::Errors>() {
            Some(errors) => {
                anstream::eprint!("unscim: {}", errors.excerpts());
                code(Exit::Usage)
            }
            None => {
                eprintln!("unscim: {error:#}");
                code(match () {
                    () if error.is::<Misuse>() => Exit::Usage,
                    () if error.is::<Refused>() => Exit::Held,
                    () => Exit::Trouble,
                })
            }
        },
    }
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

fn start(verb: &Verb) -> anyhow::Result<Exit> {
    let (format, level) = match verb {
        Verb::Run(args) => (args.log_format, "info"),
        Verb::Operator(args) => (args.log_format, "info"),
        Verb::Demo(_)
        | Verb::Plan(_)
        | Verb::Check(_)
        | Verb::Status(_)
        | Verb::Freeze(_)
        | Verb::Unfreeze(_)
        | Verb::Practice(_)
        | Verb::Rollback(_)
        | Verb::Report(_)
        | Verb::Verify(_)
        | Verb::Completions { .. }
        | Verb::Schema { .. } => (None, "warn"),
    };
    let config = if let Verb::Run(args) = verb { Some(Watched::load(&args.config.config)?) } else { None };
    let traces = config.as_ref().and_then(|(spec, _)| spec.telemetry.traces.as_ref());
    let telemetry = telemetry::init(format, level, traces)?;
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("a TLS provider was installed twice");
    }
    let mut runtime = match verb {
        // It waits for a thousand connections and computes next to nothing: a second thread would only be woken by the first.
        Verb::Operator(_) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(on_signal(stop.clone()));
        match verb {
            Verb::Demo(args) => demo::run(args, &stop).await,
            Verb::Run(args) => {
                let config = config.expect("it was read above");
                run::run(args, config, telemetry, &stop).await
            }
            Verb::Operator(args) => operator::run(args, &stop).await,
            Verb::Plan(args) => plan::run(args, &stop).await,
            Verb::Check(args) => check::run(args, &stop).await,
            Verb::Status(args) => status::run(args, &stop).await,
            Verb::Freeze(args) => freeze::freeze(args),
            Verb::Unfreeze(args) => freeze::unfreeze(args),
            Verb::Practice(args) => practice::run(args, &stop).await,
            Verb::Rollback(args) => rollback::run(args, &stop).await,
            Verb::Report(args) => report::run(args),
            Verb::Verify(args) => verify::run(args),
            Verb::Completions { shell } => {
                clap_complete::generate(*shell, &mut Cli::command(), "unscim", &mut std::io::stdout());
                Ok(Exit::Done)
            }
            Verb::Schema { of } => {
                let schema = match of {
                    SchemaOf::Config => config::schema(),
                    SchemaOf::Crd => crd::definition(),
                };
                println!("{schema:#}");
                Ok(Exit::Done)
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
