//! What happens to an object between decoding and validation, for kinds that have a status or count generations.
//!
//! Invariant: a client never writes status through the main resource, nor spec through `/status` (spec A1.4, A1.5).

use crate::{metadata, walk};
use kelson_machinery::field::FieldError;
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

/// Drops status; generation starts at 1.
pub fn create_with_status(object: &mut Object) {
    walk::put(object, "status", json!({}));
    meta::set_generation(object, 1);
}

/// Keeps the old status; the generation grows when the spec changed.
pub fn update_with_status(new: &mut Object, old: &Object) {
    metadata::carry(new, old);
    keep(new, old, "status");
    count_generation(new, old, &["/spec"]);
}

/// Keeps everything but metadata and status.
pub fn status_update(new: &mut Object, old: &Object) {
    metadata::carry(new, old);
    keep(new, old, "spec");
}

/// Takes the member from the old object.
pub fn keep(new: &mut Object, old: &Object, name: &str) {
    walk::put(new, name, old[name].clone());
}

/// The old generation, one more when anything at the JSON pointers differs.
pub fn count_generation(new: &mut Object, old: &Object, pointers: &[&str]) {
    let changed = pointers.iter().any(|pointer| new.pointer(pointer) != old.pointer(pointer));
    let deleted = meta::deletion_timestamp(new).is_some() && meta::deletion_timestamp(old).is_none();
    meta::set_generation(new, meta::generation(old) + i64::from(changed || deleted));
}

/// Metadata rules only.
pub fn validate_status_update(new: &Object, old: &Object) -> Vec<FieldError> {
    metadata::validate_update(new, old)
}

/// `field is immutable` unless both sides are equal; a missing value and an empty one are the same.
pub fn immutable(new: &Value, old: &Value, path: &kelson_machinery::Path) -> Option<FieldError> {
    let same = new == old || (!walk::present(new) && !walk::present(old));
    (!same).then(|| FieldError::invalid(path, new.clone(), "field is immutable"))
}
