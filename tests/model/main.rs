//! Model check: the daemon's own judgement against a small tenant in which everything that can interleave does.
//!
//! Bounds are faults, crashes and admins' acts; `tests/README.md` says how to set them.

#[path = "../common/book.rs"]
pub mod book;
#[path = "../common/company.rs"]
pub mod company;
#[path = "../common/fake.rs"]
pub mod fake;

mod key;
mod machine;
mod shown;
mod state;
mod tenant;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use stateright::{Checker, Model, Property};
use unscim::model::spec::*;

use company::{Layout, MEMBERS};
use machine::{Machine, Step};
use shown::Mutant;
use state::{State, Trouble};

/// Both users in group 2, one of them in group 1 too: two roles, and two ways for one of them.
const TWO: Layout = &[(1, &[1]), (2, &[1, 2])];
const THREE: Layout = &MEMBERS;

/// A company in a hurry. Its limits are wide open: what is checked must not hang on them.
fn spec(layout: Layout) -> Spec {
    let minute = Duration::from_secs(60);
    let mut spec = company::spec(layout);
    spec.target.profile = Profile::Generic;
    spec.target.read_interval = minute;
    spec.target.revocation.confirmations = 2;
    spec.provisioning.verify_cycles = 1;
    spec.provisioning.cycle_margin = minute;
    spec.provisioning.log_read_interval = minute;
    spec.rollout = Rollout::AllAtOnce;
    let limits = &mut spec.limits;
    (limits.max_groups, limits.max_users, limits.max_member_removals) = (100, 100, 1000);
    (limits.max_shrink, limits.fights) = (Percent(100), 1000);
    spec.timing.settle = 2 * minute;
    spec
}

struct Check {
    machine: Machine,
    /// States from which it is known to end well.
    ends: Option<Mutex<HashSet<(u64, u64)>>>,
    told: AtomicBool,
}

impl Model for Check {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.machine.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        self.machine.steps(state, actions);
    }

    fn next_state(&self, last: &State, action: Step) -> Option<State> {
        self.machine.next(last, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties =
            vec![Property::<Self>::always("nobody is hurt", |_: &Check, state: &State| state.tenant.violation.is_none())];
        if self.ends.is_some() {
            properties
                .push(Property::<Self>::always("left alone, it retires", |check: &Check, state: &State| check.ends_well(state)));
        }
        properties
    }
}

