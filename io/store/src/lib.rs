//! The revisioned store under the API server: keys to bytes, one revision a commit, watches from any kept revision.
//!
//! [`Store`] is the contract, [`Embedded`] the engine for one machine: a redb file, one writer thread, group commit.
//! Invariant: a commit is durable before anybody (its caller, a reader, a watcher) sees it, and revisions only grow,
//! restarts and crashes included. It never looks into the bytes.

mod disk;
mod embedded;
mod error;
mod memory;
mod ring;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
pub use futures_util::future::BoxFuture;

pub use embedded::{Config, Embedded};
pub use error::{OpenError, StoreError};
pub use watch::Watch;

/// The longest key, bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// The longest value, bytes: twice what the API server takes in a request body.
pub const VALUE_BYTES_MAX: usize = 6 << 20;
/// The most changes one commit may hold.
pub const CHANGES_MAX: usize = 4096;
/// The revision of a store nobody has written to; 0 means "any" to Kubernetes clients.
pub const FIRST_REVISION: u64 = 1;

/// A key's current value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// What was put.
    pub value: Bytes,
    /// The revision the key came to be at.
    pub create_revision: u64,
    /// The revision of the last put.
    pub mod_revision: u64,
}

/// What a change expects of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// That it is not there.
    Absent,
    /// That its `mod_revision` is this one.
    Revision(u64),
}

/// Makes a value once its revision is known. Called once, on the writer's thread: keep it short.
pub type Encode = Box<dyn FnOnce(u64) -> Bytes + Send>;

/// What to do with a key.
pub enum Op {
    /// Set its value.
    Put(Encode),
    /// Remove it; the bytes are the tombstone watchers see. On an absent key with nothing expected: nothing happens.
    Delete(Encode),
}

/// One part of a commit.
pub struct Change {
    /// The key.
    pub key: String,
    /// The precondition; the changes before it in the same commit have already happened.
    pub expect: Expect,
    /// The operation.
    pub op: Op,
}

impl Change {
    /// Sets `key` to bytes that do not depend on the revision.
    pub fn put(key: impl Into<String>, expect: Expect, value: impl Into<Bytes>) -> Self {
        let value = value.into();
        Self { key: key.into(), expect, op: Op::Put(Box::new(move |_| value)) }
    }

    /// Removes `key`; `tombstone` is what watchers see.
    pub fn delete(key: impl Into<String>, expect: Expect, tombstone: impl Into<Bytes>) -> Self {
        let tombstone = tombstone.into();
        Self { key: key.into(), expect, op: Op::Delete(Box::new(move |_| tombstone)) }
    }
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It came to be.
    Created,
    /// Its value was replaced.
    Updated,
    /// It was removed.
    Deleted,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The commit's revision.
    pub revision: u64,
    /// What.
    pub kind: EventKind,
    /// The key's value since; for `Deleted` the tombstone.
    pub entry: Arc<Entry>,
    /// The key's value before.
    pub previous: Option<Arc<Entry>>,
}

/// One page of a list, all of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The store's revision the page was read at.
    pub revision: u64,
    /// The entries, in the order of their keys.
    pub entries: Vec<Arc<Entry>>,
    /// How many follow behind the last one.
    pub remaining: usize,
}

/// A revisioned store.
pub trait Store: Send + Sync + 'static {
    /// The last durable revision.
    fn revision(&self) -> u64;

    /// The current entry of `key`.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Arc<Entry>>, StoreError>>;

    /// The entries whose keys start with `prefix` and come after the key `after`; at most `limit`, 0 for all.
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Listing, StoreError>>;

    /// All of the changes or none, under one new revision, which is answered. Durable before it answers. A commit
    /// that changes nothing answers the current revision.
    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Every event of keys under `prefix` after `after_revision`, from then on. Events too long ago are
    /// [`StoreError::Compacted`].
    fn watch(&self, prefix: &str, after_revision: u64) -> Result<Watch, StoreError>;
}
