//! The short way: what stays on it, that it says what the general way says, and what it does when one side misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::{Backend, read_head};
use crate::world::{PATIENCE, World, config, field, read_all, read_until, status};

const SHORT: Duration = Duration::from_millis(300);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// How many clients' connections left the short way.
fn left(world: &World) -> usize {
    let page = world.metrics();
    let line = page.lines().find_map(|line| line.strip_prefix("kelson_ingress_connections_general_total "));
    line.unwrap().parse().unwrap()
}

/// Sends `bytes` on a connection of its own, behind a request that takes it off the short way if `is_general`; what comes
/// until its end.
async fn answer(world: &World, bytes: &[u8], is_general: bool) -> Vec<u8> {
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
struct Told {
    status: u16,
    fields: Vec<String>,
    content: Vec<u8>,
    is_whole: bool,
}

fn told(bytes: &[u8], is_head: bool) -> Option<Told> {
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

/// What browsers and programs mostly send never leaves it, however it is cut into packets.
#[tokio::test]
async fn common_requests_stay() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    let requests = [
        "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\nAccept: */*\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: shop.example:80\r\nContent-Length: 12\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\nyou",
        "DELETE /a HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ];
    for text in requests {
        for size in [1, 7, text.len()] {
            for piece in text.as_bytes().chunks(size) {
                client.write_all(piece).await.unwrap();
                if size < text.len() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let head = read_until(&mut client, "\r\n\r\n").await;
            assert_eq!(status(&head), 200, "{head}");
            let mut rest = vec![0; field(&head, "content-length").unwrap().parse().unwrap()];
            client.read_exact(&mut rest).await.unwrap();
            let rest = String::from_utf8(rest).unwrap();
            let line = text.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
            assert!(rest.starts_with(&format!("one {line}\n")), "{rest}");
            assert_eq!(rest.split_once("\n\n").unwrap().1, text.split_once("\r\n\r\n").unwrap().1);
        }
    }
    assert_eq!((left(&world), backend.connections()), (0, 1));
}

/// Requests sent without waiting are answered in turn, also when one of them takes the connection to hyper.
#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let plain = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok");
    let odd = "POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let last = "GET /5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = world.raw(&[&plain("/1"), &plain("/2"), odd, &plain("/4"), last].concat()).await;
    let asked: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("one ").map(|(_, asked)| asked)).collect();
    assert_eq!(asked, ["POST /1", "POST /2", "POST /3", "POST /4", "GET /5"], "{text}");
    assert_eq!((left(&world), backend.requests()), (1, 5));
}

/// Until `seen` says so.
async fn eventually(seen: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !seen() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("it happens in time");
}

/// A client that hangs up takes its backend's connection with it, whatever it was waiting for.
#[tokio::test]
async fn a_client_that_hangs_up_is_not_waited_for() {
    let begun = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf";
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (request, response) in [(get, ""), (get, begun), (upload, ""), (upload, begun)] {
        let (asked, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, seen) = (asked.clone(), gone.clone());
        let backend = Backend::start(Default::default(), move |mut stream: TcpStream| {
            let (counted, seen) = (counted.clone(), seen.clone());
            async move {
                read_head(&mut stream).await;
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(response.as_bytes()).await;
                while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
                seen.store(true, Ordering::SeqCst);
            }
        });
        let backend = backend.await;
        let world = World::web(config(), &[backend.address]).await;
        let mut client = TcpStream::connect(world.http).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        eventually(|| asked.load(Ordering::SeqCst) == 1).await;
        if !response.is_empty() {
            read_until(&mut client, "half").await;
        }
        assert!(!gone.load(Ordering::SeqCst), "{request:?} {response:?}");
        drop(client);
        eventually(|| gone.load(Ordering::SeqCst)).await;
        eventually(|| world.metrics().contains("requests_in_flight 0\n")).await;
        assert_eq!(left(&world), 0);
    }
}

/// What a backend says unasked on a connection that is kept is nobody's response.
#[tokio::test]
async fn bytes_nobody_asked_for_end_a_connection() {
    let backend = Backend::start(Default::default(), async |mut stream: TcpStream| {
        while read_head(&mut stream).await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").await;
            tokio::time::sleep(SHORT / 10).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
        }
    });
    let backend = backend.await;
    let world = World::web(config(), &[backend.address]).await;
    for _ in 0..5 {
        assert_eq!(world.get("x", "/").await, (200, "good".to_owned()));
        tokio::time::sleep(SHORT / 5).await;
    }
    assert_eq!((backend.connections(), left(&world)), (5, 0));
}

