//! What upstream's service controller tells of Services that have their address already: it ensures again after every
//! difference that a balancer could matter to, and tells of new hosts (A10.3, A10.4, A10.6).
//!
//! Beside the plan, which writes nothing in these cases: here nothing is to be done, only told. Upstream's controllers of
//! today no longer write an Event for the difference itself (1.32 and patches of 1.31 log it instead), so neither do we.

use k8s_openapi::api::core::v1::{Node, Service, ServiceSpec};

use super::{Register, own_address, wants};
use crate::kinds::Any;
use crate::plan::Reason;
use crate::view::{Changed, View};

const EXCLUDED: &str = "node.kubernetes.io/exclude-from-external-load-balancers";
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// What a change gives occasion to tell. The view already holds the change.
pub(crate) fn remarks(view: &View, changed: &Changed) -> Vec<Reason> {
    if view.settings.load_balancer_pools.is_empty() {
        return Vec::new();
    }
    match (&changed.old, &changed.new) {
        (Some(Any::Service(old)), Some(Any::Service(new))) if wants(new) && differ(old, new) => {
            ensured_again(view, new)
        }
        (old @ (None | Some(Any::Node(_))), new @ (None | Some(Any::Node(_)))) => {
            match are_other_hosts(node(old), node(new)) {
                true => of_new_hosts(view),
                false => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

fn node(any: &Option<Any>) -> Option<&Node> {
    match any {
        Some(Any::Node(node)) => Some(node),
        _ => None,
    }
}

/// A Service that has what it wants; of one that has not, the plan tells.
fn ensured_again(view: &View, service: &Service) -> Vec<Reason> {
    if !Register::of(view).is_settled(service) {
        return Vec::new();
    }
    let ensured = Reason::normal(service, "EnsuredLoadBalancer", "Ensured load balancer");
    ensuring(view, service).into_iter().chain([ensured]).collect()
}

/// What is told before an address is given.
pub(super) fn ensuring(view: &View, service: &Service) -> Vec<Reason> {
    let ensuring = Reason::normal(service, "EnsuringLoadBalancer", "Ensuring load balancer");
    std::iter::once(ensuring).chain((!has_hosts(view)).then(|| unavailable(service))).collect()
}

fn of_new_hosts(view: &View) -> Vec<Reason> {
    let served = view.services.iter().map(|(_, service)| service.as_ref());
    let served = served.filter(|service| wants(service) && own_address(service).is_some());
    let available = has_hosts(view);
    let message = "Updated load balancer with new hosts";
    served
        .map(|service| match available {
            true => Reason::normal(service, "UpdatedLoadBalancer", message),
            false => unavailable(service),
        })
        .collect()
}

fn unavailable(service: &Service) -> Reason {
    let message = "There are no available nodes for LoadBalancer";
    Reason::warning(service, "UnAvailableLoadBalancer", message)
}

fn has_hosts(view: &View) -> bool {
    view.nodes.iter().any(|(_, node)| is_host(node))
}

/// Readiness does not count: the set of hosts is stable (A10.6).
fn is_host(node: &Node) -> bool {
    let mut taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let untainted = !taints.any(|taint| taint.key == TO_BE_DELETED);
    node.metadata.deletion_timestamp.is_none() && is_included(node) && untainted
}

/// The label excludes unless its value says false.
fn is_included(node: &Node) -> bool {
    let label = node.metadata.labels.as_ref().and_then(|labels| labels.get(EXCLUDED));
    label.is_none_or(|value| ["0", "f", "F", "false", "FALSE", "False"].contains(&value.as_str()))
}

/// Whether balancers have to learn of it: a host more or less, or one that is another machine now. A taint alone is
/// taken in only when something else changes.
fn are_other_hosts(old: Option<&Node>, new: Option<&Node>) -> bool {
    match (old, new) {
        (Some(old), Some(new)) => {
            let moved = provider(old) != provider(new);
            is_included(old) != is_included(new) || moved && is_host(new)
        }
        (Some(one), None) | (None, Some(one)) => is_host(one),
        (None, None) => false,
    }
}

fn provider(node: &Node) -> &str {
    node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()).unwrap_or_default()
}

/// Whether the Services differ in something that a balancer is made from (A10.4).
fn differ(old: &Service, new: &Service) -> bool {
    old.metadata.uid != new.metadata.uid
        || old.metadata.annotations != new.metadata.annotations
        || wants(old) != wants(new)
        || relevant(old) != relevant(new)
}

/// The fields that a balancer is made from, and no other.
fn relevant(service: &Service) -> ServiceSpec {
    let spec = service.spec.clone().unwrap_or_default();
    ServiceSpec {
        load_balancer_source_ranges: spec.load_balancer_source_ranges,
        ports: spec.ports.map(|ports| {
            let without = |port| k8s_openapi::api::core::v1::ServicePort { app_protocol: None, ..port };
            ports.into_iter().map(without).collect()
        }),
        session_affinity: spec.session_affinity,
        session_affinity_config: spec.session_affinity_config,
        load_balancer_ip: spec.load_balancer_ip,
        external_ips: spec.external_ips,
        external_traffic_policy: spec.external_traffic_policy,
        health_check_node_port: spec.health_check_node_port,
        // Their number counts; neither can change its order.
        ip_families: spec.ip_families,
        ..ServiceSpec::default()
    }
}

#[cfg(test)]
mod tests;
