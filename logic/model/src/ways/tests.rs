//! Which Services lead to a pod, whether they still send it anything new, and which pods are let go.

use std::sync::Arc;

use super::Ways;
use crate::{Endpoint, Exposure, PodRef, Protocol, Service, ServiceName, ServicePort, Snapshot};

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
    assert_eq!(snapshot(services).ways_to(&pod("p")), expected, "{services:?}");
}

/// A snapshot of Services by namespace, name and kind, each with one endpoint.
fn snapshot(services: &[(&str, &str, Exposure, Endpoint)]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (namespace, name, exposure, endpoint) in services {
        let name = ServiceName::new(namespace, name);
        snapshot.services.insert(name.clone(), Arc::new(service(name.clone(), exposure.clone())));
        snapshot.endpoints.insert(name.port(""), [endpoint.clone()].into());
    }
    snapshot
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

/// Whether pod `shop/p` of node `here` is among those that `after` let go, from one state of Service `shop/a` to another.
fn check_left(before: Option<(Exposure, Endpoint)>, after: Option<(Exposure, Endpoint)>, expected: bool) {
    let of = |state: &Option<(Exposure, Endpoint)>| match state {
        Some((exposure, endpoint)) => snapshot(&[("shop", "a", exposure.clone(), endpoint.clone())]),
        None => Snapshot::default(),
    };
    let (old, new) = (of(&before), of(&after));
    let left = new.left_since(&old, "here");
    assert_eq!(left.contains(&pod("p")), expected, "{before:?} {after:?}");
}

#[test]
fn a_pod_is_let_go_with_its_endpoint_its_service_or_the_services_address() {
    let here = |of| Endpoint { node: Some("here".into()), ..endpoint(of, true, false) };
    let led = |of| Some((Exposure::ClusterIp, here(of)));
    check_left(led("p"), led("q"), true);
    check_left(led("p"), None, true);
    check_left(led("p"), Some((Exposure::Headless, here("p"))), true);
    check_left(led("p"), Some((Exposure::ClusterIp, Endpoint { ready: false, ..here("p") })), false);
    check_left(led("q"), led("p"), false);
    check_left(None, led("p"), false);
    check_left(Some((Exposure::Headless, here("p"))), None, false);
    let elsewhere = Endpoint { node: Some("there".into()), ..here("p") };
    check_left(Some((Exposure::ClusterIp, elsewhere)), None, false);
}
