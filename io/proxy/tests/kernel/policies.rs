//! Traffic policies: who may use which endpoints, and what it meets when there is none for it.

use kelson_model::{Endpoint, Protocol, Snapshot, TrafficPolicy, Verdict};

use crate::Proxied;
use crate::cluster::{elsewhere, endpoint, ip, put, service};
use crate::net::NODE;

/// C3.2, C2.2, C2.3: policy Local inside the cluster uses this node's endpoints and never another's.
#[test]
fn internal_local() {
    let mut it = Proxied::new(3);
    let mut snapshot = Snapshot::default();
    let mut near = service("near", "10.96.0.40");
    near.internal_policy = TrafficPolicy::Local;
    put(&mut snapshot, &near, &[elsewhere(endpoint(2)), endpoint(3)]);
    let mut far = service("far", "10.96.0.41");
    far.internal_policy = TrafficPolicy::Local;
    put(&mut snapshot, &far, &[elsewhere(endpoint(2))]);
    let mut none = service("none", "10.96.0.42");
    none.internal_policy = TrafficPolicy::Local;
    put(&mut snapshot, &none, &[]);
    it.program(&snapshot);
    for to in ["10.96.0.40:80", "10.96.0.41:80", "10.96.0.42:80"] {
        it.agree_everywhere(to);
    }
    assert!(matches!(it.agree("pod1", Protocol::Tcp, "10.96.0.40:80"), Verdict::Forward(b) if b.len() == 1));
    assert_eq!(it.agree("pod1", Protocol::Tcp, "10.96.0.41:80"), Verdict::Drop);
    assert_eq!(it.agree("pod1", Protocol::Tcp, "10.96.0.42:80"), Verdict::Reject);
}

/// C3.3, C4.4: policy Local outside keeps the client's address and drops without a local endpoint, while pods and the
/// node are served by the whole cluster.
#[test]
fn external_local() {
    let mut it = Proxied::new(3);
    let mut snapshot = Snapshot::default();
    let mut near = service("near", "10.96.0.50");
    near.external_policy = TrafficPolicy::Local;
    near.load_balancer_ips = vec![ip("203.0.113.20")];
    near.ports.iter_mut().for_each(|port| port.node_port = Some(30050));
    put(&mut snapshot, &near, &[elsewhere(endpoint(2)), endpoint(3)]);
    let mut far = service("far", "10.96.0.51");
    far.external_policy = TrafficPolicy::Local;
    far.load_balancer_ips = vec![ip("203.0.113.21")];
    far.ports.iter_mut().for_each(|port| port.node_port = Some(30051));
    put(&mut snapshot, &far, &[elsewhere(endpoint(2))]);
    it.program(&snapshot);
    for _ in 0..3 {
        for to in ["203.0.113.20:80", "203.0.113.21:80"] {
            it.agree_everywhere(to);
        }
        it.agree_everywhere(&format!("{NODE}:30050"));
        it.agree_everywhere(&format!("{NODE}:30051"));
    }
    let outside = it.agree("client", Protocol::Tcp, "203.0.113.20:80");
    assert!(
        matches!(outside, Verdict::Forward(b) if b.len() == 1 && !b[0].1),
        "the client's address is kept"
    );
    assert_eq!(it.agree("client", Protocol::Tcp, "203.0.113.21:80"), Verdict::Drop);
    assert!(matches!(it.agree("node", Protocol::Tcp, "203.0.113.21:80"), Verdict::Forward(_)));
}

/// C2.1: endpoints that serve while they terminate are used when nothing else is left.
#[test]
fn terminating_endpoints_are_the_last_resort() {
    let mut it = Proxied::new(3);
    let mut snapshot = Snapshot::default();
    let web = service("web", "10.96.0.60");
    let draining = |n| Endpoint { ready: false, terminating: true, ..endpoint(n) };
    put(&mut snapshot, &web, &[draining(2), endpoint(3)]);
    it.program(&snapshot);
    assert!(matches!(it.agree("pod1", Protocol::Tcp, "10.96.0.60:80"), Verdict::Forward(b) if b.len() == 1));
    put(&mut snapshot, &web, &[draining(2)]);
    it.program(&snapshot);
    assert!(matches!(it.agree("pod1", Protocol::Tcp, "10.96.0.60:80"), Verdict::Forward(b) if b.len() == 1));
    put(&mut snapshot, &web, &[Endpoint { serving: false, ..draining(2) }]);
    it.program(&snapshot);
    assert_eq!(it.agree("pod1", Protocol::Tcp, "10.96.0.60:80"), Verdict::Reject);
}
