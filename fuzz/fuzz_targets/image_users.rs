//! The users an image lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::image::users(bytes));
