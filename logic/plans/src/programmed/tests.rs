//! Programmed: when a Service says so, how often it is written to, and the floor that leaving pods wait for.

use jiff::SignedDuration;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kelson_model::Revision;
use serde_json::json;

use super::{FLOOR, NAMESPACE, lease, lease_name, revision};
use crate::world::{World, node, running, service};
use crate::{Controller, Kept, Key, Plan, Task};

fn web() -> Key {
    Key::new("default", "web")
}

fn named(name: &str) -> serde_json::Value {
    let mut node = node(name);
    node["metadata"]["name"] = name.into();
    node
}

/// Nodes a and b, and a Service with one endpoint.
fn world() -> World {
    let mut world = World::with(vec![
        named("a"),
        named("b"),
        service("web", json!({"selector": {"app": "web"}})),
        running("web-1", json!({"app": "web"}), "10.244.0.2"),
        slice("web-x"),
    ]);
    applies(&mut world, "a", Revision::default());
    world
}

fn slice(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [],
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
    })
}

/// The node's data plane says how far it is.
fn applies(world: &mut World, node: &str, revision: Revision) {
    let key = Key::new(NAMESPACE, lease_name(node));
    let mut wanted = serde_json::to_value(lease(&key.name, node, revision, world.now)).unwrap();
    match world.get::<Lease>(&key) {
        None => drop(world.create(wanted)),
        Some(_) => {
            let annotations = wanted["metadata"]["annotations"].take();
            world.edit::<Lease>(&key, |lease| lease["metadata"]["annotations"] = annotations);
        }
    }
    world.deliver_all();
}

/// Both nodes have applied all there is.
fn all_apply(world: &mut World) {
    let newest = Revision { services: world.version(), endpoint_slices: world.version() };
    applies(world, "a", newest);
    applies(world, "b", newest);
}

fn planned(world: &World, key: &Key) -> Plan {
    crate::plan(&world.view, &Task::new(Controller::Programmed, key.clone()), world.now)
}

fn carry(world: &mut World, key: &Key) -> usize {
    let plan = planned(world, key);
    world.carry(&plan);
    world.deliver_all();
    plan.actions().count()
}

fn condition(world: &World) -> Option<Condition> {
    world.get::<Service>(&web()).unwrap().status?.conditions?.into_iter().next()
}

fn said(world: &World) -> String {
    condition(world).map_or_else(String::new, |one| format!("{} {} {}", one.status, one.reason, one.message))
}

fn pass(world: &mut World, seconds: i64) {
    world.now += SignedDuration::from_secs(seconds);
}

#[test]
fn a_service_is_programmed_once_every_ready_node_has_it_and_its_endpoints() {
    let mut world = world();
    let newest = Revision { services: world.version(), endpoint_slices: world.version() };
    assert_eq!(carry(&mut world, &web()), 0, "a moment is given before anybody is told");
    applies(&mut world, "a", newest);
    assert_eq!(carry(&mut world, &web()), 0);
    applies(&mut world, "b", newest);
    assert_eq!(carry(&mut world, &web()), 1);
    assert_eq!(said(&world), "True Programmed Every Ready node has applied the Service and its endpoints");
    assert_eq!(condition(&world).unwrap().observed_generation, Some(1));
}

#[test]
fn its_own_writes_are_no_news() {
    let mut world = world();
    for _ in 0..5 {
        all_apply(&mut world);
        let task = Task::new(Controller::Programmed, web());
        let plan = crate::plan(&world.view, &task, world.now);
        world.carry(&plan);
        world.deliver_all();
    }
    let before = world.version();
    pass(&mut world, 100);
    assert_eq!((carry(&mut world, &web()), world.version()), (0, before));
}

#[test]
fn endpoints_that_come_and_go_cost_no_write_while_nodes_keep_up() {
    let mut world = world();
    all_apply(&mut world);
    assert_eq!(carry(&mut world, &web()), 1);
    for turn in 0..5 {
        pass(&mut world, 10);
        let key = Key::new("default", "web-x");
        world.edit::<EndpointSlice>(&key, |slice| {
            slice["metadata"]["annotations"] = json!({"turn": turn.to_string()})
        });
        world.deliver_all();
        assert_eq!(carry(&mut world, &web()), 0);
        assert_eq!(planned(&world, &web()).requeue_after, Some(SignedDuration::from_secs(1)));
        all_apply(&mut world);
        assert_eq!(carry(&mut world, &web()), 0);
        assert_eq!(planned(&world, &web()).requeue_after, None, "it waits for nothing any more");
    }
}

