//! SPDY/3.1, which Kubernetes' older streaming clients speak, and port-forward to this day (inside a WebSocket).

mod connection;
mod dictionary;
pub mod frames;

pub use connection::{Stream, Writer, serve};
pub use frames::CANCEL;
