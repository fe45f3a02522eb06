//! DaemonSet: which nodes, which pods, updates with and without a surge, history, status.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, DaemonSetStatus};
use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use crate::kinds::Kept;
use crate::world::{World, daemon_set, node, time};
use crate::{Key, pod};

fn key() -> Key {
    Key::new("default", "agent")
}

fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut set = daemon_set("v1");
    change(&mut set["spec"]);
    set
}

fn settled(nodes: &[&str], set: Value) -> World {
    let mut objects: Vec<Value> = nodes.iter().map(|name| node(name)).collect();
    objects.push(set);
    let mut world = World::with(objects);
    world.settle(|_| {});
    world
}

fn roll(world: &mut World, image: &str) {
    world.edit::<DaemonSet>(&key(), |set| {
        set["spec"]["template"]["spec"]["containers"][0]["image"] = image.into()
    });
}

/// The pods as `node=image`, sorted.
fn places(world: &World) -> Vec<String> {
    let mut all: Vec<String> = world
        .all::<Pod>()
        .into_iter()
        .map(|pod| {
            let spec = pod.spec.unwrap();
            format!("{}={}", spec.node_name.unwrap_or_default(), spec.containers[0].image.clone().unwrap())
        })
        .collect();
    all.sort();
    all
}

fn status(world: &World) -> DaemonSetStatus {
    world.get::<DaemonSet>(&key()).unwrap().status.unwrap()
}

#[test]
fn h5_1_every_node_gets_a_pod_of_its_own() {
    let mut world = settled(&["a", "b", "c"], daemon_set("v1"));
    assert_eq!(places(&world), ["a=v1", "b=v1", "c=v1"]);
    let status_now = status(&world);
    assert_eq!(
        (status_now.desired_number_scheduled, status_now.current_number_scheduled, status_now.number_ready),
        (3, 3, 3)
    );
    assert_eq!(
        (status_now.updated_number_scheduled, status_now.number_available, status_now.number_unavailable),
        (Some(3), Some(3), None)
    );
    world.create(node("d")).unwrap();
    world.settle(|_| {});
    assert_eq!(places(&world), ["a=v1", "b=v1", "c=v1", "d=v1"]);
    assert_eq!(world.plans_left(), []);
}

#[test]
fn h5_2_its_pods_tolerate_what_befalls_a_node() {
    let mut world = settled(&["a"], with(|spec| spec["template"]["spec"]["hostNetwork"] = true.into()));
    let tolerations = world.all::<Pod>().remove(0).spec.unwrap().tolerations.unwrap();
    let told: Vec<String> = tolerations
        .into_iter()
        .map(|one| format!("{} {} {}", one.key.unwrap(), one.operator.unwrap(), one.effect.unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "node.kubernetes.io/not-ready Exists NoExecute",
            "node.kubernetes.io/unreachable Exists NoExecute",
            "node.kubernetes.io/disk-pressure Exists NoSchedule",
            "node.kubernetes.io/memory-pressure Exists NoSchedule",
            "node.kubernetes.io/pid-pressure Exists NoSchedule",
            "node.kubernetes.io/unschedulable Exists NoSchedule",
            "node.kubernetes.io/network-unavailable Exists NoSchedule",
        ]
    );
    world.edit::<Node>(&Key::cluster("a"), |node| node["spec"]["unschedulable"] = true.into());
    let pod = Key::of(&world.all::<Pod>()[0].metadata);
    world.delete(&Pod::RESOURCE, &pod, None, true);
    world.settle(|_| {});
    assert_eq!(places(&world), ["a=v1"], "a cordoned node still gets its daemons");
}

#[test]
fn h5_7_selectors_affinity_and_taints_say_which_nodes() {
    let mut world =
        settled(&["a", "b"], with(|spec| spec["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"})));
    assert_eq!(places(&world), Vec::<String>::new());
    world.edit::<Node>(&Key::cluster("b"), |node| node["metadata"]["labels"] = json!({"disk": "ssd"}));
    world.settle(|_| {});
    assert_eq!(places(&world), ["b=v1"]);
    let taint = |effect: &str| json!([{"key": "dedicated", "value": "x", "effect": effect}]);
    world.edit::<Node>(&Key::cluster("b"), |node| node["spec"]["taints"] = taint("NoSchedule"));
    world.settle(|_| {});
    assert_eq!(places(&world), ["b=v1"], "what is there may stay");
    assert_eq!((status(&world).desired_number_scheduled, status(&world).number_misscheduled), (0, 1));
    world.edit::<Node>(&Key::cluster("b"), |node| node["metadata"]["labels"] = json!({}));
    world.settle(|_| {});
    assert_eq!(places(&world), Vec::<String>::new());
}

#[test]
fn h5_4_failed_pods_are_replaced() {
    let mut world = settled(&["a"], daemon_set("v1"));
    let pod = world.all::<Pod>().remove(0);
    world.edit::<Pod>(&Key::of(&pod.metadata), |pod| pod["status"]["phase"] = "Failed".into());
    world.settle(|_| {});
    let again = world.all::<Pod>().remove(0);
    assert_ne!(again.metadata.uid, pod.metadata.uid);
    let name = pod.metadata.name.unwrap();
    let told =
        format!("FailedDaemonPod: Found failed daemon pod default/{name} on node a, will try to kill it");
    assert!(world.told.contains(&told), "{:?}", world.told);
}

