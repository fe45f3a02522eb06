//! Schedule: who goes where, and upstream's words for why not.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};

use crate::world::{World, node, pod};
use crate::{Action, Controller, Key, Task};

fn with(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

fn task() -> Task {
    Task::new(Controller::Schedule, Key::default())
}

fn asking(name: &str, requests: Value) -> Value {
    with(pod(name, json!({})), |pod| {
        pod["spec"]["containers"][0]["resources"] = json!({"requests": requests})
    })
}

/// The node that the pod `p` is bound to, or why it is to none.
fn check(objects: Vec<Value>, expected: Result<&str, &str>) {
    let mut world = World::with(objects);
    let plan = crate::plan(&world.view, &task(), world.now);
    let bound = plan.actions().find_map(|action| match action {
        Action::Bind { pod, node, .. } if pod.name == "p" => Some(node.clone()),
        _ => None,
    });
    world.carry(&plan);
    match expected {
        Ok(node) => {
            assert_eq!(bound.as_deref(), Some(node));
            assert!(
                world.told.contains(&format!("Scheduled: Successfully assigned default/p to {node}")),
                "{:?}",
                world.told
            );
        }
        Err(why) => {
            assert_eq!(bound, None);
            assert!(world.told.contains(&format!("FailedScheduling: {why}")), "{:?}", world.told);
            let pod = world.get::<Pod>(&Key::new("default", "p")).unwrap();
            let condition = crate::pod::condition(&pod, "PodScheduled").unwrap();
            assert_eq!(
                (condition.status.as_str(), condition.reason.as_deref(), condition.message.as_deref()),
                ("False", Some("Unschedulable"), Some(why))
            );
            world.deliver_all();
            assert!(
                crate::plan(&world.view, &task(), world.now).is_empty(),
                "said again though nothing changed"
            );
        }
    }
}

fn helpless(reason: &str) -> String {
    format!(
        "0/1 nodes are available: 1 {reason}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
}

fn crowded(reason: &str) -> String {
    format!(
        "0/1 nodes are available: 1 {reason}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
}

#[test]
fn a_pod_goes_where_there_is_room() {
    check(vec![pod("p", json!({}))], Err("no nodes available to schedule pods"));
    check(vec![node("n"), pod("p", json!({}))], Ok("n"));
    check(vec![node("n"), asking("p", json!({"cpu": "5"}))], Err(&helpless("Insufficient cpu")));
    let taken = with(asking("first", json!({"cpu": "3"})), |pod| pod["spec"]["nodeName"] = "n".into());
    check(
        vec![node("n"), taken.clone(), asking("p", json!({"cpu": "1500m"}))],
        Err(&crowded("Insufficient cpu")),
    );
    check(vec![node("n"), taken.clone(), asking("p", json!({"cpu": "1"}))], Ok("n"));
    let done = with(taken, |pod| pod["status"] = json!({"phase": "Succeeded"}));
    check(vec![node("n"), done, asking("p", json!({"cpu": "4"}))], Ok("n"));
    let full = with(node("n"), |node| node["status"]["allocatable"]["pods"] = "0".into());
    check(vec![full, pod("p", json!({}))], Err(&crowded("Too many pods")));
    let both = asking("p", json!({"cpu": "5", "memory": "9Gi"}));
    let why = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";
    check(vec![node("n"), both], Err(why));
}

#[test]
fn selectors_and_affinity_choose_the_node() {
    let labelled =
        || with(node("m"), |node| node["metadata"]["labels"] = json!({"disk": "ssd", "size": "5"}));
    let selecting = |selector: Value| with(pod("p", json!({})), |pod| pod["spec"]["nodeSelector"] = selector);
    check(vec![node("n"), labelled(), selecting(json!({"disk": "ssd"}))], Ok("m"));
    check(
        vec![node("n"), selecting(json!({"disk": "ssd"}))],
        Err(&helpless("node(s) didn't match Pod's node affinity/selector")),
    );
    let requiring = |term: Value| {
        with(pod("p", json!({})), |pod| {
            pod["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}});
        })
    };
    check(
        vec![
            node("n"),
            labelled(),
            requiring(json!({"matchExpressions": [{"key": "size", "operator": "Gt", "values": ["4"]}]})),
        ],
        Ok("m"),
    );
    check(
        vec![
            node("n"),
            labelled(),
            requiring(json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]})),
        ],
        Ok("n"),
    );
    check(
        vec![node("n"), requiring(json!({}))],
        Err(&helpless("node(s) didn't match Pod's node affinity/selector")),
    );
}

#[test]
fn taints_keep_pods_away_unless_tolerated() {
    let tainted = |effect: &str| {
        with(node("n"), |node| {
            node["spec"] = json!({"taints": [{"key": "gpu", "value": "yes", "effect": effect}]})
        })
    };
    check(
        vec![tainted("NoSchedule"), pod("p", json!({}))],
        Err(&helpless("node(s) had untolerated taint(s)")),
    );
    check(vec![tainted("PreferNoSchedule"), pod("p", json!({}))], Ok("n"));
    let tolerating =
        |toleration: Value| with(pod("p", json!({})), |pod| pod["spec"]["tolerations"] = json!([toleration]));
    check(
        vec![
            tainted("NoSchedule"),
            tolerating(json!({"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"})),
        ],
        Ok("n"),
    );
    check(vec![tainted("NoSchedule"), tolerating(json!({"operator": "Exists"}))], Ok("n"));
    check(
        vec![tainted("NoSchedule"), tolerating(json!({"key": "gpu", "value": "no"}))],
        Err(&helpless("node(s) had untolerated taint(s)")),
    );
    let cordoned = with(node("n"), |node| node["spec"] = json!({"unschedulable": true}));
    check(vec![cordoned, pod("p", json!({}))], Err(&helpless("node(s) were unschedulable")));
}

#[test]
fn host_ports_are_given_once_on_a_node() {
    let listening = |name: &str, host_ip: &str| {
        with(pod(name, json!({})), |pod| {
            pod["spec"]["containers"][0]["ports"] =
                json!([{"containerPort": 80, "hostPort": 80, "hostIP": host_ip}]);
        })
    };
    let first = |host_ip: &str| with(listening("first", host_ip), |pod| pod["spec"]["nodeName"] = "n".into());
    check(
        vec![node("n"), first(""), listening("p", "10.0.0.1")],
        Err(&crowded("node(s) didn't have free ports for the requested pod ports")),
    );
    check(vec![node("n"), first("10.0.0.2"), listening("p", "10.0.0.1")], Ok("n"));
}

#[test]
fn others_schedulers_and_gated_pods_are_left_alone() {
    for change in [json!({"schedulerName": "mine"}), json!({"schedulingGates": [{"name": "wait"}]})] {
        let pod = with(pod("p", json!({})), |pod| {
            change.as_object().unwrap().iter().for_each(|(name, value)| pod["spec"][name] = value.clone())
        });
        let world = World::with(vec![node("n"), pod]);
        assert!(crate::plan(&world.view, &task(), world.now).is_empty());
    }
}

#[test]
fn one_plan_counts_what_it_gives_away_and_spreads_siblings() {
    let mut objects = vec![node("n"), node("m")];
    objects.extend((0..4).map(|number| with(asking(&format!("p{number}"), json!({"cpu": "2"})), |pod| {
        pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": true}]);
    })));
    objects.push(asking("q", json!({"cpu": "1"})));
    let world = World::with(objects);
    let plan = crate::plan(&world.view, &task(), world.now);
    let mut per_node = std::collections::BTreeMap::new();
    for action in plan.actions() {
        if let Action::Bind { node, .. } = action {
            *per_node.entry(node.as_str()).or_insert(0) += 1;
        }
    }
    assert_eq!(per_node, [("m", 2), ("n", 2)].into(), "four of two fill both nodes; the fifth finds no room");
}

#[test]
fn room_that_is_made_is_used_and_the_important_come_first() {
    let small = with(node("n"), |node| node["status"]["allocatable"]["cpu"] = "1".into());
    let important = with(asking("important", json!({"cpu": "1"})), |pod| pod["spec"]["priority"] = 10.into());
    let mut world = World::with(vec![small, asking("a", json!({"cpu": "1"})), important]);
    world.settle(|_| {});
    let node_of = |world: &World, name: &str| {
        crate::pod::node(&world.get::<Pod>(&Key::new("default", name)).unwrap()).map(str::to_owned)
    };
    assert_eq!((node_of(&world, "important").as_deref(), node_of(&world, "a")), (Some("n"), None));
    world.edit::<Node>(&Key::cluster("n"), |node| node["status"]["allocatable"]["cpu"] = "2".into());
    world.settle(|_| {});
    assert_eq!(node_of(&world, "a").as_deref(), Some("n"));
}

#[test]
fn starting_steps_and_sidecars_count_as_the_scheduler_counts() {
    let init = |requests: &str, sidecar: bool| {
        with(asking("p", json!({"cpu": "1"})), |pod| {
            pod["spec"]["initContainers"] = json!([
                {"name": "i", "image": "i", "restartPolicy": if sidecar { json!("Always") } else { json!(null) }, "resources": {"requests": {"cpu": requests}}},
            ]);
        })
    };
    check(vec![node("n"), init("4", false)], Ok("n"));
    check(vec![node("n"), init("4", true)], Err(&helpless("Insufficient cpu")));
    check(vec![node("n"), init("3", true)], Ok("n"));
}

fn claiming(claim: &str) -> Value {
    with(pod("p", json!({})), |pod| {
        pod["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": claim}}])
    })
}

