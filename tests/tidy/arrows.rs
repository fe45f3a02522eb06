//! The arrows between crates, from cargo's own metadata: `io → logic`, never back; siblings only downwards.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::sources::root;

/// Every crate with the kelson crates it may name. A crate or an arrow that is not here is not meant.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("machinery", &[]),
    ("index", &["model"]),
    ("tables", &["model"]),
    ("zones", &["model"]),
    ("explain", &["model", "index", "tables", "zones"]),
    ("routes", &["model"]),
    ("quota", &["machinery"]),
    ("plans", &["machinery", "model", "quota"]),
    ("pods", &["machinery", "model"]),
    ("registry", &["machinery"]),
    ("rbac", &["machinery"]),
    ("process", &[]),
    ("tls", &[]),
    ("pages", &["process"]),
    ("store", &["process"]),
    ("images", &["process"]),
    ("runtime", &["process"]),
    ("network", &["process", "model"]),
    ("cluster", &["process", "model", "index", "plans", "machinery"]),
    ("apiserver", &["process", "tls", "store", "machinery", "registry", "rbac", "quota"]),
    ("lb", &["process", "model", "network"]),
    (
        "agent",
        &["process", "tls", "cluster", "model", "plans", "pods", "machinery", "images", "runtime", "network"],
    ),
    ("sockets", &[]),
    ("proxy", &["process", "pages", "model", "tables", "sockets"]),
    ("dns", &["process", "pages", "model", "zones"]),
    ("ingress", &["process", "tls", "cluster", "model", "routes"]),
    ("bench", &[]),
    (
        "sim",
        &["machinery", "registry", "quota", "plans", "pods", "model", "index", "tables", "zones", "routes"],
    ),
    (
        "fuzz",
        &[
            "machinery",
            "model",
            "index",
            "tables",
            "zones",
            "pods",
            "registry",
            "store",
            "apiserver",
            "images",
            "runtime",
            "agent",
            "dns",
            "lb",
            "ingress",
            "routes",
        ],
    ),
];

/// Crates that only tests of a crate may name besides: a component tried against the real server in process.
const TESTS_MAY_NAME: &[&str] = &["apiserver", "store", "network", "cluster"];

/// What no crate of `logic/` may depend on.
const WORLDLY: &[&str] = &[
    "tokio",
    "kube",
    "rand",
    "hyper",
    "axum",
    "reqwest",
    "nix",
    "libc",
    "rustix",
    "aya",
    "rtnetlink",
    "getrandom",
    "tracing",
    "socket2",
    "futures-util",
    "redb",
];

/// Every arrow that should not be there, in words.
pub fn broken() -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut broken = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        let Some(name) = name.strip_prefix("kelson-") else { continue };
        let Some(allowed) = allowed.get(name) else {
            broken
                .push(format!("crate {name} is not on the map: add it to ARCHITECTURE.md and to this table"));
            continue;
        };
        let pure = package["manifest_path"].as_str().is_some_and(|path| path.contains("/logic/"));
        for (dependency, for_tests) in dependencies(&package) {
            broken.extend(judge(name, &dependency, for_tests, allowed, pure));
        }
    }
    broken
}

fn judge(name: &str, dependency: &str, for_tests: bool, allowed: &[&str], pure: bool) -> Option<String> {
    if let Some(target) = dependency.strip_prefix("kelson-") {
        let meant = allowed.contains(&target) || (for_tests && !pure && TESTS_MAY_NAME.contains(&target));
        return (!meant).then(|| format!("{name} → {target} is no arrow of ARCHITECTURE.md"));
    }
    (pure && !for_tests && WORLDLY.contains(&dependency))
        .then(|| format!("logic/{name} depends on {dependency}"))
}

/// Direct dependencies, and whether only tests use them.
fn dependencies(package: &Value) -> Vec<(String, bool)> {
    let listed = package["dependencies"].as_array().expect("metadata lists dependencies");
    listed.iter().map(|d| (d["name"].as_str().expect("named").to_owned(), d["kind"] == "dev")).collect()
}

fn packages() -> Vec<Value> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("cargo prints its metadata");
    metadata["packages"].as_array().expect("a workspace has packages").clone()
}

#[test]
fn the_map_names_every_crate() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for (name, _) in ALLOWED {
        let said = map.contains(&format!("/{name}")) || map.contains(&format!("\n{name}/"));
        assert!(said, "ARCHITECTURE.md does not say where {name} is");
    }
}
