//! What is told of balancers besides what is written: differences, hosts, and nothing where upstream is silent.

use k8s_openapi::api::core::v1::{Node, Service};
use serde_json::{Value, json};

use crate::world::{World, node, service};
use crate::{Kept, Key};

const AGAIN: &[&str] =
    &["EnsuringLoadBalancer: Ensuring load balancer", "EnsuredLoadBalancer: Ensured load balancer"];
const NEW_HOSTS: &[&str] = &["UpdatedLoadBalancer: Updated load balancer with new hosts"];
const NO_HOSTS: &[&str] = &["UnAvailableLoadBalancer: There are no available nodes for LoadBalancer"];

/// A node and a Service that has its address; nothing told yet.
fn world() -> World {
    let mut world = World::new(1);
    world.view.settings.load_balancer_pools = vec!["10.10.0.0/29".parse().unwrap()];
    for object in [node("n"), service("web", json!({"type": "LoadBalancer", "ports": [{"port": 80}]}))] {
        world.create(object).unwrap();
    }
    world.settle(|_| {});
    world.told.clear();
    world
}

fn check(world: &mut World, expected: &[&str]) {
    world.settle(|_| {});
    assert_eq!(world.told, expected);
    world.told.clear();
}

/// A10.4: what makes upstream ensure a balancer again, and what does not.
#[test]
fn differences_ensure_again_a10_4() {
    let differs = |change: fn(&mut Value), expected: &[&str]| {
        let mut world = world();
        world.edit::<Service>(&Key::new("default", "web"), change);
        check(&mut world, expected);
    };
    differs(|web| web["spec"]["ports"][0]["port"] = 81.into(), AGAIN);
    differs(|web| web["spec"]["ports"][0]["targetPort"] = "http".into(), AGAIN);
    differs(|web| web["spec"]["sessionAffinity"] = "ClientIP".into(), AGAIN);
    differs(|web| web["spec"]["externalTrafficPolicy"] = "Local".into(), AGAIN);
    differs(|web| web["spec"]["loadBalancerSourceRanges"] = json!(["10.0.0.0/8"]), AGAIN);
    differs(|web| web["spec"]["externalIPs"] = json!(["192.0.2.1"]), AGAIN);
    differs(|web| web["spec"]["healthCheckNodePort"] = 30_001.into(), AGAIN);
    differs(|web| web["metadata"]["annotations"] = json!({"a": "b"}), AGAIN);
    differs(|web| web["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]), AGAIN);
    differs(|web| web["spec"]["loadBalancerIP"] = "10.10.0.1".into(), AGAIN);
    differs(|web| web["spec"]["ports"][0]["appProtocol"] = "h2".into(), &[]);
    differs(|web| web["spec"]["selector"] = json!({"app": "web"}), &[]);
    differs(|web| web["metadata"]["labels"] = json!({"a": "b"}), &[]);
}

/// Where the address moves, the plan tells, once.
#[test]
fn a_moved_address_is_told_once_a10_3() {
    let mut world = world();
    world.edit::<Service>(&Key::new("default", "web"), |web| {
        web["spec"]["loadBalancerIP"] = "10.10.0.5".into();
    });
    check(&mut world, AGAIN);
}

/// A Service becomes a balancer's, and is its no more.
#[test]
fn types_come_and_go_a10_3() {
    let mut world = world();
    let typed = |world: &mut World, kind: &str| {
        world.edit::<Service>(&Key::new("default", "web"), |web| web["spec"]["type"] = kind.into());
    };
    typed(&mut world, "ClusterIP");
    let expected =
        &["DeletingLoadBalancer: Deleting load balancer", "DeletedLoadBalancer: Deleted load balancer"];
    check(&mut world, expected);
    typed(&mut world, "LoadBalancer");
    check(&mut world, AGAIN);
}

/// A10.6: hosts more and fewer, by the label and by the node; readiness and taints alone change nothing.
#[test]
fn hosts_come_and_go_a10_6() {
    let mut world = world();
    let key = Key::cluster("m");
    world.create(node("m")).unwrap();
    check(&mut world, NEW_HOSTS);
    world.edit::<Node>(&key, |node| node["status"]["conditions"][0]["status"] = "False".into());
    check(&mut world, &[]);
    world.edit::<Node>(&key, |node| {
        node["spec"]["taints"] = json!([{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]);
    });
    check(&mut world, &[]);
    world.edit::<Node>(&key, |node| node["spec"] = json!({}));
    check(&mut world, &[]);
    let label = |value: Value| {
        move |node: &mut Value| {
            node["metadata"]["labels"] =
                json!({"node.kubernetes.io/exclude-from-external-load-balancers": value})
        }
    };
    world.edit::<Node>(&key, label("".into()));
    check(&mut world, NEW_HOSTS);
    world.edit::<Node>(&key, label("false".into()));
    check(&mut world, NEW_HOSTS);
    world.edit::<Node>(&key, |node| node["spec"] = json!({"providerID": "x://2"}));
    check(&mut world, NEW_HOSTS);
    world.delete(&Node::RESOURCE, &key, None, true);
    check(&mut world, NEW_HOSTS);
    world.delete(&Node::RESOURCE, &Key::cluster("n"), None, true);
    check(&mut world, NO_HOSTS);
}

/// Without a node the address is given all the same, with a warning.
#[test]
fn no_host_is_warned_of_a10_3() {
    let mut world = World::new(1);
    world.view.settings.load_balancer_pools = vec!["10.10.0.0/29".parse().unwrap()];
    world.create(service("web", json!({"type": "LoadBalancer"}))).unwrap();
    world.settle(|_| {});
    assert_eq!(world.told, [AGAIN[0], NO_HOSTS[0], AGAIN[1]]);
}

/// Where no balancer is configured, nothing is told.
#[test]
fn without_a_range_nothing_is_told_a10_1() {
    let mut world = world();
    world.view.settings.load_balancer_pools.clear();
    world.edit::<Service>(&Key::new("default", "web"), |web| web["spec"]["ports"] = json!([{"port": 81}]));
    world.create(node("m")).unwrap();
    check(&mut world, &[]);
}
