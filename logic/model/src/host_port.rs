//! A pod's port on the address of its node: what `hostPort` of a container asks for, parsed.
//!
//! Only the node that runs the pod serves it, and only its data plane knows: no name leads to it.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::{PodRef, Protocol};

/// One port of a pod that its node is to serve too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostPort {
    /// The pod.
    pub pod: PodRef,
    /// The one address of the node it is served on (`hostIP`); `None` is every one of the backend's family.
    pub address: Option<IpAddr>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port on the node, 1–65535.
    pub port: u16,
    /// The pod's address and the port its program listens on.
    pub backend: SocketAddr,
}
