//! The service proxy: the kernel's table follows the cluster.
//!
//! `kelson-tables` decides; this crate encodes its commands as raw netlink, one atomic transaction an update, says
//! which snapshot is programmed, and removes the UDP flows that would stick to backends that are gone. It needs no
//! `nft` binary. The table outlives the process: traffic flows, and the ranges stay guarded, while kelson is dead. Where
//! the kernel can, what needs no look at packets is translated as pods call connect(), by `kelson-sockets`, from the same
//! tables in the same round. Beside that it answers balancers: whether it keeps up ([`Health`]), and whether the node has
//! endpoints of a Service ([`serve_checks`]).

mod affinity;
mod apply;
mod at_connect;
mod attributes;
mod checks;
mod config;
mod conntrack;
mod encode;
mod error;
mod expressions;
mod health;
mod metrics;
mod run;
mod socket;

pub use apply::{Applied, Nftables, destroy};
pub use checks::{Complain, Healthy, serve_checks};
pub use config::Config;
pub use error::Error;
pub use health::{Health, Report};
pub use kelson_sockets::{Place, remove as remove_translation};
pub use metrics::Metrics;
pub use run::run;
