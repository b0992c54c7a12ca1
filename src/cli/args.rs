//! Verbs, flags and exit codes.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PathBufValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use url::Url;

use crate::cli::telemetry::LogFormat;
use crate::model::status::Phase;
use crate::operator::worker::egress::Allowed;

/// Retires SCIM group provisioning from Microsoft Entra ID without touching a single user.
///
/// Every flag can also be given as an environment variable; a flag wins over it. The log goes to stderr; UNSCIM_LOG
/// sets its level.
///
/// Exit codes: 0 done or nothing to do, 1 trouble (Graph or the app could not be read), 2 changes are pending (plan, run --once in
/// Observe), 3 refused or held: a person must decide, 4 waiting for a cycle or a person (--once), 5 retired (status), 64 usage or
/// config error.
#[derive(Debug, Parser)]
#[command(version, about, long_about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The whole guide against a practice tenant on loopback: nothing needed, nothing harmed
    Demo(Demo),
    /// Turn the loop: compare the tenant with the goal, take the next safe step, wait, verify
    Run(Run),
    /// Many retirements on Kubernetes: a worker for each ScimRetirement, which runs the loop
    Operator(Box<Operator>),
    /// The whole way from here, and what a turn would do now; writes nothing anywhere but stdout
    Plan(Plan),
    /// Config, permissions and preflight as before the first run (it knows no ledger), every finding at once
    Check(Check),
    /// The running daemon's status, readable
    Status(Status),
    /// Stop every write at once, by the file that does it; looking goes on
    Freeze(Freeze),
    /// Take that file away again
    Unfreeze(Freeze),
    /// The practice tenant alone, for rehearsals
    Practice(Practice),
    /// Put back what the daemon has changed: group assignments, members; shown first
    Rollback(Rollback),
    /// The evidence, to stdout: who was protected, what was done, what was seen after
    Report(Report),
    /// The journal's hash chain, offline: every edited, missing or re-ordered line
    Verify(Verify),
    /// What a shell needs to complete verbs and flags, to stdout
    Completions { shell: Shell },
    /// JSON schema of the config, or the definition of the resource for Kubernetes
    Schema {
        /// The schema of what
        #[arg(default_value = "config")]
        of: SchemaOf,
    },
}

#[derive(Debug, Args)]
pub struct Config {
    /// The config file
    #[arg(long, env = "UNSCIM_CONFIG", value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct Names {
    /// A name under which the page, the status and the metrics may be asked for, beside addresses, localhost and the machine's own
    /// name; several, or with commas between. Any other is refused: it could be another web site's
    #[arg(long, env = "UNSCIM_ALLOWED_HOST", value_name = "NAME", value_delimiter = ',', value_parser = host_name)]
    pub allowed_host: Vec<String>,
}

// Named as those of Kubernetes' own components are.
#[derive(Debug, Args)]
pub struct ListenerTls {
    /// Speak TLS by this certificate (PEM), its issuers after it; read again when it changes, as the other two are
    #[arg(long, env = "UNSCIM_TLS_CERT_FILE", value_name = "FILE", requires = "tls_private_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// The key of that certificate (PEM), without a passphrase
    #[arg(long, env = "UNSCIM_TLS_PRIVATE_KEY_FILE", value_name = "FILE", requires = "tls_cert_file")]
    pub tls_private_key_file: Option<PathBuf>,
    /// Answer only whom a certificate authority in this file (PEM) vouches for; the probes are answered without
    #[arg(long, env = "UNSCIM_TLS_CLIENT_CA_FILE", value_name = "FILE", requires = "tls_cert_file")]
    pub tls_client_ca_file: Option<PathBuf>,
}