#[test]
fn a_late_node_is_named_once_and_then_forgiven() {
    let mut world = world();
    all_apply(&mut world);
    carry(&mut world, &web());
    world.create(slice("web-y")).unwrap();
    world.deliver_all();
    let newest = Revision { services: world.version(), endpoint_slices: world.version() };
    applies(&mut world, "a", newest);
    pass(&mut world, 1);
    assert_eq!(carry(&mut world, &web()), 1);
    assert_eq!(said(&world), "False Pending Waiting for b");
    pass(&mut world, 100);
    assert_eq!(carry(&mut world, &web()), 0, "it is said");
    all_apply(&mut world);
    assert_eq!(carry(&mut world, &web()), 1);
    assert!(said(&world).starts_with("True"));
}

#[test]
fn a_spec_that_changes_is_answered_with_its_generation() {
    let mut world = world();
    all_apply(&mut world);
    carry(&mut world, &web());
    world.edit::<Service>(&web(), |service| service["spec"]["ports"] = json!([{"port": 81}]));
    world.deliver_all();
    assert_eq!((carry(&mut world, &web()), condition(&world).unwrap().observed_generation), (0, Some(1)));
    all_apply(&mut world);
    assert_eq!((carry(&mut world, &web()), condition(&world).unwrap().observed_generation), (1, Some(2)));
}

#[test]
fn a_node_that_is_not_ready_is_not_waited_for() {
    let mut world = world();
    let newest = Revision { services: world.version(), endpoint_slices: world.version() };
    applies(&mut world, "a", newest);
    world.edit::<Node>(&Key::cluster("b"), |node| {
        node["status"]["conditions"][0]["status"] = "Unknown".into()
    });
    world.deliver_all();
    assert_eq!(carry(&mut world, &web()), 1);
    assert!(said(&world).starts_with("True"));
}

#[test]
fn a_node_that_joins_is_waited_for() {
    let mut world = world();
    all_apply(&mut world);
    carry(&mut world, &web());
    all_apply(&mut world);
    world.create(named("c")).unwrap();
    world.deliver_all();
    assert_eq!(planned(&world, &web()).requeue_after, Some(SignedDuration::from_secs(1)));
    pass(&mut world, 1);
    assert_eq!(carry(&mut world, &web()), 1);
    assert_eq!(said(&world), "False Pending Waiting for c");
}

#[test]
fn nothing_is_said_where_no_node_publishes_what_it_applied() {
    let mut world = World::with(vec![named("a"), service("web", json!({"selector": {"app": "web"}}))]);
    pass(&mut world, 100);
    assert!(planned(&world, &web()).is_empty());
    assert_eq!(planned(&world, &web()).requeue_after, None);
}

#[test]
fn a_service_whose_endpoints_are_unwritten_is_not_programmed() {
    let mut world = World::with(vec![named("a"), service("web", json!({"selector": {"app": "web"}}))]);
    let newest = Revision { services: 1000, endpoint_slices: 1000 };
    applies(&mut world, "a", newest);
    pass(&mut world, 2);
    carry(&mut world, &web());
    assert_eq!(said(&world), "False Pending Waiting for its EndpointSlices");
}

#[test]
fn the_floor_is_written_while_a_pod_leaves_and_not_otherwise() {
    let mut world = world();
    all_apply(&mut world);
    let key = Key::new(NAMESPACE, FLOOR);
    assert_eq!(carry(&mut world, &Key::default()), 0);
    world.delete(&Pod::RESOURCE, &Key::new("default", "web-1"), None, false);
    world.deliver_all();
    for (services, endpoint_slices) in [(7, 100), (8, 90)] {
        applies(&mut world, "a", Revision { services: 200, endpoint_slices });
        applies(&mut world, "b", Revision { services, endpoint_slices: 95 });
        assert_eq!(carry(&mut world, &Key::default()), 1);
        let expected = Revision { services, endpoint_slices: endpoint_slices.min(95) };
        assert_eq!(revision(&world.get::<Lease>(&key).unwrap()), expected);
        assert_eq!(carry(&mut world, &Key::default()), 0);
    }
    world.delete(&Pod::RESOURCE, &Key::new("default", "web-1"), None, true);
    world.deliver_all();
    applies(&mut world, "b", Revision { services: 9, endpoint_slices: 200 });
    assert_eq!(carry(&mut world, &Key::default()), 0);
}
