//! An object and a patch from anybody, on two lines: no kind of patch panics.
#![no_main]

use kelson_machinery::patch::{Merge, json_patch, merge_patch, strategic_merge};
use kelson_machinery::strict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(cut) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (Ok((object, _)), Ok((patch, _))) = (strict::parse(&bytes[..cut]), strict::parse(&bytes[cut + 1..]))
    else {
        return;
    };
    let facts = |path: &[&str]| match path.last() {
        Some(&"containers" | &"ports") => Merge::ByKey("name"),
        Some(&"finalizers") => Merge::Set,
        _ => Merge::Default,
    };
    let _ = json_patch(&mut object.clone(), &patch);
    merge_patch(&mut object.clone(), &patch);
    let _ = strategic_merge(&mut object.clone(), patch, &facts);
});