fn claim(bound: Option<&str>) -> Value {
    let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "default"},
        "spec": {"storageClassName": "slow", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    if let Some(volume) = bound {
        claim["spec"]["volumeName"] = volume.into();
        claim["metadata"]["annotations"] = json!({"pv.kubernetes.io/bind-completed": "yes"});
    }
    claim
}

fn volume_on(host: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "slow", "local": {"path": "/x"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]}]}}},
        "status": {"phase": "Available"}})
}

fn named_node(name: &str) -> Value {
    with(node(name), |node| node["metadata"]["labels"] = json!({"kubernetes.io/hostname": name}))
}

#[test]
fn volumes_choose_the_node() {
    let whole = |why: &str| {
        format!(
            "0/1 nodes are available: {why}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
    };
    check(vec![node("n"), claiming("c")], Err(&whole("persistentvolumeclaim \"c\" not found")));
    check(
        vec![node("n"), claim(None), claiming("c")],
        Err(&whole("pod has unbound immediate PersistentVolumeClaims")),
    );
    let bound = || vec![claim(Some("v")), claiming("c"), named_node("n")];
    check([bound(), vec![volume_on("n"), named_node("m")]].concat(), Ok("n"));
    check(
        [bound(), vec![volume_on("m")]].concat(),
        Err(&helpless("node(s) didn't match PersistentVolume's node affinity")),
    );
    check(
        bound(),
        Err(&helpless("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)")),
    );
    let class = |provisioner: &str| {
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"},
        "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer"})
    };
    check(
        vec![
            class("kubernetes.io/no-provisioner"),
            claim(None),
            claiming("c"),
            named_node("n"),
            volume_on("m"),
        ],
        Err(&helpless("node(s) didn't find available persistent volumes to bind")),
    );
}

