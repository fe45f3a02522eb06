//! What volumes and claims share: access modes and sizes.

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
