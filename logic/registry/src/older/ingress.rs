//! Ingress as it was before v1: a backend named its Service and port in two flat fields, and a path had no type.

use crate::walk::{self, default_to, items_mut, member, text};
use kelson_machinery::{Object, meta};
use serde_json::{Value, json};

/// To networking.k8s.io/v1.
pub fn to_current(ingress: &mut Object) {
    meta::set_type(ingress, "networking.k8s.io/v1", "Ingress");
    let Some(spec) = member(ingress, "spec") else { return };
    if let Some(mut backend) = walk::cut(spec, "backend") {
        nested(&mut backend);
        walk::put(spec, "defaultBackend", backend);
    }
    for path in items_mut(spec, "rules").flat_map(paths) {
        default_to(path, "pathType", "ImplementationSpecific");
        if let Some(backend) = member(path, "backend") {
            nested(backend);
        }
    }
}

/// Back to the old fields; the version is the caller's to set.
pub fn from_current(ingress: &mut Object) {
    let Some(spec) = member(ingress, "spec") else { return };
    if let Some(mut backend) = walk::cut(spec, "defaultBackend") {
        flat(&mut backend);
        walk::put(spec, "backend", backend);
    }
    for path in items_mut(spec, "rules").flat_map(paths) {
        if let Some(backend) = member(path, "backend") {
            flat(backend);
        }
    }
}

fn paths(rule: &mut Value) -> impl Iterator<Item = &mut Value> {
    member(rule, "http").into_iter().flat_map(|http| items_mut(http, "paths"))
}

fn nested(backend: &mut Value) {
    let Some(name) = walk::cut(backend, "serviceName") else { return };
    let port = match walk::cut(backend, "servicePort").unwrap_or(Value::Null) {
        Value::String(port) => json!({ "name": port }),
        Value::Null => json!({}),
        number => json!({ "number": number }),
    };
    walk::put(backend, "service", json!({"name": name, "port": port}));
}

fn flat(backend: &mut Value) {
    let Some(service) = walk::cut(backend, "service") else { return };
    let port = match text(&service["port"]["name"]) {
        "" => service["port"]["number"].clone(),
        name => name.into(),
    };
    walk::put(backend, "serviceName", service["name"].clone());
    walk::put(backend, "servicePort", port);
}
