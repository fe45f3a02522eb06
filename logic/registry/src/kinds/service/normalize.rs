//! What a written Service becomes before it is validated: fields the client left out because the system had set them,
//! and fields that no longer apply to the type (A7).
//!
//! Invariant: a client that writes back what it once sent loses no allocated address or port.

use super::addresses::needs_cluster_ip;
use crate::walk::{self, int, items, items_mut, member, present, text};
use crate::{metadata, strategy};
use kelson_machinery::Object;
use serde_json::{Value, json};

/// A7.2: the singular alone is taken for the list.
pub fn create(service: &mut Object) {
    let Some(spec) = member(service, "spec") else { return };
    if present(&spec["clusterIP"]) && !present(&spec["clusterIPs"]) {
        let one = spec["clusterIP"].clone();
        walk::put(spec, "clusterIPs", json!([one]));
    }
}

/// A7.1, A7.3, A7.4 and A1.5.
pub fn update(new: &mut Object, old: &Object) {
    metadata::carry(new, old);
    strategy::keep(new, old, "status");
    let before = &old["spec"];
    if let Some(spec) = member(new, "spec") {
        patch_cluster_ips(spec, before);
        patch_node_ports(spec, before);
        patch_health_check(spec, before);
        normalize_cluster_ips(spec, before);
        patch_families(spec, before);
        drop_dependent(spec, before);
        trim_secondary(spec, before);
    }
    if text(&new["spec"]["type"]) != "LoadBalancer"
        && text(&before["type"]) == "LoadBalancer"
        && let Some(status) = member(new, "status")
    {
        walk::put(status, "loadBalancer", json!({}));
    }
}

fn patch_cluster_ips(spec: &mut Value, before: &Value) {
    let unset = !present(&spec["clusterIP"]) && !present(&spec["clusterIPs"]);
    if needs_cluster_ip(before) && needs_cluster_ip(spec) && unset {
        walk::put(spec, "clusterIP", before["clusterIP"].clone());
        walk::put(spec, "clusterIPs", before["clusterIPs"].clone());
    }
}

fn needs_node_ports(spec: &Value) -> bool {
    matches!(text(&spec["type"]), "NodePort" | "LoadBalancer")
}

fn patch_node_ports(spec: &mut Value, before: &Value) {
    if !needs_node_ports(spec) || !needs_node_ports(before) {
        return;
    }
    let used: Vec<i64> = node_ports(spec);
    for port in items_mut(spec, "ports").filter(|port| int(&port["nodePort"]) == 0) {
        let twin = items(&before["ports"]).iter().find(|old| text(&old["name"]) == text(&port["name"]));
        if let Some(number) =
            twin.map(|old| int(&old["nodePort"])).filter(|number| *number != 0 && !used.contains(number))
        {
            walk::put(port, "nodePort", number);
        }
    }
}

/// All node ports the spec names.
pub fn node_ports(spec: &Value) -> Vec<i64> {
    items(&spec["ports"]).iter().map(|port| int(&port["nodePort"])).filter(|number| *number != 0).collect()
}

/// A6.11: what has a health check port.
pub fn needs_health_check(spec: &Value) -> bool {
    text(&spec["type"]) == "LoadBalancer" && text(&spec["externalTrafficPolicy"]) == "Local"
}

fn patch_health_check(spec: &mut Value, before: &Value) {
    if needs_health_check(spec) && needs_health_check(before) && int(&spec["healthCheckNodePort"]) == 0 {
        walk::put(spec, "healthCheckNodePort", before["healthCheckNodePort"].clone());
    }
}

/// A7.3.
fn normalize_cluster_ips(spec: &mut Value, before: &Value) {
    if !present(&spec["clusterIP"]) && !present(&spec["clusterIPs"]) {
        return;
    }
    let same_one = text(&spec["clusterIP"]) == text(&before["clusterIP"]);
    let same_list = items(&spec["clusterIPs"]) == items(&before["clusterIPs"]);
    if same_one && !same_list && !present(&spec["clusterIPs"]) {
        walk::put(spec, "clusterIPs", before["clusterIPs"].clone());
    } else if !same_one && same_list && !present(&spec["clusterIP"]) {
        walk::put(spec, "clusterIPs", Value::Null);
    } else if !same_one && (same_list || !present(&spec["clusterIPs"])) {
        let one = spec["clusterIP"].clone();
        walk::put(spec, "clusterIPs", json!([one]));
    }
}

/// A2.10: an update that says nothing of families keeps them.
fn patch_families(spec: &mut Value, before: &Value) {
    if !needs_cluster_ip(spec) || !needs_cluster_ip(before) {
        return;
    }
    for field in ["ipFamilyPolicy", "ipFamilies"] {
        if !present(&spec[field]) {
            walk::put(spec, field, before[field].clone());
        }
    }
}

/// A7.4: what the new type has no use for goes, unless the client set it anew.
fn drop_dependent(spec: &mut Value, before: &Value) {
    if needs_cluster_ip(before) && !needs_cluster_ip(spec) {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            drop_unchanged(spec, before, field);
        }
    }
    if needs_node_ports(before) && !needs_node_ports(spec) {
        let old = node_ports(before);
        if node_ports(spec).iter().all(|number| old.contains(number)) {
            items_mut(spec, "ports").for_each(|port| _ = walk::cut(port, "nodePort"));
        }
    }
    if needs_health_check(before) && !needs_health_check(spec) {
        drop_unchanged(spec, before, "healthCheckNodePort");
    }
    let was = text(&before["type"]) == "LoadBalancer";
    if was && text(&spec["type"]) != "LoadBalancer" {
        drop_unchanged(spec, before, "allocateLoadBalancerNodePorts");
        drop_unchanged(spec, before, "loadBalancerClass");
    }
    let accessible = super::defaults::externally_accessible;
    if accessible(before) && !accessible(spec) {
        drop_unchanged(spec, before, "externalTrafficPolicy");
    }
}

fn drop_unchanged(spec: &mut Value, before: &Value, field: &str) {
    if spec[field] == before[field] {
        walk::cut(spec, field);
    }
}

/// A9.8: asking for SingleStack alone releases the secondary family.
fn trim_secondary(spec: &mut Value, before: &Value) {
    let shrinks =
        text(&spec["ipFamilyPolicy"]) == "SingleStack" && text(&before["ipFamilyPolicy"]) != "SingleStack";
    if !shrinks || !needs_cluster_ip(spec) {
        return;
    }
    for field in ["clusterIPs", "ipFamilies"] {
        if spec[field] == before[field]
            && let Some(list) = member(spec, field).and_then(Value::as_array_mut)
        {
            list.truncate(1);
        }
    }
}
