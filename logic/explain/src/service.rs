//! The Service itself: what kind it is, at which addresses, and what about it would surprise.

use k8s_openapi::api::core::v1::Service;

use crate::step::{Step, StepName};
use crate::words::{full, in_namespace, list, name, namespace, service_type};

/// Marks Services another proxy takes care of (spec C1.2).
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";

/// Whether names lead straight to the pods.
pub(crate) fn is_headless(service: &Service) -> bool {
    cluster_ip(service) == Some("None")
}

/// Whether it is an alias for another name.
pub(crate) fn is_alias(service: &Service) -> bool {
    service_type(service) == "ExternalName"
}

/// The step that says what the Service is.
pub(crate) fn step(service: &Service) -> Step {
    let called = full(&service.metadata);
    let kind = service_type(service);
    if is_headless(service) {
        let sentence = format!("{called} is headless: its name leads straight to its pods");
        return with_remarks(service, Step::ok(StepName::Service, sentence));
    }
    let place = in_namespace(namespace(&service.metadata));
    match cluster_ip(service) {
        None => Step::wrong(
            StepName::Service,
            format!("{called} has no ClusterIP yet"),
            format!("kubectl describe service {}{place}", name(&service.metadata)),
        ),
        Some(address) => {
            let sentence = format!("{called} is a {kind} Service at {address}");
            with_remarks(service, Step::ok(StepName::Service, sentence))
        }
    }
}

fn cluster_ip(service: &Service) -> Option<&str> {
    service.spec.as_ref()?.cluster_ip.as_deref().filter(|address| !address.is_empty())
}

fn with_remarks(service: &Service, step: Step) -> Step {
    let mut remarks = Vec::new();
    let spec = service.spec.clone().unwrap_or_default();
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        let config = spec.session_affinity_config.and_then(|config| config.client_ip);
        let seconds = config.and_then(|config| config.timeout_seconds).unwrap_or(10_800);
        remarks.push(format!("session affinity: a client keeps its pod until it is silent for {seconds} s"));
    }
    if let Some(proxy) = service.metadata.labels.as_ref().and_then(|labels| labels.get(PROXY_NAME_LABEL)) {
        remarks.push(format!("label {PROXY_NAME_LABEL}: only the proxy {proxy} serves it"));
    }
    if spec.publish_not_ready_addresses == Some(true) {
        remarks.push("publishNotReadyAddresses: pods get requests before they are ready".to_owned());
    }
    if service.metadata.deletion_timestamp.is_some() {
        remarks.push("it is being deleted".to_owned());
    }
    step.details(remarks)
}

/// The addresses a balancer gave it.
pub(crate) fn balancer_addresses(service: &Service) -> Vec<String> {
    let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = status.iter().flat_map(|status| status.ingress.iter().flatten());
    ingress.filter_map(|one| one.ip.clone().or_else(|| one.hostname.clone())).collect()
}

/// Whether every node has it in its tables, as far as its conditions tell (`Programmed`); nothing where no such condition
/// is kept.
pub(crate) fn programmed(service: &Service) -> Option<Step> {
    let conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let condition = conditions.into_iter().find(|condition| condition.type_ == "Programmed")?;
    let wait = format!(
        "kubectl wait --for=condition=Programmed service/{}{} --timeout=30s",
        name(&service.metadata),
        in_namespace(namespace(&service.metadata))
    );
    let generation = service.metadata.generation.unwrap_or(0);
    let observed = condition.observed_generation.unwrap_or(generation);
    let why = if condition.message.is_empty() { &condition.reason } else { &condition.message };
    Some(if condition.status != "True" {
        Step::wrong(StepName::Programmed, format!("the nodes do not serve it yet: {why}"), wait)
    } else if observed < generation {
        let sentence = format!("the nodes serve its generation {observed}, and it is at {generation}");
        Step::wrong(StepName::Programmed, sentence, wait)
    } else {
        Step::ok(StepName::Programmed, "every node serves it as it is")
    })
}

/// A Service of type LoadBalancer that waits for an address.
pub(crate) fn pending(service: &Service) -> Option<Step> {
    if service_type(service) != "LoadBalancer" {
        return None;
    }
    let addresses = balancer_addresses(service);
    if !addresses.is_empty() {
        return Some(Step::ok(StepName::Outside, format!("from outside it is at {}", list(&addresses))));
    }
    let sentence =
        "no balancer gave it an address, so clients outside have none to ask (EXTERNAL-IP <pending>)";
    let next = format!(
        "kubectl describe service {}{}",
        name(&service.metadata),
        in_namespace(namespace(&service.metadata))
    );
    Some(Step::warning(StepName::Outside, sentence).next(next))
}
