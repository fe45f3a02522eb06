//! Rules of volumes: a name, one source, and what the source needs.

use super::containers::local_path;
use crate::metadata::checked;
use crate::walk::{entries, items, present, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use kelson_machinery::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeSet;

const OCTAL_MODE_MAX: i64 = 0o777;

/// Checks the list; the names that are usable come back.
pub fn validate<'a>(list: &'a Value, path: &Path, errors: &mut Vec<FieldError>) -> BTreeSet<&'a str> {
    let mut known = BTreeSet::new();
    for (index, volume) in items(list).iter().enumerate() {
        let at = path.index(index);
        let name = text(&volume["name"]);
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        } else {
            errors.extend(checked(&at.child("name"), name, names::dns1123_label(name)));
        }
        if known.contains(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
        sources(volume, &at, errors);
        known.insert(name);
    }
    known
}

fn sources(volume: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let given: Vec<(&str, &Value)> = entries(volume).filter(|(name, _)| *name != "name").collect();
    if given.is_empty() {
        errors.push(FieldError::required(at, "must specify a volume type"));
    }
    for (index, (name, source)) in given.into_iter().enumerate() {
        let here = at.child(name);
        if index > 0 {
            errors.push(FieldError::forbidden(&here, "may not specify more than 1 volume type"));
        } else {
            self::source(name, source, &here, errors);
        }
    }
}

fn source(name: &str, source: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let required = match name {
        "secret" => "secretName",
        "configMap" => "name",
        "hostPath" => "path",
        "persistentVolumeClaim" => "claimName",
        "nfs" => "server",
        _ => "",
    };
    if !required.is_empty() && !present(&source[required]) {
        errors.push(FieldError::required(&at.child(required), ""));
    }
    mode(&source["defaultMode"], &at.child("defaultMode"), errors);
    for (index, item) in items(&source["items"]).iter().enumerate() {
        key_to_path(item, name == "downwardAPI", &at.child("items").index(index), errors);
    }
    match name {
        "hostPath" if text(&source["path"]).split('/').any(|part| part == "..") => {
            errors.push(FieldError::invalid(
                &at.child("path"),
                text(&source["path"]),
                "must not contain '..'",
            ));
        }
        "emptyDir" => empty_dir(source, at, errors),
        _ => {}
    }
}

fn empty_dir(source: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let limit = Quantity::parse(text(&source["sizeLimit"]));
    if limit.is_ok_and(|limit| limit.is_negative()) {
        errors.push(FieldError::forbidden(
            &at.child("sizeLimit"),
            "SizeLimit field must be a valid resource quantity",
        ));
    }
}

fn key_to_path(item: &Value, downward: bool, at: &Path, errors: &mut Vec<FieldError>) {
    if !downward && !present(&item["key"]) {
        errors.push(FieldError::required(&at.child("key"), ""));
    }
    let path = text(&item["path"]);
    if path.is_empty() {
        errors.push(FieldError::required(&at.child("path"), ""));
    }
    errors.extend(local_path(path, &at.child("path")));
    mode(&item["mode"], &at.child("mode"), errors);
}

fn mode(mode: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    if let Some(mode) = mode.as_i64().filter(|mode| !(0..=OCTAL_MODE_MAX).contains(mode)) {
        let detail = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(at, mode, detail));
    }
}
