//! Waiting in advance for what the kernel makes everybody wait who moves a process into another control group.
//!
//! The first to write to a `cgroup.procs` waits some 10 ms for every processor (RCU), and so does whoever comes meanwhile;
//! those who come shortly after wait for nothing. So kelson writes there as soon as it knows of a pod: its own pid into
//! its own group, which changes nothing.

use super::{Hierarchy, below, hierarchies};
use std::fs;
use std::io;
use std::path::PathBuf;

/// Blocks as long as the kernel does. Where kelson's own group cannot be found, nothing is done.
pub fn wait_in_advance() -> io::Result<()> {
    let Some(procs) = own_procs(hierarchies(), &fs::read_to_string("/proc/self/cgroup")?) else {
        return Ok(());
    };
    let pid = std::process::id().to_string();
    // Nobody is moved: what the kernel calls our group may be mounted elsewhere than it seems.
    match fs::read_to_string(&procs)?.lines().any(|line| line == pid) {
        true => fs::write(procs, pid),
        false => Ok(()),
    }
}

/// Where the processes of the group are listed that `own` (`/proc/self/cgroup`) names first.
fn own_procs(hierarchies: &[Hierarchy], own: &str) -> Option<PathBuf> {
    own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let same = |hierarchy: &&Hierarchy| hierarchy.controllers.join(",") == controllers;
        hierarchies.iter().find(same).map(|hierarchy| below(hierarchy, path).join("cgroup.procs"))
    })
}

#[cfg(test)]
mod tests {
    //! Which group is kelson's own.

    use super::*;

    fn check(own: &str, expected: Option<&str>) {
        let hierarchy = |mount: &str, controllers: &[&str]| Hierarchy {
            mount: mount.into(),
            controllers: controllers.iter().map(|name| name.to_string()).collect(),
            unified: controllers.is_empty(),
        };
        let mounted = [hierarchy("/cg/cpu", &["cpu", "cpuacct"]), hierarchy("/cg/unified", &[])];
        assert_eq!(own_procs(&mounted, own), expected.map(PathBuf::from), "{own:?}");
    }

    #[test]
    fn the_first_that_is_mounted() {
        check("9:memory:/a\n3:cpu,cpuacct:/b/c\n0::/d\n", Some("/cg/cpu/b/c/cgroup.procs"));
        check("0::/\n", Some("/cg/unified/cgroup.procs"));
        check("9:memory:/a\nnonsense\n", None);
    }

    #[test]
    fn writing_changes_nothing() {
        let before = fs::read_to_string("/proc/self/cgroup").unwrap();
        wait_in_advance().unwrap();
        assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), before);
    }
}
