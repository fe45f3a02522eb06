//! What can go wrong with a store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::Entry;

/// Why an operation failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A precondition did not hold.
    #[error("change {index} of the commit expected another revision of its key")]
    Conflict {
        /// Which change.
        index: usize,
        /// What is there instead.
        current: Option<Arc<Entry>>,
    },
    /// The events asked for are no longer kept.
    #[error("events up to revision {oldest} are no longer kept")]
    Compacted {
        /// The oldest revision a watch may start after.
        oldest: u64,
    },
    /// A revision asked for has not been reached.
    #[error("revision {requested} is in the future, the store is at {current}")]
    FutureRevision {
        /// The one asked for.
        requested: u64,
        /// The store's.
        current: u64,
    },
    /// The watcher read too slowly; list and watch again.
    #[error("the watcher fell more than {kept} events behind")]
    Lagged {
        /// How many a watcher may be behind.
        kept: usize,
    },
    /// A key, a value or the commit is too large.
    #[error("{what} is too large: {size}, at most {max}")]
    TooLarge {
        /// Key, value or commit.
        what: &'static str,
        /// Its size: bytes, or changes.
        size: usize,
        /// The bound.
        max: usize,
    },
    /// The disk failed. Nothing of the commit is visible; the store takes no more writes until it is opened again.
    #[error("writing to the store failed")]
    Io(#[source] Arc<redb::Error>),
    /// Making a value panicked; nothing of its commit happened.
    #[error("making a value of the commit failed")]
    Encode,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Why a store file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file or its directory cannot be used.
    #[error("cannot open the store {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("the store {path} is in use by another process")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is no store, or damaged.
    #[error("{path} is not a kelson store, or it is damaged; restore it from a backup or move it away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Option<Box<redb::Error>>,
    },
    /// It was written by another version.
    #[error("the store {path} has format {found}, this version reads format {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        expected: u64,
    },
}
