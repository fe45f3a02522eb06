//! One EndpointSlice object becomes one [`Slice`]: its endpoints with conditions read (spec B7.3), its ports, its Service.
//!
//! FQDN slices and slices of no Service are nobody's business and left out silently (spec C1.3); what is broken is left
//! out with a warning. Never joins slices: that is `merge`.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::discovery::v1 as api;
use kelson_model::{Endpoint, EndpointPort, Hints, PodRef, Protocol, ServiceName};

use crate::service::{PROXY_NAME_LABEL, valid_port};

/// Names the Service a slice belongs to (spec B7.1).
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// Marks slices of headless Services, which proxies ignore (spec C1.2).
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

/// When what the slice's last change answers happened, as its controller noted it (spec B1.16).
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// A port of a slice and the protocol it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePort {
    /// Name and number.
    pub port: EndpointPort,
    /// Its protocol.
    pub protocol: Protocol,
}

/// An EndpointSlice, parsed. Its endpoints carry port 0 until they are joined with the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The Service it belongs to.
    pub service: ServiceName,
    /// Its ports; none for headless Services without ports.
    pub ports: Box<[SlicePort]>,
    /// Its endpoints.
    pub endpoints: Box<[Endpoint]>,
    /// Labelled as another proxy's or as a headless Service's: no proxy of a ClusterIP uses it (spec C1.2).
    pub not_for_proxies: bool,
    /// When that happened which it was last changed for, in milliseconds of the epoch; 0 if nobody says.
    pub triggered_ms: u64,
}

/// Parses an EndpointSlice; `None` when nothing of it can be used. What is broken is appended to `warnings`.
pub fn slice(object: &api::EndpointSlice, warnings: &mut Vec<String>) -> Option<Slice> {
    let metadata = &object.metadata;
    let (namespace, name) = (metadata.namespace.as_deref()?, metadata.name.as_deref()?);
    let label = |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key));
    let service = ServiceName::new(namespace, label(SERVICE_NAME_LABEL).filter(|name| !name.is_empty())?);
    let is_family: fn(&IpAddr) -> bool = match object.address_type.as_str() {
        "IPv4" => IpAddr::is_ipv4,
        "IPv6" => IpAddr::is_ipv6,
        _ => return None,
    };
    let mut warn = |what: String| warnings.push(format!("endpointslice {namespace}/{name}: {what}"));
    let ports = object.ports.iter().flatten().filter_map(|port| slice_port(port, &mut warn)).collect();
    let endpoints = object.endpoints.iter().flatten();
    let endpoints = endpoints.filter_map(|one| endpoint(one, is_family, namespace, &mut warn)).collect();
    let not_for_proxies = label(PROXY_NAME_LABEL).is_some() || label(HEADLESS_LABEL).is_some();
    let triggered_ms =
        metadata.annotations.as_ref().and_then(|all| all.get(TRIGGER_TIME)).and_then(|text| millis(text));
    Some(Slice { service, ports, endpoints, not_for_proxies, triggered_ms: triggered_ms.unwrap_or(0) })
}

/// A time of RFC 3339 in milliseconds of the epoch. One that cannot be read costs a figure, nothing else.
fn millis(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

fn slice_port(port: &api::EndpointPort, warn: &mut impl FnMut(String)) -> Option<SlicePort> {
    let name: Arc<str> = port.name.as_deref().unwrap_or_default().into();
    let Some(protocol) = Protocol::parse(port.protocol.as_deref().unwrap_or("TCP")) else {
        warn(format!("the protocol of port {name:?} is none of TCP, UDP and SCTP; the port is left out"));
        return None;
    };
    let number = match port.port {
        None => None,
        Some(number) => match valid_port(number) {
            Some(number) => Some(number),
            None => {
                warn(format!("port {name:?} is {number}, not between 1 and 65535; it is left out"));
                return None;
            }
        },
    };
    Some(SlicePort { port: EndpointPort { name, port: number }, protocol })
}

/// The first address alone counts (spec B3.2).
fn endpoint(
    endpoint: &api::Endpoint,
    is_family: fn(&IpAddr) -> bool,
    namespace: &str,
    warn: &mut impl FnMut(String),
) -> Option<Endpoint> {
    let text = endpoint.addresses.first().map(String::as_str).unwrap_or_default();
    let Some(address) = text.parse::<IpAddr>().ok().filter(is_family) else {
        warn(format!("address {text:?} is not of the slice's address type; the endpoint is left out"));
        return None;
    };
    let condition =
        |pick: fn(&api::EndpointConditions) -> Option<bool>| endpoint.conditions.as_ref().and_then(pick);
    Some(Endpoint {
        address,
        port: 0,
        ready: condition(|c| c.ready).unwrap_or(true),
        serving: condition(|c| c.serving).unwrap_or(true),
        terminating: condition(|c| c.terminating).unwrap_or(false),
        hostname: text_of(endpoint.hostname.as_deref()),
        node: text_of(endpoint.node_name.as_deref()),
        zone: text_of(endpoint.zone.as_deref()),
        hints: hints(endpoint.hints.as_ref()),
        pod: endpoint.target_ref.as_ref().and_then(|target| pod(target, namespace)),
    })
}

fn hints(hints: Option<&api::EndpointHints>) -> Hints {
    let zones = hints.and_then(|hints| hints.for_zones.as_ref()).into_iter().flatten();
    let nodes = hints.and_then(|hints| hints.for_nodes.as_ref()).into_iter().flatten();
    Hints {
        zones: zones.map(|zone| zone.name.as_str().into()).collect(),
        nodes: nodes.map(|node| node.name.as_str().into()).collect(),
    }
}

fn pod(target: &ObjectReference, namespace: &str) -> Option<PodRef> {
    let name = target.name.as_deref().filter(|_| target.kind.as_deref() == Some("Pod"))?;
    let namespace = target.namespace.as_deref().unwrap_or(namespace);
    Some(PodRef { namespace: namespace.into(), name: name.into() })
}

fn text_of(text: Option<&str>) -> Option<Arc<str>> {
    text.filter(|text| !text.is_empty()).map(Arc::from)
}

#[cfg(test)]
mod tests;
