//! Large answers to reads are compressed for clients that ask for it, as upstream does: kubectl does, always.
//!
//! Invariant: an answer is never held whole for it, and one that is not worth it goes out as it is. Never touches watches,
//! logs or streams, which go on as they come.

use std::io::Write;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, header};
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body_util::BodyExt;

use crate::request::query;

/// Bodies below this are not worth it.
const WORTH_BYTES: usize = 128 * 1024;

/// Marks an answer that is another program's and goes out as it came.
#[derive(Clone, Copy)]
pub(crate) struct AsItCame;

/// Whether a request's answer may be compressed.
pub(crate) fn is_wanted(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = accepted.is_some_and(|text| text.split(',').any(|one| one.trim() == "gzip"));
    gzip && request.method() == Method::GET
        && !request.headers().contains_key(header::UPGRADE)
        && !query(request.uri()).flag("watch")
}

/// The answer, compressed if it is large.
pub(crate) async fn compress(answer: Response<Body>) -> Response<Body> {
    let json = |value: &HeaderValue| value.as_bytes() == b"application/json";
    let foreign = answer.extensions().get::<AsItCame>().is_some();
    if foreign || !answer.headers().get(header::CONTENT_TYPE).is_some_and(json) {
        return answer;
    }
    let (mut parts, mut body) = answer.into_parts();
    let mut head = BytesMut::new();
    while head.len() < WORTH_BYTES {
        match next(&mut body).await {
            Ok(Some(piece)) => head.extend_from_slice(&piece),
            Ok(None) => return Response::from_parts(parts, Body::from(head.freeze())),
            // Whoever reads the body meets its end too early, as without compression.
            Err(error) => return Response::from_parts(parts, broken(head.freeze(), error)),
        }
    }
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, gzip(head.freeze(), body))
}

fn broken(head: Bytes, error: axum::Error) -> Body {
    Body::from_stream(stream::iter([Ok(head), Err(error)]))
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, axum::Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame?.into_data() {
            return Ok(Some(piece));
        }
    }
    Ok(None)
}

/// `head` and the rest of `body`, compressed piece by piece.
fn gzip(head: Bytes, body: Body) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let state = Some((encoder, Some(head), body));
    Body::from_stream(stream::try_unfold(state, async |state| {
        let Some((mut encoder, mut head, mut body)) = state else { return Ok(None) };
        loop {
            let piece = match head.take() {
                Some(piece) => Some(piece),
                None => next(&mut body).await?,
            };
            let Some(piece) = piece else {
                let last = encoder.finish().map_err(axum::Error::new)?;
                return Ok::<_, axum::Error>(Some((Bytes::from(last), None)));
            };
            encoder.write_all(&piece).map_err(axum::Error::new)?;
            let ready = std::mem::take(encoder.get_mut());
            if !ready.is_empty() {
                return Ok(Some((Bytes::from(ready), Some((encoder, head, body)))));
            }
        }
    }))
}

#[cfg(test)]
mod tests;
