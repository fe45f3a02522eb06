//! Translation at connect(): a program of a pod that asks for a ClusterIP is connected to a backend straight away.
//!
//! On a packet's way this comes before there is a packet: `kelson-tables` says which Service ports qualify, two eBPF
//! programs in the control group of the node's pods look them up, and nftables never sees what they translated. What they
//! do not find is nftables' as ever, so having none of this is always right and only slower.
//!
//! Invariants: a Service port is never seen half-changed; what is attached outlives the process, held by pins in a bpffs
//! of its own, and the next process takes over between two connects; programs of other control groups are not touched.
//! It decides nothing about Services, and never does what nftables could not do without it.

mod attach;
mod error;
mod layout;
mod maps;
mod pins;
mod syscall;

use std::path::PathBuf;

pub use attach::{Loaded, remove};
pub use error::Error;
pub use maps::{Change, Maps};

/// Where one node's translation lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Directory to mount a bpffs on, nobody else's: it holds what outlives the process.
    pub pins: PathBuf,
    /// Directory of the control group (v2) whose processes are served: that of the node's own pods.
    pub cgroup: PathBuf,
}
