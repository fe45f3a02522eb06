//! The runtime's own directory, kept in memory: nothing in it means anything once the machine has been off.
//!
//! A pod's start makes some twenty small files there and its end deletes them. On a disk that costs its share of space,
//! inodes and waiting, and more the more pods came and went before. What containers can write lies elsewhere.

use crate::error::{During, Error};
use crate::runtime::Runtime;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use std::fs;
use std::io;
use std::path::Path;

/// A pod leaves some 50 KB here; a bound all the same, so that no fault of ours can fill the machine's memory.
const OPTIONS: &str = "mode=700,size=256m";

impl Runtime {
    /// Mounts a file system in memory over the directory. Left as it is where it is in memory already or where pods of an
    /// earlier kelson live in it. Gone with an unmount of the directory.
    pub fn keep_in_memory(&self) -> Result<(), Error> {
        let root = self.root();
        fs::create_dir_all(root).during("make", root)?;
        let kind = statfs(root).map_err(io::Error::from).during("look at", root)?.filesystem_type();
        if kind == TMPFS_MAGIC || has_pods(root) {
            return Ok(());
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("kelson"), root, Some("tmpfs"), flags, Some(OPTIONS))
            .map_err(io::Error::from)
            .during("mount memory at", root)
    }
}

fn has_pods(root: &Path) -> bool {
    fs::read_dir(root.join("pods")).is_ok_and(|mut entries| entries.next().is_some())
}
