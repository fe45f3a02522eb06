//! A flow asked about and what becomes of it: the question `trace` answers, tests send as packets and `explain` words.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// Where a flow starts, seen from the node whose tables it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// A pod on this node.
    Pod,
    /// A process in the node's own network namespace.
    Node,
    /// Anything that arrives by a link that is not the pod bridge.
    External,
}

/// The first packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// Where it starts.
    pub origin: Origin,
    /// The client's address.
    pub source: IpAddr,
    /// The address it connects to.
    pub destination: IpAddr,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port it connects to.
    pub port: u16,
}

/// What the tables do with a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Sent to one of these backends, each as likely, its source rewritten for those marked `true`.
    Forward(Vec<(SocketAddr, bool)>),
    /// Refused at once: TCP reset or ICMP port unreachable.
    Reject,
    /// Silently discarded.
    Drop,
    /// None of the tables' business; routed as if they were not there.
    Pass,
}
