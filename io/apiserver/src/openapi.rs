//! `/openapi/v3`: what each group-version takes, as far as kubectl asks before it sends a manifest (spec I9, I25).
//!
//! Built on first use from the registry. Says which requests take `fieldValidation`, so that kubectl leaves validation to
//! us; the patches' media types are left out on purpose, so that kubectl computes them from the types it was built with.
//! Never describes a field the registry's typed decoding does not know.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use kelson_machinery::hash::fnv32a;
use kelson_machinery::status::Status;
use kelson_registry::Kind;
use serde_json::{Map, Value, json};

use crate::discovery::{Served, group_versions};
use crate::negotiate::ranges;
use crate::response::{self, Reply};

/// A document and its entity tag.
struct Document {
    bytes: Bytes,
    tag: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let bytes = response::to_bytes(value);
        let tag = format!("{:08X}{:08X}", fnv32a(&bytes), bytes.len());
        Self { bytes, tag }
    }
}

static DOCUMENTS: OnceLock<BTreeMap<String, Document>> = OnceLock::new();

fn documents() -> &'static BTreeMap<String, Document> {
    DOCUMENTS.get_or_init(|| build(kelson_registry::kinds()))
}

/// Answers a path below `/openapi`; `None` when it is none.
pub(crate) fn answer(path: &str, accept: Option<&str>, known: Option<&str>) -> Option<Reply> {
    let path = path.trim_end_matches('/');
    if path == "/openapi/v2" {
        return Some(version_2(accept));
    }
    let document = documents().get(path)?;
    if accept.is_some_and(|accept| !takes_json(accept)) {
        return Some(Err(Status::not_acceptable(&["application/json"])));
    }
    let tag = format!("\"{}\"", document.tag);
    let (code, body) = match known {
        Some(known) if known.contains(&tag) => (StatusCode::NOT_MODIFIED, Body::empty()),
        _ => (StatusCode::OK, Body::from(document.bytes.clone())),
    };
    let mut answer = response::with_type(code, "application/json", body);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    Some(Ok(answer))
}

fn takes_json(accept: &str) -> bool {
    ranges(accept).any(|range| matches!(range.media, "" | "*/*" | "application/*" | "application/json"))
}

/// The old document exists and describes nothing: clients go on to version 3 or to their own types. kubectl asks for it
/// as protobuf alone, and before it says that a kind is unknown.
fn version_2(accept: Option<&str>) -> Reply {
    let protobuf = |accept| ranges(accept).any(|range| range.media.replace('@', ".") == VERSION_2_PROTOBUF);
    if accept.is_some_and(protobuf) {
        let body = Body::from(version_2_protobuf());
        return Ok(response::with_type(StatusCode::OK, VERSION_2_PROTOBUF, body));
    }
    if accept.is_some_and(|accept| !takes_json(accept)) {
        return Err(Status::not_acceptable(&["application/json"]));
    }
    let object = json!({"swagger": "2.0", "info": title(), "paths": {}, "definitions": {}});
    Ok(response::object(StatusCode::OK, Default::default(), &object))
}

/// The media type under which the old document is a `Document` of gnostic's `OpenAPIv2.proto`. Clients ask with an `@`,
/// which no media type may hold: the answer has a full stop in its place, as upstream's does.
const VERSION_2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The same document in protobuf: swagger = 1, info = 2 { title = 1, version = 2 }, paths = 8 {}, definitions = 9 {}.
/// Every field has a length below 128, so a tag and a length are a byte each.
fn version_2_protobuf() -> Vec<u8> {
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let title = title();
    let text = |name: &str| title[name].as_str().unwrap_or_default().as_bytes().to_vec();
    let info = [field(1, &text("title")), field(2, &text("version"))].concat();
    [field(1, b"2.0"), field(2, &info), field(8, b""), field(9, b"")].concat()
}

fn title() -> Value {
    json!({"title": "Kubernetes", "version": "v1.37.0"})
}

fn build(kinds: &[&'static Kind]) -> BTreeMap<String, Document> {
    let (mut documents, mut index) = (BTreeMap::new(), Map::new());
    for ((group, version), served) in group_versions(kinds) {
        let root =
            if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let document = Document::new(&group_version(&root, &served));
        let url = format!("/openapi/v3/{root}?hash={}", document.tag);
        index.insert(root.clone(), json!({ "serverRelativeURL": url }));
        documents.insert(format!("/openapi/v3/{root}"), document);
    }
    documents.insert("/openapi/v3".into(), Document::new(&json!({ "paths": index })));
    documents
}

fn group_version(root: &str, served: &[Served]) -> Value {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for (kind, group, version) in served {
        let model = model_name(kind, group, version);
        let named = json!({"group": group, "version": version, "kind": kind.kind});
        let scope = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("/{root}/{scope}{}", kind.plural);
        paths.insert(format!("{collection}/{{name}}"), item_path(kind, &model, &named));
        paths.insert(collection, collection_path(kind, &model, &named));
        schemas.insert(model, schema(&named));
    }
    json!({"openapi": "3.0.0", "info": title(), "paths": paths, "components": {"schemas": schemas}})
}

/// Upstream's name of a kind's model, for example `io.k8s.api.apps.v1.Deployment`.
fn model_name(kind: &Kind, group: &str, version: &str) -> String {
    let package = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or(group) };
    format!("io.k8s.api.{package}.{version}.{}", kind.kind)
}

fn schema(named: &Value) -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({
        "type": "object",
        "properties": {
            "apiVersion": text("APIVersion defines the versioned schema of this representation of an object."),
            "kind": text("Kind is a string value representing the REST resource this object represents."),
            "metadata": {"type": "object", "description": "Standard object's metadata."},
        },
        "x-kubernetes-group-version-kind": [named],
    })
}

fn parameter(name: &str, place: &str, kind: &str) -> Value {
    json!({"name": name, "in": place, "required": place == "path", "schema": {"type": kind, "uniqueItems": true}})
}

fn operation(action: &str, model: &str, named: &Value, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters.iter().map(|name| parameter(name, "query", "string")).collect();
    let reference = json!({"schema": {"$ref": format!("#/components/schemas/{model}")}});
    let responses = json!({"200": {"description": "OK", "content": {"application/json": reference}}});
    json!({"x-kubernetes-action": action, "x-kubernetes-group-version-kind": named, "parameters": parameters,
        "responses": responses})
}

const WRITE: [&str; 4] = ["pretty", "dryRun", "fieldManager", "fieldValidation"];
const READ: [&str; 1] = ["pretty"];
const LIST: [&str; 6] = ["continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "watch"];

fn collection_path(kind: &Kind, model: &str, named: &Value) -> Value {
    let mut path = place(kind, false);
    path["get"] = operation("list", model, named, &LIST);
    path["post"] = operation("post", model, named, &WRITE);
    path
}

fn item_path(kind: &Kind, model: &str, named: &Value) -> Value {
    let mut path = place(kind, true);
    path["get"] = operation("get", model, named, &READ);
    path["put"] = operation("put", model, named, &WRITE);
    path["patch"] = operation("patch", model, named, &[&WRITE[..], &["force"]].concat());
    path["delete"] =
        operation("delete", model, named, &["dryRun", "gracePeriodSeconds", "propagationPolicy"]);
    path
}

fn place(kind: &Kind, item: bool) -> Value {
    let mut parameters = Vec::new();
    if item {
        parameters.push(parameter("name", "path", "string"));
    }
    if kind.namespaced {
        parameters.push(parameter("namespace", "path", "string"));
    }
    json!({ "parameters": parameters })
}

#[cfg(test)]
mod tests;
