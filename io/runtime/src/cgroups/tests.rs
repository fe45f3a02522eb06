//! Reading mountinfo and translating bounds.

use super::*;

fn check(mountinfo: &str, expected: &[(&str, &[&str], bool)]) {
    let found = parse(mountinfo);
    let found: Vec<_> =
        found.iter().map(|h| (h.mount.to_str().unwrap(), h.controllers.clone(), h.unified)).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(m, c, u)| (*m, c.iter().map(|c| c.to_string()).collect::<Vec<_>>(), *u))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn hybrid_v2_and_strangers() {
    check("", &[]);
    check("nonsense", &[]);
    check(
        "30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct\n\
         31 25 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/x,name=systemd\n\
         32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
         33 25 0:28 / /elsewhere rw - cgroup2 cgroup2 rw,nsdelegate\n\
         34 25 0:29 / /proc rw - proc proc rw\n",
        &[
            ("/sys/fs/cgroup/cpu", &["cpu", "cpuacct"], false),
            ("/sys/fs/cgroup/systemd", &["name=systemd"], false),
            ("/sys/fs/cgroup/unified", &[], true),
        ],
    );
}

#[test]
fn shares_become_weights_as_upstream_maps_them() {
    assert_eq!([2, 1024, 262_144, 0, u64::MAX].map(weight), [1, 39, 10_000, 1, 10_000]);
}

#[test]
fn bounds_in_both_dialects() {
    let resources = Resources {
        cpu_shares: Some(512),
        cpu_quota_us: Some(50_000),
        cpu_period_us: Some(100_000),
        memory_limit_bytes: Some(1 << 20),
        pids_limit: Some(0),
        oom_score_adj: None,
    };
    let v1: Vec<String> =
        v1_files(&resources).iter().map(|(_, file, value)| format!("{file}={value}")).collect();
    assert_eq!(
        v1,
        [
            "cpu.shares=512",
            "cpu.cfs_period_us=100000",
            "cpu.cfs_quota_us=50000",
            "memory.limit_in_bytes=1048576",
            "pids.max=max"
        ]
    );
    let v2: Vec<String> =
        v2_files(&resources).iter().map(|(file, value)| format!("{file}={value}")).collect();
    assert_eq!(v2, ["cpu.weight=20", "cpu.max=50000 100000", "memory.max=1048576", "pids.max=max"]);
}
