//! The short way and the general one: the same requests and responses by either come to the same.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::world::{PATIENCE, World, config, field, read_all, read_until, status};

/// Until `seen` says so.
pub async fn eventually(seen: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !seen() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it happens in time");
}

/// Sends `bytes` on a connection of its own, behind a request that takes it off the short way if `is_general`; what comes
/// until its end.
pub async fn answer(world: &World, bytes: &[u8], is_general: bool) -> Vec<u8> {
    let mut client = TcpStream::connect(world.http).await.unwrap();
    if is_general {
        // A target with a host is left to hyper, and the connection with it.
        client.write_all(b"HEAD http://x/before HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        read_until(&mut client, "\r\n\r\n").await;
    }
    let _ = client.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "nobody hung up after {}", bytes.escape_ascii());
    answer
}

/// A response as it is compared: its status, its fields in lower case and sorted, its content without frames, and whether
/// that is whole.
#[derive(Debug, PartialEq)]
pub struct Told {
    pub status: u16,
    pub fields: Vec<String>,
    pub content: Vec<u8>,
    pub is_whole: bool,
}

pub fn told(bytes: &[u8], is_head: bool) -> Option<Told> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut fields: Vec<String> = head.lines().skip(1).map(str::to_ascii_lowercase).collect();
    fields.retain(|field| !field.starts_with("date:"));
    fields.sort();
    let rest = &bytes[end + 4..];
    let length = field(&head, "content-length").and_then(|length| length.parse::<usize>().ok());
    let (content, is_whole) = match field(&head, "transfer-encoding") {
        _ if is_head => (rest.to_vec(), true),
        Some(_) => unchunked(rest),
        None => (rest.to_vec(), length.is_none_or(|length| length == rest.len())),
    };
    Some(Told { status: status(&head), fields, content, is_whole })
}

fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap_or_else(|_| panic!("size {size:?}"));
        if size == 0 {
            return (content, &rest[end..] == b"\r\n\r\n");
        }
        let here = (rest.len() - end - 2).min(size);
        content.extend_from_slice(&rest[end + 2..end + 2 + here]);
        rest = rest.get(end + 4 + size..).unwrap_or_default();
    }
    (content, false)
}

