//! `/openapi/v3`: what each group-version takes and what its types are: for `kubectl explain`, and for what kubectl asks
//! before it sends a manifest (spec I9, I25).
//!
//! Says which requests take `fieldValidation`, so that kubectl leaves validation to us; the patches' media types are left
//! out on purpose, so that kubectl computes them from the types it was built with. The types are in [`models`].

mod models;
mod version_2;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use kelson_machinery::hash::fnv32a;
use kelson_machinery::status::Status;
use kelson_registry::{Kind, schema};
use serde_json::{Map, Value, json};

use crate::discovery::{Served, group_versions};
use crate::negotiate::ranges;
use crate::response::{self, Reply};

/// A document of one group-version, made when it is asked for: large, and asked for once a client and version.
struct Document {
    root: String,
    served: Vec<Served>,
    tag: String,
}

impl Document {
    fn new(group: &str, version: &str, served: Vec<Served>) -> Self {
        let root =
            if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        let kinds: Vec<&str> = served.iter().map(|(kind, ..)| kind.kind).collect();
        let content = format!("{} {root} {}", env!("CARGO_PKG_VERSION"), kinds.join(" "));
        let tag = format!("{:08X}{:08X}", fnv32a(content.as_bytes()), schema::fingerprint());
        Self { root, served, tag }
    }

    fn value(&self) -> Value {
        group_version(&self.root, &self.served)
    }
}

static DOCUMENTS: OnceLock<BTreeMap<String, Document>> = OnceLock::new();

/// The documents by their paths.
fn documents() -> &'static BTreeMap<String, Document> {
    DOCUMENTS.get_or_init(|| {
        let documents = group_versions(kelson_registry::kinds())
            .into_iter()
            .map(|((group, version), served)| Document::new(group, version, served));
        documents.map(|document| (format!("/openapi/v3/{}", document.root), document)).collect()
    })
}

/// What documents there are.
fn index() -> Value {
    let entry = |document: &Document| {
        let url = format!("/openapi/v3/{}?hash={}", document.root, document.tag);
        (document.root.clone(), json!({ "serverRelativeURL": url }))
    };
    json!({"paths": documents().values().map(entry).collect::<Map<_, _>>()})
}

/// Answers a path below `/openapi`; `None` when it is none.
pub(crate) fn answer(path: &str, accept: Option<&str>, known: Option<&str>) -> Option<Reply> {
    let path = path.trim_end_matches('/');
    if path == "/openapi/v2" {
        return Some(version_2(accept));
    }
    let document = documents().get(path);
    if document.is_none() && path != "/openapi/v3" {
        return None;
    }
    if accept.is_some_and(|accept| !takes_json(accept)) {
        return Some(Err(Status::not_acceptable(&["application/json"])));
    }
    let Some(document) = document else {
        return Some(Ok(response::object(StatusCode::OK, Default::default(), &index())));
    };
    let tag = format!("\"{}\"", document.tag);
    let (code, body) = match known {
        Some(known) if known.contains(&tag) => (StatusCode::NOT_MODIFIED, Body::empty()),
        _ => (StatusCode::OK, Body::from(response::to_bytes(&document.value()))),
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

/// The old document: in full as protobuf, which is how kubectl asks for it (before it says that a kind is unknown, and
/// before version 3 for its types); in JSON it describes nothing, and clients go on to version 3.
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

/// The old document, which in protobuf says all that version 3 does.
fn version_2_protobuf() -> Vec<u8> {
    let title = title();
    let text = |name: &str| title[name].as_str().unwrap_or_default().to_owned();
    version_2::document(&text("title"), &text("version"))
}

fn title() -> Value {
    json!({"title": "Kubernetes", "version": "v1.37.0"})
}

fn group_version(root: &str, served: &[Served]) -> Value {
    let mut paths = Map::new();
    for (kind, group, version) in served {
        let model = schema::model_name(group, version, kind.kind);
        let named = models::named(group, version, kind.kind);
        let scope = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let collection = format!("/{root}/{scope}{}", kind.plural);
        paths.insert(format!("{collection}/{{name}}"), item_path(kind, &model, &named));
        paths.insert(collection, collection_path(kind, &model, &named));
    }
    let schemas = models::schemas(served);
    json!({"openapi": "3.0.0", "info": title(), "paths": paths, "components": {"schemas": schemas}})
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
