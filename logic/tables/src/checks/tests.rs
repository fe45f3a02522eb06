//! Which ports are asked, and what a node answers there, by spec id.

use kelson_model::{Endpoint, Service, ServiceName, Snapshot};

use super::{Check, Checks};
use crate::fixture::{HERE, endpoint, remote, service, snapshot};

fn checked(port: u16) -> Service {
    Service { health_check_node_port: Some(port), ..service("web", "10.96.0.7") }
}

/// What is answered for `default/web` after these snapshots, one after the other.
fn check(snapshots: &[Snapshot], expected: Option<(u16, usize)>) {
    let mut checks = Checks::new(HERE.into());
    for snapshot in snapshots {
        checks.follow(snapshot);
    }
    let last = snapshots.last().unwrap();
    let expected = expected.map(|(port, local_endpoints)| Check { port, local_endpoints });
    let name = ServiceName::new("default", "web");
    assert_eq!(checks.follow(last).get(&name), expected.as_ref());
    assert_eq!(Checks::new(HERE.into()).follow(last), checks.follow(last), "whatever came before");
}

#[test]
fn c8_1_ready_endpoints_of_this_node_count_once_an_address() {
    let unready = Endpoint { ready: false, ..endpoint("10.244.0.6") };
    let endpoints = vec![endpoint("10.244.0.5"), unready, remote("10.244.1.5")];
    check(&[snapshot(&[(checked(30100), endpoints.clone())])], Some((30100, 1)));
    let mut twice = snapshot(&[(checked(30100), endpoints.clone())]);
    let other = ServiceName::new("default", "web").port("other");
    twice.endpoints.insert(other, endpoints.into());
    check(&[twice], Some((30100, 1)));
    check(&[snapshot(&[(checked(30100), vec![])])], Some((30100, 0)));
}

#[test]
fn c8_1_only_services_with_such_a_port_are_asked_about() {
    check(&[snapshot(&[(service("web", "10.96.0.7"), vec![endpoint("10.244.0.5")])])], None);
    let foreign = Service { foreign_proxy: true, ..checked(30100) };
    check(&[snapshot(&[(foreign, vec![endpoint("10.244.0.5")])])], None);
}

#[test]
fn c8_1_it_follows_services_and_endpoints() {
    let with = |port, endpoints: &[&str]| {
        snapshot(&[(checked(port), endpoints.iter().map(|it| endpoint(it)).collect())])
    };
    check(&[with(30100, &[]), with(30100, &["10.244.0.5", "10.244.0.6"])], Some((30100, 2)));
    check(&[with(30100, &["10.244.0.5"]), with(30100, &[])], Some((30100, 0)));
    check(&[with(30100, &["10.244.0.5"]), with(30200, &["10.244.0.5"])], Some((30200, 1)));
    check(&[with(30100, &["10.244.0.5"]), Snapshot::default()], None);
}
