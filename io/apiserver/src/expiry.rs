//! Events go an hour after they were last written (upstream's `--event-ttl`): a sweep of the store now and then.
//!
//! Invariant: an Event is removed only as it was read, so one that was counted up meanwhile stays.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kelson_machinery::{Object, meta, time};
use kelson_store::{Change, Entry, Expect, Op, StoreError};

use crate::objects::{self, Encoded};
use crate::state::Core;

/// How long an Event is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// How often expired ones are looked for.
pub(crate) const INTERVAL: Duration = Duration::from_secs(60);
/// Events looked at, and removed, in one go.
const BATCH: usize = 500;

/// Removes every Event that has expired; how many.
pub(crate) async fn sweep(core: &Core, now: Timestamp) -> Result<usize, StoreError> {
    let Some((kind, _)) = kelson_registry::resolve("", "v1", "events") else { return Ok(0) };
    let prefix = objects::prefix(kind, None);
    let (mut after, mut removed): (Option<String>, usize) = (None, 0);
    loop {
        let page = core.store.list(&prefix, after.as_deref(), BATCH).await?;
        let Some(last) = page.entries.last() else { return Ok(removed) };
        after = Some(last.key.to_string());
        removed += remove(core, &page.entries, now).await?;
        if page.remaining == 0 {
            return Ok(removed);
        }
    }
}

async fn remove(core: &Core, entries: &[Arc<Entry>], now: Timestamp) -> Result<usize, StoreError> {
    let expired = entries.iter().filter_map(|entry| {
        let event = objects::decode(entry).ok()?;
        is_expired(&event, now).then(|| Change {
            key: entry.key.to_string(),
            expect: Expect::Revision(entry.mod_revision),
            op: Op::Delete(Encoded::new(&event).encode()),
        })
    });
    let changes: Vec<Change> = expired.collect();
    let count = changes.len();
    match changes.is_empty() {
        true => Ok(0),
        false => match core.store.commit(changes).await {
            Ok(_) => Ok(count),
            // One of them is alive: the next sweep sees which.
            Err(StoreError::Conflict { .. }) => Ok(0),
            Err(error) => Err(error),
        },
    }
}

/// Whether nothing was said of an Event for as long as it is kept.
fn is_expired(event: &Object, now: Timestamp) -> bool {
    const TIMES: [&[&str]; 4] = [
        &["lastTimestamp"],
        &["eventTime"],
        &["series", "lastObservedTime"],
        &["metadata", "creationTimestamp"],
    ];
    let last = TIMES.iter().filter_map(|path| time::parse(meta::get_str(event, path))).max();
    last.is_some_and(|last| now.duration_since(last) > KEPT)
}

#[cfg(test)]
mod tests;
