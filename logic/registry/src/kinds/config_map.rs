//! ConfigMap: keys and values for pods; immutable when it says so.

use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata::{self, checked};
use crate::printed::{AGE, NAME};
use crate::strategy::immutable;
use crate::walk::{entries, flag, size, text};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kelson_machinery::Object;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use serde_json::Value;

pub const KIND: Kind = Kind {
    short_names: &["cm"],
    columns: &[NAME, Column::text("Data", DATA), AGE],
    cells,
    validate,
    validate_update,
    ..base::<ConfigMap>("configmap")
};

const DATA: &str = "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. \
                    Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not \
                    overlap with the keys in the BinaryData field, this is enforced during validation process.";

/// The most bytes all values of one ConfigMap or Secret may have.
pub const BYTES_MAX: usize = 1024 * 1024;

fn cells(object: &Object, now: Timestamp) -> Vec<Value> {
    let count = size(&object["data"]) + size(&object["binaryData"]);
    vec![cells::name(object), count.into(), cells::aged(object, now)]
}

fn validate(object: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(object);
    let mut bytes = 0;
    for field in ["data", "binaryData"] {
        let path = Path::new(field);
        for (key, value) in entries(&object[field]) {
            errors.extend(checked(&path.key(key), key, names::config_map_key(key)));
            let clash = field == "data" && !object["binaryData"][key].is_null();
            if clash {
                let detail = "duplicate of key present in binaryData";
                errors.push(FieldError::invalid(&path.key(key), key, detail));
            }
            bytes += text(value).len() * if field == "data" { 4 } else { 3 } / 4;
        }
    }
    if bytes > BYTES_MAX {
        errors.push(FieldError::too_long(&Path::new(""), BYTES_MAX));
    }
    errors
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    if flag(&old["immutable"]) {
        errors.extend(frozen(new, old, &["data", "binaryData"]));
    }
    errors
}

/// Rules of an object that called itself immutable.
pub fn frozen(new: &Object, old: &Object, fields: &[&str]) -> Vec<FieldError> {
    let detail = "field is immutable when `immutable` is set";
    let unset = !flag(&new["immutable"]);
    let mut errors: Vec<FieldError> =
        unset.then(|| FieldError::forbidden(&Path::new("immutable"), detail)).into_iter().collect();
    for field in fields {
        let path = Path::new(*field);
        errors.extend(
            immutable(&new[*field], &old[*field], &path).map(|_| FieldError::forbidden(&path, detail)),
        );
    }
    errors
}
