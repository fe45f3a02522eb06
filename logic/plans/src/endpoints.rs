//! Endpoints: the older, single object of a Service's addresses (B4).
//!
//! View → the object made, altered, deleted. Invariant: it is written only when something other than a
//! reference's resourceVersion or the note of a change's time differs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::key::Key;
use crate::plan::{Action, Ending, Plan, Reason, Step};
use crate::pod;
use crate::service;
use crate::view::{Changed, View};

/// Addresses in one object at most (B4.8).
const CAPACITY: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

/// A port of a subset, in an order that can be compared: name, number, protocol, application protocol.
type Port = (String, i32, String, Option<String>);

/// An address with the ports it is reached at: keyed so that addresses come in numeric order.
type Addresses = BTreeMap<(IpAddr, Option<String>), Reached>;

#[derive(Clone)]
struct Reached {
    address: EndpointAddress,
    ready: bool,
    ports: BTreeSet<Port>,
    trigger: Option<Timestamp>,
}

/// The next step for the Endpoints of one Service.
pub fn plan(view: &View, key: &Key, _now: Timestamp) -> Plan {
    let present = view.endpoints.get(key);
    let Some(service) = view.services.get(key) else {
        let gone = present.filter(|present| is_left_over(view, present));
        return Plan::of(gone.map(|present| Action::delete(present.as_ref()).into()).into_iter().collect());
    };
    if service::selector(service).is_none() || service.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let wanted = wanted(view, service, present.map(|present| present.as_ref()));
    Plan::of(write(service, present.map(|present| present.as_ref()), wanted).into_iter().collect())
}

/// Whether the Service these belonged to is gone for good (B4.11); a lock of old is never touched.
fn is_left_over(view: &View, endpoints: &Endpoints) -> bool {
    let meta = &endpoints.metadata;
    let lock = meta.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER));
    let managed =
        meta.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == MANAGER);
    !lock && (managed || view.departed_services.contains(&Key::of(meta)))
}

