//! What a connection on the short way waits for, and since when: every bound on waiting, by one timer that seldom fires.
//!
//! A lane is one thing that is waited for, with a bound of its own. Who waits says so once and reads no clock again; the
//! connection's timer looks at all lanes whenever any could have reached its bound, and marks those that did. Invariant: a
//! look is never later than the shortest bound after the one before, so no bound is passed by more than a look takes.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Limits;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The whole of a request's head, from the end of the request before it.
    Head,
    /// Any byte, while there is no request.
    Silence,
    /// The next piece of a request's body.
    Upload,
    /// A response's head, from the last piece of the request.
    Answer,
    /// The next piece of a response's body; or, behind it, that the backend takes the rest of the request.
    Body,
    /// The client, to take what it is sent.
    Client,
}

const LANES: [Lane; 6] = [Lane::Head, Lane::Silence, Lane::Upload, Lane::Answer, Lane::Body, Lane::Client];

impl Lane {
    fn limit(self, limits: &Limits) -> Duration {
        match self {
            Self::Head => limits.head_timeout,
            Self::Silence => limits.idle_timeout,
            Self::Upload | Self::Body => limits.body_timeout,
            Self::Answer => limits.response_timeout,
            Self::Client => limits.stall_timeout,
        }
    }
}

/// Nobody waits.
const FREE: u64 = u64::MAX;

/// The lanes of one connection.
pub(crate) struct Lanes {
    begun: Instant,
    /// Milliseconds from `begun`, by lane.
    since_ms: [AtomicU64; LANES.len()],
    /// A bit a lane.
    expired: AtomicU8,
    draining: AtomicBool,
}

impl Lanes {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            since_ms: [const { AtomicU64::new(FREE) }; LANES.len()],
            expired: AtomicU8::new(0),
            draining: AtomicBool::new(false),
        }
    }

    /// Waits from `now` on, unless it has been for longer.
    pub(crate) fn wait(&self, lane: Lane, now: Instant) {
        let since_ms = &self.since_ms[lane as usize];
        if since_ms.load(Relaxed) == FREE {
            since_ms.store(self.ms(now), Relaxed);
        }
    }

    /// The same from the moment on; the clock is read only if that is new.
    pub(crate) fn wait_now(&self, lane: Lane) {
        if self.since_ms[lane as usize].load(Relaxed) == FREE {
            self.wait(lane, Instant::now());
        }
    }

    /// It came, or is not waited for any more.
    pub(crate) fn moved(&self, lane: Lane) {
        self.since_ms[lane as usize].store(FREE, Relaxed);
        let bit = 1 << lane as u8;
        if self.expired.load(Relaxed) & bit != 0 {
            self.expired.fetch_and(!bit, Relaxed);
        }
    }

    /// Nothing is waited for.
    pub(crate) fn clear(&self) {
        self.since_ms.iter().for_each(|since_ms| since_ms.store(FREE, Relaxed));
        self.expired.store(0, Relaxed);
    }

    /// Whether a lane has reached its bound.
    pub(crate) fn is_expired(&self, lane: Lane) -> bool {
        self.expired.load(Relaxed) & (1 << lane as u8) != 0
    }

    /// Marks what has reached its bound; how long until it is to be asked again.
    pub(crate) fn look(&self, now: Instant, limits: &Limits) -> Duration {
        let now_ms = self.ms(now);
        let mut next = first_look(limits);
        for lane in LANES {
            let since_ms = self.since_ms[lane as usize].load(Relaxed);
            if since_ms == FREE {
                continue;
            }
            let waited = Duration::from_millis(now_ms.saturating_sub(since_ms));
            match lane.limit(limits).checked_sub(waited).filter(|left| !left.is_zero()) {
                Some(left) => next = next.min(left),
                None => drop(self.expired.fetch_or(1 << lane as u8, Relaxed)),
            }
        }
        next
    }

    /// No more requests are to be taken.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    fn ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(FREE - 1)
    }
}

/// When to look for the first time: the shortest bound.
pub(crate) fn first_look(limits: &Limits) -> Duration {
    LANES.into_iter().map(|lane| lane.limit(limits)).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_waited_for_too_long_is_marked() {
        let limits = Limits { head_timeout: SECOND * 3, idle_timeout: SECOND * 5, ..Limits::default() };
        let begun = Instant::now();
        let lanes = Lanes::new(begun);
        assert_eq!(lanes.look(begun, &limits), SECOND * 3, "nobody waits, somebody may begin to");
        lanes.wait(Lane::Silence, begun + SECOND);
        lanes.wait(Lane::Silence, begun + SECOND * 4);
        assert_eq!(lanes.look(begun + SECOND * 4, &limits), SECOND * 2);
        assert!(!lanes.is_expired(Lane::Silence));
        lanes.look(begun + SECOND * 6, &limits);
        assert!(lanes.is_expired(Lane::Silence) && !lanes.is_expired(Lane::Head));
        lanes.moved(Lane::Silence);
        assert!(!lanes.is_expired(Lane::Silence));
        lanes.wait(Lane::Head, begun);
        lanes.look(begun + SECOND * 9, &limits);
        assert!(lanes.is_expired(Lane::Head));
        lanes.clear();
        assert!(!lanes.is_expired(Lane::Head));
        assert_eq!(lanes.look(begun + SECOND * 99, &limits), SECOND * 3);
    }
}
