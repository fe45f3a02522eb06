//! ReplicaSet: claims, counts, batches, victims, status.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::slow_start;
use crate::world::{World, node, pod, running, time};
use crate::{Action, Controller, Kept, Key, Plan, Step, Task};

fn task() -> Task {
    Task::new(Controller::ReplicaSet, Key::new("default", "web"))
}

fn set(replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "default", "uid": "rs"},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web"}]}},
        },
    })
}

fn owned(mut pod: Value) -> Value {
    pod["metadata"]["ownerReferences"] = json!([
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": true, "blockOwnerDeletion": true}
    ]);
    pod
}

fn labels() -> Value {
    json!({"app": "web"})
}

fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &task(), world.now)
}

/// The names of the pods that one plan deletes.
fn check_victims(size: i32, pods: Vec<Value>, expected: &[&str]) {
    let mut objects = vec![set(size)];
    objects.extend(pods.into_iter().map(owned));
    let world = World::with(objects);
    let plan = plan(&world);
    let mut names: Vec<String> = plan
        .actions()
        .filter_map(|action| match action {
            Action::Delete { key, .. } => Some(key.name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    assert_eq!(names, expected);
}

fn with(mut pod: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut pod);
    pod
}

fn ready(name: &str, since: i64) -> Value {
    with(running(name, labels(), "10.244.0.9"), |pod| {
        pod["status"]["conditions"][0]["lastTransitionTime"] = json!(time(since));
    })
}

#[test]
fn h1_6_creation_comes_in_growing_batches() {
    let mut made = 0;
    let stages = slow_start(12, || {
        made += 1;
        Step::from(Action::delete(&Pod::default()))
    });
    assert_eq!(stages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 4, 5]);
    assert_eq!(made, 12);
}

#[test]
fn h1_6_pods_come_from_the_template_and_belong_to_the_set() {
    let mut world = World::with(vec![set(2)]);
    let first = plan(&world);
    let Some(Action::Create { object, .. }) = first.actions().next() else { panic!("{first:?}") };
    assert_eq!(object["metadata"]["generateName"], "web-");
    assert_eq!(object["metadata"]["labels"], labels());
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "rs");
    assert_eq!(object["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], true);
    world.carry(&first);
    let name = world.all::<Pod>()[0].metadata.name.clone().unwrap();
    assert_eq!(name.len(), "web-".len() + 5);
    assert!(world.told.contains(&format!("SuccessfulCreate: Created pod: {name}")));
}

#[test]
fn h1_1_orphans_are_adopted_and_strangers_released() {
    let mut world = World::with(vec![
        set(2),
        pod("orphan", labels()),
        owned(pod("stranger", json!({"app": "other"}))),
        with(owned(pod("taken", labels())), |pod| {
            pod["metadata"]["ownerReferences"][0]["uid"] = "another".into()
        }),
    ]);
    let first = plan(&world);
    world.carry(&first);
    let owner = |world: &World, name: &str| {
        let pod = world.get::<Pod>(&Key::new("default", name)).unwrap();
        pod.metadata.owner_references.unwrap_or_default().first().map(|owner| owner.uid.clone())
    };
    assert_eq!(owner(&world, "orphan").as_deref(), Some("rs"));
    assert_eq!(owner(&world, "stranger"), None);
    assert_eq!(owner(&world, "taken").as_deref(), Some("another"));
    world.settle(|_| {});
    assert_eq!(
        world
            .all::<Pod>()
            .iter()
            .filter(|pod| crate::owners::is_controlled_by(&pod.metadata, Some("rs")))
            .count(),
        2
    );
}

#[test]
fn h1_1_a_set_that_is_going_adopts_and_makes_nothing() {
    let going = with(set(3), |set| {
        set["metadata"]["deletionTimestamp"] = json!(time(0));
        set["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
    });
    let world = World::with(vec![going, pod("orphan", labels())]);
    assert!(
        plan(&world)
            .actions()
            .all(|action| matches!(action, Action::Patch { subresource: Some("status"), .. }))
    );
}

#[test]
fn h3_1_victims_go_in_upstreams_order() {
    let cost = |name: &str, cost: &str| {
        with(ready(name, 0), |pod| {
            pod["metadata"]["annotations"] = json!({"controller.kubernetes.io/pod-deletion-cost": cost});
        })
    };
    check_victims(1, vec![ready("a", 0), pod("unscheduled", labels())], &["unscheduled"]);
    let pending = with(pod("pending", labels()), |pod| pod["spec"]["nodeName"] = "n".into());
    check_victims(1, vec![ready("a", 0), pending], &["pending"]);
    let unready = with(ready("unready", 0), |pod| pod["status"]["conditions"][0]["status"] = "False".into());
    check_victims(1, vec![ready("a", 0), unready], &["unready"]);
    check_victims(1, vec![cost("dear", "100"), cost("cheap", "-5")], &["cheap"]);
    let elsewhere = with(ready("alone", 0), |pod| pod["spec"]["nodeName"] = "m".into());
    check_victims(2, vec![elsewhere, ready("a", -1000), ready("b", -1)], &["b"]);
    check_victims(1, vec![ready("old", -100_000), ready("young", -10)], &["young"]);
    let restarted = with(ready("restarted", 0), |pod| {
        pod["status"]["containerStatuses"] =
            json!([{"name": "c", "image": "", "imageID": "", "ready": true, "restartCount": 3}]);
    });
    check_victims(1, vec![ready("calm", 0), restarted], &["restarted"]);
}

#[test]
fn h3_2_status_counts_what_is_there() {
    let unready = with(running("b", labels(), "10.244.0.2"), |pod| {
        pod["status"]["conditions"][0]["status"] = "False".into()
    });
    let going = with(running("c", labels(), "10.244.0.3"), |pod| {
        pod["metadata"]["deletionTimestamp"] = json!(time(0))
    });
    let mut world =
        World::with(vec![set(2), owned(running("a", labels(), "10.244.0.1")), owned(unready), owned(going)]);
    let first = plan(&world);
    world.carry(&first);
    let status = world.get::<ReplicaSet>(&task().key).unwrap().status.unwrap();
    assert_eq!((status.replicas, status.fully_labeled_replicas), (2, Some(2)));
    assert_eq!(
        (status.ready_replicas, status.available_replicas, status.terminating_replicas),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn h1_5_a_pod_counts_as_available_only_after_its_time() {
    let mut slow = set(1);
    slow["spec"]["minReadySeconds"] = 10.into();
    let mut world = World::with(vec![slow, owned(running("a", labels(), "10.244.0.1"))]);
    world.now = time(4);
    let early = plan(&world);
    assert_eq!(early.requeue_after, Some(jiff::SignedDuration::from_secs(6)));
    world.now = time(10);
    let late = plan(&world);
    world.carry(&late);
    assert_eq!(world.get::<ReplicaSet>(&task().key).unwrap().status.unwrap().available_replicas, Some(1));
}

#[test]
fn h3_3_pods_that_are_done_are_replaced() {
    let done = with(running("done", labels(), "10.244.0.1"), |pod| pod["status"]["phase"] = "Failed".into());
    let world = World::with(vec![set(1), owned(done)]);
    assert!(plan(&world).actions().any(|action| matches!(action, Action::Create { .. })));
}

#[test]
fn h3_4_one_plan_makes_five_hundred_pods_at_most() {
    let world = World::with(vec![set(2000)]);
    let creations = plan(&world).actions().filter(|action| matches!(action, Action::Create { .. })).count();
    assert_eq!(creations, 500);
}

#[test]
fn h1_6_a_refusal_becomes_a_condition_until_it_is_over() {
    let mut world = World::with(vec![node("n"), set(1)]);
    world.view.failures.insert(task(), "exceeded quota".to_owned());
    let first = plan(&world);
    world.carry(&first);
    let condition = |world: &World| {
        let status = world.get::<ReplicaSet>(&task().key).unwrap().status.unwrap();
        status
            .conditions
            .unwrap_or_default()
            .first()
            .map(|one| (one.reason.clone().unwrap(), one.message.clone().unwrap()))
    };
    assert_eq!(condition(&world), Some(("FailedCreate".to_owned(), "exceeded quota".to_owned())));
    world.view.failures.clear();
    world.settle(|_| {});
    assert_eq!(condition(&world), None);
}

#[test]
fn an_empty_selector_takes_nobody() {
    let mut all = set(0);
    all["spec"]["selector"] = json!({});
    let world = World::with(vec![all, pod("a", labels())]);
    assert!(plan(&world).actions().all(|action| !matches!(action, Action::Delete { .. })));
    assert!(world.get::<Pod>(&Key::new("default", "a")).unwrap().metadata.owner_references.is_none());
    assert_eq!(Pod::RESOURCE.plural, "pods");
}
