//! A moment of ours, for ages alone.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::memory::since;

/// Read from two clocks: one that somebody may set, and one that only goes on, but may stand still while the machine sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// What the calendar says.
    pub wall: Timestamp,
    /// Since some beginning, the same for as long as the process lives.
    pub steady: Duration,
}

impl Moment {
    /// How long ago it was, by whichever clock says more: a clock that was put back makes nothing young again.
    pub fn age(self, now: Moment) -> Duration {
        since(self.wall, now.wall).max(now.steady.saturating_sub(self.steady))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_clock_that_is_set_nor_a_machine_that_slept_hides_an_age() {
        let moment = |wall: i64, steady: u64| Moment {
            wall: Timestamp::from_second(1_000_000 + wall).unwrap(),
            steady: Duration::from_secs(steady),
        };
        let then = moment(0, 100);
        let ages = [(moment(40, 140), 40), (moment(-3600, 140), 40), (moment(7200, 105), 7200), (moment(-10, 90), 0)];
        for (now, age) in ages {
            assert_eq!(then.age(now), Duration::from_secs(age), "{now:?}");
        }
    }
}
