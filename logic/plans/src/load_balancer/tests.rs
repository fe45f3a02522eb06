//! LoadBalancer: addresses given, kept, moved and taken back (A10), and never two holders whatever happens.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Service};
use serde_json::{Value, json};

use super::{FINALIZER, Pool};
use crate::plan::Plan;
use crate::world::{World, node, service, time};
use crate::{Controller, Kept, Key, Task};

const POOL: &str = "10.10.0.0/29";

fn world(pools: &[&str], objects: Vec<Value>) -> World {
    let mut world = World::new(1);
    world.view.settings.load_balancer_pools = pools.iter().map(|text| text.parse().unwrap()).collect();
    objects.into_iter().for_each(|object| drop(world.create(object).unwrap()));
    world
}

fn settled(pools: &[&str], objects: Vec<Value>) -> World {
    let mut world = world(pools, objects);
    world.settle(|_| {});
    world
}

fn balancer(name: &str) -> Value {
    service(name, json!({"type": "LoadBalancer"}))
}

fn asking(name: &str, address: &str) -> Value {
    service(name, json!({"type": "LoadBalancer", "loadBalancerIP": address}))
}

fn key(name: &str) -> Key {
    Key::new("default", name)
}

fn plan(world: &World) -> Plan {
    crate::plan(&world.view, &Task::new(Controller::LoadBalancer, Key::default()), world.now)
}

fn addresses(service: &Service) -> Vec<String> {
    super::addresses(service).map(|address| address.to_string()).collect()
}

/// The Services with their addresses and whether they are held: `web 10.10.0.1 held`.
fn check(world: &World, expected: &[&str]) {
    let line = |service: &Service| {
        let name = service.metadata.name.clone().unwrap();
        let address = addresses(service).first().cloned().unwrap_or_else(|| "<pending>".to_owned());
        format!("{name} {address}{}", if super::has_finalizer(service) { " held" } else { "" })
    };
    let found: Vec<String> = world.all::<Service>().iter().map(line).collect();
    assert_eq!(found, expected);
}

/// What was told, in order, without repetition.
fn told(world: &World) -> Vec<&str> {
    let mut told: Vec<&str> = world.told.iter().map(String::as_str).collect();
    told.dedup();
    told
}

/// A10.1–A10.3: address, mode and finalizer in one write, and upstream's two events.
#[test]
fn an_address_is_given() {
    let world = settled(&[POOL], vec![node("n"), balancer("web"), service("plain", json!({}))]);
    check(&world, &["plain <pending>", "web 10.10.0.1 held"]);
    let web = world.get::<Service>(&key("web")).unwrap();
    assert_eq!(
        json!(web.status),
        json!({"loadBalancer": {"ingress": [{"ip": "10.10.0.1", "ipMode": "VIP"}]}})
    );
    assert_eq!(web.metadata.finalizers, Some(vec![FINALIZER.to_owned()]));
    let expected =
        ["EnsuringLoadBalancer: Ensuring load balancer", "EnsuredLoadBalancer: Ensured load balancer"];
    assert_eq!(told(&world), expected);
    assert!(plan(&world).is_empty());
    assert_eq!(Controller::LoadBalancer.component(), "service-controller");
}

/// A10.1: without a pool it stays `<pending>`; a class makes it another's.
#[test]
fn what_is_not_ours_is_left_alone() {
    let mut world = settled(&[], vec![balancer("web")]);
    check(&world, &["web <pending>"]);
    assert!(plan(&world).is_empty());
    let class = json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/other"});
    world = settled(&[POOL], vec![service("classy", class)]);
    check(&world, &["classy <pending>"]);
    assert!(world.told.is_empty());
}

#[test]
fn a_requested_address_is_honoured() {
    let world = settled(&[POOL], vec![asking("a", "10.10.0.5"), balancer("b"), asking("c", "10.10.0.2")]);
    check(&world, &["a 10.10.0.5 held", "b 10.10.0.1 held", "c 10.10.0.2 held"]);
}

