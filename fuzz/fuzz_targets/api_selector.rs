//! Selectors, in queries and in objects.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::api::selector(bytes));
