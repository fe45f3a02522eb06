//! Cluster DNS, asked from pods as programs ask it, from the node as `dig` asks it, and alone in front of the API.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::clusterip;
use crate::harness::{Cluster, image, resolver};

const IMAGE: &str = "katacoda/docker-http-server:latest";

const HEADLESS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: bare}\nspec:\n  clusterIP: None\n  \
    selector: {app: webapp1-clusterip}\n  ports: [{name: http, port: 80}]\n";

/// A StatefulSet with its headless Service, and aliases into the cluster and out of it.
const KINDS: &str = r"
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: katacoda/docker-http-server, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: db}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: inside}
spec: {type: ExternalName, externalName: front.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: www.example.test}
";

/// `kelson dns` as a pod that may read what it needs and no more.
const IN_A_POD: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: dns}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: dns}
rules:
- {apiGroups: [""], resources: [services, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: dns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: dns}
subjects: [{kind: ServiceAccount, name: dns, namespace: default}]
---
apiVersion: v1
kind: Pod
metadata: {name: dns, labels: {app: dns}}
spec:
  serviceAccountName: dns
  volumes: [{name: kelson, hostPath: {path: KELSON}}]
  containers:
  - name: dns
    image: katacoda/docker-http-server
    command: [/kelson, dns]
    volumeMounts: [{name: kelson, mountPath: /kelson}]
    readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 1}
    livenessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: dns}
spec: {selector: {app: dns}, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]}
"#;

fn dig(cluster: &Cluster, words: &str) -> String {
    cluster.shell(&format!("dig +tries=2 +time=2 @10.96.0.10 {words}")).text
}

fn ask(cluster: &Cluster, kind: &str, name: &str) -> Vec<String> {
    let mut answers: Vec<String> =
        dig(cluster, &format!("+short {kind} {name}")).lines().map(str::to_owned).collect();
    answers.sort();
    answers
}

fn apply(cluster: &Cluster, name: &str, manifest: &str) {
    let file = cluster.scratch().join(name);
    std::fs::write(&file, manifest).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display()));
}

#[test]
fn services_have_names() {
    let cluster = clusterip::cluster("names");
    clusterip::apply(&cluster);
    apply(&cluster, "headless.yaml", HEADLESS);
    let pod = clusterip::running(&cluster, 2).pop_first().expect("two pods");
    let address = clusterip::cluster_ip(&cluster);

    let resolv = cluster.kubectl(&format!("exec {pod} -- cat /etc/resolv.conf")).text;
    assert!(resolv.contains("nameserver 10.96.0.10\n"), "{resolv}");
    assert!(resolv.contains("search default.svc.cluster.local svc.cluster.local cluster.local"), "{resolv}");
    assert!(resolv.contains("options ndots:5"), "{resolv}");

    for name in [
        "webapp1-clusterip-svc",
        "webapp1-clusterip-svc.default",
        "webapp1-clusterip-svc.default.svc",
        "webapp1-clusterip-svc.default.svc.cluster.local",
    ] {
        let page = cluster.kubectl(&format!("exec {pod} -- wget -qO- http://{name}")).text;
        assert!(page.contains("processed by host"), "{name}: {page}");
    }
    assert_eq!(ask(&cluster, "A", "webapp1-clusterip-svc.default.svc.cluster.local"), [address]);
    headless_names_lead_to_the_pods(&cluster);
    what_is_not_there_is_denied_as_coredns_does(&cluster);
    edns_and_tcp(&cluster);
    a_new_service_answers_at_once(&cluster);
    metrics_are_behind_the_service(&cluster);
}