fn wanted(view: &View, service: &Service, present: Option<&Endpoints>) -> Endpoints {
    let addresses = addresses(view, service);
    let mut subsets = repack(&addresses);
    let truncated = truncate(&mut subsets);
    let mut metadata = present.map(|present| present.metadata.clone()).unwrap_or_else(|| ObjectMeta {
        name: service.metadata.name.clone(),
        namespace: service.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    metadata.labels = Some(labels(service));
    let annotations = metadata.annotations.get_or_insert_default();
    match truncated {
        true => annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned()),
        false => annotations.remove(OVER_CAPACITY),
    };
    if annotations.is_empty() {
        metadata.annotations = None;
    }
    let mut wanted = Endpoints { metadata, subsets: (!subsets.is_empty()).then_some(subsets) };
    if present.is_none_or(|present| !same(present, &wanted)) {
        let triggers = changed_triggers(&addresses, present, service);
        service::note_trigger(&mut wanted.metadata.annotations, triggers);
    }
    wanted
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(service::HEADLESS_LABEL);
    if service::is_headless(service) {
        labels.insert(service::HEADLESS_LABEL.to_owned(), String::new());
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// Every address with all ports it is reached at, in the Service's first family (B4.2–B4.4).
fn addresses(view: &View, service: &Service) -> Addresses {
    let family = service::families(service).swap_remove(0);
    let mut addresses = Addresses::new();
    for pod in service::pods(view, service) {
        let leaves = pod::is_deleting(pod) && !service::publishes_not_ready(service);
        let Some(ip) = service::address(pod, &family).filter(|_| !pod::is_terminal(pod) && !leaves) else {
            continue;
        };
        let ports: BTreeSet<Port> = ports(pod, service);
        if ports.is_empty() && !(service::is_headless(service) && service::ports(service).is_empty()) {
            continue;
        }
        let reached = Reached {
            address: EndpointAddress {
                ip: ip.to_string(),
                hostname: service::hostname(pod, service),
                node_name: pod::node(pod).map(str::to_owned),
                target_ref: Some(service::target_reference(pod)),
            },
            ready: service::publishes_not_ready(service) || pod::is_ready(pod),
            ports,
            trigger: service::trigger_time(pod),
        };
        addresses.insert((ip, pod.metadata.uid.clone()), reached);
    }
    addresses
}

fn ports(pod: &Pod, service: &Service) -> BTreeSet<Port> {
    let resolved = service::ports(service).iter().filter_map(|port| {
        let number = service::target_port(pod, port)?;
        let name = port.name.clone().unwrap_or_default();
        Some((name, number, service::protocol(port).to_owned(), port.app_protocol.clone()))
    });
    resolved.collect()
}

/// Addresses with the same ports stand in one subset (B4.5).
fn repack(addresses: &Addresses) -> Vec<EndpointSubset> {
    let mut subsets: BTreeMap<&BTreeSet<Port>, (Vec<EndpointAddress>, Vec<EndpointAddress>)> =
        BTreeMap::new();
    for reached in addresses.values() {
        let (ready, not_ready) = subsets.entry(&reached.ports).or_default();
        if reached.ready { ready } else { not_ready }.push(reached.address.clone());
    }
    let subset = |(ports, (ready, not_ready)): (&BTreeSet<Port>, (Vec<_>, Vec<_>))| EndpointSubset {
        addresses: (!ready.is_empty()).then_some(ready),
        not_ready_addresses: (!not_ready.is_empty()).then_some(not_ready),
        ports: (!ports.is_empty()).then(|| ports.iter().map(port_of).collect()),
    };
    subsets.into_iter().map(subset).collect()
}

fn port_of((name, number, protocol, app_protocol): &Port) -> EndpointPort {
    EndpointPort {
        name: (!name.is_empty()).then(|| name.clone()),
        port: *number,
        protocol: Some(protocol.clone()),
        app_protocol: app_protocol.clone(),
    }
}

/// Cuts down to the capacity: ready addresses first, each subset by its share rounded up (B4.8).
fn truncate(subsets: &mut Vec<EndpointSubset>) -> bool {
    let ready: usize = subsets.iter().map(|subset| subset.addresses.as_ref().map_or(0, Vec::len)).sum();
    let waiting: usize =
        subsets.iter().map(|subset| subset.not_ready_addresses.as_ref().map_or(0, Vec::len)).sum();
    if ready + waiting <= CAPACITY {
        return false;
    }
    cut(subsets, ready, CAPACITY, |subset| &mut subset.addresses);
    let left = CAPACITY - ready.min(CAPACITY);
    cut(subsets, waiting, left, |subset| &mut subset.not_ready_addresses);
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}

fn cut(
    subsets: &mut [EndpointSubset],
    total: usize,
    capacity: usize,
    part: fn(&mut EndpointSubset) -> &mut Option<Vec<EndpointAddress>>,
) {
    if total <= capacity {
        return;
    }
    let mut left = capacity;
    for subset in subsets {
        let part = part(subset);
        let Some(addresses) = part else { continue };
        let share = (addresses.len() * capacity).div_ceil(total).min(left);
        addresses.truncate(share);
        left -= share;
        if share == 0 {
            *part = None;
        }
    }
}

/// When the earliest of what changed became true; a new object dates from its Service.
fn changed_triggers(
    addresses: &Addresses,
    present: Option<&Endpoints>,
    service: &Service,
) -> Option<Timestamp> {
    let known: Vec<(&EndpointAddress, bool)> = present
        .iter()
        .flat_map(|present| present.subsets.iter().flatten())
        .flat_map(|subset| {
            let ready = subset.addresses.iter().flatten().map(|address| (address, true));
            ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, false)))
        })
        .collect();
    let is_known = |reached: &Reached| {
        known.iter().any(|(address, ready)| address.ip == reached.address.ip && *ready == reached.ready)
    };
    let changed =
        addresses.values().filter(|reached| !is_known(reached)).filter_map(|reached| reached.trigger);
    let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
    changed.min().or(created.filter(|_| present.is_none()))
}

/// Equal but for references' versions and the note of the time (B4.10).
fn same(present: &Endpoints, wanted: &Endpoints) -> bool {
    let bare = |endpoints: &Endpoints| {
        let mut endpoints = endpoints.clone();
        service::note_trigger(&mut endpoints.metadata.annotations, None);
        for subset in endpoints.subsets.iter_mut().flatten() {
            let all =
                subset.addresses.iter_mut().flatten().chain(subset.not_ready_addresses.iter_mut().flatten());
            all.filter_map(|address| address.target_ref.as_mut())
                .for_each(|target| target.resource_version = None);
        }
        endpoints.subsets = endpoints.subsets.filter(|subsets| !subsets.is_empty());
        endpoints
    };
    bare(present) == bare(wanted)
}

fn write(service: &Service, present: Option<&Endpoints>, wanted: Endpoints) -> Option<Step> {
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let (action, reason, verb) = match present {
        None => (Action::create(&wanted), "FailedToCreateEndpoint", "create"),
        Some(present) if same(present, &wanted) => return None,
        Some(present) => (Action::patch(present, &wanted)?, "FailedToUpdateEndpoint", "update"),
    };
    let message = format!("Failed to {verb} endpoint {namespace}/{name}: ");
    Some(Step::from(action).failed(Reason::warning(service, reason, message).ending(Ending::Refusal)))
}

/// The Services whose Endpoints a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    if changed.resource.plural == "endpoints" {
        return vec![changed.key.clone()];
    }
    service::wake(view, changed)
}

#[cfg(test)]
mod tests;
