//! Services, EndpointSlices, Namespaces and Pods as some API server hands them out.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kelson_fuzz::cluster::objects(bytes));
