//! Bodies of requests: read within bounds, then JSON or YAML to a value.
//!
//! Every byte here is untrusted. Nothing is read past the bound, and the parsers bound their depth.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kelson_machinery::status::Status;
use serde_json::Value;

use crate::config::Limits;
use crate::protobuf;

/// The media type of `Content-Type`, without parameters; JSON when the client names none.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let full = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match full.split(';').next().unwrap_or_default().trim() {
        "" => "application/json",
        media => media,
    }
}

/// How a body that is an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Yaml,
    Protobuf,
}

/// The media types of objects we take, for the refusal's text.
const TAKEN: [&str; 3] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// The form of a body that is an object; upstream's 415 for any other.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, Status> {
    match media_type(headers) {
        "application/json" => Ok(Form::Json),
        "application/yaml" => Ok(Form::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Form::Protobuf),
        _ => Err(Status::unsupported_media_type(&TAKEN)),
    }
}

/// Reads a whole body, within the bound on its size and on the time it may take.
pub(crate) async fn read(mut body: Body, limits: &Limits) -> Result<Bytes, Status> {
    let too_large = || Status::too_large(&format!("limit is {}", limits.body_bytes));
    let collect = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|e| Status::bad_request(format!("unable to read the request body: {e}")))?;
            let Ok(piece) = frame.into_data() else { continue };
            if whole.len() + piece.len() > limits.body_bytes {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    };
    let slow = |_| Status::timeout("the request body did not arrive in time", seconds(limits.body_timeout));
    tokio::time::timeout(limits.body_timeout, collect).await.map_err(slow)?
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Parses a body. The error is the parser's own words, to be put into the caller's sentence.
pub(crate) fn parse(bytes: &[u8], form: Form) -> Result<Value, String> {
    match form {
        Form::Json => serde_json::from_slice(bytes).map_err(|e| e.to_string()),
        Form::Yaml => serde_yaml_ng::from_slice(bytes).map_err(|e| format!("yaml: {e}")),
        Form::Protobuf => protobuf::decode(bytes).map_err(|e| e.to_string()),
    }
}

#[cfg(test)]
mod tests;
