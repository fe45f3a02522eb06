//! Services as the world outside sees them: NodePorts, external and balancer addresses, and the other kinds, each with
//! packets from a machine beside the node, from the node itself and from a pod.

mod balancer;
mod health;
mod kinds;
mod tutorial;

use std::collections::BTreeSet;

use crate::harness::{Client, Cluster, image};

/// The node's address in the tutorial.
const NODE: &str = "172.17.0.31";
/// What curl says when the connection is refused.
const REFUSED: i32 = 7;

/// A cluster with the tutorial's image, and a machine beside it.
fn cluster(name: &str, flags: &[&str]) -> (Cluster, Client) {
    let mut cluster = Cluster::prepare(name, &[&["--node-ip", NODE], flags].concat());
    let client = Client::join(&cluster, name, &format!("{NODE}/16"), "172.17.0.99/16");
    image::import(&cluster, "katacoda/docker-http-server:latest", &["/bin/sh", "-c", image::HTTP_SERVER]);
    cluster.up();
    (cluster, client)
}

/// Waits until `count` pods labelled `app=NAME` are ready; their names.
fn pods(cluster: &Cluster, name: &str, count: usize) -> BTreeSet<String> {
    cluster.eventually(&format!("{count} pods of {name}"), || {
        let rows = cluster.try_kubectl(&format!("get pods -l app={name} --no-headers")).rows();
        let ready = rows.iter().all(|row| row[1] == "1/1" && row[2] == "Running");
        (ready && rows.len() == count).then(|| rows.into_iter().map(|row| row[0].clone()).collect())
    })
}

/// Two web servers called `web`.
fn web(cluster: &Cluster) -> BTreeSet<String> {
    cluster.kubectl("create deployment web --image=katacoda/docker-http-server:latest --replicas=2");
    pods(cluster, "web", 2)
}

/// Applies a manifest written in the test.
fn apply(cluster: &Cluster, manifest: &str) {
    cluster.kubectl(&format!("apply -f - <<'END'\n{manifest}\nEND"));
}

/// The row of `kubectl get svc` for one Service, without its age.
fn row(cluster: &Cluster, service: &str) -> Vec<String> {
    let mut row = cluster.kubectl(&format!("get svc {service} --no-headers")).rows().remove(0);
    row.pop();
    row
}

fn cluster_ip(cluster: &Cluster, service: &str) -> String {
    cluster.kubectl(&format!("get svc {service} -o jsonpath='{{.spec.clusterIP}}'")).text
}

/// The pod that served a page.
fn server(page: &str) -> &str {
    let rest = page.split("processed by host: ").nth(1).unwrap_or_else(|| panic!("no such page: {page}"));
    rest.split('<').next().expect("a first part")
}

/// Requests until all of `pods` have answered, and nobody else does.
fn spread(
    cluster: &Cluster,
    whence: &str,
    url: &str,
    pods: &BTreeSet<String>,
    ask: impl Fn() -> Result<String, i32>,
) {
    let first = cluster.eventually(&format!("{url} answers {whence}"), || ask().ok());
    let mut seen: BTreeSet<String> = [server(&first).to_owned()].into();
    for _ in 0..60 {
        let page = ask().unwrap_or_else(|code| panic!("{url} {whence}: curl ended with {code}"));
        seen.insert(server(&page).to_owned());
        if seen.len() >= pods.len() {
            break;
        }
    }
    assert_eq!(&seen, pods, "{url} {whence}");
}

fn from_client(cluster: &Cluster, client: &Client, url: &str, pods: &BTreeSet<String>) {
    spread(cluster, "from the machine beside the node", url, pods, || client.curl(url));
}

fn from_node(cluster: &Cluster, url: &str, pods: &BTreeSet<String>) {
    spread(cluster, "from the node", url, pods, || cluster.curl(url));
}

fn from_pod(cluster: &Cluster, url: &str, pods: &BTreeSet<String>) {
    let pod = pods.first().expect("a pod");
    spread(cluster, "from a pod", url, pods, || {
        let output = cluster.try_kubectl(&format!("exec {pod} -- timeout 5 wget -qO- {url}"));
        if output.code == 0 { Ok(output.text) } else { Err(output.code) }
    });
}

fn from_everywhere(cluster: &Cluster, client: &Client, url: &str, pods: &BTreeSet<String>) {
    from_client(cluster, client, url, pods);
    from_node(cluster, url, pods);
    from_pod(cluster, url, pods);
}
