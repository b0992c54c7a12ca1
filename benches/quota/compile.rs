//! What it takes to build: the program's size, a clean build, and the tests after a change of one line in the judgement.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::builds::{Build, Builds, Each, cargo, target, unpack};
use crate::table::{Bar, Judged};

/// Any file of the judgement that others rest on; the earlier build may have it elsewhere.
const CHANGED: [&str; 2] = ["src/judge/mod.rs", "src/guide/mod.rs"];

/// Seconds of one round.
struct Took {
    clean: f64,
    /// Until the tests can run.
    tests: f64,
}

pub async fn measure(builds: &Builds, rounds: usize) -> Result<Vec<Judged>> {
    let trees = Each {
        before: match &builds.before {
            Some(before) => Some(earlier(before)?),
            None => None,
        },
        now: present().await?,
    };
    let mut took = builds.lists();
    for round in 1..=rounds {
        for (tree, took) in trees.with(&mut took) {
            eprintln!("building, round {round} of {rounds}: {}", tree.display());
            took.push(once(tree).await?);
        }
    }
    let sizes = Each { before: builds.before.as_ref().map(size).transpose()?, now: size(&builds.now)? };
    for (tree, build) in [(trees.before.as_ref(), "before"), (Some(&trees.now), "now")] {
        if let Some(tree) = tree {
            let run = timed(cargo(tree, &compiled(tree)).args(["test", "--locked", "--no-fail-fast"])).await;
            println!("The tests themselves, {build}: {:.0} s.\n", run.unwrap_or(f64::NAN));
        }
    }
    Ok(vec![
        Judged::new("release binary", Bar::AtMost(15.0), sizes, "MB"),
        Judged::new("clean release build", Bar::AtMost(200.0), took.median(|took: &Took| took.clean), "s"),
        Judged::new(
            "`cargo test --no-run` after one line of the judgement",
            Bar::AtMost(25.0),
            took.median(|took| took.tests),
            "s",
        ),
    ])
}

fn size(build: &Build) -> Result<f64> {
    Ok(std::fs::metadata(&build.program)?.len() as f64 / 1e6)
}

/// The tree that the earlier build was made from.
fn earlier(build: &Build) -> Result<PathBuf> {
    let tree = build.program.with_file_name("tree");
    ensure!(tree.is_dir(), "there is no {}: the part `build` needs a commit", tree.display());
    Ok(tree)
}

/// What is committed, in a folder where a line of it may be changed.
async fn present() -> Result<PathBuf> {
    let tree = target("now/tree");
    if tree.is_dir() {
        std::fs::remove_dir_all(&tree)?;
    }
    unpack("HEAD", &tree).await?;
    Ok(tree)
}

fn compiled(tree: &Path) -> PathBuf {
    tree.with_file_name("compiled")
}

async fn once(tree: &Path) -> Result<Took> {
    let target = compiled(tree);
    if target.is_dir() {
        std::fs::remove_dir_all(&target)?;
    }
    let clean = timed(cargo(tree, &target).args(["build", "--release", "--locked"])).await?;
    timed(cargo(tree, &target).args(["test", "--no-run", "--locked"])).await?;
    let changed = CHANGED.iter().map(|file| tree.join(file)).find(|file| file.is_file());
    let changed = changed.with_context(|| format!("{} has none of {CHANGED:?}", tree.display()))?;
    let text = std::fs::read_to_string(&changed)?;
    // It must change what is compiled, and nothing of what it does.
    std::fs::write(&changed, format!("{text}\n#[doc(hidden)]\npub const CHANGED: u128 = {};\n", nonce()))?;
    let tests = timed(cargo(tree, &target).args(["test", "--no-run", "--locked"])).await;
    std::fs::write(&changed, text)?;
    Ok(Took { clean, tests: tests? })
}

fn nonce() -> u128 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos())
}

async fn timed(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?.wait_with_output().await?;
    ensure!(output.status.success(), "cargo failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(begun.elapsed().as_secs_f64())
}