fn headless_names_lead_to_the_pods(cluster: &Cluster) {
    let addresses = cluster.kubectl("get pods -o jsonpath='{.items[*].status.podIP}'").text;
    let mut pods: Vec<String> = addresses.split(' ').map(str::to_owned).collect();
    pods.sort();
    cluster.eventually("the headless name leads to both pods", || {
        (ask(cluster, "A", "bare.default.svc.cluster.local") == pods).then_some(())
    });
    let dashed = |ip: &String| format!("0 50 80 {}.bare.default.svc.cluster.local.", ip.replace('.', "-"));
    let mut records: Vec<String> = pods.iter().map(dashed).collect();
    records.sort();
    assert_eq!(ask(cluster, "SRV", "_http._tcp.bare.default.svc.cluster.local"), records);
    for pod in &pods {
        // A pod's addresses have a name under every Service that selects it (spec D1.13).
        let dashed = pod.replace('.', "-");
        let names =
            ["bare", "webapp1-clusterip-svc"].map(|s| format!("{dashed}.{s}.default.svc.cluster.local."));
        assert_eq!(ask(cluster, "PTR -x", pod), names);
        assert_eq!(ask(cluster, "A", &format!("{dashed}.default.pod.cluster.local")), [pod.as_str()]);
    }
    assert_eq!(ask(cluster, "PTR -x", "10.96.0.10"), ["kube-dns.kube-system.svc.cluster.local."]);
    assert_eq!(ask(cluster, "TXT", "dns-version.cluster.local"), ["\"1.1.0\""]);
}

/// NXDOMAIN against NODATA, each with the SOA that says for how long (spec D2).
fn what_is_not_there_is_denied_as_coredns_does(cluster: &Cluster) {
    let check = |question: &str, status: &str| {
        let reply = dig(cluster, question);
        assert!(reply.contains(&format!("status: {status},")), "{question}: {reply}");
        assert!(reply.contains("ANSWER: 0, AUTHORITY: 1"), "{question}: {reply}");
        assert!(reply.contains("hostmaster.cluster.local. "), "{question}: {reply}");
        assert!(reply.contains("flags: qr aa rd ra;"), "{question}: {reply}");
    };
    check("A nobody.default.svc.cluster.local", "NXDOMAIN");
    check("A nobody.nowhere.svc.cluster.local", "NXDOMAIN");
    check("SRV _no._tcp.bare.default.svc.cluster.local", "NXDOMAIN");
    check("A 10-1-2-3.nowhere.pod.cluster.local", "NXDOMAIN");
    check("-x 10.96.200.200", "NXDOMAIN");
    check("AAAA webapp1-clusterip-svc.default.svc.cluster.local", "NOERROR");
    check("A default.svc.cluster.local", "NOERROR");
    check("A svc.cluster.local", "NOERROR");
    check("MX kube-dns.kube-system.svc.cluster.local", "NOERROR");
}

fn edns_and_tcp(cluster: &Cluster) {
    let name = "kube-dns.kube-system.svc.cluster.local";
    let newer = dig(cluster, &format!("+edns=1 +noednsnegotiation {name}"));
    assert!(newer.contains("status: BADVERS") && newer.contains("EDNS: version: 0"), "{newer}");
    let without = dig(cluster, &format!("+noedns {name}"));
    assert!(without.contains("ANSWER: 1") && !without.contains("EDNS"), "{without}");
    assert!(dig(cluster, name).contains("udp: 1232"), "our own size is told");
    let stream = dig(cluster, &format!("+tcp +keepopen {name} A {name} AAAA"));
    assert!(stream.matches("status: NOERROR").count() == 2 && stream.contains("(TCP)"), "{stream}");
}

/// Whatever was asked before: no denial of a cluster name is kept anywhere.
fn a_new_service_answers_at_once(cluster: &Cluster) {
    for number in 0..5 {
        let name = format!("fresh-{number}.default.svc.cluster.local");
        assert!(dig(cluster, &name).contains("status: NXDOMAIN"), "{name} is not there yet");
        cluster.kubectl(&format!("create service clusterip fresh-{number} --tcp=80"));
        let created = Instant::now();
        while ask(cluster, "A", &name).is_empty() {
            let waited = created.elapsed();
            assert!(waited < Duration::from_secs(1), "{name} is not answered after {waited:?}");
        }
    }
}

