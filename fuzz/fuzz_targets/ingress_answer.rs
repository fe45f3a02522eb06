//! Response heads and chunked bodies of backends.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::ingress::answer(bytes));
