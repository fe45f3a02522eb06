//! A flow through the tables: what becomes of its first packet, by the same values the data planes are rendered from.
//!
//! The kernel tests send the packet and compare; `explain` words the answer. It says nothing of affinity, which only
//! narrows the choice among the backends it names. It knows the node's addresses only as far as the view lists them: of a
//! backend on another of them it may say that the source is rewritten when it is not.

use std::net::SocketAddr;
use std::sync::Arc;

use kelson_model::{Cidr, Flow, Origin, Verdict};

use crate::{
    Action, Family, Frontend, FrontendKey, Masquerade, NodePortKey, NodeRules, PoolKey, Scope, Tables,
};

/// What the node's tables do with the first packet of `flow`.
pub fn trace(tables: &Tables, flow: &Flow) -> Verdict {
    match frontend(tables, flow) {
        Some(frontend) => through(tables, frontend, flow),
        None if is_unclaimed(tables, flow) => Verdict::Reject,
        None => Verdict::Pass,
    }
}

/// The way into a Service that `flow` meets, if any: an address of the Service first, then a NodePort.
pub fn frontend<'a>(tables: &'a Tables, flow: &Flow) -> Option<&'a Arc<Frontend>> {
    let Flow { destination: address, protocol, port, .. } = *flow;
    tables.frontends.get(&FrontendKey { address, protocol, port }).or_else(|| {
        let key = NodePortKey { family: Family::of(address), protocol, port };
        tables.node_ports.get(&key).filter(|_| tables.node.addresses.contains(&address))
    })
}

fn through(tables: &Tables, frontend: &Frontend, flow: &Flow) -> Verdict {
    if frontend.sources.as_ref().is_some_and(|allowed| !holds(allowed, flow.source)) {
        return Verdict::Drop;
    }
    match if is_inside(&tables.node, flow) { frontend.inside } else { frontend.outside } {
        Action::Reject => Verdict::Reject,
        Action::Drop => Verdict::Drop,
        Action::Forward { scope, .. } => Verdict::Forward(backends(tables, frontend, scope, flow)),
    }
}

fn backends(tables: &Tables, frontend: &Frontend, scope: Scope, flow: &Flow) -> Vec<(SocketAddr, bool)> {
    let key = PoolKey { service: frontend.service.clone(), family: Family::of(frontend.identity.address) };
    let pool = tables.pools.get(&key).expect("every frontend has its pool");
    let masqueraded = |backend: &SocketAddr| is_masqueraded(tables, frontend, *backend, flow);
    pool.backends(scope).iter().map(|backend| (*backend, masqueraded(backend))).collect()
}

/// Whether the backend sees another source than the client's (spec C4). What a pod or a stranger sends to the node
/// itself is delivered before any source could be rewritten.
fn is_masqueraded(tables: &Tables, frontend: &Frontend, backend: SocketAddr, flow: &Flow) -> bool {
    let node = &tables.node;
    if flow.origin != Origin::Node && node.addresses.contains(&backend.ip()) {
        return false;
    }
    let leaves = node.options.masquerade_pods
        && holds(&node.pod_cidrs, flow.source)
        && !holds(&node.pod_cidrs, backend.ip());
    let hairpin = flow.source == backend.ip() && tables.hairpins.contains_key(&backend.ip());
    let by_policy = match frontend.masquerade {
        Masquerade::Always => true,
        Masquerade::UnlessPod => !holds(&node.pod_cidrs, flow.source),
        Masquerade::IfNode => flow.origin == Origin::Node,
    };
    leaves || hairpin || by_policy
}

/// Pods are told by their address, as the kernel tells them.
fn is_inside(node: &NodeRules, flow: &Flow) -> bool {
    flow.origin == Origin::Node || holds(&node.pod_cidrs, flow.source)
}

/// A ClusterIP at a port nobody defined, or an address of the Service range nobody holds, except the node's own.
fn is_unclaimed(tables: &Tables, flow: &Flow) -> bool {
    let address = flow.destination;
    tables.cluster_ips.contains(&address)
        || (holds(&tables.node.service_cidrs, address) && !tables.node.addresses.contains(&address))
}

fn holds(ranges: &[Cidr], address: std::net::IpAddr) -> bool {
    ranges.iter().any(|range| range.contains(address))
}

#[cfg(test)]
mod tests;
