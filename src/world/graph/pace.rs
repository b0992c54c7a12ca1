//! Paces what we ask of Graph: writes to our share of the write quota, reads to a share of the resource units. Sends nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::spec::{Limits, Quota};
use crate::world::error::locked;

/// The fraction of a limit from which Graph tells us, and from which nothing but what flows back is spent.
const WARNED_AT: f64 = 0.8;
/// Half of what Graph grants one app in the smallest tenants; bigger ones grant more, and nobody tells us which this is.
const UNITS: Quota = Quota { amount: 1_750, per: Duration::from_secs(10) };

/// No batch is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a request counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
}

/// Two token buckets as Graph keeps them. Ours spends before a request goes out and Graph's when it comes in, so that ours is
/// never the fuller one.
pub struct Pace {
    writes: Mutex<Bucket>,
    units: Mutex<Bucket>,
}

struct Bucket {
    /// Of the service, as a whole.
    quota: Quota,
    /// Our part of it: so many at once.
    capacity: f64,
    tokens: f64,
    filled: Instant,
    /// Until then it fills at half the rate.
    slow_until: Instant,
    /// What was spent in the last span of the quota.
    spent: VecDeque<(Instant, u32)>,
}

impl Pace {
    pub fn new(limits: &Limits) -> Self {
        Pace { writes: Mutex::new(Bucket::new(limits.write_quota, limits.share())), units: Mutex::new(Bucket::new(UNITS, 1.0)) }
    }

    /// Other limits from now on; what was spent is not given back.
    pub fn limit(&self, limits: &Limits) {
        let mut writes = refilled(&self.writes);
        let new = Bucket::new(limits.write_quota, limits.share());
        (writes.quota, writes.capacity) = (new.quota, new.capacity);
        writes.tokens = writes.tokens.min(writes.capacity);
    }

    /// Writes of a process before this one, not older than the span of the quota.
    pub fn spent_before(&self, writes: usize) {
        let mut bucket = refilled(&self.writes);
        #[expect(clippy::disallowed_methods, reason = "more than any bucket holds is all of it")]
        let writes = u32::try_from(writes).unwrap_or(u32::MAX);
        bucket.spend(writes);
        bucket.tokens = bucket.tokens.max(0.0);
    }

