//! The practice tenant's own time: a base plus what has passed, times a speed. Nothing else here reads a clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Virtual time; under tokio's paused clock it moves only when the test lets it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: Timestamp,
    start: Instant,
    speed: f64,
}

impl Clock {
    /// `speed` is virtual seconds per real second.
    pub fn new(base: Timestamp, speed: f64) -> Self {
        Clock { base, start: Instant::now(), speed }
    }

    /// The virtual time now.
    pub fn now(&self) -> Timestamp {
        later(self.base, self.start.elapsed().mul_f64(self.speed))
    }

    /// The real time in which this much virtual time passes.
    pub fn real(&self, span: Duration) -> Duration {
        span.div_f64(self.speed)
    }

    /// Sleeps until the virtual time is reached; timers tick in whole milliseconds, so it may take a second look.
    pub async fn sleep_until(&self, at: Timestamp) {
        loop {
            let missing = at.duration_since(self.now());
            match Duration::try_from(missing) {
                Ok(missing) if !missing.is_zero() => {
                    tokio::time::sleep(self.real(missing).max(Duration::from_millis(1))).await;
                }
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// A stamp some time after another.
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// A stamp some time before another.
pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

/// As Graph writes a stamp: seven digits of a second.
pub fn stamp(at: Timestamp) -> String {
    format!("{at:.7}")
}

/// As the `Date` header has it: whole seconds.
pub fn http_date(at: Timestamp) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_have_the_service_forms() {
        let at: Timestamp = "2026-11-24T10:00:00.25Z".parse().unwrap();
        assert_eq!(stamp(at), "2026-11-24T10:00:00.2500000Z");
        assert_eq!(http_date(at), "Tue, 24 Nov 2026 10:00:00 GMT");
    }

    #[tokio::test(start_paused = true)]
    async fn virtual_time_runs_at_its_speed() {
        let clock = Clock::new(Timestamp::UNIX_EPOCH, 60.0);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(clock.now(), later(Timestamp::UNIX_EPOCH, Duration::from_secs(600)));
        clock.sleep_until(later(Timestamp::UNIX_EPOCH, Duration::from_secs(1200))).await;
        assert!(clock.now() >= later(Timestamp::UNIX_EPOCH, Duration::from_secs(1200)));
    }
}
