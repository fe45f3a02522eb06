//! Records in wire form without their owner: type, class, TTL, length, content. The owner is written with the answer.

use std::net::IpAddr;

use crate::name::{Labels, Name};
use crate::query::{CLASS_IN, HEADER};
use crate::rtype;

/// Records of one type of one name, in wire form without owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordSet {
    /// The type of all of them.
    pub rtype: u16,
    /// How many there are.
    pub count: u16,
    bytes: Box<[u8]>,
}

impl RecordSet {
    /// A set of records of type `rtype` with these contents, without duplicates, at most 65,535 of them.
    pub fn new(rtype: u16, ttl: u32, contents: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let (mut set, mut bytes) = (Self { rtype, ..Self::default() }, Vec::new());
        let mut seen = std::collections::BTreeSet::new();
        for content in contents {
            let Ok(length) = u16::try_from(content.len()) else { continue };
            if set.count == u16::MAX || seen.contains(&content) {
                continue;
            }
            bytes.extend(rtype.to_be_bytes());
            bytes.extend(CLASS_IN.to_be_bytes());
            bytes.extend(ttl.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(&content);
            set.count += 1;
            seen.insert(content);
        }
        set.bytes = bytes.into();
        set
    }

    /// The records, one after another, each without its owner.
    pub fn iter(&self) -> Records<'_> {
        Records(&self.bytes)
    }
}

/// Walks through records without owners.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(u16::from_be_bytes([*self.0.get(8)?, *self.0.get(9)?]));
        let (record, rest) = self.0.split_at_checked(10 + length)?;
        self.0 = rest;
        Some(record)
    }
}

/// The content of the record that says `address`, and its type.
pub(crate) fn address(address: IpAddr) -> (u16, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (rtype::A, v4.octets().to_vec()),
        IpAddr::V6(v6) => (rtype::AAAA, v6.octets().to_vec()),
    }
}

/// The content of an SRV record (RFC 2782); the target is never compressed.
pub(crate) fn srv(weight: u16, port: u16, target: &Name) -> Vec<u8> {
    let mut content = vec![0, 0];
    content.extend(weight.to_be_bytes());
    content.extend(port.to_be_bytes());
    content.extend(target.wire());
    content
}

/// The content of a TXT record of one string of at most 255 bytes.
pub(crate) fn txt(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("our texts are short");
    [&[length], text.as_bytes()].concat()
}

/// The content of the zone's SOA record, as CoreDNS fills it (spec D2.11).
pub(crate) fn soa(server: &Name, mailbox: &Name, serial: u32, minimum: u32) -> Vec<u8> {
    let mut content = [server.wire(), mailbox.wire()].concat();
    for number in [serial, 7200, 1800, 86_400, minimum] {
        content.extend(number.to_be_bytes());
    }
    content
}

/// `owner` as it can be written in an answer to a question for `asked`: the labels they do not share, then a pointer into
/// the question.
pub(crate) fn owner_in_answer(owner: &Name, asked: &Name) -> Vec<u8> {
    let mut labels = Labels::of(owner.wire());
    let mut written = Vec::new();
    loop {
        let rest = labels.rest();
        if rest.len() > 1 && crate::name::is_beneath(asked.wire(), rest) {
            let offset = HEADER + asked.wire().len() - rest.len();
            written.extend(pointer(offset));
            return written;
        }
        match labels.next() {
            Some(label) => {
                written.push(u8::try_from(label.len()).expect("labels are short"));
                written.extend(label);
            }
            None => {
                written.push(0);
                return written;
            }
        }
    }
}

/// A compression pointer to `offset`, which must be below 16,384.
pub(crate) fn pointer(offset: usize) -> [u8; 2] {
    let offset = u16::try_from(offset).expect("pointers lead into the question or just behind it");
    (0xc000 | offset).to_be_bytes()
}
