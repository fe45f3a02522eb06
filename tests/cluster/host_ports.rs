//! A container's `hostPort`, as a user meets it: reached at the node from outside, from the node and from pods, while the
//! pod runs and no longer.

use crate::harness::{Client, Cluster, image};

const NODE: &str = "172.17.0.8";
const REFUSED: i32 = 7;

/// A web server whose port 80 is the node's `port` too; `further` are members of the container's port.
fn pod(name: &str, port: u16, further: &str) -> String {
    format!(
        "apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec: {{terminationGracePeriodSeconds: 20, containers: [{{name: c, image: 'busybox:1',
  command: [sh, -c, 'echo {name} > /tmp/index.html; trap \"sleep 15\" TERM; httpd -p 80 -h /tmp; while sleep 0.1; do :; done'],
  ports: [{{containerPort: 80, hostPort: {port}{further}}}]}}]}}
---
"
    )
}

fn apply(cluster: &Cluster, manifest: &str) {
    cluster.kubectl(&format!("apply -f - <<'END'\n{manifest}\nEND"));
}

fn answers(cluster: &Cluster, port: u16, expected: &str) {
    let url = format!("http://{NODE}:{port}");
    cluster.eventually(&format!("{expected} answers at {url}"), || {
        cluster.curl(&url).ok().filter(|text| text.trim() == expected)
    });
}

fn is_refused(cluster: &Cluster, client: &Client, port: u16) {
    let url = format!("http://{NODE}:{port}");
    cluster.eventually(&format!("{url} is refused"), || (cluster.curl(&url) == Err(REFUSED)).then_some(()));
    assert_eq!(client.curl(&url), Err(REFUSED));
}

#[test]
fn a_host_port_leads_to_its_pod_while_it_runs() {
    let mut cluster = Cluster::prepare("hostports", &["--node-ip", NODE]);
    let client = Client::join(&cluster, "hostports", &format!("{NODE}/16"), "172.17.0.99/16");
    image::import(&cluster, "busybox:1", &["/bin/sh"]);
    cluster.up();
    apply(&cluster, &[pod("web", 8080, ""), pod("one", 8081, &format!(", hostIP: {NODE}"))].concat());
    for (port, name) in [(8080, "web"), (8081, "one")] {
        answers(&cluster, port, name);
        let url = format!("http://{NODE}:{port}");
        assert_eq!(client.curl(&url).map(|text| text.trim().to_owned()), Ok(name.to_owned()));
        for from in ["web", "one"] {
            cluster.kubectl(&format!("exec {from} -- timeout 5 wget -qO- {url}")).prints(name);
        }
    }
    assert_eq!(cluster.curl("http://127.0.0.1:8080"), Err(REFUSED), "not at the loopback address");

    // Two pods cannot have one port of the node; the second has it as soon as the first is told to end.
    apply(&cluster, &pod("next", 8080, ""));
    cluster.until("describe pod next", |text| {
        text.contains("1 node(s) didn't have free ports for the requested pod ports")
    });
    cluster.kubectl("delete pod web --wait=false");
    is_refused(&cluster, &client, 8080);
    cluster.until("get pod web --no-headers", |text| text.contains("Terminating"));
    cluster.kubectl("delete pod web --now");
    answers(&cluster, 8080, "next");

    cluster.kill();
    assert_eq!(
        client.curl(&format!("http://{NODE}:8080")).map(|text| text.trim().to_owned()),
        Ok("next".into())
    );
    cluster.up();
    answers(&cluster, 8080, "next");
    answers(&cluster, 8081, "one");
}
