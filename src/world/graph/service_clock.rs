//! What time the service has: one `Date` that runs away from those before it is not believed by itself.

use std::sync::Mutex;
use std::time::Duration;

use http::Uri;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::world::error::locked;

/// Machines of one service do not differ by more.
const LEAP: Duration = Duration::from_secs(10 * 60);
/// A rate is measured over so much of our time at least.
const MEASURED: Duration = Duration::from_secs(1);

/// The first answer and the last one that were believed. Between the two the service's time may have run faster than ours: a
/// practice tenant's does.
#[derive(Clone, Copy)]
struct Known {
    first: (Timestamp, Instant),
    last: (Timestamp, Instant),
}

#[derive(Default)]
pub(super) struct ServiceClock {
    known: Mutex<Option<Known>>,
    /// What was read last: it can be asked for again to hear the time.
    read: Mutex<Option<(&'static str, Uri)>>,
}

impl ServiceClock {
    /// It is not the time that those before it lead to.
    pub(super) fn is_odd(&self, at: Timestamp) -> bool {
        let Some(Known { first, last }) = *locked(&self.known) else { return false };
        let span = last.1 - first.1;
        let rate = if span < MEASURED { 1.0 } else { last.0.duration_since(first.0).as_secs_f64() / span.as_secs_f64() };
        let passed = last.1.elapsed().as_secs_f64() * rate.max(1.0);
        (at.duration_since(last.0).as_secs_f64() - passed).abs() > LEAP.as_secs_f64() + passed * 0.1
    }

    /// Two times that were heard one after the other, from one clock.
    pub(super) fn agree(earlier: Timestamp, later: Timestamp) -> bool {
        later.duration_since(earlier).unsigned_abs() <= LEAP
    }

    pub(super) fn was_read(&self, operation: &'static str, uri: Uri) {
        *locked(&self.read) = Some((operation, uri));
    }

    pub(super) fn last_read(&self) -> Option<(&'static str, Uri)> {
        locked(&self.read).clone()
    }

    pub(super) fn believe(&self, at: Timestamp) {
        let is_leap = self.is_odd(at);
        let now = (at, Instant::now());
        let mut known = locked(&self.known);
        *known = Some(match *known {
            // A leap says nothing of the rate, which is measured anew; two answers at once say nothing of it either.
            Some(known) if !is_leap || now.1 - known.first.1 < MEASURED * 2 => Known { last: now, ..known },
            Some(_) | None => Known { first: now, last: now },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(seconds)
    }

    async fn hears(clock: &ServiceClock, after: u64, seconds: u64) -> bool {
        tokio::time::advance(Duration::from_secs(after)).await;
        let odd = clock.is_odd(at(seconds));
        if !odd {
            clock.believe(at(seconds));
        }
        odd
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_runs_away_is_odd_in_either_direction_however_long_nothing_was_heard() {
        let clock = ServiceClock::default();
        assert!(!hears(&clock, 0, 0).await, "the first is all there is");
        assert!(!hears(&clock, 60, 60).await && !hears(&clock, 7200, 7262).await);
        assert!(hears(&clock, 60, 10 * 365 * 86_400).await);
        assert!(hears(&clock, 0, 3000).await, "an hour back");
        assert!(!hears(&clock, 0, 7322).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_practice_tenant_may_run_faster_and_a_leap_counts_once_it_was_heard_twice() {
        let clock = ServiceClock::default();
        assert!(!hears(&clock, 0, 0).await && !hears(&clock, 2, 480).await);
        for n in 2..20 {
            assert!(!hears(&clock, 60, 480 + (n - 1) * 14_400).await, "{n}");
        }
        assert!(clock.is_odd(at(40_000_000)));
        clock.believe(at(40_000_000));
        assert!(!hears(&clock, 1, 40_000_001).await, "the rate is measured anew");
        assert!(hears(&clock, 1, 1_000).await);
    }
}
