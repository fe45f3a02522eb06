//! Directories of a pod: made, owned, mounted over with memory, and removed with everything mounted below them.
//!
//! Removal unmounts first and never follows a mount or a link out of the directory.

use k8s_openapi::api::core::v1::EmptyDirVolumeSource;
use kelson_machinery::quantity::Quantity;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Everybody may write, as in upstream's.
const EMPTY_DIR_MODE: u32 = 0o777;
const SET_GROUP: u32 = 0o2000;

/// A directory, on disk or in memory. Kept as it is when it is already there.
pub fn empty_dir(path: &Path, source: &EmptyDirVolumeSource, group: Option<i64>) -> Result<(), String> {
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(|error| error.to_string())?;
    if source.medium.as_deref() == Some("Memory") {
        let size = source.size_limit.as_ref().and_then(|it| Quantity::parse(&it.0).ok()).map(|it| it.value());
        let options = size.filter(|bytes| *bytes > 0).map(|bytes| format!("size={bytes}"));
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options.as_deref())
            .map_err(|error| format!("could not mount memory at {}: {error}", path.display()))?;
    }
    let mode = EMPTY_DIR_MODE | if group.is_some() { SET_GROUP } else { 0 };
    own(path, mode, group).map_err(|error| error.to_string())
}

/// Sets mode and group of one file or directory.
pub fn own(path: &Path, mode: u32, group: Option<i64>) -> io::Result<()> {
    if let Some(group) = group.and_then(|group| u32::try_from(group).ok()) {
        chown(path, None, Some(group))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// Unmounts everything below `path` and removes it. Nothing there is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let real = path.canonicalize()?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    for point in mount_points(&table).into_iter().rev().filter(|point| point.starts_with(&real)) {
        umount2(&point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?;
    }
    fs::remove_dir_all(path)
}

/// The places things are mounted at, in the order they were mounted.
fn mount_points(table: &str) -> Vec<PathBuf> {
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped).collect()
}

/// The kernel writes blank, tab, newline and backslash as `\ooo`.
fn unescaped(text: &str) -> PathBuf {
    let plain = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(plain.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain)))
}
