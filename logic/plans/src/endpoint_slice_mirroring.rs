//! EndpointSliceMirroring: hand-made Endpoints of a Service without a selector, as slices (B6).
//!
//! View → slices made, altered, deleted; one slice for each subset's ports and family. Invariant: only slices
//! labelled as this controller's are touched.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort as OldPort, Endpoints};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::endpoint_slice::MANAGED_BY;
use crate::key::Key;
use crate::kinds::{Any, SERVICE_NAME, service_mark};
use crate::owners::controller_reference;
use crate::plan::{Action, Plan, Reason, Step};
use crate::service::TRIGGER_TIME;
use crate::view::{Changed, View};

/// What mirrored slices are labelled with (B6.4).
pub const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A slice to be: its family and ports, in an order that can be compared.
type Place = (&'static str, Vec<(String, i32, String, Option<String>)>);

/// The next step for the mirror of one Endpoints object.
pub fn plan(view: &View, key: &Key, _now: Timestamp) -> Plan {
    let present = slices(view, key);
    let source = view.endpoints.get(key).filter(|endpoints| is_mirrored(view, key, endpoints));
    let Some(source) = source else {
        return Plan::of(present.iter().map(|slice| Action::delete(slice.as_ref()).into()).collect());
    };
    let mut dropped = Dropped::default();
    let wanted = wanted(view, source, &mut dropped);
    let mut plan = write(source, wanted, present);
    if !plan.is_empty() {
        plan.reasons.extend(dropped.reasons(view, source));
    }
    plan
}

/// B6.1; an Endpoints object that its own controller fills has a Service with a selector.
fn is_mirrored(view: &View, key: &Key, endpoints: &Endpoints) -> bool {
    let service = view.services.get(key).and_then(|service| service.spec.as_ref());
    let selects = |selector: &BTreeMap<String, String>| !selector.is_empty();
    let by_hand = service.is_some_and(|spec| !spec.selector.as_ref().is_some_and(selects));
    let meta = &endpoints.metadata;
    let skipped = meta.labels.as_ref().and_then(|labels| labels.get(SKIP)).is_some_and(|skip| skip == "true");
    let lock = meta.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER));
    by_hand && !skipped && !lock && meta.deletion_timestamp.is_none()
}

fn slices<'a>(view: &'a View, key: &Key) -> Vec<&'a Arc<EndpointSlice>> {
    let managed = |slice: &&Arc<EndpointSlice>| {
        slice
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(MANAGED_BY))
            .is_some_and(|by| by == MANAGER)
    };
    view.endpoint_slices.marked(&service_mark(&key.namespace, &key.name)).filter(managed).collect()
}

/// What could not be mirrored.
#[derive(Default)]
struct Dropped {
    invalid: usize,
    excess: usize,
}

impl Dropped {
    fn reasons(&self, view: &View, source: &Endpoints) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.invalid > 0 {
            let message =
                format!("Skipped {} invalid IP addresses when mirroring to EndpointSlices", self.invalid);
            reasons.push(Reason::warning(source, "InvalidIPAddress", message));
        }
        if self.excess > 0 {
            let message = format!(
                "A max of {} addresses can be mirrored to EndpointSlices per Endpoints subset. {} addresses were skipped",
                view.settings.max_mirrored_per_subset, self.excess
            );
            reasons.push(Reason::warning(source, "TooManyAddressesToMirror", message));
        }
        reasons
    }
}

fn wanted(view: &View, source: &Endpoints, dropped: &mut Dropped) -> BTreeMap<Place, Vec<Endpoint>> {
    let mut wanted: BTreeMap<Place, Vec<Endpoint>> = BTreeMap::new();
    for subset in source.subsets.iter().flatten() {
        let ports = place_ports(subset.ports.as_ref());
        let ready = subset.addresses.iter().flatten().map(|address| (address, true));
        let all = ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, false)));
        let mut taken = 0;
        for (address, ready) in all {
            let Ok(ip) = address.ip.parse::<IpAddr>() else {
                dropped.invalid += 1;
                continue;
            };
            if taken == view.settings.max_mirrored_per_subset {
                dropped.excess += 1;
                continue;
            }
            taken += 1;
            let family = if ip.is_ipv6() { "IPv6" } else { "IPv4" };
            wanted.entry((family, ports.clone())).or_default().push(endpoint(ip, address, ready));
        }
    }
    wanted
}

