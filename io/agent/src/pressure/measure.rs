//! How much the node has left, and what a pod uses. Only reads.

use crate::container;
use crate::host::Host;
use crate::paths::Paths;
use crate::task::Public;
use crate::volumes;
use k8s_openapi::api::core::v1::{Pod, Volume};
use kelson_pods::pressure::{ContainerUsage, Observation, Observations, Resource, Signal, Usage};
use nix::sys::statvfs::statvfs;
use std::fs;
use std::path::Path;

/// Everything that can be measured of the node.
pub fn node(paths: &Paths) -> Observations {
    let mut seen = Observations::new();
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    seen.extend(memory(&read("/proc/meminfo")).map(|it| (Signal::MemoryAvailable, it)));
    let limits = [read("/proc/sys/kernel/pid_max"), read("/proc/sys/kernel/threads-max")];
    seen.extend(processes(&limits, &read("/proc/loadavg")).map(|it| (Signal::PidAvailable, it)));
    let systems = [
        (paths.pods(), Signal::NodeFsAvailable, Signal::NodeFsInodesFree),
        (paths.images(), Signal::ImageFsAvailable, Signal::ImageFsInodesFree),
    ];
    for (path, bytes, inodes) in systems {
        let Some((space, files)) = file_system(&path) else { continue };
        seen.insert(bytes, space);
        // A file system that makes them as it needs them says that it has none.
        seen.extend((files.capacity > 0).then_some((inodes, files)));
    }
    seen
}

/// What programs could have without the node swapping, by the kernel's own estimate. Upstream's takes files that were
/// read twice for used, which on a machine that somebody works on would end pods while there is plenty.
fn memory(meminfo: &str) -> Option<Observation> {
    let field = |name: &str| -> Option<i64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<i64>().ok()?.checked_mul(1024)
    };
    Some(Observation { available: field("MemAvailable:")?, capacity: field("MemTotal:")? })
}

/// `loadavg` has running and all tasks as its fourth field, `3/149`.
fn processes(limits: &[String], loadavg: &str) -> Option<Observation> {
    let capacity = limits.iter().filter_map(|text| text.trim().parse::<i64>().ok()).min()?;
    let tasks: i64 = loadavg.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()?;
    Some(Observation { available: capacity - tasks, capacity })
}

/// Bytes and files.
fn file_system(path: &Path) -> Option<(Observation, Observation)> {
    let stat = statvfs(path).ok()?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let bytes = |blocks: u64| number(blocks.saturating_mul(stat.fragment_size()));
    let space = Observation { available: bytes(stat.blocks_available()), capacity: bytes(stat.blocks()) };
    let files = Observation { available: number(stat.files_free()), capacity: number(stat.files()) };
    Some((space, files))
}

/// What the pod uses. Disks are walked only when `resource` is on them.
pub fn pod(host: &Host, pod: &Pod, public: &Public, resource: Resource) -> Usage {
    let on_disk = matches!(resource, Resource::Storage | Resource::Inodes);
    let mut usage = Usage::default();
    for run in &public.runs {
        let used = match &public.shim {
            Some(shim) if run.running_since().is_some() => shim.usage(&run.id),
            _ => kelson_runtime::Usage::default(),
        };
        let mut written = volumes::Used::default();
        if on_disk {
            written.add(volumes::used(&host.paths.root(&run.id)));
            let log = container::log_path(host, pod, &run.container, run.attempt);
            let older = (1..kelson_runtime::LOG_FILES).map(|age| kelson_runtime::rotated(&log, age));
            older.chain([log.clone()]).for_each(|log| written.add(volumes::used(&log)));
        }
        usage.processes = usage.processes.saturating_add(number(used.processes));
        usage.inodes = usage.inodes.saturating_add(number(written.files));
        add(&mut usage.containers, &run.container, number(used.memory), number(written.bytes));
    }
    if on_disk {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        for volume in local_volumes(pod) {
            let used = volumes::used(&host.paths.volume(uid, &volume.name));
            usage.volumes = usage.volumes.saturating_add(number(used.bytes));
            usage.inodes = usage.inodes.saturating_add(number(used.files));
        }
    }
    usage
}

/// Several runs of a container are one container.
fn add(containers: &mut Vec<ContainerUsage>, name: &str, memory: i64, storage: i64) {
    match containers.iter_mut().find(|known| known.name == name) {
        Some(known) => {
            known.memory = known.memory.saturating_add(memory);
            known.storage = known.storage.saturating_add(storage);
        }
        None => containers.push(ContainerUsage { name: name.to_owned(), memory, storage }),
    }
}

/// Volumes that are the node's disk and go with the pod.
fn local_volumes(pod: &Pod) -> impl Iterator<Item = &Volume> {
    let all = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    all.filter(|volume| {
        let on_disk = |medium: &Option<String>| medium.as_deref() != Some("Memory");
        volume.empty_dir.as_ref().is_some_and(|it| on_disk(&it.medium)) || volume.config_map.is_some()
    })
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    //! The kernel's words.

    use super::*;

    #[test]
    fn memory_and_tasks_are_read_as_the_kernel_writes_them() {
        let seen = memory("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:   400 kB\n");
        assert_eq!(seen, Some(Observation { available: 400 << 10, capacity: 1000 << 10 }));
        assert_eq!(memory("MemTotal: 5 kB"), None);
        let limits = ["32768\n".to_owned(), "192730\n".to_owned()];
        let seen = processes(&limits, "2.55 3.54 3.55 3/149 19539\n");
        assert_eq!(seen, Some(Observation { available: 32_768 - 149, capacity: 32_768 }));
        assert_eq!(processes(&[String::new()], "1 1 1 3/149 2"), None);
        assert_eq!(processes(&limits, "1 1 1 3"), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path());
        fs::create_dir_all(paths.pods()).unwrap();
        fs::create_dir_all(paths.images()).unwrap();
        let seen = node(&paths);
        for signal in
            [Signal::MemoryAvailable, Signal::NodeFsAvailable, Signal::ImageFsAvailable, Signal::PidAvailable]
        {
            let found = seen.get(&signal).unwrap_or_else(|| panic!("{signal:?} was not measured"));
            assert!(found.available > 0 && found.available <= found.capacity, "{signal:?} {found:?}");
        }
    }
}