/// A10.3: why not, in the Warning; what it has it keeps.
#[test]
fn a_request_that_cannot_be_met_says_why() {
    let check = |wanted: &str, why: &str| {
        let mut world =
            settled(&[POOL, "10.20.0.0/30"], vec![node_at("10.10.0.4"), asking("first", "10.10.0.5")]);
        world.create(balancer("web")).unwrap();
        world.settle(|_| {});
        world.told.clear();
        world.edit::<Service>(&key("web"), |web| web["spec"]["loadBalancerIP"] = wanted.into());
        world.deliver_all();
        let planned = plan(&world);
        assert_eq!(planned.actions().count(), 0);
        assert_eq!(planned.requeue_after, Some(super::AGAIN));
        let why = format!("Error syncing load balancer: failed to ensure load balancer: {why}");
        assert_eq!(planned.reasons.last().map(|reason| reason.message.as_str()), Some(why.as_str()));
        assert_eq!(planned.reasons.last().map(|reason| reason.reason), Some("SyncLoadBalancerFailed"));
        assert_eq!(addresses(&world.get::<Service>(&key("web")).unwrap()), ["10.10.0.1"]);
    };
    check("10.10.0.5", "loadBalancerIP 10.10.0.5 is already held by Service default/first");
    check("10.10.0.4", "loadBalancerIP 10.10.0.4 is already an address of node n");
    for outside in ["10.10.0.0", "10.10.0.7", "10.10.0.8", "192.0.2.1", "fd00::1"] {
        check(outside, &format!("loadBalancerIP {outside} is not in the range 10.10.0.0/29, 10.20.0.0/30"));
    }
    check("ten", "loadBalancerIP \"ten\" is not an IP address");
}

fn node_at(address: &str) -> Value {
    let mut node = node("n");
    node["status"]["addresses"] = json!([{"type": "InternalIP", "address": address}]);
    node
}

#[test]
fn another_request_moves_the_address() {
    let mut world = settled(&[POOL], vec![balancer("web")]);
    world.edit::<Service>(&key("web"), |web| web["spec"]["loadBalancerIP"] = "10.10.0.3".into());
    world.settle(|_| {});
    check(&world, &["web 10.10.0.3 held"]);
    world.edit::<Service>(&key("web"), |web| web["spec"]["loadBalancerIP"] = Value::Null);
    world.settle(|_| {});
    check(&world, &["web 10.10.0.3 held"]);
}

/// An exhausted pool says so, and whoever waits is served when something becomes free.
#[test]
fn an_exhausted_pool_says_so_and_recovers() {
    let mut world = settled(&["10.10.0.0/30"], vec![balancer("a"), balancer("b"), balancer("c")]);
    check(&world, &["a 10.10.0.1 held", "b 10.10.0.2 held", "c <pending>"]);
    let expected = "SyncLoadBalancerFailed: Error syncing load balancer: failed to ensure load balancer: no address is left in 10.10.0.0/30";
    assert!(world.told.iter().any(|told| told == expected), "{:?}", world.told);
    assert_eq!(plan(&world).requeue_after, Some(super::AGAIN));
    world.delete(&Service::RESOURCE, &key("a"), None, false);
    world.settle(|_| {});
    check(&world, &["b 10.10.0.2 held", "c 10.10.0.1 held"]);
    assert!(plan(&world).is_empty());
}

#[test]
fn pools_are_used_in_order_and_by_family() {
    let mut six = balancer("six");
    six["spec"]["ipFamilies"] = json!(["IPv6"]);
    let objects = vec![balancer("a"), balancer("b"), six.clone()];
    let world = settled(&["10.10.0.9/32", "10.20.0.0/30", "fd00::/120"], objects);
    check(&world, &["a 10.10.0.9 held", "b 10.20.0.1 held", "six fd00::1 held"]);
    let world = settled(&[POOL], vec![six]);
    let expected = "no range of IPv6 addresses is configured, only 10.10.0.0/29";
    assert!(world.told.last().unwrap().ends_with(expected), "{:?}", world.told);
}

/// A node's own addresses and external addresses of Services are in use, too.
#[test]
fn addresses_that_lead_elsewhere_are_not_given() {
    let external = service("external", json!({"externalIPs": ["10.10.0.2"]}));
    let mut world = settled(&[POOL], vec![node_at("10.10.0.1"), external]);
    world.create(balancer("web")).unwrap();
    world.settle(|_| {});
    check(&world, &["external <pending>", "web 10.10.0.3 held"]);
    world.edit::<Node>(&Key::cluster("n"), |node| node["status"]["addresses"] = json!([]));
    world.deliver_all();
    world.create(balancer("more")).unwrap();
    world.settle(|_| {});
    check(&world, &["external <pending>", "more 10.10.0.1 held", "web 10.10.0.3 held"]);
}

