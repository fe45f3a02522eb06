//! Preemption: who is driven away for whom, what is told, and that it never happens in vain or twice.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{asking, check, task, with};
use crate::world::{World, node, pod, time};
use crate::{Action, Key, Plan};

pub(super) fn ranked(name: &str, priority: i32, cpu: &str) -> Value {
    with(asking(name, json!({"cpu": cpu})), |pod| {
        pod["spec"]["priority"] = priority.into();
        pod["spec"]["schedulerName"] = "default-scheduler".into();
    })
}

/// A pod that runs on a node since this second.
pub(super) fn running(name: &str, priority: i32, cpu: &str, node: &str, since: i64) -> Value {
    with(ranked(name, priority, cpu), |pod| {
        pod["spec"]["nodeName"] = node.into();
        pod["status"] = json!({"phase": "Running", "startTime": time(since)});
    })
}

pub(super) fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &task(), world.now)
}

/// Who is deleted, in order.
pub(super) fn victims(plan: &Plan) -> Vec<&str> {
    let deleted = plan.actions().filter_map(|action| match action {
        Action::Delete { key, .. } => Some(key.name.as_str()),
        _ => None,
    });
    deleted.collect()
}

/// Who goes for the pod `p`, and the node it waits for.
fn goes(objects: Vec<Value>, node: Option<&str>, expected: &[&str]) {
    let mut world = World::with(objects);
    let planned = plan(&world);
    assert_eq!(victims(&planned), expected);
    world.carry(&planned);
    let p = world.get::<Pod>(&Key::new("default", "p")).unwrap();
    assert_eq!(super::super::preempt::nominated(&p), node);
    world.deliver_all();
    assert_eq!(plan(&world).actions().count(), 0, "once is enough");
}

#[test]
fn the_least_important_goes_and_the_pod_takes_its_place() {
    let objects =
        vec![node("n"), running("low", 1, "2", "n", 0), running("mid", 5, "2", "n", 0), ranked("p", 10, "2")];
    let mut world = World::with(objects);
    let planned = plan(&world);
    assert_eq!(victims(&planned), ["low"]);
    world.carry(&planned);
    let uid = world.get::<Pod>(&Key::new("default", "p")).unwrap().metadata.uid.unwrap();
    assert!(world.told.contains(&format!("Preempted: Preempted by pod {uid} on node n")), "{:?}", world.told);
    assert!(
        world.told.contains(&"FailedScheduling: 0/1 nodes are available: 1 Insufficient cpu.".to_owned()),
        "{:?}",
        world.told
    );
    let low = world.get::<Pod>(&Key::new("default", "low")).unwrap();
    let target = crate::pod::condition(&low, "DisruptionTarget").unwrap();
    assert_eq!(
        (target.status.as_str(), target.reason.as_deref(), target.message.as_deref()),
        (
            "True",
            Some("PreemptionByScheduler"),
            Some("default-scheduler: preempting to accommodate a higher priority pod")
        )
    );
    world.settle(|_| {});
    let p = world.get::<Pod>(&Key::new("default", "p")).unwrap();
    assert_eq!(crate::pod::node(&p), Some("n"));
    assert!(
        world.get::<Pod>(&Key::new("default", "mid")).is_some()
            && world.get::<Pod>(&Key::new("default", "low")).is_none()
    );
}

#[test]
fn only_as_many_go_as_must_the_youngest_first() {
    let full = || {
        vec![
            node("n"),
            running("a", 1, "1", "n", 0),
            running("b", 1, "1", "n", 50),
            running("c", 1, "2", "n", 20),
        ]
    };
    goes([full(), vec![ranked("p", 10, "1")]].concat(), Some("n"), &["b"]);
    goes([full(), vec![ranked("p", 10, "2")]].concat(), Some("n"), &["c"]);
    goes([full(), vec![ranked("p", 10, "4")]].concat(), Some("n"), &["a", "c", "b"]);
}

#[test]
fn of_several_nodes_the_one_that_loses_least() {
    let nodes = || vec![node("m"), node("n")];
    let on = |m: Vec<Value>, n: Vec<Value>| [nodes(), m, n, vec![ranked("p", 10, "4")]].concat();
    // The lowest of the highest priorities.
    let two = |node: &str, first: i32, second: i32| {
        vec![
            running(&format!("{node}1"), first, "2", node, 0),
            running(&format!("{node}2"), second, "2", node, 0),
        ]
    };
    goes(on(two("m", 5, 1), two("n", 4, 4)), Some("n"), &["n1", "n2"]);
    // The least sum.
    goes(on(two("m", 4, 3), two("n", 4, 1)), Some("n"), &["n1", "n2"]);
    // The fewest: sums count every pod.
    goes(on(two("m", 4, 4), vec![running("n1", 4, "4", "n", 0)]), Some("n"), &["n1"]);
    // The latest start.
    let alone = |node: &str, since: i64| vec![running(&format!("{node}1"), 4, "4", node, since)];
    goes(on(alone("m", 0), alone("n", 9)), Some("n"), &["n1"]);
    goes(on(alone("m", 9), alone("n", 9)), Some("m"), &["m1"]);
}

