//! The daemon: turns over a real world, seen from outside, until it is stopped or nothing more can be done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::cli::args::{self, Exit};
use crate::cli::hangup;
use crate::cli::telemetry::{LogFormat, Telemetry, trace_id};
use crate::cli::terminal::bars::Bars;
use crate::cli::tls;
use crate::config::begun::Begun;
use crate::config::freeze::ConfigFreeze;
use crate::config::watch::{News, Watched};
use crate::model::action::Done;
use crate::model::condition::ConditionKind;
use crate::model::names::Names;
use crate::model::spec::{Mode, Spec};
use crate::model::status::Status;
use crate::serve::metrics::Metrics;
use crate::serve::{Hosts, State, Tls, bind, listen};
use crate::turn::warnings::{self, Warnings};
use crate::turn::{self, LoopState, Permit, Turn, wait_after};
use crate::world::connect::{Outside, network};
use crate::world::http::{Api, Observer};
use crate::world::ledger::SqliteLedger;
use crate::world::{Clock as _, SystemClock};

/// The loop is called dead after its interval and this much without any request: longer than any wait that Graph asks for.
const SILENCE: Duration = Duration::from_secs(600);
/// A config that has changed is looked at again soon: longer than any save takes.
const CHANGING: Duration = Duration::from_secs(5);

pub async fn run(args: &args::Run, config: (Spec, Watched), telemetry: Telemetry, stop: &CancellationToken) -> Result<Exit> {
    let (spec, config) = config;
    telemetry.level(spec.telemetry.log_level);
    let begun = Begun::of(&args.config.config);
    let witness = begun.witness()?;
    // Before there is a ledger: a wrong file or a busy port must leave no new one behind.
    let tls = tls::of_listener(&args.tls)?;
    let is_tls = tls.is_some();
    let socket = if args.once { None } else { Some(bind(args.listen).await?) };
    let ledger = SqliteLedger::open(&args.data_dir)?;
    let permit = match (args.new_baseline, begun.is_there()) {
        (_, true) => Permit::WriteAgain,
        (true, false) => Permit::FirstBaseline,
        (false, false) => Permit::Write,
    };
    let names = Names::shown(args.show_names);
    let bars = Bars::fitting(!args.once && args.log_format.unwrap_or_else(LogFormat::fitting) == LogFormat::Text);
    let mut daemon = Daemon::new(spec, ledger, Some(ConfigFreeze::of(&args.config.config)), names, bars)?;
    daemon.config = Some(Live { file: config, telemetry });
    daemon.begun = Some(begun);
    daemon.state.witness = witness;
    let Some(socket) = socket else { return Ok(daemon.once(permit, stop).await) };
    daemon.hung_up = hangup::heard(stop.clone())?;
    let seen = daemon.listen(socket, Hosts::new(&args.names.allowed_host), tls)?;
    tracing::info!(name = daemon.spec.name, mode = ?daemon.spec.mode, address = %seen.address, tls = is_tls, data_dir = %args.data_dir.display(), "listening");
    daemon.until_stopped(permit, stop).await;
    seen.close().await?;
    tracing::info!("stopped");
    Ok(Exit::Done)
}

/// One retirement, ready to turn.
pub struct Daemon {
    world: Outside<SystemClock, Option<ConfigFreeze>>,
    spec: Spec,
    shown: State,
    state: LoopState,
    config: Option<Live>,
    /// Until it was left.
    begun: Option<Begun>,
    bars: Bars,
    warnings: Warnings,
    /// SIGHUP has come.
    hung_up: Arc<Notify>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.bars.end();
    }
}

/// What follows the config while it runs.
struct Live {
    file: Watched,
    telemetry: Telemetry,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.telemetry.end();
    }
}

impl Daemon {
    pub fn new(spec: Spec, ledger: SqliteLedger, freeze: Option<ConfigFreeze>, names: Names, bars: Bars) -> Result<Self> {
        let metrics = Arc::new(Metrics::new());
        metrics.reloaded();
        metrics.set_interval(spec.timing.interval);
        let observer = Arc::new(Watching { metrics: metrics.clone(), bars: bars.clone() });
        let world = Outside::new(&spec, network(&spec)?, observer, ledger, SystemClock, freeze);
        let pace = world.directory.pace();
        metrics.ask_write_quota(move || pace.write_quota_ratio());
        let shown = State::new(&spec.name, serde_json::to_value(&spec)?, metrics, spec.timing.interval + SILENCE);
        Ok(Daemon {
            world,
            spec,
            shown,
            state: LoopState { names, ..LoopState::default() },
            config: None,
            begun: None,
            bars,
            warnings: Warnings::default(),
            hung_up: Arc::default(),
        })
    }

    /// One turn, shown; `None` if it was asked to stop while it looked.
    pub async fn turn(&mut self, permit: Permit, stop: &CancellationToken) -> Option<Turn> {
        self.reread();
        let begun = Instant::now();
        self.shown.metrics().attempt(self.world.clock.now());
        let span = tracing::info_span!("turn", trace_id = tracing::field::Empty);
        span.record("trace_id", trace_id(&span));
        let deciding = turn::decide(&self.world, &self.spec, permit, &mut self.state, stop);
        let decided = deciding.instrument(span.clone()).await?;
        if self.state.status.is_none() {
            self.shown.publish(&turn::outset(&self.world, &self.spec, &mut self.state, &decided));
        }
        let turning = turn::complete(&self.world, &self.spec, permit, &mut self.state, stop, decided);
        let turn = turning.instrument(span.clone()).await;
        let metrics = self.shown.metrics();
        metrics.turn(turn.result(), begun.elapsed());
        for (kind, done, times) in turn.acted.done() {
            metrics.actions(kind, *done, *times);
        }
        if turn.status.is_true(ConditionKind::BaselineRecorded)
            && let Some(begun) = self.begun.take()
            && let Err(error) = begun.leave(&self.spec.name)
        {
            let file = begun.path().display();
            tracing::info!(%file, %error, "no trace beside the config that the ledger was begun: take --new-baseline out of the command line");
        }
        self.shown.publish(&turn.status);
        self.bars.show(&turn.status);
        span.in_scope(|| {
            turn::log(&turn);
            warnings::log(&self.warnings.of(&turn.status, turn.acted.done()));
        });
        Some(turn)
    }

