//! The gRPC health protocol v1 by hand: one request, one field each way (F8).
//!
//! `grpc.health.v1.Health/Check` with `HealthCheckRequest { service = 1 }`; healthy is `status = 1` (SERVING).

use super::address;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kelson_pods::ProbeOutcome;
use std::borrow::Cow;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 4096;
const SERVING: u64 = 1;

/// Asks for the health of `service`, within `limit`. The texts are upstream's, whose client takes a refused connection
/// for one that may still come, and tries until its time is over.
pub async fn check(host: &str, port: u16, service: &str, limit: Duration) -> ProbeOutcome {
    let (end, within) = (Instant::now() + limit, limit.as_secs());
    let Ok(Ok(stream)) = timeout_at(end, TcpStream::connect((host, port))).await else {
        sleep_until(end).await;
        let address = address(host, port);
        return ProbeOutcome::Failure(format!(
            "timeout: failed to connect service \"{address}\" within {within}s: context deadline exceeded"
        ));
    };
    match timeout_at(end, ask(stream, &address(host, port), service)).await {
        Ok(Ok(SERVING)) => ProbeOutcome::Success,
        Ok(Ok(status)) => {
            ProbeOutcome::Failure(format!("service unhealthy (responded with \"{}\")", name(status)))
        }
        Ok(Err(why)) => ProbeOutcome::Failure(why),
        Err(_) => ProbeOutcome::Failure(format!("timeout: health rpc did not complete within {within}s")),
    }
}

fn name(status: u64) -> Cow<'static, str> {
    match status {
        0 => "UNKNOWN".into(),
        1 => "SERVING".into(),
        2 => "NOT_SERVING".into(),
        3 => "SERVICE_UNKNOWN".into(),
        other => other.to_string().into(),
    }
}

/// The status the server answered.
async fn ask(stream: TcpStream, address: &str, service: &str) -> Result<u64, String> {
    let failed = |error: hyper::Error| format!("error: health rpc probe failed: {error}");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/grpc.health.v1.Health/Check"))
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

/// What the call failed with, if it did.
fn grpc_error(headers: &hyper::HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let code = text("grpc-status").filter(|code| *code != "0")?;
    let message = text("grpc-message").unwrap_or_default();
    let message = percent_encoding::percent_decode_str(message).decode_utf8_lossy();
    Some(match code {
        "12" => format!(
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {message}"
        ),
        code => {
            let code = code_name(code);
            format!("error: health rpc probe failed: rpc error: code = {code} desc = {message}")
        }
    })
}

/// A code by the name that gRPC's own library gives it.
fn code_name(code: &str) -> Cow<'static, str> {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let known = code.parse::<usize>().ok().and_then(|code| NAMES.get(code));
    known.map_or_else(|| format!("Code({code})").into(), |name| Cow::Borrowed(*name))
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

    #[test]
    fn what_a_call_failed_with_is_in_upstreams_words() {
        let check = |code: &str, message: &str, expected: Option<&str>| {
            let mut headers = hyper::HeaderMap::new();
            headers.insert("grpc-status", code.parse().unwrap());
            headers.insert("grpc-message", message.parse().unwrap());
            assert_eq!(grpc_error(&headers).as_deref(), expected);
        };
        check("0", "", None);
        let text = "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service";
        check("5", "unknown%20service", Some(text));
        let text = "error: health rpc probe failed: rpc error: code = Code(77) desc = ";
        check("77", "", Some(text));
        let text =
            "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): no";
        check("12", "no", Some(text));
    }
}
