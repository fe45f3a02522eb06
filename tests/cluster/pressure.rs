//! A node whose disk fills up: it says so, ends the pod that filled it, and takes no other until there is room again.
//!
//! The disk is a file system of the test's own, in memory, mounted where the test and the node keep everything.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};

use crate::harness::{Cluster, image};

/// Dropped in this order: what the node made goes before what it was made on.
struct Small {
    cluster: Cluster,
    _disk: Disk,
}

struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Self {
        let options = format!("size={size},mode=755");
        nix::mount::mount(Some("small"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .expect("a file system in memory");
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// A node with a disk of 384 MiB, of which 128 have to stay free.
fn small(name: &str) -> Small {
    let mut cluster = Cluster::prepare(name, &["--eviction-hard", "nodefs.available<128Mi"]);
    let disk = Disk::mount(cluster.scratch(), "384m");
    image::import(&cluster, "busybox:1", &["/bin/sh"]);
    image::import(&cluster, "kept:1", &["/bin/kept"]);
    image::import(&cluster, "spare:1", &["/bin/spare"]);
    pretend_pulled(&cluster, "docker.io/library/spare:1");
    cluster.up();
    Small { cluster, _disk: disk }
}

/// Makes the store believe that the image came from a registry.
fn pretend_pulled(cluster: &Cluster, name: &str) {
    let path = cluster.data_dir().join("images/images.json");
    let text = std::fs::read_to_string(&path).expect("the list of images");
    let mut list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut images = list.as_array_mut().expect("a list").iter_mut();
    let image = images.find(|image| image["names"][0] == name).expect("it was imported");
    image["digests"] = serde_json::json!([format!("docker.io/library/spare@sha256:{}", "0".repeat(64))]);
    std::fs::write(&path, list.to_string()).expect("the list is written");
}

/// A pod that writes as much as it is told to, and stays.
fn pod(name: &str, spec: &str, script: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  {spec}
  terminationGracePeriodSeconds: 30
  volumes: [{{name: v, emptyDir: {{}}}}]
  containers:
  - name: c
    image: busybox:1
    command: [sh, -c, '{script}; trap \"\" TERM; while sleep 1; do :; done']
    volumeMounts: [{{name: v, mountPath: /v}}]
---
"
    )
}

fn apply(cluster: &Cluster, manifest: &str) {
    let file = cluster.scratch().join("manifest.yaml");
    std::fs::write(&file, manifest).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display()));
}

fn fill(path: &str, mebibytes: u32) -> String {
    format!("dd if=/dev/zero of={path} bs=1M count={mebibytes}")
}

#[test]
fn the_pod_that_fills_the_disk_has_to_go() {
    let Small { cluster, _disk } = &small("pressure");
    let critical = pod("critical", "priorityClassName: system-node-critical", &fill("/fill", 170));
    apply(cluster, &[pod("quiet", "", "true"), critical].concat());
    cluster.kubectl("wait --for=condition=Ready pod/quiet pod/critical --timeout=30s");
    let node = cluster.kubectl("describe node node-1").text;
    assert!(node.contains("KubeletHasNoDiskPressure"), "{node}");

    // Its own file system and a volume both count.
    let both = format!("{}; {}", fill("/fill", 30), fill("/v/fill", 70));
    apply(cluster, &pod("greedy", "", &both));
    let told = "get pod greedy -o jsonpath='{.status.phase} {.status.reason}'";
    cluster.until(told, |text| text == "Failed Evicted");
    let message = cluster.kubectl("get pod greedy -o jsonpath='{.status.message}'").text;
    let begins = "The node was low on resource: ephemeral-storage. Threshold quantity: 128Mi, available: ";
    let ends = ", request is 0, has larger consumption of ephemeral-storage. ";
    assert!(message.starts_with(begins) && message.ends_with(ends), "{message}");
    assert!(
        message.contains(" Container c was using 30") || message.contains(" Container c was using 31"),
        "{message}"
    );
    let condition = "{.status.conditions[?(@.type==\"DisruptionTarget\")].reason}";
    cluster.kubectl(&format!("get pod greedy -o jsonpath='{condition}'")).prints("TerminationByKubelet");
    cluster
        .until("get events --field-selector reason=Evicted,type=Warning", |text| text.contains("pod/greedy"));
    cluster.until("get events --field-selector reason=EvictionThresholdMet", |text| {
        text.contains("Attempting to reclaim ephemeral-storage")
    });
    cluster.until("describe node node-1", |text| {
        text.contains("KubeletHasDiskPressure")
            && text.contains("kubelet has disk pressure")
            && text.contains("node.kubernetes.io/disk-pressure:NoSchedule")
            && text.contains("Node node-1 status is now: NodeHasDiskPressure")
    });
    let images = cluster.kelson("image ls").text;
    assert!(images.contains("/kept:1") && !images.contains("/spare:1"), "{images}");
    nobody_else_goes(cluster);
    none_is_taken(cluster);
}

