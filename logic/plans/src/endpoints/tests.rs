//! Endpoints: which addresses stand where, and when nothing is written.

use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use serde_json::{Value, json};

use crate::world::{World, node, running, service, time};
use crate::{Controller, Kept, Key, Task};

fn key() -> Key {
    Key::new("default", "web")
}

fn task() -> Task {
    Task::new(Controller::Endpoints, key())
}

fn labels() -> Value {
    json!({"app": "web"})
}

fn selecting(mut spec: Value) -> Value {
    spec["selector"] = labels();
    if spec["ports"].is_null() {
        spec["ports"] = json!([{"port": 80, "targetPort": 8080}]);
    }
    service("web", spec)
}

fn step(world: &mut World) {
    let plan = crate::plan(&world.view, &task(), world.now);
    world.carry(&plan);
    world.deliver_all();
}

fn with(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

fn web(number: usize) -> Value {
    running(&format!("web-{number}"), labels(), &format!("10.244.{}.{}", number / 250, number % 250 + 1))
}

/// The subsets as `ready | not ready @ ports`.
fn check(objects: Vec<Value>, expected: &[&str]) {
    let mut world = World::with(objects);
    step(&mut world);
    let endpoints = world.get::<Endpoints>(&key()).expect("Endpoints exist");
    let ips = |addresses: Option<Vec<k8s_openapi::api::core::v1::EndpointAddress>>| {
        addresses.unwrap_or_default().into_iter().map(|address| address.ip).collect::<Vec<_>>().join(" ")
    };
    let subsets: Vec<String> = endpoints
        .subsets
        .unwrap_or_default()
        .into_iter()
        .map(|subset| {
            let ports: Vec<String> = subset
                .ports
                .unwrap_or_default()
                .into_iter()
                .map(|port| format!("{}{}", port.name.map(|name| name + ":").unwrap_or_default(), port.port))
                .collect();
            format!("{} | {} @ {}", ips(subset.addresses), ips(subset.not_ready_addresses), ports.join(" "))
        })
        .collect();
    assert_eq!(subsets, expected);
    let plan = crate::plan(&world.view, &task(), world.now);
    assert!(plan.is_empty(), "{plan:?}");
}

#[test]
fn b4_4_ready_and_not_ready_addresses() {
    let unready = with(web(2), |pod| pod["status"]["conditions"][0]["status"] = "False".into());
    check(
        vec![node("n"), web(3), web(1), unready.clone(), selecting(json!({}))],
        &["10.244.0.2 10.244.0.4 | 10.244.0.3 @ 8080"],
    );
    let publish = selecting(json!({"publishNotReadyAddresses": true}));
    check(vec![node("n"), web(1), unready, publish], &["10.244.0.2 10.244.0.3 |  @ 8080"]);
}

#[test]
fn b4_2_only_the_first_family() {
    let dual = with(web(1), |pod| pod["status"]["podIPs"] = json!([{"ip": "10.244.0.2"}, {"ip": "fd00::1"}]));
    check(
        vec![node("n"), dual.clone(), selecting(json!({"ipFamilies": ["IPv6", "IPv4"]}))],
        &["fd00::1 |  @ 8080"],
    );
    check(
        vec![node("n"), dual, selecting(json!({"ipFamilies": ["IPv4", "IPv6"]}))],
        &["10.244.0.2 |  @ 8080"],
    );
}

#[test]
fn b4_3_terminating_pods_are_left_out_unless_published() {
    let going = with(web(1), |pod| pod["metadata"]["deletionTimestamp"] = json!(time(30)));
    check(vec![node("n"), going.clone(), selecting(json!({}))], &[]);
    check(
        vec![node("n"), going, selecting(json!({"publishNotReadyAddresses": true}))],
        &["10.244.0.2 |  @ 8080"],
    );
}

#[test]
fn b4_5_addresses_with_the_same_ports_share_a_subset() {
    let ports = json!([{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 90}]);
    let named = |number, port: i32| {
        with(web(number), |pod| {
            pod["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": port}])
        })
    };
    check(
        vec![node("n"), named(1, 8080), named(2, 9090), named(3, 8080), selecting(json!({"ports": ports}))],
        &["10.244.0.2 10.244.0.4 |  @ a:8080 b:90", "10.244.0.3 |  @ a:9090 b:90"],
    );
}

#[test]
fn b4_6_and_b4_7_headless_without_ports_and_without_pods() {
    check(
        vec![node("n"), web(1), selecting(json!({"clusterIP": "None", "ports": []}))],
        &["10.244.0.2 |  @ "],
    );
    check(vec![node("n"), selecting(json!({}))], &[]);
}

#[test]
fn b4_1_labels_are_the_services_and_the_controllers() {
    let mut world = World::with(vec![node("n"), selecting(json!({"clusterIP": "None"}))]);
    step(&mut world);
    let labels = json!(world.get::<Endpoints>(&key()).unwrap().metadata.labels);
    let expected = json!({"team": "a", "service.kubernetes.io/headless": "", "endpoints.kubernetes.io/managed-by": "endpoint-controller"});
    assert_eq!(labels, expected);
}

#[test]
fn b4_8_a_thousand_addresses_at_most_ready_ones_first() {
    let mut objects = vec![node("n"), selecting(json!({}))];
    objects.extend((0..900).map(web));
    objects
        .extend((900..1100).map(|number| {
            with(web(number), |pod| pod["status"]["conditions"][0]["status"] = "False".into())
        }));
    let mut world = World::with(objects);
    step(&mut world);
    let endpoints = world.get::<Endpoints>(&key()).unwrap();
    assert_eq!(endpoints.metadata.annotations.unwrap()["endpoints.kubernetes.io/over-capacity"], "truncated");
    let subset = endpoints.subsets.unwrap().remove(0);
    assert_eq!((subset.addresses.unwrap().len(), subset.not_ready_addresses.unwrap().len()), (900, 100));
    for number in 0..200 {
        world.delete(&Pod::RESOURCE, &Key::new("default", format!("web-{number}")), None, true);
    }
    world.deliver_all();
    step(&mut world);
    assert!(
        !world
            .get::<Endpoints>(&key())
            .unwrap()
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key("endpoints.kubernetes.io/over-capacity")
    );
}

#[test]
fn b4_10_a_references_version_is_no_reason_to_write() {
    let mut world = World::with(vec![node("n"), web(1), selecting(json!({}))]);
    step(&mut world);
    world.edit::<Endpoints>(&key(), |endpoints| {
        endpoints["subsets"][0]["addresses"][0]["targetRef"]["resourceVersion"] = "7".into()
    });
    world.deliver_all();
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
}

#[test]
fn b4_11_endpoints_go_with_their_service_and_hand_made_ones_wait_for_theirs() {
    let mut world = World::with(vec![node("n"), web(1), selecting(json!({}))]);
    world.settle(|_| {});
    world.delete(&Service::RESOURCE, &key(), None, false);
    world.settle(|_| {});
    assert!(world.get::<Endpoints>(&key()).is_none());

    let by_hand = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]});
    let mut world = World::with(vec![by_hand]);
    world.settle(|_| {});
    assert!(world.get::<Endpoints>(&key()).is_some(), "made before its Service");
    world.create(service("web", json!({}))).unwrap();
    world.settle(|_| {});
    world.delete(&Service::RESOURCE, &key(), None, false);
    world.settle(|_| {});
    assert!(world.get::<Endpoints>(&key()).is_none(), "its Service is gone");
}
