//! ARP from anybody on the link: nothing panics, and what is accepted encodes to the same bytes.
#![no_main]

use kelson_lb::arp::{LENGTH, Packet};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(packet) = Packet::parse(bytes) else { return };
    assert_eq!(packet.encode(), bytes[..LENGTH]);
    let answer = packet.answer([2, 0, 0, 0, 0, 1]);
    assert_eq!(Packet::parse(&answer.encode()), Some(answer));
});
