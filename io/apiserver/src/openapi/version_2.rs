//! The old document, as protobuf (`OpenAPIv2.proto` of gnostic): what clients from before version 3 ask for, and all they
//! know of types, patches and dry runs.
//!
//! Made when it is asked for. Invariant: merge keys are those patches are applied by ([`kelson_registry::Kind::merge`]).

use std::collections::{BTreeMap, BTreeSet};

use kelson_machinery::patch::Merge;
use kelson_registry::Kind;
use kelson_registry::schema::{self, Model, Property, Type};
use serde_json::{Value, json};

use super::models::named;
use crate::discovery::{Served, group_versions};

/// How deep types are followed for their merge keys.
const DEPTH_MAX: usize = 16;

/// Merge facts by model and property.
type Facts = BTreeMap<(&'static str, &'static str), Merge>;

/// The whole document.
pub(super) fn document(title: &str, version: &str) -> Vec<u8> {
    let served: Vec<Served> =
        group_versions(kelson_registry::kinds()).into_iter().flat_map(|(_, served)| served).collect();
    let information = [text(1, title), text(2, version)].concat();
    let paths: Vec<u8> = served.iter().flat_map(|served| part(2, &path(served))).collect();
    [text(1, "2.0"), part(2, &information), part(8, &paths), part(9, &definitions(&served))].concat()
}

/// A field that holds a message.
fn part(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    varint(&mut bytes, u64::from(number << 3 | 2));
    varint(&mut bytes, content.len() as u64);
    bytes.extend_from_slice(content);
    bytes
}

fn text(number: u32, content: &str) -> Vec<u8> {
    if content.is_empty() { Vec::new() } else { part(number, content.as_bytes()) }
}

fn varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// `NamedAny`: an extension and its value as YAML, which JSON is.
fn extension(number: u32, name: &str, value: &Value) -> Vec<u8> {
    let any = text(2, &value.to_string());
    part(number, &[text(1, name), part(2, &any)].concat())
}

/// `NamedPathItem` of an object's path: that it can be patched without effect is what clients look for.
fn path((kind, group, version): &Served) -> Vec<u8> {
    let root = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
    let scope = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
    let parameter = [text(2, "query"), text(4, "dryRun"), text(6, "string")].concat();
    // ParametersItem { parameter { non_body_parameter { query_parameter_sub_schema } } }
    let parameter = part(8, &part(1, &part(2, &part(3, &parameter))));
    let named = extension(13, "x-kubernetes-group-version-kind", &named(group, version, kind.kind));
    let item = part(8, &[parameter, named].concat());
    [text(1, &format!("/{root}/{scope}{}/{{name}}", kind.plural)), part(2, &item)].concat()
}

