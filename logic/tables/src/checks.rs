//! Health checks of Services (spec C8.1): the ports that balancers ask whether a node has endpoints of a Service.
//!
//! A Service of type LoadBalancer with external policy Local has a port of its own for it on every node. [`Checks`]
//! follows snapshots and visits only what changed in them. Invariant: it always is what the last snapshot says, whatever
//! came before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use kelson_model::{ServiceName, Snapshot};

/// What a node answers for one Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Where it is asked, on the node's addresses.
    pub port: u16,
    /// Ready endpoints of the Service on the node, each address counted once.
    pub local_endpoints: usize,
}

/// The health checks of one node.
#[derive(Debug)]
pub struct Checks {
    node: Arc<str>,
    seen: Snapshot,
    by_service: BTreeMap<ServiceName, Check>,
}

impl Checks {
    /// Those of the node of this name; none before the first snapshot.
    pub fn new(node: Arc<str>) -> Self {
        Self { node, seen: Snapshot::default(), by_service: BTreeMap::new() }
    }

    /// Takes in a snapshot.
    pub fn follow(&mut self, snapshot: &Snapshot) -> &BTreeMap<ServiceName, Check> {
        for name in snapshot.changed_since(&self.seen) {
            match self.check(&name, snapshot) {
                Some(check) => drop(self.by_service.insert(name, check)),
                None => drop(self.by_service.remove(&name)),
            }
        }
        self.seen = snapshot.clone();
        &self.by_service
    }

    fn check(&self, name: &ServiceName, snapshot: &Snapshot) -> Option<Check> {
        let service = snapshot.services.get(name).filter(|service| !service.foreign_proxy)?;
        let port = service.health_check_node_port?;
        let local = snapshot.endpoints_of(name).filter(|it| it.ready && it.node.as_ref() == Some(&self.node));
        let addresses: BTreeSet<IpAddr> = local.map(|it| it.address).collect();
        Some(Check { port, local_endpoints: addresses.len() })
    }
}

#[cfg(test)]
mod tests;
