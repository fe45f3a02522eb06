//! What is answered to whom, and what the server bears.

use std::time::Duration;

use hyper::Request;
use kelson_process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{CLIENTS_MAX, HEAD_MAX, Pages, StatusCode, metrics, serve, text};

fn pages() -> Pages {
    Pages::default()
        .with("/metrics", || metrics("answers 42\n".to_owned()))
        .with("/ready", || text(StatusCode::SERVICE_UNAVAILABLE, "not yet"))
}

fn check(pages: &Pages, method: &str, path: &str, status: u16, expected: &str) {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let page = pages.answer(&request);
    let told = (page.status().as_u16(), std::str::from_utf8(page.body()).unwrap());
    assert_eq!(told, (status, expected), "{method} {path}");
}

#[test]
fn a_page_is_at_its_path_alone() {
    check(&pages(), "GET", "/metrics", 200, "answers 42\n");
    check(&pages(), "HEAD", "/metrics?name=answers", 200, "answers 42\n");
    check(&pages(), "GET", "/ready", 503, "not yet");
    check(&pages(), "POST", "/metrics", 405, "only GET\n");
    check(&pages(), "GET", "/", 404, "this port serves /metrics, /ready\n");
    check(&Pages::everywhere(|| text(StatusCode::OK, "here")), "GET", "/any/where", 200, "here");
}

/// Serves for the length of a test; what one client reads who writes `request`.
async fn read(request: &[u8], others: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let served = tokio::spawn(serve(listener, pages(), shutdown.clone()));
    let mut idle = Vec::new();
    for _ in 0..others {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    let reading = tokio::time::timeout(Duration::from_millis(300), client.read_to_string(&mut answer));
    // A client that has to wait reads nothing, and one that is cut off reads what there was.
    let _ = reading.await;
    shutdown.cancel();
    served.await.unwrap();
    answer
}

#[tokio::test]
async fn a_client_asks_and_is_answered() {
    let answer = read(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 0).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nanswers 42\n"), "{answer}");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let mut request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: ".to_vec();
    request.resize(HEAD_MAX + 1, b'a');
    let answer = read(&request, 0).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn clients_beyond_the_bound_wait() {
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(!read(request, CLIENTS_MAX - 1).await.is_empty());
    assert_eq!(read(request, CLIENTS_MAX).await, "");
}
