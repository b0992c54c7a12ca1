//! From start to `Retired`: what cycles, settling and the quota ask for, and what a run took beyond it. All by the tenant's time.

use jiff::Timestamp;

use crate::tenant::{SPEED, Waits};
use crate::writes::Step;

/// Rejections of the token in a row, and the seconds between two of them.
const CONFIRMATIONS: f64 = 3.0;
const CONFIRM_EVERY: f64 = 60.0;

/// When it was, but for the writes.
pub struct Events {
    pub started: Timestamp,
    /// The token was deleted; until then everything else was proven.
    pub asked_for: Timestamp,
    pub retired: Timestamp,
    /// Some cycle began.
    pub cycle: Timestamp,
}

/// What the config and the tenant ask for, in seconds.
struct Asked {
    settle: f64,
    margin: f64,
    interval: f64,
    length: f64,
    cycle: Timestamp,
}

impl Asked {
    fn new(waits: Waits, cycle: Timestamp) -> Asked {
        let minutes = |[settle, margin, interval, length]: [f64; 4]| Asked {
            settle: settle * 60.0,
            margin: margin * 60.0,
            interval: interval * 60.0,
            length: length * 60.0,
            cycle,
        };
        match waits {
            Waits::Short => minutes([2.0, 3.0, 3.0, 0.5]),
            Waits::Service => minutes([5.0, 10.0, 40.0, 3.0]),
        }
    }

    /// Seconds from this moment to the end of the n-th cycle that begins later than the margin after it.
    fn cycles(&self, at: f64, n: f64) -> f64 {
        let phase = (at + self.margin).rem_euclid(self.interval);
        self.margin + (self.interval - phase) + (n - 1.0) * self.interval + self.length
    }

    /// Seconds from some cycle's beginning to this moment.
    fn place(&self, at: Timestamp) -> f64 {
        at.duration_since(self.cycle).as_secs_f64()
    }

    /// A step was done: its writes settle, and a cycle goes over them.
    fn settled(&self, at: Timestamp) -> f64 {
        self.settle.max(self.cycles(self.place(at), 1.0))
    }

    /// The groups are gone: that settles first, and two cycles are to follow.
    fn verified(&self, at: Timestamp) -> f64 {
        self.settle + self.cycles(self.place(at) + self.settle, 2.0)
    }
}

/// In percent of what is asked for. Each part of the way is reckoned from what ended the one before it.
pub fn beyond(events: &Events, steps: &[Step; 3], waits: Waits) -> f64 {
    let asked = Asked::new(waits, events.cycle);
    let [assigned, removed, unassigned] = [0, 1, 2].map(|n| steps[n].last);
    let quota = |n: usize| steps[n].bound * SPEED;
    let parts = [
        (events.started, assigned, quota(0)),
        (assigned, removed, asked.settled(assigned) + quota(1)),
        (removed, unassigned, asked.settled(removed)),
        (unassigned, events.asked_for, asked.verified(unassigned)),
        (events.asked_for, events.retired, (CONFIRMATIONS - 1.0) * CONFIRM_EVERY),
    ];
    let mut surplus = 0.0;
    for (from, to, asked) in parts {
        surplus += (to.duration_since(from).as_secs_f64() - asked).max(0.0);
    }
    let whole = events.retired.duration_since(events.started).as_secs_f64();
    surplus / (whole - surplus) * 100.0
}
