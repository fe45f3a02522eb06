//! Any bytes as an image archive: no panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_images::fuzz::archive(bytes));
