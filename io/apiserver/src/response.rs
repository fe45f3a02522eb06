//! Answers as HTTP: objects, Status failures, warnings. The one place where a [`Status`] becomes a response.
//!
//! Never decides anything; what it is given is sent.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use kelson_machinery::status::Status;
use serde_json::Value;

use crate::negotiate::Encoding;

/// What every handler returns: a response, or the failure to be shown instead.
pub(crate) type Reply = Result<Response<Body>, Status>;

/// Warnings sent with one answer, at most; and bytes of all of them, as upstream bounds them.
const WARNINGS_MAX: usize = 64;
const WARNINGS_BYTES_MAX: usize = 4096;

/// A JSON body that is ready to be sent.
pub(crate) fn json_bytes(code: StatusCode, bytes: Bytes) -> Response<Body> {
    with_type(code, "application/json", Body::from(bytes))
}

/// An object in the encoding the client chose.
pub(crate) fn object(code: StatusCode, encoding: Encoding, object: &Value) -> Response<Body> {
    match encoding {
        Encoding::Json => json_bytes(code, to_bytes(object)),
        Encoding::Yaml => with_type(code, "application/yaml", Body::from(to_yaml(object))),
    }
}

/// JSON bytes in the encoding the client chose.
pub(crate) fn encoded(code: StatusCode, encoding: Encoding, bytes: Bytes) -> Response<Body> {
    match (encoding, serde_json::from_slice::<Value>(&bytes)) {
        (Encoding::Yaml, Ok(value)) => object(code, encoding, &value),
        _ => json_bytes(code, bytes),
    }
}

/// A body of this media type.
pub(crate) fn with_type(code: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Plain text, as health checks and unknown paths answer.
pub(crate) fn text(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    with_type(code, "text/plain; charset=utf-8", Body::from(text.into()))
}

/// What a path that leads nowhere answers, in the words of upstream's mux.
pub(crate) fn no_such_path() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A failure.
pub(crate) fn failure(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_bytes(code, to_bytes(&status.to_json()));
    let after = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if after > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
    if status.code == 401 {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"kelson\""));
    }
    response
}

/// Adds `Warning: 299 - "…"` headers, each text once, within upstream's bound.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    let mut bytes = 0;
    let mut sent: Vec<&str> = Vec::new();
    for warning in warnings.iter().take(WARNINGS_MAX) {
        bytes += warning.len();
        if bytes > WARNINGS_BYTES_MAX {
            break;
        }
        if sent.contains(&warning.as_str()) {
            continue;
        }
        sent.push(warning);
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{}\"", quoted(warning))) {
            headers.append(header::WARNING, value);
        }
    }
}

/// A quoted-string's inside: control characters dropped, quotes and backslashes escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// JSON bytes of a value.
pub(crate) fn to_bytes(value: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("a JSON value always has a text"))
}

fn to_yaml(value: &Value) -> String {
    serde_yaml_ng::to_string(value).expect("a JSON value always has a YAML text")
}

#[cfg(test)]
mod tests;
