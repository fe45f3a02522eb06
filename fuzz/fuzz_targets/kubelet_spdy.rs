//! Clients' SPDY connections to the kubelet API.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::node::spdy(bytes));
