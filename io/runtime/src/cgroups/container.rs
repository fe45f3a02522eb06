//! A container's own control group on v1: made, bounded and entered in one go, in every hierarchy.
//!
//! The engine's library could do it, but looks through the node's whole table of mounts once for each controller, in one
//! queue with everybody who mounts. Here the table was read once, long before. The v2 hierarchy stays the library's: when
//! a start fails it kills who is in there, which its own process must not be.
//! Order within a hierarchy: the bounds stand before the process comes.

use super::devices::{confine_v1, confine_v2};
use super::{Hierarchy, below, hierarchies, v1_files};
use crate::config::Resources;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Makes `path`, sets its bounds and moves `pid` there; what is forked from it comes along.
pub fn enter_new_v1(path: &str, resources: &Resources, privileged: bool, pid: u32) -> io::Result<()> {
    let files = v1_files(resources);
    for hierarchy in hierarchies().iter().filter(|hierarchy| is_ours(hierarchy)) {
        let dir = below(hierarchy, path);
        fs::create_dir_all(&dir)?;
        let holds = |controller: &str| hierarchy.controllers.iter().any(|held| held == controller);
        for (_, file, value) in files.iter().filter(|(controller, ..)| holds(controller)) {
            write(&dir.join(file), value)?;
        }
        if holds("cpuset") {
            inherit_cpuset(hierarchy, path)?;
        }
        if holds("devices") && !privileged {
            confine_v1(&dir)?;
        }
        write(&dir.join("cgroup.procs"), &pid.to_string())?;
    }
    Ok(())
}

/// Where only v2 is, nothing of the engine's keeps a container from the node's devices: its group is confined before it
/// comes. With the v1 controller this was done above.
pub fn confine(path: &str, privileged: bool) -> io::Result<()> {
    let controlled = |hierarchy: &Hierarchy| hierarchy.controllers.iter().any(|held| held == "devices");
    match super::unified_dir(path) {
        Some(dir) if !privileged && !hierarchies().iter().any(controlled) => confine_v2(&dir),
        _ => Ok(()),
    }
}

/// Named hierarchies belong to somebody else (systemd): there a container stays where its shim is.
fn is_ours(hierarchy: &Hierarchy) -> bool {
    !hierarchy.unified && !hierarchy.controllers.iter().any(|controller| controller.starts_with("name="))
}

/// A new cpuset has neither processors nor memory, and nobody can enter it: it gets its parent's, from the top.
fn inherit_cpuset(hierarchy: &Hierarchy, path: &str) -> io::Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let mut dir = hierarchy.mount.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let parent = dir.join(file);
            dir.push(part);
            let own = dir.join(file);
            if fs::read_to_string(&own)?.trim().is_empty() {
                write(&own, fs::read_to_string(parent)?.trim())?;
            }
        }
    }
    Ok(())
}

/// What a container sees as `/sys/fs/cgroup` on v1: the name of each hierarchy's directory, and its own place there.
pub fn places_v1(path: &str, shim: &str) -> Vec<(String, PathBuf)> {
    let place = |hierarchy: &Hierarchy| {
        let name = hierarchy.mount.file_name()?.to_str()?.to_owned();
        let dir = below(hierarchy, if is_ours(hierarchy) { path } else { shim });
        (!hierarchy.unified && dir.is_dir()).then_some((name, dir))
    };
    hierarchies().iter().filter_map(place).collect()
}

/// An error of the kernel here says what it does not take, so the file belongs to it.
pub(super) fn write(file: &Path, value: &str) -> io::Result<()> {
    fs::write(file, value).map_err(|error| {
        io::Error::new(error.kind(), format!("write {value:?} to {}: {error}", file.display()))
    })
}