// Of whoever asks a daemon that speaks TLS.
#[derive(Debug, Args)]
pub struct CallerTls {
    /// Certificate authorities (PEM) to trust beside the system's, for the daemon's certificate
    #[arg(long, env = "UNSCIM_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The certificate to show (PEM), its issuers after it, where the daemon has --tls-client-ca-file
    #[arg(long, env = "UNSCIM_CLIENT_CERT_FILE", value_name = "FILE", requires = "client_key_file")]
    pub client_cert_file: Option<PathBuf>,
    /// The key of that certificate (PEM), without a passphrase
    #[arg(long, env = "UNSCIM_CLIENT_KEY_FILE", value_name = "FILE", requires = "client_cert_file")]
    pub client_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Users in the practice tenant's groups
    #[arg(long, env = "UNSCIM_USERS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=5000))]
    pub users: u64,
    /// Groups that are assigned to the app
    #[arg(long, env = "UNSCIM_GROUPS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub groups: u64,
    /// All ids and all chance follow from it
    #[arg(long, env = "UNSCIM_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Let the tenant's time run ten times as fast
    #[arg(long, env = "UNSCIM_FAST", value_parser = BoolishValueParser::new())]
    pub fast: bool,
    /// Where to show the page, the status and the metrics
    #[arg(long, env = "UNSCIM_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub names: Names,
    /// Name users in the status, on the page and in the log; without it they appear by their ids
    #[arg(long, env = "UNSCIM_SHOW_NAMES", value_parser = BoolishValueParser::new())]
    pub show_names: bool,
    /// End when the guide is done, instead of going on turning until Ctrl-C
    #[arg(long, env = "UNSCIM_ONCE", value_parser = BoolishValueParser::new())]
    pub once: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub config: Config,
    /// Where to show the page, the status and the metrics; not used with --once
    #[arg(long, env = "UNSCIM_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub tls: ListenerTls,
    #[command(flatten)]
    pub names: Names,
    /// Where the ledger is: on block storage that outlives the process, one for each retirement
    #[arg(long, env = "UNSCIM_DATA_DIR", value_name = "DIR", default_value = "unscim-data", value_parser = directory())]
    pub data_dir: PathBuf,
    /// Turn until nothing more can be done without waiting, then exit
    #[arg(long, env = "UNSCIM_ONCE", value_parser = BoolishValueParser::new())]
    pub once: bool,
    /// Take the first baseline if the ledger is empty. Not on a volume that was lost: who is protected would be forgotten
    #[arg(long, env = "UNSCIM_NEW_BASELINE", value_parser = BoolishValueParser::new())]
    pub new_baseline: bool,
    /// Name users in the status, on the page and in the log; without it they appear by their ids
    #[arg(long, env = "UNSCIM_SHOW_NAMES", value_parser = BoolishValueParser::new())]
    pub show_names: bool,
    /// Text where stderr is a terminal, JSON otherwise
    #[arg(long, env = "UNSCIM_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Args)]
pub struct Operator {
    /// Namespaces whose resources are looked after; several, or with commas between; all of them where left out
    #[arg(long, env = "UNSCIM_WATCH_NAMESPACE", value_name = "NAMESPACE", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// The operator's own namespace: there is its Lease, and from there its pods ask the workers
    #[arg(long, env = "UNSCIM_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: String,
    /// Of several operators let one work, by a Lease; without it each of them does, which only costs requests
    #[arg(long, env = "UNSCIM_LEADER_ELECTION", value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub leader_election: bool,
    /// Where to show metrics and probes
    #[arg(long, env = "UNSCIM_LISTEN", value_name = "ADDR", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub tls: ListenerTls,
    /// The image of the workers; a resource may name another version of it, and no other image
    #[arg(long, env = "UNSCIM_WORKER_IMAGE", value_name = "IMAGE")]
    pub worker_image: String,
    /// The namespace whose pods may scrape the workers
    #[arg(long, env = "UNSCIM_METRICS_NAMESPACE", value_name = "NAMESPACE", default_value = "monitoring")]
    pub metrics_namespace: String,
    /// Apply every object again after this long, as in 1h, whatever was seen
    #[arg(long, env = "UNSCIM_RESYNC", value_name = "TIME", value_parser = span, default_value = "1h")]
    pub resync: Duration,
    /// Where resources may send their workers beside https to public names and addresses: a network or a name (*. stands for every name
    /// below); several, or with commas between
    #[arg(long, env = "UNSCIM_ALLOW_EGRESS", value_name = "NETWORK|NAME", value_delimiter = ',', value_parser = Allowed::parse)]
    pub allow_egress: Vec<Allowed>,
    /// Root of the token endpoint of every worker, for private set-ups; the cloud's own where left out
    #[arg(long, env = "UNSCIM_ENTRA_AUTHORITY", value_name = "URL", value_parser = address)]
    pub entra_authority: Option<Url>,
    /// Root of Microsoft Graph of every worker, without the version; the cloud's own where left out
    #[arg(long, env = "UNSCIM_ENTRA_GRAPH", value_name = "URL", value_parser = address)]
    pub entra_graph: Option<Url>,
    /// Text where stderr is a terminal, JSON otherwise
    #[arg(long, env = "UNSCIM_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub config: Config,
    /// Judge by this ledger, which is only read; without it, as if there were none
    #[arg(long, env = "UNSCIM_DATA_DIR", value_name = "DIR", value_parser = directory())]
    pub data_dir: Option<PathBuf>,
    #[arg(long, env = "UNSCIM_OUTPUT", default_value = "text")]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub config: Config,
    /// Only the config: no file beside it is read and nobody is asked
    #[arg(long, env = "UNSCIM_OFFLINE", value_parser = BoolishValueParser::new())]
    pub offline: bool,
    #[arg(long, env = "UNSCIM_OUTPUT", default_value = "text")]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Status {
    /// Where the daemon listens
    #[arg(long, env = "UNSCIM_URL", default_value = "http://127.0.0.1:8080", value_parser = address)]
    pub url: Url,
    #[command(flatten)]
    pub tls: CallerTls,
    /// Only ask whether it is ready (/readyz): exit code 0 if it is, 1 if not
    #[arg(long, conflicts_with = "output")]
    pub ready: bool,
    #[arg(long, env = "UNSCIM_OUTPUT", default_value = "text")]
    pub output: Output,
    /// All of it: every condition, group, write and note; without it what fits a screen
    #[arg(long, short, env = "UNSCIM_VERBOSE", value_parser = BoolishValueParser::new())]
    pub verbose: bool,
    /// Show it again whenever it has changed, until Ctrl-C
    #[arg(long, conflicts_with_all = ["ready", "wait_for"])]
    pub watch: bool,
    /// Show it once this phase is there: 0 then; 5 if it is retired instead, and after --timeout what is the matter: 1, 3, or 4
    #[arg(long, value_name = "PHASE", ignore_case = true, value_parser = phase(), conflicts_with = "ready")]
    pub wait_for: Option<Phase>,
    /// How long to wait for it, as in 90s or 2h; without it for as long as it takes
    #[arg(long, value_name = "TIME", value_parser = span, requires = "wait_for")]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Freeze {
    #[command(flatten)]
    pub config: Config,
}

#[derive(Debug, Args)]
pub struct Practice {
    /// Where the tenant answers; on loopback, as it is no real one
    #[arg(long, env = "UNSCIM_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// JSON or YAML that says what the tenant is like; see docs/practice.md
    #[arg(long, env = "UNSCIM_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Where to write a config for it, with its secrets; a new folder under the temporary directory otherwise
    #[arg(long, env = "UNSCIM_CONFIG_DIR", value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    pub config: Config,
    /// Where the ledger is, of a daemon that is stopped
    #[arg(long, env = "UNSCIM_DATA_DIR", value_name = "DIR", default_value = "unscim-data", value_parser = directory())]
    pub data_dir: PathBuf,
    /// Do it; without this it is only shown
    #[arg(long)]
    pub yes: bool,
    /// Then also take back the direct assignments that the daemon made, of users whom the groups carry again
    #[arg(long)]
    pub remove_direct: bool,
    #[arg(long, env = "UNSCIM_OUTPUT", default_value = "text")]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Where the ledger is; it is only read
    #[arg(long, env = "UNSCIM_DATA_DIR", value_name = "DIR", default_value = "unscim-data", value_parser = directory())]
    pub data_dir: PathBuf,
    /// One page that needs nothing else, or a document for machines
    #[arg(long, env = "UNSCIM_FORMAT", default_value = "html")]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Html,
    Json,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Where the ledger is; it is only read
    #[arg(long, env = "UNSCIM_DATA_DIR", value_name = "DIR", default_value = "unscim-data", value_parser = directory())]
    pub data_dir: PathBuf,
    /// A head that was noted earlier: the journal must still contain it
    #[arg(long, value_name = "HASH", value_parser = hash)]
    pub head: Option<String>,
    #[arg(long, env = "UNSCIM_OUTPUT", default_value = "text")]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The config file
    Config,
    /// The resource of `unscim operator`: a CustomResourceDefinition
    Crd,
}

/// What a person gave is wrong, beyond what flags can tell by themselves: exit code 64.
#[derive(Debug)]
pub struct Misuse(pub String);

impl std::fmt::Display for Misuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// What the operator's own word keeps from being done: exit code 3.
#[derive(Debug)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Could not read.
    Trouble = 1,
    /// Changes are pending.
    Pending = 2,
    /// Refused or held: a person must decide.
    Held = 3,
    /// Waiting for a cycle or a person.
    Waiting = 4,
    /// All five steps hold (`status`).
    Retired = 5,
    /// Usage or config.
    Usage = 64,
}

fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write a time with its unit, as in 90s or 2h"))
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string()).and_then(|url| match url.scheme() {
        "http" | "https" => Ok(url),
        scheme => Err(format!("{scheme} is no scheme of the web")),
    });
    url.map_err(|error| format!("{error}; write it whole, as in http://127.0.0.1:8080"))
}

/// Empty where a list ends with a comma.
fn host_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
        Ok(name.to_owned())
    } else {
        Err("write the name alone, as in unscim.example.com, without scheme, port or wildcard")
    }
}

fn phase() -> impl TypedValueParser<Value = Phase> {
    PossibleValuesParser::new(Phase::ALL.iter().map(|phase| phase.as_str())).map(|name| {
        let of_that_name = Phase::ALL.iter().find(|phase| phase.as_str().eq_ignore_ascii_case(&name));
        *of_that_name.expect("it is one of the possible values")
    })
}

/// As `verify` and `report` show it.
fn hash(text: &str) -> Result<String, &'static str> {
    let hash = text.trim().to_ascii_lowercase();
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(hash)
    } else {
        Err("a head has 64 hexadecimal digits, as unscim verify shows them")
    }
}

/// A path at which there may be a directory: a file there would only be told as something that can't be made.
fn directory() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.metadata() {
        Ok(found) if !found.is_dir() => Err("it is a file, and the ledger needs a directory; name another path"),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err("it lies in a file; name another path"),
        Ok(_) | Err(_) => Ok(path),
    })
}
