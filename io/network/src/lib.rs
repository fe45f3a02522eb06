//! The pod network of one node: a bridge, a veth pair a pod, an address a pod, all by netlink.
//!
//! On the way of a packet this is the wire: a pod's frames reach the bridge [`NetworkConfig::bridge`], whose address is
//! every pod's gateway. A pod has a /32 address and sends everything through that gateway, also to its neighbours, so
//! each packet is routed by the node and meets its tables in both directions, whether or not the kernel filters bridged
//! frames. Both ranges (pods and Services) are routed to the bridge: what no table claims dies there and never takes the
//! node's default route, whether kelson runs or not.
//!
//! Invariants: no two pods ever hold one address; an address comes back as late as the range allows; what was set up
//! outlives the process, and [`PodNetwork::open`] adopts it. It never touches links it did not make, and decides nothing
//! about Services.

mod address;
mod attach;
mod bridge;
mod config;
mod error;
mod hold;
mod lease_file;
mod leases;
mod links;
pub mod netns;
mod node_links;
mod pod_network;
mod sysctl;

pub use config::NetworkConfig;
pub use error::NetworkError;
pub use hold::hold;
pub use node_links::{Follower, NodeLink, NodeLinks};
pub use pod_network::{PodIp, PodNetwork};
