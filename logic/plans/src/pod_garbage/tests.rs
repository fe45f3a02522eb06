//! Pods left behind by a node.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use crate::world::{World, node, running, time};
use crate::{Controller, Kept, Key, Task};

fn task() -> Task {
    Task::new(Controller::PodGarbage, Key::cluster("n"))
}

#[test]
fn pods_of_a_node_that_is_gone_are_removed_after_a_while() {
    let mut world = World::with(vec![node("n"), running("p", json!({}), "10.244.0.2")]);
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
    world.delete(&Node::RESOURCE, &Key::cluster("n"), None, false);
    world.deliver_all();
    world.now = time(30);
    let early = crate::plan(&world.view, &task(), world.now);
    assert_eq!((early.is_empty(), early.requeue_after), (true, Some(jiff::SignedDuration::from_secs(10))));
    world.now = time(40);
    let late = crate::plan(&world.view, &task(), world.now);
    world.carry(&late);
    assert!(world.all::<Pod>().is_empty());
}

#[test]
fn a_node_that_came_back_keeps_its_pods() {
    let mut world = World::with(vec![running("p", json!({}), "10.244.0.2")]);
    world.now = time(40);
    let plan = crate::plan(&world.view, &task(), world.now);
    // The API knows of the node, though the view does not yet.
    world.create(node("n")).unwrap();
    world.carry(&plan);
    assert_eq!(world.all::<Pod>().len(), 1);
    world.deliver_all();
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
}