    /// Waits until a whole batch of writes fits, or all of `wanted` where that is less, or what a small share gives in ten
    /// seconds; takes as many of these as fit.
    pub async fn writes(&self, wanted: usize, batch: usize) -> usize {
        loop {
            let wait = {
                let mut bucket = refilled(&self.writes);
                // A small share does not wait for ever for a whole batch.
                let soon = (bucket.rate() * PATIENCE.as_secs_f64()).min(bucket.capacity) as usize;
                let need = wanted.min(batch).min(soon).max(1);
                let there = bucket.tokens as usize;
                if there >= need {
                    let taken = if there >= wanted { wanted } else { there / need * need };
                    #[expect(clippy::disallowed_methods, reason = "more than any bucket holds is all of it")]
                    bucket.spend(u32::try_from(taken).unwrap_or(u32::MAX));
                    return taken;
                }
                bucket.until(need as f64)
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits until a read of this cost fits.
    pub async fn units(&self, cost: u32) {
        loop {
            let wait = {
                let mut bucket = refilled(&self.units);
                if bucket.tokens >= f64::from(cost).min(bucket.capacity) {
                    return bucket.spend(cost);
                }
                bucket.until(f64::from(cost).min(bucket.capacity))
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Graph's `x-ms-throttle-limit-percentage` (0.8 to 1.8): no more than what it says is left; beyond the limit, half the rate
    /// for one span of the quota.
    pub fn heed(&self, kind: Kind, fraction: f64) {
        let mut bucket = refilled(self.bucket(kind));
        if fraction >= WARNED_AT {
            bucket.tokens = bucket.tokens.min((1.0 - fraction).max(0.0) * f64::from(bucket.quota.amount));
        }
        if fraction > 1.0 {
            bucket.slow_until = Instant::now() + bucket.quota.per;
        }
    }

    /// A 429: nothing is left, whatever we counted, and somebody else may be spending too.
    pub fn throttled(&self, kind: Kind) {
        self.heed(kind, f64::INFINITY);
    }

    /// Our writes of the last span of the quota as a fraction of Graph's whole quota.
    pub fn write_quota_ratio(&self) -> f64 {
        let bucket = refilled(&self.writes);
        bucket.spent.iter().map(|(_, writes)| f64::from(*writes)).sum::<f64>() / f64::from(bucket.quota.amount)
    }

    fn bucket(&self, kind: Kind) -> &Mutex<Bucket> {
        match kind {
            Kind::Read => &self.units,
            Kind::Write => &self.writes,
        }
    }
}

impl Bucket {
    fn new(quota: Quota, share: f64) -> Self {
        let (capacity, now) = ((f64::from(quota.amount) * share).max(1.0), Instant::now());
        Bucket { quota, capacity, tokens: capacity, filled: now, slow_until: now, spent: VecDeque::new() }
    }

    fn rate(&self) -> f64 {
        self.capacity / self.quota.per.as_secs_f64()
    }

    fn spend(&mut self, cost: u32) {
        self.tokens -= f64::from(cost);
        self.spent.push_back((self.filled, cost));
    }

    fn until(&self, tokens: f64) -> Duration {
        let rate = if self.slow_until > self.filled { self.rate() / 2.0 } else { self.rate() };
        // The timer counts whole milliseconds; without one more the last wait would repeat.
        Duration::from_secs_f64((tokens - self.tokens) / rate) + Duration::from_millis(1)
    }
}

fn refilled(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    let mut bucket = locked(bucket);
    let now = Instant::now();
    let slow = bucket.slow_until.min(now).saturating_duration_since(bucket.filled);
    let full = now.saturating_duration_since(bucket.filled).saturating_sub(slow);
    let filled = (full.as_secs_f64() + slow.as_secs_f64() / 2.0) * bucket.rate();
    bucket.tokens = (bucket.tokens + filled).min(bucket.capacity);
    bucket.filled = now;
    let per = bucket.quota.per;
    while bucket.spent.front().is_some_and(|(then, _)| now.saturating_duration_since(*then) >= per) {
        bucket.spent.pop_front();
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::Percent;

    const WINDOW: Duration = Duration::from_secs(150);

    fn pace(share: u8) -> Pace {
        let limits = Limits {
            max_groups: 1,
            max_users: 1,
            max_member_removals: 1,
            max_shrink: Percent(10),
            fights: 1,
            write_share: Percent(share),
            shared_by: 1,
            write_quota: Quota { amount: 3_000, per: WINDOW },
        };
        Pace::new(&limits)
    }

    async fn seconds_for(pace: &Pace, mut writes: usize) -> f64 {
        let begun = Instant::now();
        while writes > 0 {
            writes -= pace.writes(writes.min(80), 20).await;
        }
        begun.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn the_share_goes_at_once_and_then_at_its_rate() {
        let pace = pace(50);
        assert_eq!(seconds_for(&pace, 1_500).await, 0.0);
        let rest = seconds_for(&pace, 3_000).await;
        assert!((300.0..301.0).contains(&rest), "{rest}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_whole_batches_and_takes_what_has_gathered() {
        let pace = pace(50);
        seconds_for(&pace, 1_500).await;
        let begun = Instant::now();
        assert_eq!(pace.writes(80, 20).await, 20);
        assert!((1.9..2.1).contains(&begun.elapsed().as_secs_f64()));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(pace.writes(80, 20).await, 40);
        assert_eq!(pace.writes(7, 20).await, 7);
    }

    #[tokio::test(start_paused = true)]
    async fn half_the_quota_keeps_to_the_whole_in_any_window() {
        let pace = pace(50);
        seconds_for(&pace, 6_000).await;
        assert!(pace.write_quota_ratio() <= 1.0);
        tokio::time::advance(WINDOW).await;
        assert_eq!(pace.write_quota_ratio(), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_leaves_what_flows_back_and_an_overrun_half_of_it() {
        let pace = pace(50);
        pace.heed(Kind::Read, 0.9);
        pace.heed(Kind::Write, 0.79);
        assert_eq!(seconds_for(&pace, 500).await, 0.0);
        pace.heed(Kind::Write, 0.99);
        assert_eq!(seconds_for(&pace, 20).await, 0.0);
        let rest = seconds_for(&pace, 100).await;
        assert!((8.9..10.1).contains(&rest), "{rest}");
        pace.throttled(Kind::Write);
        let slow = seconds_for(&pace, 100).await;
        assert!((20.0..20.1).contains(&slow), "{slow}");
        tokio::time::advance(WINDOW).await;
        seconds_for(&pace, 1_500).await;
        let again = seconds_for(&pace, 100).await;
        assert!((10.0..10.1).contains(&again), "{again}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_process_before_this_one_has_spent_counts() {
        let pace = pace(50);
        pace.spent_before(1_450);
        assert_eq!(seconds_for(&pace, 50).await, 0.0);
        assert!(seconds_for(&pace, 20).await > 1.9);
        pace.spent_before(50_000);
        assert!(seconds_for(&pace, 20).await < 2.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_share_goes_out_in_small_batches() {
        let pace = pace(2);
        seconds_for(&pace, 60).await;
        let begun = Instant::now();
        assert_eq!(pace.writes(80, 20).await, 4);
        assert!((9.9..10.1).contains(&begun.elapsed().as_secs_f64()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_nothing_is_slow_but_never_stuck() {
        let pace = pace(0);
        assert!(seconds_for(&pace, 3).await < 301.0);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_are_held_to_their_units() {
        let pace = pace(50);
        let begun = Instant::now();
        for _ in 0..1_750 {
            pace.units(1).await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        pace.units(5_000).await;
        assert!((9.9..10.1).contains(&begun.elapsed().as_secs_f64()));
        pace.throttled(Kind::Read);
        pace.units(1).await;
        assert!(begun.elapsed() > Duration::from_secs(10));
    }
}
