//! What is remembered between two looks: what every Ready node has applied, and who waits for it since when.
//!
//! Kept by the view, change by change, so that a Lease that moves on costs as much as Services wait, not as many as
//! there are, and little for each. Invariants: a Service that waits for nothing is not in it; what each waits for is
//! taken anew with every change that it depends on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kelson_model::Revision;

use super::{NAMESPACE, PREFIX, condition, is_leaving, is_ours, lease_name, revision};
use crate::key::Key;
use crate::kinds::{Any, Kinds, SERVICE_NAME, service_mark};
use crate::service;
use crate::view::{Changed, View};

/// A Service that waits for nodes.
#[derive(Clone, Copy, Debug)]
struct Pending {
    since: Timestamp,
    /// Its resource version when it last changed by another's hand.
    version: u64,
    /// What it waits for, as of its last change or its slices'; see [`needed`].
    needed: Option<Revision>,
}

/// Who waits for which revision.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    floor: Option<Revision>,
    pending: BTreeMap<Key, Pending>,
    leaving: BTreeSet<Key>,
}

impl Ledger {
    /// What every Ready node has applied; `None` where no node publishes it, or none is Ready.
    pub(super) fn floor(&self) -> Option<Revision> {
        self.floor
    }

    /// Whether a pod is on its way out, whose node asks for the floor.
    pub(super) fn is_awaited(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Since when the Service has waited for nodes.
    pub(super) fn pending_since(&self, key: &Key) -> Option<Timestamp> {
        self.pending.get(key).map(|pending| pending.since)
    }

    /// The waiting Services that every node has caught up with.
    pub(super) fn reached(&self) -> impl Iterator<Item = Key> {
        self.pending.iter().filter(|(_, pending)| self.is_reached(pending)).map(|(key, _)| key.clone())
    }

    /// Every waiting Service.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Key> {
        self.pending.keys().cloned()
    }

    /// Folds a change that the kinds already hold.
    pub(crate) fn remember(&mut self, kinds: &Kinds, changed: &Changed, now: Timestamp) {
        match changed.resource.plural.as_ref() {
            "services" if condition::is_all_that_changed(&changed.old, &changed.new) => {
                self.look(kinds, &changed.key, now);
            }
            "services" => {
                if let Some(pending) = self.pending.get_mut(&changed.key) {
                    pending.version = service_version(kinds, &changed.key);
                }
                self.look(kinds, &changed.key, now);
            }
            "endpointslices" => {
                services_of(changed).iter().for_each(|key| self.look(kinds, key, now));
            }
            "nodes" if turned(changed) => self.count(kinds, now),
            "leases" if changed.key.namespace == NAMESPACE && changed.key.name.starts_with(PREFIX) => {
                self.count(kinds, now);
            }
            "pods" if is_leaving(&changed.new) => drop(self.leaving.insert(changed.key.clone())),
            "pods" => drop(self.leaving.remove(&changed.key)),
            _ => {}
        }
    }

    fn look(&mut self, kinds: &Kinds, key: &Key, now: Timestamp) {
        let (since, version) = match self.pending.get(key) {
            Some(known) => (known.since, known.version),
            None => (now, service_version(kinds, key)),
        };
        let service = kinds.services.get(key);
        let pending = Pending { since, version, needed: service.and_then(|it| needed(kinds, it, version)) };
        if self.is_settled(service, &pending) {
            self.pending.remove(key);
        } else if let Some(known) = self.pending.get_mut(key) {
            *known = pending;
        } else {
            self.pending.insert(key.clone(), pending);
        }
    }

    /// Whether there is nothing to say of the Service: it says it all, is nobody's, or nobody can say.
    fn is_settled(&self, service: Option<&Arc<Service>>, pending: &Pending) -> bool {
        let Some(service) = service.filter(|service| is_ours(service)) else { return true };
        self.floor.is_none() || (condition::is_true(service) && self.is_reached(pending))
    }

    fn is_reached(&self, pending: &Pending) -> bool {
        self.floor.zip(pending.needed).is_some_and(|(floor, needed)| floor.covers(needed))
    }

    /// What the Service waits for, in words: nodes by name, or its endpoints.
    pub(super) fn behind<'a>(&self, view: &'a View, key: &Key) -> Vec<&'a str> {
        let Some(pending) = self.pending.get(key) else { return Vec::new() };
        let Some(needed) = pending.needed else { return vec!["its EndpointSlices"] };
        let ready = view.nodes.iter().filter(|(_, node)| is_ready(node));
        let late = ready.filter(|(key, _)| !applied(&view.kinds, key).covers(needed));
        late.map(|(key, _)| key.name.as_str()).collect()
    }

    /// Takes the floor anew. It falls when a node joins: then it is Services at rest that wait.
    fn count(&mut self, kinds: &Kinds, now: Timestamp) {
        let before = std::mem::replace(&mut self.floor, floor(kinds));
        let fell = match (before, self.floor) {
            (Some(before), Some(floor)) => !floor.covers(before),
            (None, Some(_)) => true,
            _ => false,
        };
        let looked_at: Vec<Key> = match (fell, self.floor) {
            (true, _) => kinds.services.iter().map(|(key, _)| key.clone()).collect(),
            (false, Some(_)) => self.reached().collect(),
            (false, None) => self.pending.keys().cloned().collect(),
        };
        looked_at.iter().for_each(|key| self.look(kinds, key, now));
    }
}

fn floor(kinds: &Kinds) -> Option<Revision> {
    let publishes = kinds.leases.within(NAMESPACE).any(|(key, _)| key.name.starts_with(PREFIX));
    let applied = kinds.nodes.iter().filter(|(_, node)| is_ready(node)).map(|(key, _)| applied(kinds, key));
    applied.reduce(Revision::meet).filter(|_| publishes)
}

fn applied(kinds: &Kinds, node: &Key) -> Revision {
    let lease = kinds.leases.get(&Key::new(NAMESPACE, lease_name(&node.name)));
    lease.map_or_else(Revision::default, |lease| revision(lease))
}

/// What a node must have applied to have the Service of this version; `None` while its endpoints are still to be
/// written.
fn needed(kinds: &Kinds, service: &Service, services: u64) -> Option<Revision> {
    let key = Key::of(&service.metadata);
    let mark = service_mark(&key.namespace, &key.name);
    let newest = kinds.endpoint_slices.marked(&mark).map(|slice| version(&slice.metadata)).max();
    let endpoint_slices = newest.or_else(|| service::selector(service).is_none().then_some(0))?;
    Some(Revision { services, endpoint_slices })
}

fn version(meta: &ObjectMeta) -> u64 {
    meta.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn service_version(kinds: &Kinds, key: &Key) -> u64 {
    kinds.services.get(key).map_or(0, |service| version(&service.metadata))
}

/// The Services whose slice was made, altered or removed.
pub(super) fn services_of(changed: &Changed) -> Vec<Key> {
    let of = |any: &Any| match any {
        Any::EndpointSlice(slice) => owner(slice),
        _ => None,
    };
    let mut keys: Vec<Key> = changed.old.iter().chain(&changed.new).filter_map(of).collect();
    keys.dedup();
    keys
}

fn owner(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or_default(), name))
}

/// Whether a node became Ready, or no longer is, or is gone.
pub(super) fn turned(changed: &Changed) -> bool {
    readiness(&changed.old) != readiness(&changed.new)
}

fn readiness(any: &Option<Any>) -> Option<bool> {
    match any {
        Some(Any::Node(node)) => Some(is_ready(node)),
        _ => None,
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
