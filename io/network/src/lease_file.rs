//! The leases on disk: two slots written in turn, each whole and checked, written before any address is used.
//!
//! A slot is overwritten in place. Whoever reads takes the newest slot that is whole: a process that dies while one is
//! written leaves the other, which is what was acknowledged last. Nothing waits for the disk, because no pod outlives its
//! machine: what a power failure tears belongs to nobody. A mark says in which boot the slots were written, so that such
//! a tear is told from damage, which is an error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::address::Range;
use crate::leases::{Lease, Leases, hash};
use crate::{NetworkConfig, NetworkError};

/// The slots' file names.
const SLOTS: [&str; 2] = ["leases.0", "leases.1"];

/// Holds the kernel's name for the boot in which the slots were written.
const BOOT: &str = "leases.boot";

/// Slots grow in steps of this many bytes, so that writing one seldom changes its length.
const BLOCK: usize = 4096;

/// How a slot begins.
const MAGIC: &str = "kelson-leases-1";

/// What a slot holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    sequence: u64,
    range: String,
    cursor: Ipv4Addr,
    leases: BTreeMap<String, Lease>,
    /// Kernel settings as they were before, by path beneath `/proc/sys`.
    #[serde(default)]
    settings_before: BTreeMap<String, String>,
}

/// Leases and the files that remember them.
#[derive(Debug)]
pub(crate) struct LeaseFile {
    directory: PathBuf,
    slots: [Arc<File>; 2],
    sequence: u64,
    range_text: String,
    pub leases: Leases,
    pub settings_before: BTreeMap<String, String>,
}

impl LeaseFile {
    /// Reads the newest slot; a new, empty set of leases when there is none.
    pub fn open(config: &NetworkConfig, range: Range) -> Result<Self, NetworkError> {
        let directory = config.directory();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let is_same_boot = fs::read_to_string(directory.join(BOOT)).is_ok_and(|marked| marked == boot);
        let document = match read(&directory) {
            Err(NetworkError::LeaseFileDamaged { .. }) if !is_same_boot => {
                tracing::warn!(
                    "the leases of pods' addresses were lost with the machine's power, as the pods were"
                );
                None
            }
            document => document?,
        };
        let range_text = config.pod_cidr.to_string();
        let leases = match &document {
            Some(document) => restored(&directory, &range_text, range, document)?,
            None => Leases::new(range),
        };
        let slots = create(&directory, document.is_none() && !is_same_boot)
            .and_then(|slots| if is_same_boot { Ok(slots) } else { mark(&directory, &boot).map(|()| slots) })
            .map_err(|source| failed("create", &directory, source))?;
        let (sequence, settings_before) =
            document.map(|document| (document.sequence, document.settings_before)).unwrap_or_default();
        Ok(Self { directory, slots: slots.map(Arc::new), sequence, range_text, leases, settings_before })
    }

    /// Writes the older slot; the other stays as it was.
    pub async fn save(&mut self) -> Result<(), NetworkError> {
        let document = Document {
            sequence: self.sequence + 1,
            range: self.range_text.clone(),
            cursor: self.leases.cursor(),
            leases: self.leases.held().clone(),
            settings_before: self.settings_before.clone(),
        };
        let text = encode(&document);
        let slot = self.slots[usize::from(document.sequence % 2 == 1)].clone();
        let write = move || slot.write_all_at(&text, 0);
        let written = tokio::task::spawn_blocking(write).await.unwrap_or_else(|e| Err(io::Error::other(e)));
        written.map_err(|source| failed("write", &self.directory, source))?;
        self.sequence = document.sequence;
        Ok(())
    }
}

/// The kernel settings remembered, for those who only want to clean up.
pub(crate) fn settings_before(config: &NetworkConfig) -> BTreeMap<String, String> {
    read(&config.directory()).ok().flatten().map(|document| document.settings_before).unwrap_or_default()
}

/// Removes the slots and their directory when nothing else is in it.
pub(crate) fn remove(config: &NetworkConfig) -> Result<(), NetworkError> {
    for name in SLOTS.into_iter().chain([BOOT]) {
        let path = config.directory().join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, source));
            }
            _ => {}
        }
    }
    let _ = fs::remove_dir(config.directory());
    Ok(())
}

/// The slots' files, `emptied` of what cannot be read.
fn create(directory: &Path, emptied: bool) -> io::Result<[File; 2]> {
    fs::create_dir_all(directory)?;
    let open = |slot: &str| {
        File::options().read(true).write(true).create(true).truncate(emptied).open(directory.join(slot))
    };
    Ok([open(SLOTS[0])?, open(SLOTS[1])?])
}

/// Says that the slots are of this boot, once they hold nothing torn by an earlier one's end.
fn mark(directory: &Path, boot: &str) -> io::Result<()> {
    fs::write(directory.join(BOOT), boot)
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
    let leases = Leases::restore(range, document.cursor, document.leases.clone());
    leases.ok_or_else(|| damaged(path, "two pods hold one address, or one is outside the range"))
}

/// The newest whole slot; `None` when nothing was ever written.
fn read(directory: &Path) -> Result<Option<Document>, NetworkError> {
    let mut newest: Option<Document> = None;
    let mut written = false;
    for slot in SLOTS {
        let path = directory.join(slot);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed("read", &path, source)),
        };
        written |= !text.is_empty();
        let document = decode(&text);
        if document.as_ref().map(|d| d.sequence) > newest.as_ref().map(|d| d.sequence) {
            newest = document;
        }
    }
    if written && newest.is_none() {
        return Err(damaged(directory, "neither slot is whole"));
    }
    Ok(newest)
}

/// A line of magic, length and checksum, the document, and blanks up to the next block.
fn encode(document: &Document) -> Vec<u8> {
    let text = serde_json::to_string(document).expect("strings and addresses are JSON");
    let mut slot = format!("{MAGIC} {} {:016x}\n{text}\n", text.len(), hash(&text, 0)).into_bytes();
    slot.resize(slot.len().next_multiple_of(BLOCK), b' ');
    slot
}

/// The document of a slot that is whole.
fn decode(slot: &[u8]) -> Option<Document> {
    let slot = std::str::from_utf8(slot).ok()?;
    let (head, rest) = slot.split_once('\n')?;
    let mut words = head.split(' ');
    let (magic, length, checksum) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    let text = rest.get(..length)?;
    let is_whole = magic == MAGIC && u64::from_str_radix(checksum, 16).ok()? == hash(text, 0);
    is_whole.then(|| serde_json::from_str(text).ok()).flatten()
}

fn failed(operation: &'static str, path: &Path, source: io::Error) -> NetworkError {
    NetworkError::LeaseFile { operation, path: path.to_owned(), source }
}

fn damaged(path: &Path, reason: &'static str) -> NetworkError {
    NetworkError::LeaseFileDamaged { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests;
