//! How the binary is linked: its relocations packed, where the C library it is linked with can unpack them.
//!
//! A static binary that may lie at any address carries an entry for every pointer in its constants: a megabyte in all,
//! which each process reads before its first line, so each pod's shim as well. Packed (DT_RELR) they take thirty
//! kilobytes. glibc unpacks them since 2.36; with an older one the binary would die at its start, so it stays as it is.

use std::ffi::{CStr, c_char};

unsafe extern "C" {
    fn gnu_get_libc_version() -> *const c_char;
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // SAFETY: glibc returns a constant text.
    let version = unsafe { CStr::from_ptr(gnu_get_libc_version()) }.to_string_lossy().into_owned();
    if is_recent(&version) && std::env::var("HOST") == std::env::var("TARGET") {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether glibc of this version, for example `2.36`, unpacks relocations in static binaries.
fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(36))
}