#[test]
fn equals_stay_and_the_modest_wait() {
    let full = |priority: i32| vec![node("n"), running("a", priority, "4", "n", 0)];
    check([full(10), vec![ranked("p", 10, "1")]].concat(), Err(&super::crowded("Insufficient cpu")));
    let modest = with(ranked("p", 10, "1"), |pod| pod["spec"]["preemptionPolicy"] = "Never".into());
    let why = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.";
    check([full(1), vec![modest]].concat(), Err(why));
    // Nobody goes where it would not help: the node's others are too important.
    let crowd =
        vec![node("n"), running("a", 20, "3", "n", 0), running("b", 1, "1", "n", 0), ranked("p", 10, "2")];
    let why = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Insufficient cpu.";
    check(crowd, Err(why));
}

/// Room that is made for one is nobody else's, and no second lot goes while the first takes its time.
#[test]
fn what_is_made_free_is_kept_for_whom_it_was_made() {
    let objects = vec![node("n"), running("low", 1, "4", "n", 0), ranked("p", 10, "3"), ranked("q", 5, "3")];
    let mut world = World::with(objects);
    world.settle(|world| {
        let q = world.get::<Pod>(&Key::new("default", "q")).unwrap();
        assert_eq!(crate::pod::node(&q), None);
    });
    assert_eq!(crate::pod::node(&world.get::<Pod>(&Key::new("default", "p")).unwrap()), Some("n"));
    // Two of the same rank: one victim is not promised twice.
    let objects = vec![
        node("n"),
        running("a", 1, "2", "n", 0),
        running("b", 1, "2", "n", 0),
        ranked("p", 10, "2"),
        ranked("q", 10, "2"),
    ];
    let mut world = World::with(objects);
    assert_eq!(victims(&plan(&world)).len(), 2);
    world.settle(|_| {});
    for name in ["p", "q"] {
        assert_eq!(crate::pod::node(&world.get::<Pod>(&Key::new("default", name)).unwrap()), Some("n"));
    }
}

/// Who stands in the way by rule instead of by size goes, too.
#[test]
fn anti_affinity_spread_and_ports_can_be_cleared() {
    let labelled =
        || with(node("n"), |node| node["metadata"]["labels"] = json!({"kubernetes.io/hostname": "n"}));
    let low =
        || with(running("low", 1, "1", "n", 0), |pod| pod["metadata"]["labels"] = json!({"app": "web"}));
    let term =
        json!({"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"});
    let shy = with(ranked("p", 10, "1"), |pod| {
        pod["spec"]["affinity"] =
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term.clone()]}})
    });
    goes(vec![labelled(), low(), shy], Some("n"), &["low"]);
    let even = with(ranked("p", 10, "1"), |pod| {
        pod["metadata"]["labels"] = json!({"app": "web"});
        pod["spec"]["topologySpreadConstraints"] = json!([{"maxSkew": 1, "minDomains": 2, "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}])
    });
    let mut world = World::with(vec![labelled(), low(), even]);
    assert_eq!(victims(&plan(&world)), ["low"]);
    world.settle(|_| {});
    assert_eq!(crate::pod::node(&world.get::<Pod>(&Key::new("default", "p")).unwrap()), Some("n"));
    let port = |pod: &mut Value| {
        pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 80, "hostPort": 80}])
    };
    goes(vec![labelled(), with(low(), port), with(ranked("p", 10, "1"), port)], Some("n"), &["low"]);
}

/// A nomination that leads nowhere any more is taken back.
#[test]
fn a_vain_hope_is_given_up() {
    let hoping = with(ranked("p", 10, "9"), |pod| pod["status"] = json!({"nominatedNodeName": "n"}));
    goes(vec![node("n"), hoping], None, &[]);
}

/// Over random clusters: all that fits in the end runs, and nobody important ever goes for somebody less so.
#[test]
fn whatever_happens_the_important_run() {
    for seed in 1..=30 {
        let mut world = World::new(seed);
        for name in ["l", "m", "n"] {
            world.create(node(name)).unwrap();
        }
        for number in 0..12 {
            let priority = world.random.below(4) as i32;
            world.create(ranked(&format!("p{number:02}"), priority, "2")).unwrap();
        }
        world.settle(|_| {});
        let (mut bound, mut waiting) = (Vec::new(), Vec::new());
        for pod in world.all::<Pod>() {
            let priority = pod.spec.as_ref().unwrap().priority.unwrap();
            if crate::pod::node(&pod).is_some() { bound.push(priority) } else { waiting.push(priority) }
        }
        assert_eq!(bound.len(), 6, "seed {seed}");
        let least = bound.iter().min().unwrap();
        assert!(waiting.iter().all(|priority| priority <= least), "seed {seed}: {bound:?} {waiting:?}");
        assert_eq!(plan(&world).actions().count(), 0, "seed {seed}");
    }
}

/// The gated wait for their gates, whatever their rank.
#[test]
fn the_gated_drive_nobody_away() {
    let gated = with(ranked("p", 10, "4"), |pod| pod["spec"]["schedulingGates"] = json!([{"name": "wait"}]));
    let world = World::with(vec![node("n"), running("low", 1, "4", "n", 0), gated, pod("other", json!({}))]);
    assert_eq!(victims(&plan(&world)), Vec::<&str>::new());
}
