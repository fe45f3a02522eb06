//! What a pod spec's author is told without being refused (upstream: api/pod/warnings.go, the ones users meet).

use crate::walk::{int, items, present, text};
use kelson_machinery::field::Path;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All texts for the spec at `path`.
pub fn warnings(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, container) in items(&spec["containers"]).iter().enumerate() {
        let at = path.child("containers").index(index);
        duplicate_env(container, &at, &mut warnings);
        duplicate_ports(container, &at, &mut warnings);
    }
    for (index, alias) in items(&spec["hostAliases"]).iter().enumerate() {
        let at = path.child("hostAliases").index(index).child("ip");
        warnings.extend(crate::ip::warnings(text(&alias["ip"]), at.as_str()));
    }
    if int(&spec["terminationGracePeriodSeconds"]) < 0 {
        let at = path.child("terminationGracePeriodSeconds");
        warnings.push(format!("{at}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    warnings
}

fn duplicate_env(container: &Value, at: &Path, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (index, variable) in items(&container["env"]).iter().enumerate() {
        let (name, value) = (text(&variable["name"]), text(&variable["value"]));
        let refers_to_itself = value.contains(&format!("$({name})"));
        if present(&variable["name"]) && !seen.insert(name) && !refers_to_itself {
            let at = at.child("env").index(index);
            let name = kelson_machinery::text::quote(name);
            warnings.push(format!(
                "{at}: hides previous definition of {name}, which may be dropped when using apply"
            ));
        }
    }
}

fn duplicate_ports(container: &Value, at: &Path, warnings: &mut Vec<String>) {
    let mut seen: BTreeMap<(i64, &str, i64), usize> = BTreeMap::new();
    for (index, port) in items(&container["ports"]).iter().enumerate() {
        let what = (int(&port["containerPort"]), text(&port["protocol"]), int(&port["hostPort"]));
        let first = *seen.entry(what).or_insert(index);
        if first != index {
            let (here, there) = (at.child("ports").index(index), at.child("ports").index(first));
            warnings.push(format!("{here}: duplicate port definition with {there}"));
        }
    }
}