fn definitions(served: &[Served]) -> Vec<u8> {
    let (mut facts, mut wanted, mut seen) = (Facts::new(), Vec::new(), BTreeSet::new());
    let mut definitions = Vec::new();
    for (kind, ..) in served {
        let model = schema::model(&schema::model_name(kind.group, kind.version, kind.kind));
        if let Some(model) = model {
            collect(kind, &model, &mut Vec::new(), &mut BTreeSet::new(), &mut facts);
        }
    }
    // Older versions are not described: clients would hold them against the fields of today's.
    for (kind, group, version) in
        served.iter().filter(|served| (served.0.group, served.0.version) == (served.1, served.2))
    {
        let name = schema::model_name(group, version, kind.kind);
        let model = schema::model(&name);
        if let Some(model) = model.filter(|_| seen.insert(name.clone())) {
            wanted.extend(model.properties.iter().filter_map(|property| inner(&property.r#type)));
            let named = json!([named(group, version, kind.kind)]);
            let named = extension(31, "x-kubernetes-group-version-kind", &named);
            definitions.extend(definition(&name, &[shown(&model, &facts), named].concat()));
        }
    }
    while let Some(name) = wanted.pop() {
        let model = if seen.insert(name.to_owned()) { schema::model(name) } else { None };
        if let Some(model) = model {
            wanted.extend(model.properties.iter().filter_map(|property| inner(&property.r#type)));
            definitions.extend(definition(name, &shown(&model, &facts)));
        }
    }
    definitions
}

/// `NamedSchema`.
fn definition(name: &str, schema: &[u8]) -> Vec<u8> {
    part(1, &[text(1, name), part(2, schema)].concat())
}

fn inner(r#type: &Type) -> Option<&'static str> {
    match r#type {
        Type::Model(name) => Some(name),
        Type::List(item) | Type::Map(item) => inner(item),
        _ => None,
    }
}

/// The merge facts of a model's fields and of all below, by the paths at which the kind has them.
fn collect(
    kind: &Kind,
    model: &Model,
    path: &mut Vec<&'static str>,
    seen: &mut BTreeSet<(&'static str, Option<&'static str>)>,
    facts: &mut Facts,
) {
    if path.len() > DEPTH_MAX || !seen.insert((model.name, path.last().copied())) {
        return;
    }
    for property in &model.properties {
        path.push(property.name);
        let fact = (kind.merge)(path);
        if fact != Merge::Default {
            facts.insert((model.name, property.name), fact);
        }
        if let Some(below) = inner(&property.r#type).and_then(schema::model) {
            collect(kind, &below, path, seen, facts);
        }
        path.pop();
    }
}

fn shown(model: &Model, facts: &Facts) -> Vec<u8> {
    if let Some(alias) = &model.alias {
        return [typed(alias), text(4, &model.description)].concat();
    }
    let properties: Vec<u8> = model
        .properties
        .iter()
        .flat_map(|property| definition(property.name, &field(model, property, facts)))
        .collect();
    let required = model.properties.iter().filter(|p| p.required && p.name != "metadata");
    let required: Vec<u8> = required.flat_map(|property| text(19, property.name)).collect();
    [kind_of("object"), text(4, &model.description), required, part(25, &properties)].concat()
}

fn field(model: &Model, property: &Property, facts: &Facts) -> Vec<u8> {
    let mut bytes = typed(&property.r#type);
    bytes.extend(text(4, &property.description));
    let mut strategy = Vec::new();
    match facts.get(&(model.name, property.name)) {
        Some(Merge::ByKey(key)) => {
            bytes.extend(extension(31, "x-kubernetes-patch-merge-key", &json!(key)));
            strategy.push("merge");
        }
        Some(Merge::Set) => strategy.push("merge"),
        _ => {}
    }
    if RETAINED.contains(&(model.name, property.name)) {
        strategy.push("retainKeys");
    }
    if !strategy.is_empty() {
        bytes.extend(extension(31, "x-kubernetes-patch-strategy", &json!(strategy.join(","))));
    }
    bytes
}

/// Unions: setting one of their fields takes the others away.
const RETAINED: [(&str, &str); 2] =
    [("io.k8s.api.apps.v1.DeploymentSpec", "strategy"), ("io.k8s.api.core.v1.PodSpec", "volumes")];

/// `TypeItem`.
fn kind_of(kind: &str) -> Vec<u8> {
    part(22, &text(1, kind))
}

/// The fields of a `Schema` that say what it holds.
fn typed(r#type: &Type) -> Vec<u8> {
    match r#type {
        Type::Plain(kind, format) => [text(2, format), kind_of(kind)].concat(),
        Type::IntOrString => [text(2, "int-or-string"), kind_of("string")].concat(),
        Type::Any => Vec::new(),
        Type::Model(name) => text(1, &format!("#/definitions/{name}")),
        Type::List(item) => [kind_of("array"), part(23, &part(1, &typed(item)))].concat(),
        Type::Map(item) => [part(21, &part(1, &typed(item))), kind_of("object")].concat(),
    }
}
