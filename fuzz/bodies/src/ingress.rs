//! Requests from anybody who can reach the ingress: hosts, paths and the names asked for in TLS handshakes.

use std::sync::{Arc, LazyLock};

use k8s_openapi::api::networking::v1::Ingress;
use kelson_model::Snapshot;
use kelson_routes::{Compiler, RouteConfig, RouteTable, normalize_host, normalize_path};
use serde_json::json;

/// Exact hosts, wildcards and every host; exact paths and prefixes; certificates.
static TABLE: LazyLock<RouteTable> = LazyLock::new(|| {
    let backend = |name: &str| json!({ "service": { "name": name, "port": { "number": 80 } } });
    let path = |kind: &str, path: &str| json!({ "path": path, "pathType": kind, "backend": backend("a") });
    let paths =
        json!([path("Exact", "/a"), path("Prefix", "/a/b/c"), path("Prefix", "/%7Eb"), path("Prefix", "/")]);
    let rules = [json!("a.example"), json!("*.a.example"), json!(null)]
        .map(|host| json!({ "host": host, "http": { "paths": paths } }));
    let ingress = json!({
        "metadata": { "namespace": "n", "name": "i" },
        "spec": { "rules": rules, "tls": [{ "hosts": ["a.example", "*.a.example"], "secretName": "s" }] },
    });
    let ingress: Ingress = serde_json::from_value(ingress).expect("an Ingress");
    let mut compiler = Compiler::new(RouteConfig::new("k"));
    compiler.ingresses(&[Arc::new(ingress)], &[]);
    compiler.compile(&Snapshot { generation: 1, synced: true, ..Snapshot::default() })
});

/// A host and a path, each on a line: however they are spelt, one decision, and no element that leads upwards.
pub fn route(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (host, path) = text.split_once('\n').unwrap_or((&text, "/"));
    let decided = TABLE.decide(host, path);
    assert_eq!(decided, TABLE.decide(&host.to_ascii_uppercase(), path), "case of {host:?}");
    assert!(normalize_host(host).len() <= host.len(), "{host:?} grew");
    assert_eq!(TABLE.certificate(host), TABLE.certificate(&host.to_ascii_uppercase()), "case of {host:?}");
    let normal = normalize_path(path);
    assert_eq!(normal.starts_with('/'), path.starts_with('/'), "{path:?}");
    let leads_up = normal.starts_with('/') && normal.split('/').any(|element| matches!(element, "." | ".."));
    assert!(!leads_up, "{path:?} became {normal:?}");
}
