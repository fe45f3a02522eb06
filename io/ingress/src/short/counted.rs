//! A request that is counted as under way until it is dropped.

use std::sync::atomic::{AtomicU16, Ordering};

use tokio::time::Instant;

use crate::metrics::Shard;

/// A request, since when, and the status it got; 0 until then.
pub(crate) struct Counted<'s> {
    shard: &'s Shard,
    begun: Instant,
    status: AtomicU16,
    is_over: bool,
}

impl<'s> Counted<'s> {
    pub(crate) fn new(shard: &'s Shard, now: Instant) -> Self {
        shard.began();
        Self { shard, begun: now, status: AtomicU16::new(0), is_over: false }
    }

    /// When it came.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Its response begins.
    pub(crate) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// It is over; when that was.
    pub(crate) fn over(mut self) -> Instant {
        let now = Instant::now();
        self.end(now);
        now
    }

    fn end(&mut self, now: Instant) {
        self.is_over = true;
        let took = now.saturating_duration_since(self.begun);
        self.shard.ended(self.status.load(Ordering::Relaxed), took);
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.end(Instant::now());
        }
    }
}