impl Check {
    fn ends_well(&self, state: &State) -> bool {
        let Some(ends) = &self.ends else { return true };
        if state.tenant.violation.is_some() || ends.lock().unwrap().contains(&state.key()) {
            return true;
        }
        match self.machine.turns_left(state, |state| ends.lock().unwrap().contains(&state.key())) {
            Ok(way) => {
                let mut ends = ends.lock().unwrap();
                ends.insert(state.key());
                ends.extend(way.iter().map(State::key));
                true
            }
            Err(why) => {
                if !self.told.swap(true, Ordering::SeqCst) {
                    eprintln!("{why}");
                }
                false
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Checked,
    Not,
}

/// The number of states, and what was found.
fn explore(machine: Machine, ends: Ends, depth: Option<usize>) -> (usize, Vec<String>) {
    let began = Instant::now();
    let trouble = machine.trouble;
    let check = Check { machine, ends: (ends == Ends::Checked).then(Mutex::default), told: AtomicBool::new(false) };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut builder = check.checker().threads(threads);
    if let Some(depth) = depth {
        builder = builder.target_max_depth(depth);
    }
    let checker = builder.spawn_bfs().join();
    let found = checker.discoveries().into_iter().map(|(name, path)| {
        let violation = path.last_state().tenant.violation.clone().unwrap_or_default();
        let steps: Vec<_> = path.into_actions().iter().map(|step| format!("{step:?}")).collect();
        format!("{name}: {violation}\n  {}", steps.join("\n  "))
    });
    let found: Vec<_> = found.collect();
    eprintln!(
        "{trouble:?}: {} states, {} generated, depth {}, {:.0?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed()
    );
    (checker.unique_state_count(), found)
}

fn machine(layout: Layout, faults: u8, crashes: u8, admin: u8) -> Machine {
    let (untouched, trouble) = (company::seen(layout), Trouble { faults, crashes, admin });
    Machine { layout, untouched, spec: spec(layout), lag: 1, trouble, mutants: &[] }
}

/// Replicas take turns for so many ticks, and the operator has set the times by that.
fn behind(mut machine: Machine, ticks: u8) -> Machine {
    let minutes = |n: u8| Duration::from_secs(u64::from(n) * 60);
    machine.lag = ticks;
    machine.spec.timing.settle = minutes(ticks + 1);
    machine.spec.provisioning.cycle_margin = minutes(ticks);
    machine
}

/// Faults, crashes and admins' acts: `2,1,2;1,1,1`.
fn bounds(name: &str, default: &str) -> Vec<(u8, u8, u8)> {
    let text = std::env::var(name).unwrap_or_else(|_| default.into());
    let numbers = |part: &str| part.split(',').map(|n| n.trim().parse().expect("three numbers")).collect::<Vec<u8>>();
    text.split(';').map(|part| <[u8; 3]>::try_from(numbers(part)).expect("three numbers").into()).collect()
}

#[test]
fn two_users_whatever_interleaves() {
    for (faults, crashes, admin) in bounds("UNSCIM_MODEL", "0,0,0;1,0,0;0,1,0") {
        let (states, found) = explore(machine(TWO, faults, crashes, admin), Ends::Checked, None);
        assert_eq!(found, Vec::<String>::new());
        assert!(states > 150, "{states}");
    }
}

/// All the trouble at once is more than can be explored: ways through it by chance, each to its end. `UNSCIM_MODEL_WALKS` is
/// their number, `UNSCIM_SEED` the first seed.
#[test]
fn ways_through_all_the_trouble_at_once() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse::<u64>().expect("a number"));
    let (walks, first) = (number("UNSCIM_MODEL_WALKS", 60), number("UNSCIM_SEED", 1));
    let (mut states, mut spent) = (0u64, 0u64);
    for seed in first..first + walks {
        let machine = machine(if seed % 4 == 0 { THREE } else { TWO }, 2, 1, 2);
        let mut dice = StdRng::seed_from_u64(seed);
        let (mut state, mut steps, mut told) = (machine.start(), Vec::new(), Vec::new());
        for _ in 0..300 {
            steps.clear();
            machine.steps(&state, &mut steps);
            // Seldom, so that it comes late as often as early.
            let trouble = dice.random_range(0..25) == 0;
            let some: Vec<&Step> = steps.iter().filter(|step| step.is_trouble() == trouble).collect();
            let Some(step) = some.choose(&mut dice) else {
                if steps.is_empty() {
                    break;
                }
                continue;
            };
            let Some(next) = machine.next(&state, step) else { continue };
            told.push(format!("{step:?}"));
            states += 1;
            state = next;
            assert_eq!(state.tenant.violation, None, "seed {seed}:\n  {}", told.join("\n  "));
        }
        if let Err(why) = machine.turns_left(&state, |_| false) {
            panic!("seed {seed}: {why}\n  {}", told.join("\n  "));
        }
        spent += u64::from(5 - state.left.faults - state.left.crashes - state.left.admin);
    }
    eprintln!("{walks} ways, {states} states, {spent} troubles met");
    assert!(spent > walks, "{spent} troubles in {walks} ways");
}

/// The key of a state leaves out what nothing depends on. If it left out more, two states of one key would part somewhere.
#[test]
fn states_of_one_key_go_the_same_ways() {
    let compared: usize = std::env::var("UNSCIM_MODEL_PAIRS").map_or(1500, |text| text.parse().expect("a number"));
    for (faults, crashes, admin) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)] {
        let machine = machine(TWO, faults, crashes, admin);
        let ways = |state: &State| {
            let mut steps = Vec::new();
            machine.steps(state, &mut steps);
            let next: Vec<_> = steps.iter().map(|step| machine.next(state, step)).collect();
            (steps, next)
        };
        let mut known: HashMap<_, (Vec<Step>, Vec<_>)> = HashMap::new();
        let (mut open, mut pairs) = (VecDeque::from([machine.start()]), 0);
        while let Some(state) = open.pop_front().filter(|_| pairs < compared) {
            let (steps, next) = ways(&state);
            let keys: Vec<_> = next.iter().map(|next| next.as_ref().map(State::key)).collect();
            if let Some(first) = known.get(&state.key()) {
                assert_eq!(first.0, steps, "{state:#?}");
                let parted = steps.iter().zip(first.1.iter().zip(&keys)).find(|(_, (first, now))| first != now);
                assert!(
                    parted.is_none(),
                    "{:?} parts two states of one key; the second is {state:#?}",
                    parted.map(|(step, _)| step)
                );
                pairs += 1;
                continue;
            }
            known.insert(state.key(), (steps, keys));
            open.extend(next.into_iter().flatten());
        }
        eprintln!("{faults},{crashes},{admin}: {} keys, {pairs} pairs", known.len());
        assert!(pairs >= 40, "{pairs} pairs");
    }
}

