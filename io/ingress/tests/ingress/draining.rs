//! The end: nothing new is accepted, what is under way is finished, what does not end is cut.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::world::{World, config, read_all, status};

#[tokio::test]
async fn requests_under_way_are_finished() {
    let backend = Backend::echo("one").await;
    let mut world = World::web(config(), &[backend.address]).await;
    let mut idle = TcpStream::connect(world.http).await.unwrap();
    let mut busy = TcpStream::connect(world.http).await.unwrap();
    busy.write_all(b"GET /slow/500 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    while backend.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.shutdown.cancel();
    let finished = tokio::spawn(world.server.take().unwrap().finished());
    assert_eq!(read_all(&mut idle).await, "", "an idle connection is closed");
    let text = read_all(&mut busy).await;
    assert_eq!(status(&text), 200, "{text}");
    finished.await.unwrap();
    assert!(TcpStream::connect(world.http).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let backend = Backend::echo("one").await;
    let mut settings = config();
    settings.limits.drain_timeout = Duration::from_millis(300);
    let mut world = World::web(settings, &[backend.address]).await;
    let mut client = TcpStream::connect(world.http).await.unwrap();
    client.write_all(b"GET /slow/60000 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    while backend.requests() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let begun = Instant::now();
    world.shutdown.cancel();
    world.server.take().unwrap().finished().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(read_all(&mut client).await, "");
}

#[tokio::test]
async fn a_taken_port_is_an_error_that_says_which() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = config();
    settings.http = Some(taken.local_addr().unwrap());
    let (listeners, errors) = kelson_ingress::Listeners::bind(&settings).await;
    assert!(listeners.http().is_none() && listeners.https().is_some(), "the other port is served");
    assert_eq!(errors[0].0, "http");
    assert_eq!(errors[0].1.to_string(), format!("listening on {}", settings.http.unwrap()));
}
