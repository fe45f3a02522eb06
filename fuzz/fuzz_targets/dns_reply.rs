//! What other name servers answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::dns::reply(bytes));
