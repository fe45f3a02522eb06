//! Pods on this node, as OCI containers of our own.
//!
//! The way: the agent calls [`Runtime`] and [`Pod`] (async); each pod has one *shim*, the same binary run as
//! `kelson shim …`, single-threaded, detached from kelson. The shim holds the pod's namespaces, is the parent of its
//! processes, writes their logs, and records every end on disk before it tells anybody. kelson may die at any moment:
//! pods go on, and [`Runtime::list`] finds them again by their directories and sockets.
//!
//! Invariants: `libcontainer` is called only in processes forked from a shim, never where threads run. What a shim was
//! told to make lies under the pod's directory until it is undone, so removal works after any crash.
//! Never done here: images, addresses, decisions about restarting.

mod cgroups;
mod client;
mod config;
mod error;
mod fd_stream;
mod leftovers;
mod memory;
mod pod;
mod protocol;
mod runtime;
mod session;
mod shim;
mod signals;
mod state;
mod usage;
mod wire;

pub use cgroups::{remove_if_unused as remove_unused_cgroup, unified_dir};
pub use config::{
    AttachConfig, CGROUP_PARENT, ContainerConfig, ExecConfig, Mount, Network, PodConfig, Propagation,
    Resources, Seccomp, User,
};
pub use error::Error;
pub use fd_stream::FdStream;
pub use pod::Pod;
pub use runtime::Runtime;
pub use session::{Control, Session};
pub use shim::logs::{LOG_FILES, LOG_SIZE_BYTES_MAX, rotated};
pub use shim::shim_main;
pub use shim::users::{Identity, resolve_user};
pub use signals::parse_signal;
pub use state::{ContainerState, EXIT_UNKNOWN, Phase};
pub use usage::Usage;
