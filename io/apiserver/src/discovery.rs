//! Which groups, versions and resources there are: `/api`, `/apis` and below, aggregated or not (spec I1, I26).
//!
//! Built once from the registry; only looked up afterwards. Never lists what the registry does not declare.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use kelson_machinery::hash::fnv32a;
use kelson_machinery::meta::join_api_version;
use kelson_registry::{Kind, Subresource};
use serde_json::{Value, json};

use crate::negotiate::{Accept, ranges};
use crate::response::{self, Reply};

/// Groups in upstream's order of precedence; groups not listed come after, by name. Clients that are given a bare
/// `deployments` take the first group that has it, so `extensions` must stay behind `apps`.
const PRECEDENCE: [&str; 18] = [
    "",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "extensions",
];

/// A resource as one group-version serves it.
pub(crate) type Served = (&'static Kind, &'static str, &'static str);

/// All discovery documents, ready to be sent.
pub(crate) struct Discovery {
    documents: BTreeMap<String, Document>,
    aggregated: BTreeMap<(&'static str, &'static str), Document>,
}

/// A document and its entity tag.
struct Document {
    bytes: Bytes,
    tag: String,
}

impl Document {
    fn new(value: &Value) -> Self {
        let bytes = response::to_bytes(value);
        let tag = format!("\"{:08X}{:08X}\"", fnv32a(&bytes), bytes.len());
        Self { bytes, tag }
    }

    fn answer(&self, media: &'static str, known: Option<&str>) -> Response<Body> {
        let same = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == self.tag));
        let (code, body) = match same {
            true => (StatusCode::NOT_MODIFIED, Body::empty()),
            false => (StatusCode::OK, Body::from(self.bytes.clone())),
        };
        let mut answer = response::with_type(code, media, body);
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        answer
    }
}

/// Everything served, by group-version in order of precedence.
pub(crate) fn group_versions(kinds: &[&'static Kind]) -> Vec<((&'static str, &'static str), Vec<Served>)> {
    let mut found: BTreeMap<(&'static str, &'static str), Vec<Served>> = BTreeMap::new();
    for kind in kinds {
        found.entry((kind.group, kind.version)).or_default().push((kind, kind.group, kind.version));
        for older in kind.older {
            found.entry((older.group, older.version)).or_default().push((kind, older.group, older.version));
        }
    }
    let mut ordered: Vec<_> = found.into_iter().collect();
    ordered.sort_by_key(|((group, version), _)| (group_rank(group), *group, version_rank(version)));
    for (_, served) in &mut ordered {
        served.sort_by_key(|(kind, ..)| kind.plural);
    }
    ordered
}

fn group_rank(group: &str) -> usize {
    PRECEDENCE.iter().position(|known| *known == group).unwrap_or(PRECEDENCE.len())
}

/// Kubernetes' order of versions: stable before beta before alpha, higher numbers first.
fn version_rank(version: &str) -> (u8, i64, i64) {
    let rest = version.strip_prefix('v').unwrap_or(version);
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    let (stage, major, minor) = match (rest.split_once("beta"), rest.split_once("alpha")) {
        (Some((major, minor)), _) => (1, number(major), number(minor)),
        (_, Some((major, minor))) => (2, number(major), number(minor)),
        _ => (0, number(rest), 0),
    };
    (stage, -major, -minor)
}

impl Discovery {
    /// Builds the documents for these kinds; `address` is where clients inside find this server.
    pub fn new(kinds: &[&'static Kind], address: &str) -> Self {
        let served = group_versions(kinds);
        let mut documents = BTreeMap::new();
        let mut groups: Vec<Value> = Vec::new();
        for ((group, version), resources) in &served {
            let list = resource_list(group, version, resources);
            let path =
                if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            documents.insert(path, Document::new(&list));
            if !group.is_empty() && !groups.iter().any(|known| known["name"] == *group) {
                let mut one = group_object(group, &served);
                groups.push(one.clone());
                one["kind"] = "APIGroup".into();
                one["apiVersion"] = "v1".into();
                documents.insert(format!("/apis/{group}"), Document::new(&one));
            }
        }
        let core: Vec<&str> =
            served.iter().filter(|((group, _), _)| group.is_empty()).map(|((_, v), _)| *v).collect();
        let reach = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]);
        let versions = json!({"kind": "APIVersions", "versions": core, "serverAddressByClientCIDRs": reach});
        documents.insert("/api".into(), Document::new(&versions));
        let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups});
        documents.insert("/apis".into(), Document::new(&list));
        let mut aggregated = BTreeMap::new();
        for version in ["v2", "v2beta1"] {
            aggregated.insert(("/api", version), Document::new(&aggregate(version, &served, true)));
            aggregated.insert(("/apis", version), Document::new(&aggregate(version, &served, false)));
        }
        Self { documents, aggregated }
    }

    /// Every discovery path.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// Answers a discovery path; `None` when it is none.
    pub fn answer(&self, path: &str, accept: Option<&str>, known: Option<&str>) -> Option<Reply> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let document = self.documents.get(path)?;
        if let Some((version, media)) = accept.and_then(wants_aggregated)
            && let Some((_, aggregated)) =
                self.aggregated.iter().find(|((p, v), _)| *p == path && *v == version)
        {
            return Some(Ok(aggregated.answer(media, known)));
        }
        let plain = Accept::negotiate(accept.map(without_aggregated).as_deref()).and_then(Accept::plain);
        Some(plain.map(|_| document.answer("application/json", known)))
    }
}

