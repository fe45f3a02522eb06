//! Facts about a Service, and which pods stand behind it, that the endpoint controllers share. Leaf.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::key::Key;
use crate::kinds::Any;
use crate::pod;
use crate::select;
use crate::view::{Changed, View};

pub(crate) const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
pub(crate) const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The selector, unless endpoints are none of the controllers' business (B1.1).
pub(crate) fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() != Some("ExternalName"))?;
    spec.selector.as_ref().filter(|selector| !selector.is_empty())
}

/// The pods that the Service chooses, by name.
pub(crate) fn pods<'a>(view: &'a View, service: &Service) -> Vec<&'a Arc<Pod>> {
    let Some(selector) = selector(service) else { return Vec::new() };
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let pods = view.pods.within(namespace).map(|(_, pod)| pod);
    pods.filter(|pod| select::matches_all(selector, pod.metadata.labels.as_ref())).collect()
}

/// The Services whose pods or own fields a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    if changed.resource.plural == "services" {
        return vec![changed.key.clone()];
    }
    let labels: Vec<_> = changed.old.iter().chain(&changed.new).filter_map(pod_labels).collect();
    if labels.is_empty() {
        return Vec::new();
    }
    let chosen = view.services.within(&changed.key.namespace).filter(|(_, service)| {
        let selector = selector(service);
        selector.is_some_and(|wanted| labels.iter().any(|labels| select::matches_all(wanted, *labels)))
    });
    chosen.map(|(key, _)| key.clone()).collect()
}

fn pod_labels(any: &Any) -> Option<Option<&BTreeMap<String, String>>> {
    match any {
        Any::Pod(pod) => Some(pod.metadata.labels.as_ref()),
        _ => None,
    }
}

pub(crate) fn ports(service: &Service) -> &[ServicePort] {
    service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default()
}

pub(crate) fn protocol(port: &ServicePort) -> &str {
    port.protocol.as_deref().unwrap_or("TCP")
}

pub(crate) fn is_headless(service: &Service) -> bool {
    let ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default();
    matches!(ip, "" | "None")
}

pub(crate) fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.publish_not_ready_addresses == Some(true))
}

/// The families the Service has addresses of, in its order; `IPv4` if it says nothing.
pub(crate) fn families(service: &Service) -> Vec<String> {
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.clone()).unwrap_or_default();
    if families.is_empty() { vec!["IPv4".to_owned()] } else { families }
}

/// The pod's address of a family, in canonical form.
pub(crate) fn address(pod: &Pod, family: &str) -> Option<IpAddr> {
    let status = pod.status.as_ref()?;
    let all = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).chain(status.pod_ip.as_deref());
    all.filter_map(|text| text.parse::<IpAddr>().ok()).find(|ip| ip.is_ipv6() == (family == "IPv6"))
}

/// The port of the pod that a Service port means; `None` where a name is not found (B1.7).
pub(crate) fn target_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        Some(IntOrString::Int(0)) | None => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    let named = |candidate: &&k8s_openapi::api::core::v1::ContainerPort| {
        candidate.name.as_ref() == Some(name)
            && candidate.protocol.as_deref().unwrap_or("TCP") == protocol(port)
    };
    ports.into_iter().find(named).map(|port| port.container_port)
}

/// The pod's hostname, where it is a name within this Service (B1.5).
pub(crate) fn hostname(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let within = spec.subdomain.is_some() && spec.subdomain == service.metadata.name;
    let same_namespace = pod.metadata.namespace == service.metadata.namespace;
    spec.hostname.clone().filter(|hostname| !hostname.is_empty() && within && same_namespace)
}

pub(crate) fn target_reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// When what happened to the pod last became true: it turned ready or unready, or was told to go (B1.16).
pub(crate) fn trigger_time(pod: &Pod) -> Option<Timestamp> {
    if let Some(deletion) = &pod.metadata.deletion_timestamp {
        let grace = SignedDuration::from_secs(pod.metadata.deletion_grace_period_seconds.unwrap_or(0));
        return deletion.0.checked_sub(grace).ok();
    }
    pod::condition(pod, "Ready")?.last_transition_time.as_ref().map(|time| time.0)
}

/// Writes the trigger time, or takes an old one away.
pub(crate) fn note_trigger(annotations: &mut Option<BTreeMap<String, String>>, trigger: Option<Timestamp>) {
    match trigger {
        Some(time) => {
            annotations.get_or_insert_default().insert(TRIGGER_TIME.to_owned(), time.to_string());
        }
        None => {
            if let Some(all) = annotations {
                all.remove(TRIGGER_TIME);
            }
        }
    }
    if annotations.as_ref().is_some_and(BTreeMap::is_empty) {
        *annotations = None;
    }
}