/// What the pod had is given back, so the others stay: also the one that the cluster cannot do without and that has more.
fn nobody_else_goes(cluster: &Cluster) {
    cluster.eventually("the disk has room again", || {
        let free = nix::sys::statvfs::statvfs(&cluster.data_dir()).expect("it is mounted");
        (free.blocks_available() * free.fragment_size() > 180 << 20).then_some(())
    });
    // More than one look of the node's.
    std::thread::sleep(std::time::Duration::from_secs(12));
    for pod in ["quiet", "critical"] {
        assert_eq!(
            &cluster.kubectl(&format!("get pod {pod} --no-headers")).rows()[0][1..4],
            ["1/1", "Running", "0"]
        );
    }
}

/// For five minutes the node is not trusted with more, whoever asks.
fn none_is_taken(cluster: &Cluster) {
    apply(cluster, &[pod("late", "", "true"), pod("forced", "nodeName: node-1", "true")].concat());
    let told = "get pod forced -o jsonpath='{.status.phase} {.status.reason} {.status.message}'";
    cluster.until(told, |text| {
        text == "Failed Evicted Pod was rejected: The node had condition: [DiskPressure]. "
    });
    cluster.until("describe pod late", |text| text.contains("1 node(s) had untolerated taint"));
}

/// More memory than the machine has is to stay free, so that it is short of it from the first look on.
#[test]
fn who_asked_for_memory_is_taken_and_goes_when_there_is_too_little() {
    let mut cluster = Cluster::prepare("shortage", &["--eviction-hard", "memory.available<100Ti"]);
    image::import(&cluster, "busybox:1", &["/bin/sh"]);
    cluster.up();
    cluster.until("describe node node-1", |text| {
        text.contains("KubeletHasInsufficientMemory")
            && text.contains("kubelet has insufficient memory available")
            && text.contains("node.kubernetes.io/memory-pressure:NoSchedule")
    });
    // The pod's shared memory is memory.
    let hold = format!("{}; sleep 1000", fill("/dev/shm/held", 30));
    let asks = "resources: {requests: {memory: 1Mi}}";
    let of = |name: &str, asks: &str| {
        format!(
            "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: node-1
  containers: [{{name: c, image: 'busybox:1', command: [sh, -c, '{hold}'], {asks}}}]
---
"
        )
    };
    apply(&cluster, &[of("one", asks), of("other", asks), of("careless", "")].concat());
    let told = |pod: &str| format!("get pod {pod} -o jsonpath='{{.status.reason}} {{.status.message}}'");
    cluster.until(&told("careless"), |text| {
        text == "Evicted Pod was rejected: The node had condition: [MemoryPressure]. "
    });
    let begins = "Evicted The node was low on resource: memory. Threshold quantity: 100Ti, available: ";
    let messages = ["one", "other"].map(|pod| cluster.until(&told(pod), |text| text.starts_with(begins)));
    // The first may have gone before it had taken much; the other followed seconds later.
    let used = messages.iter().filter_map(|text| {
        let used = text.split_once("Container c was using ")?.1;
        used.strip_suffix("Ki, request is 1Mi, has larger consumption of memory. ")?.parse::<u64>().ok()
    });
    assert!(used.max().is_some_and(|kibibytes| (29_000..200_000).contains(&kibibytes)), "{messages:?}");
}