/// Bodies of every size and framing arrive as they were sent, both ways at once.
#[tokio::test]
async fn large_bodies_arrive_whole() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let echo = {
        let content = content.clone();
        move |framing: &'static str| {
            let content = content.clone();
            Backend::start(Default::default(), move |mut stream: TcpStream| {
                let content = content.clone();
                async move {
                    read_head(&mut stream).await;
                    let mut asked = vec![0; content.len()];
                    stream.read_exact(&mut asked).await.unwrap();
                    assert!(asked == content, "the request's content changed");
                    let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    if !framing.contains("chunked") {
                        return stream.write_all(&content).await.unwrap();
                    }
                    for (number, piece) in content.chunks(70_000).enumerate() {
                        let size = if number % 2 == 0 { 1 } else { piece.len() };
                        for part in
                            [&piece[..size], &piece[size..]].into_iter().filter(|part| !part.is_empty())
                        {
                            stream.write_all(format!("{:X};x\r\n", part.len()).as_bytes()).await.unwrap();
                            stream.write_all(part).await.unwrap();
                            stream.write_all(b"\r\n").await.unwrap();
                        }
                    }
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                    // The ingress is to know the end without this.
                    while matches!(stream.read(&mut [0; 16]).await, Ok(1..)) {}
                }
            })
        }
    };
    for framing in ["Content-Length: 3000000\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let backend = echo(framing).await;
        let world = World::web(config(), &[backend.address]).await;
        let head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n";
        let answer = answer(&world, &[&head[..], &content].concat(), false).await;
        let told = told(&answer, false).unwrap();
        assert!(told.is_whole && told.content == content, "{framing:?}: {} bytes", told.content.len());
        assert_eq!(left(&world), 0);
    }
}

/// A response before the request's end ends there, if the backend wants no more; the client hears all of it.
#[tokio::test]
async fn an_early_refusal_is_heard() {
    let backend =
        Backend::scripted("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = client.split();
    let sending = async {
        for _ in 0..900 {
            if writer.write_all(&[b'x'; 10_000]).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut text = String::new();
    let (_, heard) = tokio::join!(sending, reader.read_to_string(&mut text));
    assert!(heard.is_ok() && status(&text) == 413 && text.ends_with("\r\n\r\nno"), "{heard:?} {text}");
}

/// A response that stands still in its middle is cut, so that nobody takes it for whole; and one whose head never ends.
#[tokio::test]
async fn a_backend_that_stands_still_is_cut_off() {
    for (response, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 200),
        ("HTTP/1.1 200 OK\r\nContent-Le", 504),
        ("HTTP/1.1 100 Continue\r\n\r\n", 504),
    ] {
        let backend = Backend::start(Default::default(), move |mut stream: TcpStream| async move {
            read_head(&mut stream).await;
            stream.write_all(response.as_bytes()).await.unwrap();
            tokio::time::sleep(PATIENCE).await;
        });
        let backend = backend.await;
        let mut settings = config();
        (settings.limits.body_timeout, settings.limits.response_timeout) = (SHORT, SHORT);
        let world = World::web(settings, &[backend.address]).await;
        let text = world.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert_eq!(status(&text), expected, "{text}");
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    }
}

/// Bounds on a kept connection count from its last request's end, and a head sent in drops has its time as a whole.
#[tokio::test]
async fn kept_connections_have_bounds() {
    let backend = Backend::echo("one").await;
    let mut settings = config();
    settings.limits.idle_timeout = SHORT;
    let world = World::web(settings.clone(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(SHORT / 2).await;
        client.write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_eq!(status(&read_until(&mut client, "\r\n\r\n").await), 200, "used twice as often as it must");
    }
    assert_eq!(read_all(&mut client).await, "");
    (settings.limits.idle_timeout, settings.limits.head_timeout) = (PATIENCE, SHORT);
    let world = World::web(settings, &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    read_until(&mut client, "\r\n\r\n").await;
    let begun = std::time::Instant::now();
    while client.write_all(b"G").await.is_ok() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
}

/// Heads too long or with too many fields for the short way are refused as ever; a backend's are a broken backend's.
#[tokio::test]
async fn heads_have_bounds_either_way() {
    let mut settings = config();
    (settings.limits.head_bytes_max, settings.limits.headers_max) = (16 << 10, 20);
    let fields = |count: usize| (0..count).map(|number| format!("x-{number}: 1\r\n")).collect::<String>();
    let backend = Backend::echo("one").await;
    let world = World::web(settings.clone(), &[backend.address]).await;
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    let long = format!("x: {}\r\n", "a".repeat(20 << 10));
    let check = async |fields: &str, expected: u16| {
        assert_eq!(status(&world.raw(&get(fields)).await), expected, "{}", fields.len());
    };
    check(&fields(15), 200).await;
    check(&format!("x: {}\r\n", "a".repeat(15 << 10)), 200).await;
    assert_eq!(left(&world), 0);
    check(&fields(30), 431).await;
    check(&long, 431).await;
    for fields in [fields(30), long] {
        let response = Box::leak(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_boxed_str());
        let backend = Backend::scripted(response).await;
        let world = World::web(settings.clone(), &[backend.address]).await;
        assert_eq!(world.get("x", "/").await.0, 502);
        assert_eq!((left(&world), backend.requests()), (0, 1));
    }
}

/// What a backend leaves out is added.
#[tokio::test]
async fn a_response_is_dated_and_says_when_it_is_the_last() {
    let backend = Backend::scripted("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let world = World::web(config(), &[backend.address]).await;
    let text = world.raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(field(&text, "date").unwrap().ends_with(" GMT"), "{text}");
    assert_eq!(field(&text, "connection"), Some("close"));
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(GET).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert_eq!((field(&head, "connection"), left(&world)), (None, 0));
}
