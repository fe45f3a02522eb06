//! What compilation skipped, and why: for the log, for Events and for `explain`.

use std::net::{IpAddr, SocketAddr};

use kelson_model::{PodRef, ServiceName, ServicePortName};

/// One thing the tables do not do although an object asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// Two Services carry one ClusterIP; the one first by name is served.
    DuplicateClusterIp {
        /// The Service left out.
        service: ServiceName,
        /// The shared address.
        address: IpAddr,
        /// The Service that is served.
        owner: ServiceName,
    },
    /// Another Service port holds the address and port.
    Contested {
        /// The Service port left out there.
        service: ServicePortName,
        /// The address, protocol and port, or the NodePort.
        frontend: String,
        /// The Service port that is served.
        winner: ServicePortName,
    },
    /// More backends than one Service port can have; the first by address are used.
    TooManyBackends {
        /// The Service port.
        service: ServicePortName,
        /// How many there are.
        count: usize,
    },
    /// A Service port, or another pod, holds what a pod asks for as its host port.
    HostPortTaken {
        /// The pod and the port.
        host_port: ServicePortName,
        /// The address, protocol and port, or the node's port.
        frontend: String,
        /// The Service port or pod that is served.
        winner: ServicePortName,
    },
    /// A pod asks for a host port at an address this node is not reached at, such as a loopback address.
    ForeignHostAddress {
        /// The pod.
        pod: PodRef,
        /// The address.
        address: IpAddr,
        /// The port.
        port: u16,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DuplicateClusterIp { service, address, owner } => {
                write!(f, "service {service} is not served: its clusterIP {address} belongs to {owner}")
            }
            Self::Contested { service, frontend, winner } => {
                write!(f, "service port {service} is not served at {frontend}: {winner} holds it")
            }
            Self::HostPortTaken { host_port, frontend, winner } => {
                write!(f, "host port {host_port} is not served at {frontend}: {winner} holds it")
            }
            Self::TooManyBackends { service, count } => write!(
                f,
                "service port {service} has {count} usable endpoints: only the first {} get traffic",
                crate::part::MAX_BACKENDS
            ),
            Self::ForeignHostAddress { pod, address, port } => write!(
                f,
                "host port {} of pod {}/{} is not served: other machines and pods cannot reach this node at that address",
                SocketAddr::new(*address, *port),
                pod.namespace,
                pod.name
            ),
        }
    }
}
