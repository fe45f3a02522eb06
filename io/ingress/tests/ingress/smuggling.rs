//! Requests written so that two programs might disagree about where they end. Either refused, or one request for the
//! backend, framed once.

use crate::backend::Backend;
use crate::world::{World, body, config, field, status};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

async fn check(head: &str, rest: &str, expected: u16, requests: usize) -> String {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let text = world.raw(&format!("{head}\r\nConnection: close\r\n\r\n{rest}")).await;
    assert_eq!(status(&text), expected, "{head}\n{text}");
    assert!(!text.contains("/smuggled"), "{text}");
    assert_eq!(backend.requests(), requests, "{head}");
    text
}

#[tokio::test]
async fn ambiguous_lengths_are_refused() {
    let refused = [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked",
        "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
        "GET / HTTP/1.1\r\nHost: x\r\n folded: y",
        "GET / HTTP/1.1\r\nHost: x\r\nHost: y",
        "GET / HTTP/1.1\r\nX: y",
        "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb",
        "GET / /smuggled HTTP/1.1\r\nHost: x",
    ];
    for head in refused {
        check(head, &format!("0\r\n\r\n{SMUGGLED}"), 400, 0).await;
    }
}

/// Both lengths at once: what the encoding says is read and written anew, and the connection ends.
#[tokio::test]
async fn an_encoding_and_a_length_make_one_request() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked";
    let text = check(head, &format!("0\r\n\r\n{SMUGGLED}"), 200, 1).await;
    assert_eq!(field(body(&text), "content-length"), None);
    assert_eq!(field(body(&text), "transfer-encoding"), Some("chunked"));
}

#[tokio::test]
async fn a_broken_chunk_ends_the_request() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let text = world.raw(&format!("{head}zz\r\nhello\r\n0\r\n\r\n{SMUGGLED}")).await;
    assert!(!text.contains("200 OK") && !text.contains("/smuggled"), "{text}");
}

#[tokio::test]
async fn methods_that_lead_elsewhere_are_refused() {
    check("TRACE / HTTP/1.1\r\nHost: x", "", 405, 0).await;
    check("CONNECT x:80 HTTP/1.1\r\nHost: x:80", "", 405, 0).await;
}

/// `h2c` is not passed on, so nothing after it goes by unseen.
#[tokio::test]
async fn an_upgrade_to_h2c_is_not_passed_on() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let head = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nConnection: close, Upgrade, HTTP2-Settings\r\n\r\n";
    let text = world.raw(head).await;
    assert_eq!(status(&text), 200, "{text}");
    for name in ["upgrade", "http2-settings", "connection"] {
        assert_eq!(field(body(&text), name), None, "{name}");
    }
}
