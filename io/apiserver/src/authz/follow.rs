//! From the store's events to an index of objects: roles, pods, volumes. No task: whoever needs the index first takes in
//! what has happened since.
//!
//! The store hands its events to watchers before it answers a commit, so an index that took in everything pending knows
//! every object that anybody was told is stored. Starts anew when the watch was ended (too far behind).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::{Context, Poll};

use futures_util::Stream;
use kelson_machinery::Object;
use kelson_store::{Event, EventKind, Store, StoreError, Watch};
use tokio::sync::Mutex;

/// What is kept of the objects below a prefix of the store. Paths are what follows the prefix.
pub(super) trait Index: Default {
    /// Takes an object in, in place of what was there.
    fn put(&mut self, path: &str, object: Object);
    /// Forgets an object.
    fn remove(&mut self, path: &str);
}

/// See the module's head.
pub(super) struct Follow<I> {
    store: Arc<dyn Store>,
    prefix: String,
    index: RwLock<I>,
    watch: Mutex<Option<Watch>>,
    /// The revision up to which everything is taken in.
    seen: AtomicU64,
}

impl<I: Index> Follow<I> {
    /// An index of nothing yet.
    pub fn new(store: Arc<dyn Store>, prefix: impl Into<String>) -> Self {
        let (index, watch) = (RwLock::default(), Mutex::default());
        Self { store, prefix: prefix.into(), index, watch, seen: AtomicU64::new(0) }
    }

    /// The index as it was last taken in; while held it does not change.
    pub fn index(&self) -> RwLockReadGuard<'_, I> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the index to the store's revision or later.
    pub async fn take_in(&self) -> Result<(), StoreError> {
        let now = self.store.revision();
        if self.seen.load(Ordering::Acquire) >= now {
            return Ok(());
        }
        let mut watch = self.watch.lock().await;
        let whole = match watch.as_mut() {
            // Unconstrained: within a task's budget the channel might seem empty before it is.
            Some(watch) => tokio::task::unconstrained(poll_fn(|context| self.drain(watch, context))).await,
            None => false,
        };
        if !whole {
            *watch = None;
            *watch = Some(self.begin().await?);
        }
        self.seen.fetch_max(now, Ordering::AcqRel);
        Ok(())
    }

    /// Takes in what is pending and does not wait for more; false when the watch is over.
    fn drain(&self, watch: &mut Watch, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            match Pin::new(&mut *watch).poll_next(context) {
                Poll::Ready(Some(Ok(event))) => self.apply(&event),
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Ready(true),
            }
        }
    }

    /// Reads everything and watches from there.
    async fn begin(&self) -> Result<Watch, StoreError> {
        let listing = self.store.list(&self.prefix, None, 0).await?;
        let watch = self.store.watch(&self.prefix, listing.revision)?;
        let mut fresh = I::default();
        listing.entries.iter().for_each(|entry| self.put(&mut fresh, &entry.key, &entry.value));
        *self.changing() = fresh;
        Ok(watch)
    }

    fn apply(&self, event: &Event) {
        let mut index = self.changing();
        match event.kind {
            EventKind::Deleted => index.remove(self.path(&event.entry.key)),
            EventKind::Created | EventKind::Updated => {
                self.put(&mut index, &event.entry.key, &event.entry.value);
            }
        }
    }

    fn put(&self, index: &mut I, key: &str, value: &[u8]) {
        match serde_json::from_slice(value) {
            Ok(object) => index.put(self.path(key), object),
            Err(error) => {
                tracing::error!(key, %error, "a stored object that rights depend on cannot be read")
            }
        }
    }

    fn path<'k>(&self, key: &'k str) -> &'k str {
        key.strip_prefix(&self.prefix).unwrap_or_default()
    }

    fn changing(&self) -> RwLockWriteGuard<'_, I> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}
