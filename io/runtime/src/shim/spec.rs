//! A container's configuration → the OCI configuration `libcontainer` reads (`config.json` of the bundle).
//!
//! The defaults are those of the CRI engines (containerd): mounts, capabilities, masked and read-only paths, devices.
//! Network, IPC and UTS namespaces do not appear: the process inherits the shim's, which are the pod's.

use super::devices;
use super::seccomp;
use super::users::Identity;
use crate::cgroups;
use crate::config::{ContainerConfig, PodConfig, Propagation, Resources};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// What a container may do unless its pod says otherwise (containerd's set).
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Every capability by its number in the kernel.
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

const MASKED_PATHS: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything of `config.json`. The error names what cannot be.
pub fn build(pod: &PodConfig, config: &ContainerConfig, who: &Identity, shm: &Path) -> Result<Value, String> {
    let capabilities = capabilities(config)?;
    let user = json!({ "uid": who.uid, "gid": who.gid, "additionalGids": who.groups });
    let mut process = json!({
        "terminal": config.tty,
        "user": user,
        "args": config.args,
        "env": environment(pod, config, who),
        "cwd": if config.cwd.is_empty() { "/" } else { &config.cwd },
        "capabilities": {
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            "inheritable": [], "ambient": [],
        },
    });
    // Absent and false are not the same to libcontainer: false loads the seccomp profile after the privilege to.
    if config.no_new_privileges && !config.privileged {
        process["noNewPrivileges"] = json!(true);
    }
    Ok(json!({
        "ociVersion": "1.1.0",
        "root": { "path": config.rootfs, "readonly": config.read_only },
        "process": process,
        "mounts": mounts(pod, config, shm),
        "linux": linux(pod, config, &capabilities)?,
    }))
}

fn linux(pod: &PodConfig, config: &ContainerConfig, capabilities: &[String]) -> Result<Value, String> {
    let mut namespaces = vec![json!({ "type": "mount" })];
    match &pod.pid_namespace {
        Some(shared) => namespaces.push(json!({ "type": "pid", "path": shared })),
        None if pod.host_pid => {}
        None => namespaces.push(json!({ "type": "pid" })),
    }
    if !config.privileged {
        namespaces.push(json!({ "type": "cgroup" }));
    }
    let mut linux = json!({
        "namespaces": namespaces,
        "cgroupsPath": cgroup_path(pod, &config.id),
        "resources": resources(&config.resources, config.privileged),
        "rootfsPropagation": propagation(config),
        "maskedPaths": [],
        "readonlyPaths": [],
        "devices": if config.privileged { devices::of_the_node() } else { Vec::new() },
    });
    if !config.privileged && !config.unmasked_proc {
        linux["maskedPaths"] = json!(MASKED_PATHS);
        linux["readonlyPaths"] = json!(READONLY_PATHS);
    }
    if let Some(profile) = seccomp::profile(config, capabilities)? {
        linux["seccomp"] = profile;
    }
    Ok(linux)
}

/// The container's cgroup below each hierarchy's root.
pub fn cgroup_path(pod: &PodConfig, id: &str) -> String {
    format!("{}/{id}", cgroups::pod_path(pod))
}

/// Limits and the devices that may be opened; the engine's library adds the standard ones.
fn resources(bounds: &Resources, privileged: bool) -> Value {
    let mut resources = json!({ "devices": [{ "allow": privileged, "access": "rwm" }] });
    let mut cpu = serde_json::Map::new();
    let mut set = |name: &str, value: Option<Value>| value.map(|value| cpu.insert(name.into(), value));
    set("shares", bounds.cpu_shares.map(Value::from));
    set("quota", bounds.cpu_quota_us.map(Value::from));
    set("period", bounds.cpu_period_us.map(Value::from));
    if !cpu.is_empty() {
        resources["cpu"] = cpu.into();
    }
    if let Some(limit) = bounds.memory_limit_bytes {
        resources["memory"] = json!({ "limit": limit });
    }
    if let Some(limit) = bounds.pids_limit {
        resources["pids"] = json!({ "limit": limit });
    }
    resources
}

