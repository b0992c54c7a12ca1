//! `unscim practice`: the practice tenant alone, served on loopback, with a config that is ready for it. `demo` uses both.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit, Misuse};
use crate::model::spec::Mode;
use crate::practice::scenario::Scenario;
use crate::practice::{Practice, PracticeError};
use crate::world::file;

/// A practice tenant that answers on loopback, with its provisioning engine at work.
pub struct Served {
    pub practice: Practice,
    /// `http://127.0.0.1:…`, where all of it is.
    pub root: String,
    end: CancellationToken,
    engine: JoinHandle<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub async fn start(scenario: Scenario, addr: SocketAddr) -> Result<Self> {
        Self::start_behind(scenario, addr, |router| router).await
    }

    /// The same behind layers of the caller's, such as a slow network.
    pub async fn start_behind(scenario: Scenario, addr: SocketAddr, layers: impl FnOnce(Router) -> Router) -> Result<Self> {
        if !addr.ip().is_loopback() {
            let why = "the practice tenant answers on loopback only; give --listen an address such as 127.0.0.1:9000";
            return Err(Misuse(why.into()).into());
        }
        let practice = Practice::new(scenario).await.context("starting the practice tenant")?;
        let listener = tokio::net::TcpListener::bind(addr).await.with_context(|| format!("listening on {addr}"))?;
        let root = format!("http://{}", listener.local_addr()?);
        practice.served_at(&root);
        let end = CancellationToken::new();
        let router = admin(practice.clone()).merge(layers(practice.router()));
        let server =
            tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(end.clone().cancelled_owned()).into_future());
        let engine = tokio::spawn({
            let (practice, end) = (practice.clone(), end.clone());
            async move { practice.run(end).await }
        });
        Ok(Served { practice, root, end, engine, server })
    }

    /// Writes the secrets and a config for this tenant into `folder`. Waits by our own clock are as short as the tenant's
    /// time is fast; everything else is as for a real tenant.
    pub fn write_config(&self, folder: &Path, speed: f64, mode: Mode) -> Result<PathBuf> {
        write_secret(&folder.join("client-secret"), &self.practice.client_secret())?;
        write_secret(&folder.join("scim-token"), &self.practice.scim_token())?;
        let config = folder.join("unscim.yaml");
        std::fs::write(&config, self.config(speed, mode)).with_context(|| format!("writing {}", config.display()))?;
        Ok(config)
    }

    fn config(&self, speed: f64, mode: Mode) -> String {
        let ids = self.practice.ids();
        let root = &self.root;
        let wait = Duration::from_secs_f64((60.0 / speed).clamp(0.05, 60.0));
        let wait = humantime::format_duration(Duration::from_millis(wait.as_millis().try_into().unwrap_or(60_000)));
        // The tenant keeps its quotas by its own time.
        let quota = Duration::from_millis((150_000.0 / speed).max(1.0) as u64);
        let groups: String = ids.groups.iter().map(|id| format!("      - id: {id}\n")).collect();
        format!(
            "apiVersion: unscim.dev/v1alpha1\nkind: ScimRetirement\nmetadata:\n  name: practice\nspec:\n  mode: {mode:?}\n  entra:\n    \
             tenantId: {tenant}\n    app:\n      servicePrincipalId: {app}\n    credential:\n      clientId: {client}\n      \
             clientSecretFile: client-secret\n    endpoints:\n      authority: {root}\n      graph: {root}\n  groups:\n    \
             select: Listed\n    list:\n{groups}    acknowledge: [UndiscoverableUses, TargetGroupContent]\n  target:\n    \
             profile: uniqkey\n    scimUrl: {scim}\n    tokenFile: scim-token\n    readInterval: {wait}\n    revocation:\n      \
             confirmEvery: {wait}\n  limits:\n    writeShare: 100%\n    writeQuota: {quota}\n  timing:\n    interval: {wait}\n",
            quota = format_args!("3000/{}", humantime::format_duration(quota)),
            tenant = ids.tenant,
            app = ids.service_principal,
            client = ids.client,
            scim = self.practice.scim_url(),
        )
    }

    pub async fn close(self) -> Result<()> {
        self.end.cancel();
        self.engine.await.context("the provisioning engine of the practice tenant")?;
        // Callers may hold connections open; nobody is served any more.
        self.server.abort();
        Ok(())
    }
}

/// For nobody else's eyes, whoever could read what was there before.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    let run = || {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())
    };
    run().with_context(|| format!("writing {}", path.display()))
}

/// What a person does in the app's settings, and what the practice tenant counted.
fn admin(practice: Practice) -> Router {
    Router::new().route("/practice", get(summary)).route("/practice/token", delete(revoke)).with_state(practice)
}

async fn summary(State(practice): State<Practice>) -> Json<Value> {
    let moments = practice.out_of_scope_moments();
    Json(json!({
        "users": practice.ids().users.len(),
        "groups": practice.ids().groups.len(),
        "time": practice.now(),
        "writes": practice.writes().len(),
        "forbiddenCalls": practice.forbidden_calls().len(),
        "outOfScopeMoments": moments.len(),
    }))
}

async fn revoke(State(practice): State<Practice>) -> (StatusCode, String) {
    match practice.revoke_token() {
        Ok(()) => (StatusCode::NO_CONTENT, String::new()),
        Err(error) => (StatusCode::CONFLICT, format!("{error}\n")),
    }
}

pub async fn run(args: &args::Practice, stop: &CancellationToken) -> Result<Exit> {
    let scenario = match &args.scenario {
        Some(path) => read_scenario(path)?,
        None => Scenario::default(),
    };
    let speed = scenario.speed;
    let folder = match &args.config_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
            dir.clone()
        }
        None => own_folder("unscim-practice")?,
    };
    let served = Served::start(scenario, args.listen).await.map_err(|error| match error.downcast_ref::<PracticeError>() {
        Some(PracticeError::Scenario(_)) => Misuse(format!("{error:#}")).into(),
        Some(PracticeError::Target(_)) | None => error,
    })?;
    let config = served.write_config(&folder, speed, Mode::Observe)?;
    let root = &served.root;
    println!("practice tenant at {root}; nothing outside this machine is touched");
    println!("config:               {}", config.display());
    println!("what it counted:      curl {root}/practice");
    println!("delete the app token: curl -X DELETE {root}/practice/token");
    stop.cancelled().await;
    served.close().await?;
    Ok(Exit::Done)
}

fn read_scenario(path: &Path) -> Result<Scenario> {
    let wrong = |why: String| Misuse(format!("{}: {why}", path.display()));
    let bytes =
        file::read(path).map_err(|error| wrong(format!("can't be read: {error}; name a readable file with --scenario")))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text; save it as UTF-8".into()))?;
    Ok(serde_saphyr::from_str(&text).map_err(|error| wrong(error.to_string()))?)
}

/// A new folder under the temporary directory.
pub fn own_folder(name: &str) -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("{name}-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
    Ok(path)
}
