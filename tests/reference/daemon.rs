//! unscim as its operator starts it: the real binary, a config file, secrets in files, an empty data folder.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// No run takes this long; one that does is stuck.
const AT_MOST: Duration = Duration::from_secs(120);
const START: Duration = Duration::from_secs(30);

/// What an operator has before the start.
pub struct Setup {
    pub tenant: String,
    pub service_principal: String,
    pub client: String,
    pub groups: Vec<String>,
    /// Where Graph and the token endpoint are.
    pub entra: String,
    pub scim: String,
    pub client_secret: PathBuf,
    pub scim_token: PathBuf,
}

impl Setup {
    /// The settings of a real tenant; only the waits by our own clock are short, as the tenant's time runs fast.
    pub fn config(&self) -> String {
        let Setup { tenant, service_principal, client, groups, entra, scim, client_secret, scim_token } = self;
        let groups: String = groups.iter().map(|id| format!("\n      - id: {id}")).collect();
        let (client_secret, scim_token) = (client_secret.display(), scim_token.display());
        format!(
            "apiVersion: unscim.dev/v1alpha1
kind: ScimRetirement
metadata:
  name: reference
spec:
  mode: Enforce
  entra:
    tenantId: {tenant}
    app:
      servicePrincipalId: {service_principal}
    credential:
      clientId: {client}
      clientSecretFile: {client_secret}
    endpoints:
      authority: {entra}
      graph: {entra}
  groups:
    select: Listed
    list:{groups}
    emptyGroups: WhenExclusive
    acknowledge: [UndiscoverableUses, TargetGroupContent]
  target:
    profile: generic
    scimUrl: {scim}
    tokenFile: {scim_token}
    matchBy: UserName
    readInterval: 250ms
    revocation:
      by: Operator
      confirmations: 3
      confirmEvery: 250ms
  provisioning:
    settleCycles: 1
    verifyCycles: 2
    cycleMargin: 10m
  limits:
    writeShare: 100%
  timing:
    interval: 250ms
    settle: 5m
"
        )
    }
}

/// Runs unscim until it waits for the token to be deleted, has that done, and runs it until it says that all is over.
pub async fn drive(setup: &Setup, dir: &Path, delete_token: impl FnOnce()) -> Value {
    let config = dir.join("unscim.yaml");
    std::fs::write(&config, setup.config()).unwrap();
    let mut daemon = Daemon::start(&config, &dir.join("data")).await;
    daemon.until("AwaitingRevocation").await;
    delete_token();
    let status = daemon.until("Retired").await;
    let ended = daemon.stop().await;
    assert!(ended.success(), "{ended} on SIGTERM\n{}", daemon.log());
    status
}

struct Daemon {
    /// Ended when this goes out of scope.
    process: Child,
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
    client: reqwest::Client,
}

impl Daemon {
    async fn start(config: &Path, data: &Path) -> Daemon {
        let mut process = Command::new(env!("CARGO_BIN_EXE_unscim"))
            .args(["run", "--new-baseline", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--config")
            .arg(config)
            .arg("--data-dir")
            .arg(data)
            .env("UNSCIM_LOG", "info")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("starting unscim");
        let (lines, (told, address)) = (Arc::new(Mutex::new(Vec::new())), tokio::sync::oneshot::channel());
        let mut stderr = BufReader::new(process.stderr.take().expect("its log")).lines();
        tokio::spawn({
            let (lines, mut told) = (lines.clone(), Some(told));
            async move {
                while let Ok(Some(line)) = stderr.next_line().await {
                    let said: Value = serde_json::from_str(&line).unwrap_or_default();
                    if let Some(address) = said["address"].as_str().filter(|_| said["message"] == "listening") {
                        told.take().map(|told| told.send(address.to_owned()));
                    }
                    lines.lock().unwrap().push(line);
                }
            }
        });
        let client = reqwest::Client::builder().no_proxy().timeout(START).build().unwrap();
        let mut daemon = Daemon { process, url: String::new(), lines, client };
        match timeout(START, address).await {
            Ok(Ok(address)) => daemon.url = format!("http://{address}"),
            Ok(Err(_)) => panic!("unscim ended before it listened:\n{}", daemon.log()),
            Err(_) => panic!("unscim does not listen after {START:?}:\n{}", daemon.log()),
        }
        daemon
    }

    /// Looks at `/status` until this phase is shown.
    async fn until(&mut self, phase: &str) -> Value {
        let (begun, mut last) = (Instant::now(), Value::Null);
        while begun.elapsed() < AT_MOST {
            if let Some(ended) = self.process.try_wait().unwrap() {
                panic!("unscim ended ({ended}) before {phase}:\n{}", self.log());
            }
            let response = self.client.get(format!("{}/status", self.url)).send().await.expect("asking for the status");
            // Before the first turn there is none.
            if response.status() == 200 {
                last = serde_json::from_slice(&response.bytes().await.unwrap()).expect("a status in JSON");
                if last["status"]["phase"] == phase {
                    return last["status"].take();
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not {phase} within {AT_MOST:?}; the last status: {:#}\n{}", last["status"], self.log())
    }

    /// Ends it as a supervisor does.
    async fn stop(&mut self) -> ExitStatus {
        let id = self.process.id().expect("still running").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.expect("kill").success());
        match timeout(START, self.process.wait()).await {
            Ok(ended) => ended.unwrap(),
            Err(_) => panic!("unscim still runs {START:?} after SIGTERM:\n{}", self.log()),
        }
    }

    /// The end of what it said.
    fn log(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}
