//! Which images are there: one JSON file, replaced whole, shared by every process of the node.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::fcntl::{Flock, FlockArg};

use crate::error::file;
use crate::{Image, ImageError};

/// The file and what was last read of it.
pub struct Catalogue {
    path: PathBuf,
    lock: PathBuf,
    read: Mutex<Read>,
}

type Table = BTreeMap<String, Image>;

/// The table as it stood in the file with this identity.
#[derive(Default)]
struct Read {
    identity: Option<(u64, u64, i64, i64)>,
    table: Table,
}

impl Catalogue {
    pub fn open(directory: &Path) -> Result<Self, ImageError> {
        let catalogue = Self {
            path: directory.join("images.json"),
            lock: directory.join("lock"),
            read: Mutex::default(),
        };
        catalogue.list()?;
        Ok(catalogue)
    }

    /// Every image, by id.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        Ok(self.table()?.into_values().collect())
    }

    /// Adds an image, or its names and digests to the one that is there; a name leads to the newest image it was given to.
    pub fn add(&self, image: Image) -> Result<Image, ImageError> {
        self.change(|table| {
            for other in table.values_mut().filter(|other| other.id != image.id) {
                other.names.retain(|name| !image.names.contains(name));
            }
            let kept = table.entry(image.id.clone()).or_insert_with(|| Image {
                names: vec![],
                digests: vec![],
                ..image.clone()
            });
            merge(&mut kept.names, &image.names);
            merge(&mut kept.digests, &image.digests);
            Image { names: image.names.clone(), ..kept.clone() }
        })
    }

    /// Takes a name away, and the image when it was its last; whether it was there.
    pub fn remove(&self, name: &str) -> Result<bool, ImageError> {
        self.change(|table| {
            let mut found = false;
            table.retain(|_, image| {
                let here = image.names.iter().any(|n| n == name);
                found |= here;
                image.names.retain(|n| n != name);
                !here || !image.names.is_empty()
            });
            found
        })
    }

    /// Reads, changes and replaces the file while no other process does.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> Result<T, ImageError> {
        let options =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock);
        let lock = options.map_err(file("open", &self.lock))?;
        let _held = Flock::lock(lock, FlockArg::LockExclusive)
            .map_err(|(_, errno)| file("lock", &self.lock)(errno.into()))?;
        let mut table = self.table()?;
        let result = change(&mut table);
        self.replace(&table)?;
        Ok(result)
    }

    fn replace(&self, table: &Table) -> Result<(), ImageError> {
        let aside = self.path.with_extension("json.new");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
            file.write_all(&serde_json::to_vec_pretty(table).expect("images serialize"))?;
            file.sync_all()?;
            fs::rename(&aside, &self.path)
        };
        write().map_err(file("write", &self.path))
    }

    /// The table, read again only when the file is another than last time.
    fn table(&self) -> Result<Table, ImageError> {
        let mut read = self.read.lock().expect("no holder panics");
        let Ok(opened) = File::open(&self.path) else { return Ok(Table::new()) };
        let meta = opened.metadata().map_err(file("read", &self.path))?;
        let identity = Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()));
        if read.identity != identity {
            let broken = |error| file("read", &self.path)(std::io::Error::other(error));
            let table = serde_json::from_reader(std::io::BufReader::new(opened)).map_err(broken)?;
            *read = Read { identity, table };
        }
        Ok(read.table.clone())
    }
}

fn merge(into: &mut Vec<String>, more: &[String]) {
    into.extend(more.iter().filter(|m| !into.contains(m)).cloned().collect::<Vec<_>>());
}
