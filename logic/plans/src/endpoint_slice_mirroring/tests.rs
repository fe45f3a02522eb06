//! Mirroring: hand-made Endpoints as slices.

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::MANAGER;
use crate::world::{World, service};
use crate::{Controller, Kept, Key, Task};

fn key() -> Key {
    Key::new("default", "db")
}

fn endpoints(subsets: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "db", "namespace": "default", "labels": {"team": "b"},
            "annotations": {"note": "kept", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "subsets": subsets,
    })
}

fn by_hand() -> Value {
    endpoints(
        json!([{"addresses": [{"ip": "192.0.2.1", "hostname": "one"}], "notReadyAddresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 5432}]}]),
    )
}

/// The addresses mirrored, `family ip ready`, after everything came to rest.
fn check(objects: Vec<Value>, expected: &[&str]) -> World {
    let mut world = World::with(objects);
    world.settle(|_| {});
    let mut found: Vec<String> = world
        .all::<EndpointSlice>()
        .into_iter()
        .flat_map(|slice| {
            let family = slice.address_type.clone();
            slice.endpoints.unwrap_or_default().into_iter().map(move |endpoint| {
                format!("{family} {} {:?}", endpoint.addresses[0], endpoint.conditions.unwrap().ready)
            })
        })
        .collect();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(world.plans_left(), []);
    world
}

#[test]
fn b6_1_only_endpoints_of_a_service_without_selector_are_mirrored() {
    check(vec![by_hand()], &[]);
    check(
        vec![by_hand(), service("db", json!({}))],
        &["IPv4 192.0.2.1 Some(true)", "IPv4 192.0.2.2 Some(false)"],
    );
    let mut skipped = by_hand();
    skipped["metadata"]["labels"]["endpointslice.kubernetes.io/skip-mirror"] = "true".into();
    check(vec![skipped, service("db", json!({}))], &[]);
    let mut lock = by_hand();
    lock["metadata"]["annotations"]["control-plane.alpha.kubernetes.io/leader"] = "x".into();
    check(vec![lock, service("db", json!({}))], &[]);
}

#[test]
fn b6_2_too_many_and_invalid_addresses_are_told() {
    let mut world = World::with(vec![service("db", json!({}))]);
    world.view.settings.max_mirrored_per_subset = 2;
    let addresses: Vec<Value> =
        ["192.0.2.1", "nonsense", "192.0.2.2", "192.0.2.3"].iter().map(|ip| json!({"ip": ip})).collect();
    world.create(endpoints(json!([{"addresses": addresses, "ports": [{"port": 80}]}]))).unwrap();
    world.settle(|_| {});
    assert_eq!(
        world.told,
        [
            "InvalidIPAddress: Skipped 1 invalid IP addresses when mirroring to EndpointSlices",
            "TooManyAddressesToMirror: A max of 2 addresses can be mirrored to EndpointSlices per Endpoints subset. 1 addresses were skipped",
        ]
    );
}

#[test]
fn b6_3_and_b6_4_what_a_mirrored_slice_carries() {
    let world = check(
        vec![by_hand(), service("db", json!({}))],
        &["IPv4 192.0.2.1 Some(true)", "IPv4 192.0.2.2 Some(false)"],
    );
    let slice = world.all::<EndpointSlice>().remove(0);
    assert_eq!(
        json!(slice.metadata.labels),
        json!({"team": "b", "kubernetes.io/service-name": "db", "endpointslice.kubernetes.io/managed-by": MANAGER})
    );
    assert_eq!(json!(slice.metadata.annotations), json!({"note": "kept"}));
    assert_eq!(slice.metadata.owner_references.unwrap()[0].kind, "Endpoints");
    let first = slice.endpoints.unwrap().remove(0);
    assert_eq!(first.hostname.as_deref(), Some("one"));
    let conditions = first.conditions.unwrap();
    assert_eq!((conditions.serving, conditions.terminating), (None, None));
}

#[test]
fn b6_5_slices_go_when_there_is_nothing_to_mirror_any_more() {
    let mut world = check(
        vec![by_hand(), service("db", json!({}))],
        &["IPv4 192.0.2.1 Some(true)", "IPv4 192.0.2.2 Some(false)"],
    );
    world.edit::<Service>(&key(), |service| service["spec"]["selector"] = json!({"app": "db"}));
    world.deliver_all();
    let plan = crate::plan(&world.view, &Task::new(Controller::EndpointSliceMirroring, key()), world.now);
    world.carry(&plan);
    assert!(
        world
            .all::<EndpointSlice>()
            .iter()
            .all(|slice| slice.metadata.labels.as_ref().unwrap()["endpointslice.kubernetes.io/managed-by"]
                != MANAGER)
    );
    assert_eq!(Endpoints::RESOURCE.plural, "endpoints");
}
