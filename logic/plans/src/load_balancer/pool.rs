//! A range that balancer addresses come from: what it offers, in order.
//!
//! Read by `load_balancer` alone. Invariant: what `iter` yields is exactly what `offers` accepts. It knows nobody who
//! holds an address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A configured range of balancer addresses (`--load-balancer-cidr`), host bits cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is no pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolError {
    /// Not `address/prefix`.
    Malformed,
    /// Loopback, link-local, multicast, unspecified or broadcast addresses: no client could reach a Service there.
    Unreachable,
}

impl fmt::Display for PoolError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Malformed => "is no range; pass one like 10.10.0.0/26",
            Self::Unreachable => {
                "holds addresses that clients cannot reach (loopback, link-local or multicast)"
            }
        })
    }
}

impl std::error::Error for PoolError {}

impl FromStr for Pool {
    type Err = PoolError;

    fn from_str(text: &str) -> Result<Self, PoolError> {
        let (address, prefix) = text.trim().split_once('/').ok_or(PoolError::Malformed)?;
        let address: IpAddr = address.parse().map_err(|_| PoolError::Malformed)?;
        let prefix: u8 = prefix.parse().map_err(|_| PoolError::Malformed)?;
        if prefix > width(address) {
            return Err(PoolError::Malformed);
        }
        let network = from_number(number(address) & !hosts(address, prefix), address.is_ipv6());
        let pool = Self { network, prefix };
        let (first, last) = pool.ends();
        let reachable = |number| is_reachable(from_number(number, address.is_ipv6()));
        if prefix == 0 || !reachable(first) || !reachable(last) {
            return Err(PoolError::Unreachable);
        }
        Ok(pool)
    }
}

impl Pool {
    /// Whether a Service may have this address.
    pub fn offers(&self, address: IpAddr) -> bool {
        let (first, last) = self.ends();
        address.is_ipv6() == self.is_ipv6() && (first..=last).contains(&number(address))
    }

    /// The addresses on offer from the first; lazily, for a range may be vast.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (first, last) = self.ends();
        let ipv6 = self.is_ipv6();
        (first..=last).map(move |number| from_number(number, ipv6))
    }

    pub fn is_ipv6(&self) -> bool {
        self.network.is_ipv6()
    }

    /// The first and last address on offer. The network address and, in IPv4, the broadcast address are nobody's,
    /// where the range is long enough to have them (RFC 3021, RFC 6164).
    fn ends(&self) -> (u128, u128) {
        let first = number(self.network);
        let last = first | hosts(self.network, self.prefix);
        match width(self.network) - self.prefix {
            0 | 1 => (first, last),
            _ if self.is_ipv6() => (first + 1, last),
            _ => (first + 1, last - 1),
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.network, self.prefix)
    }
}

fn is_reachable(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => {
            v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] >= 224 || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(special || address.is_loopback() || address.is_multicast() || address.is_unspecified())
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits of an address that its range's prefix leaves free.
fn hosts(address: IpAddr, prefix: u8) -> u128 {
    let free = u32::from(width(address).saturating_sub(prefix));
    1u128.checked_shl(free).map_or(u128::MAX, |size| size - 1)
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn from_number(number: u128, ipv6: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(short) if !ipv6 => IpAddr::V4(short.into()),
        _ => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests;
