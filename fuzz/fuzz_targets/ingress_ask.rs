//! Request heads of anybody who can reach the ingress.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::ingress::ask(bytes));
