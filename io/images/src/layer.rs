//! Layers on disk: one directory a layer, named by the digest of its uncompressed tar, whole or absent.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::digest::{self, Digesting};
use crate::error::file;
use crate::unpack::{LAYER_BYTES_MAX, unpack_layer};
use crate::{ImageError, compression};

/// The directory of layers, and one beside it for what is being made.
pub struct Layers {
    layers: PathBuf,
    aside: PathBuf,
}

/// A layer that is on disk.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Digest of its uncompressed tar.
    pub diff_id: String,
    /// Bytes of the files in it.
    pub size: u64,
}

impl Layers {
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        let layers = Self { layers: directory.join("layers"), aside: directory.join("aside") };
        for place in [&layers.layers, &layers.aside] {
            fs::create_dir_all(place).map_err(file("make", place))?;
        }
        layers.clear_leftovers()?;
        Ok(layers)
    }

    /// Removes what processes that are gone left half done; each made its things under its own pid.
    fn clear_leftovers(&self) -> Result<(), ImageError> {
        for entry in fs::read_dir(&self.aside).map_err(file("read", &self.aside))?.flatten() {
            let pid = entry.file_name().to_string_lossy().split('-').next().unwrap_or_default().to_owned();
            if !Path::new("/proc").join(pid).exists() {
                let path = entry.path();
                let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                removed.map_err(file("remove", &path))?;
            }
        }
        Ok(())
    }

    /// A path of this process's own for something unfinished.
    pub fn aside(&self) -> PathBuf {
        self.aside.join(format!("{}-{:016x}", std::process::id(), kelson_process::random_u64()))
    }

    /// The layer, if it is there.
    pub fn have(&self, diff_id: &str) -> Option<Layer> {
        let place = self.layers.join(digest::hex(diff_id)?);
        let size = fs::read_to_string(place.join("size")).ok()?.trim().parse().ok()?;
        Some(Layer { diff_id: diff_id.to_owned(), size })
    }

    /// Unpacks a tar, compressed or not. `expected` is the digest its uncompressed bytes must have.
    pub fn add(&self, tar: impl std::io::BufRead, expected: Option<&str>) -> Result<Layer, ImageError> {
        let aside = self.aside();
        let added = self.unpack(tar, expected, &aside);
        if added.is_err() {
            let _ = fs::remove_dir_all(&aside);
        }
        added
    }

    fn unpack(
        &self,
        tar: impl std::io::BufRead,
        expected: Option<&str>,
        aside: &Path,
    ) -> Result<Layer, ImageError> {
        let named = expected.unwrap_or("from the archive");
        let damaged = |e: std::io::Error| ImageError::Layer { layer: named.to_owned(), reason: words(&e) };
        let root = aside.join("root");
        fs::create_dir_all(&root).map_err(file("make", &root))?;
        let plain = compression::plain(tar).map_err(damaged)?;
        let mut digesting = Digesting::new(plain, LAYER_BYTES_MAX);
        let size = unpack_layer(digesting.by_ref(), &root)
            .map_err(|reason| ImageError::Layer { layer: named.to_owned(), reason: words(&reason) })?;
        let diff_id = digesting.finish().map_err(damaged)?;
        if let Some(expected) = expected.filter(|expected| *expected != diff_id) {
            return Err(ImageError::Digest {
                what: "a layer".into(),
                found: diff_id,
                expected: expected.to_owned(),
            });
        }
        self.put(aside, diff_id, size)
    }

    /// Moves a finished layer into place; one that is there already stays.
    fn put(&self, aside: &Path, diff_id: String, size: u64) -> Result<Layer, ImageError> {
        fs::write(aside.join("size"), size.to_string()).map_err(file("write", aside))?;
        let place = self.layers.join(digest::hex(&diff_id).expect("a digest just computed is well-formed"));
        match fs::rename(aside, &place) {
            Err(_) if place.join("size").exists() => {
                fs::remove_dir_all(aside).map_err(file("remove", aside))?
            }
            moved => moved.map_err(file("make", &place))?,
        }
        Ok(Layer { diff_id, size })
    }

    /// The directories of these layers, in the same order.
    pub fn paths(&self, diff_ids: &[String]) -> Result<Vec<PathBuf>, ImageError> {
        let path = |diff_id: &String| {
            let hex = digest::hex(diff_id).filter(|_| self.have(diff_id).is_some());
            let gone = || ImageError::Layer {
                layer: diff_id.clone(),
                reason: "it is not there any more; pull the image again".into(),
            };
            hex.map(|hex| self.layers.join(hex).join("root")).ok_or_else(gone)
        };
        diff_ids.iter().map(path).collect()
    }

    /// Deletes every layer that is not among these.
    pub fn keep_only<'a>(&self, diff_ids: impl Iterator<Item = &'a String>) -> Result<(), ImageError> {
        let kept: BTreeSet<&str> = diff_ids.filter_map(|d| digest::hex(d)).collect();
        for entry in fs::read_dir(&self.layers).map_err(file("read", &self.layers))?.flatten() {
            if !kept.contains(entry.file_name().to_string_lossy().as_ref()) {
                fs::remove_dir_all(entry.path()).map_err(file("remove", &entry.path()))?;
            }
        }
        Ok(())
    }
}

/// An error and what caused it, in one line: the tar crate's own words say only where it happened.
fn words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(ToString::to_string);
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
}
