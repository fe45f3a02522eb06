//! DNS packets from anybody who can reach the server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::dns::query(bytes));
