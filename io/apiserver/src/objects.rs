//! Between an object and its bytes in the store: keys, and the one serialization a write pays for.
//!
//! Invariant: stored bytes are the object in today's version with its `resourceVersion`, so lists and watches send them
//! as they are. Never converts to older versions (that is `render`).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kelson_machinery::Object;
use kelson_machinery::status::{GroupName, Status};
use kelson_registry::Kind;
use kelson_store::{Encode, Entry, StoreError};
use serde_json::Value;

/// The prefix under which objects of a kind lie, of one namespace or of all.
pub(crate) fn prefix(kind: &Kind, namespace: Option<&str>) -> String {
    let group = if kind.group.is_empty() { "core" } else { kind.group };
    match namespace {
        Some(namespace) if kind.namespaced => format!("/registry/{group}/{}/{namespace}/", kind.plural),
        _ => format!("/registry/{group}/{}/", kind.plural),
    }
}

/// The key of one object. `namespace` counts only for namespaced kinds.
pub(crate) fn key(kind: &Kind, namespace: &str, name: &str) -> String {
    prefix(kind, Some(namespace)) + name
}

/// The resource as messages name it.
pub(crate) fn resource(kind: &Kind) -> GroupName {
    GroupName::new(kind.group, kind.plural)
}

/// The kind as messages name it.
pub(crate) fn kind_name(kind: &Kind) -> GroupName {
    GroupName::new(kind.group, kind.kind)
}

/// The object of a stored entry.
pub(crate) fn decode(entry: &Entry) -> Result<Object, Status> {
    parse(&entry.value)
}

/// The object of stored bytes.
pub(crate) fn parse(stored: &[u8]) -> Result<Object, Status> {
    serde_json::from_slice(stored)
        .map_err(|e| Status::internal(&format!("unable to decode a stored object: {e}")))
}

/// An object serialized but for its resource version, which only the commit knows.
#[derive(Clone)]
pub(crate) struct Encoded {
    head: Bytes,
    tail: Bytes,
}

impl Encoded {
    /// Serializes an object, all of it but `metadata.resourceVersion`.
    pub fn new(object: &Object) -> Arc<Self> {
        let empty = serde_json::Map::new();
        let fields = object.as_object().unwrap_or(&empty);
        let mut head = b"{".to_vec();
        for key in ["kind", "apiVersion"] {
            if let Some(value) = fields.get(key) {
                push(&mut head, key, value);
                head.push(b',');
            }
        }
        head.extend_from_slice(b"\"metadata\":{\"resourceVersion\":\"");
        let mut tail = b"\"".to_vec();
        let metadata = fields.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
        for (key, value) in metadata.iter().filter(|(key, _)| *key != "resourceVersion") {
            tail.push(b',');
            push(&mut tail, key, value);
        }
        tail.push(b'}');
        for (key, value) in
            fields.iter().filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion" | "metadata"))
        {
            tail.push(b',');
            push(&mut tail, key, value);
        }
        tail.push(b'}');
        Arc::new(Self { head: head.into(), tail: tail.into() })
    }

    /// The whole bytes at a revision.
    pub fn at(&self, revision: u64) -> Bytes {
        let digits = revision.to_string();
        let mut whole = BytesMut::with_capacity(self.head.len() + digits.len() + self.tail.len());
        whole.extend_from_slice(&self.head);
        whole.extend_from_slice(digits.as_bytes());
        whole.extend_from_slice(&self.tail);
        whole.freeze()
    }

    /// What the store calls with the revision of the commit.
    pub fn encode(self: &Arc<Self>) -> Encode {
        let own = self.clone();
        Box::new(move |revision| own.at(revision))
    }
}

fn push(out: &mut Vec<u8>, key: &str, value: &Value) {
    serde_json::to_writer(&mut *out, key).expect("a string always has a JSON text");
    out.push(b':');
    serde_json::to_writer(&mut *out, value).expect("a JSON value always has a text");
}

/// What a failing store means to a client.
pub(crate) fn store_failure(error: StoreError) -> Status {
    match error {
        StoreError::Compacted { .. } => {
            Status::expired("The resourceVersion for the provided list is too old.")
        }
        StoreError::TooLarge { max, .. } => Status::too_large(&format!("limit is {max}")),
        StoreError::Closed => Status::service_unavailable("the server is shutting down"),
        other => {
            tracing::error!(error = &other as &dyn std::error::Error, "the store failed");
            Status::internal(&other.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
