//! Keys and values of set elements, byte by byte: every field in the kernel's order, padded to 32-bit words.

use std::net::{IpAddr, SocketAddr};

use kelson_model::{Cidr, Protocol};

use super::{Element, Value};
use crate::{Family, FrontendKey, NodePortKey, Scope};

/// Slots of the Local list are counted from here, so both lists live in one map.
pub(super) const LOCAL_SLOTS: u32 = 0x1_0000;

/// Bytes of a key or value as it grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Bytes(pub Vec<u8>);

impl Bytes {
    pub fn address(mut self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.0.extend(v4.octets()),
            IpAddr::V6(v6) => self.0.extend(v6.octets()),
        }
        self
    }

    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.0.extend([protocol.number(), 0, 0, 0]);
        self
    }

    pub fn port(mut self, port: u16) -> Self {
        self.0.extend(port.to_be_bytes());
        self.0.extend([0, 0]);
        self
    }

    pub fn word(mut self, word: u32) -> Self {
        self.0.extend(word.to_ne_bytes());
        self
    }

    pub fn frontend(self, key: FrontendKey) -> Self {
        self.address(key.address).protocol(key.protocol).port(key.port)
    }

    pub fn backend(self, backend: SocketAddr) -> Self {
        self.address(backend.ip()).port(backend.port())
    }

    pub fn interface(mut self, name: &str) -> Self {
        let mut padded = [0; 16];
        let length = name.len().min(15);
        padded[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.0.extend(padded);
        self
    }
}

/// Address, protocol and port.
pub(super) fn frontend(key: FrontendKey) -> Vec<u8> {
    Bytes::default().frontend(key).0
}

/// Protocol and port.
pub(super) fn node_port(key: NodePortKey) -> Vec<u8> {
    Bytes::default().protocol(key.protocol).port(key.port).0
}

/// Identity and slot.
pub(super) fn slot(identity: FrontendKey, scope: Scope, slot: usize) -> Vec<u8> {
    let slot = u32::try_from(slot).expect("a pool has at most 65,535 backends");
    Bytes::default().frontend(identity).word(first_slot(scope) + slot).0
}

/// Identity, scope and backend.
pub(super) fn member(identity: FrontendKey, scope: Scope, backend: SocketAddr) -> Vec<u8> {
    Bytes::default().frontend(identity).word(first_slot(scope)).backend(backend).0
}

/// Where a scope's slots begin.
pub(super) fn first_slot(scope: Scope) -> u32 {
    match scope {
        Scope::Cluster => 0,
        Scope::Local => LOCAL_SLOTS,
    }
}

/// An element of a set.
pub(super) fn element(key: Vec<u8>) -> Element {
    Element { key, key_end: None, interval_end: false, value: Value::Nothing }
}

/// An element of a map.
pub(super) fn entry(key: Vec<u8>, value: Vec<u8>) -> Element {
    Element { value: Value::Bytes(value), ..element(key) }
}

/// The ranges of `family` as the elements of a set of one field: first address, and first address after.
pub(super) fn range_elements(ranges: &[Cidr], family: Family) -> Vec<Element> {
    let mut elements = Vec::new();
    for (first, last) in merged(ranges, family) {
        elements.push(element(address(first, family)));
        if let Some(after) = last.checked_add(1).filter(|after| *after <= top(family)) {
            elements.push(Element { interval_end: true, ..element(address(after, family)) });
        }
    }
    elements
}

/// The ranges of `family` behind a frontend's key, as the elements of a set of several fields.
pub(super) fn source_elements(key: FrontendKey, ranges: &[Cidr], family: Family) -> Vec<Element> {
    let prefixed = |bits| [frontend(key), address(bits, family)].concat();
    merged(ranges, family)
        .into_iter()
        .map(|(first, last)| Element { key_end: Some(prefixed(last)), ..element(prefixed(first)) })
        .collect()
}

/// First and last address of each range, sorted, those that touch made one.
fn merged(ranges: &[Cidr], family: Family) -> Vec<(u128, u128)> {
    let mut spans: Vec<(u128, u128)> =
        ranges.iter().filter(|r| Family::of(r.address) == family).map(|r| span(r, family)).collect();
    spans.sort_unstable();
    let mut kept: Vec<(u128, u128)> = Vec::new();
    for (first, last) in spans {
        match kept.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => kept.push((first, last)),
        }
    }
    kept
}

fn span(range: &Cidr, family: Family) -> (u128, u128) {
    let (first, bits) = match range.address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let host = u32::from(range.prefix).min(bits);
    let size = top(family).checked_shr(host).unwrap_or(0);
    (first, first | size)
}

fn top(family: Family) -> u128 {
    match family {
        Family::V4 => u128::from(u32::MAX),
        Family::V6 => u128::MAX,
    }
}

fn address(bits: u128, family: Family) -> Vec<u8> {
    match family {
        Family::V4 => u32::try_from(bits).expect("an IPv4 address has 32 bits").to_be_bytes().into(),
        Family::V6 => bits.to_be_bytes().into(),
    }
}
