//! Rules of `metadata`, the same for every kind but for how a name is spelled.
//!
//! Invariant: texts are upstream's (apimachinery validation/objectmeta.go). Names generated from `generateName` are
//! filled in before this looks.

use crate::walk::{self, entries, flag, int, items, present, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::{Object, names};
use serde_json::Value;
use std::collections::BTreeSet;

/// How a name is checked: `names::dns1123_subdomain` and its siblings.
pub type NameRule = fn(&str) -> Result<(), Vec<String>>;

/// All annotations of an object together, bytes.
pub const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// A namespaced object with a DNS-1123 subdomain for a name.
pub fn namespaced(object: &Object) -> Vec<FieldError> {
    validate(object, true, names::dns1123_subdomain)
}

/// A cluster-scoped object with a DNS-1123 subdomain for a name.
pub fn cluster(object: &Object) -> Vec<FieldError> {
    validate(object, false, names::dns1123_subdomain)
}

/// All of an object's metadata.
pub fn validate(object: &Object, namespaced: bool, rule: NameRule) -> Vec<FieldError> {
    let path = Path::new("metadata");
    let metadata = &object["metadata"];
    let mut errors = Vec::new();
    validate_name(metadata, &path, rule, &mut errors);
    validate_namespace(metadata, namespaced, &path, &mut errors);
    if int(&metadata["generation"]) < 0 {
        errors.push(FieldError::invalid(
            &path.child("generation"),
            metadata["generation"].clone(),
            NOT_NEGATIVE,
        ));
    }
    errors.extend(labels(&metadata["labels"], &path.child("labels")));
    errors.extend(annotations(&metadata["annotations"], &path.child("annotations")));
    errors.extend(owner_references(&metadata["ownerReferences"], &path.child("ownerReferences")));
    errors.extend(finalizers(&metadata["finalizers"], &path.child("finalizers")));
    errors
}

/// Upstream's text for a number below zero.
pub const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

fn validate_name(metadata: &Value, path: &Path, rule: NameRule, errors: &mut Vec<FieldError>) {
    let generate = text(&metadata["generateName"]);
    if !generate.is_empty() {
        // A trailing dash is fine in a prefix: letters follow.
        let prefix = generate.strip_suffix('-').map(|stem| format!("{stem}a")).unwrap_or(generate.to_owned());
        errors.extend(checked(&path.child("generateName"), generate, rule(&prefix)));
    }
    let name = text(&metadata["name"]);
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), "name or generateName is required"));
    } else {
        errors.extend(checked(&path.child("name"), name, rule(name)));
    }
}

fn validate_namespace(metadata: &Value, namespaced: bool, path: &Path, errors: &mut Vec<FieldError>) {
    let namespace = text(&metadata["namespace"]);
    let path = path.child("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.push(FieldError::required(&path, "")),
        (true, false) => errors.extend(checked(&path, namespace, names::dns1123_label(namespace))),
        (false, false) => errors.push(FieldError::forbidden(&path, "not allowed on this type")),
        (false, true) => {}
    }
}

/// One `Invalid value` for each message of a check.
pub fn checked(path: &Path, value: impl Into<Value>, verdict: Result<(), Vec<String>>) -> Vec<FieldError> {
    let value = value.into();
    let messages = verdict.err().unwrap_or_default();
    messages.into_iter().map(|message| FieldError::invalid(path, value.clone(), message)).collect()
}

/// Label keys and values.
pub fn labels(map: &Value, path: &Path) -> Vec<FieldError> {
    entries(map)
        .flat_map(|(key, value)| {
            let mut errors = checked(path, key, names::qualified_name(key));
            errors.extend(checked(path, text(value), names::label_value(text(value))));
            errors
        })
        .collect()
}

fn annotations(map: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = entries(map)
        .flat_map(|(key, _)| checked(path, key, names::qualified_name(&key.to_lowercase())))
        .collect();
    let bytes: usize = entries(map).map(|(key, value)| key.len() + text(value).len()).sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_BYTES_MAX));
    }
    errors
}

fn owner_references(list: &Value, path: &Path) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut controller: Option<&str> = None;
    for (index, reference) in items(list).iter().enumerate() {
        let at = path.index(index);
        for (field, what) in [("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid")] {
            if !present(&reference[field]) {
                let detail = format!("{what} must not be empty");
                errors.push(FieldError::invalid(&at.child(field), text(&reference[field]), detail));
            }
        }
        if (text(&reference["apiVersion"]), text(&reference["kind"])) == ("v1", "Event") {
            errors.push(FieldError::invalid(
                &at,
                reference.clone(),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if !flag(&reference["controller"]) {
            continue;
        }
        let name = text(&reference["name"]);
        match controller.replace(name) {
            None => {}
            Some(first) => errors.push(FieldError::invalid(
                path,
                list.clone(),
                format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"),
            )),
        }
    }
    errors
}

fn finalizers(list: &Value, path: &Path) -> Vec<FieldError> {
    let names = walk::texts(list);
    let mut errors = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let at = path.index(index);
        errors.extend(checked(&at, *name, names::qualified_name(name)));
        if !name.contains('/') && !["orphan", "foregroundDeletion", "kubernetes"].contains(name) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(&at, *name, detail));
        }
    }
    if names.contains(&"orphan") && names.contains(&"foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(path, list.clone(), detail));
    }
    errors
}

/// What an update leaves out and the system remembers: uid, times, generation.
pub fn carry(new: &mut Object, old: &Object) {
    let (old, deleting) = (&old["metadata"], present(&old["metadata"]["deletionTimestamp"]));
    let metadata = walk::object(new, "metadata");
    for field in ["uid", "creationTimestamp"] {
        walk::default_to(metadata, field, old[field].clone());
        if metadata[field].is_null() {
            walk::cut(metadata, field);
        }
    }
    if deleting {
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            walk::put(metadata, field, old[field].clone());
        }
    }
    walk::put(metadata, "generation", old["generation"].clone());
}

/// What no update may change, and finalizers that come too late.
pub fn validate_update(new: &Object, old: &Object) -> Vec<FieldError> {
    let path = Path::new("metadata");
    let (new, old) = (&new["metadata"], &old["metadata"]);
    let mut errors = late_finalizers(new, old, &path.child("finalizers"));
    if int(&new["generation"]) < int(&old["generation"]) {
        let detail = "must not be decremented";
        errors.push(FieldError::invalid(&path.child("generation"), new["generation"].clone(), detail));
    }
    let fixed =
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    errors.extend(fixed.iter().filter_map(|field| {
        // The server itself sets the deletion fields of an object that was not being deleted.
        let first_deletion = field.starts_with("deletion") && !present(&old["deletionTimestamp"]);
        let shorter_grace =
            *field == "deletionGracePeriodSeconds" && new[*field].as_i64() < old[*field].as_i64();
        if first_deletion || shorter_grace {
            return None;
        }
        crate::strategy::immutable(&new[*field], &old[*field], &path.child(field))
    }));
    errors
}

fn late_finalizers(new: &Value, old: &Value, path: &Path) -> Vec<FieldError> {
    if !present(&old["deletionTimestamp"]) {
        return Vec::new();
    }
    let before: BTreeSet<&str> = walk::texts(&old["finalizers"]).into_iter().collect();
    let added: Vec<&str> =
        walk::texts(&new["finalizers"]).into_iter().filter(|name| !before.contains(name)).collect();
    if added.is_empty() {
        return Vec::new();
    }
    let listed = kelson_machinery::text::quote_list(added);
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    );
    vec![FieldError::forbidden(path, detail)]
}

#[cfg(test)]
mod tests;