#[test]
fn h5_3_an_update_takes_one_node_after_the_other() {
    let mut world = settled(&["a", "b", "c"], daemon_set("v1"));
    roll(&mut world, "v2");
    world.settle(|world| {
        let good =
            world.all::<Pod>().iter().filter(|pod| pod::is_ready(pod) && !pod::is_deleting(pod)).count();
        assert!(good >= 2, "{:?}", places(world));
    });
    assert_eq!(places(&world), ["a=v2", "b=v2", "c=v2"]);
    assert_eq!(status(&world).updated_number_scheduled, Some(3));
}

#[test]
fn h5_3_a_surge_never_leaves_a_node_without() {
    let surging = with(|spec| {
        spec["updateStrategy"]["rollingUpdate"] = json!({"maxUnavailable": 0, "maxSurge": "34%"});
    });
    let mut world = settled(&["a", "b", "c"], surging);
    roll(&mut world, "v2");
    world.settle(|world| {
        let mut nodes: BTreeMap<String, usize> = BTreeMap::new();
        for pod in world.all::<Pod>().iter().filter(|pod| pod::is_ready(pod) && !pod::is_deleting(pod)) {
            *nodes.entry(pod::node(pod).unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(nodes.len(), 3, "{:?}", places(world));
    });
    assert_eq!(places(&world), ["a=v2", "b=v2", "c=v2"]);
}

#[test]
fn h5_3_on_delete_waits_for_the_user() {
    let mut world = settled(&["a", "b"], with(|spec| spec["updateStrategy"] = json!({"type": "OnDelete"})));
    roll(&mut world, "v2");
    world.settle(|_| {});
    assert_eq!(places(&world), ["a=v1", "b=v1"]);
    let on_b = world.all::<Pod>().into_iter().find(|pod| pod::node(pod) == Some("b")).unwrap();
    world.delete(&Pod::RESOURCE, &Key::of(&on_b.metadata), None, true);
    world.settle(|_| {});
    assert_eq!(places(&world), ["a=v1", "b=v2"]);
    assert_eq!(status(&world).updated_number_scheduled, Some(1));
}

#[test]
fn h5_5_a_rollback_restarts_only_what_it_must() {
    let mut world = settled(&["a", "b", "c"], daemon_set("v1"));
    let uid_of = |world: &World, node: &str| {
        world.all::<Pod>().into_iter().find(|pod| pod::node(pod) == Some(node)).unwrap().metadata.uid
    };
    // One node is updated and never becomes ready.
    roll(&mut world, "v2");
    world.settle(|_| {});
    let updated: Vec<_> = ["a", "b", "c"].iter().map(|node| uid_of(&world, node)).collect();
    roll(&mut world, "v2");
    world.settle(|_| {});
    assert_eq!(updated, ["a", "b", "c"].iter().map(|node| uid_of(&world, node)).collect::<Vec<_>>());
    roll(&mut world, "v1");
    world.settle(|_| {});
    let mut revisions: Vec<(i64, String)> = world
        .all::<ControllerRevision>()
        .into_iter()
        .map(|one| {
            let hash = one.metadata.labels.unwrap()["controller-revision-hash"].clone();
            assert_eq!(one.metadata.name.unwrap(), format!("agent-{hash}"));
            let image =
                one.data.0.pointer("/spec/template/spec/containers/0/image").unwrap().as_str().unwrap();
            (one.revision.unwrap(), image.to_owned())
        })
        .collect();
    revisions.sort();
    assert_eq!(revisions, [(2, "v2".to_owned()), (3, "v1".to_owned())]);
}

#[test]
fn a_set_that_selects_everything_is_told_so_once() {
    let world = settled(&["a"], with(|spec| spec["selector"] = json!({})));
    assert_eq!(
        world.told,
        ["SelectingAll: This daemon set is selecting all pods. A non-empty selector is required."]
    );
}

#[test]
fn whatever_happens_on_the_way_the_end_is_the_same() {
    for seed in 0..60 {
        let mut world = World::new(seed);
        for name in ["a", "b", "c"] {
            world.create(node(name)).unwrap();
        }
        let mut set = daemon_set("v1");
        if seed % 2 == 0 {
            set["spec"]["updateStrategy"]["rollingUpdate"] = json!({"maxUnavailable": 0, "maxSurge": 1});
        }
        world.create(set).unwrap();
        for _ in 0..400 {
            world.step(disturb);
        }
        roll(&mut world, "last");
        for name in ["a", "b", "c"] {
            world.edit::<Node>(&Key::cluster(name), |node| node["spec"] = json!({}));
        }
        world.settle(|_| {});
        assert_eq!(places(&world), ["a=last", "b=last", "c=last"], "seed {seed}");
        assert_eq!(world.plans_left(), [], "seed {seed}");
    }
}

fn disturb(world: &mut World) {
    let pods = world.all::<Pod>();
    match world.random.below(12) {
        0 if !pods.is_empty() => {
            let victim = Key::of(&pods[world.random.below(pods.len())].metadata);
            world.delete(&Pod::RESOURCE, &victim, None, false);
        }
        1 => roll(world, &format!("v{}", 1 + world.random.0 % 3)),
        2 => {
            let name = ["a", "b", "c"][world.random.below(3)];
            let taint = json!([{"key": "out", "effect": "NoExecute", "timeAdded": time(0)}]);
            world.edit::<Node>(&Key::cluster(name), |node| node["spec"]["taints"] = taint);
        }
        3 => {
            let name = ["a", "b", "c"][world.random.below(3)];
            world.edit::<Node>(&Key::cluster(name), |node| node["spec"] = json!({}));
        }
        _ => {}
    }
}
