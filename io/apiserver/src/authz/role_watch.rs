//! From the store's events to the policy. No task: whoever needs the policy first takes in what has happened since.
//!
//! The store hands its events to watchers before it answers a commit, so a policy that took in everything pending knows
//! every role that anybody was told is stored. Starts anew when the watch was ended (too far behind).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use futures_util::Stream;
use kelson_rbac::{GROUP, Kind, Policy};
use kelson_store::{Event, EventKind, Store, StoreError, Watch};
use tokio::sync::Mutex;

/// See the module's head.
pub(super) struct RoleWatch {
    store: Arc<dyn Store>,
    prefix: String,
    watch: Mutex<Option<Watch>>,
    /// The revision up to which everything is taken in.
    seen: AtomicU64,
}

impl RoleWatch {
    pub fn new(store: Arc<dyn Store>) -> Self {
        let prefix = format!("/registry/{GROUP}/");
        Self { store, prefix, watch: Mutex::default(), seen: AtomicU64::new(0) }
    }

    /// Brings the policy to the store's revision or later.
    pub async fn take_in(&self, policy: &RwLock<Policy>) -> Result<(), StoreError> {
        let now = self.store.revision();
        if self.seen.load(Ordering::Acquire) >= now {
            return Ok(());
        }
        let mut watch = self.watch.lock().await;
        let whole = match watch.as_mut() {
            // Unconstrained: within a task's budget the channel might seem empty before it is.
            Some(watch) => {
                tokio::task::unconstrained(poll_fn(|context| self.drain(watch, policy, context))).await
            }
            None => false,
        };
        if !whole {
            *watch = None;
            *watch = Some(self.begin(policy).await?);
        }
        self.seen.fetch_max(now, Ordering::AcqRel);
        Ok(())
    }

    /// Takes in what is pending and does not wait for more; false when the watch is over.
    fn drain(&self, watch: &mut Watch, policy: &RwLock<Policy>, context: &mut Context<'_>) -> Poll<bool> {
        loop {
            match Pin::new(&mut *watch).poll_next(context) {
                Poll::Ready(Some(Ok(event))) => {
                    let mut policy = policy.write().unwrap_or_else(PoisonError::into_inner);
                    self.apply(&mut policy, &event);
                }
                Poll::Ready(_) => return Poll::Ready(false),
                Poll::Pending => return Poll::Ready(true),
            }
        }
    }

    /// Reads everything and watches from there.
    async fn begin(&self, policy: &RwLock<Policy>) -> Result<Watch, StoreError> {
        let listing = self.store.list(&self.prefix, None, 0).await?;
        let watch = self.store.watch(&self.prefix, listing.revision)?;
        let mut fresh = Policy::default();
        listing.entries.iter().for_each(|entry| self.put(&mut fresh, &entry.key, &entry.value));
        *policy.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(watch)
    }

    fn apply(&self, policy: &mut Policy, event: &Event) {
        let Some((kind, namespace, name)) = self.split(&event.entry.key) else { return };
        match event.kind {
            EventKind::Deleted => policy.remove(kind, namespace, name),
            EventKind::Created | EventKind::Updated => self.put(policy, &event.entry.key, &event.entry.value),
        }
    }

    fn put(&self, policy: &mut Policy, key: &str, value: &[u8]) {
        let kind = self.split(key).map(|(kind, ..)| kind);
        match (kind, serde_json::from_slice(value)) {
            (Some(kind), Ok(object)) => policy.put(kind, object),
            (_, Err(error)) => tracing::error!(key, %error, "a stored role or binding cannot be read"),
            (None, _) => {}
        }
    }

    /// Kind, namespace and name of a key.
    fn split<'k>(&self, key: &'k str) -> Option<(Kind, &'k str, &'k str)> {
        let (plural, rest) = key.strip_prefix(&self.prefix)?.split_once('/')?;
        let kind = Kind::of_plural(plural)?;
        match kind {
            Kind::ClusterRole | Kind::ClusterRoleBinding => Some((kind, "", rest)),
            Kind::Role | Kind::RoleBinding => rest.split_once('/').map(|(home, name)| (kind, home, name)),
        }
    }
}
