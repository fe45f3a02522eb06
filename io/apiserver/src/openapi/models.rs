//! The types of a group-version as OpenAPI schemas, with all they refer to.
//!
//! Invariant: every `$ref` names a schema of the same document. An older version has the fields of today's: that is what
//! is decoded.

use std::collections::BTreeSet;

use kelson_registry::schema::{self, List, Model, Property, Type};
use serde_json::{Map, Value, json};

use crate::discovery::Served;

/// Group, version and kind, as extensions name them.
pub(super) fn named(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

/// `components.schemas` of a document.
pub(super) fn schemas(served: &[Served]) -> Map<String, Value> {
    let (mut schemas, mut wanted) = (Map::new(), Vec::new());
    for (kind, group, version) in served {
        let Some(model) = schema::model(&schema::model_name(kind.group, kind.version, kind.kind)) else {
            continue;
        };
        let name = schema::model_name(group, version, kind.kind);
        let mut object = shown(&model);
        object["x-kubernetes-group-version-kind"] = json!([named(group, version, kind.kind)]);
        wanted.extend(references(&model));
        schemas.insert(name, object);
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if schemas.contains_key(name) || !seen.insert(name) {
            continue;
        }
        if let Some(model) = schema::model(name) {
            wanted.extend(references(&model));
            schemas.insert(name.to_owned(), shown(&model));
        }
    }
    schemas
}

fn references(model: &Model) -> Vec<&'static str> {
    fn inner(r#type: &Type) -> Option<&'static str> {
        match r#type {
            Type::Model(name) => Some(name),
            Type::List(item) | Type::Map(item) => inner(item),
            _ => None,
        }
    }
    model.properties.iter().filter_map(|property| inner(&property.r#type)).collect()
}

fn shown(model: &Model) -> Value {
    let mut object = match &model.alias {
        Some(alias) => typed(alias),
        None => {
            let properties: Map<String, Value> =
                model.properties.iter().map(|p| (p.name.to_owned(), property(model, p))).collect();
            json!({"type": "object", "properties": properties})
        }
    };
    if !model.description.is_empty() {
        object["description"] = Value::from(&*model.description);
    }
    let required: Vec<&str> = model.properties.iter().filter(|p| p.required).map(|p| p.name).collect();
    // Upstream requires no metadata of what it serves.
    let required: Vec<&str> = required.into_iter().filter(|name| *name != "metadata").collect();
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    if schema::is_atomic(model.name) {
        object["x-kubernetes-map-type"] = "atomic".into();
    }
    object
}

fn property(model: &Model, property: &Property) -> Value {
    let mut object = match &property.r#type {
        // What is said beside a reference counts only when the reference is one of several.
        Type::Model(name) => json!({"allOf": [reference(name)], "default": {}}),
        other => typed(other),
    };
    if matches!(&property.r#type, Type::Model(name) if schema::model(name).is_some_and(|m| m.alias.is_some()))
    {
        object.as_object_mut().map(|object| object.remove("default"));
    }
    if !property.description.is_empty() {
        object["description"] = Value::from(&*property.description);
    }
    if matches!(property.r#type, Type::List(_)) {
        let (kind, keys) = match schema::list(model.name, property.name) {
            List::Atomic => ("atomic", None),
            List::Set => ("set", None),
            List::Map(keys) => ("map", Some(keys)),
        };
        object["x-kubernetes-list-type"] = kind.into();
        if let Some(keys) = keys {
            object["x-kubernetes-list-map-keys"] = json!(keys);
        }
    }
    if let Some(kind) = schema::map_type(model.name, property.name) {
        object["x-kubernetes-map-type"] = kind.into();
    }
    object
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn typed(r#type: &Type) -> Value {
    match r#type {
        Type::Plain(kind, "") => json!({"type": kind}),
        Type::Plain(kind, format) => json!({"type": kind, "format": format}),
        Type::IntOrString => {
            json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
        }
        Type::Any => json!({}),
        Type::Model(name) => reference(name),
        Type::List(item) => json!({"type": "array", "items": element(item)}),
        Type::Map(item) => json!({"type": "object", "additionalProperties": element(item)}),
    }
}

fn element(r#type: &Type) -> Value {
    match r#type {
        Type::Model(name) => json!({"allOf": [reference(name)], "default": {}}),
        other => typed(other),
    }
}
