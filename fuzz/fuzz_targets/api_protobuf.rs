//! Objects in Kubernetes' protobuf encoding.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::api::protobuf(bytes));
