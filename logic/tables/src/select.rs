//! Which endpoints get traffic: upstream's CategorizeEndpoints (spec C2), exactly.
//!
//! Two sets, each with its own fall-back to terminating endpoints and never one to the other: endpoints of the
//! cluster, narrowed by topology hints, and endpoints of this node.

use kelson_model::{Endpoint, NodeView, Service, ServicePort, TrafficPolicy};

/// The endpoints of one Service port that may get new connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection<'a> {
    /// For policy Cluster; empty also when no traffic uses it.
    pub cluster: Vec<&'a Endpoint>,
    /// For policy Local; empty also when no traffic uses it.
    pub local: Vec<&'a Endpoint>,
    /// Whether there is an endpoint anywhere that could be used: decides refusal or silence (spec C2.4).
    pub any: bool,
}

/// What the ready endpoints' hints ask for (spec C2.5).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Anywhere,
    SameNode,
    SameZone,
}

/// Sorts the `endpoints` of `port` into what each traffic policy may use on `node` (spec C2.1–C2.6).
pub fn categorize<'a>(
    endpoints: &[&'a Endpoint],
    service: &Service,
    port: &ServicePort,
    node: &NodeView,
) -> Selection<'a> {
    let mut selection = Selection::default();
    if uses_cluster(service, port) {
        selection.cluster = cluster(endpoints, node);
        selection.any = !selection.cluster.is_empty();
    }
    if uses_local(service, port) {
        selection.local = or_terminating(endpoints, |e| is_local(e, node), |e| e.ready);
        selection.any |= endpoints.iter().any(|e| e.ready || is_draining(e));
    }
    selection
}

/// Whether anything but the nodes' own pods may reach the port by design.
pub(crate) fn externally_reachable(service: &Service, port: &ServicePort) -> bool {
    port.node_port.is_some() || !service.external_ips.is_empty() || !service.load_balancer_ips.is_empty()
}

/// Also a port that is external with policy Local: pods and the node itself reach all its endpoints (spec C4.4).
fn uses_cluster(service: &Service, port: &ServicePort) -> bool {
    service.internal_policy == TrafficPolicy::Cluster || externally_reachable(service, port)
}

fn uses_local(service: &Service, port: &ServicePort) -> bool {
    service.internal_policy == TrafficPolicy::Local
        || (service.external_policy == TrafficPolicy::Local && externally_reachable(service, port))
}

fn cluster<'a>(endpoints: &[&'a Endpoint], node: &NodeView) -> Vec<&'a Endpoint> {
    let topology = topology(endpoints, node);
    or_terminating(endpoints, |_| true, |e| e.ready && suits(e, topology, node))
}

/// The endpoints `of` this set that are `usable`, or, when there is none, those that serve while they terminate.
fn or_terminating<'a>(
    endpoints: &[&'a Endpoint],
    of: impl Fn(&Endpoint) -> bool,
    usable: impl Fn(&Endpoint) -> bool,
) -> Vec<&'a Endpoint> {
    let pick = |wanted: &dyn Fn(&Endpoint) -> bool| -> Vec<&'a Endpoint> {
        endpoints.iter().copied().filter(|e| of(e) && wanted(e)).collect()
    };
    let found = pick(&usable);
    if found.is_empty() { pick(&is_draining) } else { found }
}

/// Hints count only when every ready endpoint has them and one of them names this node, or its zone.
fn topology(endpoints: &[&Endpoint], node: &NodeView) -> Topology {
    let ready = || endpoints.iter().filter(|e| e.ready);
    if ready().all(|e| !e.hints.nodes.is_empty()) && ready().any(|e| names_node(e, node)) {
        Topology::SameNode
    } else if ready().all(|e| !e.hints.zones.is_empty()) && ready().any(|e| names_zone(e, node)) {
        Topology::SameZone
    } else {
        Topology::Anywhere
    }
}

fn suits(endpoint: &Endpoint, topology: Topology, node: &NodeView) -> bool {
    match topology {
        Topology::Anywhere => true,
        Topology::SameNode => names_node(endpoint, node),
        Topology::SameZone => names_zone(endpoint, node),
    }
}

fn names_node(endpoint: &Endpoint, node: &NodeView) -> bool {
    endpoint.hints.nodes.contains(&node.name)
}

fn names_zone(endpoint: &Endpoint, node: &NodeView) -> bool {
    node.zone.as_ref().is_some_and(|zone| endpoint.hints.zones.contains(zone))
}

fn is_local(endpoint: &Endpoint, node: &NodeView) -> bool {
    endpoint.node.as_ref() == Some(&node.name)
}

fn is_draining(endpoint: &Endpoint) -> bool {
    endpoint.serving && endpoint.terminating
}

#[cfg(test)]
mod tests;
