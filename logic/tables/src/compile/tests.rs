//! What the compiler makes of whole snapshots, and that its history never shows.

use std::sync::Arc;

use kelson_model::{Protocol, Service, Snapshot, TrafficPolicy};

use super::{Compiler, compile};
use crate::fixture::{Random, cidr, endpoint, ip, node, port, put, remote, service, snapshot};
use crate::{Action, Frontend, FrontendKey, FrontendKind, Masquerade, Options, Scope, Tables, Warning};

fn tables(snapshot: &Snapshot) -> (Arc<Tables>, Vec<Warning>) {
    compile(snapshot, &node(), &Options::default())
}

/// The frontend at `address`:80/TCP of the only Service.
#[track_caller]
fn at(tables: &Tables, address: &str) -> Frontend {
    let key = FrontendKey { address: ip(address), protocol: Protocol::Tcp, port: 80 };
    tables.frontends.get(&key).expect("a frontend").as_ref().clone()
}

const FORWARD: Action = Action::Forward { scope: Scope::Cluster, count: 2 };
const LOCAL: Action = Action::Forward { scope: Scope::Local, count: 1 };

/// A Service with every kind of address and one endpoint here and one elsewhere.
fn everywhere() -> Service {
    let mut it = service("web", "10.96.0.1");
    it.external_ips = vec![ip("203.0.113.1")];
    it.load_balancer_ips = vec![ip("203.0.113.2")];
    it.ports[0].node_port = Some(30_000);
    it
}

#[test]
fn c4_every_kind_of_frontend() {
    let (tables, warnings) =
        tables(&snapshot(&[(everywhere(), vec![endpoint("10.244.0.1"), remote("10.244.1.1")])]));
    assert_eq!((tables.frontends.len(), tables.node_ports.len(), warnings), (3, 1, vec![]));
    let inside = at(&tables, "10.96.0.1");
    assert_eq!((inside.inside, inside.outside, inside.masquerade), (FORWARD, FORWARD, Masquerade::UnlessPod));
    for address in ["203.0.113.1", "203.0.113.2"] {
        let outside = at(&tables, address);
        assert_eq!((outside.inside, outside.outside), (FORWARD, FORWARD));
        assert_eq!((outside.masquerade, outside.identity), (Masquerade::Always, inside.identity));
    }
    assert_eq!(tables.hairpins.keys().copied().collect::<Vec<_>>(), [ip("10.244.0.1")]);
}

#[test]
fn c4_4_external_policy_local() {
    let local = Service { external_policy: TrafficPolicy::Local, ..everywhere() };
    let (tables, _) = tables(&snapshot(&[(local, vec![endpoint("10.244.0.1"), remote("10.244.1.1")])]));
    let outside = at(&tables, "203.0.113.1");
    assert_eq!((outside.inside, outside.outside, outside.masquerade), (FORWARD, LOCAL, Masquerade::IfNode));
    assert_eq!(at(&tables, "10.96.0.1").outside, FORWARD);
}

#[test]
fn c3_nothing_to_forward_to() {
    let (nothing, _) = tables(&snapshot(&[(everywhere(), vec![])]));
    assert!(nothing.frontends.values().all(|f| (f.inside, f.outside) == (Action::Reject, Action::Reject)));
    let local = Service {
        external_policy: TrafficPolicy::Local,
        internal_policy: TrafficPolicy::Local,
        ..everywhere()
    };
    let (elsewhere, _) = tables(&snapshot(&[(local, vec![remote("10.244.1.1")])]));
    assert_eq!(at(&elsewhere, "10.96.0.1").inside, Action::Drop);
    assert_eq!(at(&elsewhere, "203.0.113.1").outside, Action::Drop);
    assert_eq!(at(&elsewhere, "203.0.113.1").inside, Action::Forward { scope: Scope::Cluster, count: 1 });
}

