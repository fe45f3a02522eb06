//! Garbage: background, foreground, orphan, several owners, absent owners, cycles.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::{Value, json};

use crate::plan::Propagation;
use crate::world::World;
use crate::{Action, Controller, Kept, Key, Task};

/// A ConfigMap that can own and be owned, with these owners' names (their uids are `uid of NAME`).
fn map(name: &str, owners: &[&str]) -> Value {
    let owners: Vec<Value> = owners.iter().map(|owner| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": format!("uid of {owner}"), "blockOwnerDeletion": true})
    }).collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid of {name}"), "ownerReferences": owners},
    })
}

/// What is left, with its owners, after `doomed` was deleted and everything came to rest.
fn check(objects: Vec<Value>, doomed: &str, how: Propagation, expected: &[&str]) {
    let mut world = World::with(objects);
    world.delete(&ConfigMap::RESOURCE, &Key::new("default", doomed), Some(how), false);
    world.settle(|_| {});
    let left: Vec<String> = world
        .all::<ConfigMap>()
        .into_iter()
        .map(|map| {
            let owners: Vec<String> = map
                .metadata
                .owner_references
                .unwrap_or_default()
                .into_iter()
                .map(|owner| owner.name)
                .collect();
            format!("{}({})", map.metadata.name.unwrap(), owners.join(" "))
        })
        .collect();
    assert_eq!(left, expected);
    assert_eq!(world.plans_left(), []);
}

#[test]
fn i15_background_takes_the_dependents_afterwards() {
    let tree = || vec![map("a", &[]), map("b", &["a"]), map("c", &["b"]), map("d", &[])];
    check(tree(), "a", Propagation::Background, &["d()"]);
    check(tree(), "b", Propagation::Background, &["a()", "d()"]);
}

#[test]
fn i15_foreground_takes_the_dependents_first() {
    let mut world = World::with(vec![map("a", &[]), map("b", &["a"]), map("c", &["b"])]);
    world.delete(&ConfigMap::RESOURCE, &Key::new("default", "a"), Some(Propagation::Foreground), false);
    world.settle(|world| {
        let there = |name: &str| world.get::<ConfigMap>(&Key::new("default", name)).is_some();
        assert!(there("a") || !there("b"), "an owner went before what it waits for");
        assert!(there("b") || !there("c"), "an owner went before what it waits for");
    });
    assert!(world.all::<ConfigMap>().is_empty());
}

#[test]
fn i15_foreground_does_not_wait_for_what_does_not_block() {
    let mut loose = map("b", &["a"]);
    loose["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = false.into();
    loose["metadata"]["finalizers"] = json!(["somebody/else"]);
    let mut world = World::with(vec![map("a", &[]), loose]);
    world.delete(&ConfigMap::RESOURCE, &Key::new("default", "a"), Some(Propagation::Foreground), false);
    world.settle(|_| {});
    assert!(world.get::<ConfigMap>(&Key::new("default", "a")).is_none());
    assert!(world.get::<ConfigMap>(&Key::new("default", "b")).unwrap().metadata.deletion_timestamp.is_some());
}

#[test]
fn i15_orphan_lets_the_dependents_go() {
    check(
        vec![map("a", &[]), map("b", &["a"]), map("c", &["b", "a"])],
        "a",
        Propagation::Orphan,
        &["b()", "c(b)"],
    );
}

#[test]
fn i15_one_owner_of_several_is_enough_to_live() {
    check(
        vec![map("a", &[]), map("b", &[]), map("c", &["a", "b"])],
        "a",
        Propagation::Background,
        &["b()", "c(b)"],
    );
    check(
        vec![map("a", &[]), map("b", &[]), map("c", &["a", "b"])],
        "a",
        Propagation::Foreground,
        &["b()", "c(b)"],
    );
}

#[test]
fn i15_a_cycle_is_taken_down_too() {
    check(vec![map("a", &["b"]), map("b", &["a"])], "a", Propagation::Background, &[]);
    check(vec![map("a", &["b"]), map("b", &["a"])], "a", Propagation::Foreground, &[]);
}

#[test]
fn i15_an_owner_not_heard_of_yet_is_asked_after() {
    let mut world = World::with(vec![map("b", &["a"])]);
    world.create(map("a", &[])).unwrap();
    // The view has not heard of the owner; the deletion that it plans carries the question.
    let plan = crate::plan(&world.view, &Task::new(Controller::Garbage, Key::cluster("uid of b")), world.now);
    let Some(Action::Delete { absent, .. }) = plan.actions().next() else { panic!("{plan:?}") };
    assert_eq!((absent[0].key.clone(), absent[0].uid.as_str()), (Key::new("default", "a"), "uid of a"));
    world.settle(|_| {});
    assert_eq!(world.all::<ConfigMap>().len(), 2);
}

#[test]
fn i15_an_owner_of_another_uid_or_an_unknown_kind() {
    let mut stale = map("b", &["a"]);
    stale["metadata"]["ownerReferences"][0]["uid"] = "an earlier one".into();
    let mut world = World::with(vec![map("a", &[]), stale]);
    world.settle(|_| {});
    assert_eq!(world.all::<ConfigMap>().len(), 1, "its owner is another object of that name");
    let mut unknown = map("b", &["a"]);
    unknown["metadata"]["ownerReferences"][0]["kind"] = "Unheard".into();
    let mut world = World::with(vec![unknown]);
    world.settle(|_| {});
    assert_eq!(world.all::<ConfigMap>().len(), 1, "a kind nobody can ask after");
}

#[test]
fn pods_that_take_their_time_hold_up_a_foreground_deletion() {
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "uid": "rs"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
    });
    let mut world = World::with(vec![crate::world::node("n"), set]);
    world.settle(|_| {});
    world.delete(&ReplicaSet::RESOURCE, &Key::new("default", "web"), Some(Propagation::Foreground), false);
    world.settle(|world| {
        let set = world.get::<ReplicaSet>(&Key::new("default", "web"));
        assert!(set.is_some() || world.all::<Pod>().is_empty());
    });
    assert!(world.all::<ReplicaSet>().is_empty());
}
