//! Heads: what is common and how it goes on, what is odd, what is too short to say. Bodies in chunks, however they come.

use super::answer::{Answer, Framing, Heard, Malformed, Telling};
use super::ask::{Ask, Content, Method, Origin, Verdict};
use super::chunks::{self, Chunks};
use super::*;

const DATE: [u8; 29] = *b"Sun, 06 Nov 1994 08:49:37 GMT";

fn ask(text: &str, trusted: bool) -> (Verdict, String) {
    let mut out = b"left over".to_vec();
    let verdict = ask::read(text.as_bytes(), &Origin::new("192.0.2.7", "80", "http", trusted), 10, &mut out);
    (verdict, String::from_utf8(out).unwrap())
}

fn plain(text: &str, trusted: bool) -> (Ask, String) {
    match ask(text, trusted) {
        (Verdict::Plain(ask), out) => (ask, out),
        (verdict, _) => panic!("{text:?} is {verdict:?}"),
    }
}

/// What a backend is told when it is told nothing by a trusted proxy.
const TOLD: &str = "x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: http\r\nx-forwarded-port: 80\r\nx-real-ip: 192.0.2.7\r\nx-forwarded-host: ";

#[test]
fn usual_requests_go_on() {
    let check = |text: &str, expected: &str| {
        let (ask, out) = plain(text, false);
        assert_eq!(ask.end, text.len(), "{text:?}");
        let host = &text[ask.host];
        assert_eq!(out, format!("{expected}{TOLD}{host}\r\n\r\n"), "{text:?}");
    };
    check("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n");
    check(
        "GET /a?b=c HTTP/1.1\r\nhost:\tA.example:8080 \r\nCookie: a=b; c=\"d\"\r\n\r\n",
        "GET /a?b=c HTTP/1.1\r\nhost:\tA.example:8080 \r\nCookie: a=b; c=\"d\"\r\n",
    );
    check("HEAD / HTTP/1.1\r\nHost: x\r\nX:\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: x\r\nX:\r\n");
    check(
        "GET / HTTP/1.1\r\nConnection: keep-alive\r\nHost: x\r\nA: 1\r\nProxy-Authorization: b\r\nTE: trailers\r\nKeep-Alive: 1\r\nB: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\n",
    );
    check(
        "POST / HTTP/1.1\r\nContent-Length: 005\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 5\r\n",
    );
    check("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n");
    check("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n");
    check(
        "DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: x\r\ncontent-length: 3\r\n",
    );
    let chunked = "Host: x\r\ntransfer-encoding: chunked\r\n";
    check(
        "GET / HTTP/1.1\r\nTransfer-Encoding:\t Chunked \r\nHost: x\r\n\r\n",
        &format!("GET / HTTP/1.1\r\n{chunked}"),
    );
    check(
        "GET / HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1\r\nX-Forwarded-Host: y\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\nProxy: z\r\nProxy-Connection: a\r\nTrailer: c\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n",
    );
    check("GET / HTTP/1.1\r\nHost: x\r\nX: \u{e9}\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX: \u{e9}\r\n");
}

