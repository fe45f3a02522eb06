//! Objects of every kind from anybody who may write.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::api::object(bytes));
