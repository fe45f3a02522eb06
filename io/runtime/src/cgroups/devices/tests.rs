//! The v2 program, tried by the kernel: a process in a confined group, and what it may open.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;
use crate::cgroups::hierarchies;

/// A group of the v2 hierarchy, confined; gone with the test.
struct Group(PathBuf);

impl Group {
    fn confined(name: &str) -> Self {
        let unified = hierarchies().iter().find(|hierarchy| hierarchy.unified).expect("a v2 hierarchy");
        let dir = unified.mount.join(format!("kelson-test-{name}-{}", std::process::id()));
        confine_v2(&dir).unwrap();
        Self(dir)
    }

    /// Whether a shell in the group succeeds with that line.
    fn can(&self, line: &str) -> bool {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("read begin; exec 2>/dev/null; {line}")]).stdin(Stdio::piped());
        let mut shell = shell.stdout(Stdio::null()).spawn().unwrap();
        fs::write(self.0.join("cgroup.procs"), shell.id().to_string()).unwrap();
        shell.stdin.take().unwrap().write_all(b"begin\n").unwrap();
        shell.wait().unwrap().success()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_confined_process_uses_what_containers_use_and_nothing_else() {
    let group = Group::confined("devices");
    for (kind, major, minor, expected) in [
        ("c", 1, 3, true),
        ("c", 1, 5, true),
        ("c", 1, 9, true),
        // The memory of the machine, a log of the kernel's.
        ("c", 1, 1, false),
        ("c", 1, 11, false),
        // /dev/net/tun, and a disk.
        ("c", 10, 200, false),
        ("b", 7, 0, false),
        ("b", 1, 3, false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let node = dir.path().join("node").display().to_string();
        assert!(group.can(&format!("mknod {node} {kind} {major} {minor}")), "any node can be made");
        let opened = group.can(&format!(": < {node}"));
        assert_eq!(opened, expected, "{kind} {major}:{minor}");
    }
    assert!(group.can(": < /dev/urandom && : > /dev/null"));
}
