//! The gRPC health protocol v1 by hand: one request, one field each way (F8).
//!
//! `grpc.health.v1.Health/Check` with `HealthCheckRequest { service = 1 }`; healthy is `status = 1` (SERVING).

use super::{address, dial_error};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kelson_pods::ProbeOutcome;
use std::time::Duration;
use tokio::net::TcpStream;

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 4096;
const SERVING: u64 = 1;

/// Asks for the health of `service`, within `limit`.
pub async fn check(host: &str, port: u16, service: &str, limit: Duration) -> ProbeOutcome {
    match tokio::time::timeout(limit, ask(host, port, service)).await {
        Ok(Ok(SERVING)) => ProbeOutcome::Success,
        Ok(Ok(status)) => {
            ProbeOutcome::Failure(format!("service unhealthy (responded with \"{}\")", name(status)))
        }
        Ok(Err(why)) => ProbeOutcome::Failure(why),
        Err(_) => {
            let within = limit.as_secs();
            ProbeOutcome::Failure(format!(
                "timeout: failed to connect service \"{}\" within {within}s: context deadline exceeded",
                address(host, port)
            ))
        }
    }
}

fn name(status: u64) -> &'static str {
    match status {
        1 => "SERVING",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}

/// The status the server answered.
async fn ask(host: &str, port: u16, service: &str) -> Result<u64, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| dial_error(host, port, &error))?;
    let failed = |error: hyper::Error| format!("error: health rpc probe failed: {error}");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", address(host, port)))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", super::http::PROBE_AGENT)
        .body(Full::new(frame(service)))
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(failed);
    let result = match answer {
        Ok(answer) => status(answer).await,
        Err(why) => Err(why),
    };
    connection.abort();
    result
}

async fn status(answer: hyper::Response<hyper::body::Incoming>) -> Result<u64, String> {
    let early = grpc_error(answer.headers());
    let body =
        Limited::new(answer.into_body(), ANSWER_MAX).collect().await.map_err(|error| error.to_string())?;
    if let Some(why) = early.or_else(|| body.trailers().and_then(grpc_error)) {
        return Err(why);
    }
    parse(&body.to_bytes())
        .ok_or_else(|| "error: health rpc probe failed: the answer cannot be read".to_owned())
}

fn grpc_error(headers: &hyper::HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    match text("grpc-status")? {
        "0" => None,
        "12" => Some(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                .to_owned(),
        ),
        code => Some(format!(
            "error: health rpc probe failed: rpc error: code = {code} desc = {}",
            text("grpc-message").unwrap_or_default()
        )),
    }
}

/// The length-prefixed message `{ service = 1: string }`.
fn frame(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(&message);
    out.freeze()
}

fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// `status` of a length-prefixed `{ status = 1: enum }`; absent is 0. None when it cannot be read.
pub fn parse(answer: &[u8]) -> Option<u64> {
    let length = u32::from_be_bytes(answer.get(1..5)?.try_into().ok()?) as usize;
    let message = answer.get(5..5usize.checked_add(length)?)?;
    match message {
        [] => Some(0),
        [0x08, rest @ ..] => {
            let mut value = 0u64;
            for (index, byte) in rest.iter().take(9).enumerate() {
                value |= u64::from(byte & 0x7f) << (7 * index);
                if byte & 0x80 == 0 {
                    return Some(value);
                }
            }
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    //! The bytes of the health protocol.

    use super::*;

    #[test]
    fn requests_and_answers_are_the_protocols() {
        assert_eq!(&frame("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&frame("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let check = |bytes: &[u8], expected: Option<u64>| assert_eq!(parse(bytes), expected, "{bytes:?}");
        check(&[0, 0, 0, 0, 2, 8, 1], Some(1));
        check(&[0, 0, 0, 0, 0], Some(0));
        check(&[0, 0, 0, 0, 2, 8, 0x80], None);
        check(&[0, 0, 0, 0, 9, 8], None);
        check(&[0, 255, 255, 255, 255], None);
        check(&[], None);
    }
}
