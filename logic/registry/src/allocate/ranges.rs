//! The ranges addresses and ports come from, and their static and dynamic bands (A5.2, A5.3, A6.2).

use crate::ip;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// A Service CIDR whose addresses can be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    bits: u8,
}

/// Why ranges cannot be used. `Display` says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangesError {
    NotACidr(String),
    /// IPv6 prefixes shorter than /64 (A5.2).
    TooWide(String),
    /// A CIDR without a single usable address.
    TooNarrow(String),
    /// Not one or two CIDRs of different families.
    Families,
    /// The first port is zero or above the last.
    Ports(u16, u16),
}

impl std::fmt::Display for RangesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotACidr(text) => write!(f, "service CIDR {text:?} is not a network such as 10.96.0.0/16"),
            Self::TooWide(text) => {
                write!(f, "service CIDR {text}: shortest allowed prefix length for service CIDR is 64")
            }
            Self::TooNarrow(text) => write!(f, "service CIDR {text} has no address to hand out"),
            Self::Families => f.write_str("service CIDRs must be one, or two of different IP families"),
            Self::Ports(first, last) => {
                write!(f, "node port range {first}-{last} is empty or starts at zero")
            }
        }
    }
}

impl std::error::Error for RangesError {}

/// What there is to allocate from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// One or two, of different families; the first is the default family.
    pub service_cidrs: Vec<Cidr>,
    /// First and last node port.
    pub node_ports: (u16, u16),
}

impl Ranges {
    /// From `10.96.0.0/16[,fd00::/112]` and a port range.
    pub fn parse(cidrs: &str, node_ports: (u16, u16)) -> Result<Self, RangesError> {
        let service_cidrs: Vec<Cidr> =
            cidrs.split(',').map(|text| Cidr::parse(text.trim())).collect::<Result<_, _>>()?;
        let distinct = match service_cidrs.as_slice() {
            [_] => true,
            [one, two] => one.is_ipv6() != two.is_ipv6(),
            _ => false,
        };
        if !distinct {
            return Err(RangesError::Families);
        }
        if node_ports.0 == 0 || node_ports.0 > node_ports.1 {
            return Err(RangesError::Ports(node_ports.0, node_ports.1));
        }
        Ok(Self { service_cidrs, node_ports })
    }

    /// The range of a family, if there is one.
    pub fn cidr(&self, ipv6: bool) -> Option<&Cidr> {
        self.service_cidrs.iter().find(|cidr| cidr.is_ipv6() == ipv6)
    }

    /// `IPv4` or `IPv6`: the family of Services that ask for none.
    pub fn default_family(&self) -> &'static str {
        family(self.service_cidrs.first().is_some_and(Cidr::is_ipv6))
    }

    /// The static band of node ports, then the dynamic one; the static one may be empty.
    pub fn port_bands(&self) -> (RangeInclusive<u128>, RangeInclusive<u128>) {
        let (first, last) = (u128::from(self.node_ports.0), u128::from(self.node_ports.1));
        bands(first, last, last - first + 1, 32, 128)
    }
}

/// The name of a family.
pub fn family(ipv6: bool) -> &'static str {
    if ipv6 { "IPv6" } else { "IPv4" }
}

impl Cidr {
    /// A network in canonical form that has usable addresses.
    pub fn parse(text: &str) -> Result<Self, RangesError> {
        let (address, bits) = ip::parse_cidr(text).ok_or_else(|| RangesError::NotACidr(text.to_owned()))?;
        if ip::network(address, bits) != address {
            return Err(RangesError::NotACidr(text.to_owned()));
        }
        match (address.is_ipv6(), bits) {
            (true, ..64) => Err(RangesError::TooWide(text.to_owned())),
            (true, 128) | (false, 31..) => Err(RangesError::TooNarrow(text.to_owned())),
            _ => Ok(Self { network: address, bits }),
        }
    }

    pub fn is_ipv6(&self) -> bool {
        self.network.is_ipv6()
    }

    /// Whether the network covers the address, usable or not.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv6() == self.is_ipv6() && ip::network(address, self.bits) == self.network
    }

    /// Whether the address can be handed out: not the network's, nor the IPv4 broadcast address.
    pub fn usable(&self, address: IpAddr) -> bool {
        self.contains(address) && (self.first()..=self.last()).contains(&number(address))
    }

    /// The first address that can be handed out: that of the Service `kubernetes`.
    pub fn first_address(&self) -> IpAddr {
        self.address(self.first())
    }

    fn first(&self) -> u128 {
        number(self.network) + 1
    }

    fn last(&self) -> u128 {
        let width = if self.is_ipv6() { 128 } else { 32 };
        let size = 1_u128 << (width - u32::from(self.bits));
        let broadcast = u128::from(!self.is_ipv6());
        number(self.network) + size - 1 - broadcast
    }

    /// The address that `number` stands for in this family.
    pub(super) fn address(&self, number: u128) -> IpAddr {
        match self.network {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }

    /// The static band, then the dynamic one, as numbers.
    pub(super) fn bands(&self) -> (RangeInclusive<u128>, RangeInclusive<u128>) {
        let size = self.last() - number(self.network) + 1 + u128::from(!self.is_ipv6());
        bands(self.first(), self.last(), size, 16, 256)
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// KEP-3070 and KEP-3668: the static band is min(max(16, size/step), most) wide, none in ranges below 16.
fn bands(
    first: u128,
    last: u128,
    size: u128,
    step: u128,
    most: u128,
) -> (RangeInclusive<u128>, RangeInclusive<u128>) {
    let offset = if size < 16 { 0 } else { (size / step).clamp(16, most) };
    let start = (first + offset).min(last + 1);
    (RangeInclusive::new(first, start - 1), RangeInclusive::new(start, last))
}
