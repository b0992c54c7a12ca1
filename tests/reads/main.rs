//! Each single read × each way to fail × each phase, once, for a few turns and for good: each run to its end through the real
//! clients, and judged by an oracle of its own.
//!
//! `UNSCIM_READS=all cargo test --locked --profile long --test reads -- --nocapture` runs the whole table and tells how far it
//! is; the name of a cell, as in `UNSCIM_READS='members/403-html/emptying/once'`, runs that one, and `*` stands for every part
//! in its place.

#[path = "../common/status.rs"]
mod status;
#[path = "../common/rig.rs"]
pub mod support;
#[path = "../contract/wire.rs"]
pub mod wire;

mod bites;
mod oracle;
mod run;
mod table;
mod weather;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use run::{Story, alone, run};
use table::{Cell, READS};

/// Cells in the gate, beside those that are always there.
const SAMPLE: usize = 12;

/// All of them, on all cores.
fn played(cells: &[Cell]) -> Vec<(Cell, Story)> {
    let (next, ended) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::SeqCst)).copied() {
                    let story = std::panic::catch_unwind(|| alone(run(cell)));
                    let panicked = |_| Story { wrong: [("PANIC".into(), "see above".into())].into(), ..Story::default() };
                    let story = story.unwrap_or_else(panicked);
                    // A whole table takes its time: who looks on sees what it has found so far.
                    for why in story.wrong.values().filter_map(|why| why.lines().next()) {
                        println!("{cell}: {why}");
                    }
                    let mut ended = ended.lock().unwrap();
                    ended.push((cell, story));
                    if ended.len() % 100 == 0 {
                        println!("{} of {} cells", ended.len(), cells.len());
                    }
                }
            });
        }
    });
    ended.into_inner().unwrap()
}

#[test]
fn a_read_that_fails_harms_nobody_and_is_never_taken_for_a_no() {
    let wanted = std::env::var("UNSCIM_READS").ok();
    let cells = match wanted.as_deref() {
        None => table::sample(SAMPLE),
        Some("all") => table::table(),
        Some(name) => table::named(name),
    };
    assert!(!cells.is_empty(), "UNSCIM_READS: there is no cell {wanted:?}");
    let ended = played(&cells);
    let turns: usize = ended.iter().map(|(_, story)| story.turns).sum();
    let calm = ended.iter().filter(|(_, story)| story.struck == 0).count();
    let good = ended.iter().filter(|(_, story)| story.wrong.is_empty()).count();
    println!("{} cells, {good} ended well; {turns} turns; in {calm} of them no request came that could fail", ended.len());
    let mut failed: BTreeMap<&str, BTreeMap<String, &str>> = BTreeMap::new();
    for (cell, story) in &ended {
        for (kind, why) in &story.wrong {
            failed.entry(kind).or_default().insert(cell.to_string(), why);
        }
    }
    let mut shown = String::new();
    for (kind, cells) in failed {
        let first = cells.values().next().expect("one of them");
        shown.push_str(&format!("\n{kind}: {} cells, of which the first: {first}\n", cells.len()));
        for (name, why) in cells {
            let line = why.lines().next().unwrap_or_default();
            shown.push_str(&format!("  UNSCIM_READS='{name}' cargo test --locked --test reads fails   # {line}\n"));
        }
    }
    let struck: BTreeSet<_> = ended.iter().filter(|(_, story)| story.struck > 0).map(|(cell, _)| cell.read.name).collect();
    let never: Vec<_> = READS.iter().map(|read| read.name).filter(|name| !struck.contains(name)).collect();
    if !never.is_empty() {
        println!("nothing ever failed of {never:?}");
    }
    assert!(shown.is_empty(), "{shown}");
    assert!(never.is_empty() || wanted.is_some_and(|name| name != "all"), "nothing ever failed of {never:?}");
}

#[test]
fn every_read_of_the_list_is_in_the_table() {
    let reads = |line: &&(&str, &str)| line.0 == "GET" || line.1.ends_with("/token");
    let missing: Vec<_> =
        wire::ALLOWED.iter().filter(reads).filter(|line| !READS.iter().any(|read| read.line == **line)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unknown: Vec<_> = READS.iter().filter(|read| !wire::ALLOWED.contains(&read.line)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
