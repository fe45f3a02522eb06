//! What a container uses at this moment, as the kernel counts it for the container's control group, on v1 and v2.
//!
//! Only reads; what cannot be read counts as nothing.

use crate::cgroups;
use crate::pod::Pod;
use std::fs;
use std::path::Path;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes, without the files the kernel would sooner drop than anything else: upstream's "working set".
    pub memory: u64,
    /// Processes and their threads.
    pub processes: u64,
}

impl Pod {
    /// What the container `id` of this pod uses.
    pub fn usage(&self, id: &str) -> Usage {
        let path = format!("{}/{id}", cgroups::pod_path(self.config()));
        let mut usage = Usage::default();
        for hierarchy in cgroups::hierarchies() {
            let dir = hierarchy.mount.join(path.trim_start_matches('/'));
            let counts = |controller: &str| {
                hierarchy.unified || hierarchy.controllers.iter().any(|held| held == controller)
            };
            if counts("memory") {
                usage.memory = usage.memory.max(memory(&dir, hierarchy.unified));
            }
            if counts("pids") {
                usage.processes = usage.processes.max(number(&dir.join("pids.current")));
            }
        }
        usage
    }
}

fn memory(dir: &Path, unified: bool) -> u64 {
    let used = if unified { "memory.current" } else { "memory.usage_in_bytes" };
    let stat = fs::read_to_string(dir.join("memory.stat")).unwrap_or_default();
    number(&dir.join(used)).saturating_sub(droppable(&stat, unified))
}

/// Bytes of files that were not used lately, by the group's `memory.stat`; on v1 with those of the groups below.
fn droppable(stat: &str, unified: bool) -> u64 {
    let name = if unified { "inactive_file " } else { "total_inactive_file " };
    stat.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

fn number(path: &Path) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    //! Counted as both versions write it.

    use super::*;

    #[test]
    fn what_could_be_dropped_is_read_as_both_versions_write_it() {
        let check = |unified: bool, stat: &str, expected| assert_eq!(droppable(stat, unified), expected);
        check(true, "anon 300\ninactive_file 600\n", 600);
        check(false, "inactive_file 1\ntotal_inactive_file 600\n", 600);
        check(false, "inactive_file 1\n", 0);
        check(true, "", 0);
    }
}
