//! The builds that are measured: the present one, and beside it an earlier one where somebody names it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::median::median;

/// A commit, or where its build is.
const BEFORE: &str = "UNSCIM_BENCH_BEFORE";

pub struct Build {
    pub name: &'static str,
    /// The daemon.
    pub program: PathBuf,
    /// This benchmark as it was in that build: what it measures within its own process only it can tell.
    pub bench: PathBuf,
}

/// One thing of each build.
pub struct Each<T> {
    pub before: Option<T>,
    pub now: T,
}

impl<T> Each<T> {
    pub fn map<U>(&self, of: impl Fn(&T) -> U) -> Each<U> {
        Each { before: self.before.as_ref().map(&of), now: of(&self.now) }
    }

    /// Both in turn, the earlier one first.
    pub fn with<'a, U>(&'a self, other: &'a mut Each<U>) -> impl Iterator<Item = (&'a T, &'a mut U)> {
        self.before.iter().zip(&mut other.before).chain([(&self.now, &mut other.now)])
    }
}

impl<R> Each<Vec<R>> {
    pub fn median(&self, of: impl Fn(&R) -> f64) -> Each<f64> {
        self.map(|all| median(all.iter().map(&of)))
    }
}

pub type Builds = Each<Build>;

impl Builds {
    pub async fn find() -> Result<Builds> {
        let now = Build { name: "now", program: env!("CARGO_BIN_EXE_unscim").into(), bench: std::env::current_exe()? };
        let Ok(named) = std::env::var(BEFORE) else { return Ok(Each { before: None, now }) };
        let folder = if Path::new(&named).is_dir() { PathBuf::from(&named) } else { built(&named).await? };
        let before = Build { name: "before", program: folder.join("unscim"), bench: folder.join("quota") };
        for file in [&before.program, &before.bench] {
            ensure!(file.is_file(), "{BEFORE} is {named:?}, and there is no {}", file.display());
        }
        Ok(Each { before: Some(before), now })
    }

    pub fn lists<R>(&self) -> Each<Vec<R>> {
        self.map(|_| Vec::new())
    }
}

/// `target/NAME` of the project.
pub fn target(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

/// Builds that commit as this one is built, unless that was done before, and says where both programs are.
async fn built(commit: &str) -> Result<PathBuf> {
    let parse = git().args(["rev-parse", "--verify", "--quiet"]).arg(format!("{commit}^{{commit}}")).output().await?;
    ensure!(parse.status.success(), "{BEFORE} is {commit:?}, neither a commit of this repository nor a folder");
    let commit = String::from_utf8(parse.stdout)?.trim().to_owned();
    let folder = target("before").join(&commit);
    let programs = ["unscim", "quota"].map(|name| folder.join(name));
    if programs.iter().all(|program| program.is_file()) {
        return Ok(folder);
    }
    eprintln!("building {commit} in {}", folder.display());
    let tree = folder.join("tree");
    unpack(&commit, &tree).await?;
    let mut command = cargo(&tree, &folder.join("target"));
    command.args(["bench", "--no-run", "--locked", "--bench", "quota", "--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output().await.context("running cargo")?;
    ensure!(output.status.success(), "{commit} could not be built");
    let built = String::from_utf8(output.stdout)?;
    for program in &programs {
        let name = program.file_name().and_then(|name| name.to_str());
        let artifact = built
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|artifact| artifact["target"]["name"].as_str() == name && artifact["executable"].is_string());
        let executable = artifact.as_ref().and_then(|artifact| artifact["executable"].as_str());
        std::fs::copy(executable.with_context(|| format!("cargo built no {name:?}"))?, program)?;
    }
    Ok(folder)
}

/// The files of a commit, in a folder of their own.
pub async fn unpack(commit: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut archive = git().args(["archive", commit]).stdout(Stdio::piped()).spawn()?;
    let files: Stdio = archive.stdout.take().context("no archive")?.try_into()?;
    let unpacked = Command::new("tar").arg("-x").arg("-C").arg(folder).stdin(files).status().await?;
    ensure!(archive.wait().await?.success() && unpacked.success(), "{commit} could not be unpacked");
    Ok(())
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(env!("CARGO_MANIFEST_DIR"));
    command
}

/// As somebody would call it in that folder, and not from within another build.
pub fn cargo(folder: &Path, target: &Path) -> Command {
    let mut command = Command::new("cargo");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") && name != "CARGO_HOME") {
        command.env_remove(name);
    }
    command.current_dir(folder).env("CARGO_TARGET_DIR", target).kill_on_drop(true);
    command
}
