//! Whole requests to the API server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::requests::request(bytes));
