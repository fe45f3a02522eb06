//! Layers and configurations on disk.
//!
//! A layer is a directory `layers/sha256-…` with `fs/` (its files) and `size`; it is there whole or not at all. Whoever
//! needs layers to stay holds the shelf; deleting takes it alone.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::blob::{digest, sync_parent, write_file};
use crate::catalogue::lock;
use crate::error::{ImageError, Result};
use crate::layer::{self, Bounds, Unpacked};

/// An image without layers is mounted from this empty one.
const EMPTY: &str = "empty";

/// Everything an image is made of.
pub struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    /// In `directory`, made if missing.
    pub fn open(directory: &Path) -> Result<Self> {
        for place in ["", "blobs", "layers", "tmp"] {
            make_directory(&directory.join(place), 0o700)?;
        }
        Ok(Self { directory: directory.to_owned() })
    }

    /// Nothing is deleted while this is held.
    pub fn hold(&self) -> Result<Flock<File>> {
        lock(&self.lock_path(), FlockArg::LockShared)
    }

    /// Nobody is at work while this is held; `None` if somebody is.
    pub fn hold_alone(&self) -> Result<Option<Flock<File>>> {
        match lock(&self.lock_path(), FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(held)),
            Err(ImageError::Io { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.directory.join("layers.lock")
    }

    /// A path nobody uses, removed with its guard.
    pub fn temporary(&self) -> Temporary {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let now = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        Temporary(self.directory.join("tmp").join(format!("{}-{n}-{now}", std::process::id())))
    }

    fn bundle(&self, diff_id: &str) -> PathBuf {
        self.directory.join("layers").join(file_name(diff_id))
    }

    /// Where a layer's files are, or would be. `diff_id` is a digest.
    pub fn layer_path(&self, diff_id: &str) -> PathBuf {
        self.bundle(diff_id).join("fs")
    }

    /// Whether the layer is here.
    pub fn has_layer(&self, diff_id: &str) -> bool {
        self.bundle(diff_id).is_dir()
    }

    /// The bytes of a layer's files.
    pub fn layer_size(&self, diff_id: &str) -> Result<u64> {
        let path = self.bundle(diff_id).join("size");
        let text = fs::read_to_string(&path).map_err(ImageError::io("read", &path))?;
        Ok(text.trim().parse().unwrap_or(0))
    }

    /// Unpacks a layer. `expected` is its diff id, if somebody promised one. Fine if it is here already.
    pub fn add_layer(&self, layer: impl Read, what: &str, expected: Option<&str>) -> Result<Unpacked> {
        let temporary = self.temporary();
        let files = temporary.0.join("fs");
        make_directory(&temporary.0, 0o700)?;
        make_directory(&files, 0o755)?;
        let unpacked = layer::unpack(layer, &files, what, Bounds::default())?;
        if let Some(expected) = expected.filter(|expected| *expected != unpacked.diff_id) {
            let (what, expected) = (what.to_owned(), expected.to_owned());
            return Err(ImageError::Digest { what, found: unpacked.diff_id, expected });
        }
        write_file(&temporary.0.join("size"), unpacked.bytes.to_string().as_bytes())?;
        sync_file_system(&files)?;
        let bundle = self.bundle(&unpacked.diff_id);
        match fs::rename(&temporary.0, &bundle) {
            Ok(()) => sync_parent(&bundle)?,
            // It is here already, or somebody else was faster.
            Err(_) if bundle.is_dir() => {}
            Err(error) => return Err(ImageError::io("keep the layer as", bundle)(error)),
        }
        Ok(unpacked)
    }

    /// Keeps a small blob; answers its digest.
    pub fn add_blob(&self, bytes: &[u8]) -> Result<String> {
        let digest = digest(bytes);
        write_file(&self.directory.join("blobs").join(file_name(&digest)), bytes)?;
        Ok(digest)
    }

    /// The layer of images that have none.
    pub fn empty_layer(&self) -> Result<PathBuf> {
        let path = self.bundle(EMPTY);
        make_directory(&path, 0o755)?;
        Ok(path)
    }

    /// Deletes every other layer and blob, and what a crash left. Only while held alone.
    pub fn keep_only(&self, layers: &BTreeSet<String>, blobs: &BTreeSet<String>) -> Result<()> {
        let mut kept: BTreeSet<String> = layers.iter().map(|layer| file_name(layer)).collect();
        kept.insert(EMPTY.to_owned());
        // Renamed first: a crash while deleting must not leave half a layer under its name.
        for other in self.others("layers", &kept)? {
            let doomed = self.temporary();
            fs::rename(&other, &doomed.0).map_err(ImageError::io("delete", &other))?;
        }
        for other in self.others("blobs", &blobs.iter().map(|blob| file_name(blob)).collect())? {
            fs::remove_file(&other).map_err(ImageError::io("delete", &other))?;
        }
        for left in self.others("tmp", &BTreeSet::new())? {
            drop(Temporary(left));
        }
        Ok(())
    }

    fn others(&self, place: &str, kept: &BTreeSet<String>) -> Result<Vec<PathBuf>> {
        let place = self.directory.join(place);
        let found = fs::read_dir(&place).map_err(ImageError::io("read", &place))?.flatten();
        let others =
            found.filter(|entry| !entry.file_name().to_str().is_some_and(|name| kept.contains(name)));
        Ok(others.map(|entry| entry.path()).collect())
    }
}

/// A digest as a file's name.
pub fn file_name(digest: &str) -> String {
    digest.replace([':', '/'], "-")
}

/// Makes a directory and those above it; fine if it is there.
pub fn make_directory(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(ImageError::io("create", path))
}

/// A path that is removed with its guard, whatever is there.
pub struct Temporary(pub PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0).or_else(|_| fs::remove_file(&self.0));
    }
}

fn sync_file_system(path: &Path) -> Result<()> {
    let directory = File::open(path).map_err(ImageError::io("open", path))?;
    // SAFETY: an open descriptor.
    let synced = unsafe { libc::syncfs(directory.as_raw_fd()) };
    Errno::result(synced).map(drop).map_err(|error| ImageError::io("sync", path)(error.into()))
}