/// What a backend echoes has the fields in no order.
fn sorted(content: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8_lossy(content).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The same request by either way comes to the same: what the client is told, and what the backend got.
#[tokio::test]
async fn either_way_says_the_same_of_a_request() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let lines = [
        "GET / HTTP/1.1",
        "GET /a%20b//c/./../d?e=f&g[]={}|h HTTP/1.1",
        "HEAD / HTTP/1.1",
        "OPTIONS / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "DELETE /x HTTP/1.1",
        "POST / HTTP/1.1",
        "PATCH / HTTP/1.1",
        "BREW / HTTP/1.1",
        "GET / HTTP/1.0",
        "GET http://y/z HTTP/1.1",
        "GET x HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET / / HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/3",
        "TRACE / HTTP/1.1",
        "nonsense",
    ];
    let fields = [
        "",
        "Host: A.example:8080\r\nUser-Agent: me\r\nCookie: a=b\r\nCookie: c=d\r\nX-Empty:",
        "Host: x\r\nConnection: keep-alive\r\nTE: trailers\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=x\r\nProxy: y",
        "Host: x\r\nX-Mine: 1\r\nConnection: x-mine, close",
        "Host: x\r\nConnection: keep-alive, close",
        "Host: x\r\nUpgrade: h2c\r\nConnection: upgrade, close",
        "Host: x\r\nA: \t b \t ",
        "Host: x\r\nHost: y",
        "Host: user@x",
        "Host:",
        "Host: x\r\nContent-Length: 5",
        "Host: x\r\nContent-Length: 5\r\nContent-Length: 5",
        "Host: x\r\nContent-Length: 5\r\nContent-Length: 6",
        "Host: x\r\nContent-Length: 5, 5",
        "Host: x\r\nContent-Length: +5",
        "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Host: x\r\nTransfer-Encoding: chunked",
        "Host: x\r\nTransfer-Encoding: gzip",
        "Host: x\r\nTransfer-Encoding : chunked",
        "Host: x\r\nA: 1\r\n folded",
        "Host: x\r\nA: 1\rB: 2",
        "Host: x\r\nA: 1\nB: 2",
        "Host: x\r\nA\u{b}: 1",
        "Host: x\r\nExpect: 100-continue",
    ];
    let requests = lines
        .iter()
        .map(|line| (*line, "Host: x"))
        .chain(fields.iter().map(|fields| ("POST / HTTP/1.1", *fields)));
    for (line, fields) in requests.chain(fields.iter().map(|fields| ("GET /a HTTP/1.1", *fields))) {
        let separator = if fields.is_empty() { "" } else { "\r\n" };
        let close = if fields.contains("close") { "" } else { "Connection: close\r\n" };
        let close = if fields.contains("Connection") && !close.is_empty() { "X: y\r\n" } else { close };
        let content = match fields {
            fields if fields.contains("chunked") => "5\r\nhello\r\n0\r\n\r\n",
            fields if fields.contains("Content-Length") => "hello",
            _ => "",
        };
        // The second one ends a connection that the first left open.
        let text = format!("{line}\r\n{fields}{separator}{close}\r\n{content}");
        let text = match close {
            "X: y\r\n" => format!("{text}HEAD /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            _ => text,
        };
        let before = backend.requests();
        let short = answer(&world, text.as_bytes(), false).await;
        let between = backend.requests();
        let general = answer(&world, text.as_bytes(), true).await;
        // One more for what came before it.
        assert_eq!(between - before, backend.requests() - between - 1, "requests for {text:?}");
        let cut = |bytes: &[u8]| {
            let is_head = line.starts_with("HEAD");
            let told = told(bytes, is_head).unwrap_or_else(|| panic!("nothing for {text:?}"));
            (told.status, told.fields, sorted(&told.content))
        };
        assert_eq!(cut(&short), cut(&general), "{text:?}");
    }
    eventually(|| world.metrics().contains("requests_in_flight 0\n")).await;
}

/// The same response by either way comes to the same for the client; then nothing of it is left for the next request.
#[tokio::test]
async fn either_way_says_the_same_of_a_response() {
    let responses = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 200 Fine\r\nX-Hop: 1\r\nConnection: x-hop\r\nKeep-Alive: 5\r\nContent-Length: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 599 Odd\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/2 200 OK\r\n\r\n",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ];
    for response in responses {
        for method in ["GET", "HEAD", "POST"] {
            let backend = Backend::scripted(response).await;
            let world = World::web(config(), &[backend.address]).await;
            let text = format!("{method} / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let short = answer(&world, text.as_bytes(), false).await;
            let requests = backend.requests();
            let mut general = TcpStream::connect(world.http).await.unwrap();
            // The same with a host in its target is left to hyper.
            general.write_all(text.replace(" / ", " http://x/ ").as_bytes()).await.unwrap();
            let general = read_all(&mut general).await;
            let (short, general) =
                (told(&short, method == "HEAD"), told(general.as_bytes(), method == "HEAD"));
            let is_same = match (&short, &general) {
                // The length of what is not there is told by one, and said twice is too much for the other.
                (Some(short), general) if method == "HEAD" => {
                    general.as_ref().is_none_or(|general| short.status == general.status)
                }
                (short, general) => short == general,
            };
            assert!(is_same, "{method} {response:?}\nshort: {short:?}\ngeneral: {general:?}");
            assert_eq!(backend.requests(), requests * 2, "{method} {response:?}");
            assert!(!short.is_some_and(|told| told.content.ends_with(b"evil")), "{response:?}");
        }
    }
}