/// The image's and the pod's variables, then those every container has if nobody set them.
fn environment(pod: &PodConfig, config: &ContainerConfig, who: &Identity) -> Vec<String> {
    let mut env: Vec<String> = Vec::with_capacity(config.env.len() + 4);
    for (index, (name, value)) in config.env.iter().enumerate() {
        if !config.env[index + 1..].iter().any(|(later, _)| later == name) {
            env.push(format!("{name}={value}"));
        }
    }
    let mut default = |entry: String| {
        let name = entry.split_inclusive('=').next().unwrap_or_default();
        if !env.iter().any(|present| present.starts_with(name)) {
            env.push(entry);
        }
    };
    default(DEFAULT_PATH.into());
    default(format!("HOME={}", who.home));
    if !pod.hostname.is_empty() {
        default(format!("HOSTNAME={}", pod.hostname));
    }
    if config.tty {
        default("TERM=xterm".into());
    }
    env
}

/// `DEFAULT + add - drop`, with what this node cannot give (its own bounding set) left out.
fn capabilities(config: &ContainerConfig) -> Result<Vec<String>, String> {
    let mut set: BTreeSet<&str> = match config.privileged {
        true => CAPABILITIES.into(),
        false => DEFAULT_CAPABILITIES.into(),
    };
    if !config.privileged {
        for name in parse_capabilities(&config.add_capabilities)? {
            set.extend(name);
        }
        let dropped: Vec<Vec<&str>> = parse_capabilities(&config.drop_capabilities)?;
        let all = config.drop_capabilities.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
        let added: BTreeSet<&str> =
            parse_capabilities(&config.add_capabilities)?.into_iter().flatten().collect();
        for name in dropped.into_iter().flatten() {
            // `drop: [ALL], add: [X]` leaves X, as every engine reads it.
            if !(all && added.contains(name)) {
                set.remove(name);
            }
        }
    }
    let ours = bounding_set();
    let number = |name: &str| CAPABILITIES.iter().position(|known| *known == name).unwrap_or_default();
    Ok(set
        .into_iter()
        .filter(|name| ours >> number(name) & 1 == 1)
        .map(|name| format!("CAP_{name}"))
        .collect())
}

/// Each name with what it stands for.
fn parse_capabilities(names: &[String]) -> Result<Vec<Vec<&'static str>>, String> {
    let parse = |text: &String| {
        let upper = text.to_ascii_uppercase();
        if upper == "ALL" {
            return Ok(CAPABILITIES.to_vec());
        }
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let known = CAPABILITIES.iter().find(|known| **known == name);
        known.map(|known| vec![*known]).ok_or_else(|| format!("unknown capability {text:?}"))
    };
    names.iter().map(parse).collect()
}

/// What this process could give at most.
fn bounding_set() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"));
    line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(u64::MAX)
}

fn propagation(config: &ContainerConfig) -> &'static str {
    let most = config.mounts.iter().map(|mount| mount.propagation);
    match most.fold(0, |most, propagation| most.max(propagation as u8)) {
        0 => "private",
        1 => "slave",
        _ => "shared",
    }
}

/// The standard mounts that no mount of the pod replaces, then the pod's, outer ones first.
fn mounts(pod: &PodConfig, config: &ContainerConfig, shm: &Path) -> Vec<Value> {
    let sys = if config.privileged { "rw" } else { "ro" };
    let shm = if pod.host_ipc { Path::new("/dev/shm") } else { shm };
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let mut all = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", sys]),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", sys]),
        json!({ "destination": "/dev/shm", "type": "bind", "source": shm, "options": ["rbind", "rprivate", "rw"] }),
    ];
    let replaced = |standard: &Value| {
        config.mounts.iter().any(|mount| mount.destination.to_str() == standard["destination"].as_str())
    };
    all.retain(|standard| !replaced(standard));
    let mut own: Vec<_> = config.mounts.iter().collect();
    own.sort_by_key(|mount| mount.destination.components().count());
    all.extend(own.into_iter().map(|mount| {
        let propagation = match mount.propagation {
            Propagation::None => "rprivate",
            Propagation::HostToContainer => "rslave",
            Propagation::Bidirectional => "rshared",
        };
        let access = if mount.read_only { "ro" } else { "rw" };
        json!({
            "destination": mount.destination, "type": "bind", "source": mount.source,
            "options": ["rbind", propagation, access],
        })
    }));
    all
}

#[cfg(test)]
mod tests;
