//! Killing and restarting kelson: the pods, their addresses, the traffic and open connections go on.

use std::io::{Read, Write};
use std::process::{Child, Stdio};

use crate::clusterip;
use crate::harness::Cluster;

/// What must be the same before and after: pods with their addresses, restarts and containers, and the Service's address.
fn state(cluster: &Cluster) -> String {
    let columns = "{.metadata.uid} {.status.podIP} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}";
    let pods = format!("get pods -o jsonpath='{{range .items[*]}}{columns}{{\"\\n\"}}{{end}}'");
    format!("{}{}", cluster.kubectl(&pods).text, clusterip::cluster_ip(cluster))
}

#[test]
fn a_restart_changes_nothing_and_traffic_flows_meanwhile() {
    let mut cluster = clusterip::cluster("restart");
    clusterip::apply(&cluster);
    let before = state(&cluster);
    let address = clusterip::cluster_ip(&cluster);
    let mut open = Connection::open(&cluster, &address);

    cluster.kill();
    for _ in 0..10 {
        clusterip::answered_by(&cluster, &format!("http://{address}"));
    }
    cluster.up();
    clusterip::running(&cluster, 2);
    assert_eq!(state(&cluster), before, "after kill -9 and a restart");

    cluster.stop();
    clusterip::answered_by(&cluster, &format!("http://{address}"));
    cluster.up();
    clusterip::running(&cluster, 2);
    assert_eq!(state(&cluster), before, "after an orderly restart");
    assert!(open.request().contains("This request was processed by host"), "the old connection still works");

    let victim = clusterip::running(&cluster, 2).pop_first().expect("two pods");
    cluster.kubectl(&format!("delete pod {victim}"));
    assert!(!clusterip::running(&cluster, 2).contains(&victim), "adopted pods are still managed");
}

/// A TCP connection through the Service that is held open: a request is sent only when asked for.
struct Connection(Child);

impl Connection {
    fn open(cluster: &Cluster, address: &str) -> Self {
        let mut command = cluster.on_node("busybox");
        command.args(["nc", address, "80"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let connection = Self(command.spawn().expect("busybox runs"));
        let line = "ss -Htn state established '( dport = :80 )'";
        cluster
            .eventually("an open connection", || (!cluster.shell(line).text.trim().is_empty()).then_some(()));
        connection
    }

    fn request(&mut self) -> String {
        let mut stdin = self.0.stdin.take().expect("stdin is piped");
        stdin.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("the connection is open");
        let mut answer = String::new();
        self.0.stdout.take().expect("stdout is piped").read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
