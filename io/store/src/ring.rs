//! The events kept for watchers that come back: the newest ones, bounded in number and bytes.
//!
//! Invariant: every event after `floor` is in it, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Event, StoreError};

/// What an event costs besides its bytes.
const EVENT_OVERHEAD_BYTES: usize = 200;

/// The kept events.
pub struct Ring {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    floor: u64,
    events_max: usize,
    bytes_max: usize,
}

impl Ring {
    /// Nothing kept; a watch may start after `floor`.
    pub fn new(floor: u64, events_max: usize, bytes_max: usize) -> Self {
        Self { events: VecDeque::new(), bytes: 0, floor, events_max, bytes_max }
    }

    /// Keeps one more and forgets the oldest beyond the bounds.
    pub fn push(&mut self, event: Arc<Event>) {
        self.bytes += weight(&event);
        self.events.push_back(event);
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= weight(&oldest);
            self.floor = oldest.revision;
        }
    }

    /// The kept events of `prefix` after `revision`.
    pub fn replay(&self, prefix: &str, revision: u64) -> Result<VecDeque<Arc<Event>>, StoreError> {
        if revision < self.floor {
            return Err(StoreError::Compacted { oldest: self.floor });
        }
        let start = self.events.partition_point(|event| event.revision <= revision);
        let later = self.events.range(start..);
        Ok(later.filter(|event| event.entry.key.starts_with(prefix)).cloned().collect())
    }
}

/// The bytes an event may hold alive: its own value and the one before.
fn weight(event: &Event) -> usize {
    let previous = event.previous.as_ref().map_or(0, |previous| previous.value.len());
    event.entry.value.len() + previous + EVENT_OVERHEAD_BYTES
}
