//! Defaults of Services (A2; upstream: SetDefaults_Service). Addresses and node ports are allocated, not defaulted.

use crate::walk::{self, default_to, int, items, items_mut, member, present, text};
use kelson_machinery::Object;
use serde_json::{Value, json};

/// How long a client stays with its endpoint when nothing else is said, seconds.
pub const AFFINITY_SECONDS: i64 = 10_800;

/// All of a Service.
pub fn service(service: &mut Object) {
    if let Some(spec) = member(service, "spec") {
        default_to(spec, "sessionAffinity", "None");
        default_to(spec, "type", "ClusterIP");
        affinity(spec);
        items_mut(spec, "ports").for_each(port);
        policies(spec);
    }
    if text(&service["spec"]["type"]) == "LoadBalancer" {
        for ingress in
            walk::at(service, &["status", "loadBalancer"]).into_iter().flat_map(|lb| items_mut(lb, "ingress"))
        {
            if present(&ingress["ip"]) {
                default_to(ingress, "ipMode", "VIP");
            }
        }
    }
}

/// A2.3: without ClientIP affinity its settings are wiped.
fn affinity(spec: &mut Value) {
    match text(&spec["sessionAffinity"]) {
        "None" => _ = walk::cut(spec, "sessionAffinityConfig"),
        "ClientIP" => {
            let client = walk::object(walk::object(spec, "sessionAffinityConfig"), "clientIP");
            default_to(client, "timeoutSeconds", AFFINITY_SECONDS);
        }
        _ => {}
    }
}

fn port(port: &mut Value) {
    default_to(port, "protocol", "TCP");
    let target = &port["targetPort"];
    if text(target).is_empty() && int(target) == 0 {
        let number = port["port"].clone();
        walk::put(port, "targetPort", number);
    }
}

fn policies(spec: &mut Value) {
    if externally_accessible(spec) {
        default_to(spec, "externalTrafficPolicy", "Cluster");
    }
    if super::needs_cluster_ip(spec) {
        default_to(spec, "internalTrafficPolicy", "Cluster");
    }
    if text(&spec["type"]) == "LoadBalancer" {
        default_to(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
}

/// A2.6: reachable from outside by node port, load balancer or external IP.
pub fn externally_accessible(spec: &Value) -> bool {
    match text(&spec["type"]) {
        "NodePort" | "LoadBalancer" => true,
        "ClusterIP" => !items(&spec["externalIPs"]).is_empty(),
        _ => false,
    }
}
