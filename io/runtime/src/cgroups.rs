//! Control groups of pods and containers, on v1, hybrid and v2 hosts alike.
//!
//! The pod's bounds and a container's own group, asking for out-of-memory kills, and undoing everything.
//! Every path is `<parent>/pod<uid>[/<container>]`, the same in every hierarchy.

mod container;
mod devices;
mod foresight;

pub use container::{confine, enter_new_v1, places_v1};
pub use foresight::wait_in_advance;

use crate::config::{CGROUP_PARENT, PodConfig, Resources};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long killed processes may take to leave their cgroup.
const LEAVE_WAIT: Duration = Duration::from_secs(5);
const LEAVE_POLL: Duration = Duration::from_millis(2);

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    pub mount: PathBuf,
    /// v1: the controllers, or `name=systemd`. v2: empty.
    pub controllers: Vec<String>,
    pub unified: bool,
}

/// The variable by which a shim is told the hierarchies.
pub const HANDED_DOWN: &str = "KELSON_CGROUPS";

/// Every hierarchy mounted here. Read once by kelson, whose shims are told: the list of mounts is long where many pods
/// run, and whoever reads it stands in one queue with everybody who mounts.
pub fn hierarchies() -> &'static [Hierarchy] {
    static MOUNTED: OnceLock<Vec<Hierarchy>> = OnceLock::new();
    MOUNTED.get_or_init(|| {
        let told = std::env::var(HANDED_DOWN).ok().and_then(|text| serde_json::from_str(&text).ok());
        told.unwrap_or_else(|| parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()))
    })
}

/// What [`HANDED_DOWN`] is to say.
pub fn hand_down() -> String {
    serde_json::to_string(hierarchies()).expect("paths come from text and names are text")
}

/// A hierarchy mounted twice counts once.
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some(hierarchy) = parse_line(line) else { continue };
        let same = |other: &Hierarchy| {
            other.unified == hierarchy.unified && other.controllers == hierarchy.controllers
        };
        if !found.iter().any(same) {
            found.push(hierarchy);
        }
    }
    found
}

fn parse_line(line: &str) -> Option<Hierarchy> {
    let (place, kind) = line.split_once(" - ")?;
    let mount = PathBuf::from(place.split(' ').nth(4)?);
    let mut kind = kind.split(' ');
    let unified = match kind.next()? {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let options = kind.nth(1).unwrap_or_default().split(',');
    let controller = |option: &&str| !unified && !matches!(*option, "rw" | "ro" | "xattr" | "clone_children");
    let keep = |option: &&str| !option.starts_with("release_agent=");
    let controllers = options.filter(controller).filter(keep).map(String::from).collect();
    Some(Hierarchy { mount, controllers, unified })
}

/// Only v2: it holds the controllers too.
pub fn is_pure_v2(hierarchies: &[Hierarchy]) -> bool {
    hierarchies.iter().all(|hierarchy| hierarchy.unified)
}

/// The pod's cgroup below each hierarchy's root.
pub fn pod_path(pod: &PodConfig) -> String {
    let parent = if pod.cgroup_parent.is_empty() { CGROUP_PARENT } else { &pod.cgroup_parent };
    format!("{}/pod{}", parent.trim_end_matches('/'), pod.uid)
}

/// Where all shims live, outside the pods' bounds.
pub fn shim_path() -> String {
    format!("{CGROUP_PARENT}/shim")
}

/// Moves a process into `path` where a supervisor of kelson (systemd) would look for what to end, and where its memory
/// is counted. Best effort: a shim is useful in the wrong cgroup too.
pub fn move_shim(pid: u32) {
    let place = |hierarchy: &&Hierarchy| {
        let wanted = |controller: &String| controller == "name=systemd" || controller == "memory";
        hierarchy.unified || hierarchy.controllers.iter().any(wanted)
    };
    for hierarchy in hierarchies().iter().filter(place) {
        if let Err(error) = join(hierarchy, &shim_path(), pid) {
            eprintln!("could not move the shim into {}{}: {error}", hierarchy.mount.display(), shim_path());
        }
    }
}

/// Makes `path` in one hierarchy and puts `pid` there.
pub fn join(hierarchy: &Hierarchy, path: &str, pid: u32) -> io::Result<()> {
    let dir = below(hierarchy, path);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("cgroup.procs"), pid.to_string())
}

/// Puts `pid` beside the processes of an existing container, in every hierarchy where it has a cgroup.
pub fn enter(path: &str, pid: u32) -> io::Result<()> {
    for hierarchy in hierarchies() {
        let procs = below(hierarchy, path).join("cgroup.procs");
        if procs.exists() {
            fs::write(procs, pid.to_string())?;
        }
    }
    Ok(())
}

/// Makes the pod's cgroup and sets its bounds; without bounds there is nothing to do until a container comes.
pub fn bound_pod(path: &str, resources: &Resources) -> io::Result<()> {
    let hierarchies = hierarchies();
    if is_pure_v2(hierarchies) {
        return hierarchies.first().map_or(Ok(()), |hierarchy| bound_v2(hierarchy, path, resources));
    }
    for (controller, file, value) in v1_files(resources) {
        let holds = |hierarchy: &&Hierarchy| hierarchy.controllers.iter().any(|held| held == controller);
        if let Some(hierarchy) = hierarchies.iter().find(holds) {
            let dir = below(hierarchy, path);
            fs::create_dir_all(&dir)?;
            fs::write(dir.join(file), value)?;
        }
    }
    Ok(())
}

