//! EndpointSlice: what is in a slice, how slices are filled, and that nothing is written in vain.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde_json::{Value, json};

use super::MANAGER;
use crate::world::{World, node, running, service, time};
use crate::{Action, Controller, Kept, Key, Task};

fn key() -> Key {
    Key::new("default", "web")
}

fn labels() -> Value {
    json!({"app": "web"})
}

fn selecting(mut spec: Value) -> Value {
    spec["selector"] = labels();
    if spec["ports"].is_null() {
        spec["ports"] = json!([{"port": 80, "targetPort": 8080}]);
    }
    service("web", spec)
}

fn step(world: &mut World) {
    let plan = crate::plan(&world.view, &Task::new(Controller::EndpointSlice, key()), world.now);
    world.carry(&plan);
    world.deliver_all();
}

/// The slices of a world after one step.
fn slices(objects: Vec<Value>) -> Vec<EndpointSlice> {
    let mut world = World::with(objects);
    step(&mut world);
    world.all()
}

fn only(objects: Vec<Value>) -> Endpoint {
    let slices = slices(objects);
    assert_eq!(slices.len(), 1, "{slices:?}");
    let endpoints = slices[0].endpoints.clone().unwrap();
    assert_eq!(endpoints.len(), 1, "{endpoints:?}");
    endpoints.into_iter().next().unwrap()
}

fn with(mut object: Value, change: impl FnOnce(&mut Value)) -> Value {
    change(&mut object);
    object
}

fn web(number: usize) -> Value {
    running(&format!("web-{number}"), labels(), &format!("10.244.{}.{}", number / 250, number % 250 + 1))
}

#[test]
fn b1_1_services_without_selector_or_with_external_name_have_no_slices() {
    assert!(slices(vec![node("n"), web(1), service("web", json!({}))]).is_empty());
    assert!(slices(vec![node("n"), web(1), service("web", json!({"selector": {}}))]).is_empty());
    assert!(slices(vec![node("n"), web(1), selecting(json!({"type": "ExternalName"}))]).is_empty());
}

#[test]
fn b1_2_one_set_of_slices_a_family_and_those_of_a_family_left_go() {
    let dual =
        with(web(1), |pod| pod["status"]["podIPs"] = json!([{"ip": "10.244.0.2"}, {"ip": "fd00:0::1"}]));
    let mut world = World::with(vec![node("n"), dual, selecting(json!({"ipFamilies": ["IPv4", "IPv6"]}))]);
    step(&mut world);
    let found: BTreeSet<(String, String)> = world
        .all::<EndpointSlice>()
        .into_iter()
        .map(|slice| (slice.address_type.clone(), slice.endpoints.unwrap()[0].addresses[0].clone()))
        .collect();
    assert_eq!(found, [("IPv4".into(), "10.244.0.2".into()), ("IPv6".into(), "fd00::1".into())].into());
    world.edit::<Service>(&key(), |service| service["spec"]["ipFamilies"] = json!(["IPv4"]));
    world.deliver_all();
    step(&mut world);
    assert_eq!(
        world.all::<EndpointSlice>().iter().map(|slice| slice.address_type.as_str()).collect::<Vec<_>>(),
        ["IPv4"]
    );
}

/// The conditions (ready, serving, terminating) of a pod's endpoint.
fn check_conditions(pod_ready: bool, deleting: bool, publish: bool, expected: (bool, bool, bool)) {
    let pod = with(web(1), |pod| {
        pod["status"]["conditions"][0]["status"] = if pod_ready { "True" } else { "False" }.into();
        if deleting {
            pod["metadata"]["deletionTimestamp"] = json!(time(30));
        }
    });
    let endpoint = only(vec![node("n"), pod, selecting(json!({"publishNotReadyAddresses": publish}))]);
    let conditions = endpoint.conditions.unwrap();
    assert_eq!(
        (conditions.ready, conditions.serving, conditions.terminating),
        (Some(expected.0), Some(expected.1), Some(expected.2))
    );
}

#[test]
fn b1_3_and_b1_4_conditions_follow_readiness_and_deletion() {
    check_conditions(true, false, false, (true, true, false));
    check_conditions(false, false, false, (false, false, false));
    check_conditions(true, true, false, (false, true, true));
    check_conditions(false, true, false, (false, false, true));
    check_conditions(false, true, true, (true, false, true));
    let done = with(web(1), |pod| pod["status"]["phase"] = "Succeeded".into());
    let slices = slices(vec![node("n"), done, selecting(json!({}))]);
    assert_eq!(slices[0].endpoints, Some(Vec::new()));
}

