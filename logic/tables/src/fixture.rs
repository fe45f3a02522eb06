//! Services, endpoints and nodes for the tests of this crate, and a seeded generator of whole cluster histories.

use std::net::IpAddr;
use std::sync::Arc;

use kelson_model::{
    Affinity, Cidr, Endpoint, Exposure, NodeView, Protocol, Service, ServiceName, ServicePort, Snapshot,
    TrafficPolicy,
};

pub const HERE: &str = "here";

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn cidr(text: &str) -> Cidr {
    Cidr::parse(text).unwrap()
}

pub fn node() -> NodeView {
    NodeView {
        name: HERE.into(),
        addresses: vec![ip("192.0.2.1")],
        zone: Some("z1".into()),
        service_cidrs: vec![cidr("10.96.0.0/16"), cidr("fd00:96::/112")],
        pod_cidrs: vec![cidr("10.244.0.0/16"), cidr("fd00:244::/64")],
        host_ports: Arc::default(),
    }
}

/// A Service with one unnamed port 80/TCP.
pub fn service(name: &str, cluster_ip: &str) -> Service {
    Service {
        ports: vec![port("", Protocol::Tcp, 80)],
        cluster_ips: vec![ip(cluster_ip)],
        generation: 1,
        ..Service::new(ServiceName::new("default", name), Exposure::ClusterIp)
    }
}

pub fn port(name: &str, protocol: Protocol, port: u16) -> ServicePort {
    ServicePort { name: name.into(), protocol, port, node_port: None, app_protocol: None }
}

/// A ready endpoint on this node, port 8080.
pub fn endpoint(address: &str) -> Endpoint {
    Endpoint { node: Some(HERE.into()), ..Endpoint::new(ip(address), 8080) }
}

pub fn remote(address: &str) -> Endpoint {
    Endpoint { node: Some("elsewhere".into()), ..endpoint(address) }
}

pub fn draining(endpoint: Endpoint) -> Endpoint {
    Endpoint { ready: false, terminating: true, ..endpoint }
}

/// A snapshot of these Services, each with these endpoints at every port.
pub fn snapshot(services: &[(Service, Vec<Endpoint>)]) -> Snapshot {
    let mut snapshot = Snapshot { synced: true, ..Snapshot::default() };
    for (service, endpoints) in services {
        put(&mut snapshot, service, endpoints);
    }
    snapshot
}

pub fn put(snapshot: &mut Snapshot, service: &Service, endpoints: &[Endpoint]) {
    snapshot.generation += 1;
    snapshot.services.insert(service.name.clone(), Arc::new(service.clone()));
    for port in &service.ports {
        snapshot.endpoints.insert(service.name.port(&port.name), endpoints.into());
    }
}

/// A linear congruential generator: the same seed, the same history.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(limit)).unwrap()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    /// Changes the cluster as clusters change, contested addresses and shared ClusterIPs included.
    pub fn change(&mut self, snapshot: &mut Snapshot) {
        let name = ServiceName::new("default", &format!("s{}", self.below(6)));
        match self.below(8) {
            0 => {
                snapshot.services.remove(&name);
            }
            1 => {
                snapshot.endpoints.remove(&name.port(""));
            }
            2 | 3 => {
                snapshot.endpoints.insert(name.port(""), self.endpoints());
            }
            _ => {
                let service = self.service(name);
                put(snapshot, &service, &self.endpoints());
            }
        }
        snapshot.generation += 1;
    }

    fn endpoints(&mut self) -> Arc<[Endpoint]> {
        let mut all = Vec::new();
        for n in 1..=5 {
            if self.one_in(2) {
                let family = if self.one_in(5) { "fd00:244::" } else { "10.244.0." };
                let mut one = endpoint(&format!("{family}{n}"));
                one.node = [Some(HERE), Some("elsewhere"), None][self.below(3) as usize].map(Arc::from);
                one.ready = !self.one_in(4);
                one.terminating = self.one_in(4);
                one.hints.zones = if self.one_in(2) { vec!["z1".into()] } else { vec![] };
                all.push(one);
            }
        }
        all.sort();
        all.into()
    }

    fn service(&mut self, name: ServiceName) -> Service {
        let mut it = service(&name.name, &format!("10.96.0.{}", self.below(5)));
        if self.one_in(4) {
            it.cluster_ips.push(ip(&format!("fd00:96::{}", self.below(3))));
        }
        if self.one_in(3) {
            it.ports.push(port("dns", Protocol::Udp, 53));
        }
        for port in &mut it.ports {
            let drawn = 30_000 + u16::try_from(self.below(3)).unwrap();
            port.node_port = self.one_in(2).then_some(drawn);
        }
        it.internal_policy = self.policy();
        it.external_policy = self.policy();
        if self.one_in(3) {
            it.external_ips = vec![ip(&format!("10.96.0.{}", self.below(8)))];
        }
        if self.one_in(3) {
            it.load_balancer_ips = vec![ip(&format!("203.0.113.{}", self.below(3)))];
            it.source_ranges = if self.one_in(2) { vec![cidr("198.51.100.0/24")] } else { vec![] };
        }
        it.affinity = self.one_in(3).then_some(Affinity { timeout_seconds: 60 + self.below(2) });
        it.foreign_proxy = self.one_in(12);
        it
    }

    fn policy(&mut self) -> TrafficPolicy {
        if self.one_in(3) { TrafficPolicy::Local } else { TrafficPolicy::Cluster }
    }
}
