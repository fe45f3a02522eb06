//! The images of a node, and what can be done with them.
//!
//! Cheap to clone; every clone is the same store. Methods block on the disk unless they are `async`. Operations that
//! need layers to stay hold a shared lock on the directory; deleting what nobody needs takes it alone, or waits for a
//! later time.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::blob::digest;
use crate::catalogue::{Catalogue, Image};
use crate::config::{ConfigFile, ImageConfig};
use crate::error::{ImageError, Result};
use crate::overlay::Root;
use crate::pull::{PullOptions, Pulls};
use crate::shelf::{Shelf, file_name, make_directory};
use crate::{archive, binary, overlay};

/// The images under one directory.
#[derive(Clone)]
pub struct Images {
    inner: Arc<Inner>,
}

struct Inner {
    directory: PathBuf,
    catalogue: Catalogue,
    shelf: Shelf,
    pulls: Pulls,
}

/// What to say about an archive that does not say it itself.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The name; without it the archive's own, else one made of the file's name.
    pub name: Option<String>,
    /// How a bare root file system is run; `/bin/sh` without it.
    pub config: Option<ImageConfig>,
}

/// Who has which layers mounted.
#[derive(Serialize, Deserialize)]
struct Use {
    container: PathBuf,
    layers: Vec<String>,
}

impl Images {
    /// Opens (or makes) the store under `directory`, and clears away what a crash left.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref().to_owned();
        let shelf = Shelf::open(&directory)?;
        make_directory(&directory.join("uses"), 0o700)?;
        let catalogue = Catalogue::open(&directory)?;
        let inner = Inner { directory, catalogue, shelf, pulls: Pulls::default() };
        let images = Self { inner: Arc::new(inner) };
        images.clear()?;
        Ok(images)
    }

    /// Every image, by id.
    pub fn list(&self) -> Result<Vec<Image>> {
        Ok(self.inner.catalogue.current()?.values().cloned().collect())
    }

    /// The image of this name (short or full, by tag or digest) or id. A list that cannot be read is logged.
    pub fn find(&self, name: &str) -> Option<Image> {
        self.inner.catalogue.find(name).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot read the list of images");
            None
        })
    }

    /// Takes a name away; with its last name (or by its id) the image goes, and the layers nobody else needs.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self.inner.catalogue.remove(name)? {
            true => self.clear(),
            false => Err(ImageError::Unknown { name: name.to_owned() }),
        }
    }

    /// Imports a docker archive, an OCI archive or a tar of a root file system; plain, gzip or zstd. Answers the first
    /// image in it.
    pub fn import(&self, path: impl AsRef<Path>, name: Option<&str>) -> Result<Image> {
        let options = ImportOptions { name: name.map(str::to_owned), config: None };
        let images = self.import_all(path.as_ref(), &options)?;
        Ok(images.into_iter().next().expect("an import without images is an error"))
    }

    /// As [`Self::import`], with all there is to say. Answers every image in the archive, at least one.
    pub fn import_all(&self, path: &Path, options: &ImportOptions) -> Result<Vec<Image>> {
        let _held = self.shelf().hold()?;
        archive::import(self, path, options)
    }

    /// As [`Self::import_all`], from a stream.
    pub fn import_stream(&self, mut stream: impl Read, options: &ImportOptions) -> Result<Vec<Image>> {
        let _held = self.shelf().hold()?;
        let temporary = self.shelf().temporary();
        let copied = File::create(&temporary.0).and_then(|mut file| io::copy(&mut stream, &mut file));
        copied.map_err(ImageError::io("write", &temporary.0))?;
        self.import_all(&temporary.0, options)
    }

    /// Makes an image of one static executable, run with `arguments` before those of the container.
    pub fn import_binary(&self, path: impl AsRef<Path>, name: &str, arguments: &[String]) -> Result<Image> {
        let _held = self.shelf().hold()?;
        binary::import(self, path.as_ref(), name, arguments)
    }

    /// Pulls an image from its registry, whether or not it is here already. Several at a time wait for the same pull.
    pub async fn pull(&self, name: &str, options: &PullOptions) -> Result<Image> {
        self.inner.pulls.pull(self, name, options).await
    }

    /// Mounts the image's layers with a writable one above, under `container` (made if missing). Returns the root file
    /// system's path. It stays mounted until [`Self::release`], restarts of this process included.
    pub fn prepare(&self, image: &Image, container: impl AsRef<Path>) -> Result<PathBuf> {
        self.make(image, container)?.attach()
    }

    /// As [`Self::prepare`], but mounted nowhere yet: whoever attaches it does so in a mount namespace of his own, and
    /// the node's table of mounts stays short. [`Self::release`] deletes what was written, and is due all the same.
    pub fn make(&self, image: &Image, container: impl AsRef<Path>) -> Result<Root> {
        let container = container.as_ref();
        let _held = self.shelf().hold()?;
        if overlay::is_made(container) {
            return Err(ImageError::Mounted { path: container.to_owned() });
        }
        let mut layers: Vec<PathBuf> =
            image.layers.iter().map(|layer| self.shelf().layer_path(layer)).collect();
        if let Some(missing) = layers.iter().find(|layer| !layer.is_dir()) {
            let gone = io::Error::new(
                io::ErrorKind::NotFound,
                "the layer was removed; import or pull the image again",
            );
            return Err(ImageError::io("mount", missing)(gone));
        }
        if layers.is_empty() {
            layers.push(self.shelf().empty_layer()?);
        }
        let note = Use { container: container.to_owned(), layers: image.layers.clone() };
        // Not synced: no container survives what a note in the page cache does not. Nobody reads notes while layers are held.
        let (path, bytes) =
            (self.use_path(container), serde_json::to_vec(&note).expect("a note is plain data"));
        fs::write(&path, bytes).map_err(ImageError::io("write", &path))?;
        overlay::make(&layers, container)
    }

    /// Unmounts and deletes what [`Self::prepare`] made, and the container's directory if nothing else is in it.
    /// Nothing there is fine.
    pub fn release(&self, container: impl AsRef<Path>) -> Result<()> {
        let container = container.as_ref();
        overlay::unmount(container)?;
        let _ = fs::remove_dir(container);
        match fs::remove_file(self.use_path(container)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ImageError::io("delete", self.use_path(container))(error))
            }
            _ => Ok(()),
        }
    }
}

