//! Clients that want too much or take too long, each against a bound made small.

use std::time::{Duration, Instant};

use kelson_ingress::{Config, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::world::{World, config, field, read_all, read_until, status};

const SHORT: Duration = Duration::from_millis(300);

fn limited(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = config();
    change(&mut config.limits);
    config
}

#[tokio::test]
async fn heads_have_bounds() {
    let backend = Backend::echo("one").await;
    let world = World::web(limited(|limits| limits.head_bytes_max = 16 * 1024), &[backend.address]).await;
    let long = "a".repeat(20 * 1024);
    let text = world.raw(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n")).await;
    assert_eq!(status(&text), 431);
    let many: String = (0..200).map(|number| format!("x-{number}: 1\r\n")).collect();
    let text = world.raw(&format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")).await;
    assert_eq!(status(&text), 431);
    assert_eq!(backend.requests(), 0);
}

/// One byte now and then does not help: the whole head has its time.
#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let backend = Backend::echo("one").await;
    let world = World::web(limited(|limits| limits.head_timeout = SHORT), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    let begun = Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    while client.write_all(b"x: y\r\n").await.is_ok() && begun.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "still listening after {:?}", begun.elapsed());
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let world = World::web(limited(|limits| limits.idle_timeout = SHORT), &[]).await;
    let mut silent = TcpStream::connect(world.http).await.unwrap();
    assert_eq!(read_all(&mut silent).await, "");
    let mut half_a_preface = TcpStream::connect(world.http).await.unwrap();
    half_a_preface.write_all(b"PRI * HT").await.unwrap();
    assert_eq!(read_all(&mut half_a_preface).await, "");
    let mut handshake = TcpStream::connect(world.https).await.unwrap();
    let world = World::web(limited(|limits| limits.handshake_timeout = SHORT), &[]).await;
    drop(handshake);
    handshake = TcpStream::connect(world.https).await.unwrap();
    assert_eq!(read_all(&mut handshake).await, "");
}

#[tokio::test]
async fn a_body_that_stands_still_gets_408() {
    let backend = Backend::echo("one").await;
    let world = World::web(limited(|limits| limits.body_timeout = SHORT), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    assert_eq!(status(&read_all(&mut client).await), 408);
}

/// A body that moves, however slowly, may take longer than a backend may take to respond.
#[tokio::test]
async fn a_slow_body_is_waited_for() {
    let backend = Backend::echo("one").await;
    let world = World::web(limited(|limits| limits.response_timeout = SHORT), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..10 {
        tokio::time::sleep(SHORT / 3).await;
        client.write_all(b"x").await.unwrap();
    }
    let text = read_all(&mut client).await;
    assert!(status(&text) == 200 && text.ends_with("xxxxxxxxxx"), "{text}");
}

/// A client that asks for much and reads nothing.
#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let backend = Backend::start(Default::default(), async |mut stream: TcpStream| {
        if crate::backend::read_head(&mut stream).await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
        }
    });
    let backend = backend.await;
    let config = limited(|limits| (limits.stall_timeout, limits.idle_timeout) = (SHORT, SHORT));
    let world = World::web(config, &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(SHORT * 5).await;
    let mut sink = vec![0; 1 << 20];
    let drained = tokio::time::timeout(Duration::from_secs(5), async {
        while matches!(client.read(&mut sink).await, Ok(length) if length > 0) {}
    });
    assert!(drained.await.is_ok(), "the response goes on for ever");
}

/// With one place, the second connection waits until the first is gone.
#[tokio::test]
async fn connections_have_a_bound() {
    let backend = Backend::echo("one").await;
    let world = World::web(limited(|limits| limits.connections_max = 1), &[backend.address]).await;
    let mut first = TcpStream::connect(world.http).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let head = read_until(&mut first, "\r\n\r\n").await;
    assert_eq!(status(&head), 200);
    let mut second = TcpStream::connect(world.http).await.unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(SHORT, second.read(&mut byte)).await.is_err(), "there was no place");
    drop(first);
    let text = read_all(&mut second).await;
    assert!(field(&text, "content-length").is_some() && text.ends_with('\n'), "{text}");
}

/// Requests have a bound of their own, because one HTTP/2 connection carries many; a tunnel counts as long as it lives.
#[tokio::test]
async fn requests_have_a_bound() {
    let backend = Backend::echo("one").await;
    let world = World::web(limited(|limits| limits.requests_max = 1), &[backend.address]).await;
    let mut slow = TcpStream::connect(world.http).await.unwrap();
    slow.write_all(b"GET /slow/500 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    while backend.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = "503 Service Unavailable: too many requests are under way\n";
    assert_eq!(world.get("x", "/").await, (503, refused.to_owned()));
    assert_eq!(status(&read_all(&mut slow).await), 200);
    assert_eq!(world.get("x", "/").await.0, 200, "there is a place again");
}

#[test]
fn files_bound_connections_and_requests() {
    let check = |files: usize, expected: (usize, usize)| {
        let limits = Limits::default().within_files(files);
        assert_eq!((limits.connections_max, limits.requests_max), expected, "{files}");
    };
    check(1024, (256, 256));
    check(1 << 20, (8192, 8192));
    check(0, (1, 1));
}

/// A client that takes nothing of one response and keeps its connection busy with others.
#[tokio::test]
async fn a_response_that_nobody_takes_is_cut_off() {
    let backend = Backend::start(Default::default(), async |mut stream: TcpStream| {
        while crate::backend::read_head(&mut stream).await {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
            let _ = stream.write_all(&[b'x'; 1_000_000]).await;
        }
    });
    let backend = backend.await;
    let config = limited(|limits| (limits.stream_timeout, limits.idle_timeout) = (SHORT, SHORT / 3));
    let world = World::web(config, &[backend.address]).await;
    let stream = hyper_util::rt::TokioIo::new(TcpStream::connect(world.http).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let (mut sender, connection) =
        builder.initial_stream_window_size(16 * 1024).handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut get = async |path: &str| {
        let request = hyper::Request::get(format!("http://x{path}"));
        sender.send_request(request.body(http_body_util::Empty::<hyper::body::Bytes>::new()).unwrap()).await
    };
    let untaken = get("/").await.unwrap();
    let begun = Instant::now();
    while get("/again").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(begun.elapsed() < Duration::from_secs(5), "it stands still and nobody minds");
    }
    drop(untaken);
}
