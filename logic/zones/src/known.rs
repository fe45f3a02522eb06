//! What a zone knows of a name, as values: for those who explain answers rather than send them. The same look-up as
//! [`Zone::answer`](crate::Zone::answer); never on the hot path.

use std::net::IpAddr;

use crate::name::{Name, is_beneath};
use crate::node::Node;
use crate::records::RecordSet;
use crate::rtype;
use crate::zone::Zone;

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It has these addresses, in order.
    Addresses(Vec<IpAddr>),
    /// It is another name for this one.
    Alias(Name),
    /// It exists and has neither.
    Empty,
    /// It would be the zone's, and is not there.
    Missing,
    /// It is not the zone's.
    Foreign,
}

impl Zone {
    /// What is known of `name`, dotted text with or without the last dot.
    pub fn known(&self, name: &str) -> Known {
        let Some(name) = Name::parse(name) else { return Known::Missing };
        match self.node(name.wire()) {
            Some(node) => of_node(node),
            None if !is_beneath(name.wire(), self.apex.wire()) => Known::Foreign,
            None => match self.pod_address(name.wire()) {
                Some(address) => Known::Addresses(vec![address]),
                None => Known::Missing,
            },
        }
    }
}

fn of_node(node: &Node) -> Known {
    let sets = [rtype::A, rtype::AAAA].into_iter().filter_map(|kind| node.set(kind));
    let mut addresses: Vec<IpAddr> = sets.flat_map(RecordSet::iter).filter_map(address).collect();
    addresses.sort_unstable();
    if !addresses.is_empty() {
        return Known::Addresses(addresses);
    }
    let alias = node.set(rtype::CNAME).and_then(|set| Name::from_wire(set.iter().next()?.get(10..)?));
    alias.map_or(Known::Empty, Known::Alias)
}

/// The address a record without owner says.
fn address(record: &[u8]) -> Option<IpAddr> {
    let content = record.get(10..)?;
    let v4 = <[u8; 4]>::try_from(content).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(content).map(IpAddr::from)).ok()
}
