//! What one Service contributes to the tables: a pure function of the Service, its endpoints and the node.
//!
//! The compiler adds and withdraws whole parts, so a change costs what the Service costs and nothing else.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use kelson_model::{
    Cidr, Endpoint, EndpointMap, Exposure, NodeView, Protocol, Service, ServicePort, ServicePortName,
    TrafficPolicy,
};

use crate::select::{Selection, categorize};
use crate::{
    Action, Family, Frontend, FrontendKey, FrontendKind, Masquerade, NodePortKey, Options, Pool, PoolKey,
    Scope, Warning,
};

/// The most backends of one Service port; what lies beyond gets no traffic and a warning.
pub(crate) const MAX_BACKENDS: usize = u16::MAX as usize;

/// One Service's share of the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub frontends: Vec<(FrontendKey, Arc<Frontend>)>,
    pub node_ports: Vec<(NodePortKey, Arc<Frontend>)>,
    pub pools: Vec<(PoolKey, Arc<Pool>)>,
    pub hairpins: Vec<IpAddr>,
    pub warnings: Vec<Warning>,
}

/// Whether this proxy serves `service` at all (spec C1.1, C1.2).
pub(crate) fn is_served(service: &Service) -> bool {
    service.exposure == Exposure::ClusterIp && !service.foreign_proxy && !service.cluster_ips.is_empty()
}

/// The share of `service`, which is served and holds its ClusterIPs.
pub(crate) fn part(service: &Service, endpoints: &EndpointMap, node: &NodeView, options: &Options) -> Part {
    let mut part = Part::default();
    for port in &service.ports {
        let name = service.name.port(&port.name);
        let all = endpoints.get(&name).map(|e| e.as_ref()).unwrap_or_default();
        for family in [Family::V4, Family::V6] {
            if let Some(address) = service.cluster_ips.iter().find(|a| Family::of(**a) == family) {
                let identity = FrontendKey { address: *address, protocol: port.protocol, port: port.port };
                let all: Vec<&Endpoint> = all.iter().filter(|e| Family::of(e.address) == family).collect();
                PortPart { service, port, name: &name, family, identity, node, options }.add(&all, &mut part);
            }
        }
    }
    part
}

/// One port of one Service in one family.
struct PortPart<'a> {
    service: &'a Service,
    port: &'a ServicePort,
    name: &'a ServicePortName,
    family: Family,
    identity: FrontendKey,
    node: &'a NodeView,
    options: &'a Options,
}

