//! EndpointSlice: the addresses behind a Service, in slices that change as little as possible (B1, B2).
//!
//! View → slices made, altered, deleted. The pods give what is wanted (`desired`), what is there is kept as
//! far as it fits (`fill`), topology adds hints (`hints`). Invariant: an endpoint never moves from one slice
//! to another, and none is left out because its slice is to go.

mod desired;
mod fill;
mod hints;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::key::Key;
use crate::kinds::{Any, SERVICE_NAME, service_mark};
use crate::owners::{controller_of, controller_reference};
use crate::plan::{Action, Plan, Step};
use crate::service;
use crate::view::{Changed, View};
use desired::Desired;

pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// What the controller's slices are labelled with (B1.14).
pub const MANAGER: &str = "endpointslice-controller.k8s.io";

/// The next step for the slices of one Service.
pub fn plan(view: &View, key: &Key, _now: Timestamp) -> Plan {
    let existing = slices(view, key);
    let Some(service) = view.services.get(key) else {
        // The API's garbage collection takes the slices of a Service that is gone.
        return Plan::default();
    };
    if service.metadata.deletion_timestamp.is_some() || service::selector(service).is_none() {
        return Plan::default();
    }
    let (own, foreign): (Vec<_>, Vec<_>) = existing.into_iter().partition(|slice| belongs(slice, service));
    let desired = desired::of(view, service);
    write(view, service, &own, &foreign, &desired)
}

/// The slices of a Service that this controller manages.
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

/// Whether a slice is of this Service and not of an earlier one of its name, nor of a family it left.
fn belongs(slice: &EndpointSlice, service: &Service) -> bool {
    let owner = controller_of(&slice.metadata).map(|owner| &owner.uid);
    let ours = owner.is_none() || owner == service.metadata.uid.as_ref();
    ours && service::families(service).contains(&slice.address_type)
}

fn write(
    view: &View,
    service: &Service,
    own: &[&Arc<EndpointSlice>],
    foreign: &[&Arc<EndpointSlice>],
    desired: &Desired,
) -> Plan {
    let limit = view.settings.max_endpoints_per_slice.max(1);
    let mut writes = Vec::new();
    let mut deletes: Vec<Step> = foreign.iter().map(|slice| Action::delete(slice.as_ref()).into()).collect();
    for family in service::families(service) {
        let of_family: Vec<_> = own.iter().copied().filter(|slice| slice.address_type == family).collect();
        let filled =
            fill::fill(desired.groups(&family), &of_family, &Frame { service, family: &family }, limit);
        let mut filled = filled;
        hints::apply(service, &mut filled);
        for slice in filled.wanted {
            writes.extend(slice.action(service).map(Step::from));
        }
        deletes.extend(filled.unwanted.iter().map(|slice| Step::from(Action::delete(slice.as_ref()))));
    }
    let mut plan = Plan::of(writes);
    plan.stage(deletes);
    plan
}

/// What is the same in all slices of a Service and family.
struct Frame<'a> {
    service: &'a Service,
    family: &'a str,
}

impl Frame<'_> {
    /// A slice with nothing in it; the API completes its name.
    fn empty(&self) -> EndpointSlice {
        let meta = &self.service.metadata;
        let metadata = ObjectMeta {
            generate_name: Some(generated_prefix(meta.name.as_deref().unwrap_or_default())),
            namespace: meta.namespace.clone(),
            ..ObjectMeta::default()
        };
        let mut slice =
            EndpointSlice { metadata, address_type: self.family.to_owned(), endpoints: None, ports: None };
        self.dress(&mut slice);
        slice
    }

    /// Gives a slice the labels and the owner it must have (B1.14, B1.15).
    fn dress(&self, slice: &mut EndpointSlice) {
        let mut labels = self.service.metadata.labels.clone().unwrap_or_default();
        labels
            .retain(|name, _| ![SERVICE_NAME, MANAGED_BY, service::HEADLESS_LABEL].contains(&name.as_str()));
        labels.insert(SERVICE_NAME.to_owned(), self.service.metadata.name.clone().unwrap_or_default());
        labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
        if service::is_headless(self.service) {
            labels.insert(service::HEADLESS_LABEL.to_owned(), String::new());
        }
        slice.metadata.labels = Some(labels);
        slice.metadata.owner_references = Some(vec![controller_reference(self.service)]);
    }
}

/// `<service>-`, which the API completes (B1.13).
fn generated_prefix(service: &str) -> String {
    /// What the API keeps free for its suffix, and the longest name of an object.
    const SUFFIX: usize = 5;
    const LONGEST: usize = 253;
    if service.len() + 1 + SUFFIX > LONGEST { service.to_owned() } else { format!("{service}-") }
}

/// The Services that a change concerns.
pub(crate) fn wake(view: &View, changed: &Changed) -> Vec<Key> {
    let mut keys = service::wake(view, changed);
    for any in changed.old.iter().chain(&changed.new) {
        match any {
            Any::EndpointSlice(slice) => {
                let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
                keys.extend(service.map(|name| Key::new(&changed.key.namespace, name)));
            }
            Any::Node(node) if zone_changed(changed) => keys.extend(services_on(view, &node.metadata)),
            _ => {}
        }
    }
    keys
}

/// A node matters when it comes, goes, or moves to another zone.
fn zone_changed(changed: &Changed) -> bool {
    let zone = |any: &Option<Any>| {
        any.as_ref().map(|any| any.metadata().labels.as_ref()?.get(desired::ZONE).cloned())
    };
    zone(&changed.old) != zone(&changed.new)
}

fn services_on(view: &View, node: &ObjectMeta) -> Vec<Key> {
    let on_node = |service: &Service| {
        service::pods(view, service).iter().any(|pod| crate::pod::node(pod) == node.name.as_deref())
    };
    view.services.iter().filter(|(_, service)| on_node(service)).map(|(key, _)| key.clone()).collect()
}

#[cfg(test)]
mod tests;
