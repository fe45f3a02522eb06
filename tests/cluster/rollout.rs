//! Nothing is lost: rollouts, their undoing and scaling down under a steady load, with servers that die at SIGTERM and
//! no preStop; and what holds a pod back is bounded, whatever happens meanwhile.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Cluster, KELSON};

/// A Deployment of `replicas` servers called `name`, and its Service; `on_sigterm` is what they do when told to stop.
fn published(name: &str, replicas: usize, grace: u32, on_sigterm: &str) -> String {
    format!(
        r#"{{"apiVersion": "v1", "kind": "List", "items": [
        {{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "{name}"}},
          "spec": {{"selector": {{"app": "{name}"}}, "ports": [{{"port": 80, "targetPort": 8080}}]}}}},
        {{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "{name}"}},
          "spec": {{"replicas": {replicas}, "selector": {{"matchLabels": {{"app": "{name}"}}}},
            "template": {{"metadata": {{"labels": {{"app": "{name}"}}}},
              "spec": {{"terminationGracePeriodSeconds": {grace}, "containers": [{{"name": "echo",
                "image": "kelson.local/echo:latest", "imagePullPolicy": "Never",
                "args": ["echo", "--port", "8080", "--on-sigterm", "{on_sigterm}"],
                "readinessProbe": {{"tcpSocket": {{"port": 8080}}, "periodSeconds": 1}}}}]}}}}}}}}]}}"#
    )
}

/// A cluster that runs what `published` describes.
fn cluster(name: &str, replicas: usize, grace: u32, on_sigterm: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    cluster.kelson(&format!("image from-binary {KELSON} --name kelson.local/echo:latest"));
    cluster.up();
    apply(&cluster, &published("web", replicas, grace, on_sigterm));
    cluster.kubectl("rollout status deploy/web --timeout=30s");
    cluster
}

fn apply(cluster: &Cluster, manifest: &str) {
    let path = cluster.scratch().join("manifest.json");
    std::fs::write(&path, manifest).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", path.display()));
}

fn address(cluster: &Cluster) -> String {
    cluster.kubectl("get svc web -o jsonpath='{.spec.clusterIP}'").text
}

/// A load on the node that goes on until it is asked what it counted.
struct Load(Child);

impl Load {
    fn start(cluster: &Cluster, flags: &str) -> Self {
        let mut command: Command = cluster.on_node(KELSON);
        command.args(["load", "--seconds", "0", &format!("{}:80", address(cluster))]);
        command.args(flags.split_whitespace()).stdout(Stdio::piped());
        Self(command.spawn().expect("the load starts"))
    }

