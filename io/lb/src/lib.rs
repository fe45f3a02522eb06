//! Balancer addresses on the node's links: answered for by ARP and announced, so that clients of the same network reach
//! a Service of type LoadBalancer with nothing configured.
//!
//! On the way of a packet this is the step before the tables: the client learns that the node is where the address is,
//! and sends; the packet filter translates. Invariants: it answers for addresses that Services hold in the configured
//! ranges and for nothing else; never on the pod bridge; never for an address that the node itself has, which the kernel
//! answers for. It gives no address to anybody (`plans` does) and sees no packet but ARP.

pub mod arp;
mod error;
mod filter;
mod run;
mod socket;
mod speaker;

pub use error::Error;
pub use run::{Config, LoadBalancer};
