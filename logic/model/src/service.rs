//! A Service as the data plane, DNS and Ingress see it: parsed, defaulted, with nothing left to guess.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Protocol, ServiceName};

/// How a Service is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Exposure {
    /// A virtual address inside the cluster; NodePorts and balancer addresses, if any, are in the other fields.
    ClusterIp,
    /// `clusterIP: None`: names lead straight to the endpoints.
    Headless,
    /// A CNAME to another name (spec D1.9).
    ExternalName(Arc<str>),
}

/// Where traffic may go: to every usable endpoint, or only to those on this node (spec C2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrafficPolicy {
    /// Every usable endpoint of the cluster.
    #[default]
    Cluster,
    /// Endpoints on this node alone; never a remote one.
    Local,
}

/// Client affinity: the same client address keeps its endpoint (spec C7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Affinity {
    /// Seconds since the client's last new connection.
    pub timeout_seconds: u32,
}

/// An address range, host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cidr {
    /// The network address.
    pub address: IpAddr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Cidr {
    /// Parses `address/prefix`, clearing host bits; `None` when either part is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        Self::new(address.parse().ok()?, prefix.parse().ok()?)
    }

    /// The range of `prefix` bits that holds `address`; `None` when the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if prefix <= 32 => {
                IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)).into())
            }
            IpAddr::V6(v6) if prefix <= 128 => IpAddr::V6(
                (u128::from(v6) & u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)).into(),
            ),
            _ => return None,
        };
        Some(Self { address, prefix })
    }

    /// Whether `address` lies in the range; never across families.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address, self.prefix).is_some_and(|other| other == *self)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// One port a Service offers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServicePort {
    /// The port's name; empty when it has none.
    pub name: Arc<str>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port clients connect to, 1–65535.
    pub port: u16,
    /// The port on every node, when the Service has one.
    pub node_port: Option<u16>,
    /// The application protocol the Service declares (spec A2.14).
    pub app_protocol: Option<Arc<str>>,
}

/// A Service, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its key.
    pub name: ServiceName,
    /// How it is reached.
    pub exposure: Exposure,
    /// Its ports, in the object's order.
    pub ports: Vec<ServicePort>,
    /// Virtual addresses, primary family first; empty when headless or ExternalName.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs` that parse.
    pub external_ips: Vec<IpAddr>,
    /// Balancer addresses that the node short-circuits: `ipMode` VIP (spec A10.9).
    pub load_balancer_ips: Vec<IpAddr>,
    /// Who may reach the balancer addresses; empty means everyone (spec C6).
    pub source_ranges: Vec<Cidr>,
    /// Session affinity, when asked for.
    pub affinity: Option<Affinity>,
    /// Policy for traffic to the ClusterIP.
    pub internal_policy: TrafficPolicy,
    /// Policy for traffic to NodePorts, externalIPs and balancer addresses.
    pub external_policy: TrafficPolicy,
    /// The health check's port, when type LoadBalancer and external policy Local (spec C8).
    pub health_check_node_port: Option<u16>,
    /// Whether names and addresses of pods that are not ready are published.
    pub publish_not_ready: bool,
    /// `metadata.generation` as far as the API keeps one, else 0, to answer "programmed" with.
    pub generation: i64,
    /// Labelled `service.kubernetes.io/service-proxy-name`: another proxy's business (spec C1.2).
    pub foreign_proxy: bool,
}

impl Service {
    /// A Service of this name and kind with nothing else to it: no ports, no addresses, policies and affinity as by default.
    pub fn new(name: ServiceName, exposure: Exposure) -> Self {
        Self {
            name,
            exposure,
            ports: Vec::new(),
            cluster_ips: Vec::new(),
            external_ips: Vec::new(),
            load_balancer_ips: Vec::new(),
            source_ranges: Vec::new(),
            affinity: None,
            internal_policy: TrafficPolicy::Cluster,
            external_policy: TrafficPolicy::Cluster,
            health_check_node_port: None,
            publish_not_ready: false,
            generation: 0,
            foreign_proxy: false,
        }
    }

    /// Whether traffic from outside the cluster can reach it by design (spec A2.6).
    pub fn externally_reachable(&self) -> bool {
        !self.external_ips.is_empty()
            || !self.load_balancer_ips.is_empty()
            || self.ports.iter().any(|p| p.node_port.is_some())
    }
}
