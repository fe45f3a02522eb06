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

/// Puts a finalizer on the pod and asks it to go.
fn hold(world: &mut World, pod: &str) -> Key {
    let key = Key::new("default", pod);
    world
        .edit::<Pod>(&key, |pod| pod["metadata"]["finalizers"] = json!(["batch.kubernetes.io/job-tracking"]));
    world.delete(&Pod::RESOURCE, &key, None, true);
    world.deliver_all();
    key
}

fn failed(world: &World, key: &Key) -> bool {
    crate::pod::phase(&world.get::<Pod>(key).unwrap()) == "Failed"
}

/// Found by `kelson-sim --seed 1017 --steps 1500`: a Job that replaces pods only once they have failed held one that was
/// asked to go before it came to a node, and waited for a word that nobody was there to say.
#[test]
fn a_pod_that_goes_before_it_has_a_node_is_said_to_have_failed() {
    let mut world = World::with(vec![running("p", json!({}), "10.244.0.2")]);
    let key = Key::new("default", "p");
    let task = Task::new(Controller::PodGarbage, key.clone());
    world.edit::<Pod>(&key, |pod| pod["spec"]["nodeName"] = json!(null));
    world.deliver_all();
    assert!(crate::plan(&world.view, &task, world.now).is_empty());
    hold(&mut world, "p");
    let plan = crate::plan(&world.view, &task, world.now);
    world.carry(&plan);
    assert!(failed(&world, &key));
    world.deliver_all();
    assert!(crate::plan(&world.view, &task, world.now).is_empty());
}

#[test]
fn a_pod_that_is_held_when_its_node_is_gone_is_said_to_have_failed() {
    let mut world = World::with(vec![node("n"), running("p", json!({}), "10.244.0.2")]);
    let key = hold(&mut world, "p");
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
    world.delete(&Node::RESOURCE, &Key::cluster("n"), None, false);
    world.deliver_all();
    world.now = time(40);
    let plan = crate::plan(&world.view, &task(), world.now);
    world.carry(&plan);
    assert!(failed(&world, &key));
    world.deliver_all();
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
}
