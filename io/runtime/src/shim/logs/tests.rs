//! The cutting of lines, and the bound on files.

use super::*;

const AT: &str = "2026-01-01T00:00:00.000000001Z";

fn check(chunks: &[&[u8]], expected: &str) {
    let (mut lines, mut out, at) = (Lines::default(), Vec::new(), AT.parse().unwrap());
    for chunk in chunks {
        lines.take(Stream::Stdout, chunk, at, &mut out);
    }
    lines.finish(Stream::Stdout, at, &mut out);
    let expected: String = expected.lines().map(|line| format!("{AT} stdout {line}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn lines_however_they_arrive() {
    check(&[], "");
    check(&[b"one\n"], "F one");
    check(&[b"on", b"e\ntw", b"o\n"], "F one\nF two");
    check(&[b"\n\n"], "F \nF ");
    check(&[b"no end"], "P no end");
}

#[test]
fn long_lines_come_in_pieces() {
    let long = vec![b'x'; PIECE_MAX];
    let piece = "x".repeat(PIECE_MAX);
    check(&[&long, b"tail\n"], &format!("P {piece}\nF tail"));
    check(&[&long[1..], b"\n"], &format!("F {}", &piece[1..]));
    check(&[&long, &long], &format!("P {piece}\nP {piece}"));
}

#[test]
fn a_whole_second_keeps_nine_digits() {
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    lines.take(Stream::Stderr, b"x\n", "2026-01-01T00:00:00Z".parse().unwrap(), &mut out);
    assert_eq!(out, b"2026-01-01T00:00:00.000000000Z stderr F x\n");
}

#[test]
fn files_are_rotated_at_the_bound() {
    let dir = std::env::temp_dir().join(format!("kelson-logs-{}", std::process::id()));
    let path = dir.join("deep/0.log");
    let mut log = LogFile::with_bound(&path, 10);
    for number in 1..=7 {
        log.write(format!("line  {number}\n").as_bytes());
    }
    let named = |name: &str| fs::read_to_string(dir.join("deep").join(name)).unwrap_or_default();
    let files = ["0.log", "0.log.1", "0.log.2", "0.log.3", "0.log.4", "0.log.5"].map(named);
    drop(log);
    LogFile::with_bound(&path, 100).write(b"again\n");
    let continued = fs::read_to_string(&path).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(files, ["line  7\n", "line  6\n", "line  5\n", "line  4\n", "line  3\n", ""]);
    assert_eq!(continued, "line  7\nagain\n");
}

#[test]
fn a_log_that_cannot_be_written_is_no_error() {
    let mut log = LogFile::with_bound(Path::new("/proc/no/such.log"), 10);
    log.write(b"lost\n");
    assert!(log.failing);
}
