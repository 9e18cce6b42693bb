//! The one place that reads the clock and draws random ids. Everything else takes a [`Clock`].

use jiff::Timestamp;
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// The source of "now" and of fresh ids, so that tests can inject both.
pub trait Clock: Send + Sync {
    /// The present moment, wall clock, UTC, in whole milliseconds.
    fn now(&self) -> Timestamp;
    /// A fresh UUIDv7: unique, ordered by creation within this process.
    fn new_uuid(&self) -> Uuid;
    /// 16 random bytes from the system's generator, for secrets.
    fn random_bytes(&self) -> [u8; 16];
}

/// The real clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one legal place for the system clock")]
    fn now(&self) -> Timestamp {
        // Whole milliseconds: what is told and what is stored are the same moment.
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    #[expect(clippy::disallowed_methods, reason = "the one legal place for random ids")]
    fn new_uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    #[expect(clippy::disallowed_methods, reason = "the one legal place for random ids")]
    fn random_bytes(&self) -> [u8; 16] {
        // Two v4 UUIDs carry 122 random bits each; the fixed version and variant bits are folded away.
        let (a, b) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u128());
        (a ^ b.rotate_left(61)).to_be_bytes()
    }
}

/// A number in 0..=1, for the jitter of a repeated call. Not for secrets.
pub fn random_share() -> f64 {
    let bits = u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::random_share;

    #[test]
    fn jitter_is_a_share() {
        let shares: Vec<f64> = (0..100).map(|_| random_share()).collect();
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        assert!(shares.windows(2).any(|pair| pair.first() != pair.last()), "it varies");
    }
}
