//! The state of a prefix at a revision: today's, or an older one got back by undoing the changes since.
//!
//! Works for as long as the store keeps the changes; older than that is 410. Never changes the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use kelson_machinery::status::Status;
use kelson_store::{Entry, Event, EventKind, Store};

use crate::objects;
use crate::verbs::list::At;

/// Entries of a prefix at one revision, in the order of their keys.
pub(crate) struct State {
    pub revision: u64,
    pub entries: Vec<Arc<Entry>>,
    /// How many come after them.
    pub remaining: usize,
}

/// The entries below `prefix` and behind `after`, at the state asked for; of today's state at most `most`.
pub(crate) async fn list(
    store: &dyn Store,
    prefix: &str,
    after: Option<&str>,
    at: At,
    most: usize,
) -> Result<State, Status> {
    let now = today(store, prefix, after, most).await?;
    let (At::NotOlderThan(asked) | At::Exact(asked)) = at else { return Ok(now) };
    if asked > now.revision {
        return Err(Status::too_large_resource_version(asked, now.revision, 1));
    }
    match at {
        At::Exact(revision) if revision < now.revision => {
            let now = if now.remaining > 0 { today(store, prefix, after, usize::MAX).await? } else { now };
            let changes = changes(store, prefix, revision, now.revision).await?;
            let changes =
                changes.into_iter().filter(|event| after.is_none_or(|after| *event.entry.key > *after));
            Ok(State { revision, entries: undone(now.entries, changes.collect()), remaining: 0 })
        }
        _ => Ok(now),
    }
}

async fn today(store: &dyn Store, prefix: &str, after: Option<&str>, most: usize) -> Result<State, Status> {
    let listing = store.list(prefix, after, most).await.map_err(objects::store_failure)?;
    Ok(State { revision: listing.revision, entries: listing.entries, remaining: listing.remaining })
}

/// The changes below `prefix` after one revision, up to and with another; they are all kept, or it is 410.
async fn changes(store: &dyn Store, prefix: &str, after: u64, until: u64) -> Result<Vec<Arc<Event>>, Status> {
    let mut watch = Box::pin(store.watch(prefix, after).map_err(objects::store_failure)?);
    let mut changes = Vec::new();
    // What has happened is there at once; the first wait means that nothing more has.
    while let Some(Some(event)) = tokio::task::unconstrained(watch.next()).now_or_never() {
        let event = event.map_err(objects::store_failure)?;
        if event.revision > until {
            break;
        }
        changes.push(event);
    }
    Ok(changes)
}

fn undone(entries: Vec<Arc<Entry>>, changes: Vec<Arc<Event>>) -> Vec<Arc<Entry>> {
    let mut state: BTreeMap<Arc<str>, Arc<Entry>> =
        entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    for event in changes.into_iter().rev() {
        match (event.kind, &event.previous) {
            (EventKind::Created, _) | (_, None) => state.remove(&event.entry.key),
            (EventKind::Updated | EventKind::Deleted, Some(previous)) => {
                state.insert(previous.key.clone(), previous.clone())
            }
        };
    }
    state.into_values().collect()
}