fn depth(default: usize) -> usize {
    std::env::var("UNSCIM_MODEL_DEPTH").map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn an_admin_at_any_moment() {
    for (faults, crashes, admin) in bounds("UNSCIM_MODEL_ADMIN", "0,0,1") {
        let (_, found) = explore(machine(TWO, faults, crashes, admin), Ends::Checked, Some(depth(18)));
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn replicas_that_take_turns() {
    for (faults, crashes, admin) in bounds("UNSCIM_MODEL_TURNS", "0,0,0") {
        let (_, found) = explore(behind(machine(TWO, faults, crashes, admin), 2), Ends::Checked, None);
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn three_users_to_a_depth() {
    for (faults, crashes, admin) in bounds("UNSCIM_MODEL_THREE", "1,0,0") {
        let (_, found) = explore(machine(THREE, faults, crashes, admin), Ends::Not, Some(depth(26)));
        assert_eq!(found, Vec::<String>::new());
    }
}

#[test]
fn members_that_are_to_be_kept_are_kept() {
    let mut machine = machine(TWO, 1, 0, 0);
    machine.spec.groups.list[1].members = Some(MembersDecision::Keep);
    let (_, found) = explore(machine, Ends::Checked, None);
    assert_eq!(found, Vec::<String>::new());
}

/// A model that can't fail shows nothing: each rule that is broken must be found out.
#[test]
fn every_mutant_of_the_rules_is_caught() {
    use Mutant::*;
    struct Broken(&'static str, &'static [Mutant], (u8, u8, u8), fn(&mut Spec));
    let broken = [
        Broken("everything at once", &[AllAtOnce], (0, 0, 0), |_| {}),
        Broken("one list that could not be read is believed to be empty", &[ShortList, OneLook], (2, 0, 0), |_| {}),
        Broken("any cycle counts, whenever it began", &[AnyCycle], (0, 0, 0), |_| {}),
        Broken("a failed cycle counts", &[FailedCycle], (1, 0, 0), |_| {}),
        Broken("no cycle after step 1", &[], (0, 0, 0), |spec| spec.provisioning.settle_cycles = 0),
    ];
    let mut survivors = Vec::new();
    for Broken(what, mutants, (faults, crashes, admin), change) in broken {
        let mut machine = machine(TWO, faults, crashes, admin);
        machine.mutants = mutants;
        change(&mut machine.spec);
        let (_, found) = explore(machine, Ends::Not, Some(60));
        match found.first() {
            Some(found) => eprintln!("{what}: {}", found.lines().next().unwrap_or_default()),
            None => {
                eprintln!("{what}: not caught");
                survivors.push(what);
            }
        }
    }
    assert_eq!(survivors, Vec::<&str>::new());
}
