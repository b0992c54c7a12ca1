//! A practice tenant on loopback, a config for it, and the binary as a child process.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use unscim::cli::practice::Served;
use unscim::model::spec::Mode;
use unscim::practice::scenario::Scenario;

/// Virtual seconds per second.
pub const SPEED: f64 = 2400.0;
/// Nothing here takes longer, on any machine.
pub const AT_MOST: Duration = Duration::from_secs(120);

pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unscim"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNSCIM_") || name == "RUST_LOG") {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs it to its end.
pub async fn output(args: &[&str]) -> Output {
    tokio::time::timeout(AT_MOST, binary().args(args).output()).await.expect("it ends").unwrap()
}

pub fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// A tenant, a config for it, and a folder for ledgers.
pub struct Rig {
    pub served: Served,
    pub dir: TempDir,
    pub config: PathBuf,
    before: BTreeSet<String>,
}

impl Rig {
    pub async fn new(mode: Mode) -> Self {
        Self::with(mode, Scenario { users: 12, groups: 3, speed: SPEED, ..Scenario::default() }).await
    }

    pub async fn with(mode: Mode, scenario: Scenario) -> Self {
        let served = Served::start(scenario, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = served.write_config(dir.path(), SPEED, mode).unwrap();
        let before = active(&served);
        Rig { served, dir, config, before }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Changes the config.
    pub fn edit(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&self.config, text.replacen(from, to, 1)).unwrap();
    }

    pub fn args(&self) -> Vec<String> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let args = ["run", "--config", &text(&self.config), "--data-dir", &text(&self.data()), "--listen", "127.0.0.1:0"];
        args.map(str::to_owned).into()
    }

    pub fn start(&self) -> Daemon {
        let mut args = self.args();
        args.push("--new-baseline".into());
        Daemon::start(&args)
    }

    pub fn assert_nobody_hurt(&self) {
        let practice = &self.served.practice;
        assert_eq!(practice.out_of_scope_moments(), []);
        assert_eq!(practice.forbidden_calls(), []);
        let now = active(&self.served);
        let lost: Vec<_> = self.before.difference(&now).collect();
        assert!(lost.is_empty(), "lost at the target: {lost:?}");
    }
}

/// Active records of the app inside; a service elsewhere is read by its own test.
fn active(served: &Served) -> BTreeSet<String> {
    let users = served.practice.scim_app().map(|app| app.users()).unwrap_or_default();
    users.iter().filter(|user| user["active"] == true).filter_map(|user| user["id"].as_str().map(str::to_owned)).collect()
}

/// `unscim run`, with its log.
pub struct Daemon {
    pub child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    pub fn start(args: &[String]) -> Self {
        let mut child = binary().args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let sink = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                sink.lock().unwrap().push(line);
            }
        });
        Daemon { child, log }
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub async fn until<T>(&self, what: &str, found: impl Fn(&[String]) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = found(&self.log()) {
                return found;
            }
            assert!(begun.elapsed() < AT_MOST, "no {what} in the log: {:#?}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where it is seen.
    pub async fn root(&self) -> String {
        let address = self
            .until("address", |log| {
                let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                lines.filter(|line| line["message"] == "listening").find_map(|line| line["address"].as_str().map(str::to_owned))
            })
            .await;
        format!("http://{address}")
    }

    /// Waits for a status like this one.
    pub async fn until_status(&self, what: &str, done: impl Fn(&Value) -> bool) -> Value {
        let root = self.root().await;
        let begun = Instant::now();
        let mut last = Value::Null;
        while begun.elapsed() < AT_MOST {
            if let (200, text) = get(&format!("{root}/status")).await {
                last = serde_json::from_str(&text).unwrap();
                if done(&last["status"]) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no status with {what}; the last: {last:#}\n{:#?}", self.log());
    }

    /// As it shows it now; `None` while it does not listen yet.
    pub async fn phase(&self) -> Option<String> {
        let address =
            self.log().iter().find_map(|line| line.split("\"address\":\"").nth(1)?.split('"').next().map(str::to_owned))?;
        let status: Value = serde_json::from_str(&get(&format!("http://{address}/status")).await.1).unwrap_or_default();
        Some(status["status"]["phase"].as_str().unwrap_or("none yet").to_owned())
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("it is alive").to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for this phase; the status then.
    pub async fn until_phase(&self, phase: &str) -> Value {
        self.until_status(phase, |status| status["phase"] == phase).await["status"].take()
    }

    pub async fn exit_code(&mut self) -> Option<i32> {
        tokio::time::timeout(AT_MOST, self.child.wait()).await.expect("it ends").unwrap().code()
    }
}

/// Status code and body.
pub async fn get(url: &str) -> (u16, String) {
    match reqwest::get(url).await {
        Ok(response) => (response.status().as_u16(), response.text().await.unwrap_or_default()),
        Err(_) => (0, String::new()),
    }
}