fn metrics_are_behind_the_service(cluster: &Cluster) {
    let ports = cluster.kubectl("get service kube-dns -n kube-system --no-headers").rows();
    assert_eq!(ports[0][4], "53/UDP,53/TCP,9153/TCP");
    let metrics = cluster.curl("http://10.96.0.10:9153/metrics").expect("metrics are served");
    for family in [
        "coredns_build_info{",
        "coredns_dns_requests_total{server=\"dns://:53\",zone=\"cluster.local.\",view=\"\",proto=\"udp\",type=\"A\"}",
        "coredns_dns_request_duration_seconds_bucket{",
        "coredns_dns_responses_total{server=\"dns://:53\",zone=\"cluster.local.\",view=\"\",rcode=\"NXDOMAIN\",plugin=\"kubernetes\"}",
        "coredns_dns_request_size_bytes_count{",
        "coredns_cache_entries{",
        "coredns_cache_hits_total{",
        "coredns_cache_misses_total{",
        "coredns_forward_max_concurrent_rejects_total ",
        "coredns_panics_total 0",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(family)), "{family} is not in\n{metrics}");
    }
}

/// A file that names the resolver outside the cluster, for `--resolv-conf`; removed with the test.
struct ResolvConf(PathBuf);

impl ResolvConf {
    fn write(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kelson-{name}-resolv-{}", std::process::id()));
        let text = format!("nameserver {}\nsearch example.test\n", resolver::ADDRESS);
        std::fs::write(&path, text).expect("the file is written");
        Self(path)
    }
}

