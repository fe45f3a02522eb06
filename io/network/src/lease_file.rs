//! The leases on disk: one small JSON file, replaced whole, on disk before any address is used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::address::Range;
use crate::config::parent;
use crate::leases::{Lease, Leases};
use crate::{NetworkConfig, NetworkError};

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    range: String,
    cursor: Ipv4Addr,
    leases: BTreeMap<String, Lease>,
    /// Kernel settings as they were before, by path beneath `/proc/sys`.
    #[serde(default)]
    settings_before: BTreeMap<String, String>,
}

/// Leases and the file that remembers them.
#[derive(Debug)]
pub(crate) struct LeaseFile {
    path: PathBuf,
    range_text: String,
    pub leases: Leases,
    pub settings_before: BTreeMap<String, String>,
}

impl LeaseFile {
    /// Reads the file; a new, empty set of leases when there is none.
    pub fn open(config: &NetworkConfig, range: Range) -> Result<Self, NetworkError> {
        let path = config.lease_path();
        let range_text = config.pod_cidr.to_string();
        let Some(document) = read(&path)? else {
            let leases = Leases::new(range);
            return Ok(Self { path, range_text, leases, settings_before: BTreeMap::new() });
        };
        let leases = restored(&path, &range_text, range, &document)?;
        Ok(Self { path, range_text, leases, settings_before: document.settings_before })
    }

    /// Replaces the file: whoever opens it finds the old leases or the new, never half of them.
    pub fn save(&self) -> Result<(), NetworkError> {
        let document = Document {
            range: self.range_text.clone(),
            cursor: self.leases.cursor(),
            leases: self.leases.held().clone(),
            settings_before: self.settings_before.clone(),
        };
        let text = serde_json::to_vec_pretty(&document).expect("strings and addresses are JSON");
        replace(&self.path, &text).map_err(|source| failed("write", &self.path, source))
    }
}

/// The kernel settings the file remembers and the links its pods had, for those who only want to clean up.
pub(crate) fn settings_before(config: &NetworkConfig) -> BTreeMap<String, String> {
    read(&config.lease_path()).ok().flatten().map(|document| document.settings_before).unwrap_or_default()
}

/// Removes the file and its directory when nothing else is in it.
pub(crate) fn remove(config: &NetworkConfig) -> Result<(), NetworkError> {
    let path = config.lease_path();
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", &path, source));
        }
        _ => {}
    }
    let _ = fs::remove_dir(config.directory());
    Ok(())
}

fn restored(path: &Path, new: &str, range: Range, document: &Document) -> Result<Leases, NetworkError> {
    if document.range != new {
        return match document.leases.len() {
            0 => Ok(Leases::new(range)),
            held => {
                Err(NetworkError::RangeChanged { held, old: document.range.clone(), new: new.to_owned() })
            }
        };
    }
    Leases::restore(range, document.cursor, document.leases.clone()).ok_or_else(|| {
        let source = serde::de::Error::custom("two pods hold one address, or one is outside the range");
        NetworkError::LeaseFileDamaged { path: path.to_owned(), source }
    })
}

fn read(path: &Path) -> Result<Option<Document>, NetworkError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read", path, source)),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|source| NetworkError::LeaseFileDamaged { path: path.to_owned(), source })
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    fs::create_dir_all(directory)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    File::open(directory)?.sync_data()
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> NetworkError {
    NetworkError::LeaseFile { operation, path: path.to_owned(), source }
}
