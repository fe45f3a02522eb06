//! From the JSON a client sent to canonical JSON, through the typed API: where wrong types become upstream's 400 text.
//!
//! Invariant: `decode(decode(x)) == decode(x)`; what upstream omits when empty is omitted here. Depth is bounded by
//! `DEPTH_MAX`. It never panics on any JSON and never looks at the values' meaning: that is validation.

mod absent;
mod go;
mod typed;

use k8s_openapi::Resource;
use kelson_machinery::Object;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// How deep a document may nest; the deepest built-in type needs under thirty levels.
pub const DEPTH_MAX: usize = 100;

/// How many unknown fields are remembered of one document.
pub const UNKNOWN_MAX: usize = 64;

/// A decoded object.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Canonical JSON of today's version.
    pub object: Object,
    /// Paths of fields the type does not have, such as `spec.containers[0].imag`; for strict decoding.
    pub unknown: Vec<String>,
}

/// Why a document is not an object of the kind. `Display` is the message of upstream's 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    pub kind: String,
    /// For example `json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`.
    pub cause: String,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { api_version, kind, cause } = self;
        let version = api_version.rsplit('/').next().unwrap_or(api_version);
        write!(f, "{kind} in version \"{version}\" cannot be handled as a {kind}: {cause}")
    }
}

impl std::error::Error for DecodeError {}

/// The round trip through `T`; `Kind::decode` of every kind is an instance of it.
pub fn decode<T: Resource + DeserializeOwned + Serialize>(mut input: Object) -> Result<Decoded, DecodeError> {
    let failed = |cause: String| DecodeError {
        api_version: T::API_VERSION.to_owned(),
        kind: T::KIND.to_owned(),
        cause,
    };
    let Some(fields) = input.as_object_mut() else {
        return Err(failed(format!(
            "json: cannot unmarshal {} into Go value of type {}",
            go::json_name(&input),
            go::go_type(std::any::type_name::<T>())
        )));
    };
    fields.insert("apiVersion".to_owned(), Value::from(T::API_VERSION));
    fields.insert("kind".to_owned(), Value::from(T::KIND));
    let (value, unknown) = typed::read::<T>(&input).map_err(|cause| failed(cause.0))?;
    let object = serde_json::to_value(value).map_err(|error| failed(error.to_string()))?;
    Ok(Decoded { object, unknown })
}

#[cfg(test)]
mod tests;
