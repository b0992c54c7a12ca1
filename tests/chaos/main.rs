//! Seeded random worlds: odd tenants, every kind of trouble on the wire, admins at work and a process that dies, through
//! the real clients; then quiet, in which it must come to its end. One seed replays one world.
//! `tests/README.md` says how to run many.

#[path = "../common/status.rs"]
mod status;
#[path = "../common/rig.rs"]
mod support;

mod dice;
mod draw;
mod kinds;
mod oracle;
mod second;
mod story;
mod trouble;
mod wire;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Kind, run};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// One world in a runtime of its own, whose time jumps.
fn alone(seed: u64, kind: Kind) -> Result<story::Story, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed, kind))
}

#[test]
fn worlds_full_of_trouble_end_well_and_nobody_is_hurt_by_us() {
    let one = number("UNSCIM_SEED");
    let from = one.or_else(|| number("UNSCIM_FROM")).unwrap_or(1);
    let worlds = if one.is_some() { 1 } else { number("UNSCIM_WORLDS").unwrap_or(12) };
    let (next, failures) = (AtomicU64::new(from), Mutex::new(Vec::new()));
    let totals = Mutex::new(story::Totals::default());
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= from + worlds || failures.lock().unwrap().len() >= 10 {
                        break;
                    }
                    match std::panic::catch_unwind(|| alone(seed, Kind::Honest)) {
                        Ok(Ok(story)) => totals.lock().unwrap().add(&story),
                        Ok(Err(violation)) => failures.lock().unwrap().push((seed, violation)),
                        Err(_) => failures.lock().unwrap().push((seed, "it panicked; see above".into())),
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{worlds} worlds from seed {from}: {:?}", totals.into_inner().unwrap());
    let shown: Vec<_> = failures
        .iter()
        .map(|(seed, why)| format!("seed {seed} (UNSCIM_SEED={seed} cargo test --locked --test chaos worlds): {why}"))
        .collect();
    assert!(shown.is_empty(), "{}", shown.join("\n\n"));
}

#[test]
fn one_seed_replays_one_world() {
    let told = |seed| alone(seed, Kind::Honest).unwrap().told;
    assert_eq!(told(7), told(7));
    assert_ne!(told(7), told(8));
}

#[test]
fn a_daemon_that_takes_a_group_away_too_early_would_be_caught() {
    let caught = (1..=10).filter_map(|seed| alone(seed, Kind::Reckless).err());
    let caught = caught.filter(|why| why.starts_with("dropped out of scope by a call")).count();
    assert!(caught == 10, "{caught} of 10");
}
