//! What the host ports of a node's pods contribute to the tables: a pool of one backend each, and a way into it.
//!
//! They are no Service's, but packets meet them as they meet NodePorts with policy Local: nobody's source is rewritten
//! but the node's own, and that of a pod that comes back to itself. Where a Service holds the same address and port, the
//! Service is served.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use kelson_model::{HostPort, NodeView, Protocol, ServiceName, ServicePortName};

use crate::part::Part;
use crate::{
    Action, Family, Frontend, FrontendKey, FrontendKind, Masquerade, NodePortKey, Pool, PoolKey, Scope,
    Warning,
};

/// The share of the host ports of `node`.
pub(crate) fn part(node: &NodeView) -> Part {
    let mut part = Part::default();
    let mut counted: BTreeMap<IpAddr, u16> = BTreeMap::new();
    for port in node.host_ports.iter() {
        match port.address.filter(|address| !node.addresses.contains(address)) {
            Some(address) => {
                let pod = port.pod.clone();
                part.warnings.push(Warning::ForeignHostAddress { pod, address, port: port.port });
            }
            None => add(port, counted.entry(port.backend.ip()).or_default(), &mut part),
        }
    }
    part
}

/// Adds one; `number` counts those of the pod so far.
fn add(port: &HostPort, number: &mut u16, part: &mut Part) {
    // No Service has a pod's address, and no two ports of a pod one number.
    let identity = FrontendKey { address: port.backend.ip(), protocol: port.protocol, port: *number };
    *number = number.saturating_add(1);
    let service = name(port);
    let family = Family::of(port.backend.ip());
    let frontend = Arc::new(frontend(service.clone(), identity));
    match port.address {
        Some(address) => {
            let key = FrontendKey { address, protocol: port.protocol, port: port.port };
            part.frontends.push((key, frontend));
        }
        None => {
            let key = NodePortKey { family, protocol: port.protocol, port: port.port };
            part.node_ports.push((key, frontend));
        }
    }
    part.hairpins.push(port.backend.ip());
    part.pools.push((PoolKey { service, family }, Arc::new(pool(port, identity))));
}

/// A name that no Service port can have, since neither part of it is a label.
fn name(port: &HostPort) -> ServicePortName {
    let address = port.address.map_or_else(|| "*".into(), |address| address.to_string());
    let service = ServiceName::new(&port.pod.namespace, &format!("pod {}", port.pod.name));
    service.port(&format!("{address} {}/{}", port.port, port.protocol.lower()))
}

fn frontend(service: ServicePortName, identity: FrontendKey) -> Frontend {
    let action = Action::Forward { scope: Scope::Cluster, count: 1 };
    Frontend {
        kind: FrontendKind::HostPort,
        service,
        identity,
        affinity: None,
        inside: action,
        outside: action,
        masquerade: Masquerade::IfNode,
        sources: None,
    }
}

fn pool(port: &HostPort, identity: FrontendKey) -> Pool {
    let backend: Arc<[_]> = [port.backend].into();
    Pool {
        identity,
        affinity: None,
        cluster: backend.clone(),
        local: Arc::default(),
        serving: if port.protocol == Protocol::Udp { backend } else { Arc::default() },
    }
}

#[cfg(test)]
mod tests;
