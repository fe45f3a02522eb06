//! Cluster DNS, asked from pods as programs ask it.

use crate::clusterip;
use crate::harness::Cluster;

const HEADLESS: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: bare}\nspec:\n  clusterIP: None\n  \
    selector: {app: webapp1-clusterip}\n  ports: [{name: http, port: 80}]\n";

fn ask(cluster: &Cluster, kind: &str, name: &str) -> Vec<String> {
    let line = format!("dig +short +tries=2 +time=2 @10.96.0.10 {kind} {name}");
    let mut answers: Vec<String> = cluster.shell(&line).text.lines().map(str::to_owned).collect();
    answers.sort();
    answers
}

#[test]
fn services_have_names() {
    let cluster = clusterip::cluster("names");
    clusterip::apply(&cluster);
    let file = cluster.scratch().join("headless.yaml");
    std::fs::write(&file, HEADLESS).expect("the manifest is written");
    cluster.kubectl(&format!("apply -f {}", file.display())).prints("service/bare created");
    let pod = clusterip::running(&cluster, 2).pop_first().expect("two pods");
    let address = clusterip::cluster_ip(&cluster);

    let resolv = cluster.kubectl(&format!("exec {pod} -- cat /etc/resolv.conf")).text;
    assert!(resolv.contains("nameserver 10.96.0.10\n"), "{resolv}");
    assert!(resolv.contains("search default.svc.cluster.local svc.cluster.local cluster.local"), "{resolv}");
    assert!(resolv.contains("options ndots:5"), "{resolv}");

    for name in [
        "webapp1-clusterip-svc",
        "webapp1-clusterip-svc.default",
        "webapp1-clusterip-svc.default.svc.cluster.local",
    ] {
        let page = cluster.kubectl(&format!("exec {pod} -- wget -qO- http://{name}")).text;
        assert!(page.contains("processed by host"), "{name}: {page}");
    }
    assert_eq!(ask(&cluster, "A", "webapp1-clusterip-svc.default.svc.cluster.local"), [address]);
    headless_names_lead_to_the_pods(&cluster);
    assert!(
        cluster.shell("dig @10.96.0.10 A nobody.default.svc.cluster.local").text.contains("status: NXDOMAIN")
    );
    assert!(
        cluster
            .shell("dig @10.96.0.10 AAAA webapp1-clusterip-svc.default.svc.cluster.local")
            .text
            .contains("status: NOERROR")
    );
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
}