#[test]
fn b1_5_an_endpoint_says_where_it_is_and_who() {
    let zoned =
        with(node("n"), |node| node["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "east"}));
    let named = with(web(1), |pod| {
        pod["spec"]["hostname"] = "first".into();
        pod["spec"]["subdomain"] = "web".into();
        pod["metadata"]["uid"] = "u1".into();
    });
    let endpoint = only(vec![zoned, named, selecting(json!({}))]);
    assert_eq!(endpoint.addresses, ["10.244.0.2"]);
    assert_eq!((endpoint.zone.as_deref(), endpoint.node_name.as_deref()), (Some("east"), Some("n")));
    assert_eq!(endpoint.hostname.as_deref(), Some("first"));
    let target = endpoint.target_ref.unwrap();
    assert_eq!(
        (target.kind.as_deref(), target.name.as_deref(), target.uid.as_deref()),
        (Some("Pod"), Some("web-1"), Some("u1"))
    );
    assert_eq!(target.resource_version, None);
}

#[test]
fn b1_6_a_pod_on_an_unknown_node_waits_for_it() {
    let mut world = World::with(vec![web(1), selecting(json!({}))]);
    step(&mut world);
    assert_eq!(world.all::<EndpointSlice>()[0].endpoints, Some(Vec::new()));
    world.create(node("n")).unwrap();
    world.settle(|_| {});
    assert_eq!(world.all::<EndpointSlice>()[0].endpoints.as_ref().unwrap().len(), 1);
}

#[test]
fn b1_7_named_ports_are_looked_up_by_name_and_protocol_sidecars_included() {
    let named = with(web(1), |pod| {
        pod["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": 8081}]);
        pod["spec"]["initContainers"] = json!([{"name": "s", "image": "s", "restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 9000}]}]);
    });
    let spec = json!({"ports": [
        {"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 90, "targetPort": "side"},
        {"name": "c", "port": 91, "targetPort": "http", "protocol": "UDP"}, {"name": "d", "port": 92, "targetPort": "missing"},
        {"name": "e", "port": 93, "appProtocol": "h2c"},
    ]});
    let slices = slices(vec![node("n"), named, selecting(spec)]);
    let ports: Vec<_> = slices[0]
        .ports
        .clone()
        .unwrap()
        .into_iter()
        .map(|port| (port.name.unwrap(), port.port.unwrap(), port.protocol.unwrap(), port.app_protocol))
        .collect();
    let tcp = || "TCP".to_owned();
    assert_eq!(
        ports,
        [
            ("a".into(), 8081, tcp(), None),
            ("b".into(), 9000, tcp(), None),
            ("e".into(), 93, tcp(), Some("h2c".to_owned()))
        ]
    );
}

#[test]
fn b1_8_pods_with_other_ports_stand_in_other_slices() {
    let port = |number: usize, port: i32| {
        with(web(number), |pod| {
            pod["spec"]["containers"][0]["ports"] = json!([{"name": "http", "containerPort": port}])
        })
    };
    let found = slices(vec![
        node("n"),
        port(1, 8080),
        port(2, 9090),
        port(3, 8080),
        selecting(json!({"ports": [{"port": 80, "targetPort": "http"}]})),
    ]);
    let mut sizes: Vec<(i32, usize)> = found
        .iter()
        .map(|slice| {
            (slice.ports.as_ref().unwrap()[0].port.unwrap(), slice.endpoints.as_ref().unwrap().len())
        })
        .collect();
    sizes.sort();
    assert_eq!(sizes, [(8080, 2), (9090, 1)]);
}

#[test]
fn b1_9_and_b1_11_headless_without_ports_and_no_pods_at_all() {
    let headless = selecting(json!({"clusterIP": "None", "ports": []}));
    let found = slices(vec![node("n"), web(1), headless]);
    assert_eq!((found[0].ports.clone(), found[0].endpoints.as_ref().unwrap().len()), (Some(Vec::new()), 1));
    assert_eq!(found[0].metadata.labels.as_ref().unwrap()["service.kubernetes.io/headless"], "");
    let empty = slices(vec![node("n"), selecting(json!({}))]);
    assert_eq!(
        (empty.len(), &empty[0].ports, &empty[0].endpoints),
        (1, &Some(Vec::new()), &Some(Vec::new()))
    );
}

/// How many endpoints each slice holds, largest first.
fn sizes(world: &World) -> Vec<usize> {
    let mut sizes: Vec<usize> =
        world.all::<EndpointSlice>().iter().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect();
    sizes.sort_by(|one, other| other.cmp(one));
    sizes
}

#[test]
fn b1_10_slices_are_filled_and_never_rebalanced() {
    let mut objects = vec![node("n"), selecting(json!({}))];
    objects.extend((0..250).map(web));
    let mut world = World::with(objects);
    step(&mut world);
    assert_eq!(sizes(&world), [100, 100, 50]);
    for number in 0..95 {
        world.delete(&Pod::RESOURCE, &Key::new("default", format!("web-{number}")), None, true);
    }
    world.deliver_all();
    step(&mut world);
    let before = sizes(&world);
    assert_eq!((before.len(), before.iter().sum::<usize>()), (3, 155), "nothing is moved: {before:?}");
    world.create(web(300)).unwrap();
    world.deliver_all();
    let names: BTreeSet<_> =
        world.all::<EndpointSlice>().into_iter().map(|slice| slice.metadata.name).collect();
    let plan = crate::plan(&world.view, &Task::new(Controller::EndpointSlice, key()), world.now);
    assert_eq!(plan.actions().count(), 1, "one endpoint costs one write");
    world.carry(&plan);
    assert_eq!(names, world.all::<EndpointSlice>().into_iter().map(|slice| slice.metadata.name).collect());
}

#[test]
fn b1_12_a_slice_to_go_becomes_the_one_to_come() {
    let mut world = World::with(vec![node("n"), selecting(json!({}))]);
    step(&mut world);
    let name = world.all::<EndpointSlice>()[0].metadata.name.clone();
    world.create(web(1)).unwrap();
    world.deliver_all();
    step(&mut world);
    let slices = world.all::<EndpointSlice>();
    assert_eq!((slices.len(), &slices[0].metadata.name), (1, &name));
    assert_eq!(slices[0].ports.as_ref().unwrap()[0].port, Some(8080));
}

#[test]
fn b1_13_to_b1_15_slices_are_named_labelled_and_owned() {
    let labelled = with(selecting(json!({})), |service| {
        service["metadata"]["labels"] = json!({"team": "a", "kubernetes.io/service-name": "lie"});
        service["metadata"]["uid"] = "s1".into();
    });
    let slice = slices(vec![node("n"), web(1), labelled]).remove(0);
    let name = slice.metadata.name.unwrap();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    let expected = json!({"team": "a", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": MANAGER});
    assert_eq!(json!(slice.metadata.labels), expected);
    let owner = slice.metadata.owner_references.unwrap().remove(0);
    assert_eq!(
        (owner.kind.as_str(), owner.uid.as_str(), owner.controller, owner.block_owner_deletion),
        ("Service", "s1", Some(true), Some(true))
    );
}

#[test]
fn b1_15_and_b1_19_slices_of_an_earlier_service_go_and_edits_are_undone() {
    let mut world = World::with(vec![node("n"), web(1), selecting(json!({}))]);
    step(&mut world);
    let name = Key::new("default", world.all::<EndpointSlice>()[0].metadata.name.clone().unwrap());
    world.edit::<EndpointSlice>(&name, |slice| slice["endpoints"] = json!([]));
    world.deliver_all();
    step(&mut world);
    assert_eq!(sizes(&world), [1]);
    world.edit::<EndpointSlice>(&name, |slice| {
        slice["metadata"]["ownerReferences"][0]["uid"] = "earlier".into()
    });
    world.deliver_all();
    step(&mut world);
    assert!(world.get::<EndpointSlice>(&name).is_none(), "the slice of another Service stays");
    assert_eq!(sizes(&world), [1]);
}

#[test]
fn b1_16_the_time_of_the_change_is_noted() {
    let mut world = World::with(vec![node("n"), web(1), selecting(json!({}))]);
    step(&mut world);
    let note = |world: &World| {
        world.all::<EndpointSlice>()[0]
            .metadata
            .annotations
            .clone()
            .unwrap_or_default()
            .get("endpoints.kubernetes.io/last-change-trigger-time")
            .cloned()
    };
    assert_eq!(note(&world), Some(time(0).to_string()));
    world.edit::<Pod>(&Key::new("default", "web-1"), |pod| {
        pod["status"]["conditions"][0] =
            json!({"type": "Ready", "status": "False", "lastTransitionTime": time(77)});
    });
    world.deliver_all();
    step(&mut world);
    assert_eq!(note(&world), Some(time(77).to_string()));
}

#[test]
fn b1_17_a_service_that_is_going_gets_nothing_new() {
    let going = with(selecting(json!({})), |service| {
        service["metadata"]["deletionTimestamp"] = json!(time(0));
        service["metadata"]["finalizers"] = json!(["x"]);
    });
    assert!(slices(vec![node("n"), web(1), going]).is_empty());
}

fn check_hints(distribution: Value, annotations: Value, zone: bool, expected: Value) {
    let zoned = with(node("n"), |node| {
        if zone {
            node["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": "east"});
        }
    });
    let owner = with(selecting(json!({"trafficDistribution": distribution})), |service| {
        service["metadata"]["annotations"] = annotations
    });
    assert_eq!(json!(only(vec![zoned, web(1), owner]).hints), expected);
}

#[test]
fn b2_1_b2_2_b2_4_hints_follow_the_traffic_distribution() {
    let zone = json!({"forZones": [{"name": "east"}]});
    check_hints(json!("PreferClose"), Value::Null, true, zone.clone());
    check_hints(json!("PreferSameZone"), Value::Null, true, zone);
    check_hints(
        json!("PreferSameNode"),
        Value::Null,
        true,
        json!({"forNodes": [{"name": "n"}], "forZones": [{"name": "east"}]}),
    );
    check_hints(json!("PreferClose"), Value::Null, false, Value::Null);
    check_hints(Value::Null, Value::Null, true, Value::Null);
    check_hints(
        json!("PreferClose"),
        json!({"service.kubernetes.io/topology-mode": "Auto"}),
        true,
        Value::Null,
    );
}

#[test]
fn f20_a_pod_relabelled_leaves_at_once() {
    let mut world = World::with(vec![node("n"), web(1), selecting(json!({}))]);
    world.settle(|_| {});
    assert_eq!(sizes(&world), [1]);
    world.edit::<Pod>(&Key::new("default", "web-1"), |pod| {
        pod["metadata"]["labels"] = json!({"app": "other"})
    });
    world.settle(|_| {});
    assert_eq!(sizes(&world), [0]);
}

/// Whatever happens to pods, Service and node, the slices end up holding each pod once, within the limit,
/// and every step but the last finds something to do.
#[test]
fn slices_always_end_up_holding_each_pod_once() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.view.settings.max_endpoints_per_slice = 3;
        world.create(node("n")).unwrap();
        world.create(selecting(json!({}))).unwrap();
        for _ in 0..250 {
            world.step(disturb);
        }
        world.settle(|_| {});
        let mut found: Vec<String> = Vec::new();
        for slice in world.all::<EndpointSlice>() {
            let endpoints = slice.endpoints.unwrap();
            assert!(endpoints.len() <= 3, "seed {seed}");
            found.extend(endpoints.into_iter().map(|endpoint| endpoint.target_ref.unwrap().name.unwrap()));
        }
        found.sort();
        let pods = world.all::<Pod>();
        let chosen = |pod: &&Pod| pod.metadata.labels.as_ref().is_some_and(|labels| labels["app"] == "web");
        let mut expected: Vec<String> =
            pods.iter().filter(chosen).map(|pod| pod.metadata.name.clone().unwrap()).collect();
        expected.sort();
        assert_eq!(found, expected, "seed {seed}");
        assert_eq!(world.plans_left(), [], "seed {seed}");
    }
}

fn disturb(world: &mut World) {
    let number = world.random.below(12);
    let name = Key::new("default", format!("web-{number}"));
    match world.random.below(5) {
        0 | 1 => drop(world.create(web(number))),
        2 => world.delete(&Pod::RESOURCE, &name, None, true),
        3 => {
            let app = if world.random.below(2) == 0 { "web" } else { "other" };
            world.edit::<Pod>(&name, |pod| pod["metadata"]["labels"]["app"] = app.into());
        }
        _ => {
            let zone = format!("z{}", world.random.below(2));
            world.edit::<Node>(&Key::cluster("n"), |node| {
                node["metadata"]["labels"] = json!({"topology.kubernetes.io/zone": zone})
            });
        }
    }
}

#[test]
fn an_unchanged_world_costs_no_write() {
    let mut world = World::with(vec![
        node("n"),
        web(1),
        web(2),
        selecting(json!({"trafficDistribution": "PreferClose"})),
    ]);
    step(&mut world);
    let plan = crate::plan(&world.view, &Task::new(Controller::EndpointSlice, key()), world.now);
    assert!(plan.actions().next().is_none(), "{:?}", plan.actions().collect::<Vec<&Action>>());
}
