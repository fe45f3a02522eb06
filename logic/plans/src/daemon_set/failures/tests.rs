//! H5.4: a node where daemons fail again and again gets the next one later each time, as upstream counts.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};

use super::Failures;
use crate::world::{World, daemon_set, node};
use crate::{Kept, Key};

/// A settled set on nodes `a` and `b`.
fn world() -> World {
    let mut world = World::with(vec![node("a"), node("b"), daemon_set("v1")]);
    world.settle(|_| {});
    world
}

fn set(world: &World) -> DaemonSet {
    world.get(&Key::new("default", "agent")).unwrap()
}

fn on(world: &World, node: &str) -> Pod {
    let pods = world.all::<Pod>().into_iter();
    pods.filter(|pod| !crate::pod::is_deleting(pod)).find(|pod| crate::pod::node(pod) == Some(node)).unwrap()
}

/// The pod on a node fails; until its successor is there.
fn fail(world: &mut World, node: &str) {
    let pod = on(world, node);
    world.edit::<Pod>(&Key::of(&pod.metadata), |pod| pod["status"]["phase"] = "Failed".into());
    world.deliver_all();
    world.settle(|_| {});
    assert_ne!(on(world, node).metadata.uid, pod.metadata.uid, "it is replaced");
}

fn wait(failures: &Failures, world: &World, node: &str, now: Timestamp) -> i64 {
    failures.wait(&set(world), node, now).map_or(0, |wait| wait.as_secs())
}

/// How long the next one would be left alone, right after the last was taken away.
fn after_last(world: &World, node: &str) -> i64 {
    let place = (set(world).metadata.uid.unwrap(), node.to_owned());
    let last = &world.view.daemon_failures.by_place[&place];
    wait(&world.view.daemon_failures, world, node, last.since)
}

#[test]
fn h5_4_the_wait_doubles_for_each_node_by_itself() {
    let mut world = world();
    assert_eq!(wait(&world.view.daemon_failures, &world, "a", world.now), 0, "the first is replaced at once");
    for expected in [1, 2, 4, 8, 16, 32] {
        fail(&mut world, "a");
        assert_eq!(after_last(&world, "a"), expected);
    }
    fail(&mut world, "b");
    assert_eq!((after_last(&world, "a"), after_last(&world, "b")), (32, 1));
}

#[test]
fn h5_4_a_quarter_of_an_hour_is_the_most_and_peace_forgets() {
    let mut world = world();
    let pod = on(&world, "a");
    let failed = Pod {
        status: Some(k8s_openapi::api::core::v1::PodStatus {
            phase: Some("Failed".to_owned()),
            ..Default::default()
        }),
        ..pod
    };
    let mut failures = Failures::default();
    let mut now = world.now;
    for _ in 0..12 {
        failures.count(&world.view.kinds, &failed, now);
        now += SignedDuration::from_secs(1);
    }
    let last = now - SignedDuration::from_secs(1);
    assert_eq!(wait(&failures, &world, "a", last), 900);
    assert_eq!(wait(&failures, &world, "a", last + SignedDuration::from_secs(899)), 1);
    assert_eq!(wait(&failures, &world, "a", last + SignedDuration::from_secs(900)), 0);
    failures.count(&world.view.kinds, &failed, last + SignedDuration::from_mins(31));
    assert_eq!(wait(&failures, &world, "a", last + SignedDuration::from_mins(31)), 1);
    // Another template is another story.
    world.edit::<DaemonSet>(&Key::new("default", "agent"), |set| {
        set["status"]["observedGeneration"] = 9.into();
    });
    assert_eq!(wait(&failures, &world, "a", last + SignedDuration::from_mins(31)), 0);
}

#[test]
fn h5_4_what_is_gone_is_forgotten() {
    let mut world = world();
    fail(&mut world, "a");
    fail(&mut world, "b");
    assert_eq!(world.view.daemon_failures.by_place.len(), 2);
    world.delete(&Node::RESOURCE, &Key::cluster("a"), None, true);
    world.deliver_all();
    assert_eq!(world.view.daemon_failures.by_place.len(), 1);
    world.delete(&DaemonSet::RESOURCE, &Key::new("default", "agent"), None, true);
    world.deliver_all();
    assert_eq!(world.view.daemon_failures, Failures::default());
}
