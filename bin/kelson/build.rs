//! How the binary is linked: its relocations packed, where the C library it is linked with can unpack them, and functions
//! whose instructions are the same kept once.
//!
//! A static binary that may lie at any address carries an entry for every pointer in its constants: a megabyte in all,
//! which each process reads before its first line, so each pod's shim as well. Packed (DT_RELR) they take thirty
//! kilobytes. glibc unpacks them since 2.36; with an older one the binary would die at its start, so it stays as it is.

use std::ffi::{CStr, c_char};
use std::path::Path;
use std::process::Command;

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
    if folds_functions() {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// Whether the linker can keep equal functions once, which are four thousand and a quarter of a megabyte: where the
/// toolchain brings lld along it links with it. Not where names count, as in a profile. Nothing may rely on functions
/// having addresses of their own: the language never promised it.
fn folds_functions() -> bool {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let target = variable("TARGET");
    let own = |root: &Path| root.join("lib/rustlib").join(&target).join("bin/gcc-ld/ld.lld").exists();
    let asked = Command::new(variable("RUSTC")).args(["--print", "sysroot"]).output();
    let root =
        asked.map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned()).unwrap_or_default();
    variable("DEBUG") == "false" && target == "x86_64-unknown-linux-gnu" && own(Path::new(&root))
}

/// Whether glibc of this version, for example `2.36`, unpacks relocations in static binaries.
fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(36))
}
