//! An endpoint: one address and port behind a Service port, with what decides whether it gets traffic.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The pod an endpoint stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// The pod's namespace.
    pub namespace: Arc<str>,
    /// The pod's name.
    pub name: Arc<str>,
}

/// Topology hints (spec B2, C2.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hints {
    /// Zones that should use the endpoint.
    pub zones: Vec<Arc<str>>,
    /// Nodes that should use the endpoint.
    pub nodes: Vec<Arc<str>>,
}

/// The port of an endpoint, as an EndpointSlice lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointPort {
    /// The Service port's name it serves; empty when unnamed.
    pub name: Arc<str>,
    /// The port the program listens on; `None` means any (spec B3.4).
    pub port: Option<u16>,
}

/// One address and port behind a Service port. Absent conditions are already read as spec B7.3 says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// The address; the first of the slice's endpoint (spec B3.2).
    pub address: IpAddr,
    /// The port the program listens on; 0 for a headless Service without ports (spec D1.15).
    pub port: u16,
    /// May take new connections.
    pub ready: bool,
    /// The program says it serves, terminating or not.
    pub serving: bool,
    /// The pod is being deleted.
    pub terminating: bool,
    /// DNS host name under a headless Service, if the pod has one (spec D1.6).
    pub hostname: Option<Arc<str>>,
    /// The node it runs on; `None` is never local (spec B7.2).
    pub node: Option<Arc<str>>,
    /// The zone it runs in.
    pub zone: Option<Arc<str>>,
    /// Topology hints.
    pub hints: Hints,
    /// The pod it stands for.
    pub pod: Option<PodRef>,
}

impl Endpoint {
    /// A ready endpoint of no known node, zone or pod.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self {
            address,
            port,
            ready: true,
            serving: true,
            terminating: false,
            hostname: None,
            node: None,
            zone: None,
            hints: Hints::default(),
            pod: None,
        }
    }
}
