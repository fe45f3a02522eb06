//! The tables themselves: what every address, protocol and port of the Service system leads to, on one node.
//!
//! Immutable and comparable; the maps are persistent, so a table is cloned and diffed by what changed, not by its size.
//! They know no data plane: nftables and eBPF are rendered from the same values, and `trace` reads them directly.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use kelson_model::{Affinity, Cidr, Protocol, ServicePortName};

/// An address family. A Service port has one pool of backends in each family it has an address of (spec C1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What a client connects to: an address, a protocol and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendKey {
    /// The virtual address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// The Service's port.
    pub port: u16,
}

impl fmt::Display for FrontendKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", SocketAddr::new(self.address, self.port), self.protocol.lower())
    }
}

/// A port on every address of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodePortKey {
    /// The family of the node's address.
    pub family: Family,
    /// The protocol.
    pub protocol: Protocol,
    /// The NodePort.
    pub port: u16,
}

impl fmt::Display for NodePortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node port {}/{}", self.port, self.protocol.lower())
    }
}

/// Which of a pool's two lists of backends is meant (spec C2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Usable endpoints of the whole cluster.
    Cluster,
    /// Usable endpoints on this node.
    Local,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// To one of the pool's backends, each as likely (spec C2.8).
    Forward {
        /// Which list.
        scope: Scope,
        /// How many backends it holds, at least one.
        count: u16,
    },
    /// Refused at once (spec C3.1).
    Reject,
    /// Discarded: there are endpoints, but none this traffic may use (spec C3.2, C3.3).
    Drop,
}

/// When the source address is rewritten, hairpin aside (spec C4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Masquerade {
    /// Always (spec C4.3).
    Always,
    /// Unless the source is a pod (spec C4.1, C4.2).
    UnlessPod,
    /// Only when the node itself is the source (spec C4.4).
    IfNode,
}

/// By which of its addresses a Service is reached; the order decides who wins a contested address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FrontendKind {
    /// A ClusterIP.
    ClusterIp,
    /// A balancer's address.
    LoadBalancer,
    /// One of `spec.externalIPs`.
    ExternalIp,
    /// A NodePort.
    NodePort,
    /// A pod's port on the node; no Service's.
    HostPort,
}

/// One way into a Service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// What kind of address it is.
    pub kind: FrontendKind,
    /// The Service port, or a name no Service has for a pod's host port; with the family of the key its pool.
    pub service: ServicePortName,
    /// Names the pool in a data plane: the ClusterIP, protocol and port of this Service port in this family.
    pub identity: FrontendKey,
    /// The port's session affinity, the same at each of its frontends (spec C7.2).
    pub affinity: Option<Affinity>,
    /// For clients that are pods or the node itself.
    pub inside: Action,
    /// For all other clients.
    pub outside: Action,
    /// Whose source is rewritten.
    pub masquerade: Masquerade,
    /// The only sources let in, when restricted: disjoint, outermost ranges (spec C6).
    pub sources: Option<Arc<[Cidr]>>,
}

/// The key of a pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolKey {
    /// The Service port.
    pub service: ServicePortName,
    /// The family.
    pub family: Family,
}

/// The backends of one Service port in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// As in [`Frontend::identity`]; no two pools share one.
    pub identity: FrontendKey,
    /// Session affinity.
    pub affinity: Option<Affinity>,
    /// Usable backends of the cluster, sorted.
    pub cluster: Arc<[SocketAddr]>,
    /// Usable backends on this node, sorted; empty when no policy asks for them.
    pub local: Arc<[SocketAddr]>,
    /// Every serving endpoint, whatever the policies: where a UDP flow may stay (spec C9.1, C9.2).
    pub serving: Arc<[SocketAddr]>,
}

impl Pool {
    /// The backends of `scope`.
    pub fn backends(&self, scope: Scope) -> &Arc<[SocketAddr]> {
        match scope {
            Scope::Cluster => &self.cluster,
            Scope::Local => &self.local,
        }
    }
}

/// How the operator wants the tables, beyond what the cluster says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Rewrite the source of every connection to a ClusterIP (kube-proxy's `--masquerade-all`).
    pub masquerade_all: bool,
    /// Rewrite the source of pods that talk to addresses outside the pod ranges.
    pub masquerade_pods: bool,
    /// The interfaces that lead to pods, the pod bridge first; traffic for the pod ranges leaves by no other.
    /// Empty when another network plugin looks after pods: then nothing is guarded.
    pub pod_interfaces: Vec<String>,
}

/// What the tables know of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRules {
    /// The addresses NodePorts answer on, sorted (spec C5.1).
    pub addresses: Vec<IpAddr>,
    /// The ranges of ClusterIPs: what no Service claims in them is refused.
    pub service_cidrs: Vec<Cidr>,
    /// The ranges of pods.
    pub pod_cidrs: Vec<Cidr>,
    /// The operator's wishes.
    pub options: Options,
}

/// Everything a node's data plane does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Virtual addresses.
    pub frontends: OrdMap<FrontendKey, Arc<Frontend>>,
    /// NodePorts.
    pub node_ports: OrdMap<NodePortKey, Arc<Frontend>>,
    /// Backends.
    pub pools: OrdMap<PoolKey, Arc<Pool>>,
    /// Every ClusterIP: a port of theirs that no frontend names is refused.
    pub cluster_ips: OrdSet<IpAddr>,
    /// Backend addresses that may be on this node, with how many pools use each: a connection from one of them that
    /// comes back to it is masqueraded (spec C4.5).
    pub hairpins: OrdMap<IpAddr, u32>,
    /// The node.
    pub node: Arc<NodeRules>,
}
