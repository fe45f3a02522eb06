//! Exponential back-off as client-go's `flowcontrol.Backoff` keeps it.
//!
//! The first failure waits for nothing and arms the initial delay; each following one doubles it up to the maximum; an
//! entry that has not been touched for twice the maximum is forgotten. Pure: `now` is a parameter.

use jiff::{SignedDuration, Timestamp};

/// One key's back-off.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// Delay in force.
    pub delay: SignedDuration,
    /// When the delay was last raised.
    pub raised_at: Timestamp,
}

/// First and longest delay of a kind of failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub first: SignedDuration,
    pub longest: SignedDuration,
}

/// Crash loops and image pulls: 10 s doubling to 5 min (F18).
pub(crate) const RESTART: Bounds =
    Bounds { first: SignedDuration::from_secs(10), longest: SignedDuration::from_secs(300) };

/// Volumes and sandboxes: 500 ms doubling to about 2 min.
pub(crate) const SETUP: Bounds =
    Bounds { first: SignedDuration::from_millis(500), longest: SignedDuration::from_secs(122) };

/// The delay that an event at `event` still has to sit out, if it has not by `now`.
pub(crate) fn pending(
    entry: &Option<Backoff>,
    bounds: Bounds,
    event: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    let entry = entry.as_ref().filter(|entry| !expired(entry, bounds, event))?;
    let until = later(event, entry.delay);
    (now < until).then_some(until)
}

/// The entry after one more failure that happened at `event`.
pub(crate) fn raised(
    entry: &Option<Backoff>,
    bounds: Bounds,
    event: Timestamp,
    now: Timestamp,
) -> Option<Backoff> {
    let delay = match entry {
        Some(entry) if !expired(entry, bounds, event) => (entry.delay * 2).min(bounds.longest),
        _ => bounds.first,
    };
    Some(Backoff { delay, raised_at: now })
}

fn expired(entry: &Backoff, bounds: Bounds, event: Timestamp) -> bool {
    event.duration_since(entry.raised_at) > bounds.longest * 2
}

/// `at` plus `by`, held at the end of time instead of overflowing.
pub(crate) fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// `at` plus whole seconds.
pub(crate) fn later_seconds(at: Timestamp, seconds: i64) -> Timestamp {
    later(at, SignedDuration::from_secs(seconds))
}

/// A delay as Go prints it: `10s`, `1m20s`, `5m0s`.
pub(crate) fn go_duration(delay: SignedDuration) -> String {
    let seconds = delay.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
