//! What becomes of flows, row by row of spec C3 to C6.

use kelson_model::{Flow, Origin, Protocol, Service, TrafficPolicy, Verdict};

use super::trace;
use crate::fixture::{cidr, endpoint, ip, node, remote, service, snapshot};
use crate::{Options, compile};

const POD: (Origin, &str) = (Origin::Pod, "10.244.0.1");
const NODE: (Origin, &str) = (Origin::Node, "192.0.2.1");
const OUTSIDE: (Origin, &str) = (Origin::External, "198.51.100.7");

/// The verdict on a TCP flow, in short: `host+` is a backend 10.244.x.y whose client is masqueraded, `host-` another.
#[track_caller]
fn check(service: &Service, (origin, source): (Origin, &str), to: &str, expected: &str) {
    let options = Options { masquerade_pods: true, ..Options::default() };
    let endpoints = vec![endpoint("10.244.0.1"), remote("10.244.1.2")];
    let (tables, _) = compile(&snapshot(&[(service.clone(), endpoints)]), &node(), &options);
    let to: std::net::SocketAddr = to.parse().unwrap();
    let flow =
        Flow { origin, source: ip(source), destination: to.ip(), protocol: Protocol::Tcp, port: to.port() };
    let found = match trace(&tables, &flow) {
        Verdict::Forward(backends) => {
            let one = |(at, rewritten): &(std::net::SocketAddr, bool)| {
                format!("{}{}", at.ip(), if *rewritten { "+" } else { "-" })
            };
            backends.iter().map(one).collect::<Vec<_>>().join(" ").replace("10.244.", "")
        }
        other => format!("{other:?}"),
    };
    assert_eq!(found, expected);
}

fn web() -> Service {
    let mut it = service("web", "10.96.0.1");
    it.external_ips = vec![ip("203.0.113.1")];
    it.load_balancer_ips = vec![ip("203.0.113.2")];
    it.ports[0].node_port = Some(30_000);
    it
}

#[test]
fn c4_1_c4_2_c4_5_cluster_ip() {
    check(&web(), POD, "10.96.0.1:80", "0.1+ 1.2-");
    check(&web(), (Origin::Pod, "10.244.0.9"), "10.96.0.1:80", "0.1- 1.2-");
    check(&web(), NODE, "10.96.0.1:80", "0.1+ 1.2+");
    check(&web(), OUTSIDE, "10.96.0.1:80", "0.1+ 1.2+");
}

#[test]
fn c4_3_external_addresses() {
    for to in ["203.0.113.1:80", "203.0.113.2:80", "192.0.2.1:30000"] {
        for from in [POD, NODE, OUTSIDE] {
            check(&web(), from, to, "0.1+ 1.2+");
        }
    }
}

#[test]
fn c4_4_external_policy_local() {
    let local = Service { external_policy: TrafficPolicy::Local, ..web() };
    for to in ["203.0.113.1:80", "203.0.113.2:80", "192.0.2.1:30000"] {
        check(&local, OUTSIDE, to, "0.1-");
        check(&local, (Origin::Pod, "10.244.0.9"), to, "0.1- 1.2-");
        check(&local, NODE, to, "0.1+ 1.2+");
    }
}

#[test]
fn c3_4_what_is_unclaimed() {
    check(&web(), POD, "10.96.0.1:81", "Reject");
    check(&web(), POD, "10.96.7.7:80", "Reject");
    check(&service("far", "172.30.0.1"), POD, "172.30.0.1:81", "Reject");
    check(&service("far", "172.30.0.1"), POD, "172.30.0.2:80", "Pass");
    check(&web(), OUTSIDE, "192.0.2.1:30001", "Pass");
    check(&web(), OUTSIDE, "192.0.2.9:30000", "Pass");
    check(&web(), POD, "203.0.113.1:81", "Pass");
}

#[test]
fn c6_source_ranges_close_balancer_addresses_alone() {
    let narrow = Service { source_ranges: vec![cidr("198.51.100.0/24")], ..web() };
    check(&narrow, OUTSIDE, "203.0.113.2:80", "0.1+ 1.2+");
    check(&narrow, POD, "203.0.113.2:80", "Drop");
    check(&narrow, NODE, "203.0.113.2:80", "Drop");
    check(&narrow, POD, "203.0.113.1:80", "0.1+ 1.2+");
    check(&narrow, NODE, "192.0.2.1:30000", "0.1+ 1.2+");
}
