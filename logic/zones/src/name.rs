//! Domain names in wire form, lower case: the keys of a zone and the names inside its records.
//!
//! A name is a run of labels, each its length and its bytes, closed by a zero; at most 63 bytes a label and 255 in all
//! (RFC 1035 §2.3.4). Names are made here or fail; nothing is ever cut off.

use std::borrow::Borrow;
use std::net::IpAddr;
use std::sync::Arc;

/// The most bytes a name takes.
pub(crate) const NAME_MAX: usize = 255;

/// The most bytes a label takes.
pub(crate) const LABEL_MAX: usize = 63;

/// A domain name in lower-case wire form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// Parses dotted text, with or without the last dot; `None` when a label or the name is too long, or one is empty.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let root = Self(Arc::new([0]));
        if text.is_empty() { Some(root) } else { root.below(text.split('.')) }
    }

    /// The name of `labels` before this one; `None` when a label is empty or too long, or the whole is.
    pub fn below<'a>(&self, labels: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            let length =
                u8::try_from(label.len()).ok().filter(|n| (1..=LABEL_MAX).contains(&usize::from(*n)))?;
            wire.push(length);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.extend_from_slice(&self.0);
        (wire.len() <= NAME_MAX).then(|| Self(wire.into()))
    }

    /// The name in wire form `wire`, lower-cased; `None` when it is none.
    pub(crate) fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut labels = Labels(wire);
        while labels.next().is_some_and(|label| label.len() <= LABEL_MAX) {}
        (labels.rest() == [0] && wire.len() <= NAME_MAX).then(|| Self(wire.to_ascii_lowercase().into()))
    }

    /// The name that asks for the name of `address` (RFC 1035 §3.5, RFC 3596 §2.5).
    pub fn reverse(address: IpAddr) -> Self {
        let text = match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
            }
        };
        Self::parse(&text).expect("a reverse name fits")
    }

    /// What comes before every name in their order; no name itself.
    pub(crate) fn least() -> Self {
        Self(Arc::default())
    }

    /// The wire form.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels, first to last.
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.0)
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.labels().try_for_each(|label| write!(f, "{}.", String::from_utf8_lossy(label)))
    }
}

/// The labels of a name in wire form. Ends at the closing zero, or early where the bytes are no name.
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Labels<'a> {
    /// The labels of `wire`.
    pub(crate) fn of(wire: &'a [u8]) -> Self {
        Self(wire)
    }

    /// The wire form of what is left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(label)
    }
}

/// Whether `wire` is `suffix` or lies beneath it, label by label.
pub(crate) fn is_beneath(wire: &[u8], suffix: &[u8]) -> bool {
    if !wire.ends_with(suffix) {
        return false;
    }
    let mut labels = Labels::of(wire);
    while labels.rest().len() > suffix.len() && labels.next().is_some() {}
    labels.rest().len() == suffix.len()
}

/// The address a reverse name in wire form asks about; `None` for every other name.
pub(crate) fn reversed(wire: &[u8]) -> Option<IpAddr> {
    if wire.ends_with(b"\x07in-addr\x04arpa\0") {
        let mut octets = [0; 4];
        let mut labels = Labels::of(wire);
        for octet in octets.iter_mut().rev() {
            *octet = std::str::from_utf8(labels.next()?).ok()?.parse().ok()?;
        }
        return (labels.rest() == b"\x07in-addr\x04arpa\0").then_some(octets.into());
    }
    if wire.ends_with(b"\x03ip6\x04arpa\0") {
        let mut octets = [0_u8; 16];
        let mut labels = Labels::of(wire);
        for octet in octets.iter_mut().rev() {
            *octet = nibble(labels.next()?)? | (nibble(labels.next()?)? << 4);
        }
        return (labels.rest() == b"\x03ip6\x04arpa\0").then_some(octets.into());
    }
    None
}

fn nibble(label: &[u8]) -> Option<u8> {
    let [digit] = label else { return None };
    char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The address a pod name's first label spells: `10-244-0-7`, or IPv6 with `-` for `:` (spec D1.10).
pub(crate) fn dashed(label: &[u8]) -> Option<IpAddr> {
    let mut text = [0; LABEL_MAX];
    let text = text.get_mut(..label.len())?;
    text.copy_from_slice(label);
    let is_v4 =
        text.iter().filter(|byte| **byte == b'-').count() == 3 && !text.windows(2).any(|pair| pair == b"--");
    let separator = if is_v4 { b'.' } else { b':' };
    text.iter_mut().filter(|byte| **byte == b'-').for_each(|byte| *byte = separator);
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    (address.is_ipv4() == is_v4).then_some(address)
}

#[cfg(test)]
mod tests;
