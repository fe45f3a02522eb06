//! The service proxy: the kernel's table follows the cluster.
//!
//! `kelson-tables` decides; this crate encodes its commands as raw netlink, one atomic transaction an update, says
//! which snapshot is programmed, and removes the UDP flows that would stick to backends that are gone. It needs no
//! `nft` binary. The table outlives the process: traffic flows, and the ranges stay guarded, while kelson is dead.

mod affinity;
mod apply;
mod attributes;
mod config;
mod conntrack;
mod encode;
mod error;
mod expressions;
mod metrics;
mod run;
mod socket;

pub use apply::{Applied, Nftables, destroy};
pub use config::Config;
pub use error::Error;
pub use metrics::Metrics;
pub use run::run;
