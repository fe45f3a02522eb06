//! A pod without its shim: reading what is on disk, and undoing everything a pod leaves on the node.
//!
//! Invariant: safe to repeat and to run over any half-made or half-removed pod. Nothing below a mount point is ever
//! deleted: mounts go first, and where one stays, so do the files.

use crate::cgroups;
use crate::config::{ContainerConfig, PodConfig};
use crate::error::{During, Error};
use crate::state::{ContainerState, read_whole};
use std::path::{Path, PathBuf};

/// The pod's configuration, in its directory.
pub const POD_FILE: &str = "pod.json";
/// The shim's pid, in the pod's directory.
pub const PID_FILE: &str = "shim.pid";
/// A directory a container.
pub const CONTAINERS: &str = "containers";
/// In a container's directory.
pub const CONFIG_FILE: &str = "config.json";
pub const STATE_FILE: &str = "state.json";

const NAME_MAX: usize = 128;

/// What may name a directory and a cgroup: no separators, nothing hidden, no way up.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !text.is_empty() && text.len() <= NAME_MAX && !text.starts_with('.') && text.bytes().all(plain)
}

/// An absolute path of such names.
pub fn is_plain_absolute(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_name))
}

/// The states as last recorded, with what was running counted as lost.
pub fn states(pod_dir: &Path) -> Vec<ContainerState> {
    let at = jiff::Timestamp::now();
    let read = |dir: PathBuf| read_whole::<ContainerState>(&dir.join(STATE_FILE)).ok();
    let mut states: Vec<ContainerState> =
        container_dirs(pod_dir).into_iter().filter_map(read).map(|state| state.lost(at)).collect();
    states.sort_by_key(|state| state.created_at);
    states
}

/// The configurations of the containers there, sorted by id.
pub fn configs(pod_dir: &Path) -> Vec<ContainerConfig> {
    container_dirs(pod_dir).into_iter().filter_map(|dir| read_whole(&dir.join(CONFIG_FILE)).ok()).collect()
}

fn container_dirs(pod_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(pod_dir.join(CONTAINERS)) else { return Vec::new() };
    let mut dirs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    dirs.sort();
    dirs
}

/// Kills what is left in the pod's cgroups, then removes those, its mounts and its directory.
pub fn remove_pod(pod_dir: &Path) -> Result<(), Error> {
    if !pod_dir.exists() {
        return Ok(());
    }
    end_shim(pod_dir);
    // Without a readable configuration the shim never ran: there is no cgroup to look for.
    if let Ok(config) = read_whole::<PodConfig>(&pod_dir.join(POD_FILE)) {
        let path = cgroups::pod_path(&config);
        cgroups::remove(&path).during("remove the cgroups of", pod_dir)?;
    }
    unmount_below(pod_dir)?;
    match std::fs::remove_dir_all(pod_dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).during("remove", pod_dir),
        _ => Ok(()),
    }
}

/// Kills a shim that did not end by itself. The pid is believed only while that process is this pod's shim.
fn end_shim(pod_dir: &Path) {
    let Ok(pid) = read_whole::<i32>(&pod_dir.join(PID_FILE)) else { return };
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut words = line.split(|byte| *byte == 0).skip(1);
    if words.next() == Some(b"shim") && words.next() == Some(pod_dir.as_os_str().as_encoded_bytes()) {
        // SAFETY: no memory effects; the process was identified just now.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// The cgroup of the shims, once the last is gone.
pub fn remove_shim_cgroup() {
    cgroups::remove_if_unused(&cgroups::shim_path());
    cgroups::remove_if_unused(crate::config::CGROUP_PARENT);
}

/// Unmounts everything at or below `dir`, the latest mount first.
pub fn unmount_below(dir: &Path) -> Result<(), Error> {
    let mountinfo =
        std::fs::read_to_string("/proc/self/mountinfo").during("read", Path::new("/proc/self/mountinfo"))?;
    let real = dir.canonicalize().during("find", dir)?;
    for point in mount_points(&mountinfo).into_iter().rev().filter(|point| point.starts_with(&real)) {
        nix::mount::umount2(&point, nix::mount::MntFlags::MNT_DETACH | nix::mount::MntFlags::UMOUNT_NOFOLLOW)
            .map_err(std::io::Error::from)
            .during("unmount", &point)?;
    }
    Ok(())
}

/// The fifth field of each line, with its octal escapes undone.
fn mount_points(mountinfo: &str) -> Vec<PathBuf> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape).collect()
}

/// mountinfo writes space, tab, newline and backslash as `\` and three octal digits.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        let value =
            octal.map(|digits| digits.iter().fold(0u32, |sum, digit| sum * 8 + u32::from(digit - b'0')));
        bytes.push(value.and_then(|value| u8::try_from(value).ok()).unwrap_or(first));
        rest = if value.is_some() { &after[3..] } else { after };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths() {
        let check = |text: &str, expected: bool| assert_eq!(is_name(text), expected, "{text:?}");
        check("web_0.a-B", true);
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ü", &"x".repeat(129)] {
            check(bad, false);
        }
        assert!(is_plain_absolute("/kelson/test"));
        assert!(!is_plain_absolute("/kelson/../x"));
        assert!(!is_plain_absolute("kelson"));
        assert!(!is_plain_absolute("/"));
    }

    #[test]
    fn mount_points_are_unescaped() {
        let line = |point: &str| format!("1 2 0:3 / {point} rw - tmpfs none rw\n");
        let check = |text: &str, expected: &str| {
            assert_eq!(mount_points(&line(text)), [PathBuf::from(expected)], "{text}");
        };
        check("/a", "/a");
        check("/a\\040b\\134", "/a b\\");
        check("/tail\\04", "/tail\\04");
        check("/\\777", "/\\777".replace("\\777", "\\").as_str());
    }
}
