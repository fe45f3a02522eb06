//! Images on this node: named, kept as layers, mounted as roots.
//!
//! On the way of a container this is what it stands on: a name is *found* here, else *pulled* from its registry or
//! *imported* from an archive; its layers are unpacked once, in the form overlayfs stacks, and *prepared* as the root
//! of as many containers as like. Invariants: a layer's directory is whole or absent (made aside, renamed into place)
//! and holds what its digest says; nothing an archive contains is written outside its layer. Never runs anything and
//! knows no pods.

mod archive;
mod catalogue;
mod compression;
mod digest;
mod error;
mod layer;
mod mount;
mod name;
mod pull;
mod unpack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

pub use error::ImageError;
pub use name::normalize;
pub use pull::{Credentials, Progress, PullOptions};
pub use unpack::unpack_layer;

use catalogue::Catalogue;
use layer::Layers;

/// An image that is on the node, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:` and the digest of its configuration, as `imageID` shows it.
    pub id: String,
    /// Full names that lead to it, `docker.io/library/nginx:1.14.2`.
    pub names: Vec<String>,
    /// `name@sha256:…` for the manifests it was pulled by.
    pub digests: Vec<String>,
    /// Bytes of its unpacked layers.
    pub size: u64,
    /// Digests of its uncompressed layers, the lowest first.
    pub layers: Vec<String>,
    /// Entrypoint, command, environment, user, working directory, stop signal.
    pub config: ImageConfiguration,
}

/// The node's images, under one directory.
pub struct Images {
    layers: Arc<Layers>,
    catalogue: Catalogue,
    /// One lock a name being pulled, so that a hundred pods pull an image once.
    pulling: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Images {
    /// Opens the store in `directory`, making it if need be and clearing what a crash left half done.
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        let layers = Arc::new(Layers::open(directory)?);
        let catalogue = Catalogue::open(directory)?;
        Ok(Self { layers, catalogue, pulling: Mutex::default() })
    }

    /// Every image, by id.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        self.catalogue.list()
    }

    /// The image a user means by `name` (short or full), or by its id. What another process imported is found too.
    pub fn find(&self, name: &str) -> Result<Option<Image>, ImageError> {
        if name.starts_with("sha256:") {
            return Ok(self.catalogue.list()?.into_iter().find(|image| image.id == name));
        }
        let full = normalize(name)?;
        let named = |image: &Image| image.names.contains(&full) || image.digests.contains(&full);
        Ok(self.catalogue.list()?.into_iter().find(named))
    }

    /// Imports a docker archive, an OCI archive, or the tar of a root file system, compressed or not. `name` is
    /// required for the last and renames the others.
    pub fn import(&self, file: &Path, name: Option<&str>) -> Result<Image, ImageError> {
        let name = name.map(normalize).transpose()?;
        let imported = archive::import(&self.layers, file, name.as_deref())?;
        self.catalogue.add(imported)
    }

    /// Makes an image of one static executable, started with `arguments`.
    pub fn import_binary(&self, file: &Path, name: &str, arguments: &[String]) -> Result<Image, ImageError> {
        let imported = archive::import_binary(&self.layers, file, &normalize(name)?, arguments)?;
        self.catalogue.add(imported)
    }

    /// Pulls an image, whether or not it is there already; layers that are there are not fetched again.
    pub async fn pull(&self, name: &str, options: &PullOptions) -> Result<Image, ImageError> {
        let full = normalize(name)?;
        let turn = self.turn(&full);
        let waited = turn.try_lock().is_err();
        let _mine = turn.lock().await;
        if waited && let Some(image) = self.find(&full)? {
            return Ok(image);
        }
        let pulled = pull::pull(&self.layers, &full, options).await?;
        self.pulling.lock().expect("no holder panics").retain(|_, turn| Arc::strong_count(turn) > 1);
        self.catalogue.add(pulled)
    }

    /// Takes a name away; the image goes with its last name, its layers with the last image that has them.
    pub fn remove(&self, name: &str) -> Result<bool, ImageError> {
        let removed = self.catalogue.remove(&normalize(name)?)?;
        if removed {
            let kept: Vec<Image> = self.catalogue.list()?;
            self.layers.keep_only(kept.iter().flat_map(|image| &image.layers))?;
        }
        Ok(removed)
    }

    /// Mounts the image's layers under a writable one in `container` (made if need be) and returns the root's path.
    /// Mounted already, it is left as it is.
    pub fn prepare(&self, image: &Image, container: &Path) -> Result<PathBuf, ImageError> {
        mount::mount(&self.layers.paths(&image.layers)?, container)
    }

    /// Unmounts what [`Images::prepare`] mounted in `container` and deletes what was written there.
    pub fn release(container: &Path) -> Result<(), ImageError> {
        mount::unmount(container)
    }

    fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        self.pulling.lock().expect("no holder panics").entry(name.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests;
