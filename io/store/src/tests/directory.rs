//! A directory that goes away with its test, and short ways to a store in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;

use crate::{Change, Config, Embedded, Listing, Store, StoreError};

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("kelson-store-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("store.redb")
    }

    pub fn open(&self) -> Embedded {
        self.open_with(Config::default())
    }

    pub fn open_with(&self, config: Config) -> Embedded {
        Embedded::open(self.file(), config).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Commits and waits, outside of any runtime.
pub fn commit(store: &Embedded, changes: Vec<Change>) -> Result<u64, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.commit(changes))
}

pub fn list(store: &Embedded, prefix: &str, after: Option<&str>, limit: usize) -> Listing {
    store.list(prefix, after, limit).now_or_never().unwrap().unwrap()
}

pub fn value(store: &Embedded, key: &str) -> Option<String> {
    let entry = store.get(key).now_or_never().unwrap().unwrap()?;
    Some(String::from_utf8(entry.value.to_vec()).unwrap())
}
