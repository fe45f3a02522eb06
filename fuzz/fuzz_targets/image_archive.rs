//! Image archives from anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::image::archive(bytes));
