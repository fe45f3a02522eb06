//! What volumes and claims share: access modes, sizes, and the finalizers of what is in use.

use crate::walk::{present, texts};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::quantity::Quantity;
use serde_json::Value;

const MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

/// Adds the finalizer that holds the object while it is in use (upstream's StorageObjectInUseProtection).
pub fn protect(object: &mut Value, finalizer: &str) {
    let mut held: Vec<String> =
        kelson_machinery::meta::finalizers(object).into_iter().map(str::to_owned).collect();
    if !held.iter().any(|it| it == finalizer) {
        held.push(finalizer.to_owned());
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        kelson_machinery::meta::set_finalizers(object, &held);
    }
}

/// `RWO,ROX`, in upstream's order.
pub fn access_modes(modes: &Value) -> String {
    let given = texts(modes);
    let short: Vec<&str> =
        MODES.into_iter().filter(|(long, _)| given.contains(long)).map(|(_, short)| short).collect();
    short.join(",")
}

/// At least one mode, all known.
pub fn validate_access_modes(spec: &Value, path: &Path, errors: &mut Vec<FieldError>) {
    let at = path.child("accessModes");
    if !present(&spec["accessModes"]) {
        errors.push(FieldError::required(&at, "at least 1 access mode is required"));
    }
    for mode in texts(&spec["accessModes"]) {
        if !MODES.iter().any(|(long, _)| *long == mode) {
            errors.push(FieldError::not_supported(&at, mode, MODES.map(|(long, _)| long)));
        }
    }
}

/// There, and more than nothing.
pub fn validate_size(amount: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let Some(text) = amount.as_str() else {
        errors.push(FieldError::required(at, ""));
        return;
    };
    if Quantity::parse(text).is_ok_and(|amount| amount.is_zero() || amount.is_negative()) {
        errors.push(FieldError::invalid(at, text, "must be greater than zero"));
    }
}
