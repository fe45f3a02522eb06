//! Clients' WebSocket messages to the kubelet API, and answers to gRPC probes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::node::message(bytes));
