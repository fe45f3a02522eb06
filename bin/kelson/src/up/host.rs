//! What the machine says of itself: its name, and the address its default route would use.

use std::net::{IpAddr, UdpSocket};

/// The host's name, lower case left to the caller; `node` where the kernel knows none.
pub fn name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "node".into())
}

/// The source address the kernel would choose towards the outside. Connecting a datagram socket asks the routing
/// table and sends nothing; the target is a documentation address (RFC 5737).
pub fn routed_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}
