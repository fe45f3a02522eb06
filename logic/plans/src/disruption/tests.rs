//! Budgets: figures, conditions, granted evictions, and what cannot be counted.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use serde_json::{Value, json};

use crate::world::{World, deployment, node, pod, running, time};
use crate::{Controller, Key, Plan, Task};

fn budget(spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "default"}, "spec": spec})
}

fn owned(mut pod: Value, kind: &str, uid: &str) -> Value {
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": version, "kind": kind, "name": "web", "uid": uid, "controller": true}]);
    pod
}

/// A ReplicaSet of four with three ready pods and one that is not.
fn four() -> Vec<Value> {
    let labels = || json!({"app": "web"});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "web", "namespace": "default", "uid": "rs"},
        "spec": {"replicas": 4, "selector": {"matchLabels": labels()}, "template": {"metadata": {"labels": labels()},
            "spec": {"containers": [{"name": "c", "image": "web"}]}}}});
    let mut objects = vec![set];
    for name in ["a", "b", "c"] {
        objects.push(owned(running(name, labels(), "10.244.0.1"), "ReplicaSet", "rs"));
    }
    objects.push(owned(pod("d", labels()), "ReplicaSet", "rs"));
    objects
}

fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &Task::new(Controller::Disruption, Key::new("default", "b")), world.now)
}

fn sync(world: &mut World) -> PodDisruptionBudgetStatus {
    let plan = plan(world);
    world.carry(&plan);
    world.deliver_all();
    assert!(self::plan(world).is_empty(), "a converged budget has a plan");
    world.get::<PodDisruptionBudget>(&Key::new("default", "b")).unwrap().status.unwrap()
}

/// Allowed, healthy, desired, expected and the condition's reason.
#[track_caller]
fn check(spec: Value, mut objects: Vec<Value>, expected: (i32, i32, i32, i32, &str)) {
    objects.push(budget(spec));
    let mut world = World::with(objects);
    let status = sync(&mut world);
    let condition = &status.conditions.as_ref().unwrap()[0];
    let figure = |it: Option<i32>| it.unwrap_or(-1);
    let found = (
        figure(status.disruptions_allowed),
        figure(status.current_healthy),
        figure(status.desired_healthy),
        figure(status.expected_pods),
        condition.reason.as_str(),
    );
    assert_eq!(found, expected);
    assert_eq!(condition.status, if expected.0 > 0 { "True" } else { "False" });
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn figures_follow_from_pods_and_their_owners() {
    check(json!({"minAvailable": 2}), four(), (1, 3, 2, 4, "SufficientPods"));
    check(json!({"minAvailable": 3}), four(), (0, 3, 3, 4, "InsufficientPods"));
    check(json!({"minAvailable": "30%"}), four(), (1, 3, 2, 4, "SufficientPods"));
    check(json!({"maxUnavailable": 1}), four(), (0, 3, 3, 4, "InsufficientPods"));
    check(json!({"maxUnavailable": "50%"}), four(), (1, 3, 2, 4, "SufficientPods"));
    check(json!({"maxUnavailable": 9}), four(), (3, 3, 0, 4, "SufficientPods"));
    check(json!({"minAvailable": 1}), vec![], (0, 0, 1, 0, "InsufficientPods"));
}

#[test]
fn pods_without_a_controller_count_only_by_number() {
    let alone = || vec![running("a", json!({"app": "web"}), "10.244.0.1")];
    check(json!({"minAvailable": 1}), alone(), (0, 1, 1, 1, "InsufficientPods"));
    check(json!({"maxUnavailable": 1}), alone(), (0, 1, 0, 0, "InsufficientPods"));
    let mut objects = alone();
    objects.push(budget(json!({"maxUnavailable": 1})));
    let mut world = World::with(objects);
    sync(&mut world);
    assert!(world.told[0].starts_with("UnmanagedPods: "), "{:?}", world.told);
}

#[test]
fn what_cannot_be_counted_allows_nothing() {
    let pods = vec![owned(running("a", json!({"app": "web"}), "10.244.0.1"), "Job", "job")];
    let mut objects = pods;
    objects.push(budget(json!({"maxUnavailable": 1})));
    let mut world = World::with(objects);
    let status = sync(&mut world);
    let condition = &status.conditions.unwrap()[0];
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "SyncFailed"));
    assert_eq!(condition.message, "jobs.batch does not implement the scale subresource");
    let told = "CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: \
                jobs.batch does not implement the scale subresource";
    assert_eq!(world.told, [told]);
}

#[test]
fn a_granted_eviction_counts_until_it_is_given_up() {
    let mut objects = four();
    let mut budget = budget(json!({"minAvailable": 2}));
    budget["status"] = json!({"disruptionsAllowed": 0, "disruptedPods": {"a": time(0), "gone": time(0)}});
    objects.push(budget);
    let mut world = World::with(objects);
    let status = sync(&mut world);
    assert_eq!((status.disruptions_allowed, status.current_healthy), (Some(0), Some(2)));
    assert_eq!(status.disrupted_pods.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
    let again = plan(&world).requeue_after.expect("it looks again");
    world.now += again;
    let status = sync(&mut world);
    assert_eq!((status.disruptions_allowed, status.current_healthy), (Some(1), Some(3)));
    assert_eq!(status.disrupted_pods, None);
}

#[test]
fn a_budget_follows_its_deployment() {
    let mut world = World::new(7);
    for object in [node("n"), deployment("web", 3, "web", json!({})), budget(json!({"maxUnavailable": 1}))] {
        world.create(object).unwrap();
    }
    world.settle(|_| {});
    let key = Key::new("default", "b");
    let status = world.get::<PodDisruptionBudget>(&key).unwrap().status.unwrap();
    assert_eq!((status.expected_pods, status.desired_healthy), (Some(3), Some(2)));
    assert_eq!((status.current_healthy, status.disruptions_allowed), (Some(3), Some(1)));
}
