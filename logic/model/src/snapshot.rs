//! The cluster at one moment, and the node that looks at it: the two inputs of every `compile`.
//!
//! The maps are persistent: cloning a snapshot is free, and `OrdMap::diff` finds what changed between two of them
//! without visiting what they share.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::{Cidr, Endpoint, Service, ServiceName, ServicePortName};

/// Every Service, by name.
pub type ServiceMap = OrdMap<ServiceName, Arc<Service>>;

/// The endpoints of every Service port, sorted and without duplicates (spec C1.5), ready or not.
pub type EndpointMap = OrdMap<ServicePortName, Arc<[Endpoint]>>;

/// The cluster at one moment. Immutable, shared behind `Arc`, published through a watch channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts the snapshots of one tracker, from 1; what a data plane acknowledges.
    pub generation: u64,
    /// Whether every kind that feeds the snapshot has been listed once (spec C1.6, D2.8).
    pub synced: bool,
    /// The Services.
    pub services: ServiceMap,
    /// Their endpoints.
    pub endpoints: EndpointMap,
    /// Namespaces that exist (spec D2.2).
    pub namespaces: OrdSet<Arc<str>>,
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
    /// Ranges ClusterIPs come from: what is unclaimed in them is refused.
    pub service_cidrs: Vec<Cidr>,
    /// Ranges pods get their addresses from: sources in them are not masqueraded towards a ClusterIP (spec C4).
    pub pod_cidrs: Vec<Cidr>,
}
