//! `unscim status`: what a running daemon says of itself.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::cli::args::{self, Exit, Output};
use crate::cli::terminal::view::{self, Depth};
use crate::cli::terminal::{Sheet, print, print_json};
use crate::cli::tls;
use crate::model::status::Phase;

const STATUS_WITHIN: Duration = Duration::from_secs(10);
/// Between two questions.
const AGAIN: Duration = Duration::from_secs(1);
const STATUS_CAP: usize = 4 << 20;

pub async fn run(args: &args::Status, stop: &CancellationToken) -> Result<Exit> {
    // A wrong file is told now, and not again and again.
    client(args)?;
    if args.ready {
        let (url, code, body) = asked(args, "/readyz").await?;
        let answer = String::from_utf8_lossy(&body);
        let answer = answer.lines().next().unwrap_or_default();
        if !code.is_success() {
            bail!("{url} answers {code}: {answer}");
        }
        println!("{answer}");
        return Ok(Exit::Done);
    }
    if let Some(phase) = args.wait_for {
        return wait_for(args, phase, stop).await;
    }
    if args.watch {
        return watch(args, stop).await;
    }
    let document = status(args).await?;
    show(args, &document)?;
    Ok(exit(&document))
}

/// The document that the daemon shows.
async fn status(args: &args::Status) -> Result<Value> {
    let (url, code, body) = asked(args, "/status").await?;
    if code == reqwest::StatusCode::UNAUTHORIZED {
        bail!("{url} answers {code}; name a certificate with --client-cert-file and --client-key-file");
    }
    if code == reqwest::StatusCode::SERVICE_UNAVAILABLE {
        bail!("{url}: no turn has ended yet; ask again in a moment");
    }
    match serde_json::from_slice(&body) {
        Ok(document) if code.is_success() => Ok(document),
        Ok(_) | Err(_) => bail!("{url} answers {code} and no status; is that unscim? (--url)"),
    }
}

fn show(args: &args::Status, document: &Value) -> Result<()> {
    let depth = if args.verbose { Depth::Whole } else { Depth::Screen };
    match args.output {
        Output::Text => view::render(document, depth, Sheet::new()).print(),
        Output::Json => print_json(document),
    }
}

/// Where it stands, as an exit code.
fn exit(document: &Value) -> Exit {
    let status = &document["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let is =
        |kind: &str, truth: &str| conditions.clone().any(|condition| condition["type"] == kind && condition["status"] == truth);
    if is("GraphReachable", "False") || is("GraphReachable", "Unknown") {
        Exit::Trouble
    } else if is("Held", "True") {
        Exit::Held
    } else if is("TargetReachable", "False") {
        Exit::Trouble
    } else if is("Ready", "True") {
        Exit::Retired
    } else {
        Exit::Done
    }
}

/// Each time that it says something else. A daemon that does not answer is told once, and asked again.
async fn watch(args: &args::Status, stop: &CancellationToken) -> Result<Exit> {
    let is_screen = args.output == Output::Text && std::io::stdout().is_terminal();
    let (mut last, mut code) = (None, Exit::Trouble);
    loop {
        let Some(asked) = stop.run_until_cancelled(status(args)).await else { return Ok(code) };
        let said = asked.map_err(|error| format!("{error:#}"));
        if last.as_ref() != Some(&said) {
            if is_screen {
                print("\u{1b}[H\u{1b}[2J\u{1b}[3J")?;
            }
            match &said {
                Ok(document) => show(args, document)?,
                Err(error) => eprintln!("unscim: {error}; asked again every second, until Ctrl-C"),
            }
        }
        code = said.as_ref().map_or(Exit::Trouble, exit);
        last = Some(said);
        stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
    }
}

/// Until the phase is there, the time is over, or it can't come any more.
async fn wait_for(args: &args::Status, phase: Phase, stop: &CancellationToken) -> Result<Exit> {
    let begun = Instant::now();
    loop {
        let Some(asked) = stop.run_until_cancelled(status(args)).await else { return Ok(Exit::Waiting) };
        let now = asked.as_ref().ok().and_then(|document| document["status"]["phase"].as_str());
        let is_there = now == Some(phase.as_str());
        let is_past = now == Some(Phase::Retired.as_str());
        let is_late = args.timeout.is_some_and(|timeout| begun.elapsed() >= timeout);
        if is_there || is_past || is_late {
            let document = asked?;
            show(args, &document)?;
            if is_there {
                return Ok(Exit::Done);
            }
            eprintln!("unscim: it is not in {phase} but in {}", document["status"]["phase"].as_str().unwrap_or("no phase"));
            return Ok(match exit(&document) {
                Exit::Done => Exit::Waiting,
                other => other,
            });
        }
        stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
    }
}

/// What the daemon at `url` answers there.
async fn asked(args: &args::Status, path: &str) -> Result<(Url, reqwest::StatusCode, Vec<u8>)> {
    let (url, client) = (&args.url, client(args)?);
    let at = url.join(path).with_context(|| format!("{url} has no {path}"))?;
    let asking = || async {
        let mut response = client.get(at.clone()).send().await?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > STATUS_CAP {
                bail!("the answer is larger than any status");
            }
        }
        Ok((response.status(), body))
    };
    let hint = if at.scheme() == "https" { "--url, --ca-file" } else { "--url" };
    let (code, body) = asking().await.with_context(|| format!("asking {at}; is unscim running there? ({hint})"))?;
    Ok((at, code, body))
}

fn client(args: &args::Status) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().timeout(STATUS_WITHIN).redirect(reqwest::redirect::Policy::none());
    tls::client(&args.tls, builder)
}
