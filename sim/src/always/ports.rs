//! No port of a node is held by two of its pods.
//!
//! By what the API says: a pod holds its host ports from when it is bound until it has ended or is gone. Pods whose binding
//! was carried out while the scheduler never heard so are not judged: it could not know.

use std::collections::BTreeSet;

use kelson_machinery::meta;
use serde_json::Value;

use super::is_over;
use crate::api::{Api, Write};

/// Judges a write that binds a pod; whether it was one with host ports.
pub(super) fn look(write: &Write, api: &Api, unheard: &BTreeSet<String>) -> Result<bool, String> {
    let Some(pod) = write.after.as_ref().filter(|pod| !node(pod).is_empty()) else { return Ok(false) };
    let bound = write.before.as_ref().is_none_or(|before| node(before).is_empty());
    let wanted = ports(pod);
    if !bound || wanted.is_empty() || unheard.contains(meta::uid(pod)) {
        return Ok(false);
    }
    for (key, other) in api.all(&write.place.resource) {
        let beside = node(other) == node(pod) && meta::uid(other) != meta::uid(pod) && !is_over(other);
        if !beside || unheard.contains(meta::uid(other)) {
            continue;
        }
        if let Some(port) = wanted.intersection(&ports(other)).next() {
            return Err(format!("{} and {key} both hold port {port} of {}", write.place.key, node(pod)));
        }
    }
    Ok(true)
}

/// The host ports of a pod.
fn ports(pod: &Value) -> BTreeSet<i64> {
    let containers = meta::get_list(pod, &["spec", "containers"]).iter();
    let ports = containers.flat_map(|container| meta::get_list(container, &["ports"]));
    ports.filter_map(|port| port["hostPort"].as_i64()).collect()
}

fn node(pod: &Value) -> &str {
    meta::get_str(pod, &["spec", "nodeName"])
}
