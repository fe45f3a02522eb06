//! EndpointSlices read: conditions, ports, addresses, and what is left out.

use kelson_model::{PodRef, Protocol};
use serde_json::{Value, json};

use super::{Slice, slice};

fn parsed(address_type: &str, ports: Value, endpoints: Value) -> (Option<Slice>, Vec<String>) {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "cart-1", "labels": {"kubernetes.io/service-name": "cart"}},
        "addressType": address_type, "ports": ports, "endpoints": endpoints});
    let mut warnings = Vec::new();
    (slice(&serde_json::from_value(object).unwrap(), &mut warnings), warnings)
}

/// The three conditions of an endpoint whose `conditions` are these.
fn check_conditions(conditions: Value, expected: (bool, bool, bool)) {
    let (slice, _) =
        parsed("IPv4", json!([]), json!([{"addresses": ["10.1.0.2"], "conditions": conditions}]));
    let endpoint = &slice.unwrap().endpoints[0];
    assert_eq!((endpoint.ready, endpoint.serving, endpoint.terminating), expected);
}

#[test]
fn absent_conditions_b7_3() {
    check_conditions(json!(null), (true, true, false));
    check_conditions(json!({}), (true, true, false));
    check_conditions(json!({"ready": false}), (false, true, false));
    check_conditions(json!({"ready": false, "serving": false, "terminating": true}), (false, false, true));
}

#[test]
fn first_address_alone_b3_2() {
    let (slice, _) = parsed("IPv4", json!([]), json!([{"addresses": ["10.1.0.2", "10.1.0.3"]}]));
    let addresses: Vec<_> = slice.unwrap().endpoints.iter().map(|e| e.address.to_string()).collect();
    assert_eq!(addresses, ["10.1.0.2"]);
}

#[test]
fn fqdn_slices_are_ignored_c1_3() {
    let (slice, warnings) = parsed("FQDN", json!([]), json!([{"addresses": ["a.example.org"]}]));
    assert_eq!((slice, warnings.len()), (None, 0));
}

#[test]
fn slices_of_no_service_are_ignored_b7_1() {
    let object = json!({"metadata": {"namespace": "a", "name": "b"}, "addressType": "IPv4", "endpoints": []});
    assert_eq!(slice(&serde_json::from_value(object).unwrap(), &mut Vec::new()), None);
}

#[test]
fn addresses_of_another_family_are_left_out() {
    let endpoints = json!([{"addresses": ["fd00::1"]}, {"addresses": []}, {"addresses": ["10.1.0.2"]}]);
    let (slice, warnings) = parsed("IPv4", json!([]), endpoints);
    assert_eq!((slice.unwrap().endpoints.len(), warnings.len()), (1, 2));
    assert!(warnings[0].starts_with("endpointslice shop/cart-1: address \"fd00::1\""), "{warnings:?}");
}

#[test]
fn ports_b3_4() {
    let ports = json!([{"port": 80}, {"name": "dns", "protocol": "UDP"}, {"name": "bad", "port": 0}]);
    let (slice, warnings) = parsed("IPv4", ports, json!([]));
    let slice = slice.unwrap();
    let shown: Vec<_> = slice.ports.iter().map(|p| (p.port.name.as_ref(), p.port.port, p.protocol)).collect();
    assert_eq!(shown, [("", Some(80), Protocol::Tcp), ("dns", None, Protocol::Udp)]);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn where_and_what_an_endpoint_is() {
    let endpoints = json!([{
        "addresses": ["10.1.0.2"], "hostname": "web-0", "nodeName": "n1", "zone": "z1",
        "hints": {"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]},
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": "cart-x"}}]);
    let endpoint = parsed("IPv4", json!([]), endpoints).0.unwrap().endpoints[0].clone();
    assert_eq!(endpoint.hostname.as_deref(), Some("web-0"));
    assert_eq!((endpoint.node.as_deref(), endpoint.zone.as_deref()), (Some("n1"), Some("z1")));
    assert_eq!((endpoint.hints.zones[0].as_ref(), endpoint.hints.nodes[0].as_ref()), ("z1", "n1"));
    assert_eq!(endpoint.pod, Some(PodRef { namespace: "shop".into(), name: "cart-x".into() }));
}
