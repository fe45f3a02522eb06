//! Tests of the pod's life, by spec id, against a small made-up node.

mod draining;
mod environment;
mod files;
mod ephemeral;
mod images;
mod life;
mod probes;
mod properties;
mod stopping;
mod world;
