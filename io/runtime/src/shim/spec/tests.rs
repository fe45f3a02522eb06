//! What the OCI configuration says for a given container.

use super::*;
use crate::config::{Mount, Seccomp};

fn names(expected: &[&str]) -> Vec<String> {
    let ours = bounding_set();
    let number = |name: &str| CAPABILITIES.iter().position(|known| *known == name).unwrap();
    expected.iter().filter(|name| ours >> number(name) & 1 == 1).map(|name| format!("CAP_{name}")).collect()
}

fn check_capabilities(add: &[&str], drop: &[&str], expected: Result<&[&str], &str>) {
    let strings = |list: &[&str]| list.iter().map(|text| text.to_string()).collect();
    let config = ContainerConfig {
        add_capabilities: strings(add),
        drop_capabilities: strings(drop),
        ..ContainerConfig::default()
    };
    let expected = expected.map(|list| {
        let mut list = names(list);
        list.sort();
        list
    });
    assert_eq!(capabilities(&config), expected.map_err(String::from), "+{add:?} -{drop:?}");
}

#[test]
fn capabilities_add_and_drop() {
    check_capabilities(&[], &[], Ok(&DEFAULT_CAPABILITIES));
    check_capabilities(&["NET_BIND_SERVICE"], &["ALL"], Ok(&["NET_BIND_SERVICE"]));
    check_capabilities(&[], &["all"], Ok(&[]));
    check_capabilities(&["ALL"], &["ALL"], Ok(&CAPABILITIES));
    check_capabilities(&["CAP_SYS_TIME"], &["MKNOD", "KILL"], {
        Ok(&[
            "CHOWN",
            "DAC_OVERRIDE",
            "FSETID",
            "FOWNER",
            "NET_RAW",
            "SETGID",
            "SETUID",
            "SETFCAP",
            "SETPCAP",
            "NET_BIND_SERVICE",
            "SYS_CHROOT",
            "AUDIT_WRITE",
            "SYS_TIME",
        ])
    });
    check_capabilities(&["FLY"], &[], Err("unknown capability \"FLY\""));
}

#[test]
fn environment_defaults_yield() {
    let pod = PodConfig { hostname: "web-0".into(), ..PodConfig::default() };
    let who = Identity { home: "/root".into(), ..Identity::default() };
    let env = |list: &[(&str, &str)], tty| {
        let env = list.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        environment(&pod, &ContainerConfig { env, tty, ..ContainerConfig::default() }, &who)
    };
    assert_eq!(env(&[], false), [DEFAULT_PATH, "HOME=/root", "HOSTNAME=web-0"]);
    assert_eq!(
        env(&[("A", "1"), ("PATH", "/x"), ("A", "2"), ("HOME", ""), ("TERM", "dumb")], true),
        ["PATH=/x", "A=2", "HOME=", "TERM=dumb", "HOSTNAME=web-0"]
    );
}

#[test]
fn the_pods_mounts_replace_and_follow_the_standard_ones() {
    let mount = |destination: &str| Mount {
        source: "/src".into(),
        destination: destination.into(),
        read_only: true,
        propagation: Propagation::HostToContainer,
    };
    let config = ContainerConfig {
        mounts: vec![mount("/data/deep"), mount("/dev/shm"), mount("/data")],
        ..Default::default()
    };
    let all = mounts(&PodConfig::default(), &config, Path::new("/pod/shm"));
    let places: Vec<_> = all.iter().map(|mount| mount["destination"].as_str().unwrap()).collect();
    assert_eq!(
        places,
        [
            "/proc",
            "/dev",
            "/dev/pts",
            "/dev/mqueue",
            "/sys",
            "/sys/fs/cgroup",
            "/data",
            "/data/deep",
            "/dev/shm"
        ]
    );
    assert_eq!(all[6]["options"], json!(["rbind", "rslave", "ro"]));
    assert_eq!(propagation(&config), "slave");
}

#[test]
fn libcontainer_reads_what_we_write() {
    let who = Identity { uid: 1, gid: 2, groups: vec![2, 3], home: "/".into() };
    let check = |config: ContainerConfig, confined: bool| {
        let value =
            build(&PodConfig { uid: "u".into(), ..Default::default() }, &config, &who, Path::new("/shm"))
                .unwrap();
        let spec: libcontainer::oci_spec::runtime::Spec = serde_json::from_value(value).unwrap();
        let linux = spec.linux().as_ref().unwrap();
        assert_eq!(linux.seccomp().is_some(), confined);
        assert_eq!(linux.cgroups_path().as_ref().unwrap().to_str(), Some("/kelson/podu/c"));
        spec.process().as_ref().unwrap().no_new_privileges()
    };
    let config =
        ContainerConfig { id: "c".into(), args: vec!["x".into()], rootfs: "/r".into(), ..Default::default() };
    assert_eq!(check(config.clone(), true), None);
    assert_eq!(check(ContainerConfig { no_new_privileges: true, ..config.clone() }, true), Some(true));
    assert_eq!(check(ContainerConfig { seccomp: Seccomp::Unconfined, ..config.clone() }, false), None);
    assert_eq!(check(ContainerConfig { privileged: true, no_new_privileges: true, ..config }, false), None);
}
