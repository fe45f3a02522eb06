//! Lines put together from pieces, and what each says.

use futures_util::{FutureExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ConfigMap;

use super::super::object::read;
use super::*;

/// The lines of a body that comes in these pieces, and how it ends.
fn lines(pieces: Vec<io::Result<Vec<u8>>>) -> (Vec<Vec<u8>>, io::Result<bool>) {
    let body = Box::pin(stream::iter(pieces).into_async_read());
    let mut lines = Lines { body, line: Vec::new() };
    let mut whole = Vec::new();
    loop {
        match lines.next().now_or_never().expect("the body is all there") {
            Ok(true) => whole.push(lines.line.trim_ascii().to_vec()),
            end => return (whole, end),
        }
    }
}

fn check_lines(pieces: &[&str], expected: &[&str]) {
    let (whole, end) = lines(pieces.iter().map(|piece| Ok(piece.as_bytes().to_vec())).collect());
    let expected: Vec<Vec<u8>> = expected.iter().map(|line| line.as_bytes().to_vec()).collect();
    assert_eq!((whole, end.unwrap()), (expected, false), "{pieces:?}");
}

#[test]
fn lines_do_not_depend_on_how_they_come() {
    check_lines(&["a\nb\n"], &["a", "b"]);
    check_lines(&["a", "\n", "", "bc", "d\r\ne", "f\n"], &["a", "bcd", "ef"]);
    check_lines(&["\n\n a\n\n"], &["a"]);
    check_lines(&["a\ncut of"], &["a"]);
    check_lines(&[], &[]);
}

#[test]
fn a_line_without_end_is_an_error() {
    let pieces = (0..=LINE_BYTES_MAX >> 20).map(|_| Ok(vec![b'x'; 1 << 20])).collect();
    assert!(lines(pieces).1.unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_server_that_goes_away_in_the_middle_is_an_end() {
    let check = |error: io::Error, expected: bool| assert_eq!(is_end(&io::Error::other(error)), expected);
    check(io::Error::new(io::ErrorKind::UnexpectedEof, "x"), true);
    check(io::Error::other(io::Error::from(io::ErrorKind::UnexpectedEof)), true);
    check(io::Error::other("unexpected EOF during chunk size line"), true);
    check(io::Error::from(io::ErrorKind::ConnectionReset), false);
}

/// An event in few words.
fn check(line: &str, expected: &str) {
    let name = |object: Object| {
        let map = object.object.downcast::<ConfigMap>().unwrap();
        assert_eq!(map.metadata.resource_version, object.version);
        map.metadata.name.clone().unwrap_or_default()
    };
    let said = match said(line.as_bytes(), read::<ConfigMap>) {
        Ok(Event::Applied(map)) => format!("applied {}", name(map)),
        Ok(Event::Deleted(map)) => format!("deleted {}", name(map)),
        Ok(Event::Bookmark(version)) => format!("bookmark {version}"),
        Err(kube::Error::Api(status)) => format!("status {}", status.code),
        Err(kube::Error::SerdeError(error)) => format!("not understood: {error}"),
        Err(other) => format!("failed: {other}"),
    };
    assert!(said.starts_with(expected), "{line}: {said}");
}

#[test]
fn what_lines_say() {
    let map = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"7"}}"#;
    check(&format!(r#"{{"type":"ADDED","object":{map}}}"#), "applied a");
    check(&format!(r#"{{"object":{map},"type":"MODIFIED"}}"#), "applied a");
    check(&format!(r#" {{ "type" : "DELETED" , "object" : {map} , "more": 1 }} "#), "deleted a");
    check(&format!(r#"{{"type":"BOOKMARK","object":{map}}}"#), "bookmark 7");
    let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"Expired","code":410}"#;
    check(&format!(r#"{{"type":"ERROR","object":{status}}}"#), "status 410");
    check(status, "status 410");
    check(&format!(r#"{{"type":"OTHER","object":{map}}}"#), "not understood: a watch has no events of type");
    check(r#"{"type":"ADDED","object":{"metadata":7}}"#, "not understood: invalid type");
    check(r#"{"type":"ADDED"}"#, "not understood: missing field");
    check(r#"{"type":"BOOKMARK","object":{}}"#, "not understood");
    check("7", "not understood");
    assert!(matches!(said(b"\xff", read::<ConfigMap>), Err(kube::Error::ReadEvents(_))));
}