/// A10.2: of another type, it loses both; the API has cleared the status by then (A7.4) or has not.
#[test]
fn another_type_gives_the_address_back() {
    for cleared in [true, false] {
        let mut world = settled(&[POOL], vec![balancer("web")]);
        world.told.clear();
        world.edit::<Service>(&key("web"), |web| {
            web["spec"]["type"] = "NodePort".into();
            if cleared {
                web["status"] = json!({"loadBalancer": {}});
            }
        });
        world.settle(|_| {});
        check(&world, &["web <pending>"]);
        let expected =
            ["DeletingLoadBalancer: Deleting load balancer", "DeletedLoadBalancer: Deleted load balancer"];
        assert_eq!(told(&world), expected);
        assert!(plan(&world).is_empty());
    }
}

/// A10.2: a deleted Service waits for the finalizer alone, also where pools are no longer configured.
#[test]
fn a_deleted_service_is_let_go() {
    for pools in [&[POOL][..], &[]] {
        let mut world = settled(&[POOL], vec![balancer("web")]);
        world.told.clear();
        world.view.settings.load_balancer_pools = pools.iter().map(|text| text.parse().unwrap()).collect();
        world.delete(&Service::RESOURCE, &key("web"), None, false);
        assert!(world.get::<Service>(&key("web")).is_some());
        world.settle(|_| {});
        assert!(world.get::<Service>(&key("web")).is_none());
        let expected =
            ["DeletingLoadBalancer: Deleting load balancer", "DeletedLoadBalancer: Deleted load balancer"];
        assert_eq!(told(&world), expected);
    }
}

/// Others' finalizers stay, and an address is not free before its holder is gone or has lost it.
#[test]
fn an_address_is_not_given_before_it_is_free() {
    let mut world = settled(&["10.10.0.1/32"], vec![balancer("old")]);
    world.delete(&Service::RESOURCE, &key("old"), None, false);
    world.create(balancer("new")).unwrap();
    world.deliver_all();
    let planned = plan(&world);
    assert_eq!(planned.actions().count(), 1, "only the old one's release");
    world.settle(never_two_holders);
    check(&world, &["new 10.10.0.1 held"]);
    let other = json!(["example.com/hold", FINALIZER]);
    world.edit::<Service>(&key("new"), |service| service["metadata"]["finalizers"] = other);
    world.delete(&Service::RESOURCE, &key("new"), None, false);
    world.settle(|_| {});
    check(&world, &["new <pending>"]);
}

/// A restart: the view is made anew, the status is the record.
#[test]
fn addresses_are_kept_across_restarts() {
    let mut world = settled(&[POOL], vec![balancer("b"), asking("c", "10.10.0.4")]);
    world.create(balancer("a")).unwrap();
    world.settle(|_| {});
    let expected = ["a 10.10.0.2 held", "b 10.10.0.1 held", "c 10.10.0.4 held"];
    check(&world, &expected);
    let objects = world.all::<Service>().into_iter().map(|service| {
        let mut object = json!(service);
        (object["apiVersion"], object["kind"]) = ("v1".into(), "Service".into());
        object
    });
    let mut again = self::world(&[POOL], objects.collect());
    again.deliver_all();
    assert!(plan(&again).is_empty());
    // Another range: everybody moves.
    again.view.settings.load_balancer_pools = vec!["10.20.0.0/29".parse::<Pool>().unwrap()];
    again.edit::<Service>(&key("c"), |service| service["spec"]["loadBalancerIP"] = Value::Null);
    again.settle(never_two_holders);
    let all: Vec<String> = again.all::<Service>().iter().flat_map(addresses).collect();
    assert!(all.iter().all(|address| address.starts_with("10.20.0.")), "{all:?}");
}

