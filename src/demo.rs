//! `unscim demo`: the whole guide on a practice tenant on loopback, by the real loop over real HTTP. It needs no file and no account.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::guide::GUIDE;
use crate::model::condition::Truth;
use crate::model::spec::{
    Acknowledgement, Afterwards, AppRef, Cloud, Credential, EmptyGroups, Entra, GroupEntry, Groups, Limits, MatchBy, Mode,
    Percent, Profile, Provisioning, Revocation, RevocationBy, Rollout, Select, Spec, Target, Timing,
};
use crate::model::status::{Phase, Status};
use crate::plan::NewBaseline;
use crate::reconcile::{Carried, turn, wait_after};
use crate::sim::Practice;
use crate::sim::scenario::Scenario;
use crate::wiring::{Outside, network};
use crate::world::SystemClock;
use crate::world::http::Unobserved;
use crate::world::ledger::SqliteLedger;

/// How a demo is to be.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub users: usize,
    pub groups: usize,
    pub seed: u64,
    /// Virtual seconds of the tenant per second of ours.
    pub speed: f64,
}

/// No demo lasts longer; a stuck one is a defect.
const AT_MOST: Duration = Duration::from_secs(1800);

/// Runs to the end and returns whether everybody was kept.
pub async fn run(options: Options, stop: &CancellationToken) -> Result<Kept> {
    let scenario = Scenario {
        users: options.users,
        groups: options.groups,
        seed: options.seed,
        speed: options.speed,
        ..Scenario::default()
    };
    let practice = Practice::new(scenario).await.context("starting the practice tenant")?;
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("listening on loopback")?;
    let root = format!("http://{}", listener.local_addr()?);
    practice.served_at(&root);
    let ended = stop.child_token();
    let server = tokio::spawn(
        axum::serve(listener, practice.router()).with_graceful_shutdown(ended.clone().cancelled_owned()).into_future(),
    );
    let engine = tokio::spawn({
        let (practice, ended) = (practice.clone(), ended.clone());
        async move { practice.run(ended).await }
    });
    let folder = Folder::new()?;
    let result = guide(&practice, &root, &folder.0, stop).await;
    ended.cancel();
    engine.await.context("the provisioning engine of the practice tenant")?;
    server.abort();
    result
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Everybody,
    NotEverybody,
    Interrupted,
}

async fn guide(practice: &Practice, root: &str, folder: &Path, stop: &CancellationToken) -> Result<Kept> {
    let spec = spec(practice, root, folder)?;
    let ledger = SqliteLedger::open(&folder.join("data"))?;
    let world = Outside::new(&spec, network(&spec)?, Arc::new(Unobserved), ledger, SystemClock);
    println!(
        "practice tenant at {root}: {} users, {} groups; nothing outside this machine is touched",
        practice.ids().users.len(),
        practice.ids().groups.len()
    );
    let begun = Instant::now();
    let (mut carried, mut shown, mut revoked) = (Carried::default(), BTreeMap::new(), false);
    while begun.elapsed() < AT_MOST {
        let turn = turn(&world, &spec, NewBaseline::Allowed, &mut carried, stop).await;
        show(&turn.status, &mut shown);
        match turn.status.phase {
            Phase::Retired => {
                let progress = &turn.status.progress;
                println!("{} of {} users kept", progress.users_kept, progress.users_counted);
                let safe = progress.users_kept == progress.users_counted && practice.out_of_scope_moments().is_empty();
                return Ok(if safe { Kept::Everybody } else { Kept::NotEverybody });
            }
            Phase::AwaitingRevocation if !revoked => {
                println!("  a person deletes the token in the app's settings");
                practice.revoke_token().context("deleting the practice tenant's token")?;
                revoked = true;
            }
            Phase::Observing
            | Phase::Preflight
            | Phase::AssigningUsers
            | Phase::EmptyingGroups
            | Phase::UnassigningGroups
            | Phase::AwaitingCycle
            | Phase::AwaitingRevocation
            | Phase::Held => {}
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(Kept::Interrupted),
            () = tokio::time::sleep(wait_after(&turn, &spec)) => {}
        }
    }
    anyhow::bail!("the demo did not end within {}", humantime::format_duration(AT_MOST))
}

/// A line for each change of a step.
fn show(status: &Status, shown: &mut BTreeMap<u8, String>) {
    for step in &GUIDE {
        let Some(condition) = status.condition(step.condition) else { continue };
        if condition.status == Truth::Unknown {
            continue;
        }
        let mark = if condition.status == Truth::True { "done" } else { "    " };
        let line = format!("{mark} {}. {}: {}", step.number, step.title, condition.message);
        let key = format!("{mark}{}", condition.reason);
        if shown.get(&step.number) != Some(&key) {
            let progress = &status.progress;
            println!(
                "{line}  [{}/{} assigned, {} memberships, {} groups]",
                progress.users_assigned, progress.users_protected, progress.memberships, progress.groups_assigned
            );
            shown.insert(step.number, key);
        }
    }
    for held in &status.held {
        println!("     held ({}): {}", held.brake, held.message);
    }
}

/// The settings of a real tenant; only the waits by our own clock are short, as the tenant's time runs fast.
fn spec(practice: &Practice, root: &str, folder: &Path) -> Result<Spec> {
    let ids = practice.ids();
    let (secret, token) = (folder.join("client-secret"), folder.join("scim-token"));
    std::fs::write(&secret, practice.client_secret()).context("writing the client secret")?;
    std::fs::write(&token, practice.scim_token()).context("writing the SCIM token")?;
    let url = |path: &str| Url::parse(&format!("{root}{path}")).context("the practice tenant's address");
    let moment = Duration::from_millis(250);
    Ok(Spec {
        name: "demo".into(),
        mode: Mode::Enforce,
        entra: Entra {
            cloud: Cloud::Public,
            tenant_id: ids.tenant,
            app: AppRef::ServicePrincipalId(ids.service_principal),
            job_id: None,
            credential: Credential { client_id: ids.client, client_secret_file: secret },
            authority: url("")?,
            graph: url("")?,
        },
        groups: Groups {
            select: Select::Listed,
            list: ids.groups.iter().map(|id| GroupEntry { id: *id, members: None }).collect(),
            empty_groups: EmptyGroups::WhenExclusive,
            acknowledge: vec![Acknowledgement::UndiscoverableUses, Acknowledgement::TargetGroupContent],
        },
        roles: BTreeMap::new(),
        target: Target {
            profile: Profile::Uniqkey,
            scim_url: url("/scim/v2")?,
            token_file: token,
            match_by: MatchBy::UserName,
            match_from: None,
            read_interval: moment,
            revocation: Revocation { by: RevocationBy::Operator, webhook: None, confirmations: 3, confirm_every: moment },
        },
        provisioning: Provisioning {
            settle_cycles: 1,
            verify_cycles: 2,
            scope_confirmed: None,
            cycle_margin: Duration::from_secs(600),
            cycle_timeout: Duration::from_secs(6 * 3600),
            afterwards: Afterwards::Leave,
        },
        rollout: Rollout::Canary,
        limits: Limits {
            max_groups: 20,
            max_users: 5000,
            max_member_removals: 10_000,
            max_shrink: Percent(10),
            fights: 2,
            write_share: Percent(100),
        },
        timing: Timing { interval: moment, settle: Duration::from_secs(300), request_timeout: Duration::from_secs(30) },
    })
}

/// A folder of our own for as long as the demo runs.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("unscim-demo-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the demo's folder was left behind");
        }
    }
}
