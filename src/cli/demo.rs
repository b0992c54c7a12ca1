//! `unscim demo`: the whole guide on a practice tenant on loopback, by the real daemon over real HTTP. It needs no file and no account.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{self, Exit};
use crate::cli::practice::{Served, own_folder};
use crate::cli::run::Daemon;
use crate::cli::terminal::bars::{Bars, aside};
use crate::config;
use crate::judge::steps::GUIDE;
use crate::model::condition::{ConditionKind, Truth};
use crate::model::moment::since;
use crate::model::names::Names;
use crate::model::spec::Mode;
use crate::model::status::{Phase, Status, figure};
use crate::practice::scenario::Scenario;
use crate::serve::{Hosts, bind};
use crate::turn::Permit;
use crate::world::ledger::SqliteLedger;

/// Virtual seconds of the tenant per second of ours.
const SPEED: f64 = 240.0;
const FAST: f64 = 2400.0;
/// No demo lasts longer; a stuck one is a defect.
const AT_MOST: Duration = Duration::from_secs(1800);

pub async fn run(args: &args::Demo, stop: &CancellationToken) -> Result<Exit> {
    let speed = if args.fast { FAST } else { SPEED };
    let scenario = Scenario {
        users: usize::try_from(args.users)?,
        groups: usize::try_from(args.groups)?,
        seed: args.seed,
        speed,
        ..Scenario::default()
    };
    let folder = Folder(own_folder("unscim-demo")?);
    let served = Served::start(scenario, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let result = guide(&served, &folder.0, speed, args, stop).await;
    served.close().await?;
    result
}

async fn guide(served: &Served, folder: &Path, speed: f64, args: &args::Demo, stop: &CancellationToken) -> Result<Exit> {
    let spec = config::load(&served.write_config(folder, speed, Mode::Enforce)?)?;
    let mut daemon =
        Daemon::new(spec, SqliteLedger::open(&folder.join("data"))?, None, Names::shown(args.show_names), Bars::fitting(true))?;
    let seen = daemon.listen(bind(args.listen).await?, Hosts::new(&args.names.allowed_host), None)?;
    let practice = &served.practice;
    let (users, groups) = (practice.ids().users.len(), practice.ids().groups.len());
    println!("practice tenant at {}: {users} users, {groups} groups; nothing outside this machine is touched", served.root);
    println!("the page: http://{}/", seen.address);
    let begun = Instant::now();
    let (mut shown, mut revoked, mut ended) = (BTreeMap::new(), false, None);
    while let Some(turn) = daemon.turn(Permit::FirstBaseline, stop).await {
        let status = &turn.status;
        show(status, ahead(status, practice.now(), speed).as_deref(), &mut shown);
        if status.phase == Phase::AwaitingRevocation && !revoked {
            say("  a person deletes the token in the app's settings");
            practice.revoke_token().context("deleting the practice tenant's token")?;
            revoked = true;
        }
        if ended.is_none() && status.is_true(ConditionKind::Ready) {
            let (kept, counted) = (status.progress.users_kept, status.progress.users_counted);
            let safe = kept.is_some() && kept == counted && practice.out_of_scope_moments().is_empty();
            say(&format!("{} of {} users kept", figure(kept), figure(counted)));
            ended = Some(if safe { Exit::Done } else { Exit::Trouble });
            if args.once {
                break;
            }
            say("turning on: see the page, or press Ctrl-C");
        }
        if ended.is_none() && begun.elapsed() > AT_MOST {
            bail!("the demo did not end within {}", humantime::format_duration(AT_MOST));
        }
        daemon.wait(&turn, stop).await;
        if stop.is_cancelled() {
            break;
        }
    }
    seen.close().await?;
    Ok(ended.unwrap_or(Exit::Done))
}

/// A line to stdout that does not tear the bars.
fn say(line: &str) {
    aside(|| println!("{line}"));
}

/// When it can be over, from now: by the watcher's clock, and by the tenant's, which runs faster.
fn ahead(status: &Status, now: Timestamp, speed: f64) -> Option<String> {
    let left = since(now, status.remaining.earliest_finish?);
    let words = |time: Duration| humantime::format_duration(Duration::from_secs(time.as_secs_f64().ceil() as u64)).to_string();
    let minutes = Duration::from_secs(left.as_secs().div_ceil(60) * 60);
    Some(format!("done in {} at the earliest, which is {} there", words(left.div_f64(speed)), words(minutes)))
}

/// A line for each change of a step.
fn show(status: &Status, ahead: Option<&str>, shown: &mut BTreeMap<u8, String>) {
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
            say(&format!(
                "{line}  [{}/{} assigned, {}{} groups{}{}]",
                figure(progress.users_assigned),
                figure(progress.users_protected),
                progress.memberships.map_or_else(String::new, |left| format!("{left} memberships, ")),
                figure(progress.groups_assigned),
                if ahead.is_some() { "; " } else { "" },
                ahead.unwrap_or_default()
            ));
            shown.insert(step.number, key);
        }
    }
    for held in &status.held {
        say(&format!("     held ({}): {}", held.brake, held.message));
    }
}

/// A folder of our own for as long as the demo runs.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, "the demo's folder was left behind");
        }
    }
}
