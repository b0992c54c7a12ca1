//! `unscim verify`: the journal's hash chain, from the ledger alone. Nothing is written but stdout, and nobody is asked.

use anyhow::Result;
use serde_json::json;

use crate::cli::args::{self, Exit, Output};
use crate::cli::terminal::{Sheet, Tone, print_json};
use crate::model::words::count;
use crate::world::ledger::SqliteLedger;

pub fn run(args: &args::Verify) -> Result<Exit> {
    let found = SqliteLedger::open_evidence(&args.data_dir)?.verify(args.head.as_deref())?;
    let forgotten = args.head.as_ref().filter(|_| found.asked.is_none());
    let holds = found.breaks.is_empty() && forgotten.is_none();
    if args.output == Output::Json {
        let breaks: Vec<_> = found.breaks.iter().map(|broken| json!({ "line": broken.line, "what": broken.what })).collect();
        let document = json!({
            "holds": holds, "lines": found.lines, "head": found.head, "breaks": breaks,
            "asked": args.head, "askedAtLine": found.asked,
        });
        print_json(&document)?;
        return Ok(if holds { Exit::Done } else { Exit::Held });
    }
    let lines = count(usize::try_from(found.lines)?, "line");
    let mut sheet = Sheet::new();
    if holds {
        sheet.item("", Tone::Good, "the journal holds", &format!(": {lines}, each follows from the one before it"));
        sheet.say(&format!("head: {}", found.head));
        if let Some(line) = found.asked {
            sheet.say(&format!("the head that was asked for is that of line {line}: up to there nothing has changed since"));
        }
    } else {
        sheet.item("", Tone::Bad, "the journal does NOT hold ", &format!("({lines}):"));
        for broken in &found.breaks {
            sheet.item("  ", Tone::Plain, "- ", &format!("line {} is {}", broken.line, broken.what));
        }
        if let Some(head) = forgotten {
            sheet.item("  ", Tone::Plain, "- ", &format!("no line has the head {head}: lines up to it were changed or cut off"));
        }
        sheet.say("keep a copy of the data directory as it is, and compare it with a backup; what to do: docs/evidence.md");
    }
    sheet.print()?;
    Ok(if holds { Exit::Done } else { Exit::Held })
}
