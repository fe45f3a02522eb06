//! What a Service's slices should hold: endpoints by family and by the ports their pods resolve to (B1.3–B1.8).
//!
//! Pure leaf of `endpoint_slice`. Two endpoints with one identity (address, hostname, pod) are one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};

use crate::key::Key;
use crate::pod;
use crate::service;
use crate::view::View;

pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

/// What makes an endpoint the same one when its conditions change.
pub(super) type Identity = (Vec<String>, Option<String>, Option<String>);

/// The ports of a slice, in an order that can be compared.
pub(super) type Ports = Vec<PortKey>;

/// One port: name, protocol, number, application protocol.
pub(super) type PortKey = (String, String, Option<i32>, Option<String>);

/// An endpoint that is wanted, and when what it says became true.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub endpoint: Endpoint,
    pub trigger: Option<Timestamp>,
}

pub(super) type Group = BTreeMap<Identity, Wanted>;

/// All that is wanted, by family.
#[derive(Debug, Default)]
pub(super) struct Desired {
    groups: BTreeMap<String, BTreeMap<Ports, Group>>,
}

impl Desired {
    pub(super) fn groups(&self, family: &str) -> BTreeMap<Ports, Group> {
        self.groups.get(family).cloned().unwrap_or_default()
    }
}

pub(super) fn of(view: &View, owner: &Service) -> Desired {
    let mut desired = Desired::default();
    for pod in service::pods(view, owner) {
        // A pod whose node is not known is left out until the node wakes the Service (B1.6).
        let homeless = is_homeless(view, pod) && !service::publishes_not_ready(owner);
        if pod::is_terminal(pod) || homeless {
            continue;
        }
        for family in service::families(owner) {
            let Some(endpoint) = endpoint(view, pod, owner, &family) else { continue };
            let group = desired.groups.entry(family).or_default().entry(ports(pod, owner)).or_default();
            group.insert(identity(&endpoint), Wanted { endpoint, trigger: service::trigger_time(pod) });
        }
    }
    desired
}

fn is_homeless(view: &View, pod: &Pod) -> bool {
    pod::node(pod).is_some_and(|node| view.nodes.get(&Key::cluster(node)).is_none())
}

fn endpoint(view: &View, pod: &Pod, owner: &Service, family: &str) -> Option<Endpoint> {
    let address = service::address(pod, family)?;
    let serving = pod::is_ready(pod);
    let terminating = pod::is_deleting(pod);
    let ready = service::publishes_not_ready(owner) || (serving && !terminating);
    let node = pod::node(pod);
    let zone = node.and_then(|node| view.nodes.get(&Key::cluster(node)));
    let zone = zone.and_then(|node| node.metadata.labels.as_ref()?.get(ZONE)).filter(|zone| !zone.is_empty());
    Some(Endpoint {
        addresses: vec![address.to_string()],
        conditions: Some(EndpointConditions {
            ready: Some(ready),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: service::hostname(pod, owner),
        node_name: node.map(str::to_owned),
        target_ref: Some(service::target_reference(pod)),
        zone: zone.cloned(),
        ..Endpoint::default()
    })
}

fn ports(pod: &Pod, owner: &Service) -> Ports {
    let resolved = service::ports(owner).iter().filter_map(|port| {
        let number = service::target_port(pod, port)?;
        let name = port.name.clone().unwrap_or_default();
        Some((name, service::protocol(port).to_owned(), Some(number), port.app_protocol.clone()))
    });
    let mut ports: Ports = resolved.collect();
    ports.sort();
    ports
}

pub(super) fn identity(endpoint: &Endpoint) -> Identity {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    let target = endpoint.target_ref.as_ref().map(|target| {
        format!(
            "{}/{}",
            target.namespace.as_deref().unwrap_or_default(),
            target.name.as_deref().unwrap_or_default()
        )
    });
    (addresses, endpoint.hostname.clone().filter(|hostname| !hostname.is_empty()), target)
}

/// The ports a slice has, for comparison with those wanted.
pub(super) fn key_of(ports: Option<&Vec<EndpointPort>>) -> Ports {
    let mut keys: Ports = ports
        .into_iter()
        .flatten()
        .map(|port| {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            (port.name.clone().unwrap_or_default(), protocol, port.port, port.app_protocol.clone())
        })
        .collect();
    keys.sort();
    keys
}

pub(super) fn from_key(ports: &Ports) -> Vec<EndpointPort> {
    let port = |(name, protocol, number, app_protocol): &PortKey| EndpointPort {
        name: Some(name.clone()),
        protocol: Some(protocol.clone()),
        port: *number,
        app_protocol: app_protocol.clone(),
    };
    ports.iter().map(port).collect()
}
