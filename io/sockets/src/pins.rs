//! The bpffs that holds what outlives the process: a mount of its own, so that names cannot clash and nothing of other
//! programs is near.
//!
//! In it: `peers`, the memory of what sockets asked for, kept from process to process; and a link a program, named after
//! its hook and the control group's inode, so that a link to a group that was made anew is told from one to the old.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::{Error, syscall};

/// Its number changes with `struct peer` of `bpf/connect.c`. No dots: a bpffs refuses them.
pub const PEERS: &str = "peers_1";

/// Mounts the bpffs, if it is not there.
pub fn prepare(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::file("make", dir))?;
    if is_mounted(dir).map_err(Error::file("look at", dir))? {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), dir, Some("bpf"), flags, Some("mode=0700"))
        .map_err(io::Error::from)
        .map_err(Error::file("mount a bpffs on", dir))
}

/// The pin of the link that serves `hook` in the control group `cgroup`.
pub fn link(dir: &Path, hook: &str, cgroup: &Path) -> Result<PathBuf, Error> {
    let inode = fs::metadata(cgroup).map_err(Error::file("look at", cgroup))?.ino();
    Ok(dir.join(format!("{hook}_{inode}")))
}

/// Detaches and removes every pin except these. Files with a dot are the kernel's own, for looking at, and stay.
pub fn keep_only(dir: &Path, kept: &[PathBuf]) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::file("read", dir))? {
        let path = entry.map_err(Error::file("read", dir))?.path();
        if !kept.contains(&path) && path.extension().is_none() {
            end(&path)?;
        }
    }
    Ok(())
}

/// Detaches the link pinned there, so that it serves nobody when this returns, and removes the pin.
pub fn end(path: &Path) -> Result<(), Error> {
    if let Ok(pinned) = syscall::open(path) {
        // A map has nothing to detach, nor has a link whose group is gone.
        let _ = syscall::detach(pinned.as_fd());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes everything, mount and directory included. Nothing there is success.
pub fn destroy(dir: &Path) -> Result<(), Error> {
    // Somebody may have mounted over it.
    while is_mounted(dir).unwrap_or(false) {
        keep_only(dir, &[])?;
        umount2(dir, MntFlags::MNT_DETACH).map_err(io::Error::from).map_err(Error::file("unmount", dir))?;
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", dir)(error)),
        _ => Ok(()),
    }
}

fn is_mounted(dir: &Path) -> io::Result<bool> {
    Ok(statfs(dir)?.filesystem_type() == BPF_FS_MAGIC)
}
