//! What of the tables may be translated as a program of a pod calls connect(), instead of in its packets.
//!
//! Only what comes to the very same: TCP over IPv4 to a ClusterIP, any endpoint of the cluster, no affinity, and neither
//! address rewritten. Backends must be pods, at addresses that lead to nothing else: a packet that carries a backend's
//! address meets the tables too. Everything else is left to them, so leaving a Service out is always right.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;

use imbl::OrdMap;
use kelson_model::{Cidr, Protocol};

use crate::{
    Action, Change, Family, Frontend, FrontendKey, FrontendKind, Masquerade, PoolKey, Scope, Tables, diff,
};

/// The most backends a Service port may have here.
pub const BACKENDS_MAX: usize = 4096;

/// The backends of a Service port, at least one, sorted.
pub type Backends = Arc<[SocketAddrV4]>;

/// Every Service port that qualifies, with its backends.
pub fn entries(tables: &Tables) -> OrdMap<SocketAddrV4, Backends> {
    if !is_plain(tables) {
        return OrdMap::new();
    }
    let keys = tables.frontends.keys().filter_map(at);
    keys.filter_map(|at| Some((at, backends(tables, at)?))).collect()
}

/// What turns the entries of `old` into those of `new`. Costs what changed; everything, when the node did.
pub fn update(old: &Tables, new: &Tables) -> Vec<Change<SocketAddrV4, Backends>> {
    let (was_plain, plain) = (is_plain(old), is_plain(new));
    let changes = diff(old, new);
    let keys: BTreeSet<SocketAddrV4> = if changes.node || was_plain != plain {
        old.frontends.keys().chain(new.frontends.keys()).filter_map(at).collect()
    } else {
        let pools = changes.pools.iter().flat_map(|change| change.old.iter().chain(&change.new));
        let pools = pools.filter_map(|pool| at(&pool.identity));
        changes.frontends.iter().filter_map(|change| at(&change.key)).chain(pools).collect()
    };
    let change = |key| {
        let old = was_plain.then(|| backends(old, key)).flatten();
        let new = plain.then(|| backends(new, key)).flatten();
        (old != new).then_some(Change { key, old, new })
    };
    keys.into_iter().filter_map(change).collect()
}

/// Where a program would connect to.
fn at(key: &FrontendKey) -> Option<SocketAddrV4> {
    match key.address {
        IpAddr::V4(address) if key.protocol == Protocol::Tcp => Some(SocketAddrV4::new(address, key.port)),
        _ => None,
    }
}

/// Whether pods' addresses are pods' alone: somebody may name one as the external address of a Service.
fn is_plain(tables: &Tables) -> bool {
    let node = &tables.node;
    let lowest = |range: &Cidr| FrontendKey { address: range.address, protocol: Protocol::Tcp, port: 0 };
    let is_taken = |range: &Cidr| {
        let mut above = tables.frontends.range(lowest(range)..);
        above.next().is_some_and(|(key, _)| range.contains(key.address))
    };
    !node.options.masquerade_all && !node.pod_cidrs.iter().any(is_taken)
}

/// The backends of the Service port there, if it qualifies.
fn backends(tables: &Tables, at: SocketAddrV4) -> Option<Backends> {
    let key = FrontendKey { address: (*at.ip()).into(), protocol: Protocol::Tcp, port: at.port() };
    let frontend = tables.frontends.get(&key).filter(|frontend| is_simple(frontend))?;
    let pool = tables.pools.get(&PoolKey { service: frontend.service.clone(), family: Family::V4 })?;
    if pool.cluster.is_empty() || pool.cluster.len() > BACKENDS_MAX {
        return None;
    }
    pool.cluster.iter().map(|backend| pod(tables, *backend)).collect()
}

fn is_simple(frontend: &Frontend) -> bool {
    let anywhere = |action| matches!(action, Action::Forward { scope: Scope::Cluster, .. });
    frontend.kind == FrontendKind::ClusterIp
        && frontend.affinity.is_none()
        && frontend.sources.is_none()
        && frontend.masquerade == Masquerade::UnlessPod
        && anywhere(frontend.inside)
        && anywhere(frontend.outside)
}

/// The backend, if it is a pod that is not the node itself.
fn pod(tables: &Tables, backend: SocketAddr) -> Option<SocketAddrV4> {
    let node = &tables.node;
    let is_pod = node.pod_cidrs.iter().any(|range| range.contains(backend.ip()));
    match backend {
        SocketAddr::V4(backend) if is_pod && !node.addresses.contains(&(*backend.ip()).into()) => {
            Some(backend)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