fn place_ports(ports: Option<&Vec<OldPort>>) -> Vec<(String, i32, String, Option<String>)> {
    let key = |port: &OldPort| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        (port.name.clone().unwrap_or_default(), port.port, protocol, port.app_protocol.clone())
    };
    let mut keys: Vec<_> = ports.into_iter().flatten().map(key).collect();
    keys.sort();
    keys
}

fn endpoint(ip: IpAddr, address: &EndpointAddress, ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![ip.to_string()],
        conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
        hostname: address.hostname.clone().filter(|hostname| !hostname.is_empty()),
        node_name: address.node_name.clone(),
        target_ref: address.target_ref.clone(),
        ..Endpoint::default()
    }
}

fn write(
    source: &Endpoints,
    wanted: BTreeMap<Place, Vec<Endpoint>>,
    present: Vec<&Arc<EndpointSlice>>,
) -> Plan {
    let mut present: Vec<_> = present.into_iter().rev().collect();
    let mut writes = Vec::new();
    for ((family, ports), endpoints) in wanted {
        let fits = |slice: &&Arc<EndpointSlice>| slice.address_type == family && slice_ports(slice) == ports;
        let before = present.iter().rposition(fits).map(|index| present.remove(index));
        let ports = ports.into_iter().map(|(name, port, protocol, app_protocol)| EndpointPort {
            name: Some(name),
            port: Some(port),
            protocol: Some(protocol),
            app_protocol,
        });
        let after = EndpointSlice {
            metadata: metadata(source, before),
            address_type: family.to_owned(),
            endpoints: Some(endpoints),
            ports: Some(ports.collect()),
        };
        writes.extend(match before {
            Some(before) => Action::patch(before.as_ref(), &after),
            None => Some(Action::create(&after)),
        });
    }
    let mut plan = Plan::of(writes.into_iter().map(Step::from).collect());
    plan.stage(present.into_iter().map(|slice| Action::delete(slice.as_ref()).into()).collect());
    plan
}

fn slice_ports(slice: &EndpointSlice) -> Vec<(String, i32, String, Option<String>)> {
    let key = |port: &EndpointPort| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let name = port.name.clone().unwrap_or_default();
        (name, port.port.unwrap_or_default(), protocol, port.app_protocol.clone())
    };
    let mut keys: Vec<_> = slice.ports.iter().flatten().map(key).collect();
    keys.sort();
    keys
}

fn metadata(source: &Endpoints, before: Option<&Arc<EndpointSlice>>) -> ObjectMeta {
    let name = source.metadata.name.clone().unwrap_or_default();
    let mut metadata = before.map(|slice| slice.metadata.clone()).unwrap_or_else(|| ObjectMeta {
        generate_name: Some(format!("{name}-")),
        namespace: source.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    let mut labels = source.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.to_owned(), name);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    let mut annotations = source.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|name, _| name != TRIGGER_TIME && name != LAST_APPLIED);
    metadata.labels = Some(labels);
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    metadata.owner_references = Some(vec![controller_reference(source)]);
    metadata
}

/// The Endpoints that a change concerns.
pub(crate) fn wake(_view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = Vec::new();
    if ["services", "endpoints"].contains(&changed.resource.plural.as_ref()) {
        keys.push(changed.key.clone());
    }
    for any in changed.old.iter().chain(&changed.new) {
        if let Any::EndpointSlice(slice) = any {
            let labels = slice.metadata.labels.as_ref();
            let managed = labels.and_then(|labels| labels.get(MANAGED_BY)).is_some_and(|by| by == MANAGER);
            let service = labels.and_then(|labels| labels.get(SERVICE_NAME)).filter(|_| managed);
            keys.extend(service.map(|name| Key::new(&changed.key.namespace, name)));
        }
    }
    keys
}

#[cfg(test)]
mod tests;
