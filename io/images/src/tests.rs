//! Layers as overlayfs wants them, archives of every kind, and a pull from a real registry on loopback.

mod archives;
mod layers;
mod registry;

use std::path::Path;

use tar::{Builder, EntryType, Header};

use crate::Images;

/// A tar under construction.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.entry(path, EntryType::Regular, content.as_bytes(), None, 0o644)
    }

    fn file_bytes(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, EntryType::Regular, content, None, 0o644)
    }

    fn mode(self, path: &str, mode: u32) -> Self {
        self.entry(path, EntryType::Regular, b"#!", None, mode)
    }

    fn directory(self, path: &str) -> Self {
        self.entry(path, EntryType::Directory, b"", None, 0o755)
    }

    fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Symlink, b"", Some(target), 0o777)
    }

    fn link(self, path: &str, target: &str) -> Self {
        self.entry(path, EntryType::Link, b"", Some(target), 0o644)
    }

    fn device(self, path: &str, kind: EntryType) -> Self {
        self.entry(path, kind, b"", None, 0o600)
    }

    /// An entry with any name, also those a well-meaning writer refuses.
    fn entry(mut self, path: &str, kind: EntryType, content: &[u8], target: Option<&str>, mode: u32) -> Self {
        let mut header = Header::new_gnu();
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        if let Some(target) = target {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        }
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(1).expect("a GNU header has devices");
            header.set_device_minor(3).expect("a GNU header has devices");
        }
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.0.append(&header, content).expect("memory takes it");
        self
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().expect("memory takes it")
    }
}

fn store() -> (tempfile::TempDir, Images) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let images = Images::open(&directory.path().join("images")).expect("an empty store opens");
    (directory, images)
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, bytes).expect("the file is written");
    path
}
