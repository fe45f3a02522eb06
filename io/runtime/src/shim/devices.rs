//! The node's devices, for privileged containers.

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The most devices handed to one container.
const DEVICES_MAX: usize = 1024;
/// Directories of /dev that every container has its own of.
const OWN: [&str; 6] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts"];

/// Every device node below /dev, in the OCI configuration's form.
pub fn of_the_node() -> Vec<Value> {
    let mut found = Vec::new();
    collect(Path::new("/dev"), &mut found);
    found
}

fn collect(dir: &Path, found: &mut Vec<Value>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        let own = OWN.iter().any(|own| entry.file_name() == *own) || entry.file_name() == "console";
        if found.len() >= DEVICES_MAX || own {
            continue;
        }
        let kind = meta.file_type();
        if kind.is_dir() {
            collect(&entry.path(), found);
        } else if kind.is_char_device() || kind.is_block_device() {
            found.push(json!({
                "path": entry.path(),
                "type": if kind.is_char_device() { "c" } else { "b" },
                "major": libc::major(meta.rdev()),
                "minor": libc::minor(meta.rdev()),
                "fileMode": meta.mode() & 0o7777,
                "uid": meta.uid(),
                "gid": meta.gid(),
            }));
        }
    }
}
