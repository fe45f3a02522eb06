//! Layers of images from anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::image::layer(bytes));
