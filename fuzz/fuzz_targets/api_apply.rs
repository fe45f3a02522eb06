//! Configurations from anybody who may write, applied to objects whoever owns their fields.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::api::apply(bytes));
