//! Each part alone, with the account that its manifest in `deploy/` gives it: it does its work, and is forbidden nothing.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::harness::{Client, Cluster, KELSON};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

/// A node, a Service whose endpoint is a program on it, and an Ingress to that Service.
const MANIFEST: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
     "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
     "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
     "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
     "ports": [{"name": "", "port": 8090}], "endpoints": [{"addresses": ["10.1.0.1"]}]},
    {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"},
     "spec": {"ingressClassName": "kelson", "rules": [{"host": "web.example", "http": {"paths": [{"path": "/",
       "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}}]}"#;

/// A program on the node, ended with the test; what it logs goes to a file.
struct Program {
    process: Child,
    log: PathBuf,
}

impl Program {
    fn start(cluster: &Cluster, name: &str, line: &str) -> Self {
        let log = cluster.scratch().join(format!("{name}.log"));
        let mut command = cluster.on_node(KELSON);
        command.args(line.split_whitespace()).stdout(Stdio::null());
        command.stderr(File::create(&log).expect("the log is made"));
        Self { process: command.spawn().expect("kelson starts"), log }
    }

    /// Asks it to end, and waits until it has.
    fn stop(&mut self) {
        let pid = self.process.id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success() && self.process.wait().is_ok());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log is there")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const TOKEN_REQUEST: &str =
    r#"{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}"#;

/// A kubeconfig with a token of this account of `kube-system`.
fn kubeconfig(cluster: &Cluster, account: &str) -> String {
    // Not by `kubectl create token`, which Debian's kubectl is too old for.
    let path = format!("/api/v1/namespaces/kube-system/serviceaccounts/{account}/token");
    let asked = cluster.shell(&format!(
        "echo '{TOKEN_REQUEST}' | kubectl create --raw {path} -f - | sed 's/.*\"token\": *\"\\([^\"]*\\)\".*/\\1/'"
    ));
    let token = asked.succeeded(|| cluster.log()).text;
    let admin = std::fs::read_to_string(cluster.data_dir().join("kubeconfig")).expect("kelson wrote it");
    let authority = admin.split("certificate-authority-data").nth(1).expect("it names its authority");
    let authority = authority.trim_start_matches(['"', ':', ' ']);
    let authority = authority.split(['"', '\n']).next().expect("a first part");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n\
         clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:6443', certificate-authority-data: '{authority}'}}}}]\n\
         users: [{{name: u, user: {{token: '{}'}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n",
        token.trim()
    );
    let file = cluster.scratch().join(format!("{account}.conf"));
    std::fs::write(&file, text).expect("the kubeconfig is written");
    file.display().to_string()
}

/// Starts `kelson LINE` as the account that `deploy/PART.yaml` makes.
fn part(cluster: &Cluster, part: &str, line: &str) -> Program {
    cluster.kubectl(&format!("apply -f {DEPLOY}/{part}.yaml"));
    let kubeconfig = kubeconfig(cluster, &format!("kelson-{part}"));
    Program::start(cluster, part, &format!("{part} --kubeconfig {kubeconfig} {line}"))
}

fn lay_a_link(cluster: &Cluster) {
    for line in [
        "link add net0 type veth peer name net1",
        "address add 10.1.0.1/16 dev net0",
        "link set net1 up",
        "link set net0 up",
        "route add 10.96.0.0/16 dev net0",
    ] {
        cluster.shell(&format!("ip {line}")).succeeded(String::new);
    }
}

#[test]
fn each_part_has_the_rights_it_needs() {
    let cluster = Cluster::start_with("standalone", &["--disable-agent"]);
    lay_a_link(&cluster);
    let manifest = cluster.scratch().join("manifest.json");
    std::fs::write(&manifest, MANIFEST).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", manifest.display()));
    let _server = Program::start(&cluster, "server", "echo --port 8090");
    let proxy = part(&cluster, "proxy", "--node-name n1 --cluster-cidr 10.1.0.0/16");
    let dns = part(&cluster, "dns", "--bind-address 127.0.0.2 --upstream 127.0.0.53");
    let ingress =
        part(&cluster, "ingress", "--http-port 8000 --https-port 8443 --publish-status-address 192.0.2.7");

    let answers = |line: &str, part: &str| {
        cluster.eventually(line, || cluster.shell(line).text.contains(part).then_some(()));
    };
    answers("curl -s --max-time 2 http://10.96.0.77", "processed by host");
    // Only its Lease turns the condition.
    answers("kubectl wait --for=condition=Programmed svc/web --timeout=1s", "condition met");
    answers(&format!("{KELSON} lookup web.default.svc.cluster.local --server 127.0.0.2"), "10.96.0.77");
    answers("curl -s -H 'Host: web.example' http://127.0.0.1:8000/", "processed by host");
    answers("kubectl get ingress web", "192.0.2.7");
    for program in [&proxy, &dns, &ingress] {
        let log = program.log();
        assert!(!log.contains("forbidden") && !log.contains("WARN"), "{log}");
    }
}

/// A balancer in front of what `MANIFEST` serves.
const FRONT: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"},
     "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
     "metadata": {"name": "front-1", "labels": {"kubernetes.io/service-name": "front"}},
     "ports": [{"name": "", "port": 8090}], "endpoints": [{"addresses": ["10.1.0.1"]}]}]}"#;

/// A10.1–A10.3 in front of any cluster: an address in the status, upstream's events, an answer to ARP; and the next one
/// takes over.
#[test]
fn lb_gives_addresses_answers_for_them_and_hands_over() {
    let mut cluster = Cluster::prepare("alone-lb", &["--disable-agent"]);
    let client = Client::join(&cluster, "alone-lb", "10.1.0.1/16", "10.1.0.99/16");
    cluster.up();
    for (name, text) in [("manifest", MANIFEST), ("front", FRONT)] {
        let file = cluster.scratch().join(format!("{name}.json"));
        std::fs::write(&file, text).expect("the manifest is written");
        cluster.kubectl(&format!("apply -f {}", file.display()));
    }
    let _server = Program::start(&cluster, "server", "echo --port 8090");
    let _proxy = part(&cluster, "proxy", "--node-name n1 --cluster-cidr 10.1.0.0/24");
    let says = |port: u16, expected: &str| {
        let line = format!("curl -s http://127.0.0.1:{port}/ready");
        cluster.eventually(expected, || (cluster.shell(&line).text == expected).then_some(()));
    };
    let line = "--load-balancer-cidr 10.1.0.240/30";
    let mut first =
        part(&cluster, "lb", &format!("{line} --node-name n1 --health-bind-address 127.0.0.1:7472"));
    says(7472, "OK: leading");
    let kubeconfig = cluster.scratch().join("kelson-lb.conf");
    let second = format!("lb --kubeconfig {} {line} --node-name n2", kubeconfig.display());
    let second =
        Program::start(&cluster, "second", &format!("{second} --health-bind-address 127.0.0.1:7473"));
    says(7473, "OK: another leads");

    cluster.until("get svc front", |text| text.contains("10.1.0.241"));
    cluster.until("describe svc front", |text| text.contains("EnsuredLoadBalancer"));
    let reached = || client.curl("http://10.1.0.241").is_ok_and(|page| page.contains("processed by host"));
    cluster.eventually("the balancer's address answers", || reached().then_some(()));

    first.stop();
    says(7473, "OK: leading");
    client.shell("ip neigh flush dev eth0");
    cluster.eventually("the address answers still", || reached().then_some(()));
    cluster.kubectl("create service loadbalancer more --tcp=80");
    cluster.until("get svc more", |text| text.contains("10.1.0.242"));
    for program in [&first, &second] {
        let log = program.log();
        assert!(!log.contains("forbidden") && !log.contains("WARN"), "{log}");
    }
}

#[test]
fn explain_sees_all_it_asks_for() {
    let cluster = Cluster::start_with("explainer", &["--disable-agent"]);
    cluster.kubectl(&format!("apply -f {DEPLOY}/explain.yaml"));
    cluster.kubectl("-n kube-system create serviceaccount asker");
    cluster.kubectl("create service clusterip web --tcp=80");
    let kubeconfig = kubeconfig(&cluster, "asker");
    let explain = || cluster.shell(&format!("{KELSON} explain svc/web --kubeconfig {kubeconfig}"));
    let forbidden = explain();
    assert!(forbidden.errors.contains("forbidden"), "{}{}", forbidden.text, forbidden.errors);
    cluster.kubectl(
        "create clusterrolebinding ask --clusterrole=kelson-explain --serviceaccount=kube-system:asker",
    );
    let seen = explain().text;
    assert!(seen.contains("app=web finds no pod") && !seen.contains("could not look"), "{seen}");
}