    /// Takes up a config that has changed since; a bad one changes nothing, and is told.
    fn reread(&mut self) {
        let trouble = match self.config.as_mut().map(|live| live.file.look()) {
            None | Some(News::Nothing) => return,
            Some(News::Good(spec)) => self.refit(*spec).err().map(|error| format!("{error:#}")),
            Some(News::Bad(errors)) => Some(errors.to_string()),
        };
        match &trouble {
            None => {
                self.shown.metrics().reloaded();
                let (name, mode) = (&self.spec.name, self.spec.mode);
                if self.state.config_trouble.is_some() {
                    tracing::warn!(name, ?mode, "the config is right again and in force");
                } else {
                    tracing::info!(name, ?mode, "the config has changed and is in force");
                }
            }
            Some(why) => {
                self.shown.metrics().reload_failed();
                tracing::error!(why, "the config has changed and is wrong; the last good one stays in force");
            }
        }
        self.state.config_trouble = trouble;
    }

    fn refit(&mut self, spec: Spec) -> Result<()> {
        let (transport, shown) = (network(&spec)?, serde_json::to_value(&spec)?);
        let metrics = self.shown.metrics();
        metrics.set_interval(spec.timing.interval);
        let observer = Arc::new(Watching { metrics: metrics.clone(), bars: self.bars.clone() });
        self.world.refit(&spec, transport, observer);
        self.shown.resource(&spec.name, shown, spec.timing.interval + SILENCE);
        if let Some(live) = &self.config {
            live.telemetry.level(spec.telemetry.log_level);
        }
        // What was read at one target says nothing of another.
        if spec.target != self.spec.target {
            self.state.target = None;
        }
        if spec.entra != self.spec.entra {
            self.state.log = None;
        }
        self.spec = spec;
        Ok(())
    }

    /// Waits as long as this turn wants; at once when asked to stop.
    pub async fn wait(&self, turn: &Turn, stop: &CancellationToken) {
        let wait = wait_after(turn, &self.spec);
        let changing = self.config.as_ref().is_some_and(|live| live.file.is_changing());
        let wait = if changing { wait.min(CHANGING) } else { wait };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
            () = self.hung_up.notified() => tracing::info!("SIGHUP: the config is read now"),
        }
    }

    async fn until_stopped(&mut self, permit: Permit, stop: &CancellationToken) {
        while let Some(turn) = self.turn(permit, stop).await {
            self.wait(&turn, stop).await;
            if stop.is_cancelled() {
                break;
            }
        }
    }

    async fn once(&mut self, permit: Permit, stop: &CancellationToken) -> Exit {
        while let Some(turn) = self.turn(permit, stop).await {
            let has_written = turn.acted.done().iter().any(|(_, done, _)| *done == Done::Ok);
            if !has_written || stop.is_cancelled() {
                return outcome(&self.spec, &turn.status);
            }
        }
        Exit::Done
    }

    /// Shows everything there is to see, from now on.
    pub fn listen(&self, socket: TcpListener, hosts: Hosts, tls: Option<Tls>) -> Result<Listening> {
        let end = CancellationToken::new();
        let (address, serving) = listen(socket, self.shown.clone(), hosts, tls, end.clone())?;
        Ok(Listening { address, end, serving: tokio::spawn(serving) })
    }
}

/// Every answer, for the metrics and the bars.
struct Watching {
    metrics: Arc<Metrics>,
    bars: Bars,
}

impl Observer for Watching {
    fn answered(&self, api: Api, operation: &'static str, code: &str, took: Duration) {
        self.metrics.answered(api, operation, code, took);
        self.wrote(api, operation, code);
    }

    fn answered_in_batch(&self, api: Api, operation: &'static str, code: &str) {
        self.metrics.answered_in_batch(api, operation, code);
        self.wrote(api, operation, code);
    }

    fn throttled(&self, api: Api, wait: Duration) {
        self.metrics.throttled(api, wait);
    }
}

impl Watching {
    fn wrote(&self, api: Api, operation: &str, code: &str) {
        if api == Api::Graph && code.starts_with('2') {
            self.bars.wrote(operation);
        }
    }
}

/// The listener, open until it is closed.
pub struct Listening {
    /// The one really bound, for port 0.
    pub address: SocketAddr,
    end: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    pub async fn close(self) -> Result<()> {
        self.end.cancel();
        self.serving.await.context("the listener")?.context("the listener")
    }
}

/// Where it stands, as an exit code.
fn outcome(spec: &Spec, status: &Status) -> Exit {
    if !status.is_true(ConditionKind::GraphReachable) {
        Exit::Trouble
    } else if status.is_true(ConditionKind::Ready) {
        Exit::Done
    } else if status.is_true(ConditionKind::Held) {
        Exit::Held
    } else if spec.mode == Mode::Observe && !status.pending.is_empty() {
        Exit::Pending
    } else {
        Exit::Waiting
    }
}
