//! Child processes, their memory, and the daemon's turns as its log tells them.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use crate::builds::Build;
use crate::proc::{cpu, memory};
use crate::tenant::{Tenant, lock};

/// Lines of the log that an error shows.
const TAIL: usize = 20;

/// Without what the environment would change.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNSCIM_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs it to its end; its peak memory in KiB comes with the status.
pub async fn measured(mut command: Command) -> Result<(ExitStatus, u64)> {
    let mut child = command.spawn().context("starting it")?;
    let pid = child.id().context("it has no id")?;
    let mut peak = 0;
    loop {
        peak = memory(pid, "VmHWM").unwrap_or(peak);
        tokio::select! {
            status = child.wait() => return Ok((status?, peak)),
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
        }
    }
}

/// One turn of the daemon, and what the tenant had counted when it ended.
#[derive(Clone, Debug)]
pub struct Turned {
    pub phase: String,
    pub memberships: u64,
    pub assigned: u64,
    pub groups: u64,
    /// The tenant's time.
    pub at: Timestamp,
    /// Seconds of the daemon on a processor so far.
    pub cpu: f64,
    /// Round trips to Graph so far.
    pub trips: u64,
    /// Requests to the app so far.
    pub scim: u64,
    /// Requests to Graph so far, those in a batch one by one.
    pub asked: u64,
    pub writes: u64,
}

/// `unscim run`.
pub struct Daemon {
    child: Child,
    pub pid: u32,
    turns: mpsc::UnboundedReceiver<Turned>,
    address: watch::Receiver<Option<String>>,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Daemon {
    pub fn start(build: &Build, tenant: &Tenant, config: &Path) -> Result<Self> {
        let mut command = command(&build.program);
        command.args(["run", "--new-baseline", "--listen", "127.0.0.1:0", "--log-format", "json", "--config"]).arg(config);
        command.arg("--data-dir").arg(tenant.folder().join("data"));
        // As the image sets them.
        command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "131072");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting unscim")?;
        let pid = child.id().context("unscim has no id")?;
        let mut lines = BufReader::new(child.stderr.take().context("unscim has no log")?).lines();
        let (wire, practice) = tenant.watch();
        let (sender, turns) = mpsc::unbounded_channel();
        let (known, address) = watch::channel(None);
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let kept = tail.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let told = serde_json::from_str::<Value>(&line).unwrap_or_default();
                match told["message"].as_str() {
                    Some("listening") => _ = known.send(told["address"].as_str().map(str::to_owned)),
                    Some("turn") => {
                        let number = |field: &str| told[field].as_u64().unwrap_or_default();
                        let tally = practice.tally();
                        let (trips, scim) = {
                            let wire = lock(&wire);
                            (wire.graph.len() as u64, wire.scim)
                        };
                        let turned = Turned {
                            phase: told["phase"].as_str().unwrap_or_default().to_owned(),
                            memberships: number("memberships"),
                            assigned: number("assigned"),
                            groups: number("groups_assigned"),
                            at: practice.now(),
                            cpu: cpu(pid).unwrap_or_default(),
                            trips,
                            scim,
                            asked: tally.asked,
                            writes: tally.writes,
                        };
                        _ = sender.send(turned);
                    }
                    // One line for each write: nothing to tell.
                    Some("done") => continue,
                    _ => {}
                }
                let mut tail = lock(&kept);
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line);
            }
        });
        Ok(Daemon { child, pid, turns, address, tail })
    }

    /// The next turn that ends.
    pub async fn turn(&mut self, until: Instant) -> Result<Turned> {
        match tokio::time::timeout_at(until.into(), self.turns.recv()).await {
            Ok(Some(turned)) => Ok(turned),
            Ok(None) => bail!("unscim has ended: {:#?}", lock(&self.tail)),
            Err(_) => bail!("unscim has not come to its end in time: {:#?}", lock(&self.tail)),
        }
    }

    /// Where it listens.
    pub async fn address(&mut self) -> Result<String> {
        let known = self.address.wait_for(Option::is_some).await.context("unscim does not listen")?;
        known.clone().context("unscim does not listen")
    }

    pub fn memory(&self, field: &str) -> Result<u64> {
        memory(self.pid, field).context("unscim has ended")
    }

    pub async fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await?;
        if tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}
