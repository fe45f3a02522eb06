//! Token files, Authorization headers, clients' certificates.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::api::credentials(bytes));