/// The version of aggregated discovery a client prefers, if it asks for one we have before plain JSON.
fn wants_aggregated(accept: &str) -> Option<(&'static str, &'static str)> {
    let range = ranges(accept).find(|range| range.media == "application/json")?;
    if range.parameter("g") != "apidiscovery.k8s.io" || range.parameter("as") != "APIGroupDiscoveryList" {
        return None;
    }
    match range.parameter("v") {
        "v2" => Some(("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")),
        "v2beta1" => {
            Some(("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"))
        }
        _ => None,
    }
}

/// The header without its ranges of aggregated discovery, which plain paths do not have.
fn without_aggregated(accept: &str) -> String {
    accept.split(',').filter(|range| !range.contains("apidiscovery")).collect::<Vec<_>>().join(",")
}

fn group_object(group: &str, served: &[((&'static str, &'static str), Vec<Served>)]) -> Value {
    let versions: Vec<Value> = served
        .iter()
        .filter(|((own, _), _)| *own == group)
        .map(
            |((_, version), _)| json!({"groupVersion": join_api_version(group, version), "version": version}),
        )
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

fn resource_list(group: &str, version: &str, served: &[Served]) -> Value {
    let mut resources = Vec::new();
    for (kind, ..) in served {
        let mut one = json!({"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced,
            "kind": kind.kind, "verbs": kind.verbs});
        put_nicknames(&mut one, kind, group);
        resources.push(one);
        for subresource in kind.subresources {
            resources.push(subresource_entry(kind, *subresource));
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": join_api_version(group, version),
        "resources": resources})
}

fn subresource_entry(kind: &Kind, subresource: Subresource) -> Value {
    let name = format!("{}/{}", kind.plural, subresource.path());
    let mut one = json!({"name": name, "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
        "verbs": subresource.verbs()});
    if let Some((group, version, exchanged)) = subresource.exchanges() {
        one["kind"] = exchanged.into();
        if !group.is_empty() {
            one["group"] = group.into();
            one["version"] = version.into();
        }
    }
    one
}

/// Short names and categories, which only a kind's own group has: elsewhere `get all` would show objects twice, and every
/// short name would be ambiguous.
fn put_nicknames(object: &mut Value, kind: &Kind, group: &str) {
    if group == kind.group {
        put_list(object, "shortNames", kind.short_names);
        put_list(object, "categories", kind.categories);
    }
}

fn put_list(object: &mut Value, key: &str, values: &[&str]) {
    if !values.is_empty() {
        object[key] = values.into();
    }
}

fn aggregate(discovery: &str, served: &[((&'static str, &'static str), Vec<Served>)], core: bool) -> Value {
    let mut items: Vec<Value> = Vec::new();
    for ((group, version), resources) in served.iter().filter(|((group, _), _)| group.is_empty() == core) {
        let entries: Vec<Value> = resources.iter().map(aggregated_resource).collect();
        let one = json!({"version": version, "resources": entries, "freshness": "Current"});
        let own = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default() == *group;
        match items.iter_mut().find(|item| own(item)).and_then(|item| item["versions"].as_array_mut()) {
            Some(versions) => versions.push(one),
            None if core => items.push(json!({"metadata": {}, "versions": [one]})),
            None => items.push(json!({"metadata": {"name": group}, "versions": [one]})),
        }
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{discovery}"), "metadata": {},
        "items": items})
}

fn aggregated_resource((kind, group, version): &Served) -> Value {
    let own = json!({"group": group, "version": version, "kind": kind.kind});
    let mut one = json!({"resource": kind.plural, "responseKind": own, "singularResource": kind.singular,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "verbs": kind.verbs});
    put_nicknames(&mut one, kind, group);
    let below: Vec<Value> =
        kind.subresources.iter().map(|subresource| aggregated_below(*subresource, &own)).collect();
    if !below.is_empty() {
        one["subresources"] = below.into();
    }
    one
}

fn aggregated_below(subresource: Subresource, own: &Value) -> Value {
    let exchanged = match subresource.exchanges() {
        Some((group, version, kind)) => json!({"group": group, "version": version, "kind": kind}),
        None => own.clone(),
    };
    json!({"subresource": subresource.path(), "responseKind": exchanged, "verbs": subresource.verbs()})
}

#[cfg(test)]
mod tests;
