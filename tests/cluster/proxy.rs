//! `kelson proxy` alone, on a node of a cluster it is no other part of: Services, its health and figures, and the
//! revision it publishes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::harness::{Cluster, KELSON};

/// A program on the node, ended with the test.
struct Program(Child);

impl Program {
    /// Starts `kelson LINE` and waits until it prints `ready`.
    fn start(cluster: &Cluster, line: &str, ready: &str) -> Self {
        let mut command = cluster.on_node(KELSON);
        command.args(line.split_whitespace()).stdout(Stdio::piped());
        let mut program = Self(command.spawn().expect("kelson starts"));
        let stdout = program.0.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        assert!(lines.any(|printed| printed.starts_with(ready)), "kelson {line} never printed {ready}");
        std::thread::spawn(move || lines.for_each(drop));
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node, and a Service whose endpoint is a program on it.
const MANIFEST: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
     "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": [{"name": "", "port": 8080}],
     "endpoints": [{"addresses": ["10.1.0.1"]}],
     "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}}]}"#;

#[test]
fn serves_a_cluster_that_is_not_its_own() {
    let cluster = Cluster::start_with("proxy", &["--disable-agent"]);
    for line in [
        "link add net0 type veth peer name net1",
        "address add 10.1.0.1/16 dev net0",
        "link set net1 up",
        "link set net0 up",
        "route add 10.96.0.0/16 dev net0",
    ] {
        let code = cluster.shell(&format!("ip {line}")).code;
        assert_eq!(code, 0, "ip {line}");
    }
    let kubeconfig = cluster.data_dir().join("kubeconfig");
    let manifest = cluster.scratch().join("manifest.json");
    std::fs::write(&manifest, MANIFEST).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", manifest.display()));
    let _server = Program::start(&cluster, "echo --port 8080", "listening");
    let line =
        format!("proxy --kubeconfig {} --node-name n1 --cluster-cidr 10.1.0.0/16", kubeconfig.display());
    let proxy = Program::start(&cluster, &line, "ready");

    cluster.kubectl("wait --for=condition=Programmed svc/web --timeout=20s");
    assert!(cluster.curl("http://10.96.0.77").expect("an answer").contains("processed by host"));
    let health = cluster.curl("http://10.1.0.1:10256/healthz").expect("health is served");
    assert!(health.contains("\"nodeEligible\": true"), "{health}");
    assert_eq!(cluster.curl("http://127.0.0.1:10249/proxyMode").as_deref(), Ok("nftables"));
    let figures = cluster.curl("http://127.0.0.1:10249/metrics").expect("figures are served");
    assert!(figures.contains("kubeproxy_sync_full_proxy_rules_duration_seconds_count"), "{figures}");
    a_change_is_programmed_when_it_is_said_to_be(&cluster);

    drop(proxy);
    assert!(cluster.curl("http://10.96.0.77").is_ok(), "the tables outlive the proxy");
    assert_eq!(cluster.shell(&format!("{KELSON} proxy --node-name n1 --cleanup")).code, 0);
    assert!(cluster.curl("http://10.96.0.77").is_err(), "nothing is left");
}

fn a_change_is_programmed_when_it_is_said_to_be(cluster: &Cluster) {
    for port in [81, 82, 83] {
        cluster.kubectl(&format!(
            "patch svc web --type=merge -p '{{\"spec\": {{\"ports\": [{{\"port\": {port}}}]}}}}'"
        ));
        cluster.kubectl("wait --for=condition=Programmed svc/web --timeout=20s");
        assert!(
            cluster.curl(&format!("http://10.96.0.77:{port}")).is_ok(),
            "port {port} was said to be programmed"
        );
    }
    cluster.kubectl("patch svc web --type=merge -p '{\"spec\": {\"ports\": [{\"port\": 80}]}}'");
    cluster.kubectl("wait --for=condition=Programmed svc/web --timeout=20s");
}
