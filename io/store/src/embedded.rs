//! The engine for one machine: one file, everything current in memory, one writer thread.
//!
//! Reads never touch the disk. Dropping it finishes what is queued and closes the file.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::disk::Disk;
use crate::memory::Memory;
use crate::writer::{self, Request};
use crate::{BoxFuture, Change, Entry, Listing, OpenError, Store, StoreError, Watch};

/// The most commits that wait for the writer; more wait for room.
const QUEUE_MAX: usize = 4096;

/// How much of the past to keep.
#[derive(Clone, Debug)]
pub struct Config {
    /// The most events kept for watchers that come back.
    pub events_max: usize,
    /// The most bytes those events may hold.
    pub event_bytes_max: usize,
    /// How many events a watcher may fall behind before it is ended.
    pub watcher_events_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { events_max: 20_000, event_bytes_max: 16 << 20, watcher_events_max: 16_384 }
    }
}

/// The embedded store.
pub struct Embedded {
    memory: Arc<RwLock<Memory>>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the file at `path`, making it if there is none. Its directory must exist. Loads everything: blocks.
    pub fn open(path: impl AsRef<Path>, config: Config) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let (disk, contents) = Disk::open(path)?;
        let memory = Arc::new(RwLock::new(Memory::new(contents.revision, contents.entries, &config)));
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let shared = memory.clone();
        let thread = std::thread::Builder::new().name("store".to_owned());
        let writer = thread.spawn(move || writer::run(&disk, &shared, queue));
        let writer = writer.map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        Ok(Self { memory, requests: Some(requests), writer: Some(writer) })
    }

    fn read<T>(&self, what: impl FnOnce(&Memory) -> T) -> T {
        what(&self.memory.read().expect("no holder of the lock panics"))
    }

    async fn submit(&self, changes: Vec<Change>) -> Result<u64, StoreError> {
        let requests = self.requests.as_ref().ok_or(StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        requests.send(Request { changes, answer }).await.map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Store for Embedded {
    fn revision(&self) -> u64 {
        self.read(Memory::revision)
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, StoreError>> {
        std::future::ready(Ok(self.read(|memory| memory.get(key)))).boxed()
    }

    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Listing, StoreError>> {
        std::future::ready(Ok(self.read(|memory| memory.list(prefix, after, limit)))).boxed()
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.submit(changes).boxed()
    }

    fn watch(&self, prefix: &str, after_revision: u64) -> Result<Watch, StoreError> {
        self.memory.write().expect("no holder of the lock panics").watch(prefix, after_revision)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // It panicked only if it said so already; the file is closed either way.
            let _ = writer.join();
        }
    }
}
