//! Secret: bytes for pods, typed by what they are for.

use super::config_map::{BYTES_MAX, frozen};
use crate::base::base;
use crate::cells;
use crate::kind::{Column, Kind};
use crate::metadata::{self, checked};
use crate::printed::{AGE, NAME};
use crate::strategy::immutable;
use crate::walk::{self, default_to, entries, flag, size, text};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, meta, names};
use serde_json::Value;

pub const KIND: Kind = Kind {
    columns: &[
        NAME,
        Column::text(
            "Type",
            "Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types",
        ),
        Column::text(
            "Data",
            "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4",
        ),
        AGE,
    ],
    cells: print,
    default,
    prepare_update: |new, old| {
        metadata::carry(new, old);
        default_to(new, "type", old["type"].clone());
    },
    validate,
    validate_update,
    selectable: &["type"],
    select: |secret, field| (field == "type").then(|| text(&secret["type"]).to_owned()),
    ..base::<Secret>("secret")
};

fn print(secret: &Object, now: Timestamp) -> Vec<Value> {
    let kind = text(&secret["type"]);
    vec![cells::name(secret), kind.into(), size(&secret["data"]).into(), cells::aged(secret, now)]
}

/// `stringData` is only a way to write: it goes into `data` and is never read back.
fn default(secret: &mut Object) {
    if let Some(plain) = walk::cut(secret, "stringData").filter(Value::is_object) {
        let data = walk::object(secret, "data");
        for (key, value) in entries(&plain) {
            let bytes = ByteString(text(value).as_bytes().to_vec());
            let encoded = serde_json::to_value(bytes).expect("base64 text is JSON");
            walk::put(data, key, encoded);
        }
    }
    default_to(secret, "type", "Opaque");
}

fn validate(secret: &Object) -> Vec<FieldError> {
    let mut errors = metadata::namespaced(secret);
    let (data, path) = (&secret["data"], Path::new("data"));
    let mut bytes = 0;
    for (key, value) in entries(data) {
        errors.extend(checked(&path.key(key), key, names::config_map_key(key)));
        bytes += decoded_length(text(value));
    }
    if bytes > BYTES_MAX {
        errors.push(FieldError::too_long(&path, BYTES_MAX));
    }
    by_type(secret, &path, &mut errors);
    errors
}

fn decoded_length(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// Keys that a type asks for.
fn by_type(secret: &Object, path: &Path, errors: &mut Vec<FieldError>) {
    let data = &secret["data"];
    let missing = |key: &str| data[key].is_null().then(|| FieldError::required(&path.key(key), ""));
    match text(&secret["type"]) {
        "kubernetes.io/service-account-token" => {
            let annotation = "kubernetes.io/service-account.name";
            if meta::annotation(secret, annotation).is_none_or(str::is_empty) {
                errors.push(FieldError::required(&Path::new("metadata.annotations").key(annotation), ""));
            }
        }
        "kubernetes.io/dockercfg" => errors.extend(missing(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => errors.extend(missing(".dockerconfigjson")),
        "kubernetes.io/basic-auth" if data["username"].is_null() && data["password"].is_null() => {
            errors.extend(missing("username"));
            errors.extend(missing("password"));
        }
        "kubernetes.io/ssh-auth" => errors.extend(missing("ssh-privatekey")),
        "kubernetes.io/tls" => {
            errors.extend(missing("tls.crt"));
            errors.extend(missing("tls.key"));
        }
        _ => {}
    }
}

fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = metadata::validate_update(new, old);
    errors.extend(immutable(&new["type"], &old["type"], &Path::new("type")));
    if flag(&old["immutable"]) {
        errors.extend(frozen(new, old, &["data"]));
    }
    errors
}
