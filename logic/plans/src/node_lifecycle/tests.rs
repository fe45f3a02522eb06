//! Node life: silence, taints, evictions, and that a node that speaks is left alone.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use crate::world::{World, node, running, time};
use crate::{Controller, Key, Task};

fn task() -> Task {
    Task::new(Controller::NodeLifecycle, Key::cluster("n"))
}

fn lease(renewed: i64) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n", "namespace": "kube-node-lease"},
        "spec": {"renewTime": format!("{:.6}", time(renewed))},
    })
}

fn world(pods: Vec<Value>) -> World {
    let mut world = World::new(1);
    world.view.settings.node_grace_seconds = 50;
    let all = [vec![node("n"), lease(0)], pods].concat();
    all.into_iter().for_each(|object| drop(world.create(object).unwrap()));
    world.deliver_all();
    world
}

fn step(world: &mut World) {
    for _ in 0..2 {
        let plan = crate::plan(&world.view, &task(), world.now);
        world.carry(&plan);
        world.deliver_all();
    }
}

fn taints(world: &World) -> Vec<String> {
    let spec = world.get::<Node>(&Key::cluster("n")).unwrap().spec.unwrap_or_default();
    spec.taints
        .unwrap_or_default()
        .into_iter()
        .map(|taint| format!("{}:{}", taint.key, taint.effect))
        .collect()
}

fn ready(world: &World) -> (String, String) {
    let conditions = world.get::<Node>(&Key::cluster("n")).unwrap().status.unwrap().conditions.unwrap();
    let ready = conditions.into_iter().find(|one| one.type_ == "Ready").unwrap();
    (ready.status, ready.message.unwrap_or_default())
}

#[test]
fn f15_a_node_that_speaks_is_left_alone_until_its_grace_is_over() {
    let mut world = world(vec![]);
    world.now = time(20);
    let plan = crate::plan(&world.view, &task(), world.now);
    assert!(plan.is_empty());
    assert_eq!(plan.requeue_after, Some(jiff::SignedDuration::from_secs(30)));
}

#[test]
fn f15_a_silent_node_is_unknown_and_its_pods_take_no_traffic() {
    let mut world = world(vec![running("p", json!({}), "10.244.0.2")]);
    world.now = time(51);
    step(&mut world);
    assert_eq!(ready(&world), ("Unknown".to_owned(), "Kubelet stopped posting node status.".to_owned()));
    assert_eq!(
        taints(&world),
        ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]
    );
    assert!(world.told.contains(&"NodeNotReady: Node is not ready".to_owned()));
}

#[test]
fn a_node_that_runs_short_of_something_takes_no_more_until_it_does_not() {
    let mut world = world(vec![running("p", json!({}), "10.244.0.2")]);
    let mut say = |short: &[&str]| {
        world.edit::<Node>(&Key::cluster("n"), |node| {
            let pressures = ["MemoryPressure", "DiskPressure", "PIDPressure"].iter();
            let conditions = pressures.map(
                |kind| json!({"type": kind, "status": if short.contains(kind) { "True" } else { "False" }}),
            );
            let ready = json!({"type": "Ready", "status": "True"});
            node["status"]["conditions"] = conditions.chain([ready]).collect();
        });
        world.deliver_all();
        step(&mut world);
        taints(&world)
    };
    assert_eq!(say(&[]), Vec::<String>::new());
    assert_eq!(
        say(&["MemoryPressure", "DiskPressure"]),
        ["node.kubernetes.io/memory-pressure:NoSchedule", "node.kubernetes.io/disk-pressure:NoSchedule"]
    );
    assert_eq!(say(&["PIDPressure"]), ["node.kubernetes.io/pid-pressure:NoSchedule"]);
    assert_eq!(say(&[]), Vec::<String>::new());
    assert!(world.get::<Pod>(&Key::new("default", "p")).is_some(), "nobody is driven out for it");
}

/// Found by `kelson-sim --seed 5 --steps 600`: the controllers' clock leapt, so that every node counted as silent until its
/// next heartbeat, and for that long they and the nodes contradicted each other about each pod as fast as they could.
#[test]
fn f15_who_still_vouches_for_a_pod_on_a_silent_node_is_not_contradicted_without_end() {
    let mut world = world(vec![running("p", json!({}), "10.244.0.2")]);
    world.now = time(51);
    step(&mut world);
    let key = Key::new("default", "p");
    world.make_ready(&key);
    let vouched: Pod = world.get(&key).unwrap();
    let changed = world.view.applied(std::sync::Arc::new(vouched.clone()), world.now);
    assert!(!crate::wake(&world.view, &changed).contains(&task()));
    // The taints do not wait for that to be settled.
    let mut moved = vouched;
    moved.spec.as_mut().unwrap().tolerations = Some(vec![Default::default()]);
    let changed = world.view.applied(std::sync::Arc::new(moved), world.now);
    assert!(crate::wake(&world.view, &changed).contains(&task()));
    assert_eq!(taints(&world).len(), 2);
}

#[test]
fn f15_the_clock_is_the_observers_not_the_nodes() {
    let mut world = world(vec![]);
    world.now = time(40);
    // A node whose clock is far off still speaks.
    world.edit::<k8s_openapi::api::coordination::v1::Lease>(&Key::new("kube-node-lease", "n"), |object| {
        object["spec"] = lease(-100_000)["spec"].clone();
    });
    world.deliver_all();
    world.now = time(80);
    assert!(crate::plan(&world.view, &task(), world.now).is_empty());
}

#[test]
fn f15_taints_follow_the_node_and_go_with_their_cause() {
    let mut world = world(vec![]);
    let say = |world: &mut World, status: &str| {
        world.edit::<Node>(&Key::cluster("n"), |node| {
            node["status"]["conditions"][0]["status"] = status.into()
        });
        world.deliver_all();
        step(world);
    };
    say(&mut world, "False");
    assert_eq!(
        taints(&world),
        ["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"]
    );
    say(&mut world, "True");
    assert!(taints(&world).is_empty());
    world.edit::<Node>(&Key::cluster("n"), |node| node["spec"]["unschedulable"] = true.into());
    world.deliver_all();
    step(&mut world);
    assert_eq!(taints(&world), ["node.kubernetes.io/unschedulable:NoSchedule"]);
}

#[test]
fn f15_pods_go_when_their_toleration_runs_out() {
    let tolerating = |name: &str, toleration: Value| {
        let mut pod = running(name, json!({}), "10.244.0.2");
        pod["spec"]["tolerations"] = json!([toleration]);
        pod
    };
    let patient = json!({"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    let forever = json!({"operator": "Exists"});
    let mut world = world(vec![
        running("none", json!({}), "10.244.0.3"),
        tolerating("patient", patient),
        tolerating("forever", forever),
    ]);
    world.now = time(60);
    step(&mut world);
    step(&mut world);
    let going = |world: &World| {
        let pods = world.all::<Pod>().into_iter().filter(crate::pod::is_deleting);
        pods.map(|pod| pod.metadata.name.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(going(&world), ["none"]);
    assert!(world.told.contains(&"TaintManagerEviction: Marking for deletion Pod default/none".to_owned()));
    world.now = time(361);
    step(&mut world);
    assert_eq!(going(&world), ["none", "patient"]);
}
