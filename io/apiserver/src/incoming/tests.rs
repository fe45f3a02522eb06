//! The beginning of a body that could not be read.

use super::*;

fn check(bytes: &[u8], expected: &str) {
    assert_eq!(summary(bytes), expected);
}

#[test]
fn bodies_are_shown_as_upstream_shows_them() {
    check(b"", "<empty>");
    check(b"{\"a\":", "{\"a\":");
    check(&[b"{".as_slice(), &[b'x'; 50]].concat(), &format!("{{{} ...", "x".repeat(29)));
    check(b"\x00\xff", "00ff");
}

#[test]
fn write_options_are_all_or_nothing() {
    let parse = |query: &str| {
        Options::parse(&Query::parse(Some(query)), "CreateOptions").map(|o| (o.dry_run, o.validation))
    };
    assert_eq!(parse("").unwrap(), (false, Validation::Warn));
    assert_eq!(parse("dryRun=All&fieldValidation=Strict").unwrap(), (true, Validation::Strict));
    assert_eq!(parse("dryRun=all").unwrap_err().code, 422);
}
