//! IPv4 ranges and the hardware address that belongs to an IPv4 address. Pure arithmetic.

use std::net::{IpAddr, Ipv4Addr};

use kelson_model::Cidr;

/// An IPv4 range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The network address.
    pub network: Ipv4Addr,
    /// Length of the prefix in bits.
    pub prefix: u8,
}

impl Range {
    /// The range of an IPv4 `cidr`; `None` for IPv6.
    pub fn of(cidr: Cidr) -> Option<Self> {
        match cidr.address {
            IpAddr::V4(network) => Some(Self { network, prefix: cidr.prefix }),
            IpAddr::V6(_) => None,
        }
    }

    /// The first address after the network's own.
    pub fn first(&self) -> Ipv4Addr {
        (u32::from(self.network) + 1).into()
    }

    /// The last address, the broadcast address of ranges that have one.
    pub fn last(&self) -> Ipv4Addr {
        let hosts = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        (u32::from(self.network) | hosts).into()
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.network <= other.last() && other.network <= self.last()
    }
}

/// The hardware address of the link that holds `address`: locally administered and derived from it, so that a
/// neighbour's cache is still right when an address gets its next holder.
pub(crate) fn hardware_address(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x0a, 0x58, a, b, c, d]
}
