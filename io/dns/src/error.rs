//! Why the server cannot start, and why a name could not be resolved.

use std::io;
use std::net::SocketAddr;

use kelson_zones::BadDomain;

/// The server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// Nowhere to listen.
    #[error("no address to listen on was given")]
    NoAddress,
    /// The domain is no domain.
    #[error("cannot serve the zone")]
    Domain(#[source] BadDomain),
    /// An address cannot be had.
    #[error(
        "cannot listen on {protocol} {address} (does another server listen there, or is the address not the node's?)"
    )]
    Listen {
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A name could not be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unresolved {
    /// Nobody to ask.
    #[error("there is no upstream name server")]
    NoServer,
    /// Nobody answered in time.
    #[error("no upstream name server answered in time")]
    Silence,
    /// Too many questions are under way.
    #[error("too many questions are under way")]
    Busy,
}