fn v1_files(resources: &Resources) -> Vec<(&'static str, &'static str, String)> {
    let mut files = Vec::new();
    let mut add = |controller, file, value: Option<String>| {
        if let Some(value) = value {
            files.push((controller, file, value));
        }
    };
    add("cpu", "cpu.shares", resources.cpu_shares.map(|shares| shares.to_string()));
    add("cpu", "cpu.cfs_period_us", resources.cpu_period_us.map(|period| period.to_string()));
    add("cpu", "cpu.cfs_quota_us", resources.cpu_quota_us.map(|quota| quota.to_string()));
    add("memory", "memory.limit_in_bytes", resources.memory_limit_bytes.map(|limit| limit.to_string()));
    add("pids", "pids.max", resources.pids_limit.map(pids_max));
    files
}

fn bound_v2(hierarchy: &Hierarchy, path: &str, resources: &Resources) -> io::Result<()> {
    let mut dir = hierarchy.mount.clone();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        for controller in ["+cpu", "+memory", "+pids"] {
            // A controller the host lacks is missed where its bound is written, below.
            let _ = fs::write(dir.join("cgroup.subtree_control"), controller);
        }
        dir.push(part);
        fs::create_dir_all(&dir)?;
    }
    for (file, value) in v2_files(resources) {
        fs::write(dir.join(file), value)?;
    }
    Ok(())
}

fn v2_files(resources: &Resources) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    if let Some(shares) = resources.cpu_shares {
        files.push(("cpu.weight", weight(shares).to_string()));
    }
    if let Some(quota) = resources.cpu_quota_us {
        let quota = if quota > 0 { quota.to_string() } else { "max".into() };
        files.push(("cpu.max", format!("{quota} {}", resources.cpu_period_us.unwrap_or(100_000))));
    }
    if let Some(limit) = resources.memory_limit_bytes {
        files.push(("memory.max", if limit > 0 { limit.to_string() } else { "max".into() }));
    }
    if let Some(limit) = resources.pids_limit {
        files.push(("pids.max", pids_max(limit)));
    }
    files
}

fn pids_max(limit: i64) -> String {
    if limit > 0 { limit.to_string() } else { "max".into() }
}

/// cpu.shares 2..=262144 onto cpu.weight 1..=10000, linearly, as Kubernetes does (KEP-2254).
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9_999 / 262_142
}

/// How many processes the kernel killed for memory in this cgroup and below it.
pub fn oom_kills(path: &str) -> u64 {
    let count = |hierarchy: &Hierarchy| {
        let dir = below(hierarchy, path);
        let file = if hierarchy.unified { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    hierarchies().iter().map(count).max().unwrap_or(0)
}

/// Processes in `path` and below, in any hierarchy.
fn members(path: &str) -> Vec<i32> {
    let mut pids: Vec<i32> = Vec::new();
    for hierarchy in hierarchies() {
        for dir in subtree(&below(hierarchy, path)) {
            let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
            pids.extend(procs.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        }
    }
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Sends SIGKILL to every process there, now; returns how many there were.
pub fn kill(path: &str) -> usize {
    let pids = members(path);
    for pid in &pids {
        // SAFETY: kill has no memory effects; the pid was a member of our own cgroup just now.
        unsafe { libc::kill(*pid, libc::SIGKILL) };
    }
    pids.len()
}

/// Kills until nobody is left, then removes `path` from every hierarchy. Nothing there is success.
pub fn remove(path: &str) -> io::Result<()> {
    let deadline = Instant::now() + LEAVE_WAIT;
    loop {
        if kill(path) == 0 {
            match remove_now(path) {
                Err(error) if Instant::now() > deadline => return Err(error),
                Ok(()) => return Ok(()),
                Err(_) => {}
            }
        } else if Instant::now() > deadline {
            return Err(io::Error::other(format!("processes in cgroup {path} survive SIGKILL")));
        }
        std::thread::sleep(LEAVE_POLL);
    }
}

/// Removes what is empty, deepest first.
fn remove_now(path: &str) -> io::Result<()> {
    let mut result = Ok(());
    for hierarchy in hierarchies() {
        for dir in subtree(&below(hierarchy, path)).iter().rev() {
            match fs::remove_dir(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => result = Err(error),
                _ => {}
            }
        }
    }
    result
}

/// Removes a cgroup if nobody uses it; busy is fine.
pub fn remove_if_unused(path: &str) {
    for hierarchy in hierarchies() {
        let _ = fs::remove_dir(below(hierarchy, path));
    }
}

/// `dir` and every directory below, parents first; empty when it does not exist.
fn subtree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        open.extend(entries.flatten().filter(is_dir).map(|entry| entry.path()));
        found.push(next);
    }
    found
}

fn below(hierarchy: &Hierarchy, path: &str) -> PathBuf {
    hierarchy.mount.join(path.trim_start_matches('/'))
}

/// Where `path` is in the v2 hierarchy, whether it exists or not; `None` where no such hierarchy is mounted.
pub fn unified_dir(path: &str) -> Option<PathBuf> {
    hierarchies().iter().find(|hierarchy| hierarchy.unified).map(|hierarchy| below(hierarchy, path))
}

#[cfg(test)]
mod tests;
