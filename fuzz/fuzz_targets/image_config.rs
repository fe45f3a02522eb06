//! Images' configurations, and manifests from registries.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::image::config(bytes));
