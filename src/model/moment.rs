//! How long ago, how much later: ours, by two clocks, and the services', by the times that they give.

use std::time::Duration;

use jiff::Timestamp;

/// A moment of ours, for ages alone, by two clocks: one that somebody may set, and one that may stand still while the machine sleeps.
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

/// This much before `at`.
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| at.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

/// This much after `at`.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// Whether `span` is not over, by a clock that somebody may have set since: a time that lies that far ahead tells of no wait.
pub fn lasts(at: Timestamp, now: Timestamp, span: Duration) -> bool {
    since(at, now) < span && since(now, at) < span
}

/// From `earlier` to `later`, zero where the order is the other way round.
pub fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// What lies further ahead than machines of one service differ was never so: a wrong stamp was kept.
pub const FUTURE: Duration = Duration::from_secs(15 * 60);

/// The clocks of two services differ by so much, and nobody minds.
pub const SKEW: Duration = Duration::from_secs(300);

/// Whether a time of the service that was kept lies in its future.
pub fn is_ahead(kept: Timestamp, now: Timestamp) -> bool {
    since(now, kept) >= FUTURE
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
