//! `unscim report`: the evidence, from the ledger alone. Nothing is written but stdout, and nobody is asked.

use anyhow::{Result, bail};

use crate::cli::args::{self, Exit, Format};
use crate::cli::terminal::{print, print_json};
use crate::evidence::{Evidence, html, report};
use crate::model::observed::Observed;
use crate::world::ledger::SqliteLedger;
use crate::world::{Clock as _, Ledger as _, SystemClock};

pub fn run(args: &args::Report) -> Result<Exit> {
    let ledger = SqliteLedger::open_evidence(&args.data_dir)?;
    let found = ledger.verify(None)?;
    if let Some(broken) = found.breaks.first() {
        eprintln!(
            "unscim: the journal does not hold (line {} is {}): no report is made of it; unscim verify tells more",
            broken.line, broken.what
        );
        return Ok(Exit::Held);
    }
    let Observed::Known(baseline) = ledger.baseline()? else {
        bail!("the ledger in {} has no baseline: there is nothing to report", args.data_dir.display());
    };
    let evidence = Evidence {
        baseline,
        remembered: ledger.remembered()?,
        writes: ledger.writes()?,
        witnessed: ledger.history()?,
        lines: found.lines,
        head: found.head,
    };
    let report = report(evidence, SystemClock.now());
    match args.format {
        Format::Html => print(&html(&report)?)?,
        Format::Json => print_json(&serde_json::to_value(&report)?)?,
    }
    Ok(Exit::Done)
}
