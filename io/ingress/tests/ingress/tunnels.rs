//! Upgraded connections: bytes both ways, as they are, until one side ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::{Backend, read_head};
use crate::world::{World, config, field, read_all, read_until, status};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";

/// Accepts the upgrade and greets with it, then sends back what it gets, in capitals.
async fn shouting() -> Backend {
    let serve = async |mut stream: TcpStream| {
        assert!(read_head(&mut stream).await);
        stream.write_all(ACCEPTED).await.unwrap();
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..length].to_ascii_uppercase()).await.unwrap();
        }
    };
    Backend::start(Default::default(), serve).await
}

async fn upgraded(world: &World) -> TcpStream {
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert_eq!(status(&head), 101, "{head}");
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(field(&head, "connection"), Some("upgrade"));
    assert_eq!(field(&head, "sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(read_until(&mut client, "hello").await, "hello", "what came with the head is not lost");
    client
}

#[tokio::test]
async fn bytes_go_both_ways() {
    let backend = shouting().await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = upgraded(&world).await;
    for word in ["one", "two", "\u{0}\u{1}"] {
        client.write_all(word.as_bytes()).await.unwrap();
        let upper = word.to_ascii_uppercase();
        assert_eq!(read_until(&mut client, &upper).await, upper);
    }
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, "");
}

#[tokio::test]
async fn a_silent_tunnel_is_closed() {
    let backend = shouting().await;
    let mut settings = config();
    settings.limits.tunnel_timeout = Duration::from_millis(300);
    let world = World::web(settings, &[backend.address]).await;
    let mut client = upgraded(&world).await;
    assert_eq!(read_all(&mut client).await, "");
}

/// A tunnel outlives idle connections' bound, and ends when the drain does.
#[tokio::test]
async fn a_tunnel_lives_until_the_drain_is_over() {
    let backend = shouting().await;
    let mut settings = config();
    settings.limits.idle_timeout = Duration::from_millis(100);
    settings.limits.drain_timeout = Duration::from_millis(500);
    let mut world = World::web(settings, &[backend.address]).await;
    let mut client = upgraded(&world).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.write_all(b"still").await.unwrap();
    assert_eq!(read_until(&mut client, "STILL").await, "STILL");
    world.shutdown.cancel();
    world.server.take().unwrap().finished().await;
    assert_eq!(read_all(&mut client).await, "");
}

/// A backend that does not want to: its refusal is a response like any other.
#[tokio::test]
async fn a_refused_upgrade_is_a_response() {
    let backend = Backend::echo("one").await;
    let world = World::web(config(), &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_until(&mut client, "\r\n\r\n").await;
    assert_eq!(status(&head), 200, "{head}");
}
