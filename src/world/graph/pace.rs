//! Paces our writes to a share of Graph's write quota; never delays a read, never sends anything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::spec::{Percent, WRITE_QUOTA as QUOTA, WRITE_WINDOW as WINDOW};

/// The fraction of a limit from which Graph tells us, and from which we slow down.
const WARNED_AT: f64 = 0.8;

/// A token bucket. Its burst and its rate together stay within the share in any window.
pub struct Pace {
    state: Mutex<State>,
}

struct State {
    /// Writes per second.
    rate: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
    /// Until then the rate is halved.
    slow_until: Instant,
    /// Writes of the last window.
    spent: VecDeque<Instant>,
}

impl Pace {
    pub fn new(share: Percent) -> Self {
        let (rate, burst) = limits(share);
        let now = Instant::now();
        let state = State { rate, burst, tokens: burst, filled: now, slow_until: now, spent: VecDeque::new() };
        Pace { state: Mutex::new(state) }
    }

    /// Another share from now on; what was spent is not given back.
    pub fn share(&self, share: Percent) {
        let mut state = self.refilled();
        (state.rate, state.burst) = limits(share);
        state.tokens = state.tokens.min(state.burst);
    }

    /// Waits until one more write fits.
    pub async fn take(&self) {
        while let Some(wait) = self.try_take() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Graph's `x-ms-throttle-limit-percentage`: near the limit the rate is halved for a window.
    pub fn heed(&self, fraction: f64) {
        if fraction >= WARNED_AT {
            self.refilled().slow_until = Instant::now() + WINDOW;
        }
    }

    /// Our writes of the last window as a fraction of Graph's whole quota.
    pub fn write_quota_ratio(&self) -> f64 {
        self.refilled().spent.len() as f64 / f64::from(QUOTA)
    }

    fn try_take(&self) -> Option<Duration> {
        let mut state = self.refilled();
        if state.tokens >= 1.0 {
            state.tokens -= 1.0;
            let now = state.filled;
            state.spent.push_back(now);
            return None;
        }
        let rate = if state.slow_until > state.filled { state.rate / 2.0 } else { state.rate };
        // The timer counts whole milliseconds; without one more the last wait would repeat.
        Some(Duration::from_secs_f64((1.0 - state.tokens) / rate) + Duration::from_millis(1))
    }

    fn refilled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let slow = state.slow_until.min(now).saturating_duration_since(state.filled);
        let full = now.saturating_duration_since(state.filled).saturating_sub(slow);
        let filled = (full.as_secs_f64() + slow.as_secs_f64() / 2.0) * state.rate;
        state.tokens = (state.tokens + filled).min(state.burst);
        state.filled = now;
        while state.spent.front().is_some_and(|then| now.saturating_duration_since(*then) >= WINDOW) {
            state.spent.pop_front();
        }
        state
    }
}

/// Writes per second and at once.
fn limits(share: Percent) -> (f64, f64) {
    let writes = (f64::from(QUOTA) * f64::from(share.0.min(100)) / 100.0).max(10.0);
    let burst = writes / 10.0;
    ((writes - burst) / WINDOW.as_secs_f64(), burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn seconds_for(pace: &Pace, writes: u32) -> f64 {
        let begun = Instant::now();
        for _ in 0..writes {
            pace.take().await;
        }
        begun.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenth_of_the_share_goes_at_once_and_the_share_fills_the_window() {
        let pace = Pace::new(Percent(50));
        assert_eq!(seconds_for(&pace, 150).await, 0.0);
        let rest = seconds_for(&pace, 1_350).await;
        assert!((150.0..152.0).contains(&rest), "{rest}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_ever_sees_more_than_the_share() {
        let pace = Pace::new(Percent(50));
        seconds_for(&pace, 4_000).await;
        assert!(pace.state.lock().unwrap().spent.len() <= 1_500);
        assert!(pace.write_quota_ratio() <= 0.5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_halves_the_rate_for_one_window() {
        let pace = Pace::new(Percent(50));
        seconds_for(&pace, 150).await;
        pace.heed(0.79);
        assert!(seconds_for(&pace, 90).await < 10.5);
        pace.heed(0.8);
        assert!(seconds_for(&pace, 90).await > 19.9);
        tokio::time::advance(WINDOW).await;
        seconds_for(&pace, 150).await;
        assert!(seconds_for(&pace, 90).await < 10.5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_ratio_forgets_what_is_older_than_the_window() {
        let pace = Pace::new(Percent(100));
        seconds_for(&pace, 300).await;
        assert_eq!(pace.write_quota_ratio(), 0.1);
        tokio::time::advance(WINDOW).await;
        assert_eq!(pace.write_quota_ratio(), 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_of_nothing_is_slow_but_never_stuck() {
        let pace = Pace::new(Percent(0));
        assert!(seconds_for(&pace, 3).await < 60.0);
    }
}
