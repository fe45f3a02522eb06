//! Clocks: each component reads its own, which goes wrong by jumps; time itself only goes forward.
//!
//! What is due after a while is due by time itself, as sleeping tasks are; what is stamped or compared with a stamp goes
//! by the clock.

use jiff::{SignedDuration, Timestamp};

/// How one component's clock differs from time itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    ahead: SignedDuration,
    /// When it jumped last.
    pub jumped: Option<Timestamp>,
}

impl Clock {
    /// What the clock shows.
    pub fn read(&self, now: Timestamp) -> Timestamp {
        later(now, self.ahead)
    }

    /// When the clock will show `shown`, unless it jumps.
    pub fn when(&self, shown: Timestamp) -> Timestamp {
        shown.checked_sub(self.ahead).unwrap_or(Timestamp::MAX)
    }

    /// From now on the clock is so far ahead, or behind.
    pub fn jump(&mut self, ahead: SignedDuration, now: Timestamp) {
        (self.ahead, self.jumped) = (ahead, Some(now));
    }
}

/// `now` and a while, as long as there are numbers for it.
pub fn later(now: Timestamp, after: SignedDuration) -> Timestamp {
    now.checked_add(after).unwrap_or(Timestamp::MAX)
}
