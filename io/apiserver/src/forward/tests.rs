//! Requests taken to a real listener: what it hears, what comes back, what is said when it cannot be reached.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use kelson_process::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Target, forward, is_upgrade, relocate, strip};

const PREFIX: &str = "/api/v1/namespaces/d/pods/p/proxy";

fn target(address: SocketAddr, path: &str) -> Target {
    Target { tls: false, address, prefix: PREFIX.into(), path: path.into() }
}

/// A program that answers with what it heard.
async fn program() -> SocketAddr {
    let heard = |request: Request| async move {
        let (parts, body) = request.into_parts();
        let mut lines: Vec<String> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        let body = body.collect().await.unwrap().to_bytes();
        let text = format!(
            "{} {}\n{}\n{}",
            parts.method,
            parts.uri,
            lines.join("\n"),
            String::from_utf8_lossy(&body)
        );
        (
            StatusCode::IM_A_TEAPOT,
            [(header::LOCATION, "/login?next=1"), (header::CONNECTION, "x-gone")],
            [("x-gone", "1")],
            text,
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(heard)).await });
    address
}

#[tokio::test]
async fn the_program_hears_the_request_and_not_the_credential() {
    let address = program().await;
    let request = Request::builder()
        .method("POST")
        .uri(format!("{PREFIX}/a%2Fb?x=%20y"))
        .header("host", "127.0.0.1:6443")
        .header("authorization", "Bearer secret")
        .header("impersonate-user", "jane")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-own", "2")
        .body(Body::from("hello"))
        .unwrap();
    let answer = forward(&target(address, "/a%2Fb"), request, Shutdown::new()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(answer.headers()[header::LOCATION], format!("{PREFIX}/login?next=1"));
    assert!(!answer.headers().contains_key("x-gone"), "{:?}", answer.headers());
    let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().into()).unwrap();
    let expected = format!(
        "POST /a%2Fb?x=%20y\ncontent-length: 5\nhost: 127.0.0.1:6443\nx-forwarded-host: 127.0.0.1:6443\n\
         x-forwarded-proto: https\nx-forwarded-uri: {PREFIX}/a%2Fb\nx-own: 2\nhello"
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn who_does_not_listen_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let status =
        forward(&target(address, "/"), Request::new(Body::empty()), Shutdown::new()).await.unwrap_err();
    let expected = format!("error trying to reach service: dial tcp {address}: connect: connection refused");
    assert_eq!((status.code, status.message), (503, expected));
}

#[tokio::test]
async fn a_program_that_hangs_up_is_an_error_and_no_hang() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"nonsense\r\n\r\n").await;
    });
    let status =
        forward(&target(address, "/"), Request::new(Body::empty()), Shutdown::new()).await.unwrap_err();
    assert_eq!(status.code, 503);
    assert!(status.message.starts_with("error trying to reach service: "), "{}", status.message);
}

/// A program that changes the protocol and says again what it is told.
async fn parrot() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await.to_ascii_lowercase();
        assert!(head.contains("connection: upgrade") && head.contains("upgrade: parrot"), "{head}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: parrot\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        tokio::io::copy(&mut reading, &mut writing).await.unwrap();
    });
    address
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn an_upgraded_connection_flows_both_ways_until_the_server_ends() {
    let (address, shutdown) = (parrot().await, Shutdown::new());
    let ends = shutdown.clone();
    let front = Router::new().fallback(move |request: Request| async move {
        forward(&target(address, "/"), request, ends).await.unwrap()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, front).await });
    let asked = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: parrot\r\n\r\n";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for words in ["pretty", "polly"] {
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut said = vec![0; words.len()];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(said, words.as_bytes());
    }
    shutdown.cancel();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0, "the connection ends with the server");
}

fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
    all.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

#[test]
fn upgrades_are_told_by_both_headers() {
    assert!(is_upgrade(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])));
    assert!(!is_upgrade(&headers(&[("upgrade", "websocket")])));
    assert!(!is_upgrade(&headers(&[("connection", "upgrade")])));
}

#[test]
fn what_concerns_one_connection_is_not_passed_on() {
    let mut all =
        headers(&[("connection", "close, x-mine"), ("x-mine", "1"), ("te", "trailers"), ("accept", "*/*")]);
    strip(&mut all);
    assert_eq!(all, headers(&[("accept", "*/*")]));
}

#[test]
fn redirections_within_the_program_stay_under_its_path() {
    let check = |place: &'static str, expected: &str| {
        let mut all = headers(&[("location", place)]);
        relocate(&target("10.244.0.5:80".parse().unwrap(), "/"), "api.example:6443", &mut all);
        assert_eq!(all[header::LOCATION], expected);
    };
    check("/a/?b=c", &format!("{PREFIX}/a/?b=c"));
    check("http://10.244.0.5:80/a", &format!("{PREFIX}/a"));
    check("https://api.example:6443/a", &format!("{PREFIX}/a"));
    check("https://example.com/a", "https://example.com/a");
    check("/api/v1/namespaces/d/pods/p/proxy/a", &format!("{PREFIX}/a"));
}
