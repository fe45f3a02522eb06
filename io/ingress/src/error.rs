//! What keeps the ingress, or a part of it, from starting.

use std::io;
use std::net::SocketAddr;

/// Why the ingress cannot serve as told.
#[derive(Debug, thiserror::Error)]
pub enum IngressError {
    /// A listener could not be made.
    #[error("listening on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not; `AddrInUse` when another program has the port.
        #[source]
        source: io::Error,
    },
    /// The certificate for hosts without one could not be made.
    #[error("making the fallback certificate")]
    Fallback(#[source] rcgen::Error),
    /// A worker could not be started.
    #[error("starting a worker")]
    Worker(#[source] io::Error),
    /// TLS could not be set up.
    #[error("setting up TLS")]
    Tls(#[source] rustls::Error),
}
