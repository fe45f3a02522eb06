//! ARP from anybody on the node's links.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::arp::packet(bytes));
