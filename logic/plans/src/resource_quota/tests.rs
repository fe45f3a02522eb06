//! ResourceQuota: statuses follow the objects, and rest when there is nothing to tell.

use std::sync::Arc;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Pod, ResourceQuota, Secret, Service};
use serde_json::{Value, json};

use crate::world::{World, pod};
use crate::{Controller, Kept, Key, Resource, Task};

fn quota(hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "default"},
        "spec": {"hard": hard}})
}

fn key() -> Key {
    Key::new("default", "q")
}

fn task() -> Task {
    Task::new(Controller::ResourceQuota, key())
}

/// What the quota says is used once everything rests.
#[track_caller]
fn check(world: &mut World, expected: Value) {
    world.settle(|_| {});
    let quota = world.get::<ResourceQuota>(&key()).unwrap();
    let status = serde_json::to_value(quota.status).unwrap();
    assert_eq!(status["used"], expected);
    assert_eq!(status["hard"], serde_json::to_value(quota.spec.unwrap().hard).unwrap());
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
}

#[test]
fn a_new_quota_is_told_what_is_used() {
    let mut asking = pod("p", json!({}));
    asking["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "500m"}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let elsewhere =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "other"}});
    let mut here = elsewhere.clone();
    here["metadata"]["namespace"] = "default".into();
    let hard = json!({"pods": "4", "requests.cpu": "2", "services.nodeports": "1", "configmaps": "3"});
    let mut world = World::with(vec![asking, service, elsewhere, here, quota(hard)]);
    let used = json!({"pods": "1", "requests.cpu": "500m", "services.nodeports": "1", "configmaps": "1"});
    check(&mut world, used);
}

#[test]
fn what_goes_is_given_back() {
    let objects =
        vec![pod("a", json!({})), pod("b", json!({})), quota(json!({"pods": "2", "count/pods": "9"}))];
    let mut world = World::with(objects);
    check(&mut world, json!({"pods": "2", "count/pods": "2"}));
    world.edit::<Pod>(&Key::new("default", "a"), |pod| pod["status"] = json!({"phase": "Succeeded"}));
    check(&mut world, json!({"pods": "1", "count/pods": "2"}));
    for name in ["a", "b"] {
        world.delete(&Pod::RESOURCE, &Key::new("default", name), None, true);
    }
    check(&mut world, json!({"pods": "0", "count/pods": "0"}));
}

#[test]
fn a_service_that_changes_its_type_gives_back_its_ports() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "default"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let mut world = World::with(vec![service, quota(json!({"services.nodeports": "2"}))]);
    check(&mut world, json!({"services.nodeports": "1"}));
    world.edit::<Service>(&Key::new("default", "s"), |service| service["spec"]["type"] = "ClusterIP".into());
    check(&mut world, json!({"services.nodeports": "0"}));
}

/// Of kinds that are known by their metadata alone.
#[test]
fn what_is_merely_counted_is_counted() {
    let mut world = World::with(vec![quota(json!({"secrets": "2", "count/secrets": "2"}))]);
    check(&mut world, json!({"secrets": "0", "count/secrets": "0"}));
    let secrets = Resource::of::<Secret>(true);
    let meta = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        uid: Some("u".to_owned()),
        ..Default::default()
    };
    let at = Key::new("default", "s");
    let changed = world.view.noted(&secrets, &at, Some(&meta));
    assert!(crate::wake(&world.view, &changed).contains(&task()));
    let plan = crate::plan(&world.view, &task(), world.now);
    world.carry(&plan);
    check(&mut world, json!({"secrets": "1", "count/secrets": "1"}));
}

/// A pod whose node never says that it is gone is given back once it had its time.
#[test]
fn the_overdue_are_given_back_when_they_are_overdue() {
    let mut world = World::with(vec![pod("a", json!({})), quota(json!({"pods": "2"}))]);
    check(&mut world, json!({"pods": "1"}));
    let deleted = world.now;
    world.edit::<Pod>(&Key::new("default", "a"), |pod| {
        pod["metadata"]["deletionTimestamp"] = json!(deleted);
        pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
    });
    world.deliver_all();
    let plan = crate::plan(&world.view, &task(), world.now);
    assert!(plan.is_empty());
    assert_eq!(plan.requeue_after, Some(SignedDuration::from_secs(31)));
    world.now += SignedDuration::from_secs(31);
    assert_eq!(crate::plan(&world.view, &task(), world.now).actions().count(), 1);
}

#[test]
fn only_what_may_free_wakes() {
    let mut world = World::with(vec![pod("a", json!({})), quota(json!({"pods": "2", "configmaps": "1"}))]);
    check(&mut world, json!({"pods": "1", "configmaps": "0"}));
    let mut wakes = |name: &str, phase: &str| {
        let mut pod = pod(name, json!({}));
        pod["status"] = json!({"phase": phase});
        let changed = world.view.applied::<Pod>(Arc::new(serde_json::from_value(pod).unwrap()), world.now);
        crate::wake(&world.view, &changed).contains(&task())
    };
    assert!(!wakes("b", "Pending"), "whoever admitted it has counted it");
    assert!(!wakes("b", "Running"));
    assert!(wakes("b", "Failed"));
    let gone = world.view.deleted::<Pod>(&Key::new("default", "a"), world.now).unwrap();
    assert!(crate::wake(&world.view, &gone).contains(&task()));
}
