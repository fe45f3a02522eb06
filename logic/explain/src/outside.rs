//! From outside the cluster: the ports on the nodes, and which nodes answer under externalTrafficPolicy Local.

use k8s_openapi::api::core::v1::{Service, ServicePort};

use crate::context::Context;
use crate::packet::nodes_with_endpoints;
use crate::step::{Step, StepName};
use crate::words::{list, name, service_type};

/// The step that says what clients outside meet at the nodes' ports; nothing for a Service without any.
pub(crate) fn step(context: &Context<'_>, service: &Service, ports: &[&ServicePort]) -> Option<Step> {
    if !matches!(service_type(service), "NodePort" | "LoadBalancer") {
        return None;
    }
    let with: Vec<&&ServicePort> =
        ports.iter().filter(|port| port.node_port.is_some_and(|port| port > 0)).collect();
    let numbers: Vec<String> =
        with.iter().filter_map(|port| port.node_port).map(|port| port.to_string()).collect();
    let first = with.first()?;
    let is_local =
        service.spec.as_ref().and_then(|spec| spec.external_traffic_policy.as_deref()) == Some("Local");
    if !is_local {
        return Some(Step::ok(StepName::Outside, format!("every node answers on port {}", list(&numbers))));
    }
    let answering = nodes_with_endpoints(context, service, first);
    let silent: Vec<&str> = context
        .world
        .nodes
        .iter()
        .map(|node| name(&node.metadata))
        .filter(|node| !answering.iter().any(|a| a == node))
        .collect();
    let policy = "externalTrafficPolicy is Local";
    let numbers = list(&numbers);
    Some(if silent.is_empty() {
        Step::ok(
            StepName::Outside,
            format!("{policy}; every node has an endpoint and answers on port {numbers}"),
        )
    } else {
        Step::warning(
            StepName::Outside,
            format!(
                "{policy}: on port {numbers}, clients outside are answered by {} and not by {}",
                list(&answering),
                list(&silent)
            ),
        )
        .next("ask a node that has an endpoint, or set externalTrafficPolicy: Cluster")
    })
}
