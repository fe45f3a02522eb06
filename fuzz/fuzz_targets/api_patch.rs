//! Patches from anybody the API lets write.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::api::patch(bytes));