impl PortPart<'_> {
    fn add(&self, endpoints: &[&Endpoint], part: &mut Part) {
        let selection = categorize(endpoints, self.service, self.port, self.node);
        let pool = self.pool(endpoints, &selection, &mut part.warnings);
        self.add_frontends(&pool, selection.any, part);
        self.add_hairpins(&selection, part);
        part.pools.push((PoolKey { service: self.name.clone(), family: self.family }, Arc::new(pool)));
    }

    fn pool(&self, endpoints: &[&Endpoint], selection: &Selection, warnings: &mut Vec<Warning>) -> Pool {
        let mut backends = |chosen: &[&Endpoint]| {
            let all = addresses(chosen);
            if all.len() > MAX_BACKENDS {
                warnings.push(Warning::TooManyBackends { service: self.name.clone(), count: all.len() });
            }
            all.into_iter().take(MAX_BACKENDS).collect()
        };
        let serving: Vec<&Endpoint> = endpoints.iter().copied().filter(|e| e.ready || e.serving).collect();
        Pool {
            identity: self.identity,
            affinity: self.service.affinity,
            cluster: backends(&selection.cluster),
            local: backends(&selection.local),
            serving: if self.port.protocol == Protocol::Udp {
                addresses(&serving).into_iter().collect()
            } else {
                Arc::default()
            },
        }
    }

    fn add_frontends(&self, pool: &Pool, any: bool, part: &mut Part) {
        let action = |policy| act(pool, policy, any);
        let internal = action(self.service.internal_policy);
        let unless_pod = if self.options.masquerade_all { Masquerade::Always } else { Masquerade::UnlessPod };
        let cluster_ip = self.frontend(FrontendKind::ClusterIp, (internal, internal), unless_pod);
        part.frontends.push((self.identity, Arc::new(cluster_ip)));

        let (outside, masquerade) = match self.service.external_policy {
            TrafficPolicy::Cluster => (action(TrafficPolicy::Cluster), Masquerade::Always),
            TrafficPolicy::Local => (action(TrafficPolicy::Local), Masquerade::IfNode),
        };
        let actions = (action(TrafficPolicy::Cluster), outside);
        for address in self.of_family(&self.service.load_balancer_ips) {
            let mut frontend = self.frontend(FrontendKind::LoadBalancer, actions, masquerade);
            frontend.sources = self.sources(address);
            part.frontends.push((FrontendKey { address, ..self.identity }, Arc::new(frontend)));
        }
        for address in self.of_family(&self.service.external_ips) {
            let frontend = self.frontend(FrontendKind::ExternalIp, actions, masquerade);
            part.frontends.push((FrontendKey { address, ..self.identity }, Arc::new(frontend)));
        }
        if let Some(port) = self.port.node_port {
            let key = NodePortKey { family: self.family, protocol: self.port.protocol, port };
            let frontend = self.frontend(FrontendKind::NodePort, actions, masquerade);
            part.node_ports.push((key, Arc::new(frontend)));
        }
    }

    fn frontend(&self, kind: FrontendKind, actions: (Action, Action), masquerade: Masquerade) -> Frontend {
        let (inside, outside) = actions;
        let (service, affinity) = (self.name.clone(), self.service.affinity);
        Frontend {
            kind,
            service,
            identity: self.identity,
            affinity,
            inside,
            outside,
            masquerade,
            sources: None,
        }
    }

    fn of_family(&self, addresses: &[IpAddr]) -> BTreeSet<IpAddr> {
        addresses.iter().copied().filter(|a| Family::of(*a) == self.family).collect()
    }

    /// The sources let in at balancer address `vip`; ranges of the other family count for nothing (spec C6.2), and a
    /// node that is let in may find the address bound to itself, and so as its own source (spec C6.3).
    fn sources(&self, vip: IpAddr) -> Option<Arc<[Cidr]>> {
        let mut ranges: Vec<Cidr> = self
            .service
            .source_ranges
            .iter()
            .copied()
            .filter(|c| Family::of(c.address) == self.family)
            .collect();
        if ranges.is_empty() {
            return None;
        }
        if self.node.addresses.iter().any(|own| ranges.iter().any(|range| range.contains(*own))) {
            ranges.extend(Cidr::new(vip, if vip.is_ipv4() { 32 } else { 128 }));
        }
        Some(outermost(ranges))
    }

    /// Backends whose node is another's never see a connection of their own come back through this node.
    fn add_hairpins(&self, selection: &Selection, part: &mut Part) {
        let here = |e: &&&Endpoint| e.node.as_ref().is_none_or(|node| *node == self.node.name);
        let addresses: BTreeSet<IpAddr> =
            selection.cluster.iter().chain(&selection.local).filter(here).map(|e| e.address).collect();
        part.hairpins.extend(addresses);
    }
}

/// What traffic under `policy` meets (spec C3.1–C3.3).
fn act(pool: &Pool, policy: TrafficPolicy, any: bool) -> Action {
    let scope = match policy {
        TrafficPolicy::Cluster => Scope::Cluster,
        TrafficPolicy::Local => Scope::Local,
    };
    match u16::try_from(pool.backends(scope).len()) {
        Ok(0) if any => Action::Drop,
        Ok(0) => Action::Reject,
        count => Action::Forward { scope, count: count.unwrap_or(u16::MAX) },
    }
}

/// Sorted, without duplicates; an endpoint without a port takes no Service traffic.
fn addresses(endpoints: &[&Endpoint]) -> BTreeSet<SocketAddr> {
    endpoints.iter().filter(|e| e.port != 0).map(|e| SocketAddr::new(e.address, e.port)).collect()
}

/// The ranges that lie in no other of them, sorted: two ranges are disjoint or one holds the other.
fn outermost(mut ranges: Vec<Cidr>) -> Arc<[Cidr]> {
    ranges.sort_by_key(|range| (range.address, range.prefix));
    let mut kept: Vec<Cidr> = Vec::new();
    for range in ranges {
        if !kept.last().is_some_and(|outer| outer.contains(range.address)) {
            kept.push(range);
        }
    }
    kept.into()
}
