//! Queries for logs, and what containers wrote.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::node::log(bytes));
