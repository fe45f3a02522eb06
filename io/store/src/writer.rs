//! The one thread that writes: takes what is queued, checks it in order, writes it in one transaction, publishes.
//!
//! Invariant: a request is checked against everything before it, published or in the same batch; nothing is visible or
//! answered before the transaction is on disk. If the disk fails, no request of the batch happened.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::disk::Disk;
use crate::memory::Memory;
use crate::{
    CHANGES_MAX, Change, Entry, Event, EventKind, Expect, KEY_BYTES_MAX, Op, StoreError, VALUE_BYTES_MAX,
};

/// The most requests in one transaction.
const BATCH_REQUESTS_MAX: usize = 1024;
/// No request joins a transaction that already holds this many bytes.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// A commit somebody waits for.
pub struct Request {
    /// What to do.
    pub changes: Vec<Change>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Outcome>,
}

/// The revision of a commit.
type Outcome = Result<u64, StoreError>;

/// Serves requests until every sender is gone.
pub fn run(disk: &Disk, memory: &RwLock<Memory>, mut requests: mpsc::Receiver<Request>) {
    while let Some(first) = requests.blocking_recv() {
        let mut batch = Batch::new(memory);
        batch.take(first);
        while batch.has_room() {
            let Ok(next) = requests.try_recv() else { break };
            batch.take(next);
        }
        batch.finish(disk);
    }
    memory.write().expect("no holder of the lock panics").close();
}

/// Keys changed and not yet published; `None` for removed.
type Overlay = BTreeMap<Arc<str>, Option<Arc<Entry>>>;

struct Batch<'m> {
    memory: &'m RwLock<Memory>,
    revision: u64,
    overlay: Overlay,
    events: Vec<Arc<Event>>,
    bytes: usize,
    answers: Vec<(oneshot::Sender<Outcome>, Outcome)>,
}

impl<'m> Batch<'m> {
    fn new(memory: &'m RwLock<Memory>) -> Self {
        let revision = memory.read().expect("no holder of the lock panics").revision();
        Self { memory, revision, overlay: Overlay::new(), events: Vec::new(), bytes: 0, answers: Vec::new() }
    }

    fn has_room(&self) -> bool {
        self.answers.len() < BATCH_REQUESTS_MAX && self.bytes < BATCH_BYTES_MAX
    }

    fn take(&mut self, request: Request) {
        let Request { changes, answer } = request;
        // The encoders are the caller's code: a panic in one must not end the store.
        let outcome =
            catch_unwind(AssertUnwindSafe(|| self.stage(changes))).unwrap_or(Err(StoreError::Encode));
        self.answers.push((answer, outcome));
    }

    /// Checks and stages one commit: all of it or, on error, nothing.
    fn stage(&mut self, changes: Vec<Change>) -> Result<u64, StoreError> {
        check_sizes(&changes)?;
        let revision = self.revision + 1;
        let mut own = Overlay::new();
        let mut events = Vec::new();
        for (index, Change { key, expect, op }) in changes.into_iter().enumerate() {
            let current = own.get(key.as_str()).cloned().unwrap_or_else(|| self.current(&key));
            if !holds(expect, current.as_deref()) {
                return Err(StoreError::Conflict { index, current });
            }
            let Some(event) = carry_out(key, op, current, revision)? else { continue };
            let now = (event.kind != EventKind::Deleted).then(|| event.entry.clone());
            own.insert(event.entry.key.clone(), now);
            events.push(Arc::new(event));
        }
        if events.is_empty() {
            return Ok(self.revision);
        }
        self.bytes += events.iter().map(|event| event.entry.value.len()).sum::<usize>();
        self.events.append(&mut events);
        self.overlay.append(&mut own);
        self.revision = revision;
        Ok(revision)
    }

    fn current(&self, key: &str) -> Option<Arc<Entry>> {
        match self.overlay.get(key) {
            Some(entry) => entry.clone(),
            None => self.memory.read().expect("no holder of the lock panics").get(key),
        }
    }

    /// Writes, publishes, answers.
    fn finish(self, disk: &Disk) {
        let written = match self.overlay.is_empty() {
            true => Ok(()),
            false => {
                disk.write(self.revision, &self.overlay).map_err(|error| StoreError::Io(Arc::new(error)))
            }
        };
        match &written {
            Ok(()) if self.events.is_empty() => {}
            Ok(()) => {
                self.memory
                    .write()
                    .expect("no holder of the lock panics")
                    .publish(self.revision, self.events);
            }
            Err(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "the store cannot write any more")
            }
        }
        for (answer, outcome) in self.answers {
            // Whoever asked may have gone; the commit stands all the same.
            let _ = answer.send(written.clone().and(outcome));
        }
    }
}

fn check_sizes(changes: &[Change]) -> Result<(), StoreError> {
    within("the commit", changes.len(), CHANGES_MAX)?;
    changes.iter().try_for_each(|change| within("the key", change.key.len(), KEY_BYTES_MAX))
}

fn within(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size > max { Err(StoreError::TooLarge { what, size, max }) } else { Ok(()) }
}

fn holds(expect: Expect, current: Option<&Entry>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => current.is_none(),
        Expect::Revision(revision) => current.is_some_and(|entry| entry.mod_revision == revision),
    }
}

/// What the operation does to the key at `revision`; nothing if it removes what is not there.
fn carry_out(
    key: String,
    op: Op,
    current: Option<Arc<Entry>>,
    revision: u64,
) -> Result<Option<Event>, StoreError> {
    let (kind, encode) = match (op, &current) {
        (Op::Delete(_), None) => return Ok(None),
        (Op::Delete(encode), Some(_)) => (EventKind::Deleted, encode),
        (Op::Put(encode), None) => (EventKind::Created, encode),
        (Op::Put(encode), Some(_)) => (EventKind::Updated, encode),
    };
    let value: Bytes = encode(revision);
    within("the value", value.len(), VALUE_BYTES_MAX)?;
    let create_revision = current.as_ref().map_or(revision, |entry| entry.create_revision);
    let key = current.as_ref().map_or_else(|| Arc::from(key), |entry| entry.key.clone());
    let entry = Arc::new(Entry { key, value, create_revision, mod_revision: revision });
    Ok(Some(Event { revision, kind, entry, previous: current }))
}
