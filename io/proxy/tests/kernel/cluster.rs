//! A cluster by hand: Services and endpoints as a snapshot, and the node that looks at it.

use std::net::IpAddr;
use std::sync::Arc;

use kelson_model::{
    Cidr, Endpoint, Exposure, NodeView, Protocol, Service, ServiceName, ServicePort, Snapshot,
};

use crate::net::{NODE, pod_ip};
use crate::traffic::PORT;

/// The node's name.
pub const HERE: &str = "here";

/// The node of the test network.
pub fn node() -> NodeView {
    NodeView {
        name: HERE.into(),
        addresses: vec![ip(NODE)],
        zone: None,
        service_cidrs: vec![Cidr::parse("10.96.0.0/16").unwrap()],
        pod_cidrs: vec![Cidr::parse("10.244.0.0/16").unwrap()],
        host_ports: Arc::default(),
    }
}

/// A Service at `cluster_ip`:80, TCP and UDP, without anything else.
pub fn service(name: &str, cluster_ip: &str) -> Service {
    Service {
        ports: vec![port("tcp", Protocol::Tcp), port("udp", Protocol::Udp)],
        cluster_ips: vec![ip(cluster_ip)],
        generation: 1,
        ..Service::new(ServiceName::new("default", name), Exposure::ClusterIp)
    }
}

fn port(name: &str, protocol: Protocol) -> ServicePort {
    ServicePort { name: name.into(), protocol, port: 80, node_port: None, app_protocol: None }
}

/// A ready endpoint: pod `n`, on this node.
pub fn endpoint(n: u8) -> Endpoint {
    endpoint_at(IpAddr::V4(pod_ip(n)))
}

/// A ready endpoint at `address`, on this node.
pub fn endpoint_at(address: IpAddr) -> Endpoint {
    Endpoint { node: Some(HERE.into()), ..Endpoint::new(address, PORT) }
}

/// The same endpoint on another node.
pub fn elsewhere(endpoint: Endpoint) -> Endpoint {
    Endpoint { node: Some("elsewhere".into()), ..endpoint }
}

/// Sets a Service and the endpoints of all its ports.
pub fn put(snapshot: &mut Snapshot, service: &Service, endpoints: &[Endpoint]) {
    snapshot.generation += 1;
    snapshot.synced = true;
    snapshot.services.insert(service.name.clone(), Arc::new(service.clone()));
    for port in &service.ports {
        snapshot.endpoints.insert(service.name.port(&port.name), endpoints.into());
    }
}

/// An address.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
