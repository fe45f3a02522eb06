//! A pod's port on the node's address, with packets: from outside, from the node, from pods and from itself.

use std::sync::Arc;

use kelson_model::{HostPort, PodRef, Protocol, Snapshot, Verdict};

use crate::Proxied;
use crate::cluster::{endpoint, put, service};
use crate::net::{NODE, pod_ip};
use crate::traffic::PORT;

/// Pod `n` behind `port` of the node.
fn host_port(n: u8, protocol: Protocol, port: u16) -> HostPort {
    HostPort {
        pod: PodRef { namespace: "default".into(), name: format!("pod{n}").into() },
        address: None,
        protocol,
        port,
        backend: (pod_ip(n), PORT).into(),
    }
}

fn both(n: u8, port: u16) -> [HostPort; 2] {
    [host_port(n, Protocol::Tcp, port), host_port(n, Protocol::Udp, port)]
}

#[test]
fn a_host_port_follows_its_pod() {
    let mut it = Proxied::new(2);
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, &service("web", "10.96.0.10"), &[endpoint(1)]);
    it.node.host_ports = [both(1, 80), both(2, 81)].concat().into();
    it.program(&snapshot);
    for port in [80, 81] {
        it.agree_everywhere(&format!("{NODE}:{port}"));
    }
    let leads = it.agree("client", Protocol::Tcp, &format!("{NODE}:80"));
    assert_eq!(leads, Verdict::Forward(vec![((pod_ip(1), PORT).into(), false)]));

    // Another pod takes it over, a new one comes, the Service is as it was.
    it.node.host_ports = [both(2, 80), both(1, 82)].concat().into();
    it.program(&snapshot);
    for to in ["80", "82"].map(|port| format!("{NODE}:{port}")) {
        it.agree_everywhere(&to);
    }
    it.agree_everywhere("10.96.0.10:80");
    let leads = it.agree("client", Protocol::Tcp, &format!("{NODE}:80"));
    assert_eq!(leads, Verdict::Forward(vec![((pod_ip(2), PORT).into(), false)]));
    assert!(it.would_pass("client", Protocol::Tcp, &format!("{NODE}:81")));

    it.node.host_ports = Arc::default();
    it.program(&snapshot);
    assert!(it.would_pass("client", Protocol::Tcp, &format!("{NODE}:80")));
    let refused = it.net.ask("client", Protocol::Tcp, format!("{NODE}:80").parse().unwrap());
    assert_eq!(refused, crate::traffic::Outcome::Refused, "nobody listens on the node");
}

#[test]
fn one_address_alone_when_it_asks_for_one() {
    let mut it = Proxied::new(1);
    let mut here = host_port(1, Protocol::Tcp, 80);
    here.address = Some(NODE.parse().unwrap());
    it.node.host_ports = [here].into();
    it.program(&Snapshot { synced: true, ..Snapshot::default() });
    for from in ["client", "node", "pod1"] {
        let verdict = it.agree(from, Protocol::Tcp, &format!("{NODE}:80"));
        assert!(matches!(verdict, Verdict::Forward(_)), "{from}: {verdict:?}");
    }
}
