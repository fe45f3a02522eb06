//! What changed between two tables: the smallest set of keys a data plane must touch.
//!
//! Costs what changed, not what there is. A changed node is told as a whole: it changes seldom and concerns everything.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::{Frontend, FrontendKey, NodePortKey, Pool, PoolKey, Tables};

/// One key whose value came, went or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<K, V> {
    /// The key.
    pub key: K,
    /// What it held; `None` when it is new.
    pub old: Option<V>,
    /// What it holds; `None` when it is gone.
    pub new: Option<V>,
}

/// Everything that changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Virtual addresses.
    pub frontends: Vec<Change<FrontendKey, Arc<Frontend>>>,
    /// NodePorts.
    pub node_ports: Vec<Change<NodePortKey, Arc<Frontend>>>,
    /// Backends.
    pub pools: Vec<Change<PoolKey, Arc<Pool>>>,
    /// ClusterIPs.
    pub cluster_ips: Vec<Change<IpAddr, ()>>,
    /// Addresses that may meet themselves.
    pub hairpins: Vec<Change<IpAddr, ()>>,
    /// Whether what the tables know of the node changed.
    pub node: bool,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        !self.node
            && self.frontends.is_empty()
            && self.node_ports.is_empty()
            && self.pools.is_empty()
            && self.cluster_ips.is_empty()
            && self.hairpins.is_empty()
    }
}

/// What turns `old` into `new`.
pub fn diff(old: &Tables, new: &Tables) -> Changes {
    Changes {
        frontends: changes(&old.frontends, &new.frontends),
        node_ports: changes(&old.node_ports, &new.node_ports),
        pools: changes(&old.pools, &new.pools),
        cluster_ips: old.cluster_ips.diff(&new.cluster_ips).map(membership).collect(),
        hairpins: changes(&old.hairpins, &new.hairpins).into_iter().filter_map(presence).collect(),
        node: old.node != new.node,
    }
}

fn changes<K: Ord + Clone, V: PartialEq + Clone>(
    old: &OrdMap<K, V>,
    new: &OrdMap<K, V>,
) -> Vec<Change<K, V>> {
    old.diff(new)
        .map(|item| match item {
            DiffItem::Add(key, new) => Change { key: key.clone(), old: None, new: Some(new.clone()) },
            DiffItem::Update { old: (key, old), new: (_, new) } => {
                Change { key: key.clone(), old: Some(old.clone()), new: Some(new.clone()) }
            }
            DiffItem::Remove(key, old) => Change { key: key.clone(), old: Some(old.clone()), new: None },
        })
        .collect()
}

fn membership(item: imbl::ordset::DiffItem<'_, '_, IpAddr>) -> Change<IpAddr, ()> {
    match item {
        imbl::ordset::DiffItem::Add(key) => Change { key: *key, old: None, new: Some(()) },
        imbl::ordset::DiffItem::Remove(key) => Change { key: *key, old: Some(()), new: None },
    }
}

/// The counts matter to the compiler alone.
fn presence(change: Change<IpAddr, u32>) -> Option<Change<IpAddr, ()>> {
    let (old, new) = (change.old.map(|_| ()), change.new.map(|_| ()));
    (old != new).then_some(Change { key: change.key, old, new })
}

#[cfg(test)]
mod tests;