#[test]
fn a_volume_that_waits_for_the_pod_is_promised_before_the_pod_is_bound() {
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "slow"},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"});
    let mut world = World::with(vec![
        class,
        claim(None),
        claiming("c"),
        named_node("m"),
        named_node("n"),
        volume_on("n"),
    ]);
    let plan = crate::plan(&world.view, &task(), world.now);
    assert!(matches!(plan.actions().next(), Some(Action::Patch { key, .. }) if key.name == "v"), "{plan:?}");
    world.settle(|_| {});
    // The first look was not carried out; the tasks that the objects woke have done it all.
    let pod: Pod = world.get(&Key::new("default", "p")).unwrap();
    assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some("n"));
}

#[test]
fn pods_keep_near_and_far_from_others() {
    let rule = |kind: &str, app: &str| {
        json!({kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}]}})
    };
    let ruled = |rule: Value| with(pod("p", json!({"app": "p"})), |pod| pod["spec"]["affinity"] = rule);
    let other = |rule: Option<Value>| {
        with(pod("other", json!({"app": "web"})), |pod| {
            pod["spec"]["nodeName"] = "n".into();
            pod["spec"]["affinity"] = rule.unwrap_or_default();
        })
    };
    let nodes = || vec![named_node("m"), named_node("n")];
    check([nodes(), vec![other(None), ruled(rule("podAffinity", "web"))]].concat(), Ok("n"));
    check([nodes(), vec![other(None), ruled(rule("podAntiAffinity", "web"))]].concat(), Ok("m"));
    check(
        vec![named_node("n"), other(None), ruled(rule("podAntiAffinity", "web"))],
        Err(&crowded("node(s) didn't match pod anti-affinity rules")),
    );
    check(
        vec![named_node("n"), other(None), ruled(rule("podAffinity", "db"))],
        Err(&helpless("node(s) didn't match pod affinity rules")),
    );
    // The first of a kind that seeks its own.
    check(vec![named_node("n"), ruled(rule("podAffinity", "p"))], Ok("n"));
    let hermit = other(Some(rule("podAntiAffinity", "p")));
    check(
        vec![named_node("n"), hermit, ruled(json!({}))],
        Err(&crowded("node(s) didn't satisfy existing pods anti-affinity rules")),
    );
}

#[test]
fn pods_go_where_they_would_rather_be() {
    let liking = |pod: &mut Value| {
        pod["spec"]["affinity"] = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 5, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]}})
    };
    let fast = with(node("z"), |node| node["metadata"]["labels"] = json!({"disk": "ssd"}));
    check(vec![node("a"), fast, with(pod("p", json!({})), liking)], Ok("z"));
    let shy = with(node("a"), |node| {
        node["spec"] = json!({"taints": [{"key": "gpu", "effect": "PreferNoSchedule"}]})
    });
    check(vec![shy, node("b"), pod("p", json!({}))], Ok("b"));
}

mod budgets;
mod preemption;
mod spreading;
