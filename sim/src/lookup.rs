//! A DNS question put to a zone, and the addresses in its answer: the wire form, as a pod's resolver has it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use kelson_zones::{Outcome, Transport, Zone};

/// The A records of `name`; `None` when there is no such name.
pub fn addresses(zone: &Zone, name: &str) -> Option<BTreeSet<Ipv4Addr>> {
    let query = question(name);
    let mut answer = [0; 4096];
    let Outcome::Reply(reply) = zone.answer(&query, Transport::Tcp, 0, &mut answer) else { return None };
    (reply.rcode == 0).then(|| records(&answer[..reply.length], query.len()))
}

fn question(name: &str) -> Vec<u8> {
    let mut packet = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

/// The contents of all A records after the question. Owners are pointers or names; both are stepped over.
fn records(packet: &[u8], mut at: usize) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    while let Some(head) = skip_name(packet, at) {
        let Some(fixed) = packet.get(head..head + 10) else { break };
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let content = packet.get(head + 10..head + 10 + length).unwrap_or_default();
        if let (0, 1, Ok(bytes)) = (fixed[0], fixed[1], <[u8; 4]>::try_from(content)) {
            found.insert(bytes.into());
        }
        at = head + 10 + length;
    }
    found
}

fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *packet.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}
