//! The control group that holds this node's pods and nobody else's, however many nodes one machine has.
//!
//! Its name is drawn once and kept beside the node's other files: what is done to pods by their group, such as translating
//! their connections, meets no other node's, also when both see the same groups by different paths.

use crate::error::{AgentError, file};
use crate::paths::Paths;
use kelson_runtime::CGROUP_PARENT;
use std::fs;
use std::path::Path;

/// The group's path below the root of every hierarchy; drawn, and written down, the first time.
pub fn pods_cgroup(data_dir: &Path) -> Result<String, AgentError> {
    let path = Paths::new(data_dir).cgroup();
    if let Some(known) = known(&path) {
        return Ok(known);
    }
    let drawn = format!("{CGROUP_PARENT}/{:016x}", kelson_process::random_u64());
    fs::create_dir_all(data_dir).map_err(file("make", data_dir))?;
    fs::write(&path, &drawn).map_err(file("write", &path))?;
    Ok(drawn)
}

/// Removes the group, when its last pod is gone, from every hierarchy.
pub fn remove(paths: &Paths) {
    if let Some(known) = known(&paths.cgroup()) {
        kelson_runtime::remove_unused_cgroup(&known);
        kelson_runtime::remove_unused_cgroup(CGROUP_PARENT);
    }
}

/// What is written down, if it is what we write: a crash may have left half of it.
fn known(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let name = text.strip_prefix(CGROUP_PARENT)?.strip_prefix('/')?;
    (name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
}

#[cfg(test)]
mod tests;
