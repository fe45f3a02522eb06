//! Slices joined: by port name, without duplicates, by protocol, and for names alone.

use kelson_model::{Endpoint, EndpointPort, Exposure, Protocol, Service, ServiceName, ServicePort};

use super::merge;
use crate::slice::{Slice, SlicePort};

fn cart(exposure: Exposure, ports: &[(&str, Protocol)]) -> Service {
    let port = |(name, protocol): &(&str, Protocol)| ServicePort {
        name: (*name).into(),
        protocol: *protocol,
        port: 80,
        node_port: None,
        app_protocol: None,
    };
    Service {
        ports: ports.iter().map(port).collect(),
        ..Service::new(ServiceName::new("shop", "cart"), exposure)
    }
}

fn endpoint(last: u8, ready: bool) -> Endpoint {
    Endpoint { ready, serving: ready, ..Endpoint::new([10, 1, 0, last].into(), 0) }
}

fn slice(ports: &[(&str, Option<u16>)], endpoints: &[(u8, bool)]) -> Slice {
    let port = |(name, port): &(&str, Option<u16>)| SlicePort {
        port: EndpointPort { name: (*name).into(), port: *port },
        protocol: Protocol::Tcp,
    };
    Slice {
        service: ServiceName::new("shop", "cart"),
        ports: ports.iter().map(port).collect(),
        endpoints: endpoints.iter().map(|(last, ready)| endpoint(*last, *ready)).collect(),
        not_for_proxies: false,
        triggered_ms: 0,
    }
}

/// Joins and shows every endpoint as `port name, last octet:port, + when ready`.
fn check(service: Option<&Service>, slices: &[Slice], expected: &[&str]) {
    let show = |name: &str, e: &Endpoint| {
        let last = e.address.to_string().rsplit('.').next().unwrap().to_owned();
        format!("{name} {last}:{}{}", e.port, if e.ready { "+" } else { "" })
    };
    let merged = merge(service, slices.iter());
    let shown: Vec<_> =
        merged.iter().flat_map(|(name, list)| list.iter().map(move |e| show(name, e))).collect();
    assert_eq!(shown, expected);
    let reversed = merge(service, slices.iter().rev());
    assert_eq!(merged, reversed, "the order of slices shows");
}

#[test]
fn slices_are_joined_by_port_name_b7_1() {
    let slices = [
        slice(&[("http", Some(8080))], &[(3, true), (2, true)]),
        slice(&[("http", Some(9090)), ("metrics", Some(9100))], &[(2, false)]),
    ];
    check(None, &slices, &["http 2:8080+", "http 2:9090", "http 3:8080+", "metrics 2:9100"]);
}

#[test]
fn the_ready_one_of_two_holds_c1_5() {
    let slices = [
        slice(&[("", Some(80))], &[(2, false), (3, false)]),
        slice(&[("", Some(80))], &[(2, true), (3, false)]),
    ];
    check(None, &slices, &[" 2:80+", " 3:80"]);
}

#[test]
fn ports_of_another_protocol_serve_something_else() {
    let udp = cart(Exposure::ClusterIp, &[("http", Protocol::Udp)]);
    check(Some(&udp), &[slice(&[("http", Some(80))], &[(2, true)])], &[]);
}

#[test]
fn slices_without_ports_serve_names_alone_d1_15() {
    let bare = [slice(&[], &[(2, true)]), slice(&[("any", None)], &[(3, true)])];
    check(Some(&cart(Exposure::Headless, &[])), &bare, &[" 2:0+", "any 3:0+"]);
    check(Some(&cart(Exposure::ClusterIp, &[("any", Protocol::Tcp)])), &bare, &[]);
}

#[test]
fn slices_marked_as_not_for_proxies_c1_2() {
    let marked = [Slice { not_for_proxies: true, ..slice(&[("", Some(80))], &[(2, true)]) }];
    let clustered = cart(Exposure::ClusterIp, &[("", Protocol::Tcp)]);
    check(Some(&clustered), &marked, &[]);
    check(Some(&Service { foreign_proxy: true, ..clustered }), &marked, &[" 2:80+"]);
    check(Some(&cart(Exposure::Headless, &[])), &marked, &[" 2:80+"]);
}
