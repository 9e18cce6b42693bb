//! When and how often a call to another server is repeated, as data. What may pass is for the one who calls to know.

use std::time::Duration;

/// When and how often a call is repeated. The default suits a call that somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub attempts: u32,
    /// The longest wait before the second try; doubles with each further one.
    pub base: Duration,
    /// The longest wait the policy itself chooses.
    pub cap: Duration,
    /// The longest wait a server may ask for; if it asks for more, the call fails at once and says so.
    pub retry_after_cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8),
            retry_after_cap: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// Once and no more.
    pub const ONCE: Self = Self {
        attempts: 1,
        base: Duration::ZERO,
        cap: Duration::ZERO,
        retry_after_cap: Duration::ZERO,
    };

    /// The wait after `tried` tries, the last of which failed in a way that may pass, or none if there is to be no other.
    /// `asked` is what the server asked for; `random` is 0..=1 (full jitter: clients that failed together do not come back
    /// together).
    pub fn wait(&self, asked: Option<Duration>, tried: u32, random: f64) -> Option<Duration> {
        if tried >= self.attempts {
            return None;
        }
        if let Some(asked) = asked {
            return (asked <= self.retry_after_cap).then_some(asked);
        }
        let doubled = self
            .base
            .saturating_mul(1_u32.checked_shl(tried.saturating_sub(1)).unwrap_or(u32::MAX));
        Some(doubled.min(self.cap).mul_f64(random.clamp(0.0, 1.0)))
    }
}
