//! The name servers of a `resolv.conf`. Pure; whatever is not a `nameserver` line with an address is skipped.

use std::net::{IpAddr, SocketAddr};

/// The port name servers listen on.
const PORT: u16 = 53;

/// Most name servers taken from a file; the system's own resolver takes three.
const SERVERS_MAX: usize = 16;

/// The name servers `text` lists, in its order, each once.
pub(crate) fn name_servers(text: &str) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let address =
            words.next().and_then(|word| word.split('%').next()).and_then(|word| word.parse::<IpAddr>().ok());
        let server = address.map(|address| SocketAddr::new(address, PORT));
        servers.extend(server.filter(|server| !servers.contains(server)));
    }
    servers.truncate(SERVERS_MAX);
    servers
}

#[cfg(test)]
mod tests;
