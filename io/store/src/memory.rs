//! What everybody reads: the current entries, the kept events, the watchers.
//!
//! Invariant: it holds only what is on disk. It is changed by [`Memory::publish`] alone, after the disk said so, and a
//! reader sees a commit whole or not at all.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::ring::Ring;
use crate::watch::{Watch, Watcher, channel};
use crate::{Config, Entry, Event, EventKind, Listing, StoreError};

/// The published state.
pub struct Memory {
    revision: u64,
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
    ring: Ring,
    watchers: Vec<Watcher>,
    watcher_events_max: usize,
}

impl Memory {
    /// The state a file held.
    pub fn new(revision: u64, entries: BTreeMap<Arc<str>, Arc<Entry>>, config: &Config) -> Self {
        let ring = Ring::new(revision, config.events_max, config.event_bytes_max);
        Self { revision, entries, ring, watchers: Vec::new(), watcher_events_max: config.watcher_events_max }
    }

    /// The last revision.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// One entry.
    pub fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.entries.get(key).cloned()
    }

    /// One page; `limit` 0 means all.
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Listing {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut found = self.entries.range::<str, _>((start, Bound::Unbounded)).map(|(_, entry)| entry);
        let mut within = found.by_ref().take_while(|entry| entry.key.starts_with(prefix));
        let limit = if limit == 0 { usize::MAX } else { limit };
        let entries: Vec<_> = within.by_ref().take(limit).cloned().collect();
        Listing { revision: self.revision, entries, remaining: within.count() }
    }

    /// A watch of what comes after `after`.
    pub fn watch(&mut self, prefix: &str, after: u64) -> Result<Watch, StoreError> {
        if after > self.revision {
            return Err(StoreError::FutureRevision { requested: after, current: self.revision });
        }
        let backlog = self.ring.replay(prefix, after)?;
        let (watcher, watch) = channel(prefix, backlog, self.watcher_events_max);
        self.watchers.push(watcher);
        Ok(watch)
    }

    /// Makes durable events visible.
    pub fn publish(&mut self, revision: u64, events: Vec<Arc<Event>>) {
        for event in events {
            match event.kind {
                EventKind::Deleted => drop(self.entries.remove(&event.entry.key)),
                _ => drop(self.entries.insert(event.entry.key.clone(), event.entry.clone())),
            }
            self.watchers.retain(|watcher| watcher.send(&event));
            self.ring.push(event);
        }
        self.revision = revision;
    }

    /// Ends every watch.
    pub fn close(&mut self) {
        self.watchers.clear();
    }
}
