//! That every failure names its likely cause and never repeats its source.

use std::error::Error as _;
use std::io;

use super::Error;

#[track_caller]
fn check(error: &Error, expected: &str) {
    let (text, source) = (error.to_string(), error.source().expect("a source").to_string());
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains(&source), "{text} repeats {source}");
}

fn refused(fixed: bool, number: i32) -> Error {
    Error::Refused {
        asked: "adding chain output".into(),
        fixed,
        source: io::Error::from_raw_os_error(number),
    }
}

#[test]
fn causes_are_named() {
    check(&refused(true, libc::ENOENT), "the kernel refused adding chain output: this kernel lacks a part");
    check(&refused(false, libc::ENOENT), "another program may have changed the table");
    check(&refused(true, libc::EPERM), "run as root");
    check(&refused(true, libc::EOPNOTSUPP), "modprobe");
    let source = io::Error::from_raw_os_error(libc::EMSGSIZE);
    check(&Error::Send { bytes: 7, source }, "raise net.core.wmem_max");
    check(&Error::Open(io::Error::from_raw_os_error(libc::EPROTONOSUPPORT)), "modprobe");
}
