//! What qualifies, what does not, and that an update leads from any tables' entries to any others'.

use kelson_model::{Affinity, Endpoint, Protocol, Service, Snapshot, TrafficPolicy};

use super::{BACKENDS_MAX, entries, update};
use crate::fixture::{Random, cidr, endpoint, ip, node, port, put, remote, service, snapshot};
use crate::{Options, Tables, compile};

/// The entries of one Service with these endpoints, beside `others`.
fn rendered(service: &Service, endpoints: &[Endpoint], others: &[(Service, Vec<Endpoint>)]) -> Vec<String> {
    let mut all = others.to_vec();
    all.push((service.clone(), endpoints.to_vec()));
    shown(&compile(&snapshot(&all), &node(), &Options::default()).0)
}

fn shown(tables: &Tables) -> Vec<String> {
    let backends = |list: &[_]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    entries(tables).iter().map(|(at, list)| format!("{at} -> {}", backends(list))).collect()
}

fn web() -> Service {
    service("web", "10.96.0.1")
}

#[test]
fn the_simple_ones_qualify() {
    let check = |service: &Service, endpoints: &[Endpoint], expected: &[&str]| {
        assert_eq!(rendered(service, endpoints, &[]), expected);
    };
    let two = [remote("10.244.1.2"), endpoint("10.244.0.1")];
    check(&web(), &two, &["10.96.0.1:80 -> 10.244.0.1:8080 10.244.1.2:8080"]);
    check(&web(), &[crate::fixture::draining(two[1].clone())], &["10.96.0.1:80 -> 10.244.0.1:8080"]);
    let mut ports = web();
    ports.ports =
        vec![port("a", Protocol::Tcp, 80), port("b", Protocol::Udp, 53), port("c", Protocol::Tcp, 81)];
    let both = ["10.96.0.1:80 -> 10.244.0.1:8080", "10.96.0.1:81 -> 10.244.0.1:8080"];
    check(&ports, &two[1..], &both);
    // Addresses besides the ClusterIP are looked after in packets; the ClusterIP stays.
    let mut known = web();
    known.external_ips = vec![ip("203.0.113.1")];
    known.ports[0].node_port = Some(30_080);
    known.external_policy = TrafficPolicy::Local;
    check(&known, &two[1..], &["10.96.0.1:80 -> 10.244.0.1:8080"]);
}

#[test]
fn everything_else_is_left_alone() {
    let check = |change: &dyn Fn(&mut Service), endpoints: &[Endpoint]| {
        let mut service = web();
        change(&mut service);
        assert_eq!(rendered(&service, endpoints, &[]), Vec::<String>::new(), "{service:?} {endpoints:?}");
    };
    let as_is = |_: &mut Service| {};
    let one = [endpoint("10.244.0.1")];
    check(&as_is, &[]);
    check(&as_is, &[Endpoint { ready: false, serving: false, ..endpoint("10.244.0.1") }]);
    check(&|it| it.affinity = Some(Affinity { timeout_seconds: 9 }), &one);
    check(&|it| it.internal_policy = TrafficPolicy::Local, &one);
    check(&|it| it.ports = vec![port("", Protocol::Udp, 80)], &one);
    check(&|it| it.ports = vec![port("", Protocol::Sctp, 80)], &one);
    check(&|it| it.cluster_ips = vec![ip("fd00:96::1")], &[endpoint("fd00:244::1")]);
    check(&|it| it.foreign_proxy = true, &one);
    // A backend that is no pod, that is the node, or that is another Service's address.
    check(&as_is, &[endpoint("198.51.100.7"), endpoint("10.244.0.1")]);
    check(&as_is, &[endpoint("192.0.2.1")]);
    check(&as_is, &[endpoint("10.96.0.9")]);
    let address = |n: usize| format!("10.244.{}.{}", n / 250, n % 250 + 1);
    let many: Vec<_> = (0..=BACKENDS_MAX).map(|n| endpoint(&address(n))).collect();
    check(&as_is, &many);
    assert_eq!(rendered(&web(), &many[1..], &[]).len(), 1);
}

#[test]
fn an_external_address_among_the_pods_stops_it_all() {
    let mut thief = service("thief", "10.96.0.2");
    thief.external_ips = vec![ip("10.244.9.9")];
    let pod = vec![endpoint("10.244.0.1")];
    assert_eq!(rendered(&web(), &pod, &[(thief.clone(), pod.clone())]), Vec::<String>::new());
    thief.external_ips = vec![ip("10.245.0.0"), ip("10.243.255.255")];
    assert_eq!(rendered(&web(), &pod, &[(thief, pod.clone())]).len(), 2);
}

#[test]
fn the_node_may_rule_it_out() {
    let pod = vec![endpoint("10.244.0.1")];
    let snapshot = snapshot(&[(web(), pod)]);
    let check = |options: &Options, pods: &str, expected: usize| {
        let node = kelson_model::NodeView { pod_cidrs: vec![cidr(pods)], ..node() };
        assert_eq!(entries(&compile(&snapshot, &node, options).0).len(), expected, "{options:?} {pods}");
    };
    check(&Options::default(), "10.244.0.0/16", 1);
    check(&Options::default(), "10.245.0.0/16", 0);
    check(&Options { masquerade_all: true, ..Options::default() }, "10.244.0.0/16", 0);
}

#[test]
fn one_changed_service_is_one_change() {
    let many: Vec<_> = (0..50)
        .map(|n| (service(&format!("s{n}"), &format!("10.96.1.{n}")), vec![endpoint("10.244.0.1")]))
        .collect();
    let mut snapshot = snapshot(&many);
    let (before, _) = compile(&snapshot, &node(), &Options::default());
    put(&mut snapshot, &many[7].0, &[endpoint("10.244.0.2")]);
    let (after, _) = compile(&snapshot, &node(), &Options::default());
    let changes = update(&before, &after);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].key.to_string(), "10.96.1.7:80");
    assert!(update(&after, &after).is_empty());
}

#[test]
fn updates_lead_from_any_entries_to_any() {
    let mut met = 0;
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut snapshot = Snapshot::default();
        let (mut tables, mut held) = (std::sync::Arc::new(Tables::default()), imbl::OrdMap::new());
        for step in 0..25 {
            random.change(&mut snapshot);
            let mut node = node();
            if random.below(8) == 0 {
                // Now and then pods have another range, or Services' addresses lie within it.
                node.pod_cidrs = vec![cidr(["10.244.0.0/30", "10.0.0.0/8"][random.below(2) as usize])];
            }
            let (next, _) = compile(&snapshot, &node, &Options::default());
            for change in update(&tables, &next) {
                assert_eq!(held.get(&change.key), change.old.as_ref(), "seed {seed} step {step}");
                match change.new {
                    Some(new) => held.insert(change.key, new),
                    None => held.remove(&change.key),
                };
            }
            assert_eq!(held, entries(&next), "seed {seed} step {step}");
            met += held.len();
            tables = next;
        }
    }
    assert!(met > 100, "the histories hold Services that qualify");
}
