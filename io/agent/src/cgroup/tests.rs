//! That the name stays, is each node's own, and that a broken file is no obstacle.

use super::pods_cgroup;
use std::fs;

#[test]
fn it_is_drawn_once_for_each_node() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let drawn = pods_cgroup(one.path()).unwrap();
    assert_eq!(pods_cgroup(one.path()).unwrap(), drawn);
    assert_ne!(pods_cgroup(other.path()).unwrap(), drawn);
}

#[test]
fn what_is_broken_is_drawn_anew() {
    let dir = tempfile::tempdir().unwrap();
    for broken in ["", "/kelson/12", "/kelson/../../system.slice", "/kelson/00000000000000/x"] {
        fs::write(dir.path().join("cgroup"), broken).unwrap();
        let drawn = pods_cgroup(dir.path()).unwrap();
        assert_ne!(drawn, broken);
        assert_eq!(pods_cgroup(dir.path()).unwrap(), drawn);
    }
}
