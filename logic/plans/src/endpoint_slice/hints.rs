//! Which zone or node an endpoint is meant for (B2). Pure leaf of `endpoint_slice`.
//!
//! `trafficDistribution` names the endpoint's own zone, and its node where the Service asks for it; without
//! it there are no hints. Proportional hints (`topology-mode: Auto`, B2.3) are not given: such a Service
//! gets none, which every proxy takes to mean the whole cluster.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, ForNode, ForZone};

use super::fill::Filled;

const MODES: [&str; 2] =
    ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

pub(super) fn apply(service: &Service, filled: &mut Filled) {
    for slice in &mut filled.wanted {
        for endpoint in slice.after.endpoints.iter_mut().flatten() {
            endpoint.hints = hints(service, endpoint);
        }
    }
}

fn hints(service: &Service, endpoint: &Endpoint) -> Option<EndpointHints> {
    let ready = endpoint.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true));
    if !ready {
        return endpoint.hints.clone().filter(|_| distribution(service).is_some());
    }
    let distribution = distribution(service)?;
    let for_zones = endpoint.zone.as_ref().map(|zone| vec![ForZone { name: zone.clone() }]);
    let node = endpoint.node_name.as_ref().filter(|_| distribution == "PreferSameNode");
    let for_nodes = node.map(|node| vec![ForNode { name: node.clone() }]);
    let none = for_zones.is_none() && for_nodes.is_none();
    (!none).then_some(EndpointHints { for_nodes, for_zones })
}

/// What the Service asks for, unless the older annotation takes precedence (B2.2).
fn distribution(service: &Service) -> Option<&str> {
    let annotations = service.metadata.annotations.as_ref();
    let mode = MODES.iter().find_map(|name| annotations?.get(*name));
    if mode.is_some_and(|mode| matches!(mode.as_str(), "Auto" | "auto")) {
        return None;
    }
    let wanted = service.spec.as_ref()?.traffic_distribution.as_deref()?;
    ["PreferClose", "PreferSameZone", "PreferSameNode"].contains(&wanted).then_some(wanted)
}
