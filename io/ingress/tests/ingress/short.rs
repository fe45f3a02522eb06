//! The short way: what stays on it, and what it does when one side misbehaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::{Backend, read_head};
use crate::either_way::{answer, eventually, told};
use crate::world::{PATIENCE, World, config, field, read_all, read_until, status};

const SHORT: Duration = Duration::from_millis(300);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// How many clients' connections left the short way.
fn left(world: &World) -> usize {
    let page = world.metrics();
    let line = page.lines().find_map(|line| line.strip_prefix("kelson_ingress_connections_general_total "));
    line.unwrap().parse().unwrap()
}

/// What browsers and programs mostly send never leaves it, however it is cut into packets.
#[tokio::test]
async fn usual_requests_stay() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    let requests = [
        "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nConnection: keep-alive\r\nAccept: */*\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: shop.example:80\r\nContent-Length: 12\r\nContent-Type: text/plain\r\n\r\nhello\r\n\r\nyou",
        "DELETE /a HTTP/1.1\r\nHost: shop.example\r\n\r\n",
        "PUT /a HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1 \r\n!\r\n00\r\nTrailer: x\r\n\r\n",
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
            let content = text.split_once("\r\n\r\n").unwrap().1;
            let content = if text.contains("chunked") { "hello!" } else { content };
            assert_eq!(rest.split_once("\n\n").unwrap().1, content);
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
    let chunked = "POST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let odd = "POST http://x/3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let last = "GET /5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let text = world.raw(&[&plain("/1"), chunked, odd, &plain("/4"), last].concat()).await;
    let asked: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("one ").map(|(_, asked)| asked)).collect();
    assert_eq!(asked, ["POST /1", "POST /2", "POST /3", "POST /4", "GET /5"], "{text}");
    assert_eq!((left(&world), backend.requests()), (1, 5));
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

/// Chunks of any size, with what may be beside them, are content alone for the backend.
#[tokio::test]
async fn large_chunked_requests_arrive_whole() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let content: String = (0..300_000).map(|number| char::from(b'a' + (number % 23) as u8)).collect();
    let mut request =
        "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let mut rest = content.as_str();
    for size in [1, 2, 70_000, 3, 100_000, 17, usize::MAX] {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        request += &format!("{:x};size={size}\r\n{piece}\r\n", piece.len());
        rest = later;
    }
    request += "0\r\nChecksum: 1\r\n\r\n";
    let text = world.raw(&request).await;
    assert_eq!((status(&text), left(&world)), (200, 0));
    assert!(text.ends_with(&format!("\n\n{content}")) && !text.contains("checksum"), "{} bytes", text.len());
}

/// A chunk that is none ends the request wherever it comes, and nothing behind it is one.
#[tokio::test]
async fn broken_chunks_are_refused() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (good, broken) in
        [("", "zz\r\n"), ("", "5\nhello"), ("5\r\nhello\r\n", "-1\r\n"), ("5\r\nhello", "0\r\n\r\n")]
    {
        for pause in [Duration::ZERO, SHORT / 10] {
            let mut client = TcpStream::connect(world.http).await.unwrap();
            client.write_all(format!("{head}{good}").as_bytes()).await.unwrap();
            tokio::time::sleep(pause).await;
            let smuggled = format!("{broken}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
            client.write_all(smuggled.as_bytes()).await.unwrap();
            let text = read_all(&mut client).await;
            assert_eq!(status(&text), 408, "{good:?} {broken:?}");
            assert!(!text.contains("smuggled"), "{text}");
        }
    }
    assert_eq!(left(&world), 0);
}

/// Our own pages are no reason to leave it either.
#[tokio::test]
async fn pages_stay() {
    let backend = Backend::echo("one").await;
    let mut world = World::web(config(), &[backend.address]).await;
    world.ingresses(&crate::world::WEB.replace("- http", "- host: a.example\n    http"));
    let mut client = TcpStream::connect(world.http).await.unwrap();
    let page = "404 Not Found: no rule is for this host and path\n";
    for (method, content) in [("GET", ""), ("POST", "hello"), ("HEAD", "")] {
        let length = content.len();
        let text =
            format!("{method} / HTTP/1.1\r\nHost: b.example\r\nContent-Length: {length}\r\n\r\n{content}");
        client.write_all(text.as_bytes()).await.unwrap();
        let head = read_until(&mut client, "\r\n\r\n").await;
        assert_eq!(
            (status(&head), field(&head, "content-length")),
            (404, Some(page.len().to_string().as_str()))
        );
        if method != "HEAD" {
            assert_eq!(read_until(&mut client, "\n").await, page);
        }
    }
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(status(&read_all(&mut client).await), 200);
    assert_eq!(left(&world), 0);
    let text = world.raw("POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 9\r\n\r\nhalf").await;
    assert_eq!((status(&text), field(&text, "connection")), (404, Some("close")));
    assert!(world.metrics().contains("requests_total{code=\"4xx\"} 4\n"));
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