#[test]
fn what_is_read_is_said() {
    let (ask, _) = plain(
        "PUT /a/b?c HTTP/1.1\r\nHost:  h:1\r\nConnection: Close\r\nContent-Length: 12\r\n\r\nbody",
        false,
    );
    let expected = Ask {
        method: Method::Put,
        target: 4..10,
        host: 28..31,
        content: Content::Length(12),
        closes: true,
        came_by_tls: false,
        end: 74,
    };
    assert_eq!(ask, expected);
    assert_eq!(ask.path(b"PUT /a/b?c HTTP/1.1"), b"/a/b");
    let methods = [("GET", true), ("HEAD", true), ("PUT", true), ("DELETE", true), ("OPTIONS", true)];
    for (method, is_idempotent) in methods.into_iter().chain([("POST", false), ("PATCH", false)]) {
        let (ask, _) = plain(&format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"), false);
        assert_eq!(ask.may_repeat(), is_idempotent, "{method}");
        for content in ["Content-Length: 1", "Transfer-Encoding: chunked"] {
            let (ask, _) = plain(&format!("{method} / HTTP/1.1\r\nHost: x\r\n{content}\r\n\r\n"), false);
            assert!(!ask.may_repeat(), "{method} {content}");
        }
    }
}

/// Everything that two programs might read differently, or that is merely seldom, is left to hyper.
#[test]
fn the_rest_is_odd() {
    let lines = [
        "PRI * HTTP/2.0",
        "TRACE / HTTP/1.1",
        "CONNECT x:80 HTTP/1.1",
        "get / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET / HTTP/1.1 ",
        "GET  / HTTP/1.1",
        "GET / / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET * HTTP/1.1",
        "GET x HTTP/1.1",
        "GET http://x/ HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /# HTTP/1.1",
        "GET /\\ HTTP/1.1",
        "GET /\u{0} HTTP/1.1",
        "GET /",
        "",
        " GET / HTTP/1.1",
        "\u{16}\u{3}\u{1}",
    ];
    for line in lines {
        assert_eq!(ask(&format!("{line}\r\nHost: x\r\n\r\n"), false).0, Verdict::Odd, "{line:?}");
    }
    let fields = [
        "",
        "Host: x\r\nHost: x",
        "Host:",
        "Host: ",
        "Host: x y",
        "Host: x,y",
        "Host: u@x",
        "Host: x/",
        "Host: x:",
        "Host: x:http",
        "Host: x:123456",
        "Host: [::1]",
        "Host: \u{e9}",
        "Host : x",
        "Host: x\r\n A: folded",
        "Host: x\r\n\tA: folded",
        "Host: x\r\nno colon",
        "Host: x\r\n: no name",
        "Host: x\r\nA b: 1",
        "Host: x\r\nA\u{e9}: 1",
        "Host: x\r\nA: 1\nB: 2",
        "Host: x\r\nA: 1\rB: 2",
        "Host: x\r\nA: \u{0}",
        "Host: x\r\nA: \u{7f}",
        "Host: x\r\nContent-Length: 1\r\nContent-Length: 1",
        "Host: x\r\nContent-Length: 1, 1",
        "Host: x\r\nContent-Length: +1",
        "Host: x\r\nContent-Length: -1",
        "Host: x\r\nContent-Length: 0x1",
        "Host: x\r\nContent-Length: 1 1",
        "Host: x\r\nContent-Length:",
        "Host: x\r\nContent-Length: 18446744073709551616",
        "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1",
        "Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Host: x\r\nTransfer-Encoding: chunked, chunked",
        "Host: x\r\nTransfer-Encoding: gzip, chunked",
        "Host: x\r\nTransfer-Encoding: identity",
        "Host: x\r\nTransfer-Encoding: xchunked",
        "Host: x\r\nTransfer-Encoding: chunked;a=b",
        "Host: x\r\nTransfer-Encoding:",
        "Host: x\r\nTransfer-Encoding: \"chunked\"",
        "Host: x\r\nTransfer-Encoding:\u{b}chunked",
        "Host: x\r\nTransfer-Encoding : chunked",
        "Host: x\r\nUpgrade: websocket",
        "Host: x\r\nExpect: 100-continue",
        "Host: x\r\nHTTP2-Settings: a",
        "Host: x\r\nConnection: upgrade",
        "Host: x\r\nConnection: close, x-mine",
        "Host: x\r\nConnection: close\r\nConnection: close",
        "Host: x\r\nConnection:",
        "Host: x\r\n1: 1\r\n2: 1\r\n3: 1\r\n4: 1\r\n5: 1\r\n6: 1\r\n7: 1\r\n8: 1\r\n9: 1\r\n10: 1",
    ];
    for fields in fields {
        let text = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_eq!(ask(&text, false).0, Verdict::Odd, "{fields:?}");
    }
    assert_eq!(ask("GET / HTTP/1.1\nHost: x\n\n", false).0, Verdict::Odd);
    assert_eq!(
        ask("\u{16}\u{3}\u{1} what TLS begins with", false).0,
        Verdict::Odd,
        "without waiting for a line"
    );
}

#[test]
fn a_head_that_goes_on_is_partial() {
    let text = "POST /a?b HTTP/1.1\r\nHost: x\r\nA: 1\r\nContent-Length: 3\r\nB: 2\r\n\r\n";
    for end in 0..text.len() {
        assert_eq!(ask(&text[..end], false).0, Verdict::Partial, "{:?}", &text[..end]);
    }
    assert!(matches!(ask(text, false).0, Verdict::Plain(_)));
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to() {
    let head = "GET / HTTP/1.1\r\nHost: x\r\n";
    let check = |fields: &str, came_by_tls: bool, expected: &str| {
        let (ask, out) = plain(&format!("{head}{fields}\r\n"), true);
        assert_eq!((ask.came_by_tls, out), (came_by_tls, format!("{head}{expected}\r\n")), "{fields}");
    };
    check("", false, &format!("{TOLD}x\r\n"));
    check(
        "X-Forwarded-For: 1.1.1.1,2.2.2.2\r\nX-Forwarded-Proto: HTTPS\r\nForwarded: by=y\r\nX-Forwarded-For: 3.3.3.3\r\n",
        true,
        "X-Forwarded-Proto: HTTPS\r\nForwarded: by=y\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\nx-forwarded-port: 80\r\nx-real-ip: 192.0.2.7\r\nx-forwarded-host: x\r\n",
    );
    check(
        "X-Real-IP: 1\r\nX-Forwarded-Port: 2\r\nX-Forwarded-Host: y\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\n",
        false,
        "X-Real-IP: 1\r\nX-Forwarded-Port: 2\r\nX-Forwarded-Host: y\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Proto: https\r\nx-forwarded-for: 192.0.2.7\r\n",
    );
}

fn hear(text: &str, is_head: bool) -> (Result<Heard, Malformed>, String) {
    let mut out = Vec::new();
    let telling = Telling { is_head, closes: false, fields_max: 10 };
    let heard = answer::read(text.as_bytes(), telling, &mut out, || DATE);
    (heard, String::from_utf8(out).unwrap())
}

#[test]
fn responses_are_framed_anew() {
    let check = |text: &str, is_head: bool, framing: Framing, keeps: bool, expected: &str| {
        let (heard, out) = hear(&format!("{text}\r\n\r\nrest"), is_head);
        let Ok(Heard::Final(answer)) = heard else { panic!("{text:?} is {heard:?}") };
        let Answer { status, end, .. } = answer;
        assert_eq!((answer.framing, answer.keeps, end), (framing, keeps, text.len() + 4), "{text:?}");
        assert_eq!(status.to_string(), text[9..12], "{text:?}");
        let expected = expected.replace("DATE", "date: Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(out, format!("{expected}\r\n\r\n"), "{text:?}");
    };
    let ok = "HTTP/1.1 200 OK";
    let length = |text: &str| format!("{ok}\r\n{text}");
    check(
        &length("Content-Length: 5"),
        false,
        Framing::Length(5),
        true,
        &length("content-length: 5\r\nDATE"),
    );
    check(
        &length("Content-Length: 0"),
        false,
        Framing::Length(0),
        true,
        &length("content-length: 0\r\nDATE"),
    );
    check(
        &length("Content-Length: 5, 5\r\ncontent-length:5"),
        false,
        Framing::Length(5),
        true,
        &length("content-length: 5\r\nDATE"),
    );
    let chunked = length("transfer-encoding: chunked\r\nDATE");
    check(&length("Transfer-Encoding: Chunked"), false, Framing::Chunked, true, &chunked);
    check(
        &length("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        false,
        Framing::Chunked,
        true,
        &chunked,
    );
    check(
        &length("Transfer-Encoding: gzip\r\nTransfer-Encoding: a, chunked"),
        false,
        Framing::Chunked,
        true,
        &chunked,
    );
    check(&length("Transfer-Encoding: identity"), false, Framing::UntilClose, true, &chunked);
    check(
        &length("A: 1"),
        false,
        Framing::UntilClose,
        true,
        &length("A: 1\r\ntransfer-encoding: chunked\r\nDATE"),
    );
    check(
        "HTTP/1.0 200 OK\r\nContent-Length: 5",
        false,
        Framing::Length(5),
        false,
        &length("content-length: 5\r\nDATE"),
    );
    check(
        "HTTP/1.0 404 ",
        false,
        Framing::UntilClose,
        false,
        "HTTP/1.1 404 \r\ntransfer-encoding: chunked\r\nDATE",
    );
    check(
        &length("Content-Length: 5\r\nDate: now"),
        true,
        Framing::Nothing,
        true,
        &length("Date: now\r\ncontent-length: 5"),
    );
    check(&length("Transfer-Encoding: chunked"), true, Framing::Nothing, true, &length("DATE"));
    check("HTTP/1.1 204 No\r\nContent-Length: 5", false, Framing::Nothing, true, "HTTP/1.1 204 No\r\nDATE");
    check(
        "HTTP/1.1 304 No\r\nContent-Length: 5",
        false,
        Framing::Nothing,
        true,
        "HTTP/1.1 304 No\r\ncontent-length: 5\r\nDATE",
    );
    check("HTTP/1.1 304 No\r\nContent-Length: x", false, Framing::Nothing, true, "HTTP/1.1 304 No\r\nDATE");
    check(
        "HTTP/1.1 299 Odd one\r\nX-Hop: 1\r\nA: 1\r\nConnection: close, x-hop\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\nTrailer: B\r\nProxy-Authenticate: c\r\nContent-Length: 1",
        false,
        Framing::Length(1),
        false,
        "HTTP/1.1 299 Odd one\r\nA: 1\r\ncontent-length: 1\r\nDATE",
    );
    check(
        &length("Connection: content-length\r\nContent-Length: 5"),
        false,
        Framing::Length(5),
        true,
        &length("content-length: 5\r\nDATE"),
    );
    let mixed =
        "A:  1\r\nB: 2 \r\nC:\r\nD: \t\r\nE:3\nConnection: keep-alive\r\nF: 4\r\nContent-Length: 1\r\nG: 5";
    let expected = length("A:  1\r\nB: 2\r\nC: \r\nD: \r\nE: 3\r\nF: 4\r\nG: 5\r\ncontent-length: 1\r\nDATE");
    check(&length(mixed), false, Framing::Length(1), true, &expected);
    let mut out = Vec::new();
    let telling = Telling { is_head: false, closes: true, fields_max: 10 };
    answer::read(b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n", telling, &mut out, || DATE).unwrap();
    assert!(out.ends_with(b"GMT\r\nconnection: close\r\n\r\n"), "{}", out.escape_ascii());
}

#[test]
fn what_is_no_response_is_said() {
    let check = |text: &str, expected: &str| {
        let (heard, _) = hear(&format!("{text}\r\n\r\n"), false);
        let found = heard.map_err(|error| error.to_string());
        assert_eq!(found, Err(expected.to_owned()), "{text:?}");
    };
    check("nonsense", "a response head is malformed");
    check("HTTP/1.1 200 OK\r\nA: 1\r\n folded", "a response head is malformed");
    check("HTTP/1.1 200 OK\r\nA : 1", "a response head is malformed");
    check("HTTP/2 200 OK", "a response head is malformed");
    check("HTTP/1.1 099 No", "a response has status 99");
    check("HTTP/1.1 101 Switching", "the backend switched protocols unasked");
    check("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "a response of HTTP/1.0 has a transfer encoding");
    for length in ["5\r\nContent-Length: 6", "5, 6", "+5", "-5", "", "99999999999999999999"] {
        check(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}"), "a response has no one length");
    }
    let many: String = (0..11).map(|number| format!("{number}: 1\r\n")).collect();
    check(&format!("HTTP/1.1 200 OK\r\n{many}A: 1"), "a response head is malformed");
}

#[test]
fn word_on_the_way_is_passed_over() {
    for status in [100, 102, 103, 199] {
        let text = format!("HTTP/1.1 {status} x\r\nA: 1\r\n\r\n");
        assert_eq!(hear(&text, false), (Ok(Heard::Interim(text.len())), String::new()));
    }
}

impl PartialEq for Malformed {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

/// The content of a body that comes in pieces of `size`, and how much of it there was.
fn content(body: &[u8], size: usize) -> Result<(Vec<u8>, usize, bool), ()> {
    let (mut chunks, mut content, mut used) = (Chunks::default(), Vec::new(), 0);
    for piece in body.chunks(size) {
        let mut at = 0;
        loop {
            let (count, part) = chunks.next(&piece[at..]).map_err(drop)?;
            content.extend_from_slice(part);
            at += count;
            if count == 0 {
                break;
            }
        }
        used += at;
    }
    Ok((content, used, chunks.is_done()))
}

#[test]
fn chunked_bodies_are_read_however_they_come() {
    let check = |body: &str, expected: Result<(&str, usize, bool), ()>| {
        for size in 1..=body.len() {
            let found = content(body.as_bytes(), size);
            let expected =
                expected.map(|(content, used, is_done)| (content.as_bytes().to_vec(), used, is_done));
            assert_eq!(found, expected, "{body:?} in pieces of {size}");
        }
    };
    check("0\r\n\r\n", Ok(("", 5, true)));
    check("5\r\nhello\r\n0\r\n\r\n", Ok(("hello", 15, true)));
    check("5\r\nhello\r\n0\r\n\r\nHTTP/1.1", Ok(("hello", 15, true)));
    check("1\r\na\r\n1\r\nb\r\n000\r\n\r\n", Ok(("ab", 19, true)));
    check(
        "A\r\n0123456789\r\na\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        Ok(("0123456789\r\n\r\n\r\n\r\n\r\n", 35, true)),
    );
    check("5 \t\r\nhello\r\n0\r\n\r\n", Ok(("hello", 17, true)));
    check("5;a=\"b\";c\r\nhello\r\n0;d\r\n\r\n", Ok(("hello", 25, true)));
    check("5\r\nhello\r\n0\r\nA: 1\r\nB: 2\r\n\r\n", Ok(("hello", 27, true)));
    check("5\r\nhel", Ok(("hel", 6, false)));
    for broken in [
        "\r\n",
        "x\r\n",
        "-5\r\nhello",
        "+5\r\nhello",
        "0x5\r\nhello",
        " 5\r\nhello",
        ";\r\n",
        "5\nhello",
        "5\rhello",
        "5 5\r\nhello",
        "5;a\nhello",
        "5;a\r\rhello",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello\r\n\r\n",
        "0\r\n\n",
        "0\r\nA: 1\n\r\n",
        "0\r\n\rA",
        "fffffffffffffffff\r\n",
        "0000000000000000\r\n",
    ] {
        check(broken, Err(()));
    }
    let long = "a".repeat(20 << 10);
    assert!(content(format!("1;{long}\r\n").as_bytes(), 4096).is_err());
    assert!(content(format!("0\r\nA: {long}\r\n\r\n").as_bytes(), 4096).is_err());
    let many = format!("1;{}\r\na\r\n", "b".repeat(1000)).repeat(20);
    assert!(content(many.as_bytes(), 4096).is_err(), "extensions of all chunks are counted");
}

#[test]
fn chunks_are_written_as_they_are_read() {
    let mut out = Vec::new();
    chunks::write(b"", &mut out);
    assert_eq!(out, b"", "an empty one would be the last");
    for length in [1, 15, 16, 255, 256, 4096, 70_000] {
        let content = vec![b'x'; length];
        out.clear();
        chunks::write(&content, &mut out);
        assert!(out.starts_with(format!("{length:x}\r\n").as_bytes()));
        out.extend_from_slice(chunks::LAST);
        assert_eq!(self::content(&out, 1000), Ok((content, out.len(), true)));
    }
}

#[test]
fn empty_lines_are_found_across_reads() {
    let check = |text: &str, expected: bool| {
        for from in 0..text.len() {
            assert_eq!(has_empty_line(text.as_bytes(), from), expected, "{text:?} from {from}");
        }
    };
    check("a\r\n\r\n", true);
    check("a\n\n", true);
    check("a\n\r\n", true);
    check("\r\n", true);
    check("\n", true);
    check("a\r\nb\r\n", false);
    check("a\r\r\n", false);
    check("a", false);
    assert!(!has_empty_line(b"a\r\n\r\nb", 5), "not looked for again");
}