impl Drop for ResolvConf {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn stateful_pods_aliases_and_names_outside() {
    let resolv = ResolvConf::write("outside-names");
    let path = resolv.0.display().to_string();
    let mut cluster = Cluster::prepare("outside-names", &["--resolv-conf", &path]);
    image::import(&cluster, IMAGE, &["/bin/sh", "-c", image::HTTP_SERVER]);
    let www = Ipv4Addr::new(192, 0, 2, 80);
    let outside = resolver::Resolver::start(&cluster, &[("www.example.test.", www)]);
    cluster.up();
    apply(&cluster, "kinds.yaml", KINDS);
    clusterip::running(&cluster, 2);
    stateful_pods_have_names(&cluster);
    aliases_are_followed(&cluster);
    outside_names_are_kept(&cluster, &outside);
    alone_in_front_of_the_api(&cluster);
    alone_in_a_pod(&cluster);
}

fn stateful_pods_have_names(cluster: &Cluster) {
    for pod in ["db-0", "db-1"] {
        let name = format!("{pod}.db.default.svc.cluster.local");
        let address = cluster.kubectl(&format!("get pod {pod} -o jsonpath='{{.status.podIP}}'")).text;
        cluster.eventually(&format!("{name} leads to its pod"), || {
            (ask(cluster, "A", &name) == [address.as_str()]).then_some(())
        });
        let page = cluster.kubectl(&format!("exec db-0 -- wget -qO- http://{pod}.db")).text;
        assert!(page.contains(&format!("processed by host: {pod}")), "{page}");
        // Only the Service that is the pod's subdomain calls it by its host name (spec D5.2).
        let dashed = address.replace('.', "-");
        let names = [format!("{dashed}.front.default.svc.cluster.local."), format!("{name}.")];
        assert_eq!(ask(cluster, "PTR -x", &address), names);
    }
    let records = ["db-0", "db-1"].map(|pod| format!("0 50 80 {pod}.db.default.svc.cluster.local."));
    assert_eq!(ask(cluster, "SRV", "_http._tcp.db.default.svc.cluster.local"), records);
    let hosts = cluster.kubectl("exec db-0 -- hostname -f").text;
    assert_eq!(hosts.trim(), "db-0.db.default.svc.cluster.local");
}

fn aliases_are_followed(cluster: &Cluster) {
    let front = cluster.kubectl("get service front -o jsonpath='{.spec.clusterIP}'").text;
    let inside = ask(cluster, "A", "inside.default.svc.cluster.local");
    assert_eq!(inside, [front.as_str(), "front.default.svc.cluster.local."]);
    assert_eq!(
        ask(cluster, "CNAME", "inside.default.svc.cluster.local"),
        ["front.default.svc.cluster.local."]
    );
    let outside = ask(cluster, "A", "outside.default.svc.cluster.local");
    assert_eq!(outside, ["192.0.2.80", "www.example.test."]);
    let page = cluster.kubectl("exec db-0 -- wget -qO- http://inside").text;
    assert!(page.contains("processed by host: db-"), "{page}");
}

fn outside_names_are_kept(cluster: &Cluster, outside: &resolver::Resolver) {
    let looked_up = cluster.kubectl("exec db-0 -- nslookup www.example.test.").text;
    assert!(looked_up.contains("192.0.2.80"), "{looked_up}");
    for _ in 0..5 {
        assert_eq!(ask(cluster, "A", "www.example.test"), ["192.0.2.80"]);
        let denied = dig(cluster, "A missing.example.test");
        assert!(denied.contains("status: NXDOMAIN") && !denied.contains(" aa "), "{denied}");
    }
    assert!(outside.asked("www.example.test.") <= 2, "A and AAAA once each, then kept");
    assert_eq!(outside.asked("missing.example.test."), 1, "denials are kept too");
    assert_eq!(outside.asked("outside.default.svc.cluster.local."), 0, "cluster names never leave");
    let metrics = cluster.curl("http://10.96.0.10:9153/metrics").expect("metrics are served");
    assert!(metrics.contains("coredns_forward_requests_total{to=\"127.0.0.53:53\"}"), "{metrics}");
    assert!(metrics.contains("coredns_cache_hits_total{server=\"dns://:53\",type=\"denial\""), "{metrics}");
}

/// `kelson dns --kubeconfig`: the same names, without the rest of the node.
fn alone_in_front_of_the_api(cluster: &Cluster) {
    let line = format!(
        "exec {} dns --bind-address 127.0.0.2 --port 5353 --upstream {}",
        env!("CARGO_BIN_EXE_kelson"),
        resolver::ADDRESS
    );
    let alone = cluster.shell_in_background(&line, 53);
    cluster.eventually("it is ready", || {
        cluster.curl("http://127.0.0.2:8181/ready").is_ok_and(|page| page == "OK").then_some(())
    });
    assert_eq!(cluster.curl("http://127.0.0.2:8080/health").as_deref(), Ok("OK"));
    let front = cluster.kubectl("get service front -o jsonpath='{.spec.clusterIP}'").text;
    let ask = |name: &str| cluster.shell(&format!("dig +short -p 5353 @127.0.0.2 {name}")).text;
    assert_eq!(ask("front.default.svc.cluster.local").trim(), front);
    assert_eq!(ask("www.example.test").trim(), "192.0.2.80");
    cluster.kubectl("create service clusterip later --tcp=80");
    let later = cluster.kubectl("get service later -o jsonpath='{.spec.clusterIP}'").text;
    cluster.eventually("it follows the API", || {
        (ask("later.default.svc.cluster.local").trim() == later).then_some(())
    });
    let lookup = format!("{} lookup {later} --server 127.0.0.2 --port 5353", env!("CARGO_BIN_EXE_kelson"));
    let named = cluster.shell(&lookup).text;
    assert!(named.contains("PTR later.default.svc.cluster.local."), "{named}");
    let metrics = cluster.curl("http://127.0.0.2:9153/metrics").expect("metrics are served");
    assert!(metrics.contains("coredns_dns_requests_total{"), "{metrics}");
    drop(alone);
}

/// Without a kubeconfig the pod's service account is taken, with the rights it has.
fn alone_in_a_pod(cluster: &Cluster) {
    apply(cluster, "dns.yaml", &IN_A_POD.replace("KELSON", env!("CARGO_BIN_EXE_kelson")));
    cluster.kubectl("wait --for=condition=Ready pod/dns --timeout=20s");
    let address = cluster.kubectl("get service dns -o jsonpath='{.spec.clusterIP}'").text;
    for how in ["", "+tcp"] {
        cluster.eventually(&format!("the pod answers {how}"), || {
            let line =
                format!("dig +short +tries=1 +time=2 {how} @{address} kubernetes.default.svc.cluster.local");
            (cluster.shell(&line).text.trim() == "10.96.0.1").then_some(())
        });
    }
}
