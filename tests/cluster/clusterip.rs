//! The clusterip walk-through of the networking tutorial, line by line, with its manifest as printed
//! (`extensions/v1beta1` and trailing `---` included).

use std::collections::BTreeSet;

use crate::harness::{Cluster, image};

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/networking/clusterip.yaml");
const SERVICE: &str = "webapp1-clusterip-svc";
const DEPLOYMENT: &str = "webapp1-clusterip-deployment";

/// A cluster with the tutorial's image.
pub fn cluster(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, &[]);
    image::import(&cluster, "katacoda/docker-http-server:latest", &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    cluster
}

/// Applies the manifest and waits for both pods.
pub fn apply(cluster: &Cluster) {
    cluster.kubectl(&format!("apply -f {MANIFEST}"));
    running(cluster, 2);
}

/// Waits until exactly `count` pods are there, all running and ready; their names.
pub fn running(cluster: &Cluster, count: usize) -> BTreeSet<String> {
    cluster.eventually(&format!("{count} running pods"), || {
        let pods = cluster.try_kubectl("get pods --no-headers").rows();
        let ready = pods.iter().all(|pod| pod[1] == "1/1" && pod[2] == "Running");
        (ready && pods.len() == count).then(|| pods.into_iter().map(|pod| pod[0].clone()).collect())
    })
}

/// The Service's address, asked for as the tutorial does.
pub fn cluster_ip(cluster: &Cluster) -> String {
    cluster.kubectl(&format!("get services/{SERVICE} -o go-template='{{{{(index .spec.clusterIP)}}}}'")).text
}

/// The pod that answered, from the page it prints.
pub fn answered_by(cluster: &Cluster, url: &str) -> String {
    let page =
        cluster.curl(url).unwrap_or_else(|code| panic!("curl {url} ended with {code}\n{}", cluster.log()));
    let name = page
        .trim()
        .strip_prefix("<h1>This request was processed by host: ")
        .and_then(|p| p.strip_suffix("</h1>"));
    name.unwrap_or_else(|| panic!("unexpected page {page}")).to_owned()
}

/// Which pods answer `requests` requests, and how often.
fn spread(cluster: &Cluster, address: &str, requests: usize) -> Vec<String> {
    (0..requests).map(|_| answered_by(cluster, &format!("http://{address}:80"))).collect()
}

#[test]
fn walk_through() {
    let cluster = cluster("clusterip");
    let applied = cluster.kubectl(&format!("apply -f {MANIFEST}"));
    applied.prints(&format!("service/{SERVICE} created\ndeployment.extensions/{DEPLOYMENT} created"));
    let warning = "Warning: extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment";
    assert!(applied.errors.contains(warning), "{}", applied.errors);

    let pods = running(&cluster, 2);
    pods_are_listed_as_printed(&cluster);
    services_are_listed_as_printed(&cluster);
    service_is_described_as_printed(&cluster);

    let address = cluster_ip(&cluster);
    let seen: BTreeSet<String> = spread(&cluster, &address, 40).into_iter().collect();
    assert_eq!(seen, pods, "both pods answer, and nobody else");
    pods_reach_the_service_and_themselves(&cluster, &address, &pods);

    scaling_follows(&cluster, &address);
    a_deleted_pod_is_replaced_and_never_addressed_again(&cluster, &address);
}

fn pods_are_listed_as_printed(cluster: &Cluster) {
    let rows = cluster.kubectl("get pods").rows();
    assert_eq!(rows[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    for row in &rows[1..] {
        let (owner, suffix) = row[0].rsplit_once('-').expect("a generated name");
        let (deployment, hash) = owner.rsplit_once('-').expect("a ReplicaSet's name");
        assert_eq!(deployment, DEPLOYMENT);
        assert!((8..=10).contains(&hash.len()) && suffix.len() == 5, "{}", row[0]);
        assert_eq!(row[1..4], ["1/1", "Running", "0"]);
    }
}

fn services_are_listed_as_printed(cluster: &Cluster) {
    let rows = cluster.kubectl("get svc").rows();
    assert_eq!(rows[0], ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
    assert_eq!(rows[1][..5], ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"]);
    assert_eq!(rows[2][..2], [SERVICE, "ClusterIP"]);
    assert!(rows[2][2].starts_with("10.96."));
    assert_eq!(rows[2][3..5], ["<none>", "80/TCP"]);
}

fn service_is_described_as_printed(cluster: &Cluster) {
    let described = cluster.kubectl(&format!("describe svc/{SERVICE}"));
    assert_eq!(described.field("Name"), SERVICE);
    assert_eq!(described.field("Namespace"), "default");
    assert_eq!(described.field("Labels"), "app=webapp1-clusterip");
    assert_eq!(described.field("Selector"), "app=webapp1-clusterip");
    assert_eq!(described.field("Type"), "ClusterIP");
    assert_eq!(described.field("IP"), cluster_ip(cluster));
    assert_eq!(described.field("Port"), "<unset>  80/TCP");
    assert_eq!(described.field("TargetPort"), "80/TCP");
    assert_eq!(described.field("Session Affinity"), "None");
    assert_eq!(described.field("Events"), "<none>");
    let addresses = cluster.kubectl("get pods -o jsonpath='{range .items[*]}{.status.podIP}:80 {end}'").text;
    let endpoints: BTreeSet<String> = described.field("Endpoints").split(',').map(str::to_owned).collect();
    assert_eq!(endpoints, addresses.split_whitespace().map(str::to_owned).collect());
}

/// From inside each pod, which must also reach itself through the Service (hairpin, spec C4.5).
fn pods_reach_the_service_and_themselves(cluster: &Cluster, address: &str, pods: &BTreeSet<String>) {
    for pod in pods {
        let line = format!("exec {pod} -- sh -c 'for i in $(seq 20); do wget -qO- http://{address}; done'");
        let pages = cluster.kubectl(&line).text;
        for server in pods {
            assert!(pages.contains(server.as_str()), "{pod} never reached {server}:\n{pages}");
        }
    }
}

fn scaling_follows(cluster: &Cluster, address: &str) {
    cluster
        .kubectl(&format!("scale deployment {DEPLOYMENT} --replicas=3"))
        .prints(&format!("deployment.apps/{DEPLOYMENT} scaled"));
    let three = running(cluster, 3);
    cluster.eventually("all three pods answer", || {
        let seen: BTreeSet<String> = spread(cluster, address, 30).into_iter().collect();
        (seen == three).then_some(())
    });
    cluster.kubectl(&format!("scale deployment {DEPLOYMENT} --replicas=0"));
    cluster.eventually("no pod", || {
        cluster.kubectl("get pods").errors.contains("No resources found").then_some(())
    });
    /// What curl says when the connection is refused.
    const REFUSED: i32 = 7;
    assert_eq!(cluster.curl(&format!("http://{address}")), Err(REFUSED), "refused at once (spec C3.1)");
    cluster.kubectl(&format!("scale deployment {DEPLOYMENT} --replicas=2"));
    running(cluster, 2);
}

fn a_deleted_pod_is_replaced_and_never_addressed_again(cluster: &Cluster, address: &str) {
    let before = running(cluster, 2);
    let victim = before.first().expect("two pods").clone();
    cluster.kubectl(&format!("delete pod {victim}")).prints(&format!("pod \"{victim}\" deleted"));
    let after = running(cluster, 2);
    assert!(!after.contains(&victim));
    assert!(!spread(cluster, address, 40).contains(&victim), "{victim} is gone and must not be addressed");
}
