//! The DNS server: sockets around `kelson-zones`, and forwarding of names that are not the cluster's.
//!
//! ```text
//! UDP thread a core ─┬─ Zone::answer ► sent at once, a batch a system call
//! TCP task a client ─┘        └ not ours, or an alias out ► Forwarder ─ cache ─ the node's resolvers
//! ```
//!
//! The zone arrives through a watch channel; a thread looks at a counter before each batch and takes the new one when
//! there is one. Invariants: no query for a cluster name waits for anything outside this process; a query is never sent
//! to our own addresses; every queue, cache and number of clients has a bound. Never decides what a name means.

mod cache;
mod config;
mod error;
mod forward;
pub mod fuzz;
mod message;
mod metrics;
mod pages;
mod resolv_conf;
mod serve;
mod server;
mod tcp;
mod udp;
mod upstream;

pub use config::{Config, Upstream};
pub use error::DnsError;
pub use metrics::Metrics;
pub use server::{Server, run};
