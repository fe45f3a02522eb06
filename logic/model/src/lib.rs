//! What the field talks about, as plain values: Services, endpoints, nodes, flows and the snapshot that holds them.
//!
//! Everything here is ordered, comparable and made only by parsing (`kelson-index`), so two snapshots of the same
//! cluster are equal whatever order its events came in. Nothing here decides, and nothing knows the kernel or DNS.

mod endpoint;
mod flow;
mod host_port;
mod name;
mod service;
mod snapshot;
mod ways;

pub use endpoint::{Endpoint, EndpointPort, Hints, PodRef};
pub use flow::{Flow, Origin, Verdict};
pub use host_port::HostPort;
pub use name::{Protocol, ServiceName, ServicePortName};
pub use service::{Affinity, Cidr, Exposure, Service, ServicePort, TrafficPolicy};
pub use snapshot::{Acknowledged, EndpointMap, NodeView, Revision, ServiceMap, Snapshot};
pub use ways::Ways;
