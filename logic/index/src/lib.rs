//! Index, the first verb: Kubernetes objects become the values of `kelson-model`.
//!
//! ```text
//! Service        ─ service ─┐
//! EndpointSlice  ─ slice ───┼─ Tracker ► Arc<Snapshot>
//! Namespace      ───────────┘
//! Pod            ─ host_ports ► HostPort, of the node's own pods
//! ```
//!
//! The snapshot depends on the objects alone, never on the order their events came in. A bad object is left out with a
//! warning and blinds nothing else. Nothing here knows a clock, the API server or what a snapshot is used for.

mod host_ports;
mod merge;
mod service;
mod slice;
mod tracker;

pub use host_ports::host_ports;
pub use service::service;
pub use slice::{Slice, SlicePort, slice};
pub use tracker::{Tracker, Watched};
