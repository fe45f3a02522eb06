//! Which flows are stale (spec C9), and that a tuple is read as the kernel writes it.

use std::sync::Arc;

use kelson_model::{
    Cidr, Endpoint, Exposure, NodeView, Protocol, Service, ServiceName, ServicePort, Snapshot, TrafficPolicy,
};
use kelson_tables::{Options, Tables, compile, diff};

use super::{Entry, Gone, concerns, is_stale, tuple};
use crate::attributes::Writer;

fn node() -> NodeView {
    NodeView {
        name: "here".into(),
        addresses: vec!["192.0.2.1".parse().unwrap()],
        zone: None,
        service_cidrs: Cidr::parse("10.96.0.0/16").into_iter().collect(),
        pod_cidrs: Cidr::parse("10.244.0.0/16").into_iter().collect(),
        host_ports: Arc::default(),
    }
}

/// A DNS Service at 10.96.0.10:53 and node port 30053, with one endpoint in each state.
fn tables(protocol: Protocol, backends: &[(&str, bool)]) -> Arc<Tables> {
    let name = ServiceName::new("kube-system", "dns");
    let port =
        ServicePort { name: "".into(), protocol, port: 53, node_port: Some(30_053), app_protocol: None };
    let service = Service {
        ports: vec![port],
        cluster_ips: vec!["10.96.0.10".parse().unwrap()],
        internal_policy: TrafficPolicy::Local,
        generation: 1,
        ..Service::new(name.clone(), Exposure::ClusterIp)
    };
    let endpoint = |(address, serving): &(&str, bool)| Endpoint {
        ready: *serving,
        serving: *serving,
        node: Some("elsewhere".into()),
        ..Endpoint::new(address.parse().unwrap(), 53)
    };
    let mut snapshot = Snapshot { synced: true, ..Snapshot::default() };
    snapshot.services.insert(name.clone(), Arc::new(service));
    snapshot.endpoints.insert(name.port(""), backends.iter().map(endpoint).collect());
    compile(&snapshot, &node(), &Options::default()).0
}

/// Whether a flow to `to`, answered by `by`, is removed under `tables`, reached from `before`.
#[track_caller]
fn check(before: &Tables, tables: &Tables, (protocol, to, by): (u8, &str, &str), expected: bool) {
    let gone = Gone::of(&diff(before, tables));
    let entry = Entry {
        protocol,
        destination: to.parse().unwrap(),
        answering: by.parse().unwrap(),
        original: vec![],
    };
    assert_eq!(is_stale(&entry, tables, &gone), expected, "{to} answered by {by}");
}

#[test]
fn c9_1_c9_2_only_a_backend_that_serves_keeps_its_flows() {
    let now = tables(Protocol::Udp, &[("10.244.0.2", true), ("10.244.0.3", false)]);
    for to in ["10.96.0.10:53", "192.0.2.1:30053"] {
        check(&now, &now, (17, to, "10.244.0.2:53"), false);
        check(&now, &now, (17, to, "10.244.0.3:53"), true);
        check(&now, &now, (17, to, "10.244.0.9:53"), true);
        check(&now, &now, (17, to, to), true);
    }
    check(&now, &now, (17, "10.96.0.10:54", "10.244.0.9:53"), false);
    check(&now, &now, (17, "192.0.2.9:30053", "10.244.0.9:53"), false);
}

#[test]
fn c9_3_tcp_is_never_touched() {
    let now = tables(Protocol::Tcp, &[]);
    check(&now, &now, (6, "10.96.0.10:53", "10.244.0.9:53"), false);
    check(&now, &now, (17, "10.96.0.10:53", "10.244.0.9:53"), false);
}

#[test]
fn c9_5_a_port_that_goes_takes_its_flows_along() {
    let (before, now) = (tables(Protocol::Udp, &[("10.244.0.2", true)]), tables(Protocol::Tcp, &[]));
    check(&before, &now, (17, "10.96.0.10:53", "10.244.0.2:53"), true);
    check(&before, &now, (17, "192.0.2.1:30053", "10.244.0.2:53"), true);
    check(&before, &now, (17, "192.0.2.1:30053", "192.0.2.1:30053"), false);
}

#[test]
fn only_changes_of_udp_look_for_flows() {
    let udp = |backends: &[_]| tables(Protocol::Udp, backends);
    let some = udp(&[("10.244.0.2", true)]);
    assert!(concerns(&diff(&udp(&[]), &some)));
    assert!(!concerns(&diff(&some, &some)));
    assert!(!concerns(&diff(&tables(Protocol::Tcp, &[]), &tables(Protocol::Tcp, &[("10.244.0.2", true)]))));
}

#[test]
fn a_tuple_is_read_in_both_families() {
    let mut w = Writer::default();
    w.nest(1, |w| {
        w.put(3, &[0; 16]);
        w.put(4, &[1; 16]);
    });
    w.nest(2, |w| {
        w.put(1, &[17]);
        w.put(2, &[0, 80]);
        w.put(3, &[1, 0]);
    });
    let (source, destination, protocol) = tuple(&w.into_bytes()).unwrap();
    assert_eq!((source.to_string(), protocol), ("[::]:80".into(), 17));
    assert_eq!(destination.to_string(), "[101:101:101:101:101:101:101:101]:256");
    assert_eq!(tuple(&[]), None);
    assert_eq!(tuple(&[4, 0, 1, 0, 4, 0, 2, 0]), None);
}
