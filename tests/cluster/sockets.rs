//! Translation at connect() in a whole cluster: pods' packets carry no ClusterIP, nothing is lost while kelson dies, starts
//! again and rolls out, and nothing of it is left behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, KELSON};

/// How long the load inside the pod goes on.
const LOAD_SECONDS: u32 = 25;

fn published() -> &'static str {
    r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
          "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
          "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
              "spec": {"terminationGracePeriodSeconds": 30, "containers": [{"name": "echo",
                "image": "kelson.local/echo:latest", "imagePullPolicy": "Never",
                "args": ["echo", "--port", "8080", "--on-sigterm", "exit"],
                "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}]}}}}]}"#
}

fn cluster(name: &str, flags: &[&str]) -> Cluster {
    let mut cluster = Cluster::prepare(name, flags);
    cluster.kelson(&format!("image from-binary {KELSON} --name kelson.local/echo:latest"));
    cluster.up();
    let path = cluster.scratch().join("manifest.json");
    fs::write(&path, published()).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", path.display()));
    cluster.kubectl("rollout status deploy/web --timeout=30s");
    cluster
}

/// Starts a pod that calls the Service again and again.
fn start_load(cluster: &Cluster, name: &str, seconds: u32) -> String {
    let address = cluster.kubectl("get svc web -o jsonpath='{.spec.clusterIP}'").text;
    cluster.kubectl(&format!(
        "run {name} --image=kelson.local/echo:latest --image-pull-policy=Never --restart=Never -- \
         load {address}:80 --rate 100 --seconds {seconds}"
    ));
    cluster.kubectl(&format!("wait --for=jsonpath='{{.status.phase}}'=Running pod/{name} --timeout=20s"));
    address
}

/// The addresses that the sockets of the pod are connected to, as the kernel's list of them says.
fn remotes(cluster: &Cluster, pod: &str) -> Vec<String> {
    let uid = cluster.kubectl(&format!("get pod {pod} -o jsonpath='{{.metadata.uid}}'")).text;
    let netns = cluster.data_dir().join("netns").join(uid);
    let list = cluster.shell(&format!("nsenter --net={} cat /proc/self/net/tcp", netns.display()));
    let remote = |line: &str| line.split_whitespace().nth(2).map(String::from);
    list.text.lines().skip(1).filter_map(remote).collect()
}

/// `ADDRESS:80` as the kernel's list shows it.
fn listed(address: &str) -> String {
    let address: std::net::Ipv4Addr = address.parse().expect("a ClusterIP");
    format!("{:08X}:0050", u32::from_ne_bytes(address.octets()))
}

/// The control group of the cluster's pods.
fn group(data_dir: &Path) -> PathBuf {
    let name = fs::read_to_string(data_dir.join("cgroup")).expect("the group has a name");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts are listed");
    let unified =
        mounts.lines().find(|line| line.contains(" - cgroup2 ")).expect("control groups of version 2");
    let root = unified.split(' ').nth(4).expect("a mount has a place");
    Path::new(root).join(name.trim_start_matches('/'))
}

#[test]
fn nothing_is_lost_whoever_dies_and_nothing_is_left() {
    let mut cluster = cluster("sockets", &[]);
    let address = start_load(&cluster, "client", LOAD_SECONDS);
    let seen = cluster.eventually("connections of the load", || {
        Some(remotes(&cluster, "client")).filter(|seen| seen.len() > 5)
    });
    assert!(!seen.contains(&listed(&address)), "the pod's packets carry the backend's address: {seen:?}");
    assert!(seen.iter().all(|remote| remote.ends_with(":1F90")), "{seen:?}");
    cluster.kill();
    std::thread::sleep(std::time::Duration::from_millis(500));
    cluster.up();
    cluster.kubectl("set env deploy/web ROUND=1");
    cluster.kubectl("rollout status deploy/web --timeout=60s");
    cluster.stop();
    cluster.up();
    cluster.kubectl("rollout undo deploy/web");
    cluster.kubectl("rollout status deploy/web --timeout=60s");
    cluster.kubectl("wait --for=jsonpath='{.status.phase}'=Succeeded pod/client --timeout=60s");
    let report = cluster.kubectl("logs client").text;
    let sent: u32 = report.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    assert!(report.contains(" lost 0 ") && sent > LOAD_SECONDS * 50, "{report}");
    assert_eq!(cluster.log().matches("are translated at connect()").count(), 3, "{}", cluster.log());

    let (data_dir, group) = (cluster.data_dir(), group(&cluster.data_dir()));
    let mounted = || fs::read_to_string("/proc/mounts").expect("mounts are listed");
    let pins = data_dir.join("bpf").display().to_string();
    assert!(group.exists() && mounted().contains(&pins));
    drop(cluster);
    assert!(!group.exists() && !mounted().contains(&pins), "kelson down leaves nothing");
}

#[test]
fn switched_off_packets_are_translated() {
    let cluster = cluster("sockets-off", &["--socket-translation", "off"]);
    let address = start_load(&cluster, "client", 5);
    cluster.eventually("connections to the ClusterIP", || {
        remotes(&cluster, "client").contains(&listed(&address)).then_some(())
    });
    assert!(!cluster.data_dir().join("bpf").exists());
    cluster.kubectl("wait --for=jsonpath='{.status.phase}'=Succeeded pod/client --timeout=30s");
    let report = cluster.kubectl("logs client").text;
    assert!(report.contains(" lost 0 "), "{report}");
}
