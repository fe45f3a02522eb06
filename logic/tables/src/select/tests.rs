//! Every row of spec C2 as endpoints in and the two sets out.

use kelson_model::{Endpoint, Hints, Service, TrafficPolicy};

use super::categorize;
use crate::fixture::{draining, endpoint, node, remote, service};

const A: &str = "10.244.0.1";
const B: &str = "10.244.0.2";
const C: &str = "10.244.1.3";

/// `expected`: addresses of the cluster set, of the local set, and whether there is any endpoint.
#[track_caller]
fn check(service: &Service, endpoints: &[Endpoint], expected: (&[&str], &[&str], bool)) {
    let all: Vec<&Endpoint> = endpoints.iter().collect();
    let selection = categorize(&all, service, &service.ports[0], &node());
    let names = |set: &[&Endpoint]| set.iter().map(|e| e.address.to_string()).collect::<Vec<_>>();
    let found = (names(&selection.cluster), names(&selection.local), selection.any);
    let wanted = |set: &[&str]| set.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(found, (wanted(expected.0), wanted(expected.1), expected.2));
}

fn cluster() -> Service {
    service("web", "10.96.0.1")
}

fn internal_local() -> Service {
    Service { internal_policy: TrafficPolicy::Local, ..cluster() }
}

fn external_local() -> Service {
    let mut it = Service { external_policy: TrafficPolicy::Local, ..cluster() };
    it.ports[0].node_port = Some(30_000);
    it
}

fn hinted(endpoint: Endpoint, zones: &[&str], nodes: &[&str]) -> Endpoint {
    let list = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    Endpoint { hints: Hints { zones: list(zones), nodes: list(nodes) }, ..endpoint }
}

fn unready(endpoint: Endpoint) -> Endpoint {
    Endpoint { ready: false, serving: false, ..endpoint }
}

#[test]
fn c2_1_ready_endpoints_then_draining_ones() {
    check(&cluster(), &[], (&[], &[], false));
    check(&cluster(), &[endpoint(A), remote(C), unready(endpoint(B))], (&[A, C], &[], true));
    check(&cluster(), &[endpoint(A), draining(remote(C))], (&[A], &[], true));
    check(
        &cluster(),
        &[unready(endpoint(A)), draining(endpoint(B)), draining(remote(C))],
        (&[B, C], &[], true),
    );
    check(&cluster(), &[unready(draining(endpoint(A)))], (&[], &[], false));
}

#[test]
fn c2_2_local_ready_then_local_draining() {
    check(&internal_local(), &[endpoint(A), remote(C)], (&[], &[A], true));
    check(&internal_local(), &[draining(endpoint(A)), endpoint(B)], (&[], &[B], true));
    check(&internal_local(), &[draining(endpoint(A)), remote(C)], (&[], &[A], true));
}

#[test]
fn c2_3_never_from_local_to_remote() {
    check(&internal_local(), &[remote(A), remote(C)], (&[], &[], true));
    check(&external_local(), &[remote(A), draining(endpoint(B))], (&[A], &[B], true));
}

#[test]
fn c2_4_any_counts_what_could_be_used_anywhere() {
    check(&internal_local(), &[draining(remote(C))], (&[], &[], true));
    check(&internal_local(), &[unready(endpoint(A))], (&[], &[], false));
}

#[test]
fn c2_5_hints_of_all_ready_endpoints() {
    let (here, there) = (hinted(endpoint(A), &["z1"], &[]), hinted(remote(C), &["z2"], &[]));
    check(&cluster(), &[here.clone(), there.clone()], (&[A], &[], true));
    check(&cluster(), &[here.clone(), there.clone(), endpoint(B)], (&[A, C, B], &[], true));
    check(&cluster(), std::slice::from_ref(&there), (&[C], &[], true));
    check(&cluster(), &[here.clone(), there.clone(), unready(endpoint(B))], (&[A], &[], true));
    let (mine, other) = (hinted(endpoint(A), &["z2"], &["here"]), hinted(remote(C), &["z1"], &["elsewhere"]));
    check(&cluster(), &[mine, other.clone()], (&[A], &[], true));
    check(&cluster(), &[other], (&[C], &[], true));
}

#[test]
fn c2_6_local_policy_ignores_hints() {
    let there = [hinted(endpoint(A), &["z2"], &[]), hinted(remote(C), &["z1"], &[])];
    check(&internal_local(), &there, (&[], &[A], true));
    check(&external_local(), &there, (&[C], &[A], true));
}

#[test]
fn c2_1_internal_local_but_externally_reachable_has_both_sets() {
    let mut both = internal_local();
    both.external_ips = vec!["203.0.113.1".parse().unwrap()];
    check(&both, &[endpoint(A), remote(C)], (&[A, C], &[A], true));
}

#[test]
fn c1_7_an_endpoint_without_node_is_never_local() {
    check(&internal_local(), &[Endpoint { node: None, ..endpoint(A) }], (&[], &[], true));
}
