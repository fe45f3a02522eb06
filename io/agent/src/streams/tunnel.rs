//! Upgraded connections that carry SPDY: the upgrade itself, or SPDY inside a WebSocket's binary messages.

use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kelson_machinery::status::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const SPDY: &str = "SPDY/3.1";
/// Which of Kubernetes' protocols runs over SPDY; the client lists its own, the server answers with one.
const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// Bytes between a WebSocket and the SPDY side.
const BUFFER: usize = 64 << 10;

/// Whether the client asks for SPDY.
pub fn is_spdy(headers: &HeaderMap) -> bool {
    let asks = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.eq_ignore_ascii_case(SPDY));
    headers.get(header::UPGRADE).is_some_and(asks)
}

/// The first of the client's protocols that is among `ours`.
pub fn negotiate(headers: &HeaderMap, ours: &[&'static str]) -> Result<&'static str, Status> {
    let values = headers.get_all(STREAM_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let theirs: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let found = theirs.iter().find_map(|name| ours.iter().find(|own| *own == name).copied());
    found.ok_or_else(|| {
        let (theirs, ours) = (theirs.join(" "), ours.join(" "));
        let words = format!("unable to upgrade: unable to negotiate protocol: client supports [{theirs}], server accepts [{ours}]");
        Status::bad_request(words)
    })
}

/// Answers 101 and runs `serve` on the connection once it is ours.
pub fn upgrade<F>(
    request: &mut Request,
    protocol: &'static str,
    serve: impl FnOnce(TokioIo<Upgraded>) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send,
{
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => serve(TokioIo::new(connection)).await,
            Err(error) => tracing::debug!(%error, "a connection was not upgraded"),
        }
    });
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static(SPDY)),
        (STREAM_PROTOCOL, HeaderValue::from_static(protocol)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A WebSocket as a plain byte stream. The task ends when either side does.
pub fn bytes_of(socket: WebSocket) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    tokio::spawn(pump(socket, theirs));
    ours
}

async fn pump(socket: WebSocket, stream: DuplexStream) {
    let (mut sink, mut messages) = socket.split();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let inward = async {
        while let Some(Ok(message)) = messages.next().await {
            let done = match message {
                Message::Binary(bytes) => writing.write_all(&bytes).await.is_err(),
                Message::Close(_) => true,
                _ => false,
            };
            if done {
                return;
            }
        }
    };
    let outward = async {
        let mut chunk = vec![0; BUFFER / 2];
        while let Ok(count @ 1..) = reading.read(&mut chunk).await {
            if sink.send(Message::binary(chunk[..count].to_vec())).await.is_err() {
                return;
            }
        }
        let _ = sink.send(Message::Close(None)).await;
    };
    tokio::select! {
        () = inward => {}
        () = outward => {}
    }
}
