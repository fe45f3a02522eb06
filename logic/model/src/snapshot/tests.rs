//! Revisions compare part by part; which Services lead to a pod, and whether they still send it anything new.

use std::sync::Arc;

use super::{Revision, Snapshot, Ways};
use crate::{Endpoint, Exposure, PodRef, Protocol, Service, ServiceName, ServicePort};

fn revision(services: u64, endpoint_slices: u64) -> Revision {
    Revision { services, endpoint_slices }
}

#[test]
fn a_revision_covers_what_is_older_in_both_parts() {
    assert!(revision(5, 5).covers(revision(5, 4)));
    assert!(!revision(9, 3).covers(revision(5, 4)), "news of Services says nothing of slices");
    assert_eq!(revision(9, 3).meet(revision(5, 4)), revision(5, 3));
    assert_eq!(revision(9, 3).join(revision(5, 4)), revision(9, 4));
}

fn service(name: ServiceName, exposure: Exposure) -> Service {
    Service {
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            node_port: None,
            app_protocol: None,
        }],
        generation: 1,
        ..Service::new(name, exposure)
    }
}

fn pod(name: &str) -> PodRef {
    PodRef { namespace: "shop".into(), name: name.into() }
}

fn endpoint(of: &str, ready: bool, terminating: bool) -> Endpoint {
    Endpoint { ready, terminating, pod: Some(pod(of)), ..Endpoint::new([10, 244, 0, 5].into(), 80) }
}

/// Which ways lead to pod `shop/p` when the Services are these, each with one endpoint that stands for it or another.
fn check(services: &[(&str, &str, Exposure, Endpoint)], expected: Ways) {
    let mut snapshot = Snapshot::default();
    for (namespace, name, exposure, endpoint) in services {
        let name = ServiceName::new(namespace, name);
        snapshot.services.insert(name.clone(), Arc::new(service(name.clone(), exposure.clone())));
        snapshot.endpoints.insert(name.port(""), [endpoint.clone()].into());
    }
    assert_eq!(snapshot.ways_to(&pod("p")), expected, "{services:?}");
}

#[test]
fn a_way_is_open_while_one_service_lists_the_pod_as_one_that_stays() {
    let cluster = || Exposure::ClusterIp;
    let (open, leaving, unready) =
        (endpoint("p", true, false), endpoint("p", false, true), endpoint("p", false, false));
    check(&[], Ways::None);
    check(&[("shop", "a", cluster(), endpoint("q", true, false))], Ways::None);
    check(&[("shop", "a", cluster(), open.clone())], Ways::Open);
    check(&[("shop", "a", cluster(), leaving.clone()), ("shop", "b", cluster(), open.clone())], Ways::Open);
    check(&[("shop", "a", cluster(), leaving.clone()), ("shop", "b", cluster(), unready)], Ways::Open);
    check(&[("shop", "a", cluster(), endpoint("p", true, true))], Ways::Closed);
    check(&[("shop", "a", Exposure::Headless, open.clone())], Ways::None);
    check(&[("shopping", "a", cluster(), open)], Ways::None);
}
