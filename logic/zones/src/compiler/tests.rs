//! The compiler: incremental equals from nothing, whatever the history.

use std::sync::Arc;

use kelson_model::{Endpoint, Exposure, Protocol, Service, ServiceName, ServicePort, Snapshot};

use super::Compiler;
use crate::ZoneConfig;

/// A small generator of numbers, the same for every run of a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn octet(&mut self, bound: u8) -> u8 {
        u8::try_from(self.below(u64::from(bound))).unwrap()
    }
}

fn service(numbers: &mut Numbers, name: &ServiceName) -> Service {
    let (exposure, cluster_ips) = match numbers.below(4) {
        0 => (Exposure::Headless, Vec::new()),
        1 => (Exposure::ExternalName("db.example.org".into()), Vec::new()),
        _ => (Exposure::ClusterIp, vec![[10, 96, 0, numbers.octet(4)].into()]),
    };
    let port = ServicePort {
        name: ["http", ""][usize::from(numbers.octet(2))].into(),
        protocol: [Protocol::Tcp, Protocol::Udp][usize::from(numbers.octet(2))],
        port: 80,
        node_port: None,
        app_protocol: None,
    };
    Service { ports: vec![port], cluster_ips, ..Service::new(name.clone(), exposure) }
}

fn endpoints(numbers: &mut Numbers) -> Arc<[Endpoint]> {
    let endpoint = |last: u8, ready: bool, named: bool| Endpoint {
        ready,
        serving: ready,
        hostname: named.then(|| "web-0".into()),
        ..Endpoint::new([10, 244, 0, last].into(), 8080)
    };
    (0..numbers.octet(4)).map(|last| endpoint(last, numbers.below(3) > 0, numbers.below(4) == 0)).collect()
}

/// Changes one thing of `snapshot`.
fn step(numbers: &mut Numbers, snapshot: &mut Snapshot) {
    let name = ServiceName::new(&format!("n{}", numbers.below(2)), &format!("s{}", numbers.below(4)));
    let port = name.port(["http", ""][usize::from(numbers.octet(2))]);
    match numbers.below(8) {
        0..=2 => drop(snapshot.services.insert(name.clone(), Arc::new(service(numbers, &name)))),
        3 => drop(snapshot.services.remove(&name)),
        4 | 5 => drop(snapshot.endpoints.insert(port, endpoints(numbers))),
        6 => drop(snapshot.endpoints.remove(&port)),
        _ => {
            if snapshot.namespaces.remove(&name.namespace).is_none() {
                snapshot.namespaces.insert(name.namespace);
            }
        }
    }
    snapshot.generation += 1;
}

#[test]
fn incremental_equals_from_nothing() {
    let config =
        ZoneConfig { server_addresses: vec![[10, 96, 0, 10].into()], ..ZoneConfig::new("cluster.local") };
    for seed in 0..150 {
        let mut numbers = Numbers(seed);
        let mut compiler = Compiler::new(config.clone()).unwrap();
        let mut snapshot = Snapshot { synced: true, ..Snapshot::default() };
        for round in 0..40 {
            for _ in 0..=numbers.below(3) {
                step(&mut numbers, &mut snapshot);
            }
            let incremental = compiler.compile(&snapshot);
            let anew = Compiler::new(config.clone()).unwrap().compile(&snapshot);
            assert_eq!(incremental, anew, "seed {seed}, round {round}");
        }
        let empty = Snapshot { synced: true, generation: snapshot.generation + 1, ..Snapshot::default() };
        assert_eq!(
            compiler.compile(&empty).len(),
            5,
            "apex, svc, pod, ns.dns, dns-version are left and nothing else"
        );
    }
}

#[test]
fn domains_that_are_none_are_refused() {
    for domain in ["", ".", "a..b", &"x".repeat(64), &["x".repeat(60).as_str(); 4].join(".")] {
        let error = Compiler::new(ZoneConfig::new(domain)).unwrap_err();
        assert!(error.to_string().starts_with("cluster domain "), "{error}");
    }
    assert!(Compiler::new(ZoneConfig::new("K8s.example.org.")).is_ok());
}
