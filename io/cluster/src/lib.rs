//! The cluster, as components see it: reflectors that follow the API, and the executor that carries out plans.
//!
//! Second on every way through the house: between the API (in process or over TLS, the same bytes) and the
//! pure decisions in `logic/`. Invariant: what is decided comes from `logic/`; here is only following,
//! queueing and carrying out. It never decides, and never holds an object that the API has not told of.

mod backoff;
mod reflect;
mod snapshots;

pub use reflect::{Change, Reflected, Selection, reflect};
pub use snapshots::snapshots;
