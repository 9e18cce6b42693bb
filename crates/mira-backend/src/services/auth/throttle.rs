//! Failed logins cost time: five a minute are free, then every further attempt doubles the wait. Global rather than
//! per address, because addresses are free for whoever guesses. Pure: the caller says what time it is.

use std::time::Duration;
use tokio::time::Instant;

/// Attempts that may fail within [`WINDOW`] before the wait begins.
const FREE_FAILURES: u32 = 5;
const WINDOW: Duration = Duration::from_mins(1);
const FIRST_WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Counts failed logins.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: u32,
    window_start: Option<Instant>,
    locked_until: Option<Instant>,
}

impl Throttle {
    /// Whether an attempt may be made; if not, how long to wait. A refused attempt makes the wait longer.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if self.locked_until.is_none_or(|until| now >= until) {
            return Ok(());
        }
        self.failed(now);
        Err(self.wait(now))
    }

    /// Notes a failed attempt.
    pub fn failed(&mut self, now: Instant) {
        let quiet_since = self.locked_until.or(self.window_start);
        if quiet_since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            *self = Self {
                failures: 0,
                window_start: Some(now),
                locked_until: None,
            };
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(beyond) = self.failures.checked_sub(FREE_FAILURES) {
            let wait = FIRST_WAIT.saturating_mul(2u32.saturating_pow(beyond)).min(LONGEST_WAIT);
            self.locked_until = Some(now + wait);
        }
    }

    /// Notes a successful login: everything is forgiven.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    fn wait(&self, now: Instant) -> Duration {
        self.locked_until
            .map(|until| until.saturating_duration_since(now))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut throttle = Throttle::default();
        for second in 0..5 {
            assert_eq!(throttle.admit(at(second)), Ok(()));
            throttle.failed(at(second));
        }
        assert_eq!(throttle.admit(at(5)), Err(Duration::from_secs(30)));
        assert_eq!(throttle.admit(at(6)), Err(Duration::from_mins(1)));
        assert_eq!(throttle.admit(at(66)), Ok(()), "the wait is over");
        throttle.failed(at(66));
        assert_eq!(
            throttle.admit(at(67)),
            Err(Duration::from_mins(4)),
            "still the same row of failures"
        );
        throttle.succeeded();
        assert_eq!(throttle.admit(at(68)), Ok(()));
    }

    #[test]
    fn the_wait_has_a_ceiling() {
        let now = Instant::now();
        let mut throttle = Throttle::default();
        (0..1000).for_each(|_| throttle.failed(now));
        assert_eq!(throttle.admit(now), Err(LONGEST_WAIT));
    }

    #[test]
    fn slow_mistakes_are_free() {
        let start = Instant::now();
        let mut throttle = Throttle::default();
        for minute in 0..100 {
            let now = start + WINDOW * minute;
            assert_eq!(throttle.admit(now), Ok(()));
            throttle.failed(now);
        }
    }
}