/// Statuses may be written by others: of two that state an address the older keeps it.
#[test]
fn two_holders_are_parted() {
    let held = |name: &str, seconds: i64| {
        let mut service = balancer(name);
        service["metadata"]["creationTimestamp"] = json!(time(seconds));
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.10.0.1", "ipMode": "VIP"}]}});
        service
    };
    let world = settled(&[POOL], vec![held("a", 5), held("b", 3)]);
    check(&world, &["a 10.10.0.2 held", "b 10.10.0.1 held"]);
}

/// The view lags behind what was written, and a newcomer is seen before that: it gets nothing of what was given.
#[test]
fn what_was_given_unseen_is_not_given_again() {
    let mut world = world(&["10.10.0.1/32"], vec![balancer("web")]);
    world.deliver_all();
    let first = plan(&world);
    world.create(balancer("early")).unwrap();
    world.carry(&first);
    check(&world, &["early <pending>", "web 10.10.0.1 held"]);
    world.deliver(&Service::RESOURCE);
    // The same with room for both: the newcomer comes second, and the first one's conflict ends the plan.
    for pool in ["10.10.0.1/32", POOL] {
        world.view.settings.load_balancer_pools = vec![pool.parse().unwrap()];
        let stale = plan(&world);
        world.carry(&stale);
        check(&world, &["early <pending>", "web 10.10.0.1 held"]);
    }
    world.settle(never_two_holders);
    check(&world, &["early 10.10.0.2 held", "web 10.10.0.1 held"]);
}

/// More than one plan's worth is given plan by plan.
#[test]
fn many_are_served_in_batches() {
    let many = super::BATCH + 7;
    let world = settled(&["10.10.0.0/24"], (0..many).map(|n| balancer(&format!("s{n:03}"))).collect());
    never_two_holders(&world);
    let served = world.all::<Service>().iter().filter(|service| !addresses(service).is_empty()).count();
    assert_eq!(served, many);
    assert!(plan(&world).is_empty());
}

fn never_two_holders(world: &World) {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    for service in world.all::<Service>() {
        for address in addresses(&service) {
            let name = service.metadata.name.clone().unwrap();
            if let Some(other) = holders.insert(address.clone(), name.clone()) {
                panic!("{address} is held by {other} and {name}");
            }
        }
    }
}

/// Never two holders over random histories; and what is served in the end needs nothing more.
#[test]
fn no_history_gives_an_address_twice() {
    for seed in 1..=60 {
        let mut world = World::new(seed);
        world.view.settings.load_balancer_pools =
            vec!["10.10.0.0/29".parse().unwrap(), "10.20.0.4/31".parse().unwrap()];
        for _ in 0..400 {
            world.step(meddle);
            never_two_holders(&world);
        }
        world.settle(never_two_holders);
        check_rest(&world, seed);
    }
}

/// At rest: nobody waits while something is free, nobody is served who should not be, nothing is left to write.
fn check_rest(world: &World, seed: u64) {
    let services = world.all::<Service>();
    let holders = services.iter().filter(|service| !addresses(service).is_empty()).count();
    for service in &services {
        let (wants, serves) = (super::wants(service), !addresses(service).is_empty());
        assert!(wants || !serves && !super::has_finalizer(service), "seed {seed}: {service:?}");
        assert!(
            serves || !wants || super::requested(service).is_some() || holders == 8,
            "seed {seed}: {service:?}"
        );
    }
    assert_eq!(plan(world).actions().count(), 0, "seed {seed}");
}

/// One thing that a user might do.
fn meddle(world: &mut World) {
    let name = format!("s{}", world.random.below(12));
    let wanted = match world.random.below(4) {
        0 => json!(format!("10.10.0.{}", world.random.below(9))),
        _ => Value::Null,
    };
    match world.random.below(6) {
        0..=2 => {
            let spec = json!({"type": "LoadBalancer", "loadBalancerIP": wanted});
            let _ = world.create(service(&name, spec));
        }
        3 => world.delete(&Service::RESOURCE, &key(&name), None, false),
        4 => world.edit::<Service>(&key(&name), |service| service["spec"]["loadBalancerIP"] = wanted),
        _ => world.edit::<Service>(&key(&name), |service| {
            let balanced = service["spec"]["type"] == "LoadBalancer";
            service["spec"]["type"] = if balanced { "ClusterIP" } else { "LoadBalancer" }.into();
            if balanced {
                service["status"] = json!({"loadBalancer": {}});
            }
        }),
    }
}
