//! The cluster, as components see it: reflectors that follow the API, and the executor that carries out plans.
//!
//! Second on every way through the house: between the API (in process or over TLS, the same bytes) and the
//! pure decisions in `logic/`. Invariant: what is decided comes from `logic/`; here is only following,
//! queueing and carrying out. It never decides, and never holds an object that the API has not told of.

mod backoff;
mod discovery;
pub mod events;
mod executor;
mod host_ports;
mod leader;
mod lean;
mod programmed;
mod reflect;
mod run;
mod snapshots;
mod wait;

pub use host_ports::host_ports;
pub use leader::{Leader, Seat, stand};
pub use programmed::{programmed_everywhere, publish_programmed};
pub use reflect::{Change, Reflected, Selection, reflect, reflect_versions};
pub use run::{ControllerConfig, run_balancer, run_controllers};
pub use snapshots::{service_snapshots, snapshots};
pub use wait::wait_until;
