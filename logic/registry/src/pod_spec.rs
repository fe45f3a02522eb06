//! Everything about a pod's spec that Pods and the templates of workloads share: defaults, rules, quality of service.

pub mod containers;
pub mod defaults;
pub mod environment;
pub mod probes;
mod qos;
pub mod resources;
pub mod spec;
pub mod volumes;
mod warnings;

pub use qos::qos;
pub use warnings::warnings;

#[cfg(test)]
mod tests;
