//! The cluster at one moment, and the node that looks at it: the two inputs of every `compile`.
//!
//! The maps are persistent: cloning a snapshot is free, and `OrdMap::diff` finds what changed between two of them
//! without visiting what they share.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};

use crate::{Cidr, Endpoint, HostPort, Service, ServiceName, ServicePortName};

/// Every Service, by name.
pub type ServiceMap = OrdMap<ServiceName, Arc<Service>>;

/// The endpoints of every Service port, sorted and without duplicates (spec C1.5), ready or not.
pub type EndpointMap = OrdMap<ServicePortName, Arc<[Endpoint]>>;

/// How far the watches have come that a snapshot was made of: every change of a Service up to `services`, and of an
/// EndpointSlice up to `endpoint_slices`, is in it. Two numbers, because each watch hears of its own kind alone.
/// Resource versions of one API server compare as numbers, across kinds and nodes (KEP-5504).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// The newest resource version heard of from the watch of Services.
    pub services: u64,
    /// The newest resource version heard of from the watch of EndpointSlices.
    pub endpoint_slices: u64,
}

impl Revision {
    /// Whether everything up to `other` is in.
    pub fn covers(self, other: Revision) -> bool {
        self.services >= other.services && self.endpoint_slices >= other.endpoint_slices
    }

    /// What both have in: the older of each.
    pub fn meet(self, other: Revision) -> Revision {
        Revision {
            services: self.services.min(other.services),
            endpoint_slices: self.endpoint_slices.min(other.endpoint_slices),
        }
    }

    /// What either has in: the newer of each.
    pub fn join(self, other: Revision) -> Revision {
        Revision {
            services: self.services.max(other.services),
            endpoint_slices: self.endpoint_slices.max(other.endpoint_slices),
        }
    }
}

/// What a data plane says it has done: the last snapshot that new connections meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// The snapshot's generation; 0 before the first.
    pub generation: u64,
    /// The snapshot's revision.
    pub revision: Revision,
}

/// The cluster at one moment. Immutable, shared behind `Arc`, published through a watch channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts the changes of one tracker's content, from 1; what a data plane acknowledges.
    pub generation: u64,
    /// What the content is as of; it moves on although the content stays when a change says nothing new.
    pub revision: Revision,
    /// Whether every kind that feeds the snapshot has been listed once (spec C1.6, D2.8).
    pub synced: bool,
    /// The Services.
    pub services: ServiceMap,
    /// Their endpoints.
    pub endpoints: EndpointMap,
    /// When that happened which a Service's endpoints last changed for, in milliseconds of the epoch, where a controller
    /// notes it (spec B1.16): what network programming latency is counted from.
    pub triggered_ms: OrdMap<ServiceName, u64>,
    /// Namespaces that exist (spec D2.2).
    pub namespaces: OrdSet<Arc<str>>,
}

impl Snapshot {
    /// The endpoints of all of a Service's ports, which lie side by side.
    pub fn endpoints_of<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = &'a Endpoint> {
        let ports = self.endpoints.range(service.port("")..);
        ports.take_while(move |(port, _)| port.service == *service).flat_map(|(_, list)| list.iter())
    }

    /// The triggers that are new since `before`.
    pub fn triggered_since(&self, before: &Snapshot) -> impl Iterator<Item = u64> {
        before.triggered_ms.diff(&self.triggered_ms).filter_map(|item| match item {
            DiffItem::Add(_, at) | DiffItem::Update { new: (_, at), .. } => Some(*at),
            DiffItem::Remove(..) => None,
        })
    }

    /// The Services that differ from those in `before`, or whose endpoints do, wherever they are.
    pub fn changed_since(&self, before: &Snapshot) -> BTreeSet<ServiceName> {
        let services = before.services.diff(&self.services).map(|item| key(&item).clone());
        let endpoints = before.endpoints.diff(&self.endpoints).map(|item| key(&item).service.clone());
        services.chain(endpoints).collect()
    }
}

fn key<'a, K, V>(item: &DiffItem<'a, 'a, K, V>) -> &'a K {
    match item {
        DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key,
        DiffItem::Update { new: (key, _), .. } => key,
    }
}

/// The node whose tables are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// The node's name, to tell local endpoints (spec C1.7).
    pub name: Arc<str>,
    /// Every address of the node NodePorts are served on.
    pub addresses: Vec<IpAddr>,
    /// The node's zone (spec C2.7).
    pub zone: Option<Arc<str>>,
    /// Ranges ClusterIPs and balancer addresses come from: what is unclaimed in them is refused.
    pub service_cidrs: Vec<Cidr>,
    /// Ranges pods get their addresses from: sources in them are not masqueraded towards a ClusterIP (spec C4).
    pub pod_cidrs: Vec<Cidr>,
    /// Ports of the node that lead to pods it runs, each pod's together.
    pub host_ports: Arc<[HostPort]>,
}

#[cfg(test)]
mod tests;
