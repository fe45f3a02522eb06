//! An object of any kind: what lets one reflector serve them all.
//!
//! Part of `reflect`. Only reading differs from kind to kind; listing, watching and waiting are the same code, which would
//! otherwise be in the program once a kind. What went in as a kind comes out as that kind.

use std::sync::Arc;

use super::{Change, Reflected};
use crate::lean::Lean;

/// An object of some kind.
pub(super) type Any = dyn std::any::Any + Send + Sync;

/// One that was read.
pub(super) struct Object {
    pub object: Arc<Any>,
    pub version: Option<String>,
}

/// Reads the JSON text of an object of one kind.
pub(super) type Read = fn(&str) -> serde_json::Result<Object>;

/// Reads a `K`.
pub(super) fn read<K: Reflected>(text: &str) -> serde_json::Result<Object> {
    let Lean(object): Lean<K> = serde_json::from_str(text)?;
    let version = object.meta().resource_version.clone();
    Ok(Object { object: Arc::new(object), version })
}

impl Change<Any> {
    /// The change as one of the kind that its reflector reads.
    pub fn typed<K: Reflected>(self) -> Change<K> {
        match self {
            Change::Reset(objects) => Change::Reset(objects.into_iter().map(typed).collect()),
            Change::Applied(object) => Change::Applied(typed(object)),
            Change::Deleted(object) => Change::Deleted(typed(object)),
        }
    }
}

fn typed<K: Reflected>(object: Arc<Any>) -> Arc<K> {
    object.downcast().expect("a reflector reads objects of one kind")
}