/// What the ways to an image share.
impl Images {
    /// The layers and configurations on disk.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }

    /// Writes the configuration down and adds the image. Its layers are on the shelf.
    pub(crate) fn add_image(&self, config: &[u8], names: Vec<String>, digests: Vec<String>) -> Result<Image> {
        let file = ConfigFile::parse(config, names.first().map_or("without a name", String::as_str))?;
        let id = self.shelf().add_blob(config)?;
        let sizes = file.rootfs.diff_ids.iter().map(|layer| self.shelf().layer_size(layer));
        let size = sizes.sum::<Result<u64>>()?;
        self.inner.catalogue.add(Image {
            id,
            names,
            digests,
            size,
            layers: file.rootfs.diff_ids,
            config: file.config,
        })
    }

    fn use_path(&self, container: &Path) -> PathBuf {
        self.inner.directory.join("uses").join(file_name(&digest(container.as_os_str().as_encoded_bytes())))
    }

    /// Deletes what nobody needs, unless somebody is at work.
    fn clear(&self) -> Result<()> {
        let Some(_alone) = self.shelf().hold_alone()? else { return Ok(()) };
        let known = self.inner.catalogue.current()?;
        let mut layers: BTreeSet<String> = known.values().flat_map(|image| image.layers.clone()).collect();
        layers.extend(self.layers_in_use()?);
        self.shelf().keep_only(&layers, &known.keys().cloned().collect())
    }

    /// The layers of containers; notes of those that are no more go.
    fn layers_in_use(&self) -> Result<Vec<String>> {
        let directory = self.inner.directory.join("uses");
        let mut layers = Vec::new();
        for note in fs::read_dir(&directory).map_err(ImageError::io("read", &directory))?.flatten() {
            let bytes = fs::read(note.path()).unwrap_or_default();
            match serde_json::from_slice::<Use>(&bytes) {
                Ok(found) if overlay::is_made(&found.container) => layers.extend(found.layers),
                _ => drop(fs::remove_file(note.path())),
            }
        }
        Ok(layers)
    }
}