    fn finish(mut self) -> String {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill runs").success());
        let mut report = String::new();
        let mut stdout = self.0.stdout.take().expect("stdout is piped");
        stdout.read_to_string(&mut report).expect("the load reports");
        report
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Insists that a load of at least `requests` lost nothing.
#[track_caller]
fn nothing_is_lost(report: &str, requests: usize) {
    let words: Vec<&str> = report.split_whitespace().collect();
    let sent: usize = words.get(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    assert!(report.contains(" lost 0 ") && sent >= requests, "of at least {requests} requests:\n{report}");
}

/// A rolling update, its undoing, and a scale-down from 4 to 1.
fn roll(cluster: &Cluster) {
    cluster.kubectl("set env deploy/web ROUND=1");
    cluster.kubectl("rollout status deploy/web --timeout=60s");
    cluster.kubectl("rollout undo deploy/web");
    cluster.kubectl("rollout status deploy/web --timeout=60s");
    cluster.kubectl("scale deploy web --replicas=1");
    cluster.eventually("one pod is left", || {
        (cluster.kubectl("get pods -l app=web -o name").text.lines().count() == 1).then_some(())
    });
}

/// Seconds that the load inside a pod goes on for; longer than `roll` may take.
const POD_LOAD_SECONDS: u32 = 30;

#[test]
fn no_new_connection_is_lost_from_node_or_pod() {
    let cluster = cluster("rollout", 4, 30, "exit");
    let address = address(&cluster);
    cluster.kubectl(&format!(
        "run client --image=kelson.local/echo:latest --image-pull-policy=Never --restart=Never -- \
         load {address}:80 --rate 100 --seconds {POD_LOAD_SECONDS}"
    ));
    cluster.kubectl("wait --for=jsonpath='{.status.phase}'=Running pod/client --timeout=20s");
    let load = Load::start(&cluster, "--rate 200");
    std::thread::sleep(Duration::from_millis(500));
    roll(&cluster);
    let phase = cluster.kubectl("get pod client -o jsonpath='{.status.phase}'").text;
    assert_eq!(phase, "Running", "the load in the pod lasted as long as all this");
    nothing_is_lost(&load.finish(), 400);
    cluster.kubectl("wait --for=jsonpath='{.status.phase}'=Succeeded pod/client --timeout=60s");
    nothing_is_lost(&cluster.kubectl("logs client").text, 100 * POD_LOAD_SECONDS as usize / 2);
}

#[test]
fn no_request_on_a_kept_connection_is_lost() {
    let cluster = cluster("keepalive", 4, 30, "drain");
    let load = Load::start(&cluster, "--rate 200 --keep-alive 20");
    std::thread::sleep(Duration::from_millis(500));
    roll(&cluster);
    nothing_is_lost(&load.finish(), 400);
}

/// A node that is Ready and never says what it has applied.
const SILENT: &str = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "silent"}, "spec": {"unschedulable": true},
    "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}"#;

fn condition(cluster: &Cluster) -> String {
    let fields = "{.status} {.reason} {.message}";
    let line = format!(
        "get svc web -o jsonpath='{{range .status.conditions[?(@.type==\"Programmed\")]}}{fields}{{end}}'"
    );
    cluster.try_kubectl(&line).text
}

#[test]
fn a_service_says_when_it_is_programmed() {
    let cluster = cluster("programmed", 1, 30, "exit");
    cluster.kubectl("wait --for=condition=Programmed svc/web svc/kubernetes --timeout=10s");
    assert_eq!(
        condition(&cluster),
        "True Programmed Every Ready node has applied the Service and its endpoints"
    );
    let version = || cluster.kubectl("get svc web -o jsonpath='{.metadata.resourceVersion}'").text;
    let before = version();
    cluster.kubectl("scale deploy web --replicas=3");
    cluster.kubectl("rollout status deploy/web --timeout=30s");
    assert_eq!(version(), before, "endpoints that come cost the Service no write");
    apply(&cluster, SILENT);
    cluster.eventually("the silent node is named", || {
        (condition(&cluster) == "False Pending Waiting for silent").then_some(())
    });
    cluster.kubectl("delete node silent");
    cluster.kubectl("wait --for=condition=Programmed svc/web --timeout=10s");
}

/// Seconds of grace; a third of it is the longest that a node nobody hears of holds a pod back.
const GRACE: u32 = 12;

#[test]
fn a_drain_that_never_ends_is_cut_short_even_if_kelson_dies_in_it() {
    let mut cluster = cluster("undrained", 2, GRACE, "exit");
    apply(&cluster, SILENT);
    let names = cluster.kubectl("get pods -l app=web -o jsonpath='{.items[*].metadata.name}'").text;
    let mut pods = names.split_whitespace();
    let (first, second) = (pods.next().expect("a pod"), pods.next().expect("another"));

    let begin = Instant::now();
    cluster.kubectl(&format!("delete pod {first}"));
    let took = begin.elapsed();
    let third = Duration::from_secs((GRACE / 3).into());
    assert!(took >= third, "it is held back for the silent node: {took:?}");
    assert!(took < Duration::from_secs(GRACE.into()), "but not for all its grace: {took:?}");

    let server = cluster.kubectl(&format!("get pod {second} -o jsonpath='{{.status.podIP}}'")).text;
    cluster.kubectl(&format!("delete pod {second} --wait=false"));
    cluster.kill();
    assert!(cluster.curl(&format!("http://{server}:8080")).is_ok(), "the server was not told to stop yet");
    cluster.up();
    cluster.eventually("the pod is gone", || {
        cluster.try_kubectl(&format!("get pod {second}")).errors.contains("NotFound").then_some(())
    });
}
