//! A balancer of the user's own asks a node whether it has endpoints of a Service: `healthCheckNodePort` (spec C8).

use super::{REFUSED, apply, cluster, pods, web};
use crate::harness::Cluster;

const CHECK: &str = "http://172.17.0.31:30999/";

#[test]
fn c8_1_a_node_says_whether_it_has_ready_endpoints() {
    let (cluster, client) = cluster("health", &["--load-balancer-cidr", "10.10.0.0/26"]);
    web(&cluster);
    apply(
        &cluster,
        "apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30999,
  selector: {app: web}, ports: [{port: 80}]}",
    );
    let answers = |endpoints: usize| {
        let body = format!(
            "{{\n\t\"service\": {{\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"web\"\n\t}},\n\t\"localEndpoints\": {endpoints},\n\t\"serviceProxyHealthy\": true\n}}"
        );
        cluster.eventually(&format!("{endpoints} local endpoints"), || {
            let told = client.shell(&format!("curl -s -m 2 -w '\\n%{{http_code}}' {CHECK}")).text;
            let status = if endpoints > 0 { "200" } else { "503" };
            (told == format!("{body}\n{status}")).then_some(())
        });
    };
    answers(2);
    c11_changes_are_timed(&cluster);
    cluster.kubectl("scale deployment web --replicas=1");
    pods(&cluster, "web", 1);
    answers(1);
    cluster.kubectl("scale deployment web --replicas=0");
    answers(0);
    cluster.kubectl("patch svc web -p '{\"spec\": {\"externalTrafficPolicy\": \"Cluster\"}}'");
    cluster.eventually("no more answers", || (client.curl(CHECK) == Err(REFUSED)).then_some(()));
}

/// From a pod's turning ready to the kernel's table: a figure a change, and none of them long.
fn c11_changes_are_timed(cluster: &Cluster) {
    let figure = |of: &str| {
        let figures = cluster.curl("http://10.244.0.1:10249/metrics").expect("figures are served");
        let name = format!("kubeproxy_network_programming_duration_seconds_{of}{{ip_family=\"IPv4\"}} ");
        let value = figures.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no {of} in {figures}"))
    };
    let count =
        cluster.eventually("a change is timed", || Some(figure("count")).filter(|count| *count >= 1.0));
    // What happened is noted in whole seconds.
    assert!(figure("sum") / count < 5.0);
}
