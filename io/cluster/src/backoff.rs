//! How long to wait before trying again: doubling, bounded, and spread by chance.
//!
//! Invariant: never shorter than half of `FIRST`, never longer than one and a half times `LONGEST`. It
//! never sleeps itself.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Counts failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.5 + unit(kelson_process::random_u64()))
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Whether nothing has failed since the last success.
    pub(crate) fn is_fresh(&self) -> bool {
        self.failures == 0
    }
}

/// A number in 0..1 out of random bits.
fn unit(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}