#[test]
fn c6_source_ranges_of_the_family() {
    let sources = |ranges: &[&str]| {
        let ranges = ranges.iter().map(|range| cidr(range)).collect();
        let (tables, _) = tables(&snapshot(&[(Service { source_ranges: ranges, ..everywhere() }, vec![])]));
        assert_eq!(at(&tables, "203.0.113.1").sources, None, "C6.1: only balancer addresses");
        let found = at(&tables, "203.0.113.2").sources;
        found.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(sources(&[]), None);
    assert_eq!(sources(&["fd00::/8"]), None);
    assert_eq!(sources(&["10.1.0.0/16", "10.0.0.0/8"]).unwrap(), ["10.0.0.0/8"]);
    assert_eq!(sources(&["192.0.2.0/24"]).unwrap(), ["192.0.2.0/24", "203.0.113.2/32"]);
}

#[test]
fn c1_what_is_not_served() {
    let mut foreign = service("foreign", "10.96.0.1");
    foreign.foreign_proxy = true;
    let mut headless = service("headless", "10.96.0.2");
    headless.exposure = kelson_model::Exposure::Headless;
    headless.cluster_ips.clear();
    let (tables, warnings) =
        tables(&snapshot(&[(foreign, vec![]), (headless, vec![endpoint("10.244.0.1")])]));
    assert_eq!((tables.frontends.len(), tables.pools.len(), warnings), (0, 0, vec![]));
}

#[test]
fn c1_3_families_are_kept_apart() {
    let mut dual = service("dual", "10.96.0.1");
    dual.cluster_ips.push(ip("fd00:96::1"));
    let (tables, _) = tables(&snapshot(&[(dual, vec![endpoint("10.244.0.1"), endpoint("fd00:244::1")])]));
    let backends: Vec<_> = tables.pools.values().map(|pool| pool.cluster.to_vec()).collect();
    assert_eq!(
        backends,
        [vec!["10.244.0.1:8080".parse().unwrap()], vec!["[fd00:244::1]:8080".parse().unwrap()]]
    );
}

#[test]
fn a_contested_address_goes_to_the_first_and_back() {
    let external = |name: &str, cluster_ip| {
        let mut it = service(name, cluster_ip);
        it.external_ips = vec![ip("203.0.113.1")];
        it
    };
    let mut compiler = Compiler::new(Options::default());
    let mut snapshot = snapshot(&[(external("b", "10.96.0.2"), vec![])]);
    assert_eq!(&*at(&compiler.compile(&snapshot, &node()), "203.0.113.1").service.service.name, "b");
    put(&mut snapshot, &external("a", "10.96.0.1"), &[]);
    assert_eq!(&*at(&compiler.compile(&snapshot, &node()), "203.0.113.1").service.service.name, "a");
    let told: Vec<String> = compiler.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["service port default/b is not served at 203.0.113.1:80/tcp: default/a holds it"]);
    snapshot.services.remove(&external("a", "10.96.0.1").name);
    assert_eq!(&*at(&compiler.compile(&snapshot, &node()), "203.0.113.1").service.service.name, "b");
    assert_eq!(compiler.warnings(), []);
}

#[test]
fn an_external_ip_never_takes_a_cluster_ip() {
    let mut thief = service("a", "10.96.0.1");
    thief.external_ips = vec![ip("10.96.0.2")];
    let (tables, warnings) = tables(&snapshot(&[(thief, vec![]), (service("b", "10.96.0.2"), vec![])]));
    assert_eq!(at(&tables, "10.96.0.2").kind, FrontendKind::ClusterIp);
    assert_eq!(&*at(&tables, "10.96.0.2").service.service.name, "b");
    assert_eq!(warnings.len(), 1);
}

#[test]
fn one_cluster_ip_serves_one_service() {
    let (tables, warnings) = tables(&snapshot(&[
        (service("b", "10.96.0.1"), vec![]),
        (service("a", "10.96.0.1"), vec![endpoint("10.244.0.1")]),
    ]));
    assert_eq!(tables.pools.len(), 1);
    assert_eq!(
        warnings[0].to_string(),
        "service default/b is not served: its clusterIP 10.96.0.1 belongs to default/a"
    );
}

#[test]
fn c9_1_udp_pools_know_every_serving_endpoint() {
    let mut dns = service("dns", "10.96.0.1");
    dns.ports = vec![port("udp", Protocol::Udp, 53), port("tcp", Protocol::Tcp, 53)];
    dns.internal_policy = TrafficPolicy::Local;
    let (tables, _) = tables(&snapshot(&[(dns, vec![endpoint("10.244.0.1"), remote("10.244.1.1")])]));
    let serving: Vec<usize> = tables.pools.values().map(|pool| pool.serving.len()).collect();
    assert_eq!(serving, [0, 2], "TCP, then UDP");
}

/// Whatever came before, the tables and warnings are those of the last snapshot alone.
#[test]
fn incremental_equals_from_scratch() {
    let options = Options { masquerade_pods: true, ..Options::default() };
    for seed in 0..60 {
        let mut random = Random(seed);
        let mut compiler = Compiler::new(options.clone());
        let mut snapshot = Snapshot { synced: true, ..Snapshot::default() };
        for step in 0..40 {
            for _ in 0..=random.below(3) {
                random.change(&mut snapshot);
            }
            let mut view = node();
            if random.below(20) == 0 {
                view.zone = None;
            }
            let incremental = compiler.compile(&snapshot, &view);
            let (scratch, warnings) = compile(&snapshot, &view, &options);
            assert_eq!(incremental, scratch, "seed {seed}, step {step}");
            assert_eq!(compiler.warnings(), warnings, "seed {seed}, step {step}");
        }
    }
}
