//! Rules of `env` and `envFrom`.

use crate::metadata::checked;
use crate::walk::{items, present, size, text};
use kelson_machinery::field::{FieldError, Path};
use kelson_machinery::names;
use serde_json::Value;

const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Both lists of one container.
pub fn validate(container: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    for (index, variable) in items(&container["env"]).iter().enumerate() {
        let at = at.child("env").index(index);
        let name = text(&variable["name"]);
        match name {
            "" => errors.push(FieldError::required(&at.child("name"), "")),
            _ => errors.extend(checked(&at.child("name"), name, names::env_var_name(name))),
        }
        if !variable["valueFrom"].is_null() {
            source(variable, &at.child("valueFrom"), errors);
        }
    }
    for (index, source) in items(&container["envFrom"]).iter().enumerate() {
        from(source, &at.child("envFrom").index(index), errors);
    }
}

fn source(variable: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let source = &variable["valueFrom"];
    match size(source) {
        0 => {
            let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            errors.push(FieldError::invalid(at, "", detail));
        }
        1 => {}
        _ => errors.push(FieldError::invalid(at, "", "may not have more than one field specified at a time")),
    }
    if present(&variable["value"]) {
        errors.push(FieldError::invalid(at, "", "may not be specified when `value` is not empty"));
    }
    for name in SOURCES.into_iter().filter(|name| !source[*name].is_null()) {
        let (reference, at) = (&source[name], at.child(name));
        match name {
            "fieldRef" => field_reference(reference, &at, errors),
            "resourceFieldRef" => resource_reference(reference, &at, errors),
            "fileKeyRef" => {}
            _ => key_reference(reference, &at, errors),
        }
    }
}

fn field_reference(reference: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let path = text(&reference["fieldPath"]);
    let subscript = ["metadata.labels['", "metadata.annotations['"];
    if path.is_empty() {
        errors.push(FieldError::required(&at.child("fieldPath"), ""));
    } else if !FIELDS.contains(&path)
        && !subscript.iter().any(|start| path.starts_with(start) && path.ends_with("']"))
    {
        errors.push(FieldError::not_supported(&at.child("fieldPath"), path, FIELDS));
    }
}

fn resource_reference(reference: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let resource = text(&reference["resource"]);
    let huge = resource.starts_with("requests.hugepages-") || resource.starts_with("limits.hugepages-");
    if resource.is_empty() {
        errors.push(FieldError::required(&at.child("resource"), ""));
    } else if !huge && !RESOURCES.contains(&resource) {
        errors.push(FieldError::not_supported(&at.child("resource"), resource, RESOURCES));
    }
}

fn key_reference(reference: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    match text(&reference["key"]) {
        "" => errors.push(FieldError::required(&at.child("key"), "")),
        key => errors.extend(checked(&at.child("key"), key, names::config_map_key(key))),
    }
}

fn from(source: &Value, at: &Path, errors: &mut Vec<FieldError>) {
    let prefix = text(&source["prefix"]);
    if !prefix.is_empty() {
        errors.extend(checked(&at.child("prefix"), prefix, names::env_var_name(prefix)));
    }
    let given: Vec<&str> =
        ["configMapRef", "secretRef"].into_iter().filter(|name| !source[*name].is_null()).collect();
    match given.len() {
        0 => errors.push(FieldError::invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")),
        1 => {}
        _ => errors.push(FieldError::invalid(at, "", "may not have more than one field specified at a time")),
    }
    for name in given {
        match text(&source[name]["name"]) {
            "" => errors.push(FieldError::required(&at.child(name).child("name"), "")),
            given => {
                errors.extend(checked(&at.child(name).child("name"), given, names::dns1123_subdomain(given)))
            }
        }
    }
}
