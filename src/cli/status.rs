//! `unscim status`: what a running daemon says of itself.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use url::Url;

use crate::cli::args::{self, Exit, Output};
use crate::cli::terminal::{Sheet, print_json, view};

const STATUS_WITHIN: Duration = Duration::from_secs(10);
const STATUS_CAP: usize = 4 << 20;

/// `unscim status`.
pub async fn run(args: &args::Status) -> Result<Exit> {
    if args.ready {
        let (url, code, body) = asked(&args.url, "/readyz").await?;
        let answer = String::from_utf8_lossy(&body);
        let answer = answer.lines().next().unwrap_or_default();
        if !code.is_success() {
            bail!("{url} answers {code}: {answer}");
        }
        println!("{answer}");
        return Ok(Exit::Done);
    }
    let (url, code, body) = asked(&args.url, "/status").await?;
    if code == reqwest::StatusCode::SERVICE_UNAVAILABLE {
        bail!("{url}: no turn has ended yet; ask again in a moment");
    }
    let document: Value = match serde_json::from_slice(&body) {
        Ok(document) if code.is_success() => document,
        Ok(_) | Err(_) => bail!("{url} answers {code} and no status; is that unscim? (--url)"),
    };
    match args.output {
        Output::Text => view::render(&document, Sheet::new()).print()?,
        Output::Json => print_json(&document)?,
    }
    Ok(Exit::Done)
}

/// What the daemon at `url` answers there.
async fn asked(url: &Url, path: &str) -> Result<(Url, reqwest::StatusCode, Vec<u8>)> {
    let at = url.join(path).with_context(|| format!("{url} has no {path}"))?;
    let asking = || async {
        let client = reqwest::Client::builder().timeout(STATUS_WITHIN).redirect(reqwest::redirect::Policy::none()).build()?;
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
    let (code, body) = asking().await.with_context(|| format!("asking {at}; is unscim running there? (--url)"))?;
    Ok((at, code, body))
}
