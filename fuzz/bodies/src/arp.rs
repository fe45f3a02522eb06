//! ARP from anybody on the node's links.

use kelson_lb::arp::{LENGTH, Packet};

/// What is accepted encodes to the same bytes, and the answer to it is a packet itself.
pub fn packet(bytes: &[u8]) {
    let Some(packet) = Packet::parse(bytes) else { return };
    assert_eq!(packet.encode(), bytes[..LENGTH]);
    let answer = packet.answer([2, 0, 0, 0, 0, 1]);
    assert_eq!(Packet::parse(&answer.encode()), Some(answer));
}
