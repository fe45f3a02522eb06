//! `images.json`: which images are here.
//!
//! Several processes may share the directory (`kelson image import` beside `kelson up`): changes are made under a lock,
//! and readers notice when the file was replaced.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::blob::write_file;
use crate::config::ImageConfig;
use crate::error::{ImageError, Result};
use crate::name::Name;

/// An image that is here, unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// Its full names: `docker.io/library/nginx:1.14.2`.
    pub names: Vec<String>,
    /// Its full names by the manifest's digest: `docker.io/library/nginx@sha256:…`; empty for what was imported.
    #[serde(default)]
    pub digests: Vec<String>,
    /// The bytes of its layers, unpacked.
    pub size: u64,
    /// The digests of its uncompressed layers, lowest first.
    pub layers: Vec<String>,
    /// How it wants to be run.
    pub config: ImageConfig,
}

impl Image {
    /// What a pod's status calls it (`imageID`): the name by digest if it was pulled, else its id.
    pub fn reference(&self) -> &str {
        self.digests.first().unwrap_or(&self.id)
    }

    fn answers_to(&self, name: &str) -> bool {
        self.names.iter().chain(&self.digests).any(|known| known == name)
    }
}

/// By id.
type Known = BTreeMap<String, Image>;

/// The file and what was last read from it.
#[derive(Debug)]
pub struct Catalogue {
    path: PathBuf,
    lock: PathBuf,
    read: Mutex<(Version, Arc<Known>)>,
}

/// Tells one file from the one that replaced it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Version {
    inode: u64,
    modified: (i64, i64),
    bytes: u64,
}

impl Catalogue {
    /// In `directory`, which exists. Fails if what is there cannot be read.
    pub fn open(directory: &Path) -> Result<Self> {
        let read = Mutex::new((Version::default(), Arc::new(Known::new())));
        let catalogue =
            Self { path: directory.join("images.json"), lock: directory.join("images.lock"), read };
        catalogue.current()?;
        Ok(catalogue)
    }

    /// What is here now.
    pub fn current(&self) -> Result<Arc<Known>> {
        let mut read = self.read.lock().expect("no holder of the lock panics");
        let version = self.version();
        if version != read.0 {
            *read = (version, Arc::new(self.load()?));
        }
        Ok(read.1.clone())
    }

    fn version(&self) -> Version {
        fs::metadata(&self.path).map_or(Version::default(), |metadata| Version {
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            bytes: metadata.len(),
        })
    }

    fn load(&self) -> Result<Known> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Known::new()),
            Err(error) => return Err(ImageError::io("read", &self.path)(error)),
        };
        let images: Vec<Image> = serde_json::from_slice(&bytes)
            .map_err(|source| ImageError::Catalogue { path: self.path.clone(), source: Arc::new(source) })?;
        Ok(images.into_iter().map(|image| (image.id.clone(), image)).collect())
    }

    /// The image a name or id stands for.
    pub fn find(&self, name: &str) -> Result<Option<Image>> {
        let known = self.current()?;
        if let Some(image) = known.get(name) {
            return Ok(Some(image.clone()));
        }
        let Ok(full) = Name::parse(name) else { return Ok(None) };
        let full = full.to_string();
        Ok(known.values().find(|image| image.answers_to(&full)).cloned())
    }

    /// Adds an image. Its names leave whatever image had them.
    pub fn add(&self, image: Image) -> Result<Image> {
        self.change(|known| {
            for other in known.values_mut().filter(|other| other.id != image.id) {
                other.names.retain(|name| !image.names.contains(name));
            }
            let entry = known.entry(image.id.clone()).or_insert_with(|| Image {
                names: vec![],
                digests: vec![],
                ..image.clone()
            });
            merge(&mut entry.names, image.names);
            merge(&mut entry.digests, image.digests);
            entry.clone()
        })
    }

    /// Takes a name away, and the image with its last one. By id, all of it goes. False if there is no such image.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let full = Name::parse(name).map(|full| full.to_string()).unwrap_or_default();
        self.change(|known| {
            if known.remove(name).is_some() {
                return true;
            }
            let Some(image) = known.values_mut().find(|image| image.answers_to(&full)) else { return false };
            image.names.retain(|known| *known != full);
            image.digests.retain(|known| *known != full);
            let (gone, id) = (image.names.is_empty(), image.id.clone());
            if gone {
                known.remove(&id);
            }
            true
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> Result<T> {
        let _lock = lock(&self.lock, FlockArg::LockExclusive)?;
        let mut known = self.load()?;
        let outcome = change(&mut known);
        let images: Vec<&Image> = known.values().collect();
        let bytes = serde_json::to_vec_pretty(&images).expect("images are plain data");
        write_file(&self.path, &bytes)?;
        Ok(outcome)
    }
}

fn merge(known: &mut Vec<String>, new: Vec<String>) {
    for name in new {
        if !known.contains(&name) {
            known.push(name);
        }
    }
}

/// Locks the file at `path` until the guard goes.
pub fn lock(path: &Path, how: FlockArg) -> Result<Flock<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(ImageError::io("open", path))?;
    Flock::lock(file, how).map_err(|(_, error)| ImageError::io("lock", path)(error.into()))
}
