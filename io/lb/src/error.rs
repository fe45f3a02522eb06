//! What can go wrong on the way to the links.

use std::io;

/// A failed operation of the balancer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel gave no packet socket.
    #[error("cannot {operation} a packet socket for ARP (root or CAP_NET_RAW is needed)")]
    Socket {
        /// What was tried.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}
