//! Microsoft's own clients doing the same job, each in its own process: sequential by their defaults, and tuned.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::builds::Each;
use crate::median::median;
use crate::ours::Run;
use crate::process::{command, measured};
use crate::table::{digits, of_each, table};
use crate::tenant::{Size, Tenant};
use crate::writes::steps;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Python,
    JavaScript,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub language: Language,
    pub tuned: bool,
}

impl Peer {
    const fn new(language: Language, tuned: bool) -> Self {
        Peer { language, tuned }
    }

    pub const ALL: [Peer; 4] = [
        Peer::new(Language::Python, false),
        Peer::new(Language::Python, true),
        Peer::new(Language::JavaScript, false),
        Peer::new(Language::JavaScript, true),
    ];

    fn way(self) -> &'static str {
        if self.tuned { "tuned" } else { "plain" }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.language {
            Language::Python => "`msgraph-sdk` (Python)",
            Language::JavaScript => "`@microsoft/microsoft-graph-client` (Node)",
        };
        write!(f, "{name}, {}", self.way())
    }
}

/// Where the interpreters are.
pub struct Tools {
    python: PathBuf,
    modules: PathBuf,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/quota/peers")
}

impl Tools {
    pub async fn install() -> Result<Self> {
        let output = Command::new("bash").arg(scripts().join("install")).output().await.context("running the installation")?;
        ensure!(output.status.success(), "the peers could not be installed: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines().map(PathBuf::from);
        let found = lines.next().zip(lines.next());
        let (python, modules) = found.context("the installation does not say where it is")?;
        Ok(Tools { python, modules })
    }

    fn command(&self, peer: Peer) -> Command {
        let (mut command, script) = match peer.language {
            Language::Python => (command(&self.python), "graph.py"),
            Language::JavaScript => (command("node"), "graph.cjs"),
        };
        command.env("NODE_PATH", &self.modules).env("PYTHONDONTWRITEBYTECODE", "1").arg(scripts().join(script)).arg(peer.way());
        command
    }
}

/// What one run cost.
pub struct Cost {
    pub trips: usize,
    /// Of them, those that wrote.
    pub writing: usize,
    /// Real seconds with writes pending, as for unscim.
    pub pending: f64,
    process: f64,
    refused: usize,
    /// KiB.
    peak: u64,
}

pub async fn run(tools: &Tools, peer: Peer, size: Size) -> Result<Cost> {
    let tenant = Tenant::start(size).await?;
    let token = token(&tenant).await?;
    // The token was ours to fetch.
    *tenant.wire() = Default::default();
    let mut command = tools.command(peer);
    command.env("UNSCIM_BENCH_GRAPH", tenant.root()).env("UNSCIM_BENCH_TOKEN", token);
    command.env("UNSCIM_BENCH_APP", tenant.practice().ids().service_principal.to_string());
    let begun = Instant::now();
    let (status, peak) = measured(command).await?;
    let process = begun.elapsed().as_secs_f64();
    ensure!(status.success(), "it failed: {status}");
    tenant.check()?;
    let steps = steps(&tenant.practice().writes());
    let done = steps.each_ref().map(|step| step.accepted);
    ensure!(done == [size.users, size.memberships(), size.groups], "the job is not done: {done:?} writes");
    let pending = steps.iter().map(|step| step.took).sum();
    let refused = steps.iter().map(|step| step.refused).sum();
    let (trips, writing) = {
        let wire = tenant.wire();
        (wire.graph.len(), wire.graph.iter().filter(|(_, writes)| *writes).count())
    };
    let cost = Cost { trips, writing, pending, process, refused, peak };
    tenant.close().await?;
    Ok(cost)
}

/// As any caller of the tenant gets one.
async fn token(tenant: &Tenant) -> Result<String> {
    let ids = tenant.practice().ids();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", &ids.client.to_string())
        .append_pair("client_secret", &tenant.practice().client_secret())
        .append_pair("scope", "https://graph.microsoft.com/.default")
        .finish();
    let url = format!("{}/{}/oauth2/v2.0/token", tenant.root(), ids.tenant);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let request = client.post(url).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer: Value = serde_json::from_slice(&request.send().await?.bytes().await?)?;
    answer["access_token"].as_str().map(str::to_owned).with_context(|| format!("no token: {answer}"))
}

/// The least of the tuned clients' medians.
pub fn least(others: &[(Peer, Cost)], value: fn(&Cost) -> f64) -> f64 {
    let of = |peer: Peer| median(others.iter().filter(|(other, _)| *other == peer).map(|(_, cost)| value(cost)));
    Peer::ALL.into_iter().filter(|peer| peer.tuned).map(of).fold(f64::INFINITY, f64::min)
}

pub fn table_of(runs: &Each<Vec<Run>>, others: &[(Peer, Cost)]) -> String {
    let unscim = of_each(runs, |name, runs| {
        let ours = |value: fn(&Run) -> f64| digits(median(runs.iter().map(value)));
        vec![
            format!("unscim, {name}, looks and checks included"),
            ours(|run| run.trips_all as f64),
            ours(|run| run.trips_writing as f64),
            ours(Run::pending),
            ours(|run| run.until_retired),
            ours(|run| run.refused() as f64),
            ours(|run| run.peak as f64 / 1024.0),
        ]
    });
    let peers = Peer::ALL.into_iter().filter(|peer| others.iter().any(|(other, _)| other == peer));
    let peers = peers.map(|peer| {
        let of = |value: fn(&Cost) -> f64| {
            digits(median(others.iter().filter(|(other, _)| *other == peer).map(|(_, cost)| value(cost))))
        };
        vec![
            peer.to_string(),
            of(|cost| cost.trips as f64),
            of(|cost| cost.writing as f64),
            of(|cost| cost.pending),
            of(|cost| cost.process),
            of(|cost| cost.refused as f64),
            of(|cost| cost.peak as f64 / 1024.0),
        ]
    });
    let head =
        ["", "Graph round trips", "of them writes", "time with writes pending, s", "start to end, s", "429s", "peak memory, MiB"];
    table(&head, unscim.into_iter().chain(peers))
}
