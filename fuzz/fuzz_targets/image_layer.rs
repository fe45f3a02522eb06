//! Any bytes as a layer: no panic, nothing outside of its directory.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_images::fuzz::layer(bytes));
