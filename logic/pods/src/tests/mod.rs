//! Tests of the pod's life, by spec id, against a small made-up node.

mod departures;
mod draining;
mod environment;
mod ephemeral;
mod files;
mod images;
mod life;
mod probes;
mod properties;
mod stopping;
pub(crate) mod world;
